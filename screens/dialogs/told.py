"""A dialog that only tells something: a refusal, a receipt."""

from __future__ import annotations

from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.content import Content

from screens.dialogs.dialog import Dialog


class Told(Dialog[None]):
    """A title and a text; any of the usual keys goes back."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter,q", "close", "Back", show=False, id="told-close"),
    ]

    def __init__(self, title: str, text: Content | str) -> None:
        super().__init__(title, text, "enter or esc goes back")
