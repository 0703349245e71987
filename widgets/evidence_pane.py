"""The evidence pane: a scrollable text beside a list, showing what is known of the row that is chosen."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.content import Content

from widgets.line import Block


class EvidencePane(VerticalScroll):
    """Text of any length that is scrolled with the keys; begins at its top for each new subject."""

    DEFAULT_CSS = """
    EvidencePane { padding: 0 1; }
    EvidencePane > Block { width: 100%; height: auto; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("j", "scroll_down", "Down", show=False, id="scroll-down"),
        Binding("k", "scroll_up", "Up", show=False, id="scroll-up"),
        Binding("g", "scroll_home", "Top", show=False, id="scroll-top"),
        Binding("G", "scroll_end", "End", show=False, id="scroll-end"),
        Binding("space", "page_down", "Page down", show=False, id="scroll-page"),
    ]

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - the framework's name
        super().__init__(id=id)
        self._text = Block()
        self._subject = ""

    def compose(self) -> ComposeResult:
        """One text."""
        yield self._text

    @property
    def shown(self) -> str:
        """The text as it stands."""
        return self._text.said

    def show(self, subject: str, text: Content) -> None:
        """Show `text`, which is about `subject`; nothing is repainted where it is the same."""
        if subject != self._subject:
            self._subject = subject
            self.scroll_home(animate=False)
        self._text.say(text)
