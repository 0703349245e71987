"""Thresholds as PromQL: over the target's own metrics where it has them, else over what `gonogo watch` exports."""

from __future__ import annotations

import re
from dataclasses import dataclass

from checks.monitoring.model import Threshold
from checks.monitoring.signals import SIGNALS
from checks.target import Target

JOB, WATCH_JOB = "gonogo-target", "gonogo-watch"
"""Names of the scrape jobs."""


@dataclass(frozen=True, slots=True)
class Expressions:
    """One threshold in PromQL; each part has no labels, so that `and` joins them."""

    value: str
    short: str
    """Over the shorter window; empty where there is none."""
    events: str
    """Events in the window; empty where they are not counted, or not asked for."""
    is_own: bool
    """Whether it is what `gonogo watch` exports."""
    absent: str
    """True while there is no data."""
    record: str
    """Stem of the recorded series: `gonogo:error_rate`."""


def expressions(threshold: Threshold, target: Target) -> Expressions:
    """What Prometheus computes for `threshold`."""
    stem = f"gonogo:{re.sub('[^A-Za-z0-9]+', '_', threshold.name)}"
    signal, contract = SIGNALS[threshold.signal], target.contract
    told = bool(contract.metrics and signal.expression) and all(
        name in contract.metric for name in signal.metrics
    )
    if not told:
        return _own(threshold, stem, has_metrics=bool(contract.metrics))
    names = {name: contract.metric[name] for name in signal.metrics}
    budget = 1 - target.profile.monitoring.availability_percent / 100

    def over(expression: str, window_s: float) -> str:
        return expression.format(**names, window=span(window_s), budget=f"{budget:.12g}")

    return Expressions(
        value=over(signal.expression, threshold.window_s),
        short=over(signal.expression, threshold.short_window_s) if threshold.short_window_s else "",
        events=over(signal.events, threshold.window_s) if threshold.least_events and signal.events else "",
        is_own=False,
        absent=f"max(absent({names[signal.metrics[0]]}))",
        record=stem,
    )


def _own(threshold: Threshold, stem: str, *, has_metrics: bool) -> Expressions:
    matcher = f'{{threshold="{threshold.name}"}}'
    value = f"max(gonogo_reading{matcher})"
    if threshold.signal == "target-up" and has_metrics:
        # A scrape that fails is an outage too, and is seen where the watch itself is down.
        value = f'(min(up{{job="{JOB}"}}) < 1) or max(gonogo_reading{matcher}) or min(up{{job="{JOB}"}})'
    # What does not apply to a target has no series, and is no gap: the watch itself says where data are missing.
    absent = f'max(gonogo_alert{{threshold="{threshold.name}",kind="no-data",state=~"pending|firing"}}) == 1'
    return Expressions(
        value=value,
        short=f"max(gonogo_reading_short{matcher})" if threshold.short_window_s else "",
        events=f"max(gonogo_reading_events{matcher})" if threshold.least_events else "",
        is_own=True,
        absent=absent,
        record=stem,
    )


def condition(threshold: Threshold, found: Expressions) -> str:
    """The alert's condition over the recorded series, as the console judges it."""
    broken = f"{threshold.comparison.value} {threshold.limit:.12g}"
    parts = [f"{found.record}:value {broken}"]
    if found.short:
        parts.append(f"{found.record}:short {broken}")
    if found.events:
        parts.append(f"{found.record}:events >= {threshold.least_events}")
    return " and ".join(parts)


def span(seconds: float) -> str:
    """A duration as Prometheus writes it: `5m`, `90s`, `1500ms`."""
    if seconds != int(seconds):
        return f"{seconds * 1000:.0f}ms"
    for unit_s, unit in ((3600, "h"), (60, "m")):
        if seconds and seconds % unit_s == 0:
            return f"{seconds / unit_s:.0f}{unit}"
    return f"{seconds:.0f}s"
