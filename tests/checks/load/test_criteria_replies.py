"""How long the replies took, over the hold and over its windows, and how many failed: every border."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from checks.load.criteria import failed_of
from checks.load.model import (
    Failure,
    Part,
    Second,
)
from checks.model import Verdict
from tests.checks.load.runs import histogram, judged, measured, second

PASS, FAIL, INCONCLUSIVE, NA = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.NA


@pytest.mark.parametrize(
    ("late", "expected"),
    # Of 1500, 75 are 5 %; the interval reaches 17 ranks to either side.
    [
        (0, PASS),
        (58, PASS),
        (60, INCONCLUSIVE),
        (75, INCONCLUSIVE),
        (91, INCONCLUSIVE),
        (93, FAIL),
        (1500, FAIL),
    ],
)
def test_p95_is_judged_by_its_interval(late: int, expected: Verdict) -> None:
    found = judged(measured(latency=histogram([0.5] * (1500 - late) + [1.5] * late)))["p95"]
    assert found.verdict is expected
    assert "limit 1.00 s" in found.sentence
    assert ("would do" in found.sentence or "no number" in found.sentence) == (expected is INCONCLUSIVE)


def test_a_reply_at_the_limit_keeps_it() -> None:
    assert judged(measured(latency=histogram([1.0] * 1500)))["p95"].verdict is PASS
    assert judged(measured(latency=histogram([1.000001] * 1500)))["p95"].verdict is FAIL


@pytest.mark.parametrize(("n", "needed"), [(71, "71 of 72"), (10, "10 of 72")])
def test_too_few_samples_say_how_many_would_do(n: int, needed: str) -> None:
    found = judged(measured(n=n))["p95"]
    assert found.verdict is INCONCLUSIVE
    assert f"too few samples to tell: {needed} that would do" in found.sentence


def test_a_target_that_stood_still_is_told_in_words() -> None:
    due = histogram([0.004] * 1300 + [1.81] * 200)
    found = judged(measured(latency=due, service=histogram([0.004] * 1490 + [0.9] * 10)))["p95"]
    assert found.verdict is FAIL
    assert (
        found.sentence
        == "95 % of the replies took up to 1.81 s (at least 1.81 s, at most 1.81 s), limit 1.00 s, counted "
        "from when they were due; 4 ms counted from the real send: the target stood still"
    )
    itself = judged(measured(latency=due))["p95"]
    assert "half of them took up to 4 ms: the target stands still at times" in itself.sentence
    plain = judged(measured(latency=histogram([1.5] * 1500)))["p95"]
    assert "still" not in plain.sentence


# Errors


@pytest.mark.parametrize(
    ("failed", "n", "expected"),
    [
        (0, 381, PASS),
        (0, 380, INCONCLUSIVE),
        (0, 150, INCONCLUSIVE),
        (8, 1500, INCONCLUSIVE),
        (7, 1500, PASS),
        (22, 1500, INCONCLUSIVE),
        (23, 1500, FAIL),
        (1500, 1500, FAIL),
        (3, 3, FAIL),
    ],
)
def test_errors_are_judged_by_wilsons_interval(failed: int, n: int, expected: Verdict) -> None:
    found = judged(measured(n=n, failures={Failure.SERVER_ERROR: failed}, ok=n - failed))["errors"]
    assert found.verdict is expected
    assert f"{failed} of {n} messages failed" in found.sentence
    if (failed, expected) == (0, INCONCLUSIVE):
        assert "381 messages would do" in found.sentence


def test_a_second_reply_is_no_failed_message() -> None:
    failures = {Failure.DOUBLED: 1500}
    assert failed_of(failures) == 0
    found = judged(measured(failures=failures))
    assert (found["errors"].verdict, found["doubled"].verdict) == (PASS, FAIL)


# Windows


def series(slow: range, n: int = 60, **values: Any) -> tuple[Second, ...]:
    late = {"p50_s": 1.5, "p95_s": 1.8, "p99_s": 1.9, "max_s": 2.0}
    return tuple(second(at, **(late | values if at in slow else {})) for at in range(n))


def test_a_window_that_breaks_the_limit_fails_a_hold_that_keeps_it() -> None:
    late = histogram([0.01] * 12_000 + [1.6] * 150)
    found = judged(measured(latency=late, n=12_150, seconds=series(range(20, 23), 240)))
    assert found["p95"].verdict is PASS
    assert found["windows"].verdict is FAIL
    assert "in the worst 10 s (13 to 23 s)" in found["windows"].sentence


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (series(range(0)), PASS),
        # 10 s of 50 messages: 25 may be late; half a second's are 25 and no more.
        (series(range(20, 21), p50_s=0.9), PASS),
        (tuple(second(at) for at in range(9)), NA),
        (tuple(second(at, ok=1, answered=1) for at in range(30)), NA),
        (tuple(second(at, p50_s=None, p95_s=None, p99_s=None, max_s=None) for at in range(30)), NA),
        (tuple(replace(one, part=Part.RAMP) for one in series(range(60))), NA),
    ],
)
def test_windows_need_messages_and_a_whole_length(seconds: tuple[Second, ...], expected: Verdict) -> None:
    assert judged(measured(seconds=seconds))["windows"].verdict is expected


def test_a_window_in_which_nothing_was_answered_fails() -> None:
    silent = {
        "ok": 0,
        "answered": 0,
        "failed": 50,
        "p50_s": None,
        "p95_s": None,
        "p99_s": None,
        "max_s": None,
    }
    gone = tuple(second(at, **(silent if at in range(100, 112) else {})) for at in range(1200))
    found = judged(
        measured(n=60_000, latency=histogram([0.01] * 60_000), seconds=gone, failures={Failure.NO_REPLY: 500})
    )
    assert found["errors"].verdict is PASS
    assert found["windows"].verdict is FAIL


def test_what_may_be_chance_in_a_window_is_not_held_against_it() -> None:
    late = {"p50_s": 1.2, "p95_s": 1.3, "p99_s": 1.3, "max_s": 1.3}
    few = tuple(second(at, ok=3, answered=3, **(late if at == 15 else {})) for at in range(30))
    assert judged(measured(seconds=few))["windows"].verdict is INCONCLUSIVE
