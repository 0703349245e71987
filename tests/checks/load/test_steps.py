"""What breaks a step of a capacity search, and whose fault it is."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any

import msgspec
import pytest

from checks.load.model import CapacityStep, Criteria, Failure, Sample, Second
from checks.load.steps import BISECTION, CONFIRMATION, UNCLEAR, Step, judge_step
from checks.load.wire import LegDone
from tests.checks.load.runs import histogram
from tests.checks.load.simulated import Server, send

LIMITS = Criteria()


def sent(
    rate: float = 50, seconds: float = 6, *, is_random: bool = False, **values: Any
) -> tuple[tuple[Second, ...], LegDone]:
    server = Server(values.pop("per_s", 500), rng=random.Random(1), now=0.3, **values)
    return send(server, Step(rate, seconds), is_random=is_random)


def judged(
    step: Step | None = None,
    criteria: Criteria = LIMITS,
    pool_size: int | None = None,
    due: int = 0,
    **values: Any,
) -> CapacityStep:
    """A good step of 50/s with other seconds or another leg."""
    seconds, done = sent()
    changed = {name: values.pop(name) for name in list(values) if name not in Second.__dataclass_fields__}
    seconds = tuple(replace(one, **values) for one in seconds)
    done = msgspec.structs.replace(done, due=due or done.due, **changed)
    return judge_step(step or Step(50, 6), criteria, seconds, done, pool_size=pool_size)


def test_a_good_step() -> None:
    found = judged(sample=Sample(cpu_percent=30.0))
    assert (found.is_good, found.broke, found.kind) == (True, "", "step")
    assert found.achieved_per_s == pytest.approx(50, rel=0.05)
    assert found.cpu_percent == 30
    assert found.in_flight == pytest.approx(50 * 0.004, rel=0.1)


@pytest.mark.parametrize(
    ("expected", "values"),
    [
        ("generator", {"lag_bins": histogram([0.011] * 300).counted()}),
        ("generator", {"generator_cpu_percent": 86.0}),
        ("limiter", {"failures": {Failure.THROTTLED.value: 4}}),
        ("errors", {"failures": {Failure.SERVER_ERROR.value: 12}}),
        ("", {"failures": {Failure.SERVER_ERROR.value: 3}}),
        ("", {"failures": {Failure.DOUBLED.value: 300}}),
        ("memory", {"sample": Sample(memory_percent=80.0)}),
        ("pool", {"sample": Sample(database_connections=8), "pool_size": 10}),
        ("", {"sample": Sample(database_connections=7, host_cpu_percent=99.0), "pool_size": 10}),
        ("cpu", {"sample": Sample(host_cpu_percent=51.0), "criteria": Criteria(host_cpu_percent=50)}),
    ],
)
def test_what_breaks_a_step_is_named(expected: str, values: dict[str, Any]) -> None:
    found = judged(**values)
    assert found.broke == expected
    assert found.is_good == (not expected)


@pytest.mark.parametrize(
    ("values", "pool_size", "expected"),
    [
        ({}, None, "p95"),
        ({"sample": Sample(host_cpu_percent=97.0)}, None, "cpu"),
        ({"sample": Sample(host_cpu_percent=90.0)}, None, "p95"),
        ({"sample": Sample(database_connections=5, host_cpu_percent=97.0)}, 5, "pool"),
        ({"sample": Sample(database_connections=4)}, 5, "p95"),
    ],
)
def test_what_was_used_up_is_named_in_place_of_what_came_of_it(
    values: dict[str, Any], pool_size: int | None, expected: str
) -> None:
    seconds, done = sent(100, per_s=60)
    told = tuple(replace(one, **values) for one in seconds)
    assert judge_step(Step(100, 6), LIMITS, told, done, pool_size=pool_size).broke == expected


def test_p99_breaks_by_itself() -> None:
    latency = histogram([0.01] * 290 + [3.0] * 10)
    assert latency.exact is not None
    assert judged(latency=latency.exact.tobytes()).broke == "p99"


def test_a_confirmation_needs_a_bound_that_keeps_the_limit() -> None:
    # 40 of 1000 are late: the 95th percentile keeps the limit, its upper bound does not.
    latency = histogram([0.5] * 960 + [1.5] * 40)
    assert latency.exact is not None
    samples = latency.exact.tobytes()
    assert judged(latency=samples, due=1000).broke == ""
    assert judged(Step(50, 6, CONFIRMATION, True), latency=samples, due=1000).broke == "p95"
    failures = {Failure.SERVER_ERROR.value: 4}
    assert judged(failures=failures).broke == ""
    assert judged(Step(50, 6, CONFIRMATION, True), failures=failures).broke == "errors"


def test_bins_are_judged_like_samples() -> None:
    bins = histogram([1.5] * 300).counted()
    assert judged(latency=b"", latency_bins=bins).broke == "p95"


@pytest.mark.parametrize(("over", "seconds"), [(1.03, 20), (1.1, 6), (1.05, 20)])
def test_a_growing_backlog_breaks_a_step_whose_latencies_keep_the_limit(over: float, seconds: float) -> None:
    told, done = sent(100 * over, seconds, per_s=100)
    found = judge_step(Step(100 * over, seconds, is_final=True), LIMITS, told, done)
    assert found.p95_s < 1
    assert found.broke == "backlog"
    assert found.achieved_per_s == pytest.approx(100, rel=0.03)


@pytest.mark.parametrize("seed", range(30))
def test_random_arrivals_at_a_rate_that_is_carried_are_no_backlog(seed: int) -> None:
    server = Server(100, rng=random.Random(seed), now=0.7)
    step = Step(95, 20, BISECTION, True)
    assert judge_step(step, LIMITS, *send(server, step, is_random=True)).broke == ""


@pytest.mark.parametrize("phase", [0.3 + 0.5 * place for place in range(10)])
def test_a_step_that_ends_in_a_freeze_is_open_and_a_longer_one_tells(phase: float) -> None:
    broke = set()
    for seconds, is_final in ((6, False), (20, True)):
        server = Server(200, frozen_s=1.0, rng=random.Random(1), now=phase)
        step = Step(150, seconds, BISECTION, is_final)
        broke.add(judge_step(step, LIMITS, *send(server, step, is_random=False)).broke)
    assert broke <= {"", UNCLEAR}
    assert "" in broke


def test_too_few_connections_are_not_the_targets_fault() -> None:
    late = histogram([2.0] * 300)
    assert late.exact is not None
    short: dict[str, Any] = {
        "latency": late.exact.tobytes(),
        "waited": 250,
        "lag_bins": histogram([0.0001] * 50 + [1.9] * 250).counted(),
    }
    assert judged(service_bins=histogram([0.1] * 300).counted(), **short).broke == "generator"
    # Where the target is slow from the real send already, it is the target, and the waiting is no lag of the generator.
    assert judged(service_bins=late.counted(), **short).broke == "p95"


def test_limits_of_zero_are_left_out() -> None:
    none = Criteria(p95_s=0, p99_s=0, error_percent=0, memory_percent=0, pool_percent=0, throttled_percent=0)
    failures = {Failure.SERVER_ERROR.value: 300, Failure.THROTTLED.value: 300}
    assert judged(criteria=none, failures=failures, sample=Sample(memory_percent=99)).broke == ""


def test_a_step_without_a_second_is_judged_by_its_leg() -> None:
    _, done = sent()
    found = judge_step(Step(50, 6), LIMITS, (), done)
    assert (found.is_good, found.achieved_per_s) == (True, 0.0)


def test_a_step_in_which_nothing_was_due_shows_nothing() -> None:
    seconds, done = sent()
    nothing = msgspec.structs.replace(done, due=0, sent=0, latency=b"")
    assert judge_step(Step(50, 6), LIMITS, seconds, nothing).broke == "generator"
