"""A dialog that asks for a reason, which must not be empty."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Input

from screens.dialogs.dialog import Dialog
from widgets.line import Line


class Because(Dialog[str]):
    """Answers with the reason, or with None."""

    AUTO_FOCUS = "#because"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "submit", "Done", show=False, id="because-done"),
    ]

    def __init__(self, title: str, text: Content | str, placeholder: str) -> None:
        super().__init__(title, text, "enter records the reason   esc goes back, nothing is recorded")
        self._placeholder = placeholder

    def compose_fields(self) -> ComposeResult:
        """The reason, and a complaint where it is empty."""
        field = Input(placeholder=self._placeholder, id="because", compact=True)
        field.cursor_blink = False
        yield field
        yield Line(id="complaint")

    @on(Input.Submitted)
    def action_submit(self) -> None:
        """Answer, where something was written."""
        because = self.query_one("#because", Input).value.strip()
        if because:
            self.dismiss(because)
        else:
            self.query_one("#complaint", Line).say("The reason must not be empty.")
