"""Puts each threshold before a series that breaks it and one that does not, through the same code that watches."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from checks.monitoring.alerts import Moment, Watched, step
from checks.monitoring.model import AlertState, Comparison, Reading, Threshold
from checks.text import NOTHING, Clean, clean

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
MOST_STEPS = 20_000


@dataclass(frozen=True, slots=True)
class RuleTest:
    """What became of one threshold's series; times in seconds from their beginning, None where it never came."""

    threshold: str
    breaking: float
    """The value that is just beyond the limit."""
    allowed: float
    """The value that is just within it."""
    fired_after_s: float | None
    resolved_after_s: float | None
    """From the first good value to resolved."""
    quiet_fired: bool
    """Whether the series within the limit fired: it must not."""
    few_fired: bool
    """Whether too few events fired: they must not. False where the threshold asks for none."""
    no_data_after_s: float | None
    interval_s: float
    problem: Clean = NOTHING
    """What is not as the threshold says; empty where all is."""

    def document(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return {
            "threshold": self.threshold,
            "breaking": self.breaking,
            "allowed": self.allowed,
            "fired_after_s": self.fired_after_s,
            "resolved_after_s": self.resolved_after_s,
            "quiet_fired": self.quiet_fired,
            "few_fired": self.few_fired,
            "no_data_after_s": self.no_data_after_s,
            "interval_s": self.interval_s,
            "problem": self.problem,
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> RuleTest:
        """Read back what `document` wrote."""
        return cls(**{**document, "problem": clean(document["problem"])})


def around(threshold: Threshold) -> tuple[float, float]:
    """A value just beyond the limit and one just within it: a hundredth of it (or of one) away, or the limit itself."""
    margin = max(abs(threshold.limit), 1.0) / 100
    limit = threshold.limit
    if threshold.comparison is Comparison.ABOVE:
        return limit + margin, limit
    if threshold.comparison is Comparison.BELOW:
        return limit - margin, limit
    return (limit, limit - margin) if threshold.comparison is Comparison.AT_LEAST else (limit, limit + margin)


def try_rule(threshold: Threshold, interval_s: float) -> RuleTest:
    """Try one threshold. It is right where it fires and resolves within one interval of its own times."""
    beyond, within = around(threshold)
    events = float(threshold.least_events or 1)
    bad, good = Reading(beyond, events, beyond), Reading(within, events, within)
    fired = _first(threshold, [bad], AlertState.FIRING, threshold.for_s, interval_s)
    resolved = _resolved(threshold, bad, good, interval_s) if fired is not None else None
    long_s = threshold.for_s + 2 * interval_s
    quiet = _first(threshold, [good], AlertState.FIRING, long_s, interval_s) is not None
    few = False
    if threshold.least_events:
        too_few = Reading(beyond, events - 1, beyond)
        few = _first(threshold, [too_few], AlertState.FIRING, long_s, interval_s) is not None
    missing = Reading(None, problem=clean("test"))
    no_data = _first(
        threshold, [missing], AlertState.FIRING, threshold.no_data_s, interval_s, is_no_data=True
    )
    found = RuleTest(threshold.name, beyond, within, fired, resolved, quiet, few, no_data, interval_s)
    return RuleTest(**{**found.document(), "problem": _problem(threshold, found)})


def try_rules(thresholds: Iterable[Threshold], interval_s: float) -> dict[str, RuleTest]:
    """Every threshold that is on, by name."""
    return {one.name: try_rule(one, interval_s) for one in thresholds if one.is_on}


def _problem(threshold: Threshold, found: RuleTest) -> Clean:
    slack_s = found.interval_s * 1.001
    if found.fired_after_s is None or abs(found.fired_after_s - threshold.for_s) > slack_s:
        return clean(f"a value of {found.breaking:g} does not fire after {threshold.for_s:g} s")
    if found.resolved_after_s is None or abs(found.resolved_after_s - threshold.keep_firing_s) > slack_s:
        return clean(f"a value of {found.allowed:g} does not resolve it after {threshold.keep_firing_s:g} s")
    if found.quiet_fired:
        return clean(f"a value of {found.allowed:g}, which is allowed, fires")
    if found.few_fired:
        return clean(f"fewer than {threshold.least_events} events fire")
    if found.no_data_after_s is None or abs(found.no_data_after_s - threshold.no_data_s) > slack_s:
        return clean(f"missing data is not told after {threshold.no_data_s:g} s")
    return NOTHING


def _first(
    threshold: Threshold,
    readings: list[Reading],
    state: AlertState,
    within_s: float,
    interval_s: float,
    *,
    is_no_data: bool = False,
) -> float | None:
    """After how many seconds of the last of `readings` an alert is in `state`."""
    watched = Watched.new(threshold.name)
    for place in range(min(MOST_STEPS, math.ceil(within_s / interval_s) + 3)):
        at_s = place * interval_s
        watched, _ = step(threshold, watched, readings[-1], _moment(at_s), interval_s)
        alert = (watched.no_data if is_no_data else watched.limit).alert
        if alert.state is state:
            return at_s
    return None


def _resolved(threshold: Threshold, bad: Reading, good: Reading, interval_s: float) -> float | None:
    watched, at_s = Watched.new(threshold.name), 0.0
    while not watched.limit.alert.is_firing and at_s <= threshold.for_s + 3 * interval_s:
        watched, _ = step(threshold, watched, bad, _moment(at_s), interval_s)
        at_s += interval_s
    began_s = at_s
    while at_s - began_s <= threshold.keep_firing_s + 3 * interval_s:
        watched, _ = step(threshold, watched, good, _moment(at_s), interval_s)
        if watched.limit.alert.state is AlertState.RESOLVED:
            return at_s - began_s
        at_s += interval_s
    return None


def _moment(at_s: float) -> Moment:
    return Moment(BEGIN + timedelta(seconds=at_s), at_s)
