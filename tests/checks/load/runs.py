"""Builders of what a load run measured."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from checks.load.criteria import Measured, health, judge
from checks.load.histogram import Histogram
from checks.load.model import (
    Accounting,
    Bounded,
    Criterion,
    LoadRun,
    Part,
    Sample,
    Scenario,
    Second,
)
from checks.model import Verdict

OPEN = {"arrival": "constant", "rate_per_s": 17.0}


def histogram(values_s: Iterable[float]) -> Histogram:
    """Of seconds."""
    found = Histogram()
    found.record_all(round(value * 1e6) for value in values_s)
    return found


def second(at_s: int, **values: Any) -> Second:
    """A quiet second of the hold: 50 replies within 40 ms, memory and CPU seen."""
    quiet = Second(
        at_s=at_s,
        part=Part.HOLD,
        label="",
        users=10,
        due=50,
        sent=50,
        answered=50,
        ok=50,
        throttled=0,
        failed=0,
        in_flight=1,
        p50_s=0.010,
        p95_s=0.020,
        p99_s=0.030,
        max_s=0.040,
        service_p95_s=0.020,
        lag_p99_s=0.0001,
        generator_cpu_percent=4.0,
        sample=Sample(
            memory_percent=10.0, memory_bytes=100 << 20, host_cpu_percent=20.0, database_connections=2
        ),
    )
    return replace(quiet, **values)


def measured(**values: Any) -> Measured:
    """A healthy hold of 30 s and 1500 messages, counted to the last one."""
    n = values.pop("n", 1500)
    latency = values.pop("latency", None) or histogram([0.010] * n)
    lag = values.pop("lag", None) or histogram([0.0001] * n)
    seconds = values.pop("seconds", None) or tuple(second(at) for at in range(30))
    waited = values.pop("waited", 0)
    found = Measured(
        latency=latency,
        service=latency,
        due=n,
        sent=n,
        answered=n,
        ok=n,
        failures={},
        seconds=seconds,
        accounting=Accounting(
            sent=n, answered_ok=n, stored=n, replies_stored=n, in_history=n, history_asked=n
        ),
        generator=health(lag, seconds, waited),
    )
    return replace(found, **values)


def scenario(**values: Any) -> Scenario:
    """With the usual limits."""
    return Scenario("users-10", "10 concurrent users", **values)


def judged(found: Measured, plan: Scenario | None = None) -> dict[str, Criterion]:
    """The criteria by name."""
    return {one.name: one for one in judge(plan or scenario(), found)}


def load_run(**values: Any) -> LoadRun:
    """A run that passed."""
    latency = histogram(place / 10_000 for place in range(1, 1001))
    found = LoadRun(
        id="R1/users-10",
        run="R1",
        scenario=scenario(),
        nonce="3f9a",
        started_at=datetime(2025, 3, 1, 12, 0, 0, tzinfo=UTC),
        duration_s=40.0,
        verdict=Verdict.PASS,
        criteria=(),
        latency=latency.latencies(),
        p95=Bounded(0.095, 0.094, 0.096),
        p99=Bounded(0.099, 0.098, 0.100),
        service=latency.latencies(),
        errors=Bounded(0.1, 0.0, 0.5),
        throughput_per_s=33.0,
        due=1000,
        sent=1000,
        answered=1000,
        ok=999,
        throttled=0,
        failures=(),
        accounting=Accounting(),
        generator=health(histogram([0.0001]), ()),
        peak=Sample(memory_bytes=100 << 20),
        histogram=latency.counted(),
    )
    return replace(found, **values)
