"""The histogram: nothing is lost by merging, quantiles are exact up to the bound and within 1/256 beyond it."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.load.histogram import Histogram, bin_of, lowest, middle

VALUES = st.integers(0, 10**10)
FRACTIONS = (0.001, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0)


def filled(values: list[int], most_exact: int = 1000) -> Histogram:
    found = Histogram(most_exact=most_exact)
    found.record_all(values)
    return found


def state(found: Histogram) -> tuple[object, ...]:
    return found.count, found.total, found.highest, found.counted(), found.quantiles(*FRACTIONS)


@given(VALUES)
def test_a_bin_holds_its_values_and_its_middle_is_within_one_in_256(value: int) -> None:
    place = bin_of(value)
    assert lowest(place) <= value < lowest(place + 1)
    assert abs(middle(place) - value) <= value / 256


@given(st.lists(st.lists(VALUES, max_size=20), max_size=6), st.integers(0, 60), st.randoms())
def test_merging_loses_nothing_and_order_does_not_matter(
    parts: list[list[int]], most_exact: int, rng: random.Random
) -> None:
    every = [value for part in parts for value in part]
    forward = Histogram(most_exact=most_exact)
    for part in parts:
        forward.merge(filled(part, most_exact))
    shuffled = list(parts)
    rng.shuffle(shuffled)
    other = Histogram(most_exact=most_exact)
    for part in shuffled:
        other.merge(filled(part, most_exact))
    one_by_one = Histogram(most_exact=most_exact)
    for value in every:
        one_by_one.record(value)
    assert state(forward) == state(other) == state(one_by_one)
    assert (forward.count, forward.total, forward.highest) == (len(every), sum(every), max(every, default=0))
    assert sum(forward.counted().values()) == len(every)


@given(st.lists(VALUES, min_size=1, max_size=200))
def test_quantiles_are_exact_up_to_the_bound_and_near_beyond(values: list[int]) -> None:
    ordered = sorted(values)
    truth = [ordered[max(1, math.ceil(fraction * len(values) - 1e-9)) - 1] for fraction in FRACTIONS]
    assert list(filled(values, len(values)).quantiles(*FRACTIONS)) == truth
    binned = filled(values, len(values) - 1)
    assert binned.exact is None
    for told, true in zip(binned.quantiles(*FRACTIONS), truth, strict=True):
        assert abs(told - true) <= true / 256
    assert binned.quantiles(1.0) == (ordered[-1],)
    for place, value in enumerate(ordered, 1):
        assert abs(binned.value_at_rank(place) - value) <= value / 256


@given(st.lists(st.integers(0, 255), max_size=50), st.integers(0, 255), st.integers(0, 60))
def test_above_counts_what_is_greater(values: list[int], value: int, most_exact: int) -> None:
    assert filled(values, most_exact).above(value) == sum(one > value for one in values)


def test_values_that_come_after_a_quantile_was_read_count_too() -> None:
    found = filled([5, 1])
    assert found.quantiles(1.0) == (5,)
    found.record(9)
    found.merge(filled([7, 0]))
    assert found.quantiles(0.2, 1.0) == (0, 9)
    assert found.value_at_rank(4) == 7


def test_a_merged_highest_value_is_not_rounded_up_to_its_bin() -> None:
    found = Histogram(most_exact=0)
    found.merge(filled([1000]))
    assert (found.highest, found.quantiles(0.5, 1.0)) == (1000, (1000, 1000))


def test_a_negative_value_counts_as_zero() -> None:
    assert (filled([-5, 3]).total, filled([-5, 3]).quantiles(0.5)) == (3, (0,))


@pytest.mark.parametrize("rank", [0, 4, -1])
def test_there_is_no_value_of_a_rank_outside(rank: int) -> None:
    with pytest.raises(ValueError, match="no value of rank"):
        filled([1, 2, 3]).value_at_rank(rank)
    with pytest.raises(ValueError, match="in bins"):
        filled([1, 2, 3], 0).ordered()


def test_nothing_has_no_quantiles() -> None:
    assert Histogram().quantiles(0.5, 0.99) == (0, 0)
    assert Histogram().latencies().count == 0


def test_seconds_are_told_of_microseconds() -> None:
    found = filled([1_000, 2_000, 3_000]).latencies()
    assert (found.count, found.mean_s, found.p50_s, found.max_s) == (3, 0.002, 0.002, 0.003)
