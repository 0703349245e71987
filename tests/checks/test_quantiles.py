"""The quantile's bounds: right by counting, and as sure as they say on samples of a known distribution."""

from __future__ import annotations

import random
from fractions import Fraction
from math import comb

import pytest

from checks.quantiles import estimate, samples_needed


def chance_of_at_most(n: int, most: int, p: Fraction) -> Fraction:
    """The binomial distribution, by counting."""
    ways = (comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(most + 1))
    return sum(ways, Fraction())


@pytest.mark.parametrize("n", [1, 2, 6, 20, 44, 45, 46, 76, 77, 150])
def test_the_bounds_are_the_order_statistics_that_counting_gives(n: int) -> None:
    above = [chance_of_at_most(n, most, Fraction(1, 20)) for most in range(n)]
    rare = [most for most, chance in enumerate(above) if chance <= Fraction(1, 10)]
    usual = [most for most, chance in enumerate(above) if chance >= Fraction(9, 10)]
    told = estimate([float(value) for value in range(n)])
    assert told.upper == (n - 1 - rare[-1] if rare else None)
    assert told.lower == n - 1 - usual[0]


def test_as_many_samples_are_needed_as_give_an_upper_bound() -> None:
    assert samples_needed() == 45
    samples = [float(value) for value in range(45)]
    assert estimate(samples).upper == 44
    assert estimate(samples[:-1]).upper is None


@pytest.mark.parametrize(("n", "point"), [(1, 0), (19, 18), (20, 18), (21, 19), (100, 94)])
def test_the_point_is_the_nearest_rank(n: int, point: int) -> None:
    assert estimate([float(value) for value in reversed(range(n))]).point == point


def test_the_bounds_hold_as_often_as_they_say() -> None:
    chance = random.Random(7)
    below = above = 0
    for _ in range(2000):
        told = estimate([chance.expovariate(1.0) for _ in range(60)])
        assert told.upper is not None and told.lower is not None
        below += told.upper < 2.9957  # the true 95th percentile: ln 20
        above += told.lower > 2.9957
    assert below < 0.11 * 2000
    assert above < 0.11 * 2000


def test_many_samples_are_no_trouble() -> None:
    told = estimate([float(value) for value in range(20000)])
    assert told.lower is not None and told.upper is not None
    assert told.lower < told.point < told.upper < 19100


@pytest.mark.parametrize(
    ("samples", "quantile", "confidence"), [([], 0.95, 0.9), ([1], 1.0, 0.9), ([1], 0.9, 0)]
)
def test_what_cannot_be_asked_is_refused(samples: list[float], quantile: float, confidence: float) -> None:
    with pytest.raises(ValueError, match="quantile"):
        estimate(samples, quantile, confidence)
