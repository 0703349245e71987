"""The sign-off as a lead uses it: refused where the evidence forbids it, recorded with a reason, never by a slip."""

from __future__ import annotations

import pytest

from checks.fold import Leftover
from checks.model import Ceiling
from checks.text import clean
from screens.dialogs.asked import Asked
from screens.dialogs.decision import DecisionForm
from screens.dialogs.told import Told
from tests.console.fakes import FakeReview, console, text_of, until


@pytest.mark.parametrize("size", [(80, 24), (120, 36), (200, 50)], ids=lambda size: f"{size[0]}x{size[1]}")
async def test_the_first_line_answers_the_question(size: tuple[int, int]) -> None:
    async with console(FakeReview(leftovers=(Leftover(clean("BOT-9"), 4, "r"),)), size) as (app, pilot):
        await pilot.press("5")
        await until(pilot, lambda: "Nothing is decided yet" in text_of(app))
        shown = text_of(app)
        assert "? NOT DECIDABLE" in shown.splitlines()[0]
        assert "? NOT DECIDABLE  Not known yet" in shown.splitlines()[2]
        assert "g GO not allowed" in shown
        if size[0] >= 100:
            assert "BOT-9: 4 rows" in shown


async def test_what_the_ceiling_forbids_is_refused_with_all_reasons() -> None:
    review = FakeReview()
    async with console(review) as (app, pilot):
        await pilot.press("5", "g")
        await until(pilot, lambda: isinstance(app.screen, Told))
        shown = text_of(app)
        assert "GO is refused: the evidence allows NOT DECIDABLE at best" in shown
        for area in ("walkthrough", "audit", "load", "monitoring"):
            assert f"- {area}: no evidence" in shown
        await pilot.press("escape")
        await pilot.pause()
        assert review.decision is None


async def test_a_decision_needs_a_justification_and_is_recorded_by_keys_alone() -> None:
    review = FakeReview(ceiling=Ceiling.GO)
    async with console(review) as (app, pilot):
        await pilot.press("5", "g")
        await until(pilot, lambda: isinstance(app.screen, DecisionForm))
        shown = text_of(app)
        assert "You decide          ✔ GO" in shown
        assert "and once more" in shown
        await pilot.press("enter", "ctrl+s")
        await pilot.pause()
        assert "needs a justification" in text_of(app)
        assert review.decision is None
        await pilot.press(*"It holds")
        await pilot.press("enter")
        await until(pilot, lambda: "enter records GO" in text_of(app))
        assert app.picture.draft == "It holds"
        await pilot.press("enter")
        await until(pilot, lambda: app.picture.recorded is not None)
        await until(pilot, lambda: "Recorded: GO as entry 2 at 2025-03-01 12:00:00Z" in text_of(app))
        recorded = app.picture.recorded
        assert recorded and (recorded.decision, recorded.because) == (Ceiling.GO, "It holds")
        assert "[5 Sign-off ✔ GO]" in text_of(app)


async def test_escape_never_decides_and_the_text_is_not_lost() -> None:
    review = FakeReview(ceiling=Ceiling.GO)
    async with console(review) as (app, pilot):
        await pilot.press("5", "b")
        await until(pilot, lambda: isinstance(app.screen, DecisionForm))
        await pilot.press(*"half", "escape")
        await pilot.pause()
        assert review.decision is None
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, Asked))
        assert "written and not recorded" in text_of(app)
        await pilot.press("escape", "b")
        await until(pilot, lambda: isinstance(app.screen, DecisionForm))
        assert "half" in text_of(app)


async def test_nothing_is_decided_while_a_run_is_under_way() -> None:
    review = FakeReview(hold={"WALK-01"}, ceiling=Ceiling.GO)
    async with console(review) as (app, pilot):
        await pilot.press("A", "5")
        await until(pilot, lambda: app.picture.is_running)
        await pilot.press("g")
        await until(pilot, lambda: "decide when it has ended" in text_of(app))
        await pilot.press("escape", "x")
        await until(pilot, lambda: not app.picture.is_running)


async def test_a_read_only_review_says_who_holds_it_and_takes_nothing() -> None:
    review = FakeReview(read_only=True, holder="mhk@other (pid 7)", ceiling=Ceiling.GO)
    async with console(review) as (app, pilot):
        assert "READ-ONLY, held by mhk@other (pid 7)" in text_of(app)
        await pilot.press("A")
        await until(pilot, lambda: "Cannot run" in text_of(app))
        await pilot.press("5", "g")
        await until(pilot, lambda: "Cannot decide" in text_of(app))
        await pilot.press("escape", "w")
        await until(pilot, lambda: "Cannot write reports" in text_of(app))
        assert review.runs == []
        assert review.decision is None


async def test_the_reports_are_written_and_told() -> None:
    async with console(FakeReview(), (120, 36)) as (app, pilot):
        await pilot.press("5", "w")
        await until(pilot, lambda: bool(app.picture.written))
        shown = text_of(app)
        assert "Reports written" in shown
        for wanted in ("/work/reports/TEST.md", "/work/reports/manifest.json", "An earlier report was kept"):
            assert wanted in shown
