"""A list of results in columns: what has no room goes by rank, what is left over is given to those that can use it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual.strip import Strip

from widgets.result_list import ResultList, Row, fitted

MARKER_CELLS = 2


@dataclass(frozen=True, slots=True)
class Column:
    """One column; its cells hold the blank at its right too."""

    cells: int
    """Its least width."""
    most: int = 0
    """It grows up to this where there is room; 0: not at all."""
    rank: int = 0
    """Where there is little room, the columns of the highest rank go first; those of 0 stay."""
    is_right: bool = False
    """Whether its text stands at its right edge, as numbers do."""
    is_quiet: bool = False


@dataclass(frozen=True, slots=True)
class ColumnRow(Row):
    """One line: `cells` are its texts by column; the first is told in `tone`. `title` is what it is found by."""

    tone: str = "quiet"
    cells: tuple[str, ...] = ()


def widths(columns: Sequence[Column], room: int) -> tuple[int, ...]:
    """The width of each column in `room` cells; 0 for those that have to go."""
    shown = set(range(len(columns)))
    while sum(columns[place].cells for place in shown) > room:
        last = max(shown, key=lambda place: columns[place].rank)
        if not columns[last].rank:
            break
        shown.remove(last)
    found = [column.cells if place in shown else 0 for place, column in enumerate(columns)]
    for place in sorted(shown):
        left = room - sum(found)
        found[place] += max(0, min(left, columns[place].most - found[place]))
    return tuple(found)


class ColumnList(ResultList):
    """Shows `ColumnRow`s in columns, and any other row as a `ResultList` does."""

    def __init__(self, columns: Sequence[Column], *, id: str | None = None, label_cells: int = 4) -> None:  # noqa: A002
        """`label_cells` is for the rows without columns."""
        super().__init__(id=id, label_cells=label_cells)
        self._columns = tuple(columns)

    def render_line(self, y: int) -> Strip:
        """One row; what does not fit into its column is cut, and that is shown."""
        place, width = self.scroll_offset.y + y, self.size.width
        row = self.rows[place] if place < len(self.rows) else None
        if not isinstance(row, ColumnRow):
            return super().render_line(y)
        is_chosen = place == self.cursor
        base = self.get_component_rich_style("result-list--cursor") if is_chosen else self.rich_style
        segments = [Segment("▸ " if is_chosen else "  ", base)]
        room = width - MARKER_CELLS
        for at, (column, cells) in enumerate(zip(self._columns, widths(self._columns, room), strict=True)):
            tone = row.tone if not at else "quiet" if column.is_quiet else ""
            style = base
            if tone and not is_chosen:
                style += self.get_component_rich_style(f"result-list--{tone}", partial=True)
            text = row.cells[at] if at < len(row.cells) else ""
            segments.append(Segment(placed(text, cells, is_right=column.is_right), style))
        return Strip(segments).adjust_cell_length(width, base)


def placed(text: str, cells: int, *, is_right: bool) -> str:
    """The text in exactly so many cells, the last of them blank."""
    if cells < 1:
        return ""
    text = fitted(text, cells - 1) if cell_len(text) >= cells else text
    blanks = cells - 1 - cell_len(text)
    return f"{' ' * blanks}{text} " if is_right else set_cell_size(text, cells)
