"""A dialog that takes an alert on, with a note that may be empty."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Input

from checks.monitoring.actions import Acknowledge
from screens.dialogs.dialog import Dialog

TEXT = "It escalates no further and nobody is reminded, until it is resolved. It is recorded who took it on."


class AcknowledgeForm(Dialog[Acknowledge]):
    """Answers with the acknowledgement, or with None."""

    AUTO_FOCUS = "#note"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "record", "Record", show=False, id="acknowledge-record"),
    ]

    def __init__(self, threshold: str, title: str, state: Content | str) -> None:
        """`state` is the alert's, with its times."""
        super().__init__(
            f"Acknowledge {title}",
            Content.assemble(state, "\n", TEXT),
            "enter acknowledges   esc goes back, nothing is recorded",
        )
        self._threshold = threshold

    def compose_fields(self) -> ComposeResult:
        """The note."""
        field = Input(placeholder="note, or nothing", id="note", compact=True)
        field.cursor_blink = False
        yield field

    @on(Input.Submitted)
    def action_record(self) -> None:
        """Answer."""
        self.dismiss(Acknowledge(self._threshold, self.query_one("#note", Input).value.strip()))
