"""The rows of a chart as text with tones: title, compact series, what plotext is to draw, and what changed in them."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rich.cells import cell_len, set_cell_size

from widgets.chart_data import (
    BLOCKS,
    DIGITS,
    ChartData,
    Point,
    Scale,
    brief,
    is_in_sight,
    minutes,
    spark,
    thinned,
)

Y_CELLS, LABEL_CELLS = 6, 6
PLAIN, LIMIT, QUIET, BOLD = 0, 8, 9, 10
"""Tones of cells; 1 to 6 are the series."""
COLOURED = re.compile(r"\x1b\[(?:38;5;(\d+)|[0-9;]*)m")

Run = tuple[str, int]
"""Text and its tone."""


def label_cells(label: str) -> str:
    """The label with a blank before and, where it is short enough, behind it."""
    return set_cell_size(f" {label}", LABEL_CELLS)


def title(data: ChartData, scale: Scale) -> list[Run]:
    """The title, the series with their newest values, and the limit."""
    row: list[Run] = [(f" {data.title}", BOLD), (f" {data.unit}" if data.unit else "", QUIET)]
    for place, line in enumerate(data.series, 1):
        row += [("  " + line.label, place), (f" {line.note}" if line.note else "", PLAIN)]
    if data.limit_label and not data.is_blank:
        mark = "" if is_in_sight(data, scale) else " ▲"
        row.append((f"  {data.limit_label}{mark}", LIMIT))
    return row


def compact(data: ChartData, scale: Scale, width: int, *, is_ascii: bool) -> list[list[Run]]:
    """A row of blocks (of digits, in ASCII) for each series, and the time below."""
    levels = DIGITS if is_ascii else BLOCKS
    cells = max(1, width - LABEL_CELLS - Y_CELLS)
    rows: list[list[Run]] = []
    for place, line in enumerate(data.series, 1):
        text = spark(line.points, data, scale, cells, levels)
        rows.append([(label_cells(line.label), place), (text, place)])
    ends = f"{brief(scale.low)} to {brief(scale.high)} {data.unit}, {minutes(data.x_from)} to {minutes(data.x_to)}"
    return [*rows, [(" " * LABEL_CELLS + ends, QUIET)]]


def runs(text: str) -> list[Run]:
    """A row of plotext's as text and tones."""
    found: list[Run] = []
    tone, at = PLAIN, 0
    for code in COLOURED.finditer(text):
        if code.start() > at:
            found.append((text[at : code.start()], tone))
        tone, at = int(code[1]) if code[1] else PLAIN if code[0] == "\x1b[0m" else tone, code.end()
    return [*found, (text[at:], tone)] if at < len(text) else found


def fitted(row: list[Run], width: int) -> list[Run]:
    """The row in exactly `width` cells."""
    found: list[Run] = []
    for text, tone in row:
        text = text if cell_len(text) <= width else set_cell_size(text, width)
        width -= cell_len(text)
        found += [(text, tone)] if text else []
    return [*found, (" " * width, PLAIN)] if width > 0 else found


def cells_of(row: list[Run]) -> list[Run]:
    """The row cell by cell; a wide character's second cell is its own."""
    return [
        (char if cell == 0 else "", tone)
        for text, tone in row
        for char in text
        for cell in range(cell_len(char))
    ]


def changed(old: list[Run], new: list[Run]) -> tuple[int, int] | None:
    """From the first to behind the last cell that differs; None where none does."""
    places = [
        place for place in range(max(len(old), len(new))) if old[place : place + 1] != new[place : place + 1]
    ]
    return (places[0], places[-1] + 1) if places else None


@dataclass(frozen=True, slots=True)
class Drawing:
    """What plotext is asked for: everything that decides how the lines look, and nothing else."""

    width: int
    height: int
    scale: Scale
    limit: float | None
    """Its height; None where it is not drawn."""
    times: tuple[str, ...]
    lines: tuple[tuple[Point, ...], ...]
    """By column, with values."""
    ends: tuple[tuple[int, str], ...]
    """The row and the label of each line's end."""
    is_ascii: bool


def drawing_of(data: ChartData, scale: Scale, width: int, height: int, *, is_ascii: bool) -> Drawing:
    """The drawing in so many cells."""
    cells = width - Y_CELLS - LABEL_CELLS
    lines = tuple(tuple(thinned(line.points, data.x_from, data.x_to, cells)) for line in data.series)
    lasts = (next((y for _, y in reversed(line) if y is not None), scale.high) for line in lines)
    rows = (round((1 - scale.height(last)) * (height - 2)) for last in lasts)
    labels = (line.label for line in data.series)
    return Drawing(
        width,
        height,
        scale,
        scale.height(data.limit) if data.limit is not None and is_in_sight(data, scale) else None,
        tuple(minutes(place) for place in (data.x_from, (data.x_from + data.x_to) / 2, data.x_to)),
        lines,
        tuple(zip(rows, labels, strict=True)),
        is_ascii,
    )
