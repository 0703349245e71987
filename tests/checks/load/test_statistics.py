"""Intervals against published values, by counting, and by how often they hold on samples of a known distribution."""

from __future__ import annotations

import random
from fractions import Fraction
from math import comb

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.load import statistics
from checks.load.histogram import Histogram
from checks.load.statistics import (
    coefficient_of_variation,
    deviate,
    folded,
    quantile_interval,
    quantile_ranks,
    samples_needed,
    theil_sen,
    tries_needed,
    wilson,
)


# R: prop.test(x, n, correct = FALSE)$conf.int
@pytest.mark.parametrize(
    ("errors", "n", "lower", "upper"),
    [
        (0, 10, 0.0, 0.2775),
        (1, 10, 0.0179, 0.4042),
        (5, 10, 0.2366, 0.7634),
        (10, 10, 0.7225, 1.0),
        (15, 148, 0.0624, 0.1605),
        (12, 10, 0.7225, 1.0),
        (0, 0, 0.0, 1.0),
    ],
)
def test_wilson_gives_the_published_bounds(errors: int, n: int, lower: float, upper: float) -> None:
    assert wilson(errors, n) == pytest.approx((lower, upper), abs=5e-5)


@given(st.integers(0, 500), st.integers(1, 500), st.floats(0.5, 0.999))
def test_wilson_holds_the_rate_and_narrows(errors: int, n: int, confidence: float) -> None:
    lower, upper = wilson(errors, n, confidence)
    assert 0 <= lower <= min(errors, n) / n <= upper <= 1
    more_lower, more_upper = wilson(10 * min(errors, n), 10 * n, confidence)
    assert more_upper - more_lower <= upper - lower


@given(st.integers(0, 40), st.integers(200, 4000), st.sampled_from([0.001, 0.01, 0.05]))
def test_so_many_tries_tell_and_fewer_do_not(errors: int, n: int, limit: float) -> None:
    needed = tries_needed(errors / n, limit)
    lower, upper = wilson(errors, n)
    tells = upper <= limit or lower >= limit
    if needed is None:
        assert not tells
    elif abs(n - needed) > 1:
        assert tells == (n > needed)


def test_381_messages_without_an_error_show_one_per_cent() -> None:
    assert tries_needed(0.0, 0.01) == 381
    assert wilson(0, 381)[1] <= 0.01 < wilson(0, 380)[1]
    assert tries_needed(0.01, 0.01) is None


@pytest.mark.parametrize("bad", [(-1, 5), (0, -1)])
def test_counts_are_not_negative(bad: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="negative"):
        wilson(*bad)
    with pytest.raises(ValueError, match="fraction"):
        deviate(1.0)
    with pytest.raises(ValueError, match="fraction"):
        tries_needed(2.0, 0.01)
    with pytest.raises(ValueError, match="fraction"):
        quantile_ranks(5, 1.0)


def binomial(n: int, most: int, p: Fraction) -> Fraction:
    ways = (comb(n, k) * p**k * (1 - p) ** (n - k) for k in range(most + 1))
    return sum(ways, Fraction())


@pytest.mark.parametrize("n", [1, 5, 6, 20, 71, 72, 73, 150])
@pytest.mark.parametrize("fraction", [Fraction(1, 2), Fraction(19, 20)])
def test_the_ranks_are_those_that_counting_gives(n: int, fraction: Fraction) -> None:
    # The number of samples at or below the true quantile is binomial.
    tail = Fraction(1, 40)
    below = [binomial(n, most, fraction) for most in range(n)]
    lower = max((rank for rank in range(1, n + 1) if below[rank - 1] <= tail), default=None)
    upper = min((rank for rank in range(1, n + 1) if below[rank - 1] >= 1 - tail), default=None)
    assert quantile_ranks(n, float(fraction)) == (lower, upper)


def test_the_normal_approximation_goes_on_where_the_sums_end(monkeypatch: pytest.MonkeyPatch) -> None:
    exact = [quantile_ranks(n, q) for n in (9_000, 20_000) for q in (0.5, 0.95, 0.99)]
    monkeypatch.setattr(statistics, "MOST_EXACT_N", 1)
    quantile_ranks.cache_clear()
    near = [quantile_ranks(n, q) for n in (9_000, 20_000) for q in (0.5, 0.95, 0.99)]
    quantile_ranks.cache_clear()
    for (low, high), (near_low, near_high) in zip(exact, near, strict=True):
        assert low and high and near_low and near_high
        assert abs(low - near_low) <= 2
        assert abs(high - near_high) <= 3


@pytest.mark.parametrize(("fraction", "needed"), [(0.95, 72), (0.99, 368), (0.5, 6)])
def test_as_many_samples_are_needed_as_give_an_upper_bound(fraction: float, needed: int) -> None:
    assert samples_needed(fraction) == needed
    assert quantile_ranks(needed, fraction)[1] == needed
    assert quantile_ranks(needed - 1, fraction)[1] is None


def test_the_interval_holds_the_true_quantile_as_often_as_it_says() -> None:
    rng, held = random.Random(7), 0
    for _ in range(400):
        found = Histogram()
        found.record_all(round(1e6 * rng.expovariate(1)) for _ in range(300))
        lower, upper = quantile_interval(found, 0.95)
        assert lower is not None and upper is not None
        held += lower <= 2_995_732 <= upper
    assert held >= 0.92 * 400


def test_an_empty_histogram_has_no_bounds() -> None:
    assert quantile_interval(Histogram(), 0.95) == (None, None)


@pytest.mark.parametrize(
    ("values", "expected"), [([], None), ([5.0], None), ([0.0, 0.0], None), ([2, 2, 2], 0.0), ([1, 3], 0.5)]
)
def test_the_coefficient_of_variation(values: list[float], expected: float | None) -> None:
    assert coefficient_of_variation(values) == expected


def test_the_slope_is_that_of_sens_example() -> None:
    # P. K. Sen 1968, section 6: seven points, slope 4, from 3.71 to 4.38 with 93 % confidence.
    points = [(1, 9), (2, 15), (3, 19), (4, 20), (10, 45), (12, 55), (18, 78)]
    found = theil_sen([(float(x), float(y)) for x, y in points], 0.93)
    assert found is not None
    assert found.point == pytest.approx(4.0)
    assert (found.lower, found.upper) == pytest.approx((3.71, 4.38), abs=0.006)


def test_outliers_do_not_move_the_slope() -> None:
    rng = random.Random(3)
    points = [(float(at), 100 + 0.5 * at + rng.gauss(0, 1)) for at in range(400)]
    broken = [(x, y + 5000 if place % 5 == 0 else y) for place, (x, y) in enumerate(points)]
    for series in (points, broken):
        found = theil_sen(series)
        assert found is not None
        assert found.point == pytest.approx(0.5, rel=0.05)
        assert found.lower <= found.point <= found.upper


def test_noise_has_no_slope() -> None:
    rng, held = random.Random(11), 0
    for _ in range(100):
        found = theil_sen([(float(at), rng.gauss(0, 1)) for at in range(60)])
        assert found is not None
        held += found.lower <= 0 <= found.upper
    assert held >= 90


@pytest.mark.parametrize("points", [[], [(0.0, 1.0)] * 3, [(1.0, 1.0)] * 9])
def test_too_few_points_have_no_slope(points: list[tuple[float, float]]) -> None:
    assert theil_sen(points) is None


def test_a_long_series_is_folded_and_always_alike() -> None:
    series = [(float(at), float(at % 7)) for at in range(36_000)]
    found = folded(series)
    assert len(found) == statistics.MOST_POINTS
    assert found == folded(list(reversed(series)))
    assert theil_sen([(x, 3.0) for x, _ in series]) is not None
