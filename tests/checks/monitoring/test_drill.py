"""Drills: the real rule fires on the moved limit, only the code ends it, and nobody can read the code off a record."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.model import ReviewError
from checks.monitoring.alerts import Moment, Watched, breaks, step
from checks.monitoring.board import Drill
from checks.monitoring.drill import ALPHABET, ANSWERED_WITHIN, answered, begin, hidden, lowered, timed_out
from checks.monitoring.model import Comparison, Message, Reading, Rung, Threshold, Told
from checks.monitoring.thresholds.shipped import shipped
from checks.text import clean

T0 = datetime(2026, 11, 24, 22, 0, tzinfo=UTC)
ERRORS, UP = shipped()["error-rate"], shipped()["target-up"]
LADDER = (Rung("on-call"), Rung("lead", 300.0))


def fired() -> tuple[Drill, str]:
    """A drill whose message is out, and its code."""
    drill, _, code = begin(ERRORS, Reading(0.2, 100), 0, LADDER, T0)
    return replace(drill, fired_at=T0 + timedelta(seconds=60), told_at=T0 + timedelta(seconds=61)), code


@given(
    value=st.floats(-1e12, 1e12),
    short=st.floats(-1e12, 1e12),
    limit=st.floats(-1e12, 1e12),
    comparison=st.sampled_from(Comparison),
)
def test_the_moved_limit_is_broken_by_the_present_value(
    value: float, short: float, limit: float, comparison: Comparison
) -> None:
    threshold = replace(ERRORS, comparison=comparison, limit=limit)
    assert breaks(lowered(threshold, Reading(value, 0)), Reading(value, 0)) is True
    both = replace(threshold, window_s=600.0, short_window_s=60.0)
    assert breaks(lowered(both, Reading(value, 0, short)), Reading(value, 0, short)) is True


@pytest.mark.parametrize("threshold", shipped().values(), ids=lambda one: one.name)
@pytest.mark.parametrize("value", [0.0, 0.0004, 1.0, 37.5])
def test_the_real_rule_of_every_shipped_threshold_fires_in_its_real_time(
    threshold: Threshold, value: float
) -> None:
    reading = Reading(value, 3.0, value)
    _, moved, _ = begin(threshold, reading, 0, LADDER, T0)
    assert replace(moved, limit=threshold.limit, least_events=threshold.least_events) == threshold
    watched, fired_after = Watched.new(threshold.name), None
    for seconds in range(0, 700, 5):
        moment = Moment(T0 + timedelta(seconds=seconds), float(seconds))
        watched, changed = step(moved, watched, reading, moment, 5.0)
        if any(alert.is_firing for alert in changed):
            fired_after = seconds
            break
    assert fired_after == threshold.for_s


def test_what_is_always_up_fires_and_is_held_against_more_than_it_can_be() -> None:
    assert lowered(UP, Reading(1.0)).limit == 2.0


def test_a_value_that_wavers_still_breaks_it() -> None:
    cpu = lowered(shipped()["host-cpu"], Reading(20.0))
    assert all(breaks(cpu, Reading(value)) for value in (20.0, 15.0, 11.0, 60.0))


def test_a_drill_may_be_told_a_shorter_time_but_no_longer_one() -> None:
    assert begin(ERRORS, Reading(0.2), 0, LADDER, T0, for_s=5.0)[1].for_s == 5.0
    assert begin(ERRORS, Reading(0.2), 0, LADDER, T0, for_s=500.0)[1].for_s == ERRORS.for_s


@pytest.mark.parametrize(
    ("threshold", "reading", "rung", "ladder", "says"),
    [
        (
            ERRORS,
            Reading(None, problem=clean("no /metrics")),
            0,
            LADDER,
            r"Error rate has no value .*\(no /metrics\)",
        ),
        (ERRORS, Reading(float("nan")), 0, LADDER, "no value"),
        (ERRORS, Reading(None, applies=False), 0, LADDER, "does not apply"),
        (replace(ERRORS, is_on=False), Reading(0.1), 0, LADDER, "switched off"),
        (shipped()["burn-fast"], Reading(0.1), 0, LADDER, "short window"),
        (ERRORS, Reading(0.1), 2, LADDER, "has 2 rungs, there is no 3"),
        (ERRORS, Reading(0.1), -1, LADDER, "choose another"),
        (ERRORS, Reading(0.1), 0, (), r"add it to \[escalation\]"),
    ],
)
def test_what_cannot_be_drilled_is_refused_in_one_sentence(
    threshold: Threshold, reading: Reading, rung: int, ladder: tuple[Rung, ...], says: str
) -> None:
    with pytest.raises(ReviewError, match=says) as problem:
        begin(threshold, reading, rung, ladder, T0)
    assert "\n" not in str(problem.value)


def test_the_chosen_rung_is_drilled() -> None:
    drill, _, _ = begin(ERRORS, Reading(0.1), 1, LADDER, T0)
    assert (drill.contact, drill.rung, drill.threshold, drill.began_at) == ("lead", 1, "error-rate", T0)


def test_codes_differ_and_have_no_look_alikes() -> None:
    codes = {begin(ERRORS, Reading(0.1), 0, LADDER, T0)[2] for _ in range(200)}
    assert len(codes) == 200
    assert all(len(code) == 6 and set(code) <= set(ALPHABET) for code in codes)
    assert not set("01OIL") & set(ALPHABET)


@pytest.mark.parametrize("spell", [str, str.lower, lambda code: f" {code[:3]}-{code[3:]} "])
def test_the_code_ends_the_wait_as_people_type_it(spell: type[str]) -> None:
    drill, code = fired()
    now = T0 + timedelta(seconds=100)
    done = answered(drill, spell(code), code, "ada@host", now)
    assert (done.answered_at, done.answered_by, done.problem) == (now, "ada@host", "")
    assert done.to_notice_s == 100.0
    assert not done.is_over  # the word of its end is still to come


def test_a_code_may_be_typed_before_the_channel_has_answered() -> None:
    drill, code = fired()
    assert answered(replace(drill, told_at=None), code, code, "ada", T0).answered_at == T0


def test_three_wrong_codes_end_a_drill() -> None:
    drill, code = fired()
    for _ in range(2):
        drill = answered(drill, "WRONG1", code, "ada@host", T0)
        assert not drill.is_over
        assert drill.answered_at is None
    drill = answered(drill, "", code, "eve@host", T0)
    assert drill.is_over
    assert drill.problem == "3 wrong codes were typed, the last by eve@host"
    with pytest.raises(ReviewError, match="is over"):
        answered(drill, code, code, "ada@host", T0)


def test_a_wrong_code_or_two_do_not_matter_to_the_right_one() -> None:
    drill, code = fired()
    drill = answered(answered(drill, "AAAAAA", code, "ada", T0), "BBBBBB", code, "ada", T0)
    assert answered(drill, code, code, "ada", T0).answered_at == T0


def test_wrong_codes_count_though_the_drill_goes_on_in_between() -> None:
    drill, code = fired()
    for _ in range(3):
        drill = replace(answered(drill, "WRONG1", code, "ada", T0), told_at=T0)
    assert drill.is_over


def test_a_drill_read_back_from_a_journal_takes_its_code() -> None:
    drill, code = fired()
    back = Drill.from_document(json.loads(json.dumps(drill.document())))
    assert answered(back, code, code, "ada", T0).answered_at == T0
    assert answered(back, "WRONG1", code, "ada", T0).answered_at is None


def test_no_code_is_taken_before_there_is_one() -> None:
    drill, _, code = begin(ERRORS, Reading(0.2), 0, LADDER, T0)
    with pytest.raises(ReviewError, match="has not fired"):
        answered(drill, code, code, "ada", T0)


def test_a_drill_that_nobody_answers_ends_with_a_problem() -> None:
    drill, code = fired()
    assert drill.fired_at is not None
    end = drill.fired_at + ANSWERED_WITHIN
    assert timed_out(drill, end - timedelta(seconds=1)) == drill
    assert timed_out(drill, end).problem == "nobody typed the code back within 15 min"
    assert "did not take the message" in timed_out(replace(drill, told_at=None), end).problem
    assert timed_out(replace(drill, fired_at=None), end).problem == ""
    assert timed_out(answered(drill, code, code, "ada", T0), end).problem == ""


def test_a_record_holds_a_hash_and_not_the_code() -> None:
    drill, code = fired()
    told = json.dumps(answered(drill, "WRONG1", code, "ada", T0).document())
    assert code not in told
    assert '"code_sha256": "' in told
    assert '"wrong": 1' in told


def test_a_message_is_written_down_without_its_code() -> None:
    _, code = fired()
    body = f"This is a drill. The code is {code}. Read it."
    message = Message("m", "a", Told.DRILL, "on-call", clean(f"DRILL {code}: Error rate"), clean(body), T0)
    kept = hidden(message)
    assert code not in json.dumps(kept.document())
    assert kept.title == "DRILL ******: Error rate"
    assert kept.body == "This is a drill. The code is ******. Read it."
