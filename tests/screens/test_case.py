"""The case for and against: the weakest first, what is forbidden said, a decision that no longer fits told."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from checks.fold import CheckState, Decision, Judgement, Leftover, Snapshot
from checks.model import Area, Ceiling, Severity, State, Verdict
from checks.text import clean
from screens.case import case_text, choices_line, decided_line, is_changed_since, record_text, refused
from screens.picture import Picture
from screens.wording import ago, counted, elapsed
from tests.checks.builders import NOON, result


def check_state(
    check_id: str, found: State, *, minutes_ago: int = 0, severity: Severity = Severity.BLOCKER
) -> CheckState:
    made = None
    if found is not State.NOT_RUN:
        verdict = Verdict.FAIL if found is State.FAIL else Verdict.PASS
        made = result(check_id, verdict, at=NOON - timedelta(minutes=minutes_ago))
    return CheckState(check_id, f"Title of {check_id}", Area.WALKTHROUGH, severity, found, made)


def snapshot(
    *states: CheckState, ceiling: Ceiling = Ceiling.NO_GO, decision: Decision | None = None
) -> Snapshot:
    return Snapshot(
        review="r",
        target=clean("A controller"),
        url=clean("http://127.0.0.1:8000"),
        lead=clean("mhk"),
        at=NOON,
        head_seq=7,
        head_hash="",
        checks=states,
        judgement=Judgement(ceiling, (clean("the first reason"), clean("the second reason"))),
        decision=decision,
        interrupted=(),
        leftovers=(),
    )


def decided(word: Ceiling, *, minutes_ago: int) -> Decision:
    at = NOON - timedelta(minutes=minutes_ago)
    return Decision(word, word, clean("it holds"), clean("mhk@host"), at, 9)


def test_the_weakest_evidence_comes_first_and_among_equals_the_oldest() -> None:
    text = case_text(
        snapshot(
            check_state("NEW", State.PASS, minutes_ago=1),
            check_state("OLD", State.PASS, minutes_ago=90),
            check_state("NONE", State.NOT_RUN),
            check_state("BAD", State.FAIL),
            check_state("STALE", State.STALE, minutes_ago=5000),
        )
    ).plain
    places = [text.index(f"{name} Title") for name in ("BAD", "STALE", "NONE", "OLD", "NEW")]
    assert places == sorted(places)
    assert "1 h 30 min ago" in text
    assert "- the second reason" in text


def test_what_the_ceiling_forbids_says_so() -> None:
    assert choices_line(snapshot(ceiling=Ceiling.NOT_DECIDABLE)).plain.split(" · ") == [
        " g GO not allowed",
        "c CONDITIONAL GO not allowed",
        "b NO-GO",
    ]
    assert "not allowed" not in choices_line(snapshot(ceiling=Ceiling.GO)).plain
    told = refused(Ceiling.GO, snapshot())
    assert told.startswith("GO is refused: the evidence allows NO-GO at best")
    assert "the first reason" in told
    assert "the second reason" in told


def test_a_decision_that_later_evidence_overtook_says_so() -> None:
    earlier = decided(Ceiling.GO, minutes_ago=60)
    fresh = snapshot(check_state("A", State.PASS, minutes_ago=90), ceiling=Ceiling.GO, decision=earlier)
    assert not is_changed_since(fresh)
    assert "changed" not in decided_line(fresh).plain
    assert is_changed_since(replace(fresh, checks=(check_state("A", State.PASS, minutes_ago=5),)))
    overtaken = replace(fresh, judgement=Judgement(Ceiling.NO_GO, (clean("a failure"),)))
    assert "but the evidence has changed since" in decided_line(overtaken).plain
    assert "it allows NO-GO at best now" in record_text(Picture(), overtaken).plain


def test_what_is_left_in_the_target_is_listed_newest_last_and_counted() -> None:
    left = tuple(
        Leftover(clean(f"BOT-{number}"), None if number == 9 else number, "run") for number in range(10)
    )
    text = record_text(Picture(), replace(snapshot(), leftovers=left)).plain
    assert "BOT-9: rows not counted" in text
    assert "BOT-8: 8 rows" in text
    assert "BOT-0" not in text
    assert "4 earlier bots" in text


def test_wording() -> None:
    assert ago(NOON - timedelta(seconds=59), NOON) == "just now"
    assert ago(NOON - timedelta(minutes=12, seconds=50), NOON) == "12 min ago"
    assert ago(NOON - timedelta(days=3, hours=4), NOON) == "3 d 4 h ago"
    assert ago(NOON + timedelta(hours=1), NOON) == "just now"
    assert [elapsed(3.9), elapsed(65)] == ["3 s", "1 min 5 s"]
    assert [counted(1, "blocker"), counted(2, "blocker")] == ["1 blocker", "2 blockers"]
