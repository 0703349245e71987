"""What each chart of a load run shows: which figures, in which unit, and the criterion drawn in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from checks.load.model import Arrival, Scenario
from screens.load_live import NOT_RUN, count, ms
from screens.load_view import LoadView, Point
from widgets.chart_data import ChartData, Series, rounded_up

CHARTS = ("throughput", "latency", "cpu", "memory", "connections")
"""The charts in the order in which they stand, and are gone through where there is room for fewer."""
LEAST_WINDOW_S = 10.0
MIB = 2**20

Value = Callable[[Point], float | None]
Line = tuple[str, Value]
"""A line's label and where its values come from."""


def charts(view: LoadView) -> dict[str, ChartData]:
    """Each chart's data, by name."""
    found = _charts(view)
    return found if view.id else {name: replace(data, empty=NOT_RUN) for name, data in found.items()}


def _charts(view: LoadView) -> dict[str, ChartData]:
    scenario = view.scenario or Scenario("", "")
    criteria, to = scenario.criteria, window_s(view)
    is_steady = scenario.arrival is not Arrival.CLOSED and not scenario.is_capacity
    rate = scenario.rate_per_s if is_steady else None
    due: list[Line] = [("due", lambda point: point.second.due / point.seconds)]
    return {
        "throughput": ChartData(
            "throughput",
            _series(view, [("ok", _ok), ("bad", _bad), *(due if scenario.is_capacity else [])], whole),
            unit="msg/s",
            limit=rate,
            limit_label=f"asked {rate:.3g}" if rate else "",
            x_to=to,
        ),
        "latency": ChartData(
            "latency",
            _series(
                view,
                [
                    ("p50", lambda point: _times(point.second.p50_s, 1e3)),
                    ("p95", lambda point: _times(point.second.p95_s, 1e3)),
                    ("p99", lambda point: _times(point.second.p99_s, 1e3)),
                ],
                lambda value: ms(value / 1e3),
            ),
            unit="ms",
            limit=criteria.p95_s * 1e3 or None,
            limit_label=f"p95 limit {ms(criteria.p95_s)}" if criteria.p95_s else "",
            is_log=True,
            empty="no replies yet" if view.is_running else "no replies",
            x_to=to,
        ),
        **_resources(view, to),
    }


def _resources(view: LoadView, to: float) -> dict[str, ChartData]:
    limit = view.scenario.criteria.memory_percent if view.scenario else 0.0
    return {
        "cpu": ChartData(
            "CPU",
            _series(
                view,
                [
                    ("app", lambda point: point.second.sample.cpu_percent),
                    ("host", lambda point: point.second.sample.host_cpu_percent),
                ],
                whole,
            ),
            unit="%",
            empty="the CPU of target and host cannot be seen",
            x_to=to,
        ),
        "memory": ChartData(
            "memory",
            _series(view, [("RSS", lambda point: _times(point.second.sample.memory_bytes, 1 / MIB))], whole),
            unit="MiB",
            limit=_memory_limit(view, limit),
            limit_label=f"limit {limit:g} %" if limit else "",
            empty="the target's memory cannot be seen",
            x_to=to,
        ),
        "connections": ChartData(
            "connections",
            _series(
                view,
                [
                    ("load", lambda point: point.second.in_flight),
                    ("pool", lambda point: point.second.sample.database_connections),
                    ("wait", lambda point: point.second.sample.database_waiting),
                ],
                whole,
            ),
            x_to=to,
        ),
    }


def window_s(view: LoadView) -> float:
    """The time axis: the whole schedule, so that the lines fill it from the left; longer where it runs over."""
    over_s = rounded_up(view.done_s) if view.done_s > view.legs_s else 0.0
    return max(LEAST_WINDOW_S, view.legs_s, over_s)


def whole(value: float) -> str:
    """A number to the unit, below 10 to a tenth."""
    return f"{value:.2g}" if 0 < value < 9.95 else count(round(value))


def _series(view: LoadView, lines: list[Line], word: Callable[[float], str]) -> tuple[Series, ...]:
    newest = Point(view.newest) if view.newest is not None else None

    def series(label: str, value: Value) -> Series:
        now = value(newest) if newest is not None else None
        points = tuple((point.at_s, value(point)) for point in view.points)
        return Series(label, points, "-" if now is None else word(now))

    found = (series(label, value) for label, value in lines)
    return tuple(line for line in found if any(y is not None for _, y in line.points))


def _ok(point: Point) -> float:
    return point.second.ok / point.seconds


def _bad(point: Point) -> float:
    return (point.second.throttled + point.second.failed) / point.seconds


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _memory_limit(view: LoadView, limit_percent: float) -> float | None:
    """The criterion in MiB, from what the newest sample says in both units."""
    sample = view.newest.sample if view.newest else None
    if sample is None or not sample.memory_percent or not limit_percent:
        return None
    used = sample.pss_bytes or sample.memory_bytes
    return used / MIB / sample.memory_percent * limit_percent if used else None
