"""Charts as text: the same everywhere, never too large, and no peak, gap or limit is hidden by thinning."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checks.reports.charts import GUTTER, Limit, Line, brief, chart, clock, rounded_up

LONGEST = 100


def flat(count: int, value: float | None = 10.0, mark: str = "*") -> Line:
    """A line of one value."""
    return Line("flat", mark, tuple((place, value) for place in range(count)))


def drawing(text: str) -> list[str]:
    """The rows of the drawing, without labels."""
    return [line[GUTTER:] for line in text.split("\n") if line[GUTTER - 1 : GUTTER] in ("│", "┤")]


@pytest.mark.parametrize("count", [1, 2, 17, 84, 85, 97, 168, 3603, 20_000])
def test_it_is_plain_small_and_always_the_same(count: int) -> None:
    waves = tuple((place, 5 + math.sin(place / 9)) for place in range(count))
    lines = [flat(count), Line("wave", "+", waves)]
    text = chart("Title", lines, limit=Limit(12, "limit 12"), marks=[(0, "ramp"), (count // 2, "hold")])
    rows = text.split("\n")
    assert len(rows) <= 14
    assert max(map(len, rows)) <= LONGEST
    assert all(row.isprintable() for row in rows)
    assert text == chart(
        "Title", lines, limit=Limit(12, "limit 12"), marks=[(0, "ramp"), (count // 2, "hold")]
    )


def test_one_second_among_an_hour_is_still_seen() -> None:
    points = tuple((place, 990.0 if place == 1801 else 10.0) for place in range(3600))
    text = chart("Times", [Line("p99", "#", points)])
    assert "a column is the worst of up to 43 s" in text
    assert drawing(text)[0].count("#") == 1


def test_of_good_replies_the_worst_second_is_the_least() -> None:
    points = tuple((place, 0.0 if place == 1801 else 100.0) for place in range(3600))
    rows = drawing(chart("Replies", [Line("good", "*", points, is_low_bad=True)]))
    assert rows[-1].count("*") == 1


def test_what_was_not_measured_is_a_gap() -> None:
    points = ((0, 10.0), (1, None), (2, math.nan), (3, math.inf), (4, 10.0))
    text = chart("Times", [Line("p95", "+", points)])
    row = next(row for row in drawing(text) if "+" in row)
    wide = len(row) // 5
    assert row == "+" * wide + " " * 3 * wide + "+" * wide


@pytest.mark.parametrize("lines", [[], [flat(3, None)], [flat(3, math.nan)]])
def test_where_there_is_nothing_it_says_so(lines: list[Line]) -> None:
    assert chart("Memory", lines) == "Memory: nothing was seen."


def test_a_line_that_was_not_seen_is_told() -> None:
    text = chart("CPU", [flat(5), Line("target", "o", ((0, None),))])
    assert "(target: not seen)" in text


def test_what_seldom_happens_is_drawn_only_where_it_does() -> None:
    wrong = Line("failed", "x", tuple((place, float(place == 3)) for place in range(5)), is_rare=True)
    assert "x" * 16 in "\n".join(drawing(chart("Messages", [flat(5), wrong])))
    none = Line("failed", "x", tuple((place, 0.0) for place in range(5)), is_rare=True)
    assert "(failed: none)" in chart("Messages", [flat(5), none])


def test_a_limit_in_sight_is_drawn_and_one_far_above_is_told() -> None:
    near = chart("Times", [flat(20)], limit=Limit(20, "limit 20 ms"))
    assert any(set(row) == {"-"} for row in drawing(near))
    assert "- limit 20 ms" in near
    far = chart("Times", [flat(20)], limit=Limit(1000, "limit 1 s"))
    assert not any("-" in row for row in drawing(far))
    assert "(limit 1 s: far above)" in far


def test_parts_of_the_run_stand_below_their_seconds() -> None:
    last = chart("Times", [flat(80)], marks=[(0, "ramp"), (10, "hold"), (78, "ramp-down")]).split("\n")[-1]
    assert last[GUTTER:].index("|hold") == 10
    crowded = chart("Times", [flat(84)], marks=[(0, "20/s"), (2, "45/s"), (40, "101/s")]).split("\n")[-1]
    assert crowded[GUTTER:].startswith("| |45/s")


@given(
    st.lists(st.none() | st.floats(allow_nan=True, allow_infinity=True), min_size=1, max_size=200),
    st.none() | st.floats(),
    st.integers(0, 10**6),
)
@settings(max_examples=80, deadline=None)
def test_whatever_it_is_given_it_stays_in_its_frame(
    values: list[float | None], limit: float | None, first: int
) -> None:
    points = tuple((first + place, value) for place, value in enumerate(values))
    bound = None if limit is None else Limit(limit, "limit")
    rows = chart("Any", [Line("any", "*", points)], limit=bound, marks=[(first, "a")]).split("\n")
    assert len(rows) <= 14
    assert max(map(len, rows)) <= LONGEST


@pytest.mark.parametrize(
    ("value", "told"), [(0, "0"), (0.5, "0.5"), (12, "12"), (1500, "1500"), (12_500, "12.5k"), (3e6, "3000k")]
)
def test_numbers_fit_beside_the_axis(value: float, told: str) -> None:
    assert brief(value) == told


@pytest.mark.parametrize(("value", "high"), [(0, 1), (-3, 1), (7, 8), (101, 120), (1000, 1000), (9.1, 10)])
def test_scales_are_round(value: float, high: float) -> None:
    assert rounded_up(value) == pytest.approx(high)


def test_times_of_day_are_told_in_hours_where_they_need_to() -> None:
    assert [clock(second) for second in (5, 90, 3720)] == ["0:05", "1:30", "1:02:00"]
