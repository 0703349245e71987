"""What the tabs with checks have in common: a list, the evidence of the chosen row, a filter, and following a run."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.content import Content
from textual.timer import Timer

from checks.fold import CheckState
from checks.model import State
from screens.follow import Follow
from screens.picture import Picture
from screens.requests import EvidenceWanted
from screens.step_text import commands, details
from screens.tab import RUN_TAB, TabScreen
from widgets.evidence_pane import EvidencePane
from widgets.filter_bar import FilterBar
from widgets.result_list import ResultList, Row

UNDER_WAY = ("run_chosen", "stepwise")
"""What begins a run, and is not offered while one is under way."""


class CheckedTab(TabScreen):
    """A tab over the checks of its area. Subclasses declare `NOUN`, `compose_above`, `rows` and `show_above`."""

    NOUN: ClassVar[str]
    """What its rows are called, in the plural and beginning with a capital."""
    LABEL_CELLS: ClassVar[int] = 4
    PARTS = (ResultList, EvidencePane)
    AUTO_FOCUS = "#steps"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "enter", "Open", key_display="enter", id="open", tooltip="Open what is chosen"),
        Binding("e", "evidence", "Evidence", show=False, id="evidence"),
        Binding("escape", "back", "Back", show=False, id="back"),
        RUN_TAB,
        Binding("y", "copy", "Copy", show=False, id="copy", tooltip="Copy what can be pasted"),
        Binding("slash", "filter", "Filter", show=False, id="filter", tooltip="Filter the list"),
        Binding("n", "next(1)", "Next match", show=False, id="next"),
        Binding("N", "next(-1)", "Previous match", show=False, id="previous"),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._asked: tuple[str, ...] = ()
        self._copied = 0
        self._ticking: Timer | None = None
        self._follow = Follow()

    @classmethod
    def count(cls, picture: Picture) -> tuple[str, str]:
        """Passed of all that apply; `✘` and the failures where there are any."""
        found = [entry.state for entry in cls.counting(picture) if entry.state is not State.NA]
        failed, passed, total = found.count(State.FAIL), found.count(State.PASS), len(found)
        if not total:
            return "", ""
        if failed:
            return f"✘ {failed}", "FAIL"
        if passed == total:
            return f"✔ {passed}/{total}", "PASS"
        return f"· {passed}/{total}", "NOT RUN"

    @classmethod
    def counting(cls, picture: Picture) -> Sequence[CheckState]:
        """The checks that are counted."""
        return picture.snapshot.of(cls.TAB.area) if picture.snapshot else ()

    def told(self, entry: CheckState) -> Sequence[Content | str]:
        """What the pane says of a check beside its judgement."""
        return ()

    def compose_above(self) -> ComposeResult:
        """What stands above the list."""
        raise NotImplementedError

    def rows(self, text: str, now: float) -> tuple[Sequence[Row], str]:
        """The rows that hold `text` (lower case) and the list's title; `now` is the monotonic clock."""
        raise NotImplementedError

    def show_above(self) -> None:
        """Bring what stands above the list up to the picture."""
        raise NotImplementedError

    def about_row(self, key: str) -> Content:
        """What the pane says of a row that is no check."""
        return Content("" if self.picture.snapshot is None else f"no {self.NOUN.lower()} match")

    def compose_body(self) -> ComposeResult:
        """What stands above, list and pane, the filter."""
        yield from self.compose_above()
        with Container(id="panes"):
            steps = ResultList(id="steps", label_cells=self.LABEL_CELLS)
            steps.border_title = self.NOUN
            yield steps
            pane = EvidencePane(id="evidence")
            pane.border_title = "Evidence"
            yield pane
        yield FilterBar(f"filter the {self.NOUN.lower()}; enter keeps it, esc shows all")

    def show(self) -> None:
        """Bring everything up to the picture."""
        self.show_above()
        self.show_rows()
        self._follow_run()
        self.show_evidence()
        self._tick_while_running()

    def on_screen_suspend(self) -> None:
        """A hidden tab does not tick."""
        if self._ticking is not None:
            self._ticking.pause()

    def on_screen_resume(self) -> None:
        """Go on ticking."""
        if self._ticking is not None:
            self._ticking.resume()

    @on(ResultList.Chosen)
    def show_chosen(self) -> None:
        """The pane follows the cursor."""
        self._copied = 0
        self.show_evidence()

    def action_enter(self) -> None:
        """Open the evidence."""
        self.action_evidence()

    def action_evidence(self) -> None:
        """Go into the evidence; on a small terminal it opens over the list."""
        self.add_class("-open")
        self.query_one(EvidencePane).focus()

    def action_back(self) -> None:
        """Close the evidence; then forget the filter."""
        if self.has_class("-open"):
            self.remove_class("-open")
        else:
            self.query_one(FilterBar).forget()
        self.query_one(ResultList).focus()

    def action_copy(self) -> None:
        """Copy what can be pasted; again for the next piece."""
        found = commands(self.chosen(), self.picture.evidence)
        if not found:
            self.notify("There is nothing to copy here.", markup=False)
            return
        place = self._copied % len(found)
        self._copied = place + 1
        self.app.copy_to_clipboard(found[place])
        more = f" {place + 1} of {len(found)}" if len(found) > 1 else ""
        self.notify(f"Copied{more} to the terminal's clipboard: {found[place][:100]}", markup=False)

    def action_filter(self) -> None:
        """Filter the list while typing."""
        self.query_one(FilterBar).begin()

    def action_next(self, by: int) -> None:
        """The next or previous row that matches."""
        self.query_one(ResultList).step(by)

    @on(FilterBar.Filtered)
    def filter_rows(self) -> None:
        """Show the rows that hold the text."""
        self.show_rows()

    @on(FilterBar.Kept)
    def keep_filter(self) -> None:
        """Back to the list, the filter kept."""
        self.query_one(ResultList).focus()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only what would do something is offered."""
        if action in UNDER_WAY:
            return not self.picture.is_running
        return super().check_action(action, parameters)

    def states(self) -> tuple[CheckState, ...]:
        """The checks of the tab's area, in order."""
        return self.picture.snapshot.of(self.TAB.area) if self.picture.snapshot else ()

    def chosen(self) -> CheckState | None:
        """The check under the cursor."""
        key = self.query_one(ResultList).chosen
        return next((entry for entry in self.states() if entry.id == key), None)

    def show_rows(self) -> None:
        """Bring the list up to the picture, the filter and the clock."""
        steps = self.query_one(ResultList)
        rows, title = self.rows(self.query_one(FilterBar).text, time.monotonic())
        if steps.border_title != title:
            steps.border_title = title
        steps.show(rows)

    def show_evidence(self) -> None:
        """Bring the pane up to the chosen row."""
        pane, entry = self.query_one(EvidencePane), self.chosen()
        if entry is None:
            key = self.query_one(ResultList).chosen
            pane.show(key, self.about_row(key))
            return
        pane.show(entry.id, details(entry, self.picture.check(entry.id), self.picture, self.told(entry)))
        wanted = entry.result.evidence if entry.result else ()
        if wanted != self._asked and any(name not in self.picture.evidence for name in wanted):
            self.post_message(EvidenceWanted(wanted))
        self._asked = wanted

    def _follow_run(self) -> None:
        steps, progress = self.query_one(ResultList), self.picture.progress
        shown = {row.key for row in steps.rows}
        if progress is not None and progress.last not in shown:  # of another tab, folded or filtered away
            progress = replace(progress, last="")
        states = [entry for entry in self.states() if entry.id in shown]
        place = self._follow.place(progress, states, steps.chosen, time.monotonic())
        if place != steps.chosen:
            steps.choose(place)

    def _tick_while_running(self) -> None:
        """The running check's seconds, once a second and only while one runs."""
        if self.picture.is_running and self._ticking is None:
            self._ticking = self.set_interval(1.0, self._tick)
        elif not self.picture.is_running and self._ticking is not None:
            self._ticking.stop()
            self._ticking = None

    def _tick(self) -> None:
        self.show_rows()
        self._follow_run()
        self.show_above()
