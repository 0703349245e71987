"""What the screens show is folded from events and snapshots, and nothing else."""

from __future__ import annotations

from checks.events import CheckFinished, CheckStarted, HopCrossed, Notice, RunFinished, RunStarted
from checks.fold import CheckState
from checks.model import Area, Severity, State
from checks.text import clean
from screens.follow import FOLLOW_EVERY_S, Follow
from screens.picture import EVIDENCE_KEPT, Picture, Progress, followed, with_evidence
from tests.checks.builders import evidence, result


def after(*events: object, picture: Picture = Picture()) -> Picture:  # noqa: B008 - frozen
    for event in events:
        picture = followed(picture, event, 5.0)  # type: ignore[arg-type]
    return picture


def test_a_run_is_followed_from_its_start_to_its_end() -> None:
    seen = evidence()
    started = after(
        RunStarted("r", (Area.WALKTHROUGH,), ("WALK-01", "WALK-02")),
        CheckStarted("WALK-01", "A check"),
        HopCrossed("bot"),
    )
    assert started.progress is not None
    assert (started.progress.running, started.progress.hop, started.progress.since) == ("WALK-01", "bot", 5.0)
    judged = after(CheckFinished(result(seen=(seen,)), (seen,)), picture=started)
    assert judged.progress is not None
    assert (judged.progress.running, judged.progress.last, judged.progress.done) == (
        "",
        "WALK-01",
        frozenset({"WALK-01"}),
    )
    assert judged.evidence == {seen.id: seen}
    assert not after(RunFinished("r"), picture=judged).is_running


def test_what_was_told_stays_until_the_next_run() -> None:
    told = after(Notice(clean("one")), Notice(clean("two"), is_warning=True))
    assert [notice.text for notice in told.notices] == ["one", "two"]
    assert after(RunStarted("r", (), ()), picture=told).notices == ()


def test_evidence_in_memory_is_bounded_and_the_newest_is_kept() -> None:
    picture = Picture()
    pieces = [evidence(f"piece {number}") for number in range(EVIDENCE_KEPT * 2)]
    for piece in pieces:
        picture = with_evidence(picture, {piece.id: piece})
    assert len(picture.evidence) <= EVIDENCE_KEPT + 1
    assert pieces[-1].id in picture.evidence


def state(check_id: str, found: State) -> CheckState:
    return CheckState(check_id, "A check", Area.WALKTHROUGH, Severity.BLOCKER, found, None)


def test_the_cursor_goes_with_the_run_but_not_faster_than_the_eye() -> None:
    follow, run = Follow(), ("A", "B", "C")
    assert follow.place(Progress("r", run), (), "A", 10.0) == "A"
    assert follow.place(Progress("r", run, last="A"), (), "A", 11.0) == "A"
    assert follow.place(Progress("r", run, last="B"), (), "A", 11.1) == "A"
    assert follow.place(Progress("r", run, last="B"), (), "A", 11.0 + FOLLOW_EVERY_S) == "B"


def test_the_cursor_stays_where_the_lead_put_it() -> None:
    follow, run = Follow(), ("A", "B", "C")
    follow.place(Progress("r", run), (), "A", 10.0)
    assert follow.place(Progress("r", run, last="B"), (), "C", 20.0) == "C"
    assert follow.place(None, [state("A", State.FAIL)], "C", 30.0) == "C"


def test_at_the_end_the_cursor_goes_to_the_first_failure_of_that_run() -> None:
    follow, run = Follow(), ("A", "B", "C")
    follow.place(Progress("r", run), (), "A", 10.0)
    follow.place(Progress("r", run, last="C"), (), "A", 20.0)
    states = [state("Z", State.FAIL), state("B", State.FAIL), state("C", State.PASS)]
    assert follow.place(None, states, "C", 30.0) == "B"
    assert follow.place(None, states, "C", 31.0) == "C"
