"""A quantile of samples with bounds that hold for any distribution; pure arithmetic.

The bounds are order statistics: how many of n independent samples lie above the true q-quantile is binomial with n and
1 - q, whatever they are samples of (H. A. David and H. N. Nagaraja, Order Statistics, 3rd edition, section 7.1;
G. J. Hahn and W. Q. Meeker, Statistical Intervals, chapter 5). With ties they are only surer than they say.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

QUANTILE, CONFIDENCE = 0.95, 0.90


@dataclass(frozen=True, slots=True)
class Estimate:
    """A quantile of `n` samples, in their unit."""

    n: int
    point: float
    """The nearest rank: the smallest sample that the fraction `quantile` of all does not exceed."""
    lower: float | None
    """The true quantile is at least that, with the confidence asked for; None where n is too small to say."""
    upper: float | None
    """The true quantile is at most that, with the confidence asked for; None where n is too small to say."""


def estimate(
    samples: Sequence[float], quantile: float = QUANTILE, confidence: float = CONFIDENCE
) -> Estimate:
    """The quantile with its two one-sided bounds. Raises ValueError for no samples or a fraction not within 0 to 1."""
    _check(quantile, confidence)
    if not samples:
        raise ValueError("there is no quantile of nothing")
    ordered, n = sorted(samples), len(samples)
    point = ordered[max(0, math.ceil(quantile * n - 1e-9) - 1)]
    lower: float | None = None
    upper: float | None = None
    cumulated = 0.0
    for above in range(n):
        cumulated += _chance(n, above, 1 - quantile)
        # Up to `above` samples above the quantile are that rare: the next lower one is hardly below it.
        if cumulated <= 1 - confidence:
            upper = ordered[n - 1 - above]
        if cumulated >= confidence:
            lower = ordered[n - 1 - above]
            break
    return Estimate(n, point, lower, upper)


def samples_needed(quantile: float = QUANTILE, confidence: float = CONFIDENCE) -> int:
    """How many samples the upper bound needs at least: then their greatest is the bound. Raises ValueError."""
    _check(quantile, confidence)
    return math.ceil(math.log(1 - confidence) / math.log(quantile))


def _chance(n: int, k: int, p: float) -> float:
    """The binomial probability of k among n; by logarithms, so that n may be large."""
    ways = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return math.exp(ways + k * math.log(p) + (n - k) * math.log1p(-p))


def _check(quantile: float, confidence: float) -> None:
    if not (0 < quantile < 1 and 0 < confidence < 1):
        raise ValueError("quantile and confidence are fractions between 0 and 1")
