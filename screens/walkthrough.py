"""Tab 1: the walkthrough, step by step, each with its evidence beside it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import ClassVar
from urllib.parse import urlsplit

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from checks.events import Choice, Go
from checks.model import Area
from screens.checked import CheckedTab
from screens.dialogs.because import Because
from screens.requests import GateAnswered, RunWanted
from screens.step_text import gate_line, hops, progress_text, row
from screens.tab import TabName
from widgets.line import Line
from widgets.result_list import ResultList, Row
from widgets.sequence_line import SequenceLine


class Walkthrough(CheckedTab):
    """The steps in a list, the chosen one's evidence in a pane."""

    TAB = TabName("walkthrough", "1", "Walkthrough", Area.WALKTHROUGH, "Walk")
    NOUN = "Steps"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "enter", "Open", key_display="enter", id="open", tooltip="Open, or let a run go on"),
        Binding("r", "run_chosen", "Run step", id="run-selected", tooltip="Run the step and what it needs"),
        Binding("r", "retry", "Retry", id="retry", tooltip="Try the step again that did not pass"),
        Binding("s", "stepwise", "Stepwise", id="stepwise", tooltip="Run one step at a time and wait"),
        Binding("s", "skip", "Skip", id="skip", tooltip="Skip the step where the run waits, with a reason"),
    ]

    def compose_above(self) -> ComposeResult:
        """The path, and what waits for an answer."""
        yield SequenceLine(id="sequence")
        yield Line(id="gate")

    def show_above(self) -> None:
        """Light the hop that is being crossed."""
        progress, snapshot = self.picture.progress, self.picture.snapshot
        port = urlsplit(snapshot.url).port if snapshot else None
        note = progress_text(self.picture, time.monotonic())
        self.query_one(SequenceLine).show(hops(port), progress.hop if progress else "", note)
        self.query_one("#gate", Line).say(gate_line(self.picture))

    def rows(self, text: str, now: float) -> tuple[Sequence[Row], str]:
        """The steps that hold `text`."""
        rows = [row(entry, self.picture.progress, now) for entry in self.states()]
        found = [line for line in rows if text in f"{line.outcome} {line.key} {line.title}".lower()]
        return found, f"{self.NOUN}: {len(found)} of {len(rows)} match" if text else self.NOUN

    def action_enter(self) -> None:
        """Let a waiting run go on; else open the evidence."""
        if self.picture.waiting is not None:
            self.post_message(GateAnswered(Go(Choice.GO)))
        else:
            self.action_evidence()

    def action_run_chosen(self) -> None:
        """Run the chosen step with what it needs."""
        if chosen := self.query_one(ResultList).chosen:
            self.post_message(RunWanted(checks=(chosen,)))

    def action_stepwise(self) -> None:
        """Run one step at a time."""
        self.post_message(RunWanted(area=self.TAB.area, stepwise=True))

    def action_retry(self) -> None:
        """Try the step again that did not pass."""
        self.post_message(GateAnswered(Go(Choice.RETRY)))

    def action_skip(self) -> None:
        """Skip the step where the run waits, with a reason."""
        if self.picture.waiting is None:
            return
        check = self.picture.waiting.check

        def answer(because: str | None) -> None:
            if because:
                self.post_message(GateAnswered(Go(Choice.SKIP, because)))

        text = "It is recorded as INCONCLUSIVE (skipped), with the reason."
        self.app.push_screen(Because(f"Skip {check.id} {check.title}", text, "Why it is skipped"), answer)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What a key does depends on whether a run is under way, and whether it waits."""
        if action in ("retry", "skip"):
            waiting = self.picture.waiting
            return waiting is not None and (action == "skip" or waiting.result is not None)
        return super().check_action(action, parameters)
