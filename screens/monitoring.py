"""Tab 4: monitoring. Every threshold live, the chosen one's history and ladder, and what people do about alerts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.content import Content
from textual.widgets import Input

from checks.model import Area
from checks.monitoring.actions import Action, TryContact
from checks.monitoring.board import Board
from checks.monitoring.model import Row as Watched
from screens.audit import Audit
from screens.dialogs.dialog import Dialog
from screens.dialogs.drill import DrillCode
from screens.monitoring_acts import ACTS, KEYS, answer_of
from screens.monitoring_text import COLUMNS, count, rows, title, unreachable, watch_line
from screens.monitoring_view import details, drill_line, drill_lines, history
from screens.picture import Picture
from screens.requests import ActionWanted, ExportsWanted, WatchWanted
from screens.tab import TabName
from widgets.chart import Chart
from widgets.column_list import ColumnList
from widgets.evidence_pane import EvidencePane
from widgets.filter_bar import FilterBar
from widgets.line import Block, Line
from widgets.result_list import ResultList, Row

OF_THE_CHECKS = ("enter", "run_chosen", "fold", "copy")
OF_THE_THRESHOLDS = ("change", "do", "save_bandwidth", "pause")
"""Actions that only work in the one view or the other."""


class Monitoring(Audit):
    """The thresholds in a list, the chosen one's chart and text beside it; the area's checks behind a key."""

    TAB = TabName("monitoring", "4", "Monitoring", Area.MONITORING, "Mon")

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "enter", "Open", key_display="enter", id="open", tooltip="Open what is chosen"),
        Binding(
            "enter", "change", "Change", key_display="enter", id="change", tooltip="Change the threshold"
        ),
        *(
            Binding(key, f"do('{what}')", word, id=name, show=what != "code", tooltip=tooltip)
            for key, what, word, name, tooltip in KEYS
        ),
        Binding("R", "run_tab", "Run tab", show=False, id="run-tab", tooltip="Run the checks of this tab"),
        Binding("w", "write", "Export", id="write-exports", tooltip="Write the rules for Prometheus"),
        Binding("f", "narrow", "Not OK", show=False, id="only", tooltip="Only what is not OK, or everything"),
        Binding("v", "view", "Checks", id="view-checks", tooltip="The checks of monitoring, or back"),
        Binding("tab", "pane", "Pane", show=False, id="pane", tooltip="To the details, or back"),
        Binding("p", "pause", "Pause", show=False, id="pause", tooltip="Hold the picture, not the watch"),
        Binding(
            "b", "save_bandwidth", "Low bandwidth", show=False, id="low-bandwidth", tooltip="Send little"
        ),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._has_checks = False
        """Whether the checks are seen instead of the thresholds."""
        self._only = self._is_paused = False
        self._kept = ""
        """The row chosen in the view that is not seen."""
        self._board: Board | None = None
        self._tried: dict[str, datetime] = {}
        """Contact -> the board's time when a test message was asked for that is not answered yet."""

    @classmethod
    def count(cls, picture: Picture) -> tuple[str, str]:
        """How many alerts fire; else how the checks stand."""
        found = count(picture.board) if picture.board is not None else ("", "")
        return found if found[0] else super().count(picture)

    def compose_body(self) -> ComposeResult:
        """Who watches, what is missing, what goes on; list, chart and text; the filter."""
        yield Line(id="watch")
        yield from self.compose_above()
        with Container(id="panes"):
            with Container(id="left"):
                yield ColumnList(COLUMNS, id="steps", label_cells=self.LABEL_CELLS)
                yield Chart(id="history")
            yield EvidencePane(id="evidence")
        yield FilterBar("filter; enter keeps it, esc shows all")

    def on_mount(self) -> None:
        """The watch begins when the tab is opened."""
        chart = self.query_one(Chart)
        chart.is_ascii, chart.is_compact = self.picture.is_ascii, bool(os.environ.get("GONOGO_LOW_BANDWIDTH"))
        self.add_class("-thresholds")
        self.post_message(WatchWanted())

    def show(self) -> None:
        """Bring everything up to the picture, unless it is held still."""
        if not self._is_paused or self._board is None:
            self._board = self.picture.board
        super().show()
        self._tell_answers()
        if isinstance(self.app.screen, DrillCode) and self._board and self._board.drill:
            self.app.screen.tell(Content("\n").join(drill_lines(self._board.drill, self._board)))

    def show_above(self) -> None:
        """Who watches; what keeps people from being told, or which sources the checks could not read."""
        if self._has_checks:
            super().show_above()
        else:
            told = unreachable(self._board)
            sources = self.query_one("#sources", Block)
            if sources.say("\n".join(told)):
                sources.set_class(bool(told), "-said")
            self.query_one("#progress", Line).say(drill_line(self._board) or self._notes())
        self.query_one("#watch", Line).say(watch_line(self._board))

    def rows(self, text: str, now: float) -> tuple[Sequence[Row], str]:
        """The thresholds, or the checks."""
        if self._has_checks:
            return super().rows(text, now)
        board, is_ascii = self._board, self.picture.is_ascii
        found = rows(board, only=self._only, text=text, is_ascii=is_ascii) if board is not None else []
        return found, title(board, len(found), only=self._only, text=text)

    def about_row(self, key: str) -> Content:
        """What there is to say of a threshold."""
        if self._has_checks:
            return super().about_row(key)
        one = self._board.row(key) if self._board is not None else None
        if one is not None and self._board is not None:
            return details(one, self._board)
        return Content("no threshold is shown" if self._board is not None else "")

    def show_evidence(self) -> None:
        """The text, and the chart where there is one."""
        super().show_evidence()
        one = self._watched()
        if one is not None and self._board is not None:
            self.query_one(Chart).show(history(one, self._board))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Each view has its own keys."""
        if action in OF_THE_CHECKS and not self._has_checks:
            return False
        if action in OF_THE_THRESHOLDS and self._has_checks:
            return False
        return super().check_action(action, parameters)

    # What is looked at

    def action_view(self) -> None:
        """The checks instead of the thresholds, or back."""
        self._has_checks = not self._has_checks
        self.set_class(not self._has_checks, "-thresholds")
        steps = self.query_one(ResultList)
        kept, self._kept = self._kept, steps.chosen
        self.query_one(FilterBar).forget()
        self.show()
        steps.choose(kept or steps.rows[0].key if steps.rows else "")
        steps.focus()
        self.refresh_bindings()

    def action_narrow(self) -> None:
        """Only what is not OK, or everything; the checks as in the audit."""
        if self._has_checks:
            super().action_narrow()
        else:
            self._only = not self._only
            self.show()

    def action_pane(self) -> None:
        """To the text; from there back to the list."""
        if isinstance(self.focused, EvidencePane | Input):
            self.action_back()
        else:
            self.action_evidence()

    def action_pause(self) -> None:
        """Hold the picture still, or let it go on."""
        self._is_paused = not self._is_paused
        self.show()

    def action_save_bandwidth(self) -> None:
        """Send little to the terminal, or everything again."""
        chart = self.query_one(Chart)
        chart.is_compact = not chart.is_compact
        chart.redraw()
        self.show_above()

    # What is done

    def action_change(self) -> None:
        """Change the threshold; where its text is not seen, open that first."""
        if self.query_one(EvidencePane).display:
            self.action_do("change")
        else:
            self.action_evidence()

    def action_do(self, what: str) -> None:
        """One of `ACTS`: a dialog, an action, or a sentence that says why not."""
        one, board = self._watched(), self._board
        if one is None or board is None:
            self.notify("There is no threshold here yet; wait for the first look.", markup=False)
            return
        wanted = ACTS[what](one, board)
        if isinstance(wanted, str):
            self.notify(wanted, markup=False)
        elif isinstance(wanted, Dialog):
            self.app.push_screen(wanted, self._do)
        else:
            self._do(wanted)

    def _do(self, action: Action | None) -> None:
        if isinstance(action, TryContact) and self._board is not None:
            self._tried[action.contact] = self._board.at
        if action is not None:
            self.post_message(ActionWanted(action))

    def action_write(self) -> None:
        """Write the exports."""
        self.post_message(ExportsWanted())

    def _tell_answers(self) -> None:
        """What the channels said to the test messages that were asked for here."""
        for contact, since in list(self._tried.items()):
            if self._board is not None and (message := answer_of(self._board, contact, since)):
                del self._tried[contact]
                said = f"{message.delivery}: {message.answer or 'no words'}"
                self.notify(f"Test to {contact} {said}", markup=False)

    def _watched(self) -> Watched | None:
        """The threshold under the cursor."""
        return self._board.row(self.query_one(ResultList).chosen) if self._board is not None else None

    def _notes(self) -> str:
        """How the picture is shown; a small terminal has no frame whose title tells what is left out."""
        told = ["picture paused, p goes on"] if self._is_paused else []
        told += ["low bandwidth"] if self.query_one(Chart).is_compact else []
        told += ["only what is not OK, f shows all"] if self._only else []
        return f" {' · '.join(told)}" if told else ""
