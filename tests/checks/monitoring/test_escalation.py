"""Who is told, when, and in which words: every rule of the ladder on times that are given."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checks.monitoring.escalation import MOST_TITLE, Situation, due, inhibitor, next_rung, told_value
from checks.monitoring.model import (
    Acknowledgement,
    Alert,
    AlertKind,
    AlertSeverity,
    AlertState,
    Comparison,
    Delivery,
    Message,
    Rung,
    Silence,
    Threshold,
    Told,
)
from checks.monitoring.thresholds.shipped import shipped
from checks.text import clean

T0 = datetime(2026, 11, 24, 22, 0, tzinfo=UTC)
ERRORS = shipped()["error-rate"]
UP = shipped()["target-up"]
LADDER = (Rung("on-call"), Rung("lead", 300.0))
LADDERS = {AlertSeverity.CRITICAL: LADDER, AlertSeverity.WARNING: ()}
REMINDER_S = 3600.0


def after(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def situation(
    threshold: Threshold = ERRORS,
    *,
    kind: AlertKind = AlertKind.LIMIT,
    value: float | None = 2.4,
    problem: str = "",
    resolved: float | None = None,
    acknowledged: bool = False,
    silenced: bool = False,
    inhibited: str = "",
) -> Situation:
    state = AlertState.FIRING if resolved is None else AlertState.RESOLVED
    over = None if resolved is None else after(resolved)
    alert = Alert(threshold.name, kind, state, T0, T0, over, over or T0, value, clean(problem))
    taken = Acknowledgement(alert.id, clean("ada@host"), after(10)) if acknowledged else None
    silence = Silence("s", "*", clean("a release"), clean("ada"), T0, after(9e9)) if silenced else None
    return Situation(threshold, alert, taken, silence, inhibited)


def told(
    one: Situation, sent: dict[str, Message], seconds: float, delivery: Delivery = Delivery.SENT
) -> list[str]:
    """Who is told at that time; what is told is among `sent` afterwards, with that delivery."""
    made = due([one], LADDERS, sent, after(seconds), REMINDER_S, "Port 8000")
    sent |= {message.id: replace(message, delivery=delivery) for message in made}
    return [message.contact for message in made]


def one_message(one: Situation, seconds: float = 0) -> Message:
    made = due([one], LADDERS, {}, after(seconds), REMINDER_S, "Port 8000")
    assert made
    return made[0]


@pytest.mark.parametrize(
    ("seconds", "contacts"),
    [(0, ["on-call"]), (299.9, ["on-call"]), (300, ["on-call", "lead"]), (-3600, ["on-call"])],
    ids=["at once", "not yet the second", "both", "a clock that was set back"],
)
def test_each_rung_is_told_at_its_time(seconds: float, contacts: list[str]) -> None:
    assert told(situation(), {}, seconds) == contacts


@pytest.mark.parametrize("delivery", list(Delivery))
def test_a_rung_is_told_once_whatever_became_of_the_message(delivery: Delivery) -> None:
    sent: dict[str, Message] = {}
    looks = [told(situation(), sent, seconds, delivery) for seconds in (0, 5, 299, 300, 305, 3000)]
    assert looks == [["on-call"], [], [], ["lead"], [], []]


def test_an_acknowledged_alert_tells_no_further_rung_and_reminds_nobody() -> None:
    sent: dict[str, Message] = {}
    assert told(situation(), sent, 0) == ["on-call"]
    assert told(situation(acknowledged=True), sent, 300) == []
    assert told(situation(acknowledged=True), sent, 10 * REMINDER_S) == []


@pytest.mark.parametrize("quiet", [situation(silenced=True), situation(inhibited="target-up")])
def test_nobody_is_told_while_it_is_silenced_or_a_consequence_and_the_ladder_begins_when_that_ends(
    quiet: Situation,
) -> None:
    sent: dict[str, Message] = {}
    assert [told(quiet, sent, seconds) for seconds in (0, 300, 2 * REMINDER_S)] == [[], [], []]
    assert told(situation(), sent, 200) == ["on-call"]
    assert told(situation(), sent, 300) == ["lead"]


def test_a_silence_that_ends_late_finds_that_the_time_has_counted_on() -> None:
    assert told(situation(), {}, 900) == ["on-call", "lead"]


def test_whoever_was_told_is_reminded_at_their_own_time() -> None:
    sent: dict[str, Message] = {}
    assert told(situation(), sent, 0) == ["on-call"]
    assert told(situation(), sent, 300) == ["lead"]
    assert told(situation(), sent, REMINDER_S - 1) == []
    assert told(situation(), sent, REMINDER_S) == ["on-call"]
    assert told(situation(), sent, REMINDER_S + 299) == []
    assert told(situation(), sent, REMINDER_S + 300) == ["lead"]
    assert told(situation(), sent, 2 * REMINDER_S) == ["on-call"]
    reminders = [message for message in sent.values() if "reminder" in message.body]
    assert len(reminders) == 3


def test_a_watch_that_stood_still_for_days_reminds_once() -> None:
    sent: dict[str, Message] = {}
    told(situation(), sent, 0)
    told(situation(), sent, 300)
    assert told(situation(), sent, 50.5 * REMINDER_S) == ["on-call", "lead"]
    assert told(situation(), sent, 50.5 * REMINDER_S + 5) == []


def test_what_has_not_arrived_is_not_reminded_of() -> None:
    sent: dict[str, Message] = {}
    told(situation(), sent, 0, Delivery.FAILED)
    assert "on-call" not in told(situation(), sent, REMINDER_S)


@pytest.mark.parametrize(
    "meanwhile", [situation(resolved=60), situation(resolved=60, silenced=True, acknowledged=True)]
)
def test_exactly_those_who_were_told_are_told_once_that_it_is_over(meanwhile: Situation) -> None:
    sent: dict[str, Message] = {}
    told(situation(), sent, 0)
    assert told(meanwhile, sent, 60) == ["on-call"]
    assert told(meanwhile, sent, 65) == []
    assert [message.told for message in sent.values()] == [Told.FIRING, Told.RESOLVED]


def test_one_person_on_two_rungs_is_told_once_that_it_is_over() -> None:
    ladders = {AlertSeverity.CRITICAL: (Rung("on-call"), Rung("on-call", 60.0))}
    made = due([situation()], ladders, {}, after(60), REMINDER_S, "x")
    assert [message.contact for message in made] == ["on-call", "on-call"]
    sent = {message.id: message for message in made}
    assert len(due([situation(resolved=70)], ladders, sent, after(70), REMINDER_S, "x")) == 1


def test_nobody_is_told_of_an_end_whose_beginning_never_reached_them() -> None:
    sent: dict[str, Message] = {}
    told(situation(), sent, 0, Delivery.GIVEN_UP)
    assert told(situation(resolved=60), sent, 60) == []
    assert told(situation(resolved=60), {}, 60) == []


def test_a_second_episode_is_told_anew() -> None:
    sent: dict[str, Message] = {}
    told(situation(), sent, 0)
    later = situation()
    later = replace(later, alert=replace(later.alert, fired_at=after(7200)))
    assert told(later, sent, 7200) == ["on-call"]


def test_a_severity_without_rungs_tells_nobody() -> None:
    warning = replace(ERRORS, severity=AlertSeverity.WARNING)
    assert told(situation(warning), {}, 9000) == []
    assert due([situation()], {}, {}, after(0), REMINDER_S, "x") == ()


def test_missing_data_is_told_besides_the_limit_in_words_of_its_own() -> None:
    missing = situation(kind=AlertKind.NO_DATA, value=None, problem="/metrics was answered with 404")
    made = due([situation(), missing], LADDERS, {}, after(0), REMINDER_S, "Port 8000")
    assert [message.contact for message in made] == ["on-call", "on-call"]
    assert made[1].title == "FIRING critical: Error rate: NO DATA, Port 8000"
    assert "Nobody knows" in made[1].body
    assert "Why: /metrics was answered with 404." in made[1].body
    sent = {message.id: message for message in made}
    over = situation(kind=AlertKind.NO_DATA, value=None, resolved=5)
    (end,) = due([over], LADDERS, sent, after(5), REMINDER_S, "Port 8000")
    assert end.title == "RESOLVED critical: Error rate: there is data again, Port 8000"
    assert "the limit is kept" not in end.body


def test_the_end_of_a_drill_wakes_nobody_but_a_real_breach_does() -> None:
    fired = situation(value=0.3)
    drill = Message("d", fired.alert.id, Told.DRILL, "on-call", clean(""), clean(""), T0, Delivery.SENT)
    assert told(fired, {"d": drill}, 400) == []
    assert next_rung(fired, LADDER, {"d": drill}, after(0)) is None
    assert told(situation(value=2.4), {"d": drill}, 400) == ["on-call", "lead"]
    assert told(fired, {}, 0) == ["on-call"]


def test_who_is_next_and_in_how_many_seconds() -> None:
    sent: dict[str, Message] = {}
    assert next_rung(situation(), LADDER, sent, after(0)) == ("on-call", 0.0)
    told(situation(), sent, 0)
    assert next_rung(situation(), LADDER, sent, after(110)) == ("lead", 190.0)
    assert next_rung(situation(), LADDER, sent, after(400)) == ("lead", 0.0)
    told(situation(), sent, 400)
    assert next_rung(situation(), LADDER, sent, after(400)) is None


@pytest.mark.parametrize(
    "quiet",
    [
        situation(acknowledged=True),
        situation(silenced=True),
        situation(inhibited="target-up"),
        situation(resolved=1),
    ],
)
def test_nobody_is_next_where_nobody_will_be_told(quiet: Situation) -> None:
    assert next_rung(quiet, LADDER, {}, after(0)) is None


@pytest.mark.parametrize(
    ("firing", "name"),
    [
        ({"target-up"}, "target-up"),
        ({"database-up", "target-up"}, "target-up"),
        ({"database-up"}, "database-up"),
        ({"pool-use", "disk-use"}, ""),
        (set(), ""),
    ],
)
def test_the_cause_is_the_first_that_fires(firing: set[str], name: str) -> None:
    assert inhibitor(shipped()["pool-use"], firing) == name


def test_nothing_is_a_consequence_of_itself() -> None:
    assert inhibitor(replace(ERRORS, inhibited_by=("error-rate",)), {"error-rate"}) == ""


# Words


def test_a_message_says_all_that_a_woken_person_needs() -> None:
    sent: dict[str, Message] = {}
    told(situation(), sent, 0)
    told(situation(), sent, 300)
    first, second = sent.values()
    assert first.title == "FIRING critical: Error rate 2.4 % (limit 1 %), Port 8000"
    assert first.body.splitlines() == [
        "More than one request in a hundred fails.",
        "System: Port 8000",
        "Error rate: 2.4 %; bad is above 1 %",
        "Firing since 2026-11-24 22:00:00Z, for less than 1 s.",
        "Runbook: error-rate",
        "To acknowledge: in gonogo, tab 4, choose it and press a.",
    ]
    assert "because nobody acknowledged it within 5 min." in second.body
    assert "for 5 min." in second.body
    over = due(
        [situation(value=0.2, resolved=360, acknowledged=True)], LADDERS, sent, after(360), 60.0, "Port 8000"
    )
    assert over[0].title == "RESOLVED critical: Error rate 0.2 % (limit 1 %), Port 8000"
    assert "From 2026-11-24 22:00:00Z to 22:06:00Z, 6 min." in over[0].body
    assert "Taken on by ada(at)host." in over[0].body


def test_what_answers_or_not_is_told_as_that() -> None:
    message = one_message(situation(UP, value=0.0))
    assert message.title == "FIRING critical: Controller answers: no, Port 8000"
    assert "limit" not in message.body


@pytest.mark.parametrize(
    ("comparison", "words"),
    [(Comparison.ABOVE, "above"), (Comparison.AT_LEAST, "at or above"), (Comparison.BELOW, "below")],
)
def test_the_direction_of_the_limit_is_told(comparison: Comparison, words: str) -> None:
    assert f"bad is {words} 1 %" in one_message(situation(replace(ERRORS, comparison=comparison))).body


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [("error-rate", 12.3456, "12.35 %"), ("pool-waiting", 3.0, "3"), ("error-rate", None, "no value")],
)
def test_values_have_their_units(name: str, value: float | None, text: str) -> None:
    assert told_value(shipped()[name], value) == text


def test_hostile_text_is_inert_and_short() -> None:
    bad = "@everyone <!channel> <a href=x>\x1b[31m\nBcc: x\u202e" + "A" * 5000
    threshold = replace(ERRORS, title=bad, why=bad, runbook=bad)
    message = due(
        [situation(threshold, kind=AlertKind.NO_DATA, value=None, problem=bad)],
        LADDERS,
        {},
        after(0),
        60,
        bad,
    )[0]
    assert len(message.title) < 100
    assert "\n" not in message.title
    for text in (message.title, message.body):
        assert not set("@<>\x1b\u202e") & set(text)
        assert text == clean(text)
    assert "\nBcc" not in message.body
    assert len(message.body) < 2000


@given(st.text(max_size=300), st.text(max_size=300), st.floats(allow_nan=False, allow_infinity=False))
@settings(max_examples=50)
def test_every_title_fits_on_a_phone(title: str, name: str, value: float) -> None:
    made = due([situation(replace(ERRORS, title=title), value=value)], LADDERS, {}, after(0), 60, name)
    assert all(0 < len(message.title) <= MOST_TITLE < 100 for message in made)


# What always holds

LOOK = st.tuples(
    st.floats(0, 5 * REMINDER_S),
    st.builds(
        situation,
        kind=st.sampled_from(AlertKind),
        resolved=st.none() | st.just(1.0),
        acknowledged=st.booleans(),
        silenced=st.booleans(),
        inhibited=st.sampled_from(("", "target-up")),
    ),
    st.sampled_from(Delivery),
)


def followed(looks: Iterable[tuple[float, Situation, Delivery]]) -> list[str]:
    """Ids of all messages of a history of looks."""
    sent: dict[str, Message] = {}
    ids = []
    for seconds, one, delivery in looks:
        for message in due([one, one], LADDERS, sent, after(seconds), REMINDER_S, "x"):
            ids.append(message.id)
            sent[message.id] = replace(message, delivery=delivery)
    return ids


@given(st.lists(LOOK, max_size=12))
@settings(max_examples=150)
def test_no_message_is_ever_made_twice(looks: list[tuple[float, Situation, Delivery]]) -> None:
    ids = followed(looks)
    assert len(ids) == len(set(ids))


@given(st.lists(LOOK, max_size=6), LOOK)
@settings(max_examples=150)
def test_acknowledging_never_adds_a_message(
    looks: list[tuple[float, Situation, Delivery]], last: tuple[float, Situation, Delivery]
) -> None:
    seconds, one, delivery = last
    plain = replace(one, acknowledged=None)
    taken = replace(one, acknowledged=Acknowledgement(one.alert.id, clean("ada"), T0))
    assert set(followed([*looks, (seconds, taken, delivery)])) <= set(
        followed([*looks, (seconds, plain, delivery)])
    )


@given(st.lists(LOOK, min_size=1, max_size=8))
@settings(max_examples=100)
def test_a_restart_works_out_the_same(looks: list[tuple[float, Situation, Delivery]]) -> None:
    """Read back from the journal's documents between looks, nothing more and nothing less is made."""
    sent: dict[str, Message] = {}
    ids = []
    for seconds, one, delivery in looks:
        sent = {key: Message.from_document(message.document()) for key, message in sent.items()}
        again = replace(one, alert=Alert.from_document(one.alert.document()))
        for message in due([again], LADDERS, sent, after(seconds), REMINDER_S, "x"):
            ids.append(message.id)
            sent[message.id] = replace(message, delivery=delivery)
    assert ids == followed(looks)
