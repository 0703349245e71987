"""Series for the unit tests of rules: some that break a threshold by little, and some that stay just within it."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import product

from checks.monitoring.export.common import number
from checks.monitoring.export.rules import Writer
from checks.monitoring.model import Comparison, Threshold
from checks.monitoring.rule_test import around
from checks.monitoring.sources.exposition import Key, Selector

BEGIN = 1_000_000.0
"""Counters begin high: near 0 Prometheus does not extrapolate them, and shares would be off by a little."""
PARTS = 10_000
"""Requests of one step: shares in hundredths of a per cent."""
_WORDS = (
    "",
    "500",
    "503",
    "5",
    "200",
    "404",
    "2",
    "4",
    "x",
    "true",
    "error",
    "ERROR",
    "GET",
    "/",
    "in_use",
    "size",
)
"""Values of labels that are tried against the patterns of a selector."""


@dataclass(frozen=True, slots=True)
class Series:
    """One input series of `promtool test rules`."""

    series: str
    values: str


@dataclass(frozen=True, slots=True)
class Case:
    """What the rules see, and what comes of it."""

    series: tuple[Series, ...]
    value: float
    """What the alert says, where it fires."""
    from_step: int = 1
    """Since when the condition holds, where it does: a rate is known from the second sample on."""


class Cases:
    """Breaking and kept series of one threshold; from the target's metrics where an example of them can be made."""

    def __init__(self, writer: Writer, threshold: Threshold, step_s: float, steps: int) -> None:
        """The rules are evaluated every `step_s` seconds, for `steps` steps."""
        self._writer, self._threshold, self._steps = writer, threshold, steps
        self._every_s = step_s
        shortest_s = threshold.short_window_s or threshold.window_s
        wanted_s = min(step_s, shortest_s / 4) if shortest_s else step_s
        self._per_step = max(1, math.ceil(step_s / wanted_s - 1e-9))

    @property
    def step_s(self) -> float:
        """From sample to sample: several in the shortest window."""
        return self._every_s / self._per_step

    def breaking(self) -> Case:
        """Beyond the limit by little."""
        return self._case(is_breaking=True)

    def kept(self) -> Case:
        """Just within it."""
        return self._case(is_breaking=False)

    def few(self) -> Case | None:
        """Beyond the limit, with one event too few; None where that is no matter."""
        if not self._threshold.least_events:
            return None
        return self._of_watch(is_breaking=True, events=self._threshold.least_events - 1)

    def _case(self, *, is_breaking: bool) -> Case:
        makers: Mapping[str, Callable[[bool], Case | None]] = {
            "error-rate": self._share,
            "budget-burn": self._share,
            "response-time": self._quantile,
            "slow-queries": self._rate,
            "log-errors": self._rate,
            "pool-use": self._gauges,
            "pool-waiting": self._gauges,
        }
        maker = makers.get(self._threshold.signal)
        made = maker(is_breaking) if maker and self._writer.has_metrics(self._threshold) else None
        return made or self._of_watch(is_breaking=is_breaking, events=self._threshold.least_events)

    # The watch's own metrics

    def _of_watch(self, *, is_breaking: bool, events: int) -> Case:
        threshold = self._threshold
        beyond, within = around(threshold)
        value = beyond if is_breaking else within
        found = [self._own("gonogo_reading", self._stepped(within, value))]
        if threshold.short_window_s:
            found.append(self._own("gonogo_reading_short", self._stepped(within, value)))
        if threshold.least_events:
            found.append(self._own("gonogo_reading_events", self._flat(events)))
        return Case(tuple(found), value)

    def _own(self, metric: str, values: str) -> Series:
        labels = f'job="{self._writer.jobs.watch}",threshold="{self._threshold.name}"'
        return Series(f"{metric}{{{labels}}}", values)

    # The target's metrics

    def _share(self, is_breaking: bool) -> Case | None:
        """Errors of all requests: `PARTS` of these a step."""
        selectors = self._writer.selectors
        errors = example(selectors["errors"])
        if errors is None:
            return None
        is_one = Selector.read(selectors["requests"]).takes(errors)
        others = example(selectors["requests"], selectors["errors"])
        if others is None:
            return None
        threshold = self._threshold
        scale = 100.0 if threshold.signal == "error-rate" else 1 / float(self._writer.budget)
        parts = max(PARTS, 10 * threshold.least_events)
        counts = _counts(threshold, lambda count: round(scale * count / parts, 6), parts)
        if counts is None:
            return None
        count = counts[0 if is_breaking else 1]
        series = (
            Series(written(errors), self._rising(count)),
            Series(written(others), self._rising(parts - count if is_one else parts)),
        )
        return Case(series, round(scale * count / parts, 6))

    def _quantile(self, is_breaking: bool) -> Case | None:
        """A histogram whose quantile is the limit, or lies a five hundredth of it beyond."""
        threshold = self._threshold
        duration, requests = (
            example(self._writer.selectors["duration"]),
            example(self._writer.selectors["requests"]),
        )
        is_usual = threshold.comparison is Comparison.ABOVE and threshold.limit > 0
        if duration is None or requests is None or not is_usual:
            return None
        parts = max(PARTS, 10 * threshold.least_events)
        below = parts * 95 // 100 - (1 if is_breaking else 0)
        limit, twice = threshold.limit, 2 * threshold.limit
        counts = ((number(limit), below), (number(twice), parts), ("+Inf", parts))
        series = [Series(written(duration, le=bound), self._rising(count)) for bound, count in counts]
        series.append(Series(written(requests), self._rising(parts)))
        value = limit + limit * (parts * 0.95 - below) / (parts - below) if is_breaking else limit
        return Case(tuple(series), round(value, 6))

    def _rate(self, is_breaking: bool) -> Case | None:
        """A counter that rises for a whole window as fast as is allowed; then a hundredth of that at once."""
        name = {"slow-queries": "slow_queries", "log-errors": "log_errors"}[self._threshold.signal]
        counter = example(self._writer.selectors[name])
        threshold, window_s = self._threshold, self._threshold.window_s
        is_usual = threshold.comparison is Comparison.ABOVE and threshold.limit > 0
        if counter is None or not is_usual or (self._steps - 2) * self._every_s >= window_s:
            return None
        by = threshold.limit / 60 * self.step_s
        filling = (math.ceil(window_s / self._every_s) + 1) * self._per_step
        at_once = threshold.limit / 60 * window_s / 100 if is_breaking else 0.0
        start = BEGIN + filling * by + at_once
        values = f"{number(BEGIN)}+{number(by)}x{filling - 1} {number(start)}+{number(by)}x{self._last}"
        value = threshold.limit * (1.01 if is_breaking else 1.0)
        return Case((Series(written(counter), values),), value, filling // self._per_step)

    def _gauges(self, is_breaking: bool) -> Case | None:
        """Gauges just beyond the limit, or on it."""
        beyond, within = around(self._threshold)
        value = beyond if is_breaking else within
        names = {"pool-use": ("pool_in_use", "pool_size"), "pool-waiting": ("pool_waiting",)}
        keys = [example(self._writer.selectors[name]) for name in names[self._threshold.signal]]
        if None in keys or min(beyond, within) < 0:
            return None
        values = [self._stepped(within, value)]
        if len(keys) == 2:
            values.append(self._flat(100))
        series = tuple(Series(written(key), one) for key, one in zip(keys, values, strict=True) if key)
        return Case(series, round(value, 6))

    # Values, in the notation of promtool: `start+rise x times`

    @property
    def _last(self) -> int:
        return self._steps * self._per_step

    def _rising(self, by: float) -> str:
        each = by / self._per_step
        return f"{number(BEGIN)}+{number(each)}x{self._last}"

    def _flat(self, value: float) -> str:
        return f"{number(value)}+0x{self._last}"

    def _stepped(self, first: float, then: float) -> str:
        """`first` until the second step."""
        return f"{number(first)}+0x{self._per_step - 1} {number(then)}+0x{self._last}"


def looks(writer: Writer, step_s: float, steps: int) -> Series:
    """The watch looks at every step."""
    name = f'gonogo_watch_last_look_timestamp_seconds{{job="{writer.jobs.watch}"}}'
    return Series(name, f"0+{number(step_s)}x{steps}")


def missing(writer: Writer, threshold: Threshold, value: int, steps: int) -> Series:
    """Whether the watch lacks a value that there should be: 1 or 0."""
    labels = f'job="{writer.jobs.watch}",threshold="{threshold.name}"'
    return Series(f"gonogo_reading_missing{{{labels}}}", f"{value}+0x{steps}")


def _counts(threshold: Threshold, value: Callable[[int], float], parts: int) -> tuple[int, int] | None:
    """The two neighbouring counts between which the limit is broken: (beyond, within); None where there are none."""
    holds = threshold.comparison.holds
    low, high = 0, parts
    if holds(value(low), threshold.limit) is holds(value(high), threshold.limit):
        return None
    first = holds(value(low), threshold.limit)
    while high - low > 1:
        middle = (low + high) // 2
        if holds(value(middle), threshold.limit) is first:
            low = middle
        else:
            high = middle
    return (low, high) if first else (high, low)


def example(selector: str, without: str = "") -> Key | None:
    """A series that `selector` takes, and `without` does not; None where none is found."""
    wanted = Selector.read(selector)
    unwanted = Selector.read(without) if without else None
    labels = sorted({one.label for one in (*wanted.matchers, *(unwanted.matchers if unwanted else ()))})
    given = [
        one.value for one in (*wanted.matchers, *(unwanted.matchers if unwanted else ())) if not one.pattern
    ]
    words: Sequence[str] = tuple(dict.fromkeys((*given, *_WORDS)))
    fitting: list[Iterable[str]] = []
    for label in labels:
        conditions = [one for one in wanted.matchers if one.label == label]
        fitting.append([word for word in words if all(one.takes({label: word}) for one in conditions)])
    for values in product(*fitting):
        key: Key = (
            wanted.name,
            tuple((label, one) for label, one in zip(labels, values, strict=True) if one),
        )
        if wanted.takes(key) and not (unwanted and unwanted.takes(key)):
            return key
    return None


def written(key: Key, **more: str) -> str:
    """A series as promtool reads it."""
    labels = ",".join(f'{name}="{_escaped(value)}"' for name, value in (*key[1], *more.items()))
    return f"{key[0]}{{{labels}}}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
