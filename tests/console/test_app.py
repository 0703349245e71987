"""The frame: tabs, keys, help, palette, quitting with care, what the engine tells."""

from __future__ import annotations

import asyncio

import pytest
from textual.command import CommandInput
from textual.dom import DOMNode

from checks.events import Notice
from checks.model import Ceiling
from checks.text import clean
from console.app import TABS, GonogoApp
from console.engine import Engine
from console.keys import declared, key_problems, known_ids
from screens.dialogs.asked import Asked
from screens.dialogs.keys import Keys
from screens.tab import TabScreen
from tests.console.fakes import FakeReview, console, fake_watching, text_of, until
from widgets.evidence_pane import EvidencePane
from widgets.line import Line
from widgets.result_list import ResultList


async def test_before_the_review_is_open_the_frame_stands_and_keys_say_so() -> None:
    review = FakeReview()
    async with console(review, wait=False) as (app, pilot):
        assert "[1 Walkthrough]" in text_of(app)
        await pilot.press("R")
        await until(pilot, lambda: app.picture.is_ready)
        await pilot.press("R")
        await until(pilot, lambda: len(review.results) == 14)


async def test_digits_and_brackets_change_tabs() -> None:
    async with console(FakeReview()) as (app, pilot):
        await pilot.press("5")
        assert app.current_mode == "signoff"
        await pilot.press("right_square_bracket")
        assert app.current_mode == "walkthrough"
        await pilot.press("left_square_bracket")
        assert app.current_mode == "signoff"
        await until(pilot, lambda: "[5 Sign-off" in text_of(app))
        assert "[1 Walkthrough" not in text_of(app)


async def test_a_terminal_that_is_too_small_says_so_and_everything_still_runs() -> None:
    review = FakeReview()
    async with console(review, (59, 17)) as (app, pilot):
        assert text_of(app).strip() == "gonogo needs 60x18; everything still runs"
        await pilot.press("R")
        await until(pilot, lambda: len(review.results) == 14 and not app.picture.is_running)
        await pilot.resize_terminal(60, 18)
        await until(pilot, lambda: "Controller is healthy" in text_of(app))
        assert "gonogo needs" not in text_of(app)
        await pilot.resize_terminal(120, 10)
        await until(pilot, lambda: "gonogo needs" in text_of(app))


async def test_quitting_at_rest_is_not_asked_about() -> None:
    async with console(FakeReview()) as (app, pilot):
        await pilot.press("q")
        await until(pilot, lambda: not app.is_running)
        assert app.return_code == 0


async def test_quitting_under_a_run_is_asked_about_and_enter_stays() -> None:
    review = FakeReview(hold={"WALK-05"})
    async with console(review) as (app, pilot):
        await pilot.press("R")
        await until(pilot, lambda: "WALK-04" in review.results)
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, Asked))
        await pilot.press("enter")
        await pilot.pause()
        assert app.picture.is_running
        await pilot.press("q")
        await until(pilot, lambda: isinstance(app.screen, Asked))
        await pilot.press("y")
        await until(pilot, lambda: not app.is_running)
        assert review.stops[0] == ("the lead left", False)
        assert review.is_closed
        assert app.return_code == 0


async def test_ctrl_c_twice_stops_the_run_and_leaves() -> None:
    review = FakeReview(hold={"WALK-05"})
    async with console(review) as (app, pilot):
        await pilot.press("R")
        await until(pilot, lambda: "WALK-04" in review.results)
        await pilot.press("ctrl+c")
        await until(pilot, lambda: "again within 2 s" in text_of(app))
        assert app.picture.is_running
        await pilot.press("ctrl+c")
        await until(pilot, lambda: not app.is_running)
        assert review.stops[0] == ("interrupted by the keyboard", True)
        assert app.return_code == 130


async def test_the_profile_binds_keys_anew_and_a_wrong_id_is_told() -> None:
    review = FakeReview(keys={"run-all": "T", "decide-go": "ctrl+g", "run-al": "Z"})
    async with console(review) as (app, pilot):
        assert "there is no binding run-al" in text_of(app)
        await pilot.press("R")
        await pilot.pause()
        assert not app.picture.is_running
        assert "T Run all" in text_of(app)
        await pilot.press("T")
        await until(pilot, lambda: len(review.results) == 14 and not app.picture.is_running)
        await pilot.press("5", "ctrl+g")
        await until(pilot, lambda: "GO is refused" in text_of(app))


async def test_help_tells_the_keys_of_the_tab_and_of_everywhere() -> None:
    async with console(FakeReview(keys={"run-all": "T"}), (120, 70)) as (app, pilot):
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, Keys))
        shown = text_of(app)
        for wanted in ("In Walkthrough", "Everywhere", "Run the step and what it needs", "interrupt"):
            assert wanted in shown
        [line] = [line for line in shown.splitlines() if "run-all" in line]
        assert "T" in line.split()
        await pilot.press("escape", "5", "question_mark")
        await until(pilot, lambda: "In Sign-off" in text_of(app))
        assert "Decide NO-GO" in text_of(app)


async def test_the_palette_offers_what_works_here_and_runs_it() -> None:
    review = FakeReview()
    async with console(review, (120, 60)) as (app, pilot):
        await pilot.press("colon")
        await until(pilot, lambda: "Run every check" in text_of(app))
        shown = text_of(app).lower()
        assert "screenshot" not in shown
        assert "stop the run" not in shown
        assert not app.screen.query_one(CommandInput).cursor_blink
        await pilot.press(*"every check of", "enter")
        await until(pilot, lambda: len(review.results) == 14)


async def test_notices_are_shown_and_stay_until_the_next_run() -> None:
    notices = (
        Notice(clean("2 bots were stopped.")),
        Notice(clean("A run was interrupted."), is_warning=True),
    )
    review = FakeReview(notices=notices, interrupted=("The run of noon was interrupted: kill -9.",))
    async with console(review) as (app, pilot):
        notice = app.screen.query_one("#notice", Line)
        assert notice.said == " ! A run was interrupted. (and 1 more, in Sign-off)"
        await pilot.press("5")
        await until(pilot, lambda: bool(app.screen.query("#record")))
        assert {"2 bots were stopped.", "A run was interrupted."} <= {
            notice.text for notice in app.picture.notices
        }
        await pilot.press("1", "A")
        await until(pilot, lambda: len(review.results) == 14 and not app.picture.is_running)
        assert notice.said == " ! The run of noon was interrupted: kill -9."


async def test_a_journal_that_cannot_be_written_is_told_and_the_console_stays() -> None:
    review = FakeReview(fail_to_write="The journal cannot be written: no space left; free some.")
    async with console(review) as (app, pilot):
        await pilot.press("R")
        await until(pilot, lambda: "no space left" in app.screen.query_one("#notice", Line).said)
        assert not app.picture.is_running
        assert app.is_running


async def test_a_read_only_console_follows_the_other_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("console.engine.FOLLOW_EVERY_S", 0.02)
    review = FakeReview(read_only=True, holder="mhk@other")
    async with console(review) as (app, pilot):
        assert "NOT DECIDABLE" in text_of(app)
        review.ceiling = Ceiling.NO_GO
        review.written_elsewhere = True
        await until(pilot, lambda: "✘ NO-GO" in text_of(app))


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ({"run-all": "T"}, ""),
        ({"run-all": "y"}, "run-all and copy are both bound to y"),
        ({"decide-go": "w"}, "decide-go and write-reports are both bound to w"),
        ({"list-first": "?"}, "help and list-first are both bound to question_mark"),
        ({"stop": "ctrl+x", "run-tab": "x"}, ""),
        ({"nothing": "x"}, "there is no binding nothing"),
    ],
    ids=lambda value: str(value),
)
def test_a_rebinding_that_cannot_be_meant_is_told(keys: dict[str, str], told: str) -> None:
    usable, sentences = key_problems(keys, GonogoApp, ((tab, tab.PARTS) for tab in TABS))
    assert told in "\n".join(sentences)
    assert len(sentences) == (1 if told else 0)
    assert set(usable) == set(keys) - {"nothing"}


KINDS: tuple[type[DOMNode], ...] = (GonogoApp, *TABS, ResultList, EvidencePane)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_every_binding_of_ours_has_an_id_and_says_what_it_does(kind: type[DOMNode]) -> None:
    own = list(kind.__dict__["BINDINGS"])
    assert all(entry.id and entry.description for entry in own)
    assert len(declared(kind)) >= len(own)


@pytest.mark.parametrize("tab", TABS, ids=lambda tab: tab.__name__)
def test_ids_are_unique_on_a_tab(tab: type[TabScreen]) -> None:
    kinds: tuple[type[DOMNode], ...] = (GonogoApp, tab, *tab.PARTS)
    own = [entry.id for kind in kinds for entry in kind.__dict__["BINDINGS"]]
    assert len(own) == len(set(own))
    assert set(own) <= known_ids(kinds)


async def test_what_stays_is_settled_when_the_review_is_ready_and_once_for_each_tab() -> None:
    review, settled = FakeReview(), list[str]()
    engine = Engine(review.open, open_watching=fake_watching)
    app = GonogoApp(engine, settle=lambda: settled.append(app.current_mode))
    async with app.run_test(size=(80, 24)) as pilot:
        await until(pilot, lambda: settled == ["walkthrough"])
        for key in "32323":
            await pilot.press(key)
        await until(pilot, lambda: len(settled) == 3)
        assert sorted(settled) == ["audit", "load", "walkthrough"]
    engine.end("the test is over", is_urgent=True)
    assert await asyncio.to_thread(engine.ended.wait, 5.0)
