"""A dialog with a yes-or-no question, for the few things that should not happen by a slip of a finger."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content

from screens.dialogs.dialog import Dialog


class Asked(Dialog[bool]):
    """Answers True for `y` alone; enter, escape and `n` are the safe answer."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "agree", "Yes", show=False, id="asked-yes"),
        Binding("n,enter", "close", "No", show=False, id="asked-no"),
    ]

    def __init__(self, title: str, text: Content | str, *, yes: str, no: str) -> None:
        super().__init__(title, text, f"y {yes}   n, enter or esc {no}")

    def action_agree(self) -> None:
        """Answer yes."""
        self.dismiss(True)

    def action_close(self) -> None:
        """Answer no."""
        self.dismiss(False)
