"""When messages are due: pure functions from a leg to moments; offsets are nanoseconds from the leg's beginning.

Nothing here looks at a clock. Moments come from the leg's beginning alone and never from the moment before, so that
no error adds up.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from random import Random

from checks.load.model import Arrival
from checks.load.wire import Leg

NS = 1_000_000_000
SLACK_NS = 50_000_000
"""By so much messages may come early against the hard ceiling: it bounds the rate, not the jitter."""


def rates(leg: Leg, most_per_s: float = math.inf) -> tuple[float, float]:
    """Messages a second at the beginning and the end of an open leg, never above the ceiling."""
    begin, end = (min(max(0.0, rate), most_per_s) for rate in (leg.rate_from, leg.rate_to))
    return begin, end


def count(leg: Leg, most_per_s: float = math.inf) -> int:
    """How many messages an open leg sends: its rate integrated over its time, rounded to the nearest."""
    begin, end = rates(leg, most_per_s)
    return math.floor((begin + end) / 2 * leg.seconds + 0.5)


def send_times(leg: Leg, *, seed: int, most_per_s: float = math.inf) -> Iterator[int]:
    """The offsets at which messages of an open leg are due, in order; `count` of them.

    Message i is due where the integral of the rate reaches i + 1/2 (CONSTANT), so that the distance to the last one
    of the leg before is even too; or where it reaches the i-th of as many random points (POISSON). A Poisson process
    whose number of arrivals is known is just that: points spread evenly at random (Ross, Introduction to Probability
    Models, theorem 5.2).
    """
    total = count(leg, most_per_s)
    begin, end = rates(leg, most_per_s)
    shares = _ordered_points(total, Random(seed)) if leg.arrival is Arrival.POISSON else _midpoints(total)  # noqa: S311
    for share in shares:
        yield int(moment_of(share, begin, end) * leg.seconds * NS)


def moment_of(share: float, begin: float, end: float) -> float:
    """The share of the time (0..1) after which `share` of the messages are due, at a rate that goes straight from
    `begin` to `end`: the integral begin t + (end - begin) t^2 / 2 inverted, in the form without cancellation.
    """
    if begin == end:
        return share
    middle = (begin + end) / 2
    root = math.sqrt(begin * begin + 2 * (end - begin) * middle * share)
    return min(1.0, 2 * middle * share / (begin + root)) if share else 0.0


def users_at(leg: Leg, offset_ns: float) -> int:
    """How many users of a closed leg are at work at `offset_ns`."""
    share = min(1.0, max(0.0, offset_ns / (leg.seconds * NS))) if leg.seconds else 1.0
    gone = share * abs(leg.users_to - leg.users_from)
    moved = math.floor(gone + 0.5)
    return leg.users_from + (moved if leg.users_to > leg.users_from else -moved)


def changes(leg: Leg) -> Iterator[tuple[int, int]]:
    """(offset, users at work from then on) of a closed leg, in order: evenly spread, the last user is first to go."""
    steps = abs(leg.users_to - leg.users_from)
    sign = 1 if leg.users_to > leg.users_from else -1
    for step in range(steps):
        yield int((step + 0.5) / steps * leg.seconds * NS), leg.users_from + sign * (step + 1)


def thinks(seed: int, user: int, least_s: float, most_s: float) -> Iterator[int]:
    """The think times of one user, in nanoseconds: even between both bounds, the same for the same seed and user."""
    random = Random(seed * 1_000_003 + user)  # noqa: S311 - not for secrets
    while True:
        yield int(random.uniform(least_s, most_s) * NS)


class Ceiling:
    """The hard ceiling on messages a second (generic cell rate algorithm, ITU-T I.371)."""

    __slots__ = ("_free_at", "_gap")

    def __init__(self, most_per_s: float) -> None:
        self._gap = int(NS / max(most_per_s, 1e-3))
        self._free_at = 0

    @property
    def next_at(self) -> int:
        """When the next message is allowed."""
        return self._free_at - SLACK_NS

    def admits(self, now: int) -> bool:
        """Whether a message may be sent now; if so, it is counted."""
        free_at = self._free_at
        if free_at > now + SLACK_NS:
            return False
        self._free_at = (free_at if free_at > now else now) + self._gap
        return True


def _midpoints(total: int) -> Iterator[float]:
    return ((place + 0.5) / total for place in range(total))


def _ordered_points(total: int, random: Random) -> Iterator[float]:
    """`total` random points of 0..1 in order, without keeping them: the least of n points is 1 - u^(1/n)."""
    passed = 0.0
    for left in range(total, 0, -1):
        passed += (1 - passed) * (1 - (1 - random.random()) ** (1 / left))
        yield passed
