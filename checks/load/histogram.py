"""Latencies in microseconds: every sample exactly up to a bound, log-linear bins beyond; merged without loss.

The bins are those of HdrHistogram with a sub-bucket count of 256 (Gil Tene): values below 256 have a bin each, above
it each doubling has 128, so that no value is off by more than 1/256.
"""

from __future__ import annotations

import math
from array import array
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence

from checks.load.model import Latencies

SUB_BITS = 7
SUB_BINS = 1 << SUB_BITS
MOST_EXACT = 2_000_000
"""Samples that are kept one by one: 16 MB."""


def bin_of(value: int) -> int:
    """The bin of a value (microseconds, at least 0)."""
    if value < 2 * SUB_BINS:
        return value
    shift = value.bit_length() - SUB_BITS - 1
    return (shift << SUB_BITS) + (value >> shift)


def lowest(place: int) -> int:
    """The lowest value of a bin."""
    if place < 2 * SUB_BINS:
        return place
    shift = (place >> SUB_BITS) - 1
    return (place - (shift << SUB_BITS)) << shift


def middle(place: int) -> int:
    """The value that stands for all of a bin."""
    if place < 2 * SUB_BINS:
        return place
    return lowest(place) + (1 << ((place >> SUB_BITS) - 1)) // 2


class Histogram:
    """Counts by bin; `exact` holds the samples themselves as long as there are few enough."""

    __slots__ = ("_in_order", "bins", "count", "exact", "highest", "most_exact", "total")

    def __init__(self, bins: Mapping[int, int] | None = None, *, most_exact: int = MOST_EXACT) -> None:
        self.bins: dict[int, int] = {}
        self.exact: array[int] | None = array("q")
        self.most_exact = most_exact
        self.count = 0
        self.total = 0
        """Sum of all values."""
        self.highest = 0
        self._in_order = 0
        """Length of `exact` when it was sorted last."""
        if bins:
            self.merge_bins(bins)

    def record(self, value: int) -> None:
        """Add one value. A negative one counts as 0."""
        if value < 0:
            value = 0
        self.count += 1
        self.total += value
        if value > self.highest:
            self.highest = value
        if self.exact is not None:
            self.exact.append(value)
            if self.count > self.most_exact:
                self._fold()
        else:
            place = bin_of(value)
            self.bins[place] = self.bins.get(place, 0) + 1

    def record_all(self, values: Iterable[int]) -> None:
        """Add many."""
        values = array("q", values)
        if self.exact is None or len(values) > self.most_exact - self.count:
            for value in values:
                self.record(value)
        elif values:
            if min(values) < 0:
                values = array("q", (max(0, value) for value in values))
            self.exact.extend(values)
            self.count += len(values)
            self.total += sum(values)
            self.highest = max(self.highest, max(values))

    def merge(self, other: Histogram) -> None:
        """Add what another one holds; nothing is lost."""
        if self.exact is not None and other.exact is not None:
            self.exact.extend(other.exact)
            self.count += other.count
            self.total += other.total
            self.highest = max(self.highest, other.highest)
            if self.count > self.most_exact:
                self._fold()
            return
        # Totals and the highest value are known better than from the middles of bins.
        total, highest = self.total + other.total, max(self.highest, other.highest)
        self.merge_bins(other.counted())
        self.total, self.highest = total, highest

    def merge_bins(self, bins: Mapping[int, int]) -> None:
        """Add counts by bin; from then on this one is binned too."""
        if not bins:
            return
        if self.exact is not None:
            self._fold()
        for place, count in bins.items():
            self.bins[place] = self.bins.get(place, 0) + count
            self.count += count
            self.total += middle(place) * count
        self.highest = max(self.highest, middle(max(bins)))

    def counted(self) -> dict[int, int]:
        """Bin -> count, in order."""
        if self.exact is None:
            return dict(sorted(self.bins.items()))
        counts: dict[int, int] = {}
        for value in self.exact:
            place = bin_of(value)
            counts[place] = counts.get(place, 0) + 1
        return dict(sorted(counts.items()))

    def value_at_rank(self, rank: int) -> int:
        """The value of rank 1 (smallest) to `count`. Raises ValueError where there is none."""
        if not 1 <= rank <= self.count:
            raise ValueError(f"there is no value of rank {rank} among {self.count}")
        if self.exact is not None:
            return self.ordered()[rank - 1]
        return self._binned((rank,))[0]

    def quantiles(self, *fractions: float) -> tuple[int, ...]:
        """Nearest-rank quantiles (0 < fraction <= 1), in microseconds; 0 for each where nothing was recorded."""
        if not self.count:
            return tuple(0 for _ in fractions)
        ranks = [max(1, math.ceil(fraction * self.count - 1e-9)) for fraction in fractions]
        if self.exact is not None:
            ordered = self.ordered()
            return tuple(ordered[rank - 1] for rank in ranks)
        return self._binned(ranks)

    def above(self, value: int) -> int:
        """How many are greater than `value` (microseconds); a bin counts whole, by its middle."""
        if self.exact is not None:
            return self.count - bisect_right(self.ordered(), value)
        return sum(count for place, count in self.bins.items() if middle(place) > value)

    def latencies(self) -> Latencies:
        """The usual quantiles, in seconds."""
        if not self.count:
            return Latencies()
        p50, p90, p95, p99, p999 = self.quantiles(0.5, 0.9, 0.95, 0.99, 0.999)
        return Latencies(
            self.count,
            self.total / self.count / 1e6,
            *(value / 1e6 for value in (p50, p90, p95, p99, p999, self.highest)),
        )

    def ordered(self) -> array[int]:
        """The samples in order, sorted once. Raises ValueError where they are no longer kept."""
        if self.exact is None:
            raise ValueError("the samples are in bins")
        if self._in_order != len(self.exact):
            self.exact = array("q", sorted(self.exact))
            self._in_order = len(self.exact)
        return self.exact

    def _binned(self, ranks: Sequence[int]) -> tuple[int, ...]:
        found = ranked(self.counted(), ranks)
        # The middle of the last bin may lie above the highest value, which is known exactly.
        return tuple(
            self.highest if rank == self.count else min(value, self.highest)
            for rank, value in zip(ranks, found, strict=True)
        )

    def _fold(self) -> None:
        self.bins, self.exact = self.counted(), None


def ranked(bins: Mapping[int, int], ranks: Sequence[int]) -> tuple[int, ...]:
    """The values of these ranks (from 1), by the middles of their bins; `bins` in order."""
    wanted = sorted(set(ranks))
    found: dict[int, int] = {}
    passed = 0
    todo = iter(wanted)
    rank = next(todo, None)
    for place, count in bins.items():
        passed += count
        while rank is not None and rank <= passed:
            found[rank] = middle(place)
            rank = next(todo, None)
    return tuple(found[rank] for rank in ranks)
