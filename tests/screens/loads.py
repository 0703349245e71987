"""Load runs without a generator: seconds, judged runs, and a review with the checks of load."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from checks.events import LoadFinished, LoadSecond, LoadStarted
from checks.fold import Snapshot
from checks.load.model import (
    Accounting,
    Arrival,
    Bounded,
    Capacity,
    CapacityStep,
    Criterion,
    Difference,
    Failure,
    FailureCount,
    GeneratorHealth,
    Latencies,
    LoadRun,
    Part,
    Sample,
    Scenario,
    Second,
)
from checks.model import Area, Safety, Severity, Verdict
from checks.registry import Check
from checks.text import clean
from tests.console.fakes import CHECKS, NOW, FakeReview

USERS_100 = Scenario("users-100", "100 concurrent users", users=100, ramp_s=10, hold_s=60, ramp_down_s=3)
RATE = Scenario(
    "rate-1000", "1000 messages a minute", arrival=Arrival.POISSON, users=60, rate_per_s=16.667, hold_s=60
)
CAPACITY = Scenario(
    "capacity", "Capacity", arrival=Arrival.CONSTANT, rate_per_s=20, most_rate_per_s=300, is_capacity=True
)
SOAK = Scenario("soak", "An hour under load", users=20, hold_s=3600, is_soak=True)
TITLES = (
    "10 concurrent users are answered in time, and nothing is lost",
    "100 concurrent users are answered in time, and nothing is lost",
    "1000 messages a minute are answered in time, and nothing is lost",
    "Capacity is at least 1.5 times the declared peak",
    "An hour under load leaves no leak",
)
NAMES = ("users-10", "users-100", "rate-1000", "capacity", "soak")
LOAD = tuple(
    Check(
        id=f"LOAD-{number:02}",
        title=title,
        area=Area.LOAD,
        severity=Severity.BLOCKER if number < 4 else Severity.MAJOR,
        safety=Safety.DISRUPTIVE,
        sends=f"marked messages of scenario {number} for 73 s",
        why="Everybody at once: replies must still come in time and to the right person.",
        reference="Mission task 3",
        needs=(),
        hops=("controller",),
        function=CHECKS[0].function,
        fix="raise the pool where connections ran out",
        is_by_name=number == 5,
        scenario=NAMES[number - 1],
    )
    for number, title in enumerate(TITLES, 1)
)


def second(at_s: int, scenario: Scenario = USERS_100, **more: Any) -> Second:
    """A plausible second: the load rises over the ramp, response times and memory with it."""
    share = min(1.0, (at_s + 1) / max(1.0, scenario.ramp_s))
    sent = round(share * 42 + 4 * math.sin(at_s / 3))
    failed = 1 if at_s % 17 == 9 else 0
    wave = 1 + 0.3 * math.sin(at_s / 5) + (1.5 if at_s % 23 == 20 else 0)
    return replace(
        Second(
            at_s=at_s,
            part=Part.RAMP if at_s < scenario.ramp_s else Part.HOLD,
            label="",
            users=round(share * scenario.users),
            due=sent,
            sent=sent,
            answered=sent,
            ok=sent - failed,
            throttled=0,
            failed=failed,
            in_flight=round(8 * wave * share),
            p50_s=0.041 * wave,
            p95_s=0.212 * wave,
            p99_s=0.48 * wave,
            max_s=0.9 * wave,
            service_p95_s=0.2 * wave,
            lag_p99_s=0.0008,
            generator_cpu_percent=31.0,
            sample=Sample(
                cpu_percent=64 * share * wave,
                memory_bytes=(212 + at_s // 9) << 20,
                pss_bytes=(190 + at_s // 9) << 20,
                memory_percent=3.1,
                host_cpu_percent=47 * share,
                host_memory_percent=41.0,
                database_connections=round(5 * share),
                database_waiting=round(2 * share * wave) - 1,
            ),
        ),
        **more,
    )


def criterion(name: str, verdict: Verdict, observed: str, limit: str, sentence: str = "") -> Criterion:
    """One criterion, judged."""
    return Criterion(name, name, verdict, clean(observed), clean(limit), clean(sentence))


def load_run(scenario: Scenario = USERS_100, **more: Any) -> LoadRun:
    """A run that passed with five errors."""
    found = LoadRun(
        id=f"run/{scenario.name}",
        run="run",
        scenario=scenario,
        nonce="3f9a",
        started_at=NOW - timedelta(minutes=4),
        duration_s=73.0,
        verdict=Verdict.PASS,
        criteria=(
            criterion("p95", Verdict.PASS, "212 ms", "1 s", "95 % of the replies took up to 212 ms"),
            criterion("errors", Verdict.PASS, "0.26 %", "1 %", "5 of 1902 messages failed"),
            criterion("lost", Verdict.PASS, "0", "0", "every message was stored"),
        ),
        latency=Latencies(1897, 0.06, 0.041, 0.15, 0.212, 0.48, 0.9, 1.204),
        p95=Bounded(0.212, 0.2, 0.23),
        p99=Bounded(0.48, 0.4, 0.6),
        service=Latencies(1897, 0.05, 0.04, 0.14, 0.2, 0.46, 0.9, 1.2),
        errors=Bounded(0.26, 0.11, 0.61),
        throughput_per_s=31.6,
        due=1902,
        sent=1902,
        answered=1900,
        ok=1897,
        throttled=0,
        failures=(FailureCount(Failure.NO_REPLY, 5, clean("u017 17: no reply within 10 s")),),
        accounting=Accounting(1902, 1897, 1902, 1897, 1800, 1800),
        generator=GeneratorHealth(Latencies(1902, p99_s=0.0008), 31.0, 38.0, 2),
        peak=Sample(),
        before=(Difference("p95", 0.222, 0.212, 0.004), Difference("p99", 0.47, 0.48, 0.1)),
        notes=(clean("The generator ran on the target's own host: the two share its CPUs"),),
    )
    return replace(found, **more)


def capacity_run() -> LoadRun:
    """A capacity search with three steps and its sentence."""
    steps = (
        CapacityStep(20, 20, 0.02, 0.03, 0.0, True, cpu_percent=8),
        CapacityStep(300, 299, 0.04, 0.08, 0.0, True, cpu_percent=61),
        CapacityStep(520, 455, 1.9, 2.8, 0.2, False, "p95", 99, "bisection"),
        CapacityStep(410, 410, 0.2, 0.4, 0.0, True, "", 84, "confirmation"),
    )
    sentence = clean("safe to 410 msg/s (SLO p95 < 1 s), breaks at 520, expected 17: headroom 24x")
    return load_run(
        CAPACITY, capacity=Capacity(410, 430, 520, "p95", sentence, steps, peak_per_s=16.7, headroom=24.6)
    )


def announced(scenario: Scenario, seconds: int, run: str = "run") -> Iterator[LoadStarted | LoadSecond]:
    """What a run of so many seconds announces before it is judged."""
    legs_s = 73.0 if not scenario.is_soak else scenario.hold_s
    yield LoadStarted(f"{run}/{scenario.name}", scenario, legs_s)
    for at_s in range(seconds):
        yield LoadSecond(f"{run}/{scenario.name}", second(at_s, scenario))


def finished(run: LoadRun) -> LoadFinished:
    """What it announces then."""
    return LoadFinished(run)


@dataclass
class LoadReview(FakeReview):
    """A review with the checks of load."""

    checks: tuple[Check, ...] = (*CHECKS, *LOAD)
    loads: tuple[LoadRun, ...] = ()

    def snapshot(self) -> Snapshot:
        """With the newest load runs."""
        return replace(super().snapshot(), loads=self.loads)
