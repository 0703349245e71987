"""Tab 5: the case for and against, and the decision that a person makes of it."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container, VerticalScroll

from checks.fold import Snapshot, cannot_write
from checks.model import Area, Ceiling
from screens.case import (
    answer_line,
    case_text,
    choices_line,
    decided_line,
    receipt,
    record_text,
    refused,
)
from screens.dialogs.decision import DecisionForm
from screens.dialogs.told import Told
from screens.picture import Picture
from screens.requests import DecisionWanted, ReportsWanted
from screens.tab import TabName, TabScreen
from widgets.line import Block, Line
from widgets.outcome import look


class Signoff(TabScreen):
    """The case at the left, what is on record at the right, the decision by a key."""

    TAB = TabName("signoff", "5", "Sign-off", Area.SIGNOFF, "Sign")
    AUTO_FOCUS = "#case"

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("g", "decide('GO')", "GO", show=False, id="decide-go", tooltip="Decide GO"),
        Binding(
            "c",
            "decide('CONDITIONAL GO')",
            "CONDITIONAL GO",
            show=False,
            id="decide-conditional",
            tooltip="Decide CONDITIONAL GO",
        ),
        Binding("b", "decide('NO-GO')", "NO-GO", show=False, id="decide-no-go", tooltip="Decide NO-GO"),
        Binding("w", "write", "Write reports", id="write-reports", tooltip="Write the report files"),
        Binding("j", "scroll('down')", "Down", show=False, id="case-down"),
        Binding("k", "scroll('up')", "Up", show=False, id="case-up"),
        Binding("G", "scroll('end')", "End", show=False, id="case-end"),
    ]

    @classmethod
    def count(cls, picture: Picture) -> tuple[str, str]:
        """The decision in force, else that there is none."""
        if picture.snapshot is None:
            return "", ""
        decision = picture.snapshot.decision
        if decision is None:
            return "· undecided", "NOT RUN"
        return f"{look(decision.decision).glyph} {decision.decision}", decision.decision.value

    def compose_body(self) -> ComposeResult:
        """The answer, the receipt, the case and the record."""
        yield Line(id="answer")
        yield Line(id="decided")
        yield Line(id="receipt")
        with VerticalScroll(id="case"), Container(id="columns"):
            yield Block(id="for-and-against")
            yield Block(id="record")
        yield Line(id="choices")

    def show(self) -> None:
        """Bring the texts up to the picture."""
        snapshot = self.picture.snapshot
        if snapshot is not None:
            self.query_one("#answer", Line).say(answer_line(snapshot))
            self.query_one("#decided", Line).say(decided_line(snapshot))
            self.query_one("#choices", Line).say(choices_line(snapshot))
            self.query_one("#receipt", Line).say(receipt(self.picture))
            self.query_one("#for-and-against", Block).say(case_text(snapshot))
            self.query_one("#record", Block).say(record_text(self.picture, snapshot))

    def action_decide(self, word: str) -> None:
        """Open the form, or say why that cannot be decided."""
        from checks.signoff.policy import allows  # not needed for the first paint

        wanted, snapshot = Ceiling(word), self.picture.snapshot
        if snapshot is None or not self.picture.is_ready:
            self.notify("The review is not open yet; try again in a moment.", markup=False)
        elif snapshot.read_only:
            self.app.push_screen(Told(f"{wanted} is not recorded", cannot_write("decide", snapshot.holder)))
        elif self.picture.is_running:
            self.app.push_screen(
                Told(f"{wanted} is not recorded", "A run is under way; decide when it has ended.")
            )
        elif not allows(snapshot.judgement.ceiling, wanted):
            self.app.push_screen(Told(f"{wanted} is refused", refused(wanted, snapshot)))
        else:
            self._open_form(wanted, snapshot)

    def _open_form(self, wanted: Ceiling, snapshot: Snapshot) -> None:
        def answer(because: str | None) -> None:
            if because:
                self.post_message(DecisionWanted(wanted, because))

        self.app.push_screen(DecisionForm(wanted, snapshot, self.picture.draft), answer)

    def action_write(self) -> None:
        """Write the report files."""
        self.post_message(ReportsWanted())

    def action_scroll(self, where: str) -> None:
        """Scroll the case."""
        case = self.query_one("#case", VerticalScroll)
        {"down": case.scroll_down, "up": case.scroll_up, "end": case.scroll_end}[where](animate=False)
