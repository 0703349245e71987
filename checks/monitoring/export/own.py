"""The watch's own metrics in the Prometheus text format (0.0.4): what a target cannot tell of itself.

A reading that is missing, or does not apply, has no series, so that no rule takes it for calm. Which of both it is
tells `gonogo_reading_missing`: 1 where there should be a value; what does not apply, or is off, has no series there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from checks.monitoring.board import Board
from checks.monitoring.model import AlertState, Delivery
from checks.monitoring.signals import SIGNALS


class _Families(Collector):
    """One board as metric families."""

    def __init__(self, board: Board) -> None:
        self._board = board

    def collect(self) -> Iterable[Metric]:
        """Every family, in a fixed order."""
        yield from self._readings()
        yield from self._alerts()
        yield from self._watch()

    def _readings(self) -> Iterator[Metric]:
        value = GaugeMetricFamily(
            "gonogo_reading",
            "Newest value of a threshold's signal, in the unit of the signal.",
            labels=("threshold", "signal", "unit"),
        )
        short = GaugeMetricFamily(
            "gonogo_reading_short", "The same over the threshold's shorter window.", labels=("threshold",)
        )
        events = GaugeMetricFamily(
            "gonogo_reading_events", "Events in the window that the value rests on.", labels=("threshold",)
        )
        missing = GaugeMetricFamily(
            "gonogo_reading_missing", "Whether there should be a value and is none.", labels=("threshold",)
        )
        limit = GaugeMetricFamily(
            "gonogo_limit", "Limit of a threshold, as it is in force.", labels=("threshold",)
        )
        for row in self._board.rows:
            threshold, reading = row.threshold, row.reading
            limit.add_metric((threshold.name,), threshold.limit)
            if not threshold.is_on or not reading.applies:
                continue
            missing.add_metric((threshold.name,), float(reading.is_missing))
            if reading.is_missing or reading.value is None:
                continue
            unit = SIGNALS[threshold.signal].unit
            value.add_metric((threshold.name, threshold.signal, unit), reading.value)
            if reading.short is not None:
                short.add_metric((threshold.name,), reading.short)
            if reading.events is not None:
                events.add_metric((threshold.name,), reading.events)
        yield from (value, short, events, missing, limit)

    def _alerts(self) -> Iterator[Metric]:
        alert = GaugeMetricFamily(
            "gonogo_alert",
            "Whether an alert of the watch is in this state.",
            labels=("threshold", "kind", "severity", "state"),
        )
        for row in self._board.rows:
            for one in (row.limit, row.no_data):
                for state in (AlertState.PENDING, AlertState.FIRING):
                    labels = (one.threshold, one.kind.value, row.threshold.severity.value, state.value)
                    alert.add_metric(labels, float(one.state is state))
        yield alert

    def _watch(self) -> Iterator[Metric]:
        board = self._board
        yield CounterMetricFamily("gonogo_watch_looks", "Looks since the watch began.", value=board.looks)
        yield GaugeMetricFamily(
            "gonogo_watch_last_look_timestamp_seconds",
            "When it looked last, Unix time.",
            value=board.at.timestamp(),
        )
        yield GaugeMetricFamily("gonogo_watch_interval_seconds", "From look to look.", value=board.interval_s)
        yield GaugeMetricFamily(
            "gonogo_watch_problem",
            "Whether something is wrong with the watch itself.",
            value=float(bool(board.problem)),
        )
        waiting = GaugeMetricFamily(
            "gonogo_messages_waiting", "Newest messages that are not delivered yet.", labels=("contact",)
        )
        undelivered: dict[str, int] = {rung.contact: 0 for rung in board.ladder}
        for message in board.messages:
            if message.delivery in (Delivery.DUE, Delivery.FAILED):
                undelivered[message.contact] = undelivered.get(message.contact, 0) + 1
        for contact, count in undelivered.items():
            waiting.add_metric((contact,), count)
        yield waiting
        info = GaugeMetricFamily("gonogo_watch_info", "Who watches; always 1.", labels=("watcher",))
        info.add_metric((board.watcher,), 1.0)
        yield info


def exposition(board: Board) -> str:
    """The whole board as text for a scrape."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(board))
    return generate_latest(registry).decode("utf-8")
