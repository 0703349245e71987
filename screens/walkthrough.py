"""Tab 1: the walkthrough, step by step, each with its evidence beside it."""

from __future__ import annotations

import time
from typing import ClassVar
from urllib.parse import urlsplit

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.content import Content
from textual.timer import Timer

from checks.events import Choice, Go
from checks.fold import CheckState
from checks.model import Area, State
from screens.dialogs.because import Because
from screens.follow import Follow
from screens.picture import Picture
from screens.requests import EvidenceWanted, GateAnswered, RunWanted
from screens.step_text import commands, details, gate_line, hops, progress_text, row
from screens.tab import RUN_TAB, TabName, TabScreen
from widgets.evidence_pane import EvidencePane
from widgets.filter_bar import FilterBar
from widgets.line import Line
from widgets.result_list import ResultList
from widgets.sequence_line import SequenceLine


class Walkthrough(TabScreen):
    """The steps in a list, the chosen one's evidence in a pane."""

    TAB = TabName("walkthrough", "1", "Walkthrough", Area.WALKTHROUGH)
    PARTS = (ResultList, EvidencePane)
    AUTO_FOCUS = "#steps"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "enter", "Open", key_display="enter", id="open", tooltip="Open, or let a run go on"),
        Binding("e", "evidence", "Evidence", show=False, id="evidence"),
        Binding("escape", "back", "Back", show=False, id="back"),
        Binding("r", "run_chosen", "Run step", id="run-selected", tooltip="Run the step and what it needs"),
        RUN_TAB,
        Binding("r", "retry", "Retry", id="retry", tooltip="Try the step again that did not pass"),
        Binding("s", "stepwise", "Stepwise", id="stepwise", tooltip="Run one step at a time and wait"),
        Binding("s", "skip", "Skip", id="skip", tooltip="Skip the step where the run waits, with a reason"),
        Binding("y", "copy", "Copy", show=False, id="copy", tooltip="Copy the evidence's command"),
        Binding("slash", "filter", "Filter", show=False, id="filter", tooltip="Filter the steps"),
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
        """Passed of all; `✘` and the failures where there are any."""
        if picture.snapshot is None:
            return "", ""
        tally = picture.snapshot.tally(cls.TAB.area)
        failed, passed, total = tally.get(State.FAIL, 0), tally.get(State.PASS, 0), sum(tally.values())
        if failed:
            return f"✘ {failed}", "FAIL"
        if passed == total:
            return f"✔ {passed}/{total}", "PASS"
        return f"· {passed}/{total}", "NOT RUN"

    def compose_body(self) -> ComposeResult:
        """The path, what waits for an answer, list and pane, the filter."""
        yield SequenceLine(id="sequence")
        yield Line(id="gate")
        with Container(id="panes"):
            steps = ResultList(id="steps")
            steps.border_title = "Steps"
            yield steps
            pane = EvidencePane(id="evidence")
            pane.border_title = "Evidence"
            yield pane
        yield FilterBar("filter the steps; enter keeps it, esc shows all")

    def show(self) -> None:
        """Bring list, pane and path up to the picture."""
        self._show_path()
        self.query_one("#gate", Line).say(gate_line(self.picture))
        self._show_rows()
        self._follow_run()
        self._show_evidence()
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
        self._show_evidence()

    def action_enter(self) -> None:
        """Let a waiting run go on; else open the evidence."""
        if self.picture.waiting is not None:
            self.post_message(GateAnswered(Go(Choice.GO)))
        else:
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

    def action_copy(self) -> None:
        """Copy the command of the evidence; again for the next piece's."""
        found = commands(self._chosen(), self.picture.evidence)
        if not found:
            self.notify("There is no command to copy here.", markup=False)
            return
        place = self._copied % len(found)
        self._copied = place + 1
        self.app.copy_to_clipboard(found[place])
        more = f" {place + 1} of {len(found)}" if len(found) > 1 else ""
        self.notify(f"Copied command{more} to the terminal's clipboard: {found[place][:100]}", markup=False)

    def action_filter(self) -> None:
        """Filter the list while typing."""
        self.query_one(FilterBar).begin()

    def action_next(self, by: int) -> None:
        """The next or previous step that matches."""
        self.query_one(ResultList).step(by)

    @on(FilterBar.Filtered)
    def filter_rows(self) -> None:
        """Show the steps that hold the text."""
        self._show_rows()

    @on(FilterBar.Kept)
    def keep_filter(self) -> None:
        """Back to the list, the filter kept."""
        self.query_one(ResultList).focus()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What a key does depends on whether a run is under way, and whether it waits."""
        if action in ("retry", "skip"):
            waiting = self.picture.waiting
            return waiting is not None and (action == "skip" or waiting.result is not None)
        if action in ("stepwise", "run_chosen"):
            return not self.picture.is_running
        return super().check_action(action, parameters)

    def _steps(self) -> tuple[CheckState, ...]:
        return self.picture.snapshot.of(self.TAB.area) if self.picture.snapshot else ()

    def _chosen(self) -> CheckState | None:
        chosen = self.query_one(ResultList).chosen
        return next((entry for entry in self._steps() if entry.id == chosen), None)

    def _show_rows(self) -> None:
        steps, text, now = self.query_one(ResultList), self.query_one(FilterBar).text, time.monotonic()
        rows = [row(entry, self.picture.progress, now) for entry in self._steps()]
        found = [line for line in rows if text in f"{line.outcome} {line.key} {line.title}".lower()]
        title = f"Steps: {len(found)} of {len(rows)} match" if text else "Steps"
        if steps.border_title != title:
            steps.border_title = title
        steps.show(found)

    def _show_evidence(self) -> None:
        pane, entry = self.query_one(EvidencePane), self._chosen()
        if entry is None:
            pane.show("", Content("" if self.picture.snapshot is None else "no step matches"))
            return
        pane.show(entry.id, details(entry, self.picture.check(entry.id), self.picture))
        wanted = entry.result.evidence if entry.result else ()
        if wanted != self._asked and any(name not in self.picture.evidence for name in wanted):
            self.post_message(EvidenceWanted(wanted))
        self._asked = wanted

    def _follow_run(self) -> None:
        steps = self.query_one(ResultList)
        place = self._follow.place(self.picture.progress, self._steps(), steps.chosen, time.monotonic())
        if place != steps.chosen:
            steps.choose(place)

    def _tick_while_running(self) -> None:
        """The running step's seconds, once a second and only while one runs."""
        if self.picture.is_running and self._ticking is None:
            self._ticking = self.set_interval(1.0, self._tick)
        elif not self.picture.is_running and self._ticking is not None:
            self._ticking.stop()
            self._ticking = None

    def _tick(self) -> None:
        self._show_rows()
        self._follow_run()
        self._show_path()

    def _show_path(self) -> None:
        progress, snapshot = self.picture.progress, self.picture.snapshot
        port = urlsplit(snapshot.url).port if snapshot else None
        note = progress_text(self.picture, time.monotonic())
        self.query_one(SequenceLine).show(hops(port), progress.hop if progress else "", note)
