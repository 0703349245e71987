"""Rate limits: one token bucket for each route and client address, in memory."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

MAX_BUCKETS = 10_000


@dataclass(frozen=True, slots=True)
class Limit:
    """So many calls in so many seconds; all of them may come at once."""

    calls: int
    per_s: float


LIMITS: dict[str, Limit] = {
    "login": Limit(60, 60),
    "register": Limit(3, 300),
    "launch": Limit(90, 60),
    "stop": Limit(240, 60),
    "task": Limit(600, 60),
    "query": Limit(600, 60),
    "bots": Limit(600, 60),
    "status": Limit(300, 60),
    "history": Limit(300, 60),
}
"""Operation -> its limit. A person, a page and a review at the same time stay far below; a flood does not."""


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at: float


class Limiter:
    """Counts the calls of each client on each route."""

    def __init__(self, limits: dict[str, Limit], clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._buckets: dict[tuple[str, str], _Bucket] = {}

    def take(self, route: str, client: str) -> int:
        """Count one call; 0 where it is allowed, else the whole seconds after which one will be."""
        limit = self._limits.get(route)
        if limit is None:
            return 0
        now, rate = self._clock(), limit.calls / limit.per_s
        if len(self._buckets) >= MAX_BUCKETS:
            self._forget_full(now)
        bucket = self._buckets.setdefault((route, client), _Bucket(limit.calls, now))
        bucket.tokens = min(float(limit.calls), bucket.tokens + (now - bucket.at) * rate)
        bucket.at = now
        if bucket.tokens >= 1:
            bucket.tokens -= 1
            return 0
        return max(1, math.ceil((1 - bucket.tokens) / rate))

    def _forget_full(self, now: float) -> None:
        """Drop the buckets that have had the time to fill up: they say nothing any more."""
        self._buckets = {
            key: bucket
            for key, bucket in self._buckets.items()
            if now - bucket.at < self._limits[key[0]].per_s
        }
