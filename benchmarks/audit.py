"""What the audit costs the target's own users: their response times before and during it, in the same run.

    python -m benchmarks.audit [ROUNDS]

A user on an address of its own lists the bots, reads a history and asks for the health, five times a second. Prints
the median and the 95th percentile before and during an audit, their ratio, the length of the audit, and how many
requests the target itself has counted in that time, less the user's own.
"""

from __future__ import annotations

import asyncio
import math
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from checks.context import redactor_for
from checks.controller import Controller
from checks.probe.http import HttpProbe
from checks.probe.websocket import WebSocketProbe
from checks.profile.read import load_target
from console.demo.launch import DemoProcess

BEFORE_S, EVERY_S = 10.0, 0.2
USER = "127.9.9.9"
LONGEST_S = 120.0


@dataclass(slots=True)
class Phase:
    """What the user saw in one stretch of time."""

    seconds: list[float] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def p95(self) -> float:
        """95th percentile, nearest rank, in seconds."""
        ordered = sorted(self.seconds)
        return ordered[math.ceil(0.95 * len(ordered)) - 1]


async def use(controller: Controller, phase: Phase, is_over: Callable[[], bool]) -> None:
    """Ask in turn, at a steady pace, until it is over; the time counts from when the request was due."""
    due = time.monotonic()
    operations = ("bots", "history", "health")
    while not is_over():
        name = operations[len(phase.seconds) % len(operations)]
        reply = await controller.ask(name, is_patient=False, bot_id="BOT-900000001", limit="20")
        phase.seconds.append(time.monotonic() - due)
        if not reply.ok:
            phase.problems.append(reply.problem)
        due = max(due + EVERY_S, time.monotonic() - EVERY_S)
        await asyncio.sleep(max(0.0, due - time.monotonic()))


async def requests(http: HttpProbe) -> int:
    """Requests that the target has counted since its start."""
    text = (await http.ask("GET", "/metrics", within_s=5)).text
    return sum(int(count) for count in re.findall(r"^http_requests_total\{.*\} (\d+)$", text, re.MULTILINE))


async def measure(demo: DemoProcess, state: Path) -> tuple[Phase, Phase, float, int]:
    """The user before and during one audit, its length in seconds and the requests it made."""
    target = load_target(demo.profile)
    redactor, ca_file = redactor_for(target), target.profile.target.ca_file
    async with HttpProbe(target.url, redactor, ca_file=ca_file, local_address=USER) as http:
        controller = Controller(target, http, WebSocketProbe(target.url, redactor), redactor)
        known = target.credentials
        reply = await controller.ask("login", username=known.username, password=known.password)
        controller.learn_token(reply.field("token"))
        before, during = Phase(), Phase()
        end = time.monotonic() + BEFORE_S
        await use(controller, before, lambda: time.monotonic() >= end)
        counted, began = await requests(http), time.monotonic()
        command = [sys.executable, "-m", "console.cli", "run", "audit", "--profile", str(demo.profile)]
        audit = subprocess.Popen(  # noqa: ASYNC220 - asked whether it ended, never waited for
            command,
            env={**os.environ, "GONOGO_STATE_DIR": str(state)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = began + LONGEST_S
        await use(controller, during, lambda: audit.poll() is not None or time.monotonic() > deadline)
        audit.terminate()
        took = time.monotonic() - began
        own = len(during.seconds) + 1
        return before, during, took, await requests(http) - counted - own


def main() -> None:
    """Print one line for each round and the medians of the ratios."""
    ratios = []
    for _ in range(int(sys.argv[1]) if len(sys.argv) > 1 else 3):
        with tempfile.TemporaryDirectory() as state, DemoProcess.start(port=0, tls=True) as demo:
            before, during, took, count = asyncio.run(measure(demo, Path(state)))
        ratios.append(during.p95 / before.p95)
        middle, middle_during = (statistics.median(phase.seconds) * 1e3 for phase in (before, during))
        print(
            f"median {middle:.1f} -> {middle_during:.1f} ms, "
            f"p95 {before.p95 * 1e3:.1f} -> {during.p95 * 1e3:.1f} ms ({ratios[-1]:.2f}x), "
            f"audit {took:.1f} s, {count} requests, user refused {len(during.problems)} times"
        )
    print(f"p95 ratio, median of the rounds: {statistics.median(ratios):.2f}x")


if __name__ == "__main__":
    main()
