"""A chart of lines, drawn by plotext: only when it is seen and has changed, and at most twice a second.

What is drawn is compared with what stands there, and only the cells that changed are sent to the terminal.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any, ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import work
from textual.geometry import Region
from textual.strip import Strip
from textual.timer import Timer
from textual.widget import Widget

from widgets.chart_data import ChartData, brief, label_rows, scale_of, segments
from widgets.chart_rows import (
    BOLD,
    LABEL_CELLS,
    LIMIT,
    QUIET,
    Y_CELLS,
    Drawing,
    Run,
    cells_of,
    changed,
    compact,
    drawing_of,
    fitted,
    label_cells,
    runs,
    title,
)

DRAW_EVERY_S, DRAW_COMPACT_EVERY_S = 0.5, 2.0
"""How often at most it is drawn; compact is for lines that carry little."""
LEAST_CELLS, LEAST_ROWS = 32, 5
"""A chart in less room is drawn compact."""
NAMES = {
    **{place: f"chart--series-{place}" for place in range(1, 7)},
    LIMIT: "chart--limit",
    QUIET: "chart--quiet",
    BOLD: "chart--title",
}
ASCII_MARKERS = "*+ox#%"


class Chart(Widget):
    """Shows one `ChartData` at a time: a title with the newest values, the lines with their labels, the limit."""

    DEFAULT_CSS = """
    Chart { background: $surface; color: $foreground; }
    Chart > .chart--title { text-style: bold; }
    Chart > .chart--quiet { color: $foreground-muted; }
    Chart > .chart--limit { color: $text-error; }
    Chart > .chart--series-1 { color: $text-primary; }
    Chart > .chart--series-2 { color: $text-accent; }
    Chart > .chart--series-3 { color: $foreground; }
    Chart > .chart--series-4 { color: $text-success; }
    Chart > .chart--series-5 { color: $text-warning; }
    Chart > .chart--series-6 { color: $foreground-muted; }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = set(NAMES.values())

    def __init__(self, *, id: str | None = None) -> None:  # noqa: A002 - the framework's name
        super().__init__(id=id)
        self.is_ascii = False
        """Whether only ASCII can be shown."""
        self.is_compact = False
        """Whether each series is one row of blocks, every two seconds: little to send."""
        self.draws = 0
        """How often it was drawn."""
        self._data: ChartData | None = None
        self._is_stale = self._is_fetching = False
        self._drawn_at = float("-inf")
        self._timer: Timer | None = None
        self._rows: list[list[Run]] = []
        self._drawing: Drawing | None = None
        self._plot: list[list[Run]] = []

    @property
    def shown(self) -> str:
        """The rows as they stand."""
        return "\n".join("".join(text for text, _ in row).rstrip() for row in self._rows)

    def show(self, data: ChartData) -> None:
        """Show `data`, soon; while it is not seen, it is only kept."""
        if data != self._data:
            self._data, self._is_stale = data, True
        if self._is_stale:
            self._draw_soon()

    def redraw(self) -> None:
        """Draw again although the data is the same: another size, or compact."""
        self._is_stale, self._drawn_at = True, float("-inf")
        self._draw_soon()

    def on_resize(self) -> None:
        """Another size is another drawing."""
        self.redraw()

    def on_show(self) -> None:
        """It is seen again."""
        self._draw_soon()

    def _draw_soon(self) -> None:
        every_s = DRAW_COMPACT_EVERY_S if self.is_compact else DRAW_EVERY_S
        wait_s = self._drawn_at + every_s - time.monotonic()
        if self._timer is not None:
            self._timer.stop()
            self._timer = None
        if wait_s > 0.01:
            self._timer = self.set_timer(wait_s, self._draw)
        else:
            self._draw()

    @property
    def _is_seen(self) -> bool:
        return self.is_attached and self.screen in self.app.screen_stack and bool(self.size) and self.display

    def _draw(self) -> None:
        self._timer = None
        if self._data is None or not self._is_stale or not self._is_seen:
            return
        (width, height), data = self.size, self._data
        scale = scale_of(data)
        rows = [title(data, scale)]
        if data.is_blank:
            rows += [[], [(f" {data.empty}", QUIET)]]
        elif self.is_compact or Plots.is_missing or width < LEAST_CELLS or height < LEAST_ROWS:
            rows += compact(data, scale, width, is_ascii=self.is_ascii)
        elif Plots.library is None:
            if not self._is_fetching:
                self._is_fetching = True
                self._fetch()
            return
        else:
            rows += self._plotted(drawing_of(data, scale, width, height - 1, is_ascii=self.is_ascii))
        self._is_stale, self._drawn_at = False, time.monotonic()
        self.draws += 1
        self._put([fitted(row, width) for row in rows[:height]])

    def _plotted(self, drawing: Drawing) -> list[list[Run]]:
        """Of a long run most seconds change nothing that can be seen."""
        if drawing != self._drawing:
            self._drawing, self._plot = drawing, plotted(drawing)
        return self._plot

    @work(group="plots")
    async def _fetch(self) -> None:
        await asyncio.to_thread(Plots.fetch)
        self._is_fetching = False
        self._draw()

    def _put(self, rows: list[list[Run]]) -> None:
        """Take `rows` in place of those that stand there, and repaint what differs."""
        before, self._rows = self._rows, rows
        if len(before) != len(rows):
            self.refresh()
            return
        for y, (old, new) in enumerate(zip(before, rows, strict=True)):
            if old != new and (span := changed(cells_of(old), cells_of(new))):
                self.refresh(Region(span[0], y, span[1] - span[0], 1))

    def render_line(self, y: int) -> Strip:
        """One row, as it was drawn last."""
        width, base = self.size.width, self.rich_style
        if y >= len(self._rows):
            return Strip.blank(width, base)
        row = self._rows[y]
        tones = {tone: self._style(tone, base) for _, tone in row}
        return Strip([Segment(text, tones[tone]) for text, tone in row]).adjust_cell_length(width, base)

    def _style(self, tone: int, base: Style) -> Style:
        name = NAMES.get(tone)
        return base + self.get_component_rich_style(name, partial=True) if name else base


class Plots:
    """plotext, which takes 0.15 s to import: fetched in a thread when the first chart is drawn."""

    library: Any = None
    is_missing = False
    """Whether it cannot be used on this system: its compiled part is not there."""

    @classmethod
    def fetch(cls) -> None:
        """Import it; any thread may."""
        try:
            import plotext
        except ImportError:
            cls.is_missing = True
        else:
            plotext.terminal.limit(False, False)  # the widget has a size of its own
            cls.library = plotext


def plotted(drawing: Drawing) -> list[list[Run]]:
    """The lines, drawn by plotext, with the labels beside their ends."""
    plots, scale, height = Plots.library, drawing.scale, drawing.height
    last = drawing.width - Y_CELLS - LABEL_CELLS - 1
    figure = type(plots.figure)(plots.terminal)  # one of our own: a report may be drawn at the same time
    figure.theme("colorless")
    figure.plot_size(drawing.width - LABEL_CELLS, height)
    figure.axes(False, axis=0)
    figure.axes(False, axis=1, side=1)
    figure.ruler("y").lim(0, 1).ticks(
        [scale.height(tick) for tick in scale.ticks],
        labels=[brief(tick).rjust(Y_CELLS - 1) for tick in scale.ticks],
    )
    figure.ruler("x").lim(0, last).ticks([0, last / 2, last], labels=list(drawing.times))
    if drawing.limit is not None:
        figure.line(drawing.limit, 0, pixel=plots.pixel(foreground=LIMIT))
    for place, line in enumerate(drawing.lines, 1):
        symbol = ASCII_MARKERS[place - 1] if drawing.is_ascii else "braille"
        marker = plots.marker(symbol, pixel=plots.pixel(foreground=place))
        for stretch in segments(line):
            heights = [scale.height(y) for _, y in stretch]
            figure.draw(figure.signal([x for x, _ in stretch], heights, marker=marker).lines(True))
    rows = [runs(text) for text in figure.build().string().split("\n")[:height]]
    for place, row in label_rows(drawing.ends, height - 1).items():
        rows[row].append((label_cells(drawing.ends[place][1]), place + 1))
    return rows
