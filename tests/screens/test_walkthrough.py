"""The walkthrough as a lead uses it: keys pressed, meaning read, at three sizes."""

from __future__ import annotations

import pytest
from textual.widgets import Input

from checks.model import Reason, Verdict, failed, passed
from screens.dialogs.because import Because
from tests.console.fakes import CHECKS, FAILED, FakeReview, console, seen, text_of, until
from widgets.evidence_pane import EvidencePane
from widgets.line import Line
from widgets.result_list import ResultList
from widgets.sequence_line import SequenceLine
from widgets.verdict_banner import VerdictBanner

SIZES = [(80, 24), (120, 36), (200, 50)]


def steps(app: object) -> ResultList:
    """The list of the open tab."""
    return app.screen_stack[0].query_one(ResultList)  # type: ignore[attr-defined, no-any-return]


def outcomes(app: object) -> set[str]:
    """The words that the list shows."""
    return {row.outcome for row in steps(app).rows}


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_everything_runs_and_each_verdict_is_readable(size: tuple[int, int]) -> None:
    review = FakeReview(outcomes={"WALK-08": [FAILED]})
    async with console(review, size) as (app, pilot):
        await pilot.press("A")
        await until(pilot, lambda: len(review.results) == 14 and not app.picture.is_running)
        shown = text_of(app)
        for check in CHECKS:
            assert check.title in shown
        assert shown.count("✔ pass") == 13
        assert shown.count("✘ fail") >= 1
        assert "✘ NO-GO  1 blocker" in shown.splitlines()[0]
        assert "[1 Walkthrough ✘ 1]" in shown.splitlines()[1]
        # The cursor went to the failure, and its evidence stands beside or below it.
        assert steps(app).chosen == "WALK-08"
        assert "the exact text" in shown


async def test_the_evidence_opens_over_the_list_on_a_small_terminal_and_closes_again() -> None:
    async with console(FakeReview(outcomes={"WALK-01": [FAILED]}), (80, 24)) as (app, pilot):
        await pilot.press("r")
        await until(pilot, lambda: outcomes(app) >= {"FAIL"})
        await pilot.press("enter")
        await pilot.pause()
        shown = text_of(app)
        for wanted in (
            "EXPECTED  the exact text",
            "OBSERVED  another text",
            "mismatch",
            "body of the row",
            "sha256",
        ):
            assert wanted in shown
        assert "Web page is served" not in shown
        await pilot.press("escape")
        await pilot.pause()
        assert "Web page is served" in text_of(app)
        assert steps(app).has_focus


async def test_only_the_chosen_step_and_what_it_needs_is_run() -> None:
    review = FakeReview()
    async with console(review) as (app, pilot):
        await pilot.press("j", "j", "j", "down", "r")
        await until(pilot, lambda: len(review.results) == 2 and not app.picture.is_running)
        assert review.runs == [("WALK-03", "WALK-05")]
        assert outcomes(app) == {"PASS", "NOT RUN"}


async def test_a_run_shows_what_it_does_and_x_stops_it_from_any_tab() -> None:
    review = FakeReview(hold={"WALK-06"})
    async with console(review, (120, 36)) as (app, pilot):
        await pilot.press("R")
        await until(pilot, lambda: "WALK-06" in app.screen.query_one(VerdictBanner).text.status)
        running = next(row for row in steps(app).rows if row.key == "WALK-06")
        assert (running.outcome, running.note) == ("RUNNING", "0 s")
        assert "[bot]" in app.screen.query_one(SequenceLine).said
        await pilot.press("5")
        await until(pilot, lambda: app.screen.query("#case").first().is_mounted)
        assert "running WALK-06 5/14" in app.screen.query_one(VerdictBanner).text.status
        await pilot.press("x")
        await until(pilot, lambda: not app.picture.is_running)
        assert review.stops == [("stopped by the lead", False)]
        assert review.results["WALK-06"].reason is Reason.INTERRUPTED


async def test_a_stepwise_run_waits_and_a_failed_step_can_be_retried() -> None:
    review = FakeReview(outcomes={"WALK-02": [FAILED, passed("The second time it did")]})
    async with console(review) as (app, pilot):
        gate = app.screen.query_one("#gate", Line)
        await pilot.press("s")
        await until(pilot, lambda: "Next: WALK-01" in gate.said)
        assert not review.results
        await pilot.press("enter")
        await until(pilot, lambda: "Next: WALK-02" in gate.said)
        await pilot.press("enter")
        await until(pilot, lambda: "WALK-02 is FAIL" in gate.said)
        await until(pilot, lambda: "body of the row" in app.screen.query_one(EvidencePane).shown)
        await pilot.press("r")
        await until(pilot, lambda: "Next: WALK-03" in gate.said)
        assert (review.results["WALK-02"].verdict, review.results["WALK-02"].attempt) == (Verdict.PASS, 2)
        await pilot.press("x")
        await until(pilot, lambda: not app.picture.is_running)
        assert gate.said == ""


async def test_a_step_is_skipped_only_with_a_reason() -> None:
    review = FakeReview(outcomes={"WALK-01": [failed("No")]})
    async with console(review) as (app, pilot):
        gate = app.screen.query_one("#gate", Line)
        await pilot.press("s", "enter")
        await until(pilot, lambda: "WALK-01 is FAIL" in gate.said)
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, Because))
        await pilot.press("enter")
        await pilot.pause()
        assert "must not be empty" in text_of(app)
        await pilot.press("escape")
        await pilot.pause()
        assert "WALK-01 is FAIL" in gate.said
        await pilot.press("s")
        await until(pilot, lambda: isinstance(app.screen, Because))
        await pilot.press(*"known", "enter")
        await until(pilot, lambda: "Next: WALK-02" in gate.said)
        assert review.results["WALK-01"].reason is Reason.SKIPPED
        assert "known" in review.results["WALK-01"].summary


async def test_the_filter_leaves_what_matches_and_n_goes_round() -> None:
    async with console(FakeReview()) as (app, pilot):
        await pilot.press("slash")
        await until(pilot, lambda: isinstance(app.focused, Input))
        await pilot.press(*"bot", "enter")
        await until(pilot, lambda: len(steps(app).rows) == 4)
        assert [row.key for row in steps(app).rows] == ["WALK-04", "WALK-10", "WALK-12", "WALK-13"]
        assert "4 of 14 match" in text_of(app) or steps(app).border_title == "Steps: 4 of 14 match"
        await pilot.press("n", "n")
        assert steps(app).chosen == "WALK-12"
        await pilot.press("N", "N", "N")
        assert steps(app).chosen == "WALK-13"
        await pilot.press("escape")
        await until(pilot, lambda: len(steps(app).rows) == 14)
        assert steps(app).chosen == "WALK-13"


async def test_y_copies_the_commands_of_the_evidence_one_after_the_other() -> None:
    async with console(FakeReview(outcomes={"WALK-01": [FAILED]})) as (app, pilot):
        await pilot.press("r")
        await until(pilot, lambda: "$ SELECT 1" in app.screen.query_one(EvidencePane).shown)
        await pilot.press("y")
        assert app.clipboard == "SELECT 1"
        await pilot.press("y")
        assert app.clipboard == "curl http://127.0.0.1:8000/x"
        await until(pilot, lambda: "Copied 2 of 2" in text_of(app))


async def test_hostile_text_is_shown_to_the_letter_and_does_nothing() -> None:
    hostile = "[/x] [@click=app.pwn]CLICK[/] [red]a[/red] ['b'] \x1b]0;title\x07 \x1b[2J \u202e"
    review = FakeReview(
        outcomes={
            "WALK-01": [
                failed(hostile, expected=hostile, observed=hostile, evidence=[seen(hostile, hostile)])
            ]
        },
        target_title=seen(hostile).title,
    )
    async with console(review, (200, 50)) as (app, pilot):
        await pilot.press("r")
        await until(pilot, lambda: outcomes(app) >= {"FAIL"})
        await pilot.press("y")
        await pilot.pause()
        shown = text_of(app)
        assert shown.count("[/x] [@click=app.pwn]CLICK[/] [red]a[/red] ['b'] ␛]0;title␇ ␛[2J <U+202E>") >= 4
        await pilot.press("5")
        await until(pilot, lambda: bool(app.screen.query("#case")))
        assert "[@click=app.pwn]CLICK[/]" in text_of(app)
        assert not {char for char in shown if ord(char) < 32} - {"\n"}


async def test_the_evidence_of_an_earlier_session_is_read_when_it_is_looked_at() -> None:
    review = FakeReview(outcomes={"WALK-02": [FAILED]})
    async with console(review) as (app, pilot):
        await pilot.press("A")
        await until(pilot, lambda: len(review.results) == 14 and not app.picture.is_running)
    again = FakeReview(results=review.results, known=review.known)
    async with console(again) as (app, pilot):
        pane = app.screen.query_one(EvidencePane)
        await until(pilot, lambda: "body of WALK-01" in pane.shown)
        await pilot.press("j")
        await until(pilot, lambda: "body of the row" in pane.shown)
