"""What a watch costs: memory over a day of looks, and CPU of real looks on the embedded demo.

    python -m benchmarks.watch [--hours 24] [--seconds 30] [--interval 1]

(a) A day of looks every five seconds is fed through the same code that watches, on a clock that is turned: scrapes are
read, counted, judged (`alerts.step`); memory is looked at when every window is full, and at the end.
(b) Looks at the embedded demo with TLS, all thresholds on, once a second: the share of a core that this process uses.
The scrapes alone (the question, the answer and its reading) are measured too, to tell them apart.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import math
import os
import secrets
import tempfile
import time
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil

from checks.context import Context, opened
from checks.events import nobody
from checks.model import Kind, utc_now
from checks.monitoring.alerts import Moment, Watched, step
from checks.monitoring.model import Reading, Threshold
from checks.monitoring.sources.collector import Collector
from checks.monitoring.sources.counters import Tally, histogram_quantile
from checks.monitoring.sources.exposition import Exposition, Selector
from checks.monitoring.thresholds.shipped import shipped
from checks.profile.read import load_target
from checks.target import Target
from console.demo.launch import DemoProcess

DAY_INTERVAL_S = 5.0
BOUNDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, math.inf)
ROUTES = 12
SELECTORS = {
    "requests": "http_requests_total",
    "errors": 'http_requests_total{status=~"5.."}',
    "duration": "http_request_duration_seconds_bucket",
}
FULL_AFTER_H = 7
"""The longest window of a shipped threshold is six hours."""
MOST_GROWTH_MIB = 1.0
MOST_SHARE_PERCENT = 1.0


def exposition(look: int) -> str:
    """What a target of `ROUTES` routes tells after so many looks; one request of two hundred fails."""
    lines = ["# TYPE http_requests_total counter", "# TYPE http_request_duration_seconds histogram"]
    for route in range(ROUTES):
        total = look * 40
        lines.append(
            f'http_requests_total{{route="/r{route}",method="GET",status="200"}} {total - total // 200}'
        )
        lines.append(f'http_requests_total{{route="/r{route}",method="GET",status="500"}} {total // 200}')
        for place, bound in enumerate(BOUNDS, 1):
            told = "+Inf" if math.isinf(bound) else f"{bound:g}"
            count = total * place // len(BOUNDS)
            lines.append(f'http_request_duration_seconds_bucket{{route="/r{route}",le="{told}"}} {count}')
    return "\n".join(lines) + "\n"


class Day:
    """The pure parts of a watch, on a clock of its own."""

    def __init__(self) -> None:
        self.now_s = 1000.0
        self.thresholds = tuple(shipped().values())
        self._reader = Exposition({name: Selector.read(text) for name, text in SELECTORS.items()})
        self._tallies = {name: Tally() for name in SELECTORS}
        for one in self._tallies.values():
            one.history.horizon_s = max(threshold.window_s for threshold in self.thresholds)
        self._watched = {one.name: Watched.new(one.name) for one in self.thresholds}
        self._began = datetime(2026, 1, 1, tzinfo=UTC)

    @property
    def kept(self) -> int:
        """Looks that the longest history keeps."""
        return max(len(one.history) for one in self._tallies.values())

    def look(self, number: int) -> None:
        """One look: read, count, work out each threshold, judge it."""
        self.now_s += DAY_INTERVAL_S
        scrape = self._reader.read(exposition(number))
        for name, tally in self._tallies.items():
            tally.take(self.now_s, scrape.samples[name])
        now = Moment(self._began + timedelta(seconds=self.now_s), self.now_s)
        for threshold in self.thresholds:
            before = self._watched[threshold.name]
            self._watched[threshold.name], _ = step(
                threshold, before, self._reading(threshold), now, DAY_INTERVAL_S
            )

    def _reading(self, threshold: Threshold) -> Reading:
        window_s = threshold.window_s or 300.0
        requests = self._tallies["requests"].rise(window_s, self.now_s).value
        errors = self._tallies["errors"].rise(window_s, self.now_s).value
        if threshold.signal == "response-time":
            tally = self._tallies["duration"]
            rise = tally.rise(window_s, self.now_s)
            return Reading(histogram_quantile(0.95, zip(tally.bounds_s, rise.values, strict=True)), requests)
        return Reading(100 * errors / requests if requests else 0.0, requests)


def memory_over_a_day(hours: float) -> bool:
    """Whether memory stays flat from when the windows are full."""
    looks = int(hours * 3600 / DAY_INTERVAL_S)
    full = min(looks // 2, int(FULL_AFTER_H * 3600 / DAY_INTERVAL_S))
    process, day = psutil.Process(), Day()
    began_s = time.process_time()
    at_full = 0
    for number in range(1, looks + 1):
        day.look(number)
        if number == full:
            gc.collect()
            at_full = process.memory_info().rss
    took_s = time.process_time() - began_s
    gc.collect()
    at_end = process.memory_info().rss
    print(
        f"(a) {looks} looks every {DAY_INTERVAL_S:g} s, {len(day.thresholds)} thresholds, in {took_s:.1f} CPU-s"
    )
    print(
        f"    RSS after {full} looks {at_full / 1e6:.1f} MB, at the end {at_end / 1e6:.1f} MB; {day.kept} looks kept"
    )
    return at_end - at_full < MOST_GROWTH_MIB * (1 << 20)


def _nothing_recorded(kind: Kind, subject: str, body: Mapping[str, object]) -> None:
    """A benchmark launches nothing."""


async def cpu_of_looks(target: Target, folder: Path, seconds: float, interval_s: float) -> bool:
    """Whether the looks, scrapes and other questions apart, use less than the share that is allowed."""
    async with opened(
        target,
        run="benchmark",
        nonce=secrets.token_hex(6),
        guard_file=folder / "guard.json",
        record=_nothing_recorded,
        announce=nobody,
        clock=utc_now,
    ) as (context, _):
        context.http.is_evidence_kept = False  # as `Watching` has it
        whole = await _share(target.thresholds, context, seconds, interval_s)
        asked = await _asking_alone(context, max(seconds / 3, 3 * interval_s), interval_s)
        print(
            f"(b) looks every {interval_s:g} s for {seconds:g} s, {len(target.thresholds)} thresholds: "
            f"{whole:.2f} % of a core; asking for health and metrics over TLS alone: {asked:.2f} %"
        )
        return whole - asked < MOST_SHARE_PERCENT


async def _share(
    thresholds: tuple[Threshold, ...], context: Context, seconds: float, interval_s: float
) -> float:
    nothing = Reading(None, applies=False)
    own = {"notifier-failures": lambda: nothing, "go-standing": lambda: nothing}
    collector = Collector(context, thresholds, own=own)
    try:
        await collector.look()

        async def look() -> None:
            await collector.look()

        return await _measured(look, seconds, interval_s)
    finally:
        await collector.close()


async def _asking_alone(context: Context, seconds: float, interval_s: float) -> float:
    path = context.target.contract.metrics

    async def ask() -> None:
        await asyncio.gather(
            context.http.ask("GET", path, within_s=2.0),
            context.controller.ask("health", is_patient=False, is_typical=False),
        )

    return await _measured(ask, seconds, interval_s)


async def _measured(look: Callable[[], Awaitable[None]], seconds: float, interval_s: float) -> float:
    began, used_s = time.monotonic(), time.process_time()
    due = began
    while (due := due + interval_s) <= began + seconds:
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        await look()
    return 100 * (time.process_time() - used_s) / (time.monotonic() - began)


def main() -> int:
    """Run both; 1 where one is not within its limit."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=float, default=24.0)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--interval", type=float, default=1.0)
    given = parser.parse_args()
    is_flat = memory_over_a_day(given.hours)
    with DemoProcess.start(port=0, tls=True) as demo, tempfile.TemporaryDirectory() as folder:
        target = load_target(demo.profile, os.environ)
        is_light = asyncio.run(cpu_of_looks(target, Path(folder), given.seconds, given.interval))
    print("within the limits" if is_flat and is_light else "NOT within the limits")
    return 0 if is_flat and is_light else 1


if __name__ == "__main__":
    raise SystemExit(main())
