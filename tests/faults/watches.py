"""Real looks at a real demo, judged by the real state machine: quick windows, and a clock that may run faster."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

from checks.context import opened
from checks.events import nobody
from checks.model import utc_now
from checks.monitoring.alerts import Moment, Watched, step
from checks.monitoring.model import Reading, Threshold
from checks.monitoring.sources.collector import Collector
from checks.profile.read import load_target
from checks.target import Target
from console.demo.launch import DemoProcess
from tests.demo.client import credentials

LOOK_EVERY_S = 0.4
WITHIN_S = 45.0
"""Far longer than it takes, for machines that are slow."""
ON_HOST = ("host-memory", "host-cpu", "disk-use")
QUICK: Mapping[str, Mapping[str, Any]] = {
    "error-rate": {"window_s": 5.0},
    "response-time": {"window_s": 5.0},
    "burn-fast": {"window_s": 6.0, "short_window_s": 3.0},
    "burn-slow": {"window_s": 8.0, "short_window_s": 4.0},
    "slow-queries": {"window_s": 6.0},
    "log-errors": {"window_s": 6.0},
    "restarts": {"window_s": 6.0},
    # What the host is busy with is not for these tests to say: at 100 % nothing is broken.
    **{name: {"limit": 100.0} for name in ON_HOST},
}
"""What differs from the thresholds that are shipped, besides their times."""
NOTHING_OF_ITS_OWN: dict[str, Callable[[], Reading]] = {
    name: lambda: Reading(None, applies=False) for name in ("notifier-failures", "go-standing")
}
CLIENTS, PAUSE_S = 6, 0.15
"""Each of them below the limit of one client."""


def quick(thresholds: Sequence[Threshold]) -> tuple[Threshold, ...]:
    """The thresholds with their limits, on windows of seconds; without a word to others, for each is looked at."""
    return tuple(
        replace(
            one,
            **{
                "for_s": 1.0,
                "keep_firing_s": 0.0,
                "no_data_s": 2.0,
                "least_events": min(one.least_events, 10),
                "inhibited_by": (),
                **QUICK.get(one.name, {}),
            },
        )
        for one in thresholds
    )


class Watch:
    """Looks until it is cancelled, and keeps what it saw."""

    def __init__(
        self,
        collector: Collector,
        thresholds: Sequence[Threshold],
        *,
        mono: Callable[[], float],
        speed: float,
    ) -> None:
        self._collector, self._mono = collector, mono
        self._interval_s = LOOK_EVERY_S * speed * 3  # a slow look is no gap
        self.thresholds = {one.name: one for one in thresholds}
        self.readings: Mapping[str, Reading] = {}
        self.looks = 0
        self.ever: set[str] = set()
        """The thresholds that have fired since this was emptied."""
        self._states = {name: Watched.new(name) for name in self.thresholds}

    async def run(self) -> None:
        """Look again and again."""
        while True:
            self.readings = await self._collector.look()
            now = Moment(utc_now(), self._mono())
            for name, threshold in self.thresholds.items():
                state, _ = step(threshold, self._states[name], self.readings[name], now, self._interval_s)
                self._states[name] = state
            self.looks += 1
            self.ever |= self.firing
            await asyncio.sleep(LOOK_EVERY_S)

    @property
    def firing(self) -> set[str]:
        """The thresholds whose limit is broken."""
        return {name for name, state in self._states.items() if state.limit.alert.is_firing}

    @property
    def resolved(self) -> set[str]:
        """The thresholds that fired, and do no more."""
        return {name for name, state in self._states.items() if state.limit.alert.state == "resolved"}

    @property
    def blind(self) -> set[str]:
        """The thresholds of which nothing is known."""
        return {name for name, state in self._states.items() if state.no_data.alert.is_firing}

    def value(self, name: str) -> float:
        """The newest value."""
        value = self.readings[name].value
        assert value is not None, self.readings[name]
        return value

    def limit(self, name: str, limit: float) -> None:
        """Hold a threshold's values against another limit."""
        self.thresholds[name] = replace(self.thresholds[name], limit=limit)
        self._collector.watch(tuple(self.thresholds.values()))

    async def until(self, is_so: Callable[[], bool], what: str) -> None:
        """Wait until something is so."""
        deadline = time.monotonic() + WITHIN_S
        while not is_so():
            assert time.monotonic() < deadline, self._told(what)
            await asyncio.sleep(0.05)

    async def until_firing(self, names: Collection[str]) -> None:
        """Wait until each of them has fired."""
        await self.until(lambda: set(names) <= self.ever, f"not fired: of {sorted(names)}")

    async def until_quiet(self) -> None:
        """Wait until nothing fires any more."""
        await self.until(lambda: not self.firing, "still firing")

    async def more_looks(self, count: int) -> None:
        """Wait for so many further looks."""
        wanted = self.looks + count
        await self.until(lambda: self.looks >= wanted, "no looks")

    def _told(self, what: str) -> str:
        lines = [
            f"{what}; fired {sorted(self.ever)}, firing {sorted(self.firing)}, blind {sorted(self.blind)}"
        ]
        lines += [f"{name}: {reading}" for name, reading in self.readings.items()]
        return "\n".join(lines)


@asynccontextmanager
async def looked_at(
    target: Target,
    folder: Path,
    *,
    own: dict[str, Callable[[], Reading]] | None = None,
    speed: float = 1.0,
) -> AsyncIterator[Watch]:
    """A watch of `target`, on a clock that runs `speed` times as fast as others."""
    origin_s = time.monotonic()

    def mono() -> float:
        return origin_s + (time.monotonic() - origin_s) * speed

    folder.mkdir(exist_ok=True)  # noqa: ASYNC240 - before anything runs
    thresholds = quick(target.thresholds)
    async with opened(
        target,
        run="watch",
        nonce="0a1b2c3d4e5f",
        guard_file=folder / "guard.json",
        record=lambda kind, subject, body: None,
        announce=nobody,
        clock=utc_now,
    ) as (context, _):
        collector = Collector(context, thresholds, own=NOTHING_OF_ITS_OWN | (own or {}), mono=mono)
        watch = Watch(collector, thresholds, mono=mono, speed=speed)
        looking = asyncio.create_task(watch.run())
        try:
            yield watch
            assert not looking.done(), looking
        finally:
            looking.cancel()
            with suppress(asyncio.CancelledError):
                await looking
            await collector.close()


@asynccontextmanager
async def traffic(demo: DemoProcess, target: Target) -> AsyncIterator[None]:
    """Users who ask for the list of bots, again and again, each from an address of its own."""
    verify: Any = True
    if file := target.profile.target.ca_file:
        import ssl

        verify = ssl.create_default_context(cafile=file)
    async with AsyncExitStack() as stack:
        clients = [
            await stack.enter_async_context(
                httpx.AsyncClient(
                    base_url=demo.url,
                    timeout=15,
                    transport=httpx.AsyncHTTPTransport(verify=verify, local_address=f"127.0.8.{place}"),
                )
            )
            for place in range(1, CLIENTS + 1)
        ]
        answer = await clients[0].post("/api/auth/login", json=credentials(demo))
        headers = {"Authorization": f"Bearer {answer.json()['token']}"}

        async def ask(client: httpx.AsyncClient) -> None:
            while True:
                with suppress(httpx.TransportError):
                    await client.get("/api/bots", headers=headers)
                await asyncio.sleep(PAUSE_S)

        tasks = [asyncio.create_task(ask(client)) for client in clients]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


def target_of(demo: DemoProcess) -> Target:
    """The demo by its own profile."""
    return load_target(demo.profile)
