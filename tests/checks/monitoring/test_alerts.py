"""The state machine of alerts, on a clock that the tests turn."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.monitoring.alerts import SHOWN_RESOLVED_S, Moment, Watched, step
from checks.monitoring.model import (
    Alert,
    AlertKind,
    AlertSeverity,
    AlertState,
    Comparison,
    Reading,
    Threshold,
)
from checks.text import clean

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ERRORS = Threshold(
    "error-rate",
    "Error rate",
    "error-rate",
    1.0,
    AlertSeverity.CRITICAL,
    window_s=300.0,
    for_s=60.0,
    least_events=20,
)
MISSING = Reading(None, problem=clean("nobody answers"))
EVERY_S = 5.0


def value(number: float, events: float = 1000.0) -> Reading:
    """A reading that rests on enough events."""
    return Reading(number, events)


def walked(
    threshold: Threshold, readings: list[Reading], *, every_s: float = EVERY_S, before: Watched | None = None
) -> tuple[Watched, list[tuple[float, str, str]]]:
    """The state after all of `readings`, and (second, alert's key, state) of each change."""
    watched, told = before or Watched.new(threshold.name), []
    for place, reading in enumerate(readings):
        now = Moment(NOON + timedelta(seconds=place * every_s), 1000.0 + place * every_s)
        watched, changed = step(threshold, watched, reading, now, every_s)
        told += [(place * every_s, alert.key, alert.state.value) for alert in changed]
    return watched, told


def test_it_fires_when_its_time_has_passed_and_resolves_at_the_first_good_look() -> None:
    _, told = walked(ERRORS, [value(0.5)] * 2 + [value(3.0)] * 14 + [value(0.5)] * 2)
    assert told == [
        (10.0, "error-rate", "pending"),
        (70.0, "error-rate", "firing"),
        (80.0, "error-rate", "resolved"),
    ]


@pytest.mark.parametrize(
    ("percent", "state"),
    [(1.0, AlertState.INACTIVE), (1.01, AlertState.FIRING), (math.nextafter(1.0, 2.0), AlertState.FIRING)],
)
def test_the_limit_itself_is_allowed(percent: float, state: AlertState) -> None:
    watched, _ = walked(ERRORS, [value(percent)] * 14)
    assert watched.limit.alert.state is state


@pytest.mark.parametrize(
    ("comparison", "number", "is_broken"),
    [
        (Comparison.ABOVE, 5.0, False),
        (Comparison.AT_LEAST, 5.0, True),
        (Comparison.BELOW, 5.0, False),
        (Comparison.AT_MOST, 5.0, True),
        (Comparison.BELOW, 4.9, True),
        (Comparison.ABOVE, 5.1, True),
        (Comparison.ABOVE, math.inf, False),
        (Comparison.BELOW, math.nan, False),
    ],
)
def test_each_comparison(comparison: Comparison, number: float, is_broken: bool) -> None:
    threshold = replace(ERRORS, comparison=comparison, limit=5.0, for_s=0.0)
    watched, _ = walked(threshold, [value(number)])
    assert watched.limit.alert.is_firing is is_broken


def test_a_short_break_is_no_alert() -> None:
    _, told = walked(ERRORS, [value(3.0)] * 11 + [value(0.0)] + [value(3.0)] * 11)
    assert [state for _, _, state in told] == ["pending", "inactive", "pending"]


def test_without_a_duration_it_fires_at_once() -> None:
    _, told = walked(replace(ERRORS, for_s=0.0), [value(3.0), value(0.0)])
    assert told == [(0.0, "error-rate", "firing"), (5.0, "error-rate", "resolved")]


def test_one_error_at_night_pages_nobody() -> None:
    _, told = walked(ERRORS, [value(100.0, events=19)] * 30)
    assert told == []
    _, told = walked(ERRORS, [value(100.0, events=20)] * 30)
    assert told[-1][2] == "firing"


def test_what_flaps_is_one_alert() -> None:
    threshold = replace(ERRORS, for_s=0.0, keep_firing_s=20.0)
    readings = [value(3.0)] + [value(0.0)] * 3 + [value(3.0)] + [value(0.0)] * 6
    _, told = walked(threshold, readings)
    # It first held no more at 25 s, and resolves 20 s after that.
    assert told == [(0.0, "error-rate", "firing"), (45.0, "error-rate", "resolved")]


def test_missing_data_is_an_alert_of_its_own_and_never_calm() -> None:
    watched, told = walked(ERRORS, [value(0.0)] + [MISSING] * 26)
    assert told == [(5.0, "error-rate/no-data", "pending"), (125.0, "error-rate/no-data", "firing")]
    assert watched.no_data.alert.problem == "nobody answers"
    _, told = walked(ERRORS, [value(0.0)], before=watched)
    assert told == [(0.0, "error-rate/no-data", "resolved")]


def test_data_that_goes_missing_does_not_resolve_what_fires() -> None:
    threshold = replace(ERRORS, for_s=0.0)
    watched, told = walked(threshold, [value(3.0)] + [MISSING] * 60)
    assert watched.limit.alert.is_firing
    assert watched.no_data.alert.is_firing
    watched, told = walked(threshold, [value(0.0)], before=watched)
    assert {state for _, _, state in told} == {"resolved"}


def test_data_that_goes_missing_begins_what_was_pending_anew() -> None:
    _, told = walked(ERRORS, [value(3.0)] * 11 + [MISSING] + [value(3.0)] * 12)
    assert [(key, state) for _, key, state in told] == [
        ("error-rate", "pending"),
        ("error-rate", "inactive"),
        ("error-rate/no-data", "pending"),
        ("error-rate", "pending"),
        ("error-rate/no-data", "inactive"),
    ]


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_is_missing(number: float) -> None:
    watched, _ = walked(ERRORS, [Reading(number, 1000.0)] * 30)
    assert watched.no_data.alert.is_firing
    assert watched.limit.alert.state is AlertState.INACTIVE


def test_what_does_not_apply_is_neither_good_bad_nor_missing() -> None:
    watched, told = walked(ERRORS, [Reading(None, applies=False)] * 60)
    assert told == []
    assert watched.no_data.alert.state is AlertState.INACTIVE


def test_what_is_switched_off_resolves() -> None:
    threshold = replace(ERRORS, for_s=0.0)
    watched, _ = walked(threshold, [value(3.0)])
    _, told = walked(replace(threshold, is_on=False), [value(3.0)], before=watched)
    assert told == [(0.0, "error-rate", "resolved")]


def test_looks_that_were_missed_prove_nothing() -> None:
    watched, _ = walked(ERRORS, [value(3.0)] * 2)
    asleep = Moment(NOON + timedelta(hours=1), 1000.0 + 3600.0)
    watched, changed = step(ERRORS, watched, value(3.0), asleep, EVERY_S)
    assert changed == ()
    assert watched.limit.alert.state is AlertState.PENDING
    assert watched.limit.alert.active_at == asleep.at


@pytest.mark.parametrize("jump", [timedelta(hours=-3), timedelta(days=400)])
def test_a_clock_that_is_set_makes_and_ends_nothing(jump: timedelta) -> None:
    watched, _ = walked(ERRORS, [value(3.0)] * 6)
    watched, changed = step(ERRORS, watched, value(3.0), Moment(NOON + jump, 1030.0), EVERY_S)
    assert changed == ()
    watched, changed = step(ERRORS, watched, value(3.0), Moment(NOON + jump, 1035.0), EVERY_S)
    assert (changed, watched.limit.alert.state) == ((), AlertState.PENDING)


def test_both_windows_must_burn() -> None:
    burn = replace(ERRORS, limit=14.4, short_window_s=60.0, for_s=0.0)
    for short, is_firing in ((20.0, True), (3.0, False), (None, False)):
        watched, _ = walked(burn, [Reading(20.0, 1000.0, short)])
        assert watched.limit.alert.is_firing is is_firing


def test_a_resolved_alert_is_shown_for_a_while() -> None:
    threshold = replace(ERRORS, for_s=0.0)
    good = [value(0.0)] * (int(SHOWN_RESOLVED_S / EVERY_S) + 2)
    watched, told = walked(threshold, [value(3.0), *good])
    assert told[-1] == (5.0 + SHOWN_RESOLVED_S, "error-rate", "inactive")
    assert watched.limit.alert.state is AlertState.INACTIVE


def test_an_alert_that_fired_before_a_restart_is_the_same_alert_after_it() -> None:
    threshold = replace(ERRORS, for_s=0.0)
    watched, _ = walked(threshold, [value(3.0)])
    before = Alert.from_document(watched.limit.alert.document())
    resumed = Watched.resumed(before, Alert(threshold.name, AlertKind.NO_DATA), Moment(NOON, 7.0))
    after, changed = step(threshold, resumed, value(3.0), Moment(NOON, 12.0), EVERY_S)
    assert (changed, after.limit.alert.id) == ((), before.id)
    after, changed = step(threshold, after, value(0.0), Moment(NOON, 17.0), EVERY_S)
    assert [alert.state for alert in changed] == [AlertState.RESOLVED]


@given(
    st.lists(st.sampled_from([0.0, 0.5, 1.0, 1.01, 5.0, None]), max_size=120),
    st.sampled_from([0.0, 10.0, 60.0]),
)
def test_nothing_fires_that_was_not_broken_throughout(numbers: list[float | None], for_s: float) -> None:
    threshold = replace(ERRORS, for_s=for_s)
    _, told = walked(threshold, [MISSING if number is None else value(number) for number in numbers])
    for at_s, key, state in told:
        if key == "error-rate" and state == "firing":
            last = int(at_s / EVERY_S)
            seen = numbers[last - int(for_s / EVERY_S) : last + 1]
            assert len(seen) == int(for_s / EVERY_S) + 1
            assert all(number is not None and number > 1.0 for number in seen)
