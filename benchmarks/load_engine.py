"""The engine as `benchmarks/load.py` drives it: through the real pipe, as the console does."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass, field
from pathlib import Path

from checks.load.generator_process import GeneratorProcess
from checks.load.histogram import Histogram
from checks.load.model import Arrival, Channel, Part
from checks.load.wire import Done, Exchange, Failed, Finish, Halt, Leg, LegDone, Ready, Setup, Tick, User

READY_WITHIN_S = 60.0
START_CPU_S = 0.3
"""What the generator takes besides its legs: Python's start and its imports."""


@dataclass(slots=True)
class Ran:
    """What one run of the engine reported, and how much memory it took."""

    pid: int = 0
    ticks: list[Tick] = field(default_factory=list)
    legs: list[LegDone] = field(default_factory=list)
    done: Done | None = None
    rss_kb: int = 0
    """At the last second."""
    peak_kb: int = 0

    @property
    def cpu_s(self) -> float:
        """CPU-seconds of all legs."""
        return sum(leg.cpu_s for leg in self.legs)

    def row(self) -> dict[str, float]:
        """The first leg in milliseconds and counts."""
        leg = self.legs[0]
        found: dict[str, float] = {
            "due": leg.due,
            "sent": leg.sent,
            "ok": leg.ok,
            "failed": sum(leg.failures.values()),
            "waited": leg.waited,
            "client_cpu_percent": 100 * leg.cpu_s / leg.seconds,
            "client_cpu_s": leg.cpu_s + START_CPU_S,
        }
        for name, bins in (("", leg.latency_bins), ("service_", leg.service_bins), ("lag_", leg.lag_bins)):
            one = Histogram(bins)
            for share in (50, 95, 99):
                found[f"{name}p{share}"] = one.quantiles(share / 100)[0] / 1e3
            found[f"{name}max"] = one.highest / 1e3
        return found


def setup(url: str, users: int, *, core: int, is_plain: bool = False) -> Setup:
    """REST users whose replies are checked: status, JSON and the field `ok`."""
    return Setup(
        url=url,
        users=tuple(
            User(name=f"u{place:04d}", channel=Channel.REST, bot_id="bot-1") for place in range(users)
        ),
        rest=Exchange(path="/", body={"bot_id": "{bot_id}", "message": "{text}"}, success="ok"),
        message_bytes=40,
        connects_per_s=2000.0,
        most_per_s=1e9,
        core=core,
        is_plain=is_plain,
    )


def closed(users: int, seconds: float) -> Leg:
    """Users without think time."""
    return Leg(part=Part.HOLD, seconds=seconds, arrival=Arrival.CLOSED, users_from=users, users_to=users)


def opened(rate: float, seconds: float) -> Leg:
    """Messages at even distances."""
    return Leg(part=Part.HOLD, seconds=seconds, arrival=Arrival.CONSTANT, rate_from=rate, rate_to=rate)


async def run(order: Setup, *legs: Leg, started: asyncio.Future[int] | None = None, until_ok: int = 0) -> Ran:
    """Run these legs. Raises RuntimeError where they could not be run.

    `started` gets the generator's process id; after `until_ok` good replies, if not 0, it is halted.
    """
    found, process = Ran(), GeneratorProcess()
    try:
        await process.start(order)
        found.pid = process.pid
        if started is not None:
            started.set_result(process.pid)
        for leg in legs:
            await process.send(leg)
        await process.send(Finish())
        async with asyncio.timeout(READY_WITHIN_S + order.drain_s + sum(leg.seconds for leg in legs)):
            async for report in process.reports():
                if isinstance(report, Failed):
                    raise RuntimeError(report.sentence)
                if isinstance(report, Tick | Ready):
                    found.rss_kb, found.peak_kb = _memory(process.pid)
                if isinstance(report, Tick):
                    found.ticks.append(report)
                    if 0 < until_ok <= sum(tick.ok for tick in found.ticks):
                        await process.send(Halt())
                elif isinstance(report, LegDone):
                    found.legs.append(report)
                elif isinstance(report, Done):
                    found.done = report
        if found.done is None:
            raise RuntimeError(f"the generator ended by itself: {process.problem}")
    finally:
        await process.close()
    return found


def _memory(pid: int) -> tuple[int, int]:
    """Resident memory of a process, and the most it ever had, in KiB; the last known where it is gone."""
    try:
        status = Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return 0, 0
    found = {name: int(size) for name, size in re.findall(r"^(VmRSS|VmHWM):\s+(\d+)", status, re.MULTILINE)}
    return found.get("VmRSS", 0), found.get("VmHWM", 0)
