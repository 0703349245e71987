"""Does the capacity search find what is known? Against a server with one queue, steady and frozen now and then.

    python -m benchmarks.capacity [--json FILE] [--times 3] [--only steady,frozen]

The search is the engine's own, with a real generator in a process of its own. The truth of the steady server with
random arrivals (M/D/1) is 1 / service; that of the frozen one, which stands still 1 s in every 5 s and gets messages at
even distances, is 0.8 of it: beyond, the queue grows without end. Prints what was found, and how far that is from the
truth.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from checks.load.capacity import Search, judge_step
from checks.load.model import Arrival, Capacity, Channel, Criteria, Part, Sample, Scenario
from checks.load.session import Session
from checks.load.wire import Exchange, Leg, Setup, User

CLIENTS = 400
SERVICE_MS = 8.0
KINDS = {"steady": (0.0, 5.0), "frozen": (1.0, 5.0)}
"""Name -> seconds frozen, in each so many seconds."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One search and the truth."""

    kind: str
    truth_per_s: float
    safe_per_s: float | None
    broke_first: str
    steps: int

    @property
    def error_percent(self) -> float | None:
        """How far off it is."""
        return None if self.safe_per_s is None else 100 * (self.safe_per_s / self.truth_per_s - 1)


def scenario(kind: str) -> Scenario:
    """What is asked for: steps that cover whole periods of the server."""
    return Scenario(
        name=kind,
        title=kind,
        arrival=Arrival.CONSTANT if kind == "frozen" else Arrival.POISSON,
        users=CLIENTS,
        rate_per_s=30.0,
        most_rate_per_s=300.0,
        step_s=10.0 if kind == "frozen" else 6.0,
        confirm_s=20.0,
        criteria=Criteria(p95_s=1.0, p99_s=2.5, memory_percent=0, pool_percent=0),
        is_capacity=True,
    )


async def search(url: str, asked: Scenario, seed: int) -> Capacity:
    """One whole search against `url`."""

    async def nothing() -> Sample:
        return Sample()

    users = tuple(
        User(name=f"u{place:04d}", channel=Channel.REST, bot_id="bot-1") for place in range(CLIENTS)
    )
    setup = Setup(
        url=url,
        users=users,
        rest=Exchange(path="/", body={"message": "{text}"}, success="ok"),
        is_plain=True,
        reply_within_s=5.0,
        connects_per_s=400,
        seed=seed,
    )
    session = Session(setup, nothing, lambda second: None)
    found = Search(asked)
    await session.begin()
    try:
        place = 0
        while (step := found.next()) is not None:
            label, first, place = f"{place}", len(session.seconds), place + 1
            leg = Leg(
                part=Part.HOLD,
                seconds=step.seconds,
                arrival=asked.arrival,
                rate_from=step.rate_per_s,
                rate_to=step.rate_per_s,
                label=label,
            )
            done = await session.run(leg)
            seconds = tuple(one for one in session.seconds[first:] if one.label == label)
            judged = judge_step(step, asked.criteria, seconds, done[0])
            found.learn(judged)
            told = judged.broke or "kept"
            print(
                f"    {step.kind} {step.rate_per_s:.1f}/s: {told}, p95 {judged.p95_s * 1e3:.0f} ms",
                flush=True,
            )
        await session.end()
    finally:
        await session.kill()
    return found.result()


def measure(kind: str, seed: int) -> Outcome:
    """One search against a fresh server."""
    freeze, every = KINDS[kind]
    options = ["--service-ms", f"{SERVICE_MS}", "--freeze", f"{freeze}", "--every", f"{every}"]
    command = [sys.executable, "-m", "benchmarks.queue_target", *options]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout
            port = int(server.stdout.readline())
            found = asyncio.run(search(f"http://127.0.0.1:{port}", scenario(kind), seed))
        finally:
            server.kill()
    truth = 1e3 / SERVICE_MS * (1 - freeze / every)
    return Outcome(kind, truth, found.safe_per_s, found.broke_first, len(found.steps))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--only", default=",".join(KINDS))
    given = parser.parse_args()
    rows = []
    for kind in given.only.split(","):
        for time in range(given.times):
            row = measure(kind, seed=time + 1)
            rows.append(row)
            error = "no figure" if row.error_percent is None else f"{row.error_percent:+.1f} %"
            found = "-" if row.safe_per_s is None else f"{row.safe_per_s:.1f}/s"
            print(
                f"{kind}: found {found}, truth {row.truth_per_s:.1f}/s, {error}, broke by {row.broke_first}"
            )
    if given.json:
        told = [
            {**{name: getattr(row, name) for name in row.__slots__}, "error_percent": row.error_percent}
            for row in rows
        ]
        given.json.write_text(json.dumps(told, indent=2), "utf-8")


if __name__ == "__main__":
    main()
