"""The fit gives back the law that made the points, and says how far off it is."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.load.model import CapacityStep, Scalability
from checks.load.scalability import fit, fitted, throughput

NS = (0.5, 1, 2, 4, 8, 16, 32, 64)


def law(gamma: float, alpha: float, beta: float) -> Scalability:
    return Scalability(gamma, alpha, beta, 0.0, None)


@given(st.floats(1, 5000), st.floats(0, 0.9), st.floats(0, 0.05))
def test_the_law_is_recovered(gamma: float, alpha: float, beta: float) -> None:
    truth = law(gamma, alpha, beta)
    found = fitted([(n, throughput(truth, n)) for n in NS])
    assert found is not None
    assert found.gamma == pytest.approx(gamma, rel=1e-4)
    assert found.alpha == pytest.approx(alpha, abs=1e-4)
    assert found.beta == pytest.approx(beta, abs=1e-5)
    assert found.error_percent < 0.01
    if beta > 1e-4:
        assert found.peak_n == pytest.approx(math.sqrt((1 - alpha) / beta), rel=0.05)


def test_noise_is_told_and_no_coefficient_is_negative() -> None:
    rng = random.Random(5)
    truth = law(40, 0.05, 0.001)
    for _ in range(50):
        found = fitted([(n, throughput(truth, n) * rng.uniform(0.95, 1.05)) for n in NS])
        assert found is not None
        assert found.alpha >= 0
        assert found.beta >= 0
        assert 0.5 < found.error_percent < 6
        assert found.gamma == pytest.approx(40, rel=0.1)


def test_a_law_without_a_peak_has_none() -> None:
    found = fitted([(n, 10.0 * n) for n in NS])
    assert found is not None
    assert found.peak_n is None
    assert (found.alpha, found.beta) == pytest.approx((0, 0))


@pytest.mark.parametrize(
    "points",
    [
        [],
        [(1, 10), (2, 20), (3, 30)],
        [(2, 20)] * 9,
        [(1, 10), (2, 20), (3, 30), (4, 0), (0, 5), (math.inf, 4), (5, math.nan)],
    ],
)
def test_fewer_than_four_useful_points_are_no_law(points: list[tuple[float, float]]) -> None:
    assert fitted(points) is None


@given(st.lists(st.tuples(st.floats(-1, 1e6), st.floats(-1, 1e6)), max_size=12))
def test_whatever_comes_gives_a_law_or_none(points: list[tuple[float, float]]) -> None:
    found = fitted(points)
    assert found is None or (found.gamma > 0 and found.alpha >= 0 and found.beta >= 0)


def test_steps_that_say_nothing_of_the_target_are_left_out() -> None:
    def step(n: float | None, x: float, broke: str = "") -> CapacityStep:
        return CapacityStep(x, x, 0.1, 0.2, 0.0, not broke, broke, in_flight=n)

    steps = [step(n, 10.0 * n) for n in (1, 2, 3, 4)]
    others = [step(9, 3, "generator"), step(9, 3, "limiter"), step(9, 3, "unclear"), step(None, 3)]
    assert fit(steps[:3] + others) is None
    found = fit(steps + others)
    assert found is not None
    assert found.error_percent == pytest.approx(0, abs=1e-6)
