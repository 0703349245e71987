"""Counters of the demo controller, told in the Prometheus text format."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from console.demo.process import Single

BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class Metrics:
    """What has been counted since the start."""

    def __init__(self) -> None:
        self.sockets = 0
        """Open WebSockets."""
        self.reset()

    def reset(self) -> None:
        """Count requests from 0."""
        self._requests: Counter[tuple[str, str, int]] = Counter()
        self._buckets: dict[str, list[int]] = {}
        self._sums_s: dict[str, float] = {}

    def observe(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one answered request, or one answered message of a WebSocket (route `/ws`, method `WS`)."""
        self._requests[route, method, status] += 1
        counts = self._buckets.setdefault(route, [0] * (len(BUCKETS_S) + 1))
        place = next((place for place, bound in enumerate(BUCKETS_S) if seconds <= bound), len(BUCKETS_S))
        counts[place] += 1
        self._sums_s[route] = self._sums_s.get(route, 0.0) + seconds

    def exposition(
        self,
        messages: Mapping[str, int],
        bots: Mapping[str, int],
        connections: Mapping[str, int],
        singles: Iterable[Single] = (),
    ) -> str:
        """Everything as text: answered `messages` by channel, `bots` by status, `connections` of the database pool by
        state, and further metrics of one sample each."""
        return "".join(f"{line}\n" for line in self._lines(messages, bots, connections, singles))

    def _lines(
        self,
        messages: Mapping[str, int],
        bots: Mapping[str, int],
        connections: Mapping[str, int],
        singles: Iterable[Single],
    ) -> Iterator[str]:
        yield "# HELP http_requests_total Answered requests."
        yield "# TYPE http_requests_total counter"
        for (route, method, status), count in sorted(self._requests.items()):
            yield f'http_requests_total{{route="{route}",method="{method}",status="{status}"}} {count}'
        yield "# HELP http_request_duration_seconds Time from the request to the end of its answer."
        yield "# TYPE http_request_duration_seconds histogram"
        for route, counts in sorted(self._buckets.items()):
            yield from self._histogram(route, counts)
        yield from _one("chat_messages_total", "counter", "Answered messages.", "channel", messages)
        yield from _one("bots", "gauge", "Bots by status.", "status", bots)
        about = (
            "Connections of the database pool: in use, how many it may open, and requests that wait for one."
        )
        yield from _one("db_pool_connections", "gauge", about, "state", connections)
        sockets = Single("websocket_connections", "gauge", "Open WebSockets.", self.sockets)
        for single in (sockets, *singles):
            yield f"# HELP {single.name} {single.about}"
            yield f"# TYPE {single.name} {single.kind}"
            yield f"{single.name} {single.value!r}"

    def _histogram(self, route: str, counts: list[int]) -> Iterator[str]:
        name, total = "http_request_duration_seconds", 0
        for bound, count in zip((*map(str, BUCKETS_S), "+Inf"), counts, strict=True):
            total += count
            yield f'{name}_bucket{{route="{route}",le="{bound}"}} {total}'
        yield f'{name}_sum{{route="{route}"}} {self._sums_s[route]:.6f}'
        yield f'{name}_count{{route="{route}"}} {total}'


def _one(name: str, kind: str, about: str, label: str, values: Mapping[str, int]) -> Iterator[str]:
    yield f"# HELP {name} {about}"
    yield f"# TYPE {name} {kind}"
    for value, count in sorted(values.items()):
        yield f'{name}{{{label}="{value}"}} {count}'
