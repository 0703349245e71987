"""Load runs and their seconds with sensible values, so that a test names only what it is about."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

from checks.load.model import (
    Accounting,
    Arrival,
    Bounded,
    Capacity,
    CapacityStep,
    Channel,
    Criterion,
    Failure,
    FailureCount,
    GeneratorHealth,
    Latencies,
    LoadRun,
    Part,
    Sample,
    Scalability,
    Scenario,
    Second,
)
from checks.load.records import document
from checks.load.scenarios.shipped import shipped
from checks.model import Area, Entry, Kind, Reason, Verdict
from checks.registry import Check
from checks.text import clean
from tests.checks.reports.scene import NOON, Scene, check, seen

USERS_10, USERS_100, RATE, CAPACITY, SOAK = (
    shipped()[name].scenario for name in ("users-10", "users-100", "rate-1000", "capacity", "soak")
)
MIB = 1 << 20


def load_checks() -> tuple[Check, ...]:
    """The checks of the area LOAD, as they ship."""
    return tuple(
        replace(check(one.id, one.statement, one.severity), area=Area.LOAD, why=one.why, fix=one.fix)
        for one in shipped().values()
    )


def criterion(
    name: str,
    verdict: Verdict = Verdict.PASS,
    observed: str = "212 ms",
    limit: str = "1 s",
    sentence: str = "",
) -> Criterion:
    """One judged criterion."""
    return Criterion(name, f"Criterion {name}", verdict, clean(observed), clean(limit), clean(sentence))


def second(at_s: int, **more: Any) -> Second:
    """A second in which all is well."""
    wave = 1 + 0.2 * math.sin(at_s / 4)
    sample = Sample(
        cpu_percent=40 * wave,
        memory_bytes=(230 + at_s // 30) * MIB,
        host_cpu_percent=35.0,
        database_connections=4,
        database_waiting=0,
        console_cpu_percent=3.0,
    )
    found = Second(
        at_s=at_s,
        part=Part.RAMP if at_s < 5 else Part.HOLD,
        label="",
        users=0,
        due=17,
        sent=17,
        answered=17,
        ok=17,
        throttled=0,
        failed=0,
        in_flight=3,
        p50_s=0.041 * wave,
        p95_s=0.212 * wave,
        p99_s=0.48 * wave,
        max_s=0.9 * wave,
        service_p95_s=0.2 * wave,
        lag_p99_s=0.0008,
        generator_cpu_percent=12.0,
        sample=sample,
    )
    return replace(found, **more)


def load_run(scenario: Scenario = USERS_100, **more: Any) -> LoadRun:
    """A run in which every criterion was kept."""
    run = more.pop("run", "run-1")
    found = LoadRun(
        id=f"{run}/{scenario.name}",
        run=run,
        scenario=scenario,
        nonce="00ff00ff00f1abcd",
        started_at=NOON,
        duration_s=73.4,
        verdict=Verdict.PASS,
        criteria=(
            criterion("p95", sentence="95 % of the replies took up to 212 ms (at most 230 ms), limit 1 s"),
            criterion("errors", observed="0.00 %", limit="1 %", sentence="0 of 1700 messages failed"),
        ),
        latency=Latencies(1700, 0.06, 0.041, 0.15, 0.212, 0.48, 0.9, 1.204),
        p95=Bounded(0.212, 0.198, 0.231),
        p99=Bounded(0.48, 0.41, 0.62),
        service=Latencies(1700, 0.05, 0.0404, 0.149, 0.2115, 0.479, 0.899, 1.203),
        errors=Bounded(0.0, 0.0, 0.23),
        throughput_per_s=28.3,
        due=1902,
        sent=1901,
        answered=1900,
        ok=1899,
        throttled=0,
        failures=(),
        accounting=Accounting(1901, 1899, 1899, 1899, 1796, 1796),
        generator=GeneratorHealth(Latencies(1902, 0.0004, 0.0003, p99_s=0.0008, max_s=0.0021), 31.0, 38.0, 2),
        peak=Sample(
            cpu_percent=96.0,
            memory_bytes=233 * MIB,
            pss_bytes=219 * MIB,
            memory_percent=3.1,
            descriptors=141,
            threads=23,
            switches_per_s=5120.0,
            processes=5,
            host_cpu_percent=71.0,
            host_memory_percent=44.0,
            database_connections=7,
            database_waiting=1,
            console_cpu_percent=6.0,
        ),
        notes=(clean("All users shared one account"),),
        seed=16711935,
        clients=60,
        addresses=clean("127.1.80.1 to 127.1.80.60"),
    )
    return replace(found, **more)


def failing(scenario: Scenario = USERS_100, **more: Any) -> LoadRun:
    """A run that was too slow and lost two messages."""
    values: dict[str, Any] = {
        "verdict": Verdict.FAIL,
        "criteria": (
            criterion(
                "p95",
                Verdict.FAIL,
                "1.31 s",
                "1 s",
                "95 % of the replies took up to 1.31 s (at least 1.28 s), limit 1 s",
            ),
            criterion(
                "lost", Verdict.FAIL, "2", "0", "2 messages were answered as a success and are not stored"
            ),
            criterion("errors", observed="0.53 %", limit="1 %", sentence="9 of 1700 messages failed"),
        ),
        "latency": Latencies(1691, 0.4, 0.141, 0.9, 1.31, 2.2, 2.6, 3.1),
        "p95": Bounded(1.31, 1.28, 1.37),
        "p99": Bounded(2.2, 2.0, 2.6),
        "service": Latencies(1691, 0.4, 0.14, 0.9, 1.309, 2.2, 2.6, 3.1),
        "errors": Bounded(0.53, 0.28, 1.0),
        "failures": (
            FailureCount(Failure.NO_REPLY, 7, clean("u017 17: no reply within 10 s")),
            FailureCount(Failure.SERVER_ERROR, 2, clean("u003 4: 503 Service Unavailable")),
        ),
        "accounting": Accounting(
            1901, 1892, 1890, 1892, 1796, 1796, lost=2, examples=(clean("lost: gonogo load 00ff 0017 hello"),)
        ),
    }
    return load_run(scenario, **{**values, **more})


STEPS = (
    CapacityStep(20, 20, 0.021, 0.033, 0.0, True, cpu_percent=21),
    CapacityStep(45, 44.9, 0.044, 0.081, 0.0, True, cpu_percent=47),
    CapacityStep(101, 83.2, 1.94, 2.81, 0.2, False, "p95", 99, in_flight=61.5),
    CapacityStep(67, 66.8, 0.31, 0.62, 0.0, True, "", 71, "bisection"),
    CapacityStep(67, 66.9, 0.33, 0.64, 0.0, True, "", 72, "confirmation"),
)


def capacity_run(**more: Any) -> LoadRun:
    """A capacity search that came to a figure."""
    found = Capacity(
        safe_per_s=67.0,
        degraded_per_s=84.0,
        breaking_per_s=101.0,
        broke_first="p95",
        sentence=clean(
            "Safe to 67 messages a second, 4.0 times the declared peak of 16.7; beyond it p95 breaks"
        ),
        steps=STEPS,
        scalability=Scalability(21.3, 0.0123, 0.00045, 3.4, 47.0),
        peak_per_s=1000 / 60,
        headroom=4.02,
    )
    told = criterion("capacity", observed="4.0 (67/s)", limit="at least 1.5", sentence=found.sentence)
    return load_run(CAPACITY, **{"capacity": found, "criteria": (told,), **more})


def record(
    scene: Scene,
    run: LoadRun,
    seconds: Sequence[Second] | None = None,
    *,
    judge: bool = True,
    summary: str = "it was judged",
) -> Entry:
    """The run goes to the journal as the engine writes it: its seconds, what it found, the result of its check."""
    for one in map(second, range(8)) if seconds is None else seconds:
        scene.journal.append(Kind.LOAD_SECOND, run.id, document(one))
    entry = scene.journal.append(Kind.LOAD_RUN, run.scenario.name, document(run))
    if judge:
        reason = Reason.INTERRUPTED if run.stopped else None
        known = shipped()[run.scenario.name]
        proof = seen("load", f"{run.scenario.name}: criteria", "PASS p95 212 ms")
        scene.result(known.id, run.verdict, reason=reason, summary=summary, evidence=(proof,))
    return entry


def open_rate(**more: Any) -> LoadRun:
    """An open run through a target that stood still: what waited before the send is hidden from the real one."""
    values: dict[str, Any] = {
        "latency": Latencies(990, 0.11, 0.002, 0.5, 0.752, 0.952, 0.99, 1.002),
        "p95": Bounded(0.752, 0.71, 0.79),
        "p99": Bounded(0.952, 0.93, 0.98),
        "service": Latencies(990, 0.01, 0.002, 0.003, 0.0047, 0.9, 1.0, 1.001),
    }
    assert RATE.arrival is Arrival.POISSON
    assert RATE.channel is Channel.BOTH
    return load_run(RATE, **{**values, **more})


def later(minutes: int) -> Any:
    """So many minutes after noon."""
    return NOON + timedelta(minutes=minutes)
