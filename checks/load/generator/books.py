"""The books of a run: what each leg came to, and what each second; memory does not grow with the number of messages.

A message costs a few additions and appends. What was appended is counted by value in C (`Counter`) every few thousand
messages, and the values that occurred are put into bins once each.
"""

from __future__ import annotations

import time
from array import array
from collections import Counter
from collections.abc import Iterable

from checks.load.generator.pacing import NS
from checks.load.histogram import MOST_EXACT, bin_of
from checks.load.model import Failure
from checks.load.wire import Leg, LegDone, Tick

FOLD_EVERY = 4096
"""Messages of a leg that may wait to be counted."""
_LONGEST = (1 << 31) - 1
"""Microseconds, as a number of four bytes: 36 minutes."""
Bins = dict[int, int]


class Samples:
    """Latencies one by one, four bytes each in memory that is there from the beginning, up to `MOST_EXACT`."""

    __slots__ = ("_store", "count")

    def __init__(self) -> None:
        # Filled at once: memory that came only with the messages would grow with the run.
        self._store = array("i", bytes(4 * MOST_EXACT))
        self.count = 0
        """-1: there were too many."""

    def extend(self, values: list[int]) -> None:
        """Keep these too, or nothing any more where they are too many."""
        if self.count < 0:
            return
        end = self.count + len(values)
        if end > MOST_EXACT:
            self.count = -1
            return
        try:
            self._store[self.count : end] = array("i", values)
        except OverflowError:
            self._store[self.count : end] = array("i", [min(value, _LONGEST) for value in values])
        self.count = end

    def packed(self) -> bytes:
        """All of them as `array('q')`; empty where there were too many."""
        return array("q", self._store[: self.count]).tobytes() if self.count > 0 else b""


class SecondBook:
    """What happened in the second under way."""

    __slots__ = ("answered", "due", "failures", "lag", "latency", "ok", "sent", "service", "waited")

    def __init__(self) -> None:
        self.due = self.sent = self.answered = self.ok = self.waited = 0
        self.failures: dict[str, int] = {}
        self.latency: Bins = {}
        self.service: Bins = {}
        self.lag: Bins = {}


class LegBook:
    """What became of the messages that were due in one leg. The plain attributes are those since the last `fold`."""

    __slots__ = (
        "_cpu_s",
        "_ended_ns",
        "_failures",
        "_lag",
        "_latency",
        "_samples",
        "_service",
        "_totals",
        "answered",
        "due",
        "end",
        "failures",
        "lag",
        "latency",
        "leg",
        "live",
        "ok",
        "place",
        "sent",
        "service",
        "silent",
        "silent_service",
        "start",
        "waited",
    )

    def __init__(self, place: int, leg: Leg, start: int, samples: Samples) -> None:
        """`start` is its beginning by the monotonic clock, in nanoseconds."""
        self.place, self.leg, self.start = place, leg, start
        self.end = start + int(leg.seconds * 1e9)
        self.live = 0
        """Messages that were due and have not ended."""
        self.due = self.sent = self.answered = self.ok = self.waited = 0
        self.failures: dict[str, int] = {}
        self.latency: list[int] = []
        self.service: list[int] = []
        self.lag: list[int] = []
        self.silent: list[int] = []
        """How long replies were waited for that never came."""
        self.silent_service: list[int] = []
        self._samples = samples
        self._latency: Bins = {}
        self._service: Bins = {}
        self._lag: Bins = {}
        self._failures: dict[str, int] = {}
        self._totals = [0, 0, 0, 0, 0]
        self._cpu_s, self._ended_ns = -time.process_time(), 0

    @property
    def is_over(self) -> bool:
        """Whether nothing becomes due in it any more."""
        return self._ended_ns > 0

    def over(self, now: int) -> None:
        """Its time is over at `now`."""
        if not self._ended_ns:
            self._ended_ns = now
            self._cpu_s += time.process_time()

    def fail(self, kind: Failure) -> None:
        """Count a failure."""
        self.failures[kind] = self.failures.get(kind, 0) + 1

    def fold(self, second: SecondBook) -> None:
        """Put what came since the last time into the totals, and into the second."""
        for place, value in enumerate((self.due, self.sent, self.answered, self.ok, self.waited)):
            self._totals[place] += value
        second.due += self.due
        second.sent += self.sent
        second.answered += self.answered
        second.ok += self.ok
        second.waited += self.waited
        self.due = self.sent = self.answered = self.ok = self.waited = 0
        for kind, count in self.failures.items():
            self._failures[kind] = self._failures.get(kind, 0) + count
            second.failures[kind] = second.failures.get(kind, 0) + count
        self.failures = {}
        self._samples.extend(self.latency)
        self._samples.extend(self.silent)
        _count(self.latency, self._latency, second.latency)
        _count(self.service, self._service, second.service)
        _count(self.lag, self._lag, second.lag)
        _count(self.silent, self._latency)
        _count(self.silent_service, self._service)

    def done(self) -> LegDone:
        """The report of it, after the last `fold`."""
        due, sent, answered, ok, waited = self._totals
        return LegDone(
            place=self.place,
            seconds=(self._ended_ns - self.start) / 1e9,
            due=due,
            sent=sent,
            answered=answered,
            ok=ok,
            failures=self._failures,
            latency=self._samples.packed(),
            latency_bins=dict(sorted(self._latency.items())),
            service_bins=dict(sorted(self._service.items())),
            lag_bins=dict(sorted(self._lag.items())),
            waited=waited,
            cpu_s=self._cpu_s,
        )

    def give_back(self) -> Samples:
        """The memory of its samples, for the next leg."""
        self._samples.count = 0
        return self._samples


class Books:
    """The legs that are not reported yet, and the second under way."""

    __slots__ = (
        "_cpu_s",
        "_number",
        "_of",
        "_origin",
        "_second",
        "_second_start",
        "_spare",
        "legs",
        "places",
    )

    def __init__(self) -> None:
        self.legs: list[LegBook] = []
        self.places = 0
        self._spare = [Samples()]
        self._second = SecondBook()
        self._origin = self._number = self._second_start = 0
        self._of: LegBook | None = None
        """The leg that the second under way counts for: the one at its beginning, else the first that began in it."""
        self._cpu_s = time.process_time()

    def open(self, leg: Leg, start: int) -> LegBook:
        """The book of the next leg."""
        book = LegBook(self.places, leg, start, self._spare.pop() if self._spare else Samples())
        self.places += 1
        self.legs.append(book)
        if self._of is None:
            self._of = book
        return book

    def fold(self, book: LegBook) -> None:
        """Count what waits in this book."""
        book.fold(self._second)

    def finished(self) -> Iterable[LegDone]:
        """The reports of the legs that are over with all their messages ended: in their order, each once."""
        while self.legs and self.legs[0].is_over and not self.legs[0].live:
            book = self.legs.pop(0)
            book.fold(self._second)
            yield book.done()
            self._spare.append(book.give_back())

    def begin_schedule(self, now: int) -> None:
        """The first second of the schedule begins."""
        self._origin = now
        self._begin_second(now)

    def next_whole(self, now: int) -> int:
        """When the next second of the schedule begins."""
        return self._origin + -(-(now - self._origin) // NS) * NS

    def next_second(self, now: int, of: LegBook | None) -> None:
        """The next second begins within the leg `of`, or between legs. What was not told of the last is left out."""
        for book in self.legs:
            book.fold(self._second)
        self._number += 1
        self._of = of
        self._begin_second(now)

    def tick(self, now: int, *, users: int, in_flight: int) -> Tick | None:
        """The report of the second under way, which ends; once, and None where no leg ran in it."""
        of, self._of = self._of, None
        if of is None:
            return None
        for book in self.legs:
            book.fold(self._second)
        second = self._second
        return Tick(
            second=self._number,
            started_at=(self._origin + self._number * NS) / 1e9,
            part=of.leg.part,
            label=of.leg.label,
            users=users,
            due=second.due,
            sent=second.sent,
            answered=second.answered,
            ok=second.ok,
            failures=second.failures,
            in_flight=in_flight,
            waited=second.waited,
            latency=second.latency,
            service=second.service,
            lag=second.lag,
            cpu_s=time.process_time() - self._cpu_s,
            wall_s=(now - self._second_start) / 1e9,
        )

    def _begin_second(self, now: int) -> None:
        self._second = SecondBook()
        self._second_start = now
        self._cpu_s = time.process_time()


def _count(values: list[int], *into: Bins) -> None:
    """Put the values into bins, and empty the list."""
    if not values:
        return
    for value, count in Counter(values).items():
        place = bin_of(value if value > 0 else 0)
        for bins in into:
            bins[place] = bins.get(place, 0) + count
    values.clear()
