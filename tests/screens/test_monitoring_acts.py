"""What the keys of the monitoring tab ask for: dialogs with what they refuse, actions, and answers that are told."""

from __future__ import annotations

from dataclasses import replace

import pytest
from textual.widgets import Input

from checks.monitoring.actions import (
    Acknowledge,
    AnswerDrill,
    BeginDrill,
    Edit,
    EndSilence,
    SilenceFor,
    TryContact,
)
from checks.monitoring.model import AlertSeverity, Delivery, Told
from checks.text import clean
from screens.dialogs.acknowledge import AcknowledgeForm
from screens.dialogs.drill import DrillBegun, DrillCode
from screens.dialogs.silence import SilenceForm
from screens.dialogs.threshold import ThresholdForm, limit_of, seconds_of, severity_of
from screens.requests import ExportsWanted
from tests.console.fakes import NOW, text_of, until
from tests.screens.boards import back, drill, message, monitored, quiet, told, troubled
from widgets.column_list import ColumnList
from widgets.evidence_pane import EvidencePane

SIZES = [(160, 45), (60, 18)]


@pytest.mark.parametrize("size", SIZES)
async def test_enter_changes_limit_duration_and_severity_with_a_reason(size: tuple[int, int]) -> None:
    async with monitored(troubled(), size) as (app, pilot, asked):
        if size[0] < 100:
            await pilot.press("tab")
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ThresholdForm))
        shown = " ".join(text_of(app).split())
        for part in ("Change Error rate", "Its value is 2.4 %", "alert if > 1", "60 s", "critical"):
            assert part in shown
        await pilot.press("2", ".", "5", "enter", "1", ":", "3", "0", "enter", "w", "enter", "enter")
        await until(pilot, lambda: "The reason must not be empty." in text_of(app))
        assert not asked.actions
        await pilot.press(*"noisy", "enter")
        await until(pilot, lambda: asked.actions == [Edit("error-rate", 2.5, 90.0, "warning", "noisy")])


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("limit", "one", "The limit must be a number"),
        ("limit", "nan", "The limit must be a number"),
        ("for", "a while", "The duration must be"),
        ("for", "25 h", "The duration must be"),
        ("severity", "fatal", "The severity must be critical or warning"),
    ],
)
async def test_what_cannot_be_read_is_not_recorded(field: str, value: str, complaint: str) -> None:
    async with monitored(troubled()) as (app, pilot, asked):
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, ThresholdForm))
        app.screen.query_one("#because", Input).value = "a reason"
        app.screen.query_one(f"#{field}", Input).value = value
        await pilot.press("ctrl+s")
        await until(pilot, lambda: complaint in text_of(app))
        assert app.focused is app.screen.query_one(f"#{field}", Input)
        await pilot.press("escape")
        assert not asked.actions


def test_numbers_durations_and_severities_are_read_as_people_write_them() -> None:
    assert [limit_of(text) for text in ("1", "0,5", "-3", "1e3", "inf", "", "1 %")] == [
        1,
        0.5,
        -3,
        1000,
        None,
        None,
        None,
    ]
    read = {
        "0": 0,
        "90": 90,
        "90 s": 90,
        "1.5m": 90,
        "1:30": 90,
        "24 h": 86_400,
        "24:30 h": None,
        "-1": None,
        "": None,
        "86401": None,
    }
    assert {text: seconds_of(text) for text in read} == read
    assert [severity_of(text) for text in ("Crit", "warning", "", "x")] == [
        AlertSeverity.CRITICAL,
        AlertSeverity.WARNING,
        None,
        None,
    ]


async def test_a_takes_what_fires_on_with_a_note_or_without() -> None:
    async with monitored(troubled()) as (app, pilot, asked):
        await pilot.press("a")
        await until(pilot, lambda: isinstance(app.screen, AcknowledgeForm))
        assert "✘ FIRING 4:12" in text_of(app)
        await pilot.press(*"mine", "enter")
        await until(pilot, lambda: asked.actions == [Acknowledge("error-rate", "mine")])
        await pilot.press("a", "enter")
        await until(pilot, lambda: asked.actions[1:] == [Acknowledge("error-rate", "")])
        app.screen.query_one(ColumnList).choose("host-memory")
        await pilot.press("a")
        await until(pilot, lambda: "Host memory does not fire" in text_of(app))
        assert len(asked.actions) == 2


@pytest.mark.parametrize("size", SIZES)
async def test_m_silences_with_minutes_and_a_reason_and_ends_a_silence(size: tuple[int, int]) -> None:
    async with monitored(troubled(), size) as (app, pilot, asked):
        await pilot.press("m")
        await until(pilot, lambda: isinstance(app.screen, SilenceForm))
        await pilot.press("0", "enter", "enter")
        await until(pilot, lambda: "A silence needs an end" in text_of(app))
        app.screen.query_one("#minutes", Input).value = "10081"
        await pilot.press("ctrl+s")
        app.screen.query_one("#minutes", Input).value = "30"
        await pilot.press("enter", "enter")
        await until(pilot, lambda: "A silence needs a reason." in text_of(app))
        assert not asked.actions
        await pilot.press(*"moving", "enter")
        await until(pilot, lambda: asked.actions == [SilenceFor("error-rate", 1800.0, "moving")])
        app.screen.query_one(ColumnList).choose("log-errors")
        await pilot.press("m")
        await until(pilot, lambda: asked.actions[1:] == [EndSilence("5ea1")])


async def test_t_sends_a_test_to_the_first_rung_and_tells_the_answer_once() -> None:
    async with monitored(troubled()) as (app, pilot, asked):
        await pilot.press("t")
        await until(pilot, lambda: asked.actions == [TryContact("on-call")])
        earlier = message("on-call", Told.TEST, 60, answer=clean("an earlier one"))
        due = message("on-call", Told.TEST, -1, delivery=Delivery.DUE, answer=clean(""))
        await told(app, pilot, replace(troubled(), messages=(due, earlier)))
        assert "Test to on-call" not in text_of(app)
        taken = replace(due, delivery=Delivery.FAILED, answer=clean("HTTP 503"))
        await told(app, pilot, replace(troubled(), messages=(taken, earlier)))
        await until(pilot, lambda: "Test to on-call failed: HTTP 503" in text_of(app))
        await told(app, pilot, replace(troubled(), messages=(taken, earlier), looks=300))
        assert len(app._notifications) == 1
        assert "✘ test failed 12:00:01Z: HTTP 503" in app.screen.query_one(EvidencePane).shown


async def test_d_chooses_the_rung_and_c_types_the_code_back() -> None:
    async with monitored(troubled()) as (app, pilot, asked):
        await pilot.press("c")
        await until(pilot, lambda: "No drill is under way; d begins one." in text_of(app))
        await pilot.press("d")
        await until(pilot, lambda: isinstance(app.screen, DrillBegun))
        assert "2 lead (Ada) after 10:00 by slack" in text_of(app)
        await pilot.press("3")
        await pilot.press("2")
        await until(pilot, lambda: asked.actions == [BeginDrill("error-rate", 1)])
        await pilot.press("d", "enter")
        await until(pilot, lambda: asked.actions[1:] == [BeginDrill("error-rate", 0)])
        sent = replace(troubled(), drill=drill(told_at=None))
        await told(app, pilot, sent)
        await until(
            pilot, lambda: "Drill: the code is on its way to on-call (Database pool, 1:30)" in text_of(app)
        )
        await pilot.press("d")
        await until(pilot, lambda: "A drill is under way already" in text_of(app))
        await pilot.press("c")
        await until(pilot, lambda: isinstance(app.screen, DrillCode))
        assert "● waits until on-call's channel takes the code" in text_of(app)
        await told(app, pilot, replace(sent, drill=drill()))
        await until(pilot, lambda: "✔ on-call's channel took the code after 1:07" in text_of(app))
        await pilot.press("enter")
        await until(pilot, lambda: "Type the code of the message." in text_of(app))
        await pilot.press(*"K7Q2MX", "enter")
        await until(pilot, lambda: asked.actions[2:] == [AnswerDrill("K7Q2MX")])


async def test_a_drill_is_told_with_its_times_until_its_end_and_its_failure_with_the_reason() -> None:
    over = drill(answered_at=back(10), resolved_at=NOW, answered_by=clean("mhk@host"))
    async with monitored(replace(quiet(), drill=over)) as (app, pilot, _):
        pane = app.screen.query_one(EvidencePane)
        assert "✔ the code was typed back by mhk@host after 1:20" in pane.shown
        assert "✔ on-call was told that it is over after 1:30" in pane.shown
        assert "Drill:" not in text_of(app)
        await told(app, pilot, replace(quiet(), drill=drill(problem=clean("nobody answered within 15 min"))))
        await until(pilot, lambda: "✘ came to nothing: nobody answered within 15 min" in pane.shown)


async def test_what_a_drill_makes_fire_is_no_cause_to_run() -> None:
    board = replace(troubled(), drill=drill(threshold="error-rate"))
    async with monitored(board) as (app, _, _):
        assert "for 1:00  drill" in text_of(app)
        assert "→ lead" not in text_of(app)
        said = "a drill: its limit is moved, nobody but on-call is told"
        assert said in " ".join(app.screen.query_one(EvidencePane).shown.split())


async def test_w_asks_for_the_exports() -> None:
    async with monitored(quiet()) as (_, pilot, asked):
        await pilot.press("w")
        await until(pilot, lambda: asked.count(ExportsWanted) == 1)


@pytest.mark.parametrize("key", ["a", "m", "d", "enter"])
async def test_escape_from_a_dialog_asks_for_nothing(key: str) -> None:
    async with monitored(troubled()) as (app, pilot, asked):
        await pilot.press(key)
        await until(pilot, lambda: len(app.screen_stack) == 2)
        await pilot.press("escape")
        await until(pilot, lambda: len(app.screen_stack) == 1)
        assert not asked.actions
