"""The collector turns what a target tells into readings; what it does not tell is missing, never good."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from checks.monitoring.model import Reading
from checks.monitoring.signals import SIGNALS
from checks.monitoring.sources import asking, probing, scraping
from checks.monitoring.sources.collector import Collector
from checks.monitoring.sources.readings import Readings
from checks.profile.read import load_target
from checks.text import clean
from console.demo.launch import DemoProcess
from tests.checks.audit.answering import Asked, Said, answering
from tests.checks.audit.contexts import context_of, target_at
from tests.checks.monitoring.collecting import Collecting, Turned, changed, collecting, threshold, without

OWN = ("notifier-failures", "go-standing")
"""What a watch knows of itself."""
METRICS, PROBES = "/metrics of the target", "gonogo's own probes"
BUCKETS = """# TYPE http_request_duration_seconds histogram
http_request_duration_seconds_bucket{{route="/",le="0.5"}} {fast}
http_request_duration_seconds_bucket{{route="/",le="1.0"}} {all}
http_request_duration_seconds_bucket{{route="/",le="+Inf"}} {all}
http_request_duration_seconds_sum{{route="/"}} 12.5
http_request_duration_seconds_count{{route="/"}} {all}
"""


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that is busy with other tests takes longer than a production host should."""
    monkeypatch.setattr(asking, "LOOK_WITHIN_S", 30.0)
    monkeypatch.setattr(scraping, "SCRAPE_WITHIN_S", 30.0)
    monkeypatch.setattr(probing, "HEALTH_WITHIN_S", 30.0)


def counted(good: int, bad: int | None = None) -> str:
    """Counters of requests; without `bad`, no request has failed yet."""
    failed = "" if bad is None else f'http_requests_total{{status="500"}} {bad}\n'
    return f'http_requests_total{{status="200"}} {good}\n{failed}'


@pytest.fixture
async def errors(tmp_path: Path) -> AsyncIterator[Collecting]:
    """A collector of the error rate alone."""
    async with collecting(tmp_path, ["error-rate"]) as found:
        yield found


def test_every_signal_is_measured_here_or_by_the_watch_itself() -> None:
    methods = {
        name.replace("_", "-") for name, method in vars(Readings).items() if hasattr(method, "questions")
    }
    assert methods == set(SIGNALS) - set(OWN)


async def test_the_first_look_has_nothing_to_compare_with(errors: Collecting) -> None:
    errors.target.metrics = counted(1_000_000, 500_000)
    assert await errors.look() == {"error-rate": Reading(0.0, 0.0, source=clean(METRICS))}


@pytest.mark.parametrize(
    ("before", "after", "value", "events"),
    [
        (counted(1000, 10), counted(1099, 11), 1.0, 100),
        (counted(1000, 10), counted(10_899, 111), 1.01, 10_000),
        (counted(1000, 10), counted(1000, 10), 0.0, 0),
        (counted(1000), counted(1200), 0.0, 200),
        (counted(1000), counted(1000, 4), 100.0, 4),
        (counted(1000, 10), counted(91, 9), 9.0, 100),  # the target was restarted: 91 and 9
        (counted(1000, 10), 'http_requests_total{status="200"} 50\n', 0.0, 50),
        ("# TYPE http_requests_total counter\n", counted(3, 1), 25.0, 4),
    ],
)
async def test_the_error_rate_is_what_the_counters_gained(
    errors: Collecting, before: str, after: str, value: float, events: float
) -> None:
    errors.target.metrics = before
    await errors.look()
    errors.target.metrics = after
    assert await errors.look() == {"error-rate": Reading(value, events, source=clean(METRICS))}


async def test_the_window_goes_on_and_what_is_older_is_left_behind(errors: Collecting) -> None:
    good, bad, seen = 0, 0, []
    for look in range(30):
        good, bad = good + 9, bad + (look < 10)
        errors.target.metrics = counted(good, bad)
        seen.append((await errors.look())["error-rate"])
    assert seen[5].value == 10.0
    assert seen[5].events == 50
    assert seen[29].value == 0.0
    assert seen[29].events == 12 * 9


async def test_burn_is_how_many_times_faster_than_the_objective_allows(tmp_path: Path) -> None:
    burn = threshold("budget-burn", short_window_s=10.0)
    async with collecting(
        tmp_path, [burn], monitoring={"availability_percent": 99.0, "interval_s": 5.0}
    ) as found:
        for good, bad in ((0, 0), (90, 10), (190, 10), (290, 10)):
            found.target.metrics = counted(good, bad)
            readings = await found.look()
    reading = readings["budget-burn"]
    assert reading.value == pytest.approx(10 / 300 / 0.01)
    assert (reading.short, reading.events) == (0.0, 300)


async def test_response_times_come_from_the_histogram(tmp_path: Path) -> None:
    async with collecting(tmp_path, ["response-time"]) as found:
        found.target.metrics = BUCKETS.format(fast=1000, all=1000)
        first = (await found.look())["response-time"]
        found.target.metrics = BUCKETS.format(fast=1090, all=1100)
        second = (await found.look())["response-time"]
        found.target.metrics = 'http_request_duration_seconds_bucket{le="1"} 2000\n'
        no_end = (await found.look())["response-time"]
    assert first == Reading(0.0, 0.0, source=clean(METRICS))
    assert second == Reading(0.75, 100.0, source=clean(METRICS))
    assert no_end.value is not None  # the buckets that were there are still within the window


async def test_a_histogram_without_an_end_tells_no_quantile(tmp_path: Path) -> None:
    async with collecting(tmp_path, ["response-time"]) as found:
        for count in (1, 2):
            found.target.metrics = f'http_request_duration_seconds_bucket{{le="1"}} {count}\n'
            reading = (await found.look())["response-time"]
    assert reading.is_missing
    assert 'le="+Inf"' in reading.problem


async def test_a_clock_that_is_set_changes_nothing(
    errors: Collecting, monkeypatch: pytest.MonkeyPatch
) -> None:
    errors.target.metrics = counted(1000, 10)
    await errors.look()
    now = errors.context.now
    for step in (timedelta(days=400), timedelta(days=-400)):
        monkeypatch.setattr(errors.context, "now", lambda step=step: now() + step)
        errors.target.metrics = counted(1099, 11)
        reading = (await errors.look())["error-rate"]
        assert (reading.value, reading.events) == (1.0, 100)


async def test_gauges_and_rates_of_the_metrics(tmp_path: Path) -> None:
    names = ["pool-use", "pool-waiting", "slow-queries", "log-errors", "restarts"]
    told = (
        'db_pool_connections{{state="in_use"}} {0}\ndb_pool_connections{{state="size"}} 8\n'
        'db_pool_connections{{state="waiting"}} {1}\ndb_slow_queries_total {2}\nlog_errors_total {3}\n'
        "process_start_time_seconds {4}\n"
    )
    async with collecting(tmp_path, names, process={"port": 1}) as found:
        for values in ((3, 0, 100, 7, 1000.0), (6, 2, 103, 7, 1000.0), (6, 2, 103, 19, 1060.5)):
            found.target.metrics = told.format(*values)
            readings = await found.look(30.0)
    found_values = {name: one.value for name, one in readings.items()}
    assert found_values == {
        "pool-use": 75.0,
        "pool-waiting": 2.0,
        "slow-queries": 3.0,
        "log-errors": 12.0,
        "restarts": 1.0,
    }
    assert {one.source for one in readings.values()} == {METRICS}


async def test_a_pool_that_is_told_to_have_no_room_is_not_known(tmp_path: Path) -> None:
    async with collecting(tmp_path, ["pool-use"]) as found:
        found.target.metrics = 'db_pool_connections{state="in_use"} 0\ndb_pool_connections{state="size"} 0\n'
        reading = (await found.look())["pool-use"]
    assert reading.is_missing
    assert "pool_size" in reading.problem


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        (Said(), 1.0),
        (Said(429, b"{}", {"Retry-After": "1"}), 1.0),
        (Said(503, b"{}", {}), 0.0),
        (Said(200, b'{"success": false, "error": "tired"}', {}), 0.0),
        (Said(200, b"<html>", {}), 0.0),
    ],
)
async def test_the_target_is_up_where_its_health_is_answered(
    tmp_path: Path, answer: Said, value: float
) -> None:
    async with collecting(tmp_path, ["target-up"], metrics="") as found:
        found.target.health = answer
        reading = (await found.look())["target-up"]
    assert (reading.value, reading.problem) == (value, "")
    assert reading.source.startswith(PROBES)


async def test_what_the_target_says_is_harmless_and_without_secrets(tmp_path: Path) -> None:
    async with collecting(tmp_path, ["target-up", "error-rate"], token="s3cr3t-t0ken-value") as found:
        found.target.health = Said(
            200,
            b'{"success": false, "error": "\x1b[31m s3cr3t-t0ken-value"}'.replace(b"\x1b", b"\\u001b"),
            {},
        )
        found.target.metrics = "\x1b[2J s3cr3t-t0ken-value\n"
        readings = await found.look()
    said = f"{readings} {found.collector.problems}"
    assert "\x1b" not in said
    assert "s3cr3t-t0ken-value" not in said
    assert readings["target-up"].value == 0.0


async def test_what_hangs_holds_no_look_up_and_is_not_asked_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "LOOK_WITHIN_S", 0.3)
    hanging = asyncio.Event()
    asked: list[str] = []

    async def answer(one: Asked) -> Said:
        asked.append(one.path)
        if one.path == "/health":
            await hanging.wait()
            return Said()
        return Said(200, counted(10 * len(asked)).encode(), {})

    async with answering(answer) as server:
        target = without(changed(target_at(server.url), metrics="/metrics"), "ws")
        async with context_of(target, tmp_path) as context:
            clock = Turned()
            collector = Collector(context, [threshold("target-up"), threshold("error-rate")], mono=clock)
            for _ in range(4):
                clock.now_s += 5
                async with asyncio.timeout(20):
                    readings = await collector.look()
            assert readings["target-up"].is_missing
            assert "not answered yet" in readings["target-up"].problem
            assert asked.count("/health") == 1
            hanging.set()
            value: float | None = None
            while value is None:
                clock.now_s += 5
                value = (await collector.look())["target-up"].value
            assert value == 1.0
            await collector.close()


async def test_off_own_and_unknown_signals(tmp_path: Path) -> None:
    def broken() -> Reading:
        raise KeyError("x")

    async with collecting(tmp_path, []) as found:
        thresholds = [
            threshold("host-cpu", "off", is_on=False),
            threshold("go-standing"),
            threshold("notifier-failures"),
            threshold("close", "made-up"),
        ]
        own = {"go-standing": lambda: Reading(1.0), "notifier-failures": broken}
        collector = Collector(found.context, thresholds, own=own, mono=found.clock)
        readings = await collector.look()
        await collector.close()
    assert readings["off"] == Reading(None, applies=False)
    assert readings["go-standing"] == Reading(1.0)
    assert readings["notifier-failures"].is_missing
    assert readings["made-up"].is_missing
    assert not found.target.server.asked


async def test_thresholds_can_be_edited_and_what_was_seen_is_kept(errors: Collecting) -> None:
    errors.target.metrics = counted(1000, 10)
    await errors.look()
    errors.target.metrics = counted(1099, 11)
    await errors.look()
    errors.collector.watch([threshold("error-rate", "other", window_s=3600.0), threshold("target-up")])
    readings = await errors.look()
    assert (readings["other"].value, readings["other"].events) == (1.0, 100)
    assert readings["target-up"].value == 1.0
    assert "error-rate" not in readings


async def test_one_scrape_serves_every_threshold(tmp_path: Path) -> None:
    names = [threshold("error-rate", f"e{number}", window_s=10.0 + number) for number in range(20)]
    async with collecting(tmp_path, names) as found:
        for _ in range(3):
            await found.look()
        assert found.target.server.count("/metrics") == 3


async def test_the_whole_demo_is_seen(tmp_path: Path) -> None:
    with DemoProcess.start(port=0, tls=True) as demo:
        target = load_target(demo.profile, os.environ)
        async with context_of(target, tmp_path) as context:
            nothing = Reading(None, applies=False)
            own = {name: lambda: nothing for name in OWN}
            clock = Turned()
            collector = Collector(context, target.thresholds, own=own, mono=clock)
            await collector.look()
            await asyncio.sleep(0.5)  # the kernel's counters of the CPU have to go on
            clock.now_s += 5
            readings = await collector.look()
            # A token that has run out is replaced, once.
            context.controller.token = "has.run.out"
            clock.now_s += 70
            renewed = await collector.look()
            problems = collector.problems
            await collector.close()
    assert not [name for name, one in readings.items() if one.is_missing], readings
    seen = {name: one.value for name, one in readings.items() if one.applies}
    assert len(seen) == len(target.thresholds) - len(OWN)
    for name in ("target-up", "websocket-up", "database-up"):
        assert seen[name] == 1.0
    assert 80 < (seen["certificate"] or 0) < 100
    for name in ("error-rate", "restarts", "log-errors", "slow-queries", "pool-waiting", "burn-fast"):
        assert seen[name] == 0.0
    for name in ("host-memory", "target-memory", "descriptors", "disk-use"):
        assert 0 < (seen[name] or 0) < 100
    assert renewed["websocket-up"].value == 1.0
    assert context.controller.token != "has.run.out"
    assert problems == ()
