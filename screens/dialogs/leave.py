"""A dialog that asks for leave to disturb the target: its name has to be typed."""

from __future__ import annotations

from enum import Enum
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.widgets import Input

from screens.dialogs.dialog import Dialog
from widgets.line import Line


class Leave(Enum):
    """What the lead gave leave for."""

    EVERYTHING = "everything"
    WITHOUT = "without what disturbs"


class LeaveAsked(Dialog[Leave]):
    """Answers with the leave, or with None; enter alone is the harmless answer."""

    AUTO_FOCUS = "#name"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "submit", "Done", show=False, id="leave-done"),
    ]

    def __init__(self, title: str, text: str, name: str, has_rest: bool = True) -> None:
        """`has_rest` says whether anything is left to run without what disturbs."""
        alone = "   enter alone: without what disturbs" if has_rest else ""
        super().__init__(
            title,
            text,
            f"{name} and enter: {'all of it' if has_rest else 'runs it'}{alone}   esc: nothing runs",
        )
        self._name_wanted = name
        self._has_rest = has_rest

    def compose_fields(self) -> ComposeResult:
        """The name, and a complaint where it is another one."""
        field = Input(placeholder=f"type {self._name_wanted} to give leave", id="name", compact=True)
        field.cursor_blink = False
        yield field
        yield Line(id="complaint")

    @on(Input.Submitted)
    def action_submit(self) -> None:
        """Answer, where it is the name or nothing."""
        typed = self.query_one("#name", Input).value.strip()
        if not typed and self._has_rest:
            self.dismiss(Leave.WITHOUT)
        elif typed == self._name_wanted:
            self.dismiss(Leave.EVERYTHING)
        else:
            told = f"That is not {self._name_wanted}" if typed else f"Type {self._name_wanted} to give leave"
            self.query_one("#complaint", Line).say(f"{told}: nothing was started.")
