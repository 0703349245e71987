"""The smallest five-tab Textual app: the floor that the console is measured against."""

from __future__ import annotations

from typing import ClassVar

from textual.app import App, ComposeResult
from textual.binding import BindingType
from textual.widgets import DataTable, Footer, Header, Static, TabbedContent, TabPane

TABS = 5


class Bare(App[None]):
    """Five tabs with a table each."""

    BINDINGS: ClassVar[list[BindingType]] = [
        (str(number), f"go('t{number}')", f"Tab {number}") for number in range(1, TABS + 1)
    ]

    def compose(self) -> ComposeResult:
        """Header, tabs, footer."""
        yield Header()
        with TabbedContent():
            for number in range(1, TABS + 1):
                with TabPane(f"Tab {number}", id=f"t{number}"):
                    yield Static(f"PANE-{number}")
                    yield DataTable(id=f"d{number}")
        yield Footer()

    def on_mount(self) -> None:
        """Fill the tables."""
        for number in range(1, TABS + 1):
            table = self.query_one(f"#d{number}", DataTable)
            table.add_columns("check", "state", "detail")
            table.add_rows([(f"check {row}", "PASS", "detail text " * 4) for row in range(30)])

    def action_go(self, tab: str) -> None:
        """Show one tab."""
        self.query_one(TabbedContent).active = tab


if __name__ == "__main__":
    Bare().run()
