"""Alert rules over a recorded load run: which would have fired, and which a run of that length cannot fire. Pure.

A load run records what gonogo's own clients saw, second by second. Error rate, response time and budget are theirs; the
host's and the target's figures are those of the sampler. What was not recorded is told, and never taken for good.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from checks.load.model import Sample, Scenario, Second
from checks.monitoring.alerts import Moment, Watched, step
from checks.monitoring.model import AlertState, Reading, Threshold
from checks.text import NOTHING, Clean, clean, duration

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
"""Only distances count."""
QUANTILE = 0.95
AVAILABILITY_PERCENT = 99.5
LEAST_LOOK_S = 1.0
"""A second is the shortest that was recorded."""
HALVINGS = 40
SOURCE = clean("a recorded load run")


@dataclass(frozen=True, slots=True)
class Replayed:
    """What became of one threshold's alert over the run; times in seconds from the run's beginning."""

    threshold: str
    for_s: float
    lasted_s: float
    """Length of the run."""
    looks: int
    known: int
    """Looks with a value; 0: the recording tells nothing of it."""
    worst: float | None
    """The value furthest beyond, or closest to, the limit."""
    pending_s: float | None
    fired_s: float | None
    resolved_s: float | None
    """When it was over again; None where it fired until the end, or never."""
    broken_s: float | None
    """When the limit was broken first, with `for` left out."""
    broken_for_s: float
    """The longest that it was broken at every look."""
    would_fire: bool
    """Whether it was pending at the end: it would have fired, had the run gone on like that."""
    sentence: Clean
    """What that means, without a full stop."""
    problem: Clean = NOTHING
    """Why there is no data; empty where there is."""

    @property
    def has_data(self) -> bool:
        """Whether the recording tells anything of it."""
        return self.known > 0

    @property
    def is_too_short(self) -> bool:
        """Whether the run ended before this rule could have fired at all."""
        return self.lasted_s < self.for_s


def replay(
    seconds: Sequence[Second],
    scenario: Scenario,
    thresholds: Sequence[Threshold],
    interval_s: float,
    *,
    availability_percent: float = AVAILABILITY_PERCENT,
    cores: float | None = None,
    pool_most: int | None = None,
) -> tuple[Replayed, ...]:
    """Judge every threshold that is on at looks of `interval_s` seconds (1 at least) over the run's seconds.

    `cores`: what the target may use; `pool_most`: connections that its pool may open. Without them, and for signals
    that no load run records, there is no data.
    """
    recorded = Recorded(seconds, availability_percent, cores, pool_most)
    interval_s = max(LEAST_LOOK_S, interval_s)
    return tuple(_replayed(recorded, scenario, one, interval_s) for one in thresholds if one.is_on)


class Recorded:
    """The seconds of a run, asked for readings as a live target is."""

    def __init__(
        self,
        seconds: Sequence[Second],
        availability_percent: float,
        cores: float | None,
        pool_most: int | None,
    ) -> None:
        self._seconds = sorted(seconds, key=lambda one: one.at_s)
        self._ends = [float(one.at_s + 1 - self._seconds[0].at_s) for one in self._seconds]
        self._allowed = (100 - availability_percent) / 100
        self._cores, self._pool_most = cores, pool_most
        self._samples: Mapping[str, Callable[[Sample], float | None]] = {
            "host-memory": lambda sample: sample.host_memory_percent,
            "host-cpu": lambda sample: sample.host_cpu_percent,
            "target-memory": lambda sample: sample.memory_percent,
            "target-cpu": self._cpu,
            "pool-use": self._pool,
            "pool-waiting": lambda sample: sample.database_waiting,
        }

    @property
    def lasted_s(self) -> float:
        """From the beginning of the first second to the end of the last; 0 where there is none."""
        return float(self._seconds[-1].at_s + 1 - self._seconds[0].at_s) if self._seconds else 0.0

    def reading(self, threshold: Threshold, at_s: float, interval_s: float) -> Reading:
        """What a look `at_s` seconds after the beginning would have read."""
        if threshold.signal in ("error-rate", "budget-burn", "response-time"):
            return self._of_replies(threshold, at_s, interval_s)
        if (wanted := self._samples.get(threshold.signal)) is None:
            return _missing("a load run does not record it")
        for second in reversed(self._between(at_s - interval_s, at_s)):
            if (value := wanted(second.sample)) is not None:
                return Reading(float(value), source=SOURCE)
        return _missing(self._why_unknown(threshold.signal))

    def _between(self, from_s: float, to_s: float) -> list[Second]:
        """Seconds that ended after `from_s` and not after `to_s`."""
        return self._seconds[bisect_right(self._ends, from_s + 1e-9) : bisect_right(self._ends, to_s + 1e-9)]

    def _of_replies(self, threshold: Threshold, at_s: float, interval_s: float) -> Reading:
        if not self._between(at_s - interval_s, at_s):
            return _missing("nothing was recorded at that time")
        value = self._over(threshold, at_s, threshold.window_s)
        short = self._over(threshold, at_s, threshold.short_window_s)[0] if threshold.short_window_s else None
        return Reading(value[0], value[1], short, SOURCE)

    def _over(self, threshold: Threshold, at_s: float, window_s: float) -> tuple[float, float]:
        """The value over a window, and how many messages it rests on; without any, 0."""
        seconds = self._between(at_s - window_s, at_s)
        if threshold.signal == "response-time":
            return quantile(seconds, QUANTILE), float(sum(one.answered for one in seconds))
        failed = sum(one.failed for one in seconds)
        # A refusal of the rate limiter is an answer, and no failure of the service: 429 is no 5xx.
        events = float(sum(one.ok + one.throttled + one.failed for one in seconds))
        if not events:
            return 0.0, 0.0
        return (
            100 * failed / events if threshold.signal == "error-rate" else failed / events / self._allowed
        ), events

    def _cpu(self, sample: Sample) -> float | None:
        return sample.cpu_percent / self._cores if self._cores and sample.cpu_percent is not None else None

    def _pool(self, sample: Sample) -> float | None:
        used = sample.database_connections
        return 100 * used / self._pool_most if self._pool_most and used is not None else None

    def _why_unknown(self, signal: str) -> str:
        if signal == "target-cpu" and not self._cores:
            return "how many cores the target may use is not known"
        if signal == "pool-use" and not self._pool_most:
            return "how large the database pool is is not known: set pool_size and max_overflow in [audit.declared]"
        return "it was not seen during the run"


def quantile(seconds: Sequence[Second], wanted: float) -> float:
    """The quantile of the latencies of several seconds, in seconds; 0 where nothing was answered.

    A second is recorded as four quantiles; the mixture of their distributions, linear between these, is inverted by
    bisection. Exact for one second at p50, p95, p99 and the maximum.
    """
    parts = [(one.answered, _points(one)) for one in seconds if one.answered and one.max_s is not None]
    total = sum(count for count, _ in parts)
    if not total:
        return 0.0
    low, high = 0.0, max(points[-1][0] for _, points in parts)
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        if sum(count * _share(points, middle) for count, points in parts) >= wanted * total * (1 - 1e-12):
            high = middle
        else:
            low = middle
    return round(high, 9)


def _points(second: Second) -> tuple[tuple[float, float], ...]:
    """(latency, share of the replies that took no longer), rising."""
    found = [(0.0, 0.0)]
    for latency_s, share in (
        (second.p50_s, 0.5),
        (second.p95_s, 0.95),
        (second.p99_s, 0.99),
        (second.max_s, 1.0),
    ):
        if latency_s is not None:
            found.append((max(latency_s, found[-1][0]), share))
    return tuple(found)


def _share(points: Sequence[tuple[float, float]], latency_s: float) -> float:
    if latency_s >= points[-1][0]:
        return 1.0
    for (from_s, below), (to_s, share) in pairwise(points):
        if latency_s < to_s:
            return below + (share - below) * (latency_s - from_s) / (to_s - from_s)
    return 1.0


def _missing(why: str) -> Reading:
    return Reading(None, source=SOURCE, problem=clean(why))


def _replayed(recorded: Recorded, scenario: Scenario, threshold: Threshold, interval_s: float) -> Replayed:
    lasted_s = recorded.lasted_s
    looks = [place * interval_s for place in range(1, int(lasted_s / interval_s + 1e-9) + 1)]
    readings = [recorded.reading(threshold, at_s, interval_s) for at_s in looks]
    values = [one.value for one in readings if one.value is not None]
    states = _states(threshold, looks, readings, interval_s)
    broken = _states(replace(threshold, for_s=0.0, keep_firing_s=0.0), looks, readings, interval_s)
    fired_s = _first(states, AlertState.FIRING)
    found = Replayed(
        threshold=threshold.name,
        for_s=threshold.for_s,
        lasted_s=lasted_s,
        looks=len(looks),
        known=len(values),
        worst=_worst(threshold, values),
        pending_s=_first(states, AlertState.PENDING, before_s=fired_s),
        fired_s=fired_s,
        resolved_s=_first(states, AlertState.RESOLVED),
        broken_s=_first(broken, AlertState.FIRING),
        broken_for_s=_longest(broken, interval_s),
        would_fire=bool(states) and states[-1][1] is AlertState.PENDING,
        sentence=NOTHING,
        problem=NOTHING if values else next((one.problem for one in readings), clean("nothing was recorded")),
    )
    return replace(found, sentence=clean(_sentence(found, scenario)))


States = list[tuple[float, AlertState]]


def _states(
    threshold: Threshold, looks: Sequence[float], readings: Sequence[Reading], interval_s: float
) -> States:
    """The state of the limit's alert at each look."""
    watched, found = Watched.new(threshold.name), []
    for at_s, reading in zip(looks, readings, strict=True):
        moment = Moment(BEGIN + timedelta(seconds=at_s), at_s)
        watched, _ = step(threshold, watched, reading, moment, interval_s)
        found.append((at_s, watched.limit.alert.state))
    return found


def _first(states: States, wanted: AlertState, *, before_s: float | None = None) -> float | None:
    return next(
        (at_s for at_s, state in states if state is wanted and (before_s is None or at_s <= before_s)), None
    )


def _longest(states: States, interval_s: float) -> float:
    """The longest unbroken stretch of firing looks, in seconds from its first look to its last."""
    longest = length = 0
    for _, state in states:
        length = length + 1 if state is AlertState.FIRING else 0
        longest = max(longest, length)
    return max(0, longest - 1) * interval_s


def _worst(threshold: Threshold, values: Sequence[float]) -> float | None:
    if not values:
        return None
    return max(values) if threshold.comparison.value.startswith(">") else min(values)


def _sentence(found: Replayed, scenario: Scenario) -> str:
    name, for_s = scenario.title, duration(found.for_s)
    if not found.has_data:
        return f"{name} tells nothing of it: {found.problem}"
    if found.fired_s is not None:
        end = (
            f", and is over at {found.resolved_s:g} s" if found.resolved_s is not None else ", until the end"
        )
        return f"fires at {found.fired_s:g} s of {name}{end}"
    if found.broken_s is None:
        if found.is_too_short:
            lasted = duration(found.lasted_s)
            return f"stays within its limit; {name} lasted {lasted}, and the rule needs {for_s} to fire"
        return f"stays within its limit all through {name}"
    length = f"broken from {found.broken_s:g} s on, at most {duration(found.broken_for_s)} in a row"
    if found.would_fire:
        return f"{length}, and pending at the end: it would have fired after {for_s}, had {name} gone on"
    if found.is_too_short:
        return f"{length}; {name} lasted {duration(found.lasted_s)} and cannot fire a rule that needs {for_s}"
    return f"{length}: too short to fire, which needs {for_s}"
