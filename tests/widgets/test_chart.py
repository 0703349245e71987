"""A chart is drawn when it is seen and has changed, keeps its measure, and can be read without a colour."""

from __future__ import annotations

import math
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from textual.app import App, ComposeResult
from textual.geometry import Region
from textual.pilot import Pilot

from tests.console.fakes import until
from widgets import chart as chart_module
from widgets.chart import Chart, Plots
from widgets.chart_data import (
    BLOCKS,
    DIGITS,
    ChartData,
    Point,
    Series,
    brief,
    label_rows,
    minutes,
    scale_of,
    segments,
    spark,
    thinned,
)
from widgets.chart_rows import LIMIT, PLAIN, Drawing, Run, changed, fitted, runs

NAN, INF = math.nan, math.inf


def line(label: str, *values: float | None, note: str = "") -> Series:
    """A series with a value a second."""
    return Series(label, tuple((float(place), value) for place, value in enumerate(values)), note)


def data(*series: Series, **more: object) -> ChartData:
    """A chart of a minute."""
    return ChartData("latency", series, unit="ms", **more)  # type: ignore[arg-type]


TWO = data(line("p50", *range(30)), line("p99", *range(0, 90, 3)), limit=60.0, limit_label="limit 60")


class Host(App[None]):
    """One chart, and what it repaints."""

    CSS = "Chart { width: 60; height: 12; }"

    def compose(self) -> ComposeResult:
        yield Chart()


@asynccontextmanager
async def shown(
    wanted: ChartData, prepare: Callable[[Chart], None] = lambda chart: None
) -> AsyncIterator[tuple[Chart, Pilot[None]]]:
    """A chart that has drawn `wanted`."""
    async with Host().run_test(size=(80, 20)) as pilot:
        chart = pilot.app.query_one(Chart)
        prepare(chart)
        chart.show(wanted)
        await until(pilot, lambda: chart.draws > 0)
        yield chart, pilot


async def test_the_lines_their_labels_the_limit_and_the_axes_are_there() -> None:
    async with shown(TWO) as (chart, _):
        rows = chart.shown.split("\n")
        assert rows[0].startswith(" latency ms  p50  p99")
        assert rows[0].endswith("limit 60")
        assert rows[1].startswith("  100┤")
        assert any("─" in row for row in rows[1:-1]), "the limit is a line"
        assert [row.split()[-1] for row in rows if row.endswith(("p50", "p99"))] == ["p99", "p50"]
        assert rows[-1].split() == ["0:00", "0:30", "1:00"]
        assert len(rows) == 12
        assert any("⠀" <= char <= "⣿" for char in chart.shown)


async def test_a_terminal_without_utf8_gets_a_mark_of_its_own_for_each_line() -> None:
    def prepare(chart: Chart) -> None:
        chart.is_ascii = True

    async with shown(TWO, prepare) as (chart, _):
        drawn = "".join(row[6:54] for row in chart.shown.split("\n")[1:-1])
        assert {"*", "+"} <= set(drawn)
        assert not any("⠀" <= char <= "⣿" for char in chart.shown)


@pytest.mark.parametrize(
    "points",
    [(), (None, None), (NAN,), (INF, -INF), (NAN, None, INF)],
    ids=["no", "None", "NaN", "inf", "all"],
)
async def test_without_a_value_it_says_so(points: tuple[float | None, ...]) -> None:
    async with shown(
        data(line("p50", *points), limit=1.0, limit_label="limit 1", empty="no replies yet")
    ) as (
        chart,
        _,
    ):
        assert chart.shown.split() == ["latency", "ms", "p50", "no", "replies", "yet"]


@pytest.mark.parametrize("is_log", [False, True])
@pytest.mark.parametrize("is_compact", [False, True])
async def test_whatever_the_values_are_it_draws(is_log: bool, is_compact: bool) -> None:
    def prepare(chart: Chart) -> None:
        chart.is_compact = is_compact

    hostile = line("p50", 0.0, NAN, -5.0, 1e300, None, 1e-300, INF, 3.0)
    async with shown(data(hostile, limit=NAN, is_log=is_log), prepare) as (chart, _):
        assert len(chart.shown) > 20


async def test_it_is_drawn_at_most_twice_a_second_and_ends_with_the_newest() -> None:
    async with shown(data(line("p50", 1.0))) as (chart, pilot):
        for count in range(2, 40):
            chart.show(data(line("p50", *[1.0] * count, note=str(count))))
        assert chart.draws == 1
        await until(pilot, lambda: chart.draws == 2)
        assert chart.shown.startswith(" latency ms  p50 39")


async def test_the_same_data_is_not_drawn_again_and_a_hidden_chart_not_at_all() -> None:
    async with shown(TWO) as (chart, pilot):
        for _ in range(3):
            chart.show(TWO)
        await pilot.pause(0.6)
        assert chart.draws == 1
        chart.display = False
        await pilot.pause()
        chart.show(data(line("p50", 5.0)))
        await pilot.pause(0.6)
        assert chart.draws == 1
        chart.display = True
        await until(pilot, lambda: chart.draws == 2)
        assert "p99" not in chart.shown


async def test_only_cells_that_changed_are_repainted(monkeypatch: pytest.MonkeyPatch) -> None:
    long = [10.0 + place % 3 for place in range(40)]
    async with shown(data(line("p50", *long[:30]))) as (chart, pilot):
        seen: list[Region] = []
        refresh = chart.refresh

        def noted(*regions: Region) -> object:
            seen.extend(regions or [chart.region])
            return refresh(*regions)

        monkeypatch.setattr(chart, "refresh", noted)
        chart.show(data(line("p50", *long[:32])))
        await until(pilot, lambda: chart.draws == 2)
        assert seen
        assert sum(region.area for region in seen) < 60 * 12 / 8


async def test_a_long_run_is_not_plotted_again_for_a_second_that_cannot_be_seen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    plots: list[Drawing] = []
    plotted = chart_module.plotted

    def noted(drawing: Drawing) -> list[list[Run]]:
        plots.append(drawing)
        return plotted(drawing)

    monkeypatch.setattr(chart_module, "plotted", noted)
    hour = [5.0] * 590
    async with shown(data(line("p50", *hour), x_to=3600.0)) as (chart, pilot):
        chart.show(data(line("p50", *hour, 5.0, note="5"), x_to=3600.0))
        await until(pilot, lambda: chart.draws == 2)
        assert len(plots) == 1


async def test_where_plotext_cannot_be_used_the_series_are_rows_of_blocks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "plotext", None)
    monkeypatch.setattr(Plots, "library", None)
    monkeypatch.setattr(Plots, "is_missing", False)
    async with shown(TWO) as (chart, _):
        assert Plots.is_missing
        assert chart.shown.split("\n")[1].startswith(" p50  ▁")


async def test_text_from_outside_stays_text() -> None:
    hostile = ChartData(
        "[red]x[/red] [/y]", (line("[/z]", 1.0, 2.0),), limit=1.0, limit_label="[@click=app.quit]a[/]"
    )
    async with shown(hostile) as (chart, _):
        assert "[red]x[/red] [/y]" in chart.shown
        assert "[@click=app.quit]a[/]" in chart.shown
        assert chart.render_line(0).text.startswith(" [red]x[/red]")


@pytest.mark.parametrize(
    ("values", "limit", "high", "ticks"),
    [
        ([0.0, 37.0], None, 40.0, (0.0, 20.0, 40.0)),
        ([3.0], 10.0, 15.0, (0.0, 7.5, 15.0)),
        ([3.0], 1000.0, 3.0, (0.0, 1.5, 3.0)),
        ([], 10.0, 15.0, (0.0, 7.5, 15.0)),
        ([0.0], None, 1.0, (0.0, 0.5, 1.0)),
    ],
)
def test_a_linear_scale_begins_at_nought_and_ends_at_a_round_number(
    values: list[float], limit: float | None, high: float, ticks: tuple[float, ...]
) -> None:
    scale = scale_of(data(line("p50", *values), limit=limit))
    assert (scale.low, scale.high, scale.ticks) == (0.0, high, ticks)


@pytest.mark.parametrize(
    ("values", "limit", "low", "high"),
    [
        ([30.0, 480.0], 1000.0, 20.0, 1000.0),
        ([30.0, 1480.0], 1000.0, 20.0, 2000.0),
        ([5.0], None, 0.5, 5.0),
        ([0.0], None, 0.1, 1.0),
        ([1e-9, 1e9], None, 1e4, 1e9),
    ],
)
def test_a_log_scale_holds_data_and_limit(
    values: list[float], limit: float | None, low: float, high: float
) -> None:
    scale = scale_of(data(line("p50", *values), limit=limit, is_log=True))
    assert (scale.low, scale.high) == pytest.approx((low, high))
    assert scale.ticks
    assert all(0.0 <= scale.height(value) <= 1.0 for value in (*values, 1e99, -1.0))


def test_a_column_shows_its_peak_and_a_gap_stays_a_gap() -> None:
    points: list[Point] = [
        (0.0, 1.0),
        (0.5, 9.0),
        (1.0, None),
        (2.0, 2.0),
        (3.0, NAN),
        (9.0, 4.0),
        (11.0, 5.0),
    ]
    assert thinned(points, 0.0, 10.0, 10) == [(0.0, 9.0), (1.0, None), (2.0, 2.0), (3.0, None), (9.0, 4.0)]
    assert segments(thinned(points, 0.0, 10.0, 10)) == [[(0.0, 9.0)], [(2.0, 2.0)], [(9.0, 4.0)]]


def test_a_row_of_blocks_fills_from_the_left() -> None:
    chart = data(line("p50", *range(8)), x_to=16.0)
    points = chart.series[0].points
    assert spark(points, chart, scale_of(chart), 16, BLOCKS) == "▁▂▃▄▅▆▇█"
    assert spark(points, chart, scale_of(chart), 4, DIGITS) == "38"


def test_labels_never_share_a_row() -> None:
    assert label_rows([(3, "p50"), (3, "p95"), (3, "p99")], 8) == {0: 3, 1: 2, 2: 4}
    assert sorted(label_rows([(0, "a"), (0, "b"), (0, "c")], 2).values()) == [0, 1]


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.5, "0.5"), (1500, "1500"), (12500, "12.5k"), (3e9, "3000M"), (1e300, "-")],
)
def test_numbers_are_brief(value: float, text: str) -> None:
    assert brief(value) == text or (text == "-" and len(brief(value)) > 5)
    assert (minutes(5), minutes(90), minutes(3720)) == ("0:05", "1:30", "1:02:00")


def test_what_plotext_coloured_keeps_its_tone_and_rows_keep_their_width() -> None:
    row = runs("\x1b[0m  5┤\x1b[0m\x1b[38;5;8m\x1b[48;5;15m──\x1b[0m\x1b[38;5;1m⣀\x1b[0m ")
    assert row == [("  5┤", PLAIN), ("──", LIMIT), ("⣀", 1), (" ", PLAIN)]
    assert "".join(text for text, _ in fitted(row, 5)) == "  5┤─"
    assert sum(len(text) for text, _ in fitted(row, 20)) == 20
    assert changed([("a", 0), ("b", 0), ("c", 0)], [("a", 0), ("x", 0), ("c", 1)]) == (1, 3)
    assert changed([("a", 0)], [("a", 0)]) is None
