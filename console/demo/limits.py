"""Rate limits: one token bucket for each route and client address, in memory."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

MAX_BUCKETS = 10_000
SIGN_UPS = "register"
"""The route of the faults limit-shared and health-limited."""


@dataclass(frozen=True, slots=True)
class Limit:
    """So many calls in so many seconds; all of them may come at once."""

    calls: int
    per_s: float


LIMITS: dict[str, Limit] = {
    "login": Limit(5, 5),
    "register": Limit(3, 300),
    "launch": Limit(5, 3.5),
    "stop": Limit(4, 1),
    "task": Limit(8, 0.8),
    "query": Limit(60, 6),
    "bots": Limit(8, 0.8),
    "status": Limit(3, 0.6),
    "history": Limit(5, 1),
}
"""Operation -> its limit. Short bursts that refill fast: a person and a page stay far below, a flood does not."""


def limits(faults: frozenset[str]) -> dict[str, Limit]:
    """The limits that act."""
    acting = dict(LIMITS)
    if "limit-off" in faults:
        del acting["launch"]
    if "limit-too-early" in faults:
        acting["stop"] = Limit(1, 0.25)
    if "limiter-too-low" in faults:
        acting["query"] = Limit(3, 30)
    if "socket-unlimited" in faults:
        del acting["query"]
    return acting


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float
    was_refused: bool = False


class Limiter:
    """Counts the calls of each client on each route."""

    def __init__(
        self,
        limits: dict[str, Limit],
        clock: Callable[[], float] = time.monotonic,
        faults: frozenset[str] = frozenset(),
    ) -> None:
        self._limits = limits
        self._clock = clock
        self._faults = faults
        self._buckets: dict[tuple[str, str], _Bucket] = {}

    def take(self, route: str, client: str) -> int:
        """Count one call; 0 where it is allowed, else the whole seconds after which one will be."""
        limit = self._limits.get(route)
        if limit is None:
            return 0
        now, rate = self._clock(), limit.calls / limit.per_s
        if len(self._buckets) >= MAX_BUCKETS:
            self._forget_full(now)
        is_shared = "limit-shared" in self._faults and route == SIGN_UPS and client.startswith("127.")
        if is_shared and self.is_over(SIGN_UPS):
            return 1
        bucket = self._buckets.setdefault((route, client), _Bucket(limit.calls, now))
        bucket.tokens = min(float(limit.calls), bucket.tokens + (now - bucket.at) * rate)
        bucket.at = now
        if "limit-never-recovers" in self._faults and route == "status" and bucket.was_refused:
            return 1
        bucket.was_refused = bucket.tokens < 1
        if not bucket.was_refused:
            bucket.tokens -= 1
            return 0
        return max(1, math.ceil((1 - bucket.tokens) / rate))

    def is_over(self, route: str, client: str = "") -> bool:
        """Whether the last call of that client (empty: of any) on `route` was refused."""
        return any(
            bucket.was_refused
            for (name, caller), bucket in self._buckets.items()
            if name == route and client in ("", caller)
        )

    def _forget_full(self, now: float) -> None:
        """Drop the buckets that have had the time to fill up: they say nothing any more."""
        self._buckets = {
            key: bucket
            for key, bucket in self._buckets.items()
            if now - bucket.at < self._limits[key[0]].per_s
        }
