"""What a chart is given, and the sums behind it: scale, thinning to the columns there are, and a line of blocks."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

Point = tuple[float, float | None]
"""Place and value; None where nothing was measured, which breaks the line."""

BLOCKS, DIGITS = "▁▂▃▄▅▆▇█", "0123456789"
NICE = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
LOG_STEPS = (1.0, 2.0, 5.0, 10.0)
LIMIT_IN_SIGHT = 4.0
"""A limit further above the data than so many times is told and not drawn: the data would lie flat at the bottom."""
MOST_DECADES = 5


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a chart."""

    label: str
    """At most four cells: it stands beside the line's end, so that no colour is needed to tell lines apart."""
    points: tuple[Point, ...]
    """In order of place."""
    note: str = ""
    """The newest value in words."""


@dataclass(frozen=True, slots=True)
class ChartData:
    """Everything that a chart shows. Its window is fixed and fills from the left, so that few cells change."""

    title: str
    series: tuple[Series, ...] = ()
    limit: float | None = None
    limit_label: str = ""
    unit: str = ""
    x_from: float = 0.0
    """In seconds."""
    x_to: float = 60.0
    is_log: bool = False
    """Whether equal distances are equal ratios."""
    empty: str = "nothing was measured"
    """What is said where there is no value."""

    @property
    def is_blank(self) -> bool:
        """Whether there is no value at all."""
        return not any(y is not None and math.isfinite(y) for line in self.series for _, y in line.points)

    @property
    def values(self) -> list[float]:
        """Every finite value."""
        isfinite = math.isfinite
        return [y for line in self.series for _, y in line.points if y is not None and isfinite(y)]


@dataclass(frozen=True, slots=True)
class Scale:
    """From values to heights: 0 is the bottom, 1 the top."""

    low: float
    high: float
    ticks: tuple[float, ...]
    is_log: bool = False

    def height(self, value: float) -> float:
        """Where a value stands; what is beyond the scale stands at its edge."""
        value = min(self.high, max(self.low, value))
        if self.is_log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


def is_number(value: float | None) -> bool:
    """Whether there is a value, and it is finite."""
    return value is not None and math.isfinite(value)


def scale_of(data: ChartData) -> Scale:
    """A scale that changes seldom: round numbers, and from 0 where it is linear."""
    values, limit = data.values, data.limit if is_number(data.limit) else None
    most = max(values, default=0.0)
    if data.is_log:
        positive = [value for value in (*values, limit) if value is not None and value > 0] or [1.0]
        high = rounded_up(max(positive), LOG_STEPS)
        low = max(min(1 / rounded_up(1 / min(positive), LOG_STEPS), high / 10), high / 10**MOST_DECADES)
        first, last = math.ceil(math.log10(low) - 1e-9), math.floor(math.log10(high) + 1e-9)
        decades = (10.0**power for power in range(first, last + 1))
        return Scale(low, high, tuple(decades), is_log=True)
    if limit is not None and (not values or limit <= LIMIT_IN_SIGHT * most):
        most = max(most, limit * 1.05)
    high = rounded_up(most)
    return Scale(0.0, high, (0.0, high / 2, high))


def is_in_sight(data: ChartData, scale: Scale) -> bool:
    """Whether the limit can be drawn."""
    return is_number(data.limit) and scale.low <= (data.limit or 0.0) <= scale.high


def rounded_up(value: float, steps: Sequence[float] = NICE) -> float:
    """The next round number: one of `steps` times a power of ten; 1 for what is not above 0."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next((step * power for step in steps if value <= step * power * 1.000001), 10 * power)


def brief(value: float) -> str:
    """A number in at most five cells: `0.5`, `12`, `1500`, `12.5k`."""
    for limit, unit in ((1e4, ""), (1e7, "k"), (1e10, "M"), (math.inf, "G")):
        if abs(value) < limit:
            scaled = value / {"": 1, "k": 1e3, "M": 1e6, "G": 1e9}[unit]
            return f"{scaled:.3g}{unit}" if abs(scaled) < 1000 else f"{scaled:.0f}{unit}"
    return "-"


def minutes(seconds: float) -> str:
    """A place on the time axis: `0:05`, `1:30`, `1:02:00`."""
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02}:{rest % 60:02}" if hours else f"{rest // 60}:{rest % 60:02}"


def thinned(points: Iterable[Point], x_from: float, x_to: float, columns: int) -> list[Point]:
    """One point for each column that has any, by column: the greatest value in it, so that no peak is hidden."""
    factor, last, isfinite = columns / max(x_to - x_from, 1e-9), columns - 1, math.isfinite
    found: dict[int, float | None] = {}
    for x, y in points:
        if not x_from <= x <= x_to:
            continue
        if y is not None and not isfinite(y):
            y = None
        column = min(last, int((x - x_from) * factor))
        known = found.get(column)
        if known is None or (y is not None and y > known):
            found[column] = y
    return [(float(column), found[column]) for column in sorted(found)]


def segments(points: Iterable[Point]) -> list[list[tuple[float, float]]]:
    """The stretches without a gap."""
    found: list[list[tuple[float, float]]] = [[]]
    for x, y in points:
        if y is not None:
            found[-1].append((x, y))
        elif found[-1]:
            found.append([])
    return [stretch for stretch in found if stretch]


def spark(points: Iterable[Point], data: ChartData, scale: Scale, cells: int, levels: str) -> str:
    """The line as one row of `levels`; blank where nothing was measured."""
    known = dict(thinned(points, data.x_from, data.x_to, cells))
    text, last = "", None
    for place in range(int(max(known, default=-1.0)) + 1):
        last = known.get(float(place), last)
        height = None if last is None else scale.height(last)
        text += " " if height is None else levels[min(len(levels) - 1, int(height * len(levels)))]
    return text


def label_rows(ends: Sequence[tuple[int, str]], rows: int) -> dict[int, int]:
    """The row for the label of each series (by place in `ends`: row wanted, label); two never share one."""
    taken: dict[int, int] = {}
    for place, (wanted, _) in sorted(enumerate(ends), key=lambda entry: entry[1][0]):
        free = (row for row in sorted(range(rows), key=lambda row: abs(row - wanted)) if row not in taken)
        if (row := next(free, None)) is not None:
            taken[row] = place
    return {place: row for row, place in taken.items()}
