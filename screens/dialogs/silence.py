"""A dialog that silences a threshold: for how many minutes, and why; both are needed."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.widgets import Input, Static

from checks.monitoring.actions import SilenceFor
from screens.dialogs.dialog import Dialog
from widgets.line import Line

MOST_MINUTES = 10_080
"""A week: what is to be silent for longer is to be changed."""
TEXT = "Nobody is told of it until then. It goes on being watched and recorded; m again ends the silence."


class SilenceForm(Dialog[SilenceFor]):
    """Answers with the silence, or with None."""

    AUTO_FOCUS = "#minutes"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "record", "Record", show=False, id="silence-record"),
    ]

    def __init__(self, threshold: str, title: str) -> None:
        super().__init__(
            f"Silence {title}", TEXT, "enter goes on, and records at the end   tab moves   esc goes back"
        )
        self._threshold = threshold

    def compose_fields(self) -> ComposeResult:
        """Minutes, reason, and a complaint where one is missing."""
        for name, hint in (
            ("minutes", "for how long: 30; a week (10080) at most"),
            ("because", "why nobody is to be told"),
        ):
            with Horizontal(classes="field"):
                yield Static(name, classes="label", markup=False)
                field = Input(placeholder=hint, id=name, compact=True)
                field.cursor_blink = False
                yield field
        yield Line(id="complaint")

    @on(Input.Submitted, "#minutes")
    def go_on(self) -> None:
        """To the reason."""
        self.query_one("#because", Input).focus()

    @on(Input.Submitted, "#because")
    def action_record(self) -> None:
        """Answer, where both are there."""
        minutes, because = self._value("minutes"), self._value("because")
        if not (minutes.isascii() and minutes.isdigit() and 0 < int(minutes) <= MOST_MINUTES):
            self._complain("minutes", f"A silence needs an end: give whole minutes, {MOST_MINUTES} at most.")
        elif not because:
            self._complain("because", "A silence needs a reason.")
        else:
            self.dismiss(SilenceFor(self._threshold, 60.0 * int(minutes), because))

    def _value(self, name: str) -> str:
        return self.query_one(f"#{name}", Input).value.strip()

    def _complain(self, name: str, sentence: str) -> None:
        self.query_one("#complaint", Line).say(sentence)
        self.query_one(f"#{name}", Input).focus()
