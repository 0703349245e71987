"""The line in which a list's filter is typed; away while it is empty and not in use."""

from __future__ import annotations

from textual import on
from textual.message import Message
from textual.widgets import Input


class FilterBar(Input):
    """Says what is to be looked for with every letter; enter keeps it, and leaves."""

    DEFAULT_CSS = """
    FilterBar { display: none; height: 1; background: $panel; }
    FilterBar.-shown { display: block; }
    """

    class Filtered(Message):
        """Another text is looked for; empty shows everything."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class Kept(Message):
        """Enter was pressed: back to the list, as it is filtered now."""

    def __init__(self, placeholder: str) -> None:
        super().__init__(placeholder=placeholder, compact=True)
        self.cursor_blink = False

    @property
    def text(self) -> str:
        """What is looked for, in lower case."""
        return self.value.strip().lower()

    def begin(self) -> None:
        """Show the line and type in it."""
        self.add_class("-shown")
        self.focus()

    def forget(self) -> None:
        """Look for nothing."""
        self.value = ""
        self.remove_class("-shown")

    @on(Input.Changed)
    def say_what(self, event: Input.Changed) -> None:
        """Pass the text on, as something of its own."""
        event.stop()
        self.post_message(self.Filtered(self.text))

    @on(Input.Submitted)
    def keep(self, event: Input.Submitted) -> None:
        """Keep the text."""
        event.stop()
        self.post_message(self.Kept())

    def on_blur(self) -> None:
        """Nothing to show without a text."""
        self.set_class(bool(self.text), "-shown")
