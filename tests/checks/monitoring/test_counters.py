"""Increases over windows with resets and gaps, and quantiles, against values that were worked out by hand."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.monitoring.sources import counters
from checks.monitoring.sources.counters import Changes, History, Tally, histogram_quantile
from checks.monitoring.sources.exposition import Exposition, Sample, Selector


def one(value: float, series: str = "a", bound_s: float = math.inf) -> Sample:
    """A sample of a series."""
    return Sample(("n", (("id", series),)), value, bound_s)


def increase(values: list[float | None], window_s: float = 1e6) -> float:
    """The increase over looks a second apart; None is a look without an answer."""
    tally = Tally()
    for at_s, value in enumerate(values):
        if value is not None:
            tally.take(float(at_s), [one(value)])
    return tally.rise(window_s, float(len(values) - 1)).value


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([], 0),
        ([1000], 0),
        ([1000, 1000], 0),
        ([1000, 1007], 7),
        ([0, 3, 3, 9], 9),
        ([100, 110, 4, 10], 20),  # 10, a restart: 4, 6
        ([100, 0, 0], 0),
        ([100, 40], 40),
        ([5, 1, 1, 1], 1),
        ([100, 3, 2, 1], 6),  # three restarts
        ([10, None, None, 25], 15),
        ([10, None, 3], 3),
        ([0.5, 0.75], 0.25),
    ],
)
def test_the_increase_is_what_was_seen_and_resets_count_from_0(
    values: list[float | None], expected: float
) -> None:
    assert increase(values) == expected


def test_the_window_begins_at_the_last_look_before_it() -> None:
    tally = Tally()
    for at_s, value in ((0, 0), (10, 1), (20, 3), (30, 7)):
        tally.take(at_s, [one(value)])
    seen = {window_s: tally.rise(window_s, 30).value for window_s in (0, 1, 10, 15, 20, 30, 500)}
    assert seen == {0: 0, 1: 4, 10: 4, 15: 6, 20: 6, 30: 7, 500: 7}
    assert tally.rise(15, 30).span_s == 20
    assert tally.rise(15, 44).value == 4  # time goes on without a look


def test_a_series_that_appears_is_counted_from_0() -> None:
    tally = Tally()
    tally.take(0, [one(100)])
    tally.take(1, [one(110), one(5, "b")])
    assert tally.rise(60, 1).value == 15


def test_a_series_that_was_away_goes_on_from_where_it_was() -> None:
    tally = Tally()
    tally.take(0, [one(100), one(50, "b")])
    tally.take(1, [one(101)])
    tally.take(2, [one(102), one(53, "b")])
    assert tally.rise(60, 2).value == 5


def test_the_first_look_at_a_target_without_traffic_counts_what_comes_then() -> None:
    tally = Tally()
    tally.take(0, [])
    assert tally.rise(60, 0).value == 0
    tally.take(1, [one(3)])
    assert tally.rise(60, 1).value == 3


def test_samples_that_are_no_counts_leave_the_increase_alone() -> None:
    reader, tally = Exposition({"n": Selector.read("n")}), Tally()
    for at_s, value in enumerate(("10", "NaN", "-4", "+Inf", "12")):
        tally.take(at_s, reader.read(f"n {value}\n").samples["n"])
    assert tally.rise(60, 4).value == 2


def test_a_look_at_the_same_moment_or_before_is_no_step_back() -> None:
    history = History()
    history.add(10, (1.0,))
    history.add(10, (2.0,))
    history.add(9, (3.0,))
    assert len(history) == 1
    assert history.rise(60, 10).value == 0
    history.add(11, (5.0,))
    assert history.rise(60, 11).value == 2


@pytest.mark.parametrize(
    ("errors", "requests", "percent"), [(1, 100, 1.0), (3, 300, 1.0), (7, 700, 1.0), (101, 10_000, 1.01)]
)
def test_one_per_cent_is_one_per_cent(errors: int, requests: int, percent: float) -> None:
    tallies = Tally(), Tally()
    for at_s in (0, 1):
        tallies[0].take(at_s, [one(12_345 + at_s * errors)])
        tallies[1].take(at_s, [one(987_654_321 + at_s * requests)])
    assert 100.0 * tallies[0].rise(60, 1).value / tallies[1].rise(60, 1).value == percent


@pytest.mark.parametrize(
    ("seen_s", "window_s", "count", "expected"),
    [
        (5, 300, 1, 1),  # one event in five seconds is not twelve a minute
        (60, 300, 10, 10),
        (120, 300, 10, 5),
        (5, 30, 1, 2),
        (30, 30, 10, 20),
        (600, 300, 50, 5),  # nothing was seen for long: over all of it
    ],
)
def test_a_rate_is_over_what_was_seen(seen_s: float, window_s: float, count: float, expected: float) -> None:
    tally = Tally()
    tally.take(0, [one(0)])
    tally.take(seen_s, [one(count)])
    assert tally.rise(window_s, seen_s).per_minute(window_s) == expected


COUNTS = st.lists(st.one_of(st.none(), st.integers(0, 1000)), min_size=2, max_size=60)


@given(COUNTS, st.integers(1, 60))
def test_an_increase_is_never_negative_and_grows_with_its_window(
    values: list[int | None], window_s: int
) -> None:
    found = [increase(list(values), float(width)) for width in (window_s, window_s + 1, 10_000)]
    assert 0 <= found[0] <= found[1] <= found[2]


@given(COUNTS, st.data())
def test_the_parts_of_a_window_add_up(values: list[int | None], data: st.DataObject) -> None:
    tally, times = Tally(), []
    totals = []
    for at_s, value in enumerate(values):
        if value is not None:
            tally.take(at_s, [one(value)])
            times.append(at_s)
            totals.append(tally.rise(1e6, at_s).value)
    if not times:
        return
    cut = data.draw(st.sampled_from(range(len(times))))
    now_s = times[-1]
    later = tally.rise(now_s - times[cut], now_s).value
    assert totals[cut] + later == totals[-1]


@given(st.lists(st.integers(0, 50), min_size=200, max_size=900))
def test_thinning_loses_no_event(steps: list[int]) -> None:
    history, total = History(), 0.0
    history.horizon_s = 1e6
    for at_s, more in enumerate(steps):
        total += more
        history.add(at_s, (total,))
    assert history.rise(1e6, len(steps)).value == total - steps[0]


@pytest.mark.parametrize("interval_s", [0.2, 1.0, 5.0])
def test_a_window_of_six_hours_stays_small_and_is_no_shorter(interval_s: float) -> None:
    history, windows = History(), (300.0, 1800.0, 3600.0, 21_600.0)
    history.horizon_s = 21_600.0
    looks = int(8 * 3600 / interval_s)
    longest = 0
    for look in range(looks):
        history.add(look * interval_s, (float(look),))
        longest = max(longest, len(history))
    assert longest < 2000
    now_s = (looks - 1) * interval_s
    for window_s in windows:
        rise = history.rise(window_s, now_s)
        assert window_s <= rise.span_s <= 1.01 * window_s + interval_s
        assert rise.value * interval_s == pytest.approx(rise.span_s)


def test_series_that_come_and_go_do_not_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters, "MAX_SERIES", 50)
    tally, changes = Tally(), Changes()
    for number in range(1000):
        samples = [one(1, str(number))]
        tally.take(number, samples)
        changes.take(number, samples)
    assert len(tally._last) <= 50
    assert len(changes._last) <= 50
    with pytest.raises(ValueError, match="more than 50 series"):
        tally.take(1000, [one(1, f"x{number}") for number in range(51)])
    monkeypatch.setattr(counters, "MAX_BOUNDS", 10)
    with pytest.raises(ValueError, match="more than 10 different buckets"):
        tally.take(1001, [one(1, str(bound), float(bound)) for bound in range(11)])


def test_changes_are_counted_as_promql_counts_them() -> None:
    changes = Changes()
    for at_s, value in enumerate((100, 100, 170, 170, 90, 90)):
        changes.take(at_s, [one(value)])
    assert changes.history.rise(60, 5).value == 2
    assert changes.history.rise(2, 5).value == 1
    assert changes.history.rise(1, 5).value == 0


INF = math.inf


@pytest.mark.parametrize(
    ("quantile", "buckets", "expected"),
    [
        # Rank 95 of 100 is 5 into the 10 of the bucket from 0.5 to 1.
        (0.95, [(0.5, 90), (1, 100), (INF, 100)], 0.75),
        # Within the first bucket from 0 on: rank 5 of 10.
        (0.5, [(0.1, 10), (1, 10), (INF, 10)], 0.05),
        (0.95, [(0.1, 0), (1, 0), (2.5, 20), (INF, 20)], 1 + 1.5 * 0.95),
        # Beyond the last finite bound: that one is told.
        (0.95, [(0.1, 50), (1, 90), (INF, 100)], 1),
        (0.5, [(0.1, 0), (INF, 4)], 0.1),
        (0.5, [(-1, 10), (0, 10), (INF, 10)], -1),
        (1.0, [(1, 3), (2, 4), (INF, 4)], 2),
        (0.75, [(1, 3), (2, 4), (INF, 4)], 1),
        # Buckets of several routes, in any order, are added up.
        (0.95, [(INF, 50), (1, 50), (0.5, 45), (0.5, 45), (INF, 50), (1, 50)], 0.75),
        # A bucket that was read a moment later than the next one.
        (0.5, [(1, 10), (2, 8), (INF, 10)], 0.5),
    ],
)
def test_quantiles_are_those_of_prometheus(
    quantile: float, buckets: list[tuple[float, float]], expected: float
) -> None:
    assert histogram_quantile(quantile, buckets) == pytest.approx(expected)


@pytest.mark.parametrize("buckets", [[], [(INF, 5)], [(0.1, 4), (1, 5)], [(0.1, 0), (INF, 0)]])
def test_a_histogram_that_tells_no_quantile_gives_none(buckets: list[tuple[float, float]]) -> None:
    assert math.isnan(histogram_quantile(0.95, buckets))


@given(
    st.lists(st.tuples(st.floats(0, 100), st.integers(0, 1000)), min_size=1, max_size=12),
    st.floats(0, 1),
    st.integers(1, 100),
)
def test_a_quantile_lies_within_the_finite_bounds(
    counts: list[tuple[float, int]], quantile: float, beyond: int
) -> None:
    total, buckets = 0, []
    for bound, count in sorted(counts):
        total += count
        buckets.append((bound, float(total)))
    buckets.append((INF, float(total + beyond)))
    found = histogram_quantile(quantile, dict(buckets).items())
    assert 0 <= found <= max(bound for bound, _ in buckets[:-1])
