"""A list of results, one line each: outcome, label, title and a note; drawn line by line, so that a change is cheap."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip

from widgets.outcome import TONES, look

WORD_CELLS, LABEL_CELLS = 13, 4
LEAST_DETAIL_CELLS = 16
"""A detail in less room says nothing."""
COLUMNS_FROM_CELLS, TITLE_SHARE = 80, 0.6
"""From so much room on details stand in a column of their own, and titles get no more than their share."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the list."""

    key: str
    outcome: str
    label: str
    title: str
    note: str = ""
    """Stands at the right edge."""
    detail: str = ""
    """Stands behind the title where there is room for it."""
    is_heading: bool = False
    """Whether it is the title of the rows below; its outcome gives the tone alone."""


class ResultList(ScrollView, can_focus=True):
    """Rows with a cursor. A row that changes repaints itself alone."""

    DEFAULT_CSS = """
    ResultList { overflow-x: hidden; background: $surface; color: $foreground; }
    ResultList > .result-list--cursor { background: $panel; color: $foreground; text-style: bold; }
    ResultList:focus > .result-list--cursor { background: $primary; color: $text; text-style: bold; }
    ResultList > .result-list--good { color: $text-success; }
    ResultList > .result-list--bad { color: $text-error; text-style: bold; }
    ResultList > .result-list--doubt { color: $text-warning; }
    ResultList > .result-list--busy { color: $text-accent; text-style: bold; }
    ResultList > .result-list--quiet { color: $foreground-muted; }
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "result-list--cursor",
        *(f"result-list--{tone}" for tone in TONES),
    }

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,j", "move(1)", "Next", show=False, id="list-down"),
        Binding("up,k", "move(-1)", "Previous", show=False, id="list-up"),
        Binding("home,g", "move_to(0)", "First", show=False, id="list-first"),
        Binding("end,G", "move_to(-1)", "Last", show=False, id="list-last"),
        Binding("pagedown", "page(1)", "Page down", show=False, id="list-page-down"),
        Binding("pageup", "page(-1)", "Page up", show=False, id="list-page-up"),
    ]

    cursor: reactive[int] = reactive(0, repaint=False)
    """Index of the chosen row."""

    class Chosen(Message):
        """The cursor came to stand on another row."""

        def __init__(self, key: str) -> None:
            super().__init__()
            self.key = key

    def __init__(self, *, id: str | None = None, label_cells: int = LABEL_CELLS) -> None:  # noqa: A002
        """`label_cells` is the width of the labels, with the space behind them."""
        super().__init__(id=id)
        self._rows: tuple[Row, ...] = ()
        self._widest = 0
        self._label_cells = label_cells

    @property
    def rows(self) -> tuple[Row, ...]:
        """The rows as they stand."""
        return self._rows

    @property
    def chosen(self) -> str:
        """Key of the row under the cursor; empty where there are no rows."""
        return self._rows[self.cursor].key if self._rows else ""

    def show(self, rows: Sequence[Row]) -> None:
        """Show `rows`; the cursor stays on its row where that is still there."""
        before, self._rows = self._rows, tuple(rows)
        widest = max((cell_len(row.title) for row in self._rows if row.detail), default=0)
        if widest != self._widest:  # the column of the details moves
            self._widest = widest
            self.refresh()
        if [row.key for row in before] == [row.key for row in self._rows]:
            for place, (old, new) in enumerate(zip(before, self._rows, strict=True)):
                if old != new:
                    self._refresh_row(place)
            return
        chosen = before[self.cursor].key if before else ""
        self.virtual_size = Size(0, len(self._rows))
        keys = [row.key for row in self._rows]
        self.cursor = keys.index(chosen) if chosen in keys else min(self.cursor, max(0, len(keys) - 1))
        self.refresh()
        if self.chosen != chosen:
            self.post_message(self.Chosen(self.chosen))

    def choose(self, key: str) -> None:
        """Put the cursor on the row with this key, where there is one."""
        for place, row in enumerate(self._rows):
            if row.key == key:
                self.action_move_to(place)

    def step(self, by: int) -> None:
        """Move the cursor to the next row that is no heading, from the end to the beginning and back."""
        for steps in range(1, len(self._rows) + 1):
            place = (self.cursor + by * steps) % len(self._rows)
            if not self._rows[place].is_heading:
                self.action_move_to(place)
                return

    def action_move(self, by: int) -> None:
        """Move the cursor by some rows; it stops at both ends."""
        self.action_move_to(max(0, min(self.cursor + by, len(self._rows) - 1)))

    def action_page(self, pages: int) -> None:
        """Move the cursor by some screens."""
        self.action_move(pages * max(1, self.size.height - 1))

    def action_move_to(self, place: int) -> None:
        """Put the cursor on the row at `place`; -1 is the last."""
        if self._rows:
            self.cursor = place % len(self._rows)

    def watch_cursor(self, before: int, now: int) -> None:
        """Repaint the two rows and say what is chosen."""
        if before == now or not self._rows:
            return
        self._refresh_row(before)
        self._refresh_row(now)
        self.scroll_to_region(Region(0, now, 1, 1), animate=False, x_axis=False)
        self.post_message(self.Chosen(self.chosen))

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:
        """As many lines as rows."""
        return max(1, len(self._rows))

    def render_line(self, y: int) -> Strip:
        """One row; what does not fit is cut from the detail, then from the title."""
        place, width = self.scroll_offset.y + y, self.size.width
        if place >= len(self._rows):
            return Strip.blank(width, self.rich_style)
        row, is_chosen = self._rows[place], place == self.cursor
        base = self.get_component_rich_style("result-list--cursor") if is_chosen else self.rich_style
        shown = look(row.outcome)
        tone = base
        if not is_chosen:
            tone += self.get_component_rich_style(f"result-list--{shown.tone}", partial=True)
        marker = Segment("▸ " if is_chosen else "  ", base)
        if row.is_heading:
            text = fitted(row.title, max(0, width - 3 - cell_len(row.note)))
            return Strip([marker, Segment(f"{text}{row.note} ", tone)]).adjust_cell_length(width, base)
        word = set_cell_size(row.outcome.lower(), WORD_CELLS)
        note = f" {row.note} "
        used = 4 + WORD_CELLS + self._label_cells + cell_len(note)
        title, detail = self._parted(row, max(0, width - used))
        quiet = self.get_component_rich_style("result-list--quiet", partial=True)
        return Strip(
            [
                marker,
                Segment(f"{shown.glyph} {word}", tone),
                Segment(set_cell_size(row.label, self._label_cells) + title, base),
                Segment(detail, base if is_chosen else base + quiet),
                Segment(note, base),
            ]
        ).adjust_cell_length(width, base)

    def _parted(self, row: Row, room: int) -> tuple[str, str]:
        """Title and detail, together `room` cells wide: in columns where it is wide, else one behind the other."""
        title_cells = cell_len(row.title) + 2
        is_plain = look(row.outcome).tone == "good"  # between titles without a column, only what needs a word
        if room >= COLUMNS_FROM_CELLS and self._widest:
            title_cells, is_plain = min(self._widest + 2, int(room * TITLE_SHARE)), False
        if is_plain or not row.detail or room - title_cells < LEAST_DETAIL_CELLS:
            return fitted(row.title, room), ""
        return fitted(row.title, title_cells - 2) + "  ", fitted(row.detail, room - title_cells)

    def _refresh_row(self, place: int) -> None:
        self.refresh(Region(0, place - self.scroll_offset.y, self.size.width, 1))


def fitted(text: str, cells: int) -> str:
    """The text in exactly so many cells; a cut is shown."""
    if cell_len(text) <= cells:
        return set_cell_size(text, cells)
    return set_cell_size(text, cells - 1) + "…" if cells > 0 else ""
