"""Monitoring on the live demo: each threshold fires under a fault that breaks it, is over without it, else quiet.

All of it is real: the demo misbehaves, the collector looks, the state machine judges. What the demo cannot honestly
break, the host's memory and disk, is held against a limit below its present value.
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from checks.fold import Decision, Judgement, Snapshot
from checks.model import Ceiling, utc_now
from checks.monitoring.model import Message, Reading, Told
from checks.monitoring.outbox import Outbox
from checks.monitoring.standing import standing
from checks.monitoring.thresholds.shipped import shipped
from checks.review import Review
from checks.text import clean
from console.demo.faults import FAULTS
from console.demo.launch import DemoProcess
from tests.faults.watches import looked_at, target_of, traffic
from tests.postgres import PROGRAMS, fresh, url_of

FROM_METRICS = {
    "error-rate",
    "response-time",
    "burn-fast",
    "burn-slow",
    "pool-use",
    "pool-waiting",
    "slow-queries",
}
TOGETHER = (
    "errors-10-percent",
    "pool-held",
    "slow-query",
    "memory-ballast",
    "cpu-busy",
    "descriptors-open",
    "log-noisy",
    "websocket-refused",
)
"""Faults that leave each other alone."""
FURTHER = {
    ("answers-slow", "pool-exhausted"): set[str](),
    # Each look is a request that fails: how much that is depends on how many others there are.
    ("unhealthy", "database-locked"): {"error-rate", "burn-fast", "burn-slow"},
    # Four times the budget on average, more where chance puts two together.
    ("errors-2-percent",): {"log-errors", "burn-fast", "burn-slow"},
}
"""Faults -> what may fire too."""
FASTER = 8.0
"""Nothing is known for good after 15 s; nobody waits for that here."""
FIRED: set[str] = set()
"""Thresholds that have fired, and were over after it, in the tests of this module."""


@asynccontextmanager
async def running(*faults: str, tls: bool = False, database: str = "") -> AsyncIterator[DemoProcess]:
    """A demo, started and stopped where the loop does not wait for it."""
    demo = await asyncio.to_thread(DemoProcess.start, port=0, faults=faults, tls=tls, database=database)
    try:
        yield demo
    finally:
        await asyncio.to_thread(demo.stop)


def breaking(*faults: str) -> set[str]:
    """The thresholds that these faults say that they break."""
    return {name for fault in FAULTS if fault.name in faults for name in fault.fires}


async def faults_come_and_go(folder: Path) -> None:
    """The faults that last, several at a time, under traffic."""
    async with running(tls=True) as demo:
        target = target_of(demo)
        async with traffic(demo, target), looked_at(target, folder) as watch:
            await watch.until(lambda: watch.looks > 3 and not watch.blind, "not everything is known")
            used = watch.value("target-memory")
            demo.switch("metrics-reset")
            await watch.more_looks(8)
            assert not watch.ever, "a healthy demo, whose counters began again once"
            assert not [name for name, one in watch.readings.items() if one.is_missing]
            assert watch.value("certificate") > 80

            # 64 MiB more than some 80: half as much again lies between.
            watch.limit("target-memory", used * 1.4)
            watch.limit("host-cpu", 50.0 / (psutil.cpu_count() or 1))
            watch.limit("host-memory", watch.value("host-memory") / 2)
            watch.limit("disk-use", watch.value("disk-use") / 2)
            demo.switch(*TOGETHER)
            broken = breaking(*TOGETHER) | {"host-memory", "disk-use"}
            await watch.until_firing(broken)
            assert watch.ever == broken
            demo.switch()
            for name in ("host-cpu", "host-memory", "disk-use"):
                watch.limit(name, 100.0)
            await watch.until_quiet()
            FIRED.update(watch.ever)


async def further_faults_come_and_go(folder: Path) -> None:
    """Those that do not leave each other alone, one after the other."""
    async with running() as demo:
        target = target_of(demo)
        async with traffic(demo, target), looked_at(target, folder) as watch:
            await watch.until(lambda: watch.looks > 3 and not watch.blind, "not everything is known")
            assert not watch.ever
            for faults, follows in FURTHER.items():
                watch.ever.clear()
                demo.switch(*faults)
                await watch.until_firing(breaking(*faults))
                assert watch.ever <= breaking(*faults) | follows, faults
                demo.switch()
                await watch.until_quiet()
                FIRED.update(watch.ever)


async def metrics_are_none(folder: Path) -> None:
    """What `/metrics` does not tell is not known, which is neither good nor bad."""
    async with running() as demo, looked_at(target_of(demo), folder, speed=FASTER) as watch:
        await watch.until(lambda: watch.looks > 3 and not watch.blind, "not everything is known")
        for fault in ("metrics-down", "metrics-garbage", "metrics-half", "metrics-nan"):
            demo.switch(fault)
            await watch.until(
                lambda: watch.blind >= FROM_METRICS, f"{fault}: something is known all the same"
            )
            # A scrape that hangs takes 2 s, which on this clock is too long for everything else.
            assert fault == "metrics-half" or "target-up" not in watch.blind
            assert all(watch.readings[name].problem for name in FROM_METRICS)
            demo.switch()
            await watch.until(lambda: not watch.blind, "it is not known again")
        assert "target-up" not in watch.ever


async def the_controller_dies(folder: Path) -> None:
    """A process that is gone is seen, and so is the one that comes after it."""
    async with running(tls=True) as demo, looked_at(target_of(demo), folder) as watch:
        await watch.until(lambda: watch.looks > 3 and not watch.blind, "not everything is known")
        await asyncio.to_thread(demo.kill)
        await watch.until_firing(["target-up", "websocket-up"])
        await watch.until(lambda: {"target-memory", "descriptors"} <= watch.blind, "the process is seen")
        assert "restarts" not in watch.ever, "it was not started again yet"
        await asyncio.to_thread(demo.revive)
        await watch.until_firing(["restarts"])
        await watch.until_quiet()
        await watch.until(lambda: not watch.blind, "not everything is known again")
        FIRED.update(watch.ever)


async def postgresql_hangs(folder: Path) -> None:
    """The other database: stopped, and let go on; pool and slow queries are the server's real ones."""
    if not PROGRAMS:
        return

    server = fresh()
    process, port = await asyncio.to_thread(server.__enter__)
    try:
        async with running(database=url_of(port)) as demo, looked_at(target_of(demo), folder) as watch:
            await watch.until(lambda: watch.looks > 3 and not watch.blind, "not everything is known")
            demo.switch("pool-held", "slow-query")
            await watch.until_firing(breaking("pool-held", "slow-query"))
            demo.switch()
            await watch.until_quiet()
            watch.ever.clear()
            process.send_signal(signal.SIGSTOP)
            try:
                await watch.until_firing(["database-up"])
                assert "target-up" not in watch.ever
            finally:
                process.send_signal(signal.SIGCONT)
            await watch.until_quiet()
    finally:
        await asyncio.to_thread(server.__exit__, None, None, None)


async def a_certificate_expires(folder: Path) -> None:
    """Five days are too few; and the GO, and messages that wait, which the watch itself knows."""
    async with running("certificate-expires", tls=True) as demo:
        target = target_of(demo)
        recorded: list[Message] = []
        outbox = Outbox(target.contacts, recorded.append, clock=utc_now, mono=time.monotonic)
        review = Review.open(target, base=folder / "state")
        snapshot = review.snapshot()
        review.close()
        decision = Decision(Ceiling.GO, Ceiling.GO, clean("all is well"), clean("lead@host"), utc_now(), 1)
        borne = replace(snapshot, decision=decision, judgement=Judgement(Ceiling.GO, ()))
        now: dict[str, Snapshot] = {"review": borne}
        own = {
            "notifier-failures": lambda: Reading(float(outbox.failures)),
            "go-standing": lambda: standing(now["review"]),
        }
        async with looked_at(target, folder, own=own) as watch:
            await watch.until_firing(["certificate"])
            assert 4 < watch.value("certificate") < 5
            assert watch.ever == {"certificate"}
            now["review"] = replace(snapshot, decision=decision)
            await watch.until_firing(["go-lapsed"])
            now["review"] = borne
            await watch.until(lambda: "go-lapsed" in watch.resolved, "the GO stands again")

            demo.switch("pager-down")
            outbox.put(
                Message("1", "1", Told.TEST, "on-call", clean("a title"), clean("a text"), utc_now()),
            )
            tending = asyncio.create_task(tend(outbox))
            await watch.until_firing(["notifier"])
            demo.switch()
            await watch.until(lambda: "notifier" in watch.resolved, "it was not delivered")
            tending.cancel()
            await asyncio.gather(tending, return_exceptions=True)
            await outbox.close()
            assert recorded[-1].delivery == "sent"
            assert "a title" in (demo.profile.parent / "pager.jsonl").read_text("ascii")
            FIRED.update(watch.ever)


async def tend(outbox: Outbox) -> None:
    """Deliver, again and again."""
    while True:
        await outbox.tend()
        await asyncio.sleep(0.1)


SCENARIOS: tuple[Callable[[Path], Awaitable[None]], ...] = (
    faults_come_and_go,
    further_faults_come_and_go,
    metrics_are_none,
    the_controller_dies,
    postgresql_hangs,
    a_certificate_expires,
)


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> dict[str, BaseException | None]:
    """What became of each scenario; all of them at once, since they mostly wait."""

    async def all_of_them() -> list[BaseException | None]:
        base = tmp_path_factory.mktemp("watched")
        scenarios = (scenario(base / scenario.__name__) for scenario in SCENARIOS)
        return await asyncio.gather(*scenarios, return_exceptions=True)

    names = (scenario.__name__ for scenario in SCENARIOS)
    return dict(zip(names, asyncio.run(all_of_them()), strict=True))


@pytest.mark.timeout(300)
@pytest.mark.parametrize("scenario", [scenario.__name__ for scenario in SCENARIOS])
def test_what_breaks_is_seen_and_what_is_over_too(
    scenario: str, outcomes: dict[str, BaseException | None]
) -> None:
    if scenario == postgresql_hangs.__name__ and not PROGRAMS:
        pytest.skip("needs PostgreSQL's initdb and postgres")
    if (problem := outcomes[scenario]) is not None:
        raise problem


@pytest.mark.timeout(300)
def test_every_threshold_has_fired_and_was_over_again(outcomes: dict[str, BaseException | None]) -> None:
    assert not any(outcomes.values())
    assert shipped().keys() - FIRED == set()


def test_every_threshold_of_the_target_has_a_fault_or_is_held_against_a_lower_limit() -> None:
    fires = {name for fault in FAULTS for name in fault.fires}
    assert fires <= shipped().keys()
    assert shipped().keys() - fires == {"restarts", "host-memory", "disk-use", "go-lapsed"}
