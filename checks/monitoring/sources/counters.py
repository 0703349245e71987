"""Counters over time, as Prometheus treats them: increases with resets, quantiles of histograms. Pure.

Two points differ from Prometheus, so that single errors are not lost or made into fractions: an increase is not
extrapolated beyond what was seen, and a series that appears where there was none before is counted from 0.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from checks.monitoring.sources.exposition import Key, Sample

PARTS = 128
"""Of its age, so small is the gap that may be left around what is thinned out: windows are up to 1 % longer."""
THIN_EVERY = 64
LEAST_HORIZON_S = 60.0
MAX_SERIES = 20_000
MAX_BOUNDS = 200
LEAST_RATE_S = 60.0
"""A rate is told a minute: one event in the first five seconds is not twelve a minute."""


@dataclass(frozen=True, slots=True)
class Rise:
    """How much some totals rose over a window."""

    values: tuple[float, ...]
    span_s: float
    """What was seen of the window; 0 before the second look."""

    @property
    def value(self) -> float:
        """Of the first total; 0 where nothing was counted yet."""
        return self.values[0] if self.values else 0.0

    def per_minute(self, window_s: float) -> float:
        """The first as a rate, over what was seen of the window; over a minute at least, or the window if shorter."""
        return 60.0 * self.value / max(self.span_s, min(window_s, LEAST_RATE_S))


class History:
    """Totals that only rise, look after look; what is old is thinned out, so that its size is bounded."""

    def __init__(self) -> None:
        self.horizon_s = LEAST_HORIZON_S
        """The longest window that is asked for."""
        self._times: list[float] = []
        self._totals: list[tuple[float, ...]] = []
        self._added = 0

    def __len__(self) -> int:
        return len(self._times)

    def add(self, at_s: float, totals: tuple[float, ...]) -> None:
        """Add a look at `at_s` (monotonic), not before the last one; further totals may have come in at the end."""
        if self._times and at_s <= self._times[-1]:
            self._totals[-1] = totals
            return
        self._times.append(at_s)
        self._totals.append(totals)
        self._added += 1
        if self._added % THIN_EVERY == 0:
            self._thin()

    def rise(self, window_s: float, now_s: float) -> Rise:
        """From the last look at or before the window's beginning (the first look, where there is none) to the last."""
        if not self._times:
            return Rise((), 0.0)
        place = max(0, bisect_right(self._times, now_s - window_s) - 1)
        before, after = self._totals[place], self._totals[-1]
        grown = len(after) - len(before)
        values = tuple(b - a for a, b in zip((*before, *(0.0,) * grown), after, strict=True))
        return Rise(values, self._times[-1] - self._times[place])

    def _thin(self) -> None:
        """Leave out each look without which its neighbours are still close enough, for how long ago they are."""
        times = self._times
        now_s, kept = times[-1], [len(times) - 1]
        for place in range(len(times) - 2, -1, -1):
            age_s = now_s - times[place]
            if age_s >= self.horizon_s or place == 0:
                kept.append(place)
                break
            if times[kept[-1]] - times[place - 1] > age_s / PARTS:
                kept.append(place)
        kept.reverse()
        self._times = [times[place] for place in kept]
        self._totals = [self._totals[place] for place in kept]


class Tally:
    """The total increase of all series of one metric since it was first looked at, by bound of a histogram's bucket.

    A value below the last one is a reset: the new value counts from 0.
    """

    def __init__(self) -> None:
        self.history = History()
        self._last: dict[Key, float] = {}
        self._totals: dict[float, float] = {}
        self._was_taken = False

    @property
    def bounds_s(self) -> tuple[float, ...]:
        """The bounds, in the order of the totals."""
        return tuple(self._totals)

    def take(self, at_s: float, samples: Iterable[Sample]) -> None:
        """One good look. The first one is only compared with. Raises ValueError for too many series or buckets."""
        fresh: dict[Key, float] = {}
        for one in samples:
            if one.bound_s not in self._totals:
                if len(self._totals) >= MAX_BOUNDS:
                    raise ValueError(f"it has more than {MAX_BOUNDS} different buckets")
                self._totals[one.bound_s] = 0.0
            fresh[one.key] = one.value
            if self._was_taken:
                before = self._last.get(one.key, 0.0)
                rise = one.value - before if one.value >= before else one.value
                self._totals[one.bound_s] += rise
        self._last.update(fresh)
        if len(self._last) > MAX_SERIES:
            self._last = fresh  # what is not told any more is forgotten
        if len(fresh) > MAX_SERIES:
            raise ValueError(f"it has more than {MAX_SERIES} series")
        self._was_taken = True
        self.history.add(at_s, tuple(self._totals.values()))

    def rise(self, window_s: float, now_s: float) -> Rise:
        """The increase over a window; of a plain counter, `value`."""
        return self.history.rise(window_s, now_s)


class Changes:
    """How often values changed: PromQL's `changes`, of all series together."""

    def __init__(self) -> None:
        self.history = History()
        self._last: dict[Key, float] = {}
        self._count = 0.0

    def take(self, at_s: float, samples: Iterable[Sample]) -> None:
        """One good look."""
        fresh = {one.key: one.value for one in samples}
        self._count += sum(self._last.get(key, value) != value for key, value in fresh.items())
        self._last.update(fresh)
        if len(self._last) > MAX_SERIES:
            self._last = fresh
        self.history.add(at_s, (self._count,))


def histogram_quantile(quantile: float, buckets: Iterable[tuple[float, float]]) -> float:
    """The quantile of cumulative buckets (upper bound, count), linear within a bucket.

    By Prometheus' `bucketQuantile` (promql/quantile.go, 2.42): within the first bucket from 0 on; in the last one the
    highest finite bound. NaN where there is no bucket up to infinity, no finite one, or nothing was counted.
    """
    ordered = _whole(buckets)
    if len(ordered) < 2 or not math.isinf(ordered[-1][0]) or ordered[-1][1] <= 0:
        return math.nan
    rank = quantile * ordered[-1][1]
    place = next((place for place, (_, count) in enumerate(ordered[:-1]) if count >= rank), len(ordered) - 1)
    bound, count = ordered[place]
    if place == len(ordered) - 1:
        return ordered[-2][0]
    if place == 0 and bound <= 0:
        return bound
    start, below = ordered[place - 1] if place else (0.0, 0.0)
    if count == below:  # the quantile 0 of an empty first bucket
        return start
    return start + (bound - start) * ((rank - below) / (count - below))


def _whole(buckets: Iterable[tuple[float, float]]) -> Sequence[tuple[float, float]]:
    """By bound, those of one bound together, and no count below the one before: scrapes are not taken at one moment."""
    merged: dict[float, float] = {}
    for bound, count in buckets:
        merged[bound] = merged.get(bound, 0.0) + count
    ordered = sorted(merged.items())
    for place, ((_, before), (bound, count)) in enumerate(pairwise(list(ordered)), 1):
        ordered[place] = (bound, max(before, count, ordered[place - 1][1]))
    return ordered
