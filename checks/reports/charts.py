"""Charts as fixed plain text for a report: the same in a browser, in `less` and in a diff, on every host.

Not plotext's: it draws in colours, and its compiled part is not there on every host that can write a report.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

WIDTH = 92
"""Columns at most, but for the last label of the time axis."""
ROWS = 9
"""Rows of the drawing itself; title, legend and axis take five more at most."""
GUTTER = 8
"""Columns of the labels at the left, with the axis."""
LIMIT_MARK = "-"
IN_SIGHT = 4.0
"""A limit further above the data than so many times is told and not drawn: the data would lie flat at the bottom."""
LEAST, MOST = 1e-9, 1e12
"""Values below look like 0, values above cannot be drawn."""
NICE = (1.0, 1.2, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
TICK_EVERY = 16
"""Columns between two labels of the time axis, at least."""
EVERY_S = (
    *(1, 2, 5, 10, 15, 30),
    *(60, 120, 300, 600, 900, 1800),
    *(3600, 7200, 14400, 43200),
    86400,
    1 << 40,
)
"""Seconds between two labels."""

Point = tuple[int, float | None]
"""Second and value; None where nothing was measured."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a chart. Where lines meet, the one named last is seen."""

    label: str
    mark: str
    """One character; tells the lines apart without a colour."""
    points: tuple[Point, ...]
    is_low_bad: bool = False
    """Whether the least value is the one to keep of several."""
    is_rare: bool = False
    """Whether 0 is the rule, and is not drawn."""

    @property
    def values(self) -> list[float]:
        """Every value that can be drawn."""
        return [value for _, value in self.drawn]

    @property
    def drawn(self) -> list[tuple[int, float]]:
        """Every point that can be drawn."""
        return [
            (second, value)
            for second, value in self.points
            if value is not None and is_number(value) and (value or not self.is_rare)
        ]

    @property
    def legend(self) -> str:
        """Mark and label, and why it is not drawn where it is not."""
        if self.drawn:
            return f"{self.mark} {self.label}"
        is_known = any(is_number(value) for _, value in self.points)
        return f"({self.label}: {'none' if is_known else 'not seen'})"


@dataclass(frozen=True, slots=True)
class Limit:
    """A line across the chart."""

    value: float
    label: str
    """As it is told: `limit 1 s`."""


@dataclass(frozen=True, slots=True)
class _Columns:
    """Which column a second stands in: a second has several in a short run, a column several seconds in a long one."""

    first: int
    last: int

    @property
    def seconds(self) -> int:
        """Seconds that the chart spans."""
        return self.last - self.first + 1

    @property
    def wide(self) -> int:
        """Columns of one second, 1 where several share a column."""
        return max(1, (WIDTH - GUTTER) // self.seconds)

    @property
    def count(self) -> int:
        """Columns of the drawing."""
        return min(self.seconds * self.wide, WIDTH - GUTTER)

    @property
    def most(self) -> int:
        """Seconds that share one column at most."""
        return math.ceil(self.seconds / self.count)

    def of(self, second: int) -> int:
        """The first column of a second."""
        return (second - self.first) * self.count // self.seconds


def is_number(value: float | None) -> bool:
    """Whether there is a value that can be drawn."""
    return value is not None and abs(value) < MOST


def chart(
    title: str,
    lines: Sequence[Line],
    *,
    limit: Limit | None = None,
    marks: Sequence[tuple[int, str]] = (),
    rows: int = ROWS,
) -> str:
    """The lines over their seconds, from 0 up; `marks` are told below the axis from their second on.

    A column that holds several seconds shows the worst of them, so that nothing is hidden. One sentence in place of a
    drawing where there is no value.
    """
    drawn = [line for line in lines if line.values]
    if not drawn:
        return f"{title}: nothing was seen."
    seconds = [second for line in lines for second, _ in line.points]
    columns = _Columns(min(seconds), max(seconds))
    most = max(max(line.values) for line in drawn)
    is_limit_drawn = limit is not None and is_number(limit.value) and limit.value <= IN_SIGHT * most
    high = rounded_up(max(most, limit.value) if limit and is_limit_drawn else most)
    cells = [[" "] * columns.count for _ in range(rows)]
    if limit and is_limit_drawn:
        cells[_row(limit.value, high, rows)] = [LIMIT_MARK] * columns.count
    for line in drawn:
        for column, value in _thinned(line, columns).items():
            for place in range(column, column + columns.wide):
                cells[_row(value, high, rows)][place] = line.mark
    ticks = {0: high, (rows - 1) // 2: high * (1 - ((rows - 1) // 2) / (rows - 1)), rows - 1: 0.0}
    text = [_title(title, columns), _legend(lines, limit, is_limit_drawn)]
    for number, row in enumerate(cells):
        label = brief(ticks[number]) if number in ticks else ""
        text.append(f"{label:>{GUTTER - 2}} {'┤' if label else '│'}{''.join(row)}")
    text += [_axis(columns), _times(columns), _marked(marks, columns)]
    return "\n".join(line.rstrip() for line in text if line.strip())


def _title(title: str, columns: _Columns) -> str:
    return f"{title}; a column is the worst of up to {columns.most} s" if columns.most > 1 else title


def _legend(lines: Iterable[Line], limit: Limit | None, is_limit_drawn: bool) -> str:
    told = [line.legend for line in lines]
    if limit is not None:
        told.append(f"{LIMIT_MARK} {limit.label}" if is_limit_drawn else f"({limit.label}: far above)")
    return f"{'':{GUTTER}}{'   '.join(told)}"


def _thinned(line: Line, columns: _Columns) -> dict[int, float]:
    """Column -> the worst value in it."""
    worst, found = min if line.is_low_bad else max, dict[int, float]()
    for second, value in line.drawn:
        column = columns.of(second)
        found[column] = worst(found.get(column, value), value)
    return found


def _row(value: float, high: float, rows: int) -> int:
    """The row of a value, counted from the top."""
    share = min(1.0, max(0.0, value / high))
    return rows - 1 - round(share * (rows - 1))


def _axis(columns: _Columns) -> str:
    ticks = {columns.of(second) for second in _ticks(columns)}
    return f"{'':{GUTTER - 1}}└" + "".join("┬" if place in ticks else "─" for place in range(columns.count))


def _times(columns: _Columns) -> str:
    text = ""
    for second in _ticks(columns):
        text = f"{text:<{GUTTER + columns.of(second)}}{clock(second)}"
    return text


def _ticks(columns: _Columns) -> range:
    """The seconds that the axis is labelled with: round ones, far enough apart."""
    every_s = next(step for step in EVERY_S if step * columns.count >= TICK_EVERY * columns.seconds)
    return range(-(-columns.first // every_s) * every_s, columns.last + 1, every_s)


def _marked(marks: Sequence[tuple[int, str]], columns: _Columns) -> str:
    """Labels below the axis; one that has no room before the next is its bar alone."""
    shown = {columns.of(second): label for second, label in marks if columns.first <= second <= columns.last}
    places = [*sorted(shown), WIDTH - GUTTER]
    text = ""
    for place, after in pairwise(places):
        label = shown[place] if len(shown[place]) < after - place else ""
        text = f"{text:<{place}}|{label}"
    return f"{'':{GUTTER}}{text}"


def rounded_up(value: float) -> float:
    """The next round number; 1 for what is not above 0, or hardly."""
    if value < LEAST:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (*NICE, 20.0) if value <= step * power * (1 + 1e-9))


def brief(value: float) -> str:
    """A number in at most six columns: `0.5`, `12`, `1500`, `12.5k`."""
    for bound, divisor, unit in ((1e4, 1.0, ""), (1e7, 1e3, "k"), (1e10, 1e6, "M")):
        if value < bound:
            scaled = value / divisor
            return f"{scaled:.0f}{unit}" if scaled >= 1000 else f"{scaled:.3g}{unit}"
    return f"{value:.0e}"


def clock(seconds: int) -> str:
    """A place on the time axis: `0:05`, `1:30`, `1:02:00`."""
    hours, rest = divmod(seconds, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"
