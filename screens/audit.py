"""Tab 2: the audit by subject; what fails with what puts it right, what could not be read named once on top."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content

from checks.model import Area
from screens.audit_text import Only, View, about, checks_of, rows, subject_of, title, unread
from screens.checked import CheckedTab
from screens.requests import RunWanted
from screens.step_text import progress_text
from screens.tab import TabName
from widgets.line import Block, Line
from widgets.result_list import ResultList, Row


class Audit(CheckedTab):
    """The checks by subject in a list, the chosen one's judgement, fix and evidence in a pane."""

    TAB = TabName("audit", "2", "Audit", Area.AUDIT)
    NOUN = "Checks"
    LABEL_CELLS = 8

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding(
            "f", "narrow", "Failures", id="only", tooltip="Only failures, then the inconclusive too, then all"
        ),
        Binding("space", "fold", "Fold", show=False, id="fold", tooltip="Fold the group, or unfold it"),
        Binding(
            "r",
            "run_chosen",
            "Run",
            id="run-selected",
            tooltip="Run the check or the group, and what it needs",
        ),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._view = View()

    def compose_above(self) -> ComposeResult:
        """What could not be read, and what is being done."""
        yield Block(id="sources")
        yield Line(id="progress")

    def show_above(self) -> None:
        """Name each source that could not be read once."""
        told = unread(self.states())
        sources = self.query_one("#sources", Block)
        if sources.say(Content("\n").join(told)):
            sources.set_class(bool(told), "-said")
        doing = progress_text(self.picture, time.monotonic())
        # A small terminal has no frame with a title: what is left out must be told there too.
        narrowed = f" {self.query_one(ResultList).border_title}" if self._view.only is not Only.ALL else ""
        self.query_one("#progress", Line).say(doing or narrowed)

    def rows(self, text: str, now: float) -> tuple[Sequence[Row], str]:
        """The groups, as far as they are looked at."""
        view, states = replace(self._view, text=text), self.states()
        found = rows(states, view, self.picture.progress, now)
        return found, title(states, view, found)

    def about_row(self, key: str) -> Content:
        """What there is to say of a group."""
        subject = subject_of(key)
        return about(subject, self.states()) if subject is not None else super().about_row(key)

    def action_enter(self) -> None:
        """Fold or unfold a group; open the evidence of a check."""
        if subject_of(self.query_one(ResultList).chosen) is not None:
            self.action_fold()
        else:
            self.action_evidence()

    def action_fold(self) -> None:
        """Fold the group of the cursor, or unfold it."""
        steps = self.query_one(ResultList)
        entry, subject = self.chosen(), subject_of(steps.chosen)
        subject = entry.subject if entry is not None else subject
        if subject is None:
            return
        self._view = replace(self._view, folded=self._view.folded ^ {subject})
        steps.choose(f"#{subject.value}")
        self.show_rows()
        self.show_evidence()

    def action_narrow(self) -> None:
        """Show only failures, then what is inconclusive too, then everything."""
        self._view = replace(self._view, only=self._view.only.next())
        self.show_rows()
        self.show_above()
        self.show_evidence()

    def action_run_chosen(self) -> None:
        """Run the chosen check, or the group, with what it needs."""
        chosen = self.query_one(ResultList).chosen
        subject = subject_of(chosen)
        wanted = checks_of(subject, self.states()) if subject is not None else (chosen,) if chosen else ()
        if wanted:
            self.post_message(RunWanted(checks=tuple(wanted)))
