"""The command palette: what the keys do, in words, found by typing."""

from __future__ import annotations

from textual.command import CommandInput, CommandPalette


class Palette(CommandPalette):
    """Textual's palette without a blinking cursor, which would send bytes for as long as it is open."""

    def on_mount(self) -> None:
        """Keep the cursor still."""
        self.query_one(CommandInput).cursor_blink = False
