"""The box that every dialog is: a title, what it says, and the keys that work in it. Escape never decides."""

from __future__ import annotations

from typing import ClassVar, TypeVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical, VerticalScroll
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from screens.tab import HEIGHTS, TOO_SMALL, WIDTHS
from widgets.line import Line

T = TypeVar("T")


class Dialog(ModalScreen[T]):
    """A modal box; subclasses add their widgets in `compose_fields`."""

    HORIZONTAL_BREAKPOINTS = WIDTHS
    VERTICAL_BREAKPOINTS = HEIGHTS

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "Back", id="dialog-close"),
        Binding("x", "app.stop", "Stop the run", show=False, id="dialog-stop"),
    ]

    def __init__(self, title: str, text: Content | str, keys: str) -> None:
        super().__init__()
        self._heading = title
        self._text = text
        self._keys = keys

    def compose(self) -> ComposeResult:
        """Title, text (scrolled where it is long), fields, keys."""
        yield Line(id="too-small")
        with Vertical(id="box"):
            yield Static(Content.styled(self._heading, "bold"), id="heading", markup=False)
            with VerticalScroll(id="said"):
                yield Static(self._text, markup=False)
            yield from self.compose_fields()
            yield Static(Content.styled(self._keys, "$foreground-muted"), id="keys", markup=False)

    def compose_fields(self) -> ComposeResult:
        """What is between the text and the keys; nothing here."""
        yield from ()

    def on_mount(self) -> None:
        """Say what replaces the box on a small terminal."""
        self.query_one("#too-small", Line).say(TOO_SMALL)

    def action_close(self) -> None:
        """Go back without deciding anything."""
        self.dismiss(None)
