"""How sure a measured figure is: bounds of an error rate, of a quantile and of a trend; pure arithmetic.

All intervals are two-sided and hold with `confidence`: each of their ends is missed with half of what is left of 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from statistics import NormalDist, fmean, median, pstdev

from checks.load.histogram import Histogram

CONFIDENCE = 0.95
MOST_EXACT_N = 20_000
"""Up to so many samples the binomial distribution is summed; beyond, it is as good as normal."""
MOST_POINTS = 120
"""Points that a slope is fitted to; longer series are folded into the medians of so many blocks."""


def deviate(confidence: float = CONFIDENCE) -> float:
    """The standard normal deviate of a two-sided interval: 1.96 for 95 %. Raises ValueError."""
    if not 0 < confidence < 1:
        raise ValueError("a confidence is a fraction between 0 and 1")
    return NormalDist().inv_cdf((1 + confidence) / 2)


def wilson(errors: int, n: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Bounds of the true rate where `errors` of `n` failed, as fractions; (0, 1) where nothing was tried.

    More errors than tries count as all. E. B. Wilson, JASA 22 (1927); L. D. Brown, T. T. Cai, A. DasGupta, "Interval
    estimation for a binomial proportion", Statistical Science 16 (2001). Raises ValueError for a negative count.
    """
    if errors < 0 or n < 0:
        raise ValueError("counts are not negative")
    if n == 0:
        return 0.0, 1.0
    errors, z = min(errors, n), deviate(confidence)
    rate, square = errors / n, z * z
    middle = rate + square / (2 * n)
    reach = z * math.sqrt(rate * (1 - rate) / n + square / (4 * n * n))
    scale = 1 + square / n
    lower = 0.0 if errors == 0 else max(0.0, (middle - reach) / scale)
    upper = 1.0 if errors == n else min(1.0, (middle + reach) / scale)
    return lower, upper


def tries_needed(rate: float, limit: float, confidence: float = CONFIDENCE) -> int | None:
    """How many tries tell a true `rate` from a `limit` (fractions): then Wilson's bound no longer holds the limit.

    None where no number would do: they are the same. 381 for no error and a limit of 1 %. Raises ValueError.
    """
    if not (0 <= rate <= 1 and 0 < limit < 1):
        raise ValueError("a rate is a fraction")
    if math.isclose(rate, limit, abs_tol=1e-12):
        return None
    z = deviate(confidence)
    return math.ceil(z * z * limit * (1 - limit) / (rate - limit) ** 2 - 1e-9)


@lru_cache(maxsize=1024)
def quantile_ranks(n: int, fraction: float, confidence: float = CONFIDENCE) -> tuple[int | None, int | None]:
    """Ranks (1 is the smallest of `n` samples) between which the true quantile lies, whatever the distribution.

    None for a bound that n samples are too few to give. How many of them lie above it is binomial (H. A. David,
    H. N. Nagaraja, Order Statistics, 3rd edition, section 7.1): summed up to MOST_EXACT_N samples, else normal, rounded
    outwards. Raises ValueError.
    """
    if not 0 < fraction < 1 or n < 0:
        raise ValueError("a quantile is a fraction between 0 and 1, and a count is not negative")
    z, tail = deviate(confidence), (1 - confidence) / 2
    if n > MOST_EXACT_N:
        middle, reach = n * fraction, z * math.sqrt(n * fraction * (1 - fraction))
        low, high = math.floor(middle - reach), math.ceil(middle + reach) + 1
        return low if low >= 1 else None, high if high <= n else None
    lower: int | None = None
    upper: int | None = None
    cumulated = 0.0
    for above in range(n):
        cumulated += _chance(n, above, 1 - fraction)
        # That few samples above the quantile are rare: the next lower sample is hardly below it.
        if cumulated <= tail:
            upper = n - above
        if cumulated >= 1 - tail:
            lower = n - above
            break
    return lower, upper


def quantile_interval(
    histogram: Histogram, fraction: float, confidence: float = CONFIDENCE
) -> tuple[int | None, int | None]:
    """Bounds of the true quantile, in microseconds; None where the samples are too few. Raises ValueError."""
    low, high = quantile_ranks(histogram.count, fraction, confidence)
    return (
        histogram.value_at_rank(low) if low else None,
        histogram.value_at_rank(high) if high else None,
    )


def samples_needed(fraction: float, confidence: float = CONFIDENCE) -> int:
    """Samples that an upper bound of a quantile needs at least: 72 for the 95th percentile, 368 for the 99th."""
    return math.ceil(math.log((1 - confidence) / 2) / math.log(fraction))


def coefficient_of_variation(values: Sequence[float]) -> float | None:
    """Standard deviation over mean (population); None for fewer than two values or a mean of 0."""
    if len(values) < 2 or (mean := fmean(values)) == 0:
        return None
    return pstdev(values, mean) / mean


@dataclass(frozen=True, slots=True)
class Slope:
    """A trend: what y gains for each unit of x, with its bounds."""

    point: float
    lower: float
    upper: float


def theil_sen(points: Sequence[tuple[float, float]], confidence: float = CONFIDENCE) -> Slope | None:
    """The median of the slopes of all pairs, which up to 29 % of outliers cannot move; None for fewer than 4 points.

    P. K. Sen, "Estimates of the regression coefficient based on Kendall's tau", JASA 63 (1968), with the variance
    corrected for ties. Longer series are folded first (`folded`).
    """
    points = folded(points)
    n = len(points)
    slopes = sorted(
        (y2 - y1) / (x2 - x1)
        for place, (x1, y1) in enumerate(points)
        for x2, y2 in points[place + 1 :]
        if x1 != x2
    )
    if n < 4 or not slopes:
        return None
    reach = deviate(confidence) * math.sqrt(_tau_variance([y for _, y in points]))
    low = max(0, math.floor((len(slopes) - reach) / 2) - 1)
    high = min(len(slopes) - 1, math.ceil((len(slopes) + reach) / 2))
    return Slope(median(slopes), slopes[low], slopes[high])


def folded(points: Sequence[tuple[float, float]], most: int = MOST_POINTS) -> list[tuple[float, float]]:
    """At most `most` points: the medians of blocks of neighbours, in the order of x; always the same ones."""
    ordered = sorted(points)
    if len(ordered) <= most:
        return ordered
    edges = [len(ordered) * place // most for place in range(most + 1)]
    blocks = [ordered[begin:end] for begin, end in pairwise(edges)]
    return [(median(x for x, _ in block), median(y for _, y in block)) for block in blocks]


def _tau_variance(values: Sequence[float]) -> float:
    """The variance of Kendall's S."""
    n = len(values)
    counts: dict[float, int] = {}
    for value in values:
        counts[value] = counts.get(value, 0) + 1
    tied = sum(count * (count - 1) * (2 * count + 5) for count in counts.values())
    return max(0.0, (n * (n - 1) * (2 * n + 5) - tied) / 18)


def _chance(n: int, k: int, p: float) -> float:
    """The binomial probability of k among n; by logarithms, so that n may be large."""
    ways = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    return math.exp(ways + k * math.log(p) + (n - k) * math.log1p(-p))
