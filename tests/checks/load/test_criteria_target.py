"""What became of the messages, and what the target and its host used: every border."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from checks.load.criteria import verdict
from checks.load.model import (
    Accounting,
    Criteria,
    Failure,
    Part,
    Sample,
    Second,
)
from checks.model import Verdict
from checks.text import clean
from tests.checks.load.runs import judged, measured, scenario, second

PASS, FAIL, INCONCLUSIVE, NA = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.NA


# What became of the messages


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("lost", "lost"),
        ("history", "lost_in_history"),
        ("doubled", "doubled"),
        ("swapped", "swapped"),
        ("replies", "unstored_replies"),
    ],
)
def test_one_lost_message_fails(name: str, field: str) -> None:
    one: dict[str, Any] = {field: 1}
    example = clean("lost: “gonogo load 3f9a u001 17”")
    counted = replace(measured().accounting, examples=(example,), **one)
    found = judged(measured(accounting=counted))
    assert [entry.name for entry in found.values() if entry.verdict is FAIL] == [name]
    assert "u001 17" in found[name].sentence
    even_so = judged(measured(accounting=replace(counted, problem=clean("the database was locked"))))
    assert even_so[name].verdict is FAIL


@pytest.mark.parametrize("kind", [Failure.WRONG_BOT, Failure.WRONG_MESSAGE])
def test_a_reply_that_crossed_over_fails_though_the_database_is_right(kind: Failure) -> None:
    assert judged(measured(failures={kind: 1}))["swapped"].verdict is FAIL


def test_what_could_not_be_counted_is_no_pass() -> None:
    names = ("lost", "history", "doubled", "swapped", "replies")
    problem = judged(measured(accounting=Accounting(problem=clean("the table is locked"))))
    assert {problem[name].verdict for name in names} == {INCONCLUSIVE}
    assert "the table is locked" in problem["lost"].sentence
    unread = judged(measured(accounting=Accounting(sent=5)))
    assert {unread[name].verdict for name in names} == {INCONCLUSIVE, NA}
    assert unread["lost"].verdict is INCONCLUSIVE


def test_what_the_target_does_not_keep_is_not_asked_for() -> None:
    counted = replace(measured().accounting, in_history=None, replies_stored=None)
    found = judged(measured(accounting=counted))
    assert (found["history"].verdict, found["replies"].verdict) == (NA, NA)
    assert verdict(found.values()) is PASS


# What the target used


def sampled(count: int = 30, **values: Any) -> tuple[Second, ...]:
    return tuple(second(at, sample=Sample(**values)) for at in range(count))


@pytest.mark.parametrize(
    ("percent", "expected"), [(79.9, PASS), (80.0, FAIL), (99.0, FAIL), (None, INCONCLUSIVE)]
)
def test_memory_has_to_stay_below_its_limit(percent: float | None, expected: Verdict) -> None:
    found = judged(measured(seconds=sampled(memory_percent=percent), unseen=("run gonogo on the host",)))
    assert found["memory"].verdict is expected
    assert ("run gonogo on the host" in found["memory"].sentence) == (percent is None)


def test_memory_is_judged_by_its_peak_in_the_whole_run() -> None:
    ramp = replace(second(0, sample=Sample(memory_percent=85.0)), part=Part.RAMP)
    assert judged(measured(seconds=(ramp, *sampled(memory_percent=5.0))))["memory"].verdict is FAIL


def test_memory_that_was_seen_now_and_then_is_no_pass() -> None:
    some = sampled(10, memory_percent=5.0) + tuple(replace(one, at_s=one.at_s + 10) for one in sampled(11))
    assert judged(measured(seconds=some))["memory"].verdict is INCONCLUSIVE


@pytest.mark.parametrize(("cpu", "expected"), [(50.0, PASS), (50.1, FAIL), (None, INCONCLUSIVE)])
def test_host_cpu_is_judged_where_it_is_asked_for(cpu: float | None, expected: Verdict) -> None:
    plan = scenario(criteria=Criteria(host_cpu_percent=50))
    assert judged(measured(seconds=sampled(host_cpu_percent=cpu)), plan)["host-cpu"].verdict is expected
    assert "host-cpu" not in judged(measured())


@pytest.mark.parametrize(
    ("size", "used", "expected"), [(10, 7, PASS), (10, 8, FAIL), (1, 1, FAIL), (None, 8, NA), (10, None, NA)]
)
def test_the_pool_has_to_stay_below_its_limit(size: int | None, used: int | None, expected: Verdict) -> None:
    found = judged(measured(seconds=sampled(database_connections=used), pool_size=size))
    assert found["pool"].verdict is expected


SOAK = scenario(criteria=Criteria(leak_percent_per_hour=10))


def growing(per_hour: float, count: int, noise: int = 0) -> tuple[Second, ...]:
    """Memory that begins with 100 MB and grows by per cent an hour."""
    return tuple(
        second(
            at,
            sample=Sample(
                memory_bytes=round(1e8 * (1 + per_hour / 100 * at / 3600)) + noise * (at * 7919 % 101),
                memory_percent=10.0,
            ),
        )
        for at in range(count)
    )


@pytest.mark.parametrize(
    ("per_hour", "count", "noise", "expected"),
    [
        (0, 1800, 10_000, PASS),
        (9, 1800, 0, PASS),
        (11, 1800, 0, FAIL),
        (50, 1800, 10_000, FAIL),
        (500, 120, 0, FAIL),
        (10, 600, 100_000, INCONCLUSIVE),
        (20, 30, 0, INCONCLUSIVE),
        (50, 3, 0, INCONCLUSIVE),
    ],
)
def test_a_leak_is_told_by_its_slope(per_hour: float, count: int, noise: int, expected: Verdict) -> None:
    found = judged(measured(seconds=growing(per_hour, count, noise)), SOAK)["leak"]
    assert found.verdict is expected, found.sentence


def test_a_leak_that_cannot_be_seen_is_no_pass() -> None:
    found = judged(measured(seconds=sampled(), unseen=("the target is not on this host",)), SOAK)["leak"]
    assert found.verdict is INCONCLUSIVE
    assert "not on this host" in found.sentence
    assert "leak" not in judged(measured())
