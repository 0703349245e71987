"""The state machine of alerts, by the rules of Prometheus; pure, on a clock that is given.

Inactive, pending while the limit has been broken for less than `for_s`, firing, then resolved; `keep_firing_s` as
Prometheus' `keep_firing_for` (rules/alerting.go, Prometheus 2.42). Stricter than Prometheus in three points:

- Data that goes missing does not resolve what fires: nobody knows whether it is over. What is only pending begins anew.
- Missing data is an alert of its own, `no-data`, after `no_data_s`.
- Where looks were missed (the host slept, the watch stood still), `for_s` begins anew: a limit that was broken before
  and after a gap was not seen broken throughout.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from checks.monitoring.model import Alert, AlertKind, AlertState, Reading, Threshold
from checks.text import NOTHING, clean

SHOWN_RESOLVED_S = 900.0
"""Prometheus keeps a resolved alert for 15 minutes (`resolvedRetention`)."""
MISSED_LOOKS = 3.0
"""So many intervals without a look, and what lay between is not known."""


@dataclass(frozen=True, slots=True)
class Moment:
    """One look's time, by two clocks."""

    at: datetime
    """For people and records; may be set."""
    mono_s: float
    """Monotonic seconds: durations are counted on it."""


@dataclass(frozen=True, slots=True)
class Tracked:
    """One alert and since when its condition holds; what `step` carries from look to look."""

    alert: Alert
    since_s: float | None = None
    """Monotonic: when the condition began to hold, without a gap; None where it does not."""
    ended_s: float | None = None
    """Monotonic: when the condition of one that fires first held no more; of one that is resolved, when that was."""
    blind_until_s: float | None = None
    """Monotonic: until then the window of one that fired before a restart is not filled: good values prove nothing."""


@dataclass(frozen=True, slots=True)
class Watched:
    """Both alerts of one threshold."""

    limit: Tracked
    no_data: Tracked
    looked_s: float | None = None
    """Monotonic: the last look."""

    @classmethod
    def new(cls, threshold: str) -> Watched:
        """Before the first look."""
        return cls(
            Tracked(Alert(threshold, AlertKind.LIMIT)),
            Tracked(Alert(threshold, AlertKind.NO_DATA)),
        )

    @classmethod
    def resumed(cls, limit: Alert, no_data: Alert, now: Moment, window_s: float = 0.0) -> Watched:
        """After a restart: what fired fires on, what was pending begins anew.

        What fired is not over before `window_s` has been looked at again: before that, a window is nearly empty.
        """
        return cls(_resumed(limit, now, window_s), _resumed(no_data, now))


def breaks(threshold: Threshold, reading: Reading) -> bool | None:
    """Whether the reading breaks the limit; None where that cannot be told.

    With fewer events than `least_events` it does not: too little happened to conclude anything.
    """
    if not reading.applies:
        return False
    if reading.is_missing or reading.value is None:
        return None
    if threshold.least_events and reading.events is not None and reading.events < threshold.least_events:
        return False
    if not threshold.comparison.holds(reading.value, threshold.limit):
        return False
    return not threshold.short_window_s or (
        reading.short is not None and threshold.comparison.holds(reading.short, threshold.limit)
    )


def step(
    threshold: Threshold, before: Watched, reading: Reading, now: Moment, interval_s: float
) -> tuple[Watched, tuple[Alert, ...]]:
    """Judge one look at one threshold; the new state, and the alerts whose state changed."""
    if not threshold.is_on:
        reading = Reading(None, applies=False)
    is_gap = before.looked_s is not None and now.mono_s - before.looked_s > MISSED_LOOKS * interval_s
    broken = breaks(threshold, reading)
    limit = _limit(threshold, before.limit, reading, broken, now, is_gap=is_gap)
    no_data = _no_data(threshold, before.no_data, reading, broken, now, is_gap=is_gap)
    changed = tuple(
        after.alert
        for after, old in ((limit, before.limit), (no_data, before.no_data))
        if after.alert.state is not old.alert.state
    )
    return Watched(limit, no_data, now.mono_s), changed


def _limit(
    threshold: Threshold,
    tracked: Tracked,
    reading: Reading,
    broken: bool | None,
    now: Moment,
    *,
    is_gap: bool,
) -> Tracked:
    if broken is None:
        if tracked.alert.is_firing:
            return replace(tracked, ended_s=None)
        return _ended(replace(tracked, since_s=None), now)
    valued = tracked
    if reading.value != tracked.alert.value:
        valued = replace(tracked, alert=replace(tracked.alert, value=reading.value))
    if broken:
        return _held(valued, threshold.for_s, now, is_gap=is_gap)
    if valued.alert.is_firing and valued.blind_until_s is not None and now.mono_s < valued.blind_until_s:
        return tracked
    if valued.alert.is_firing and threshold.keep_firing_s:
        ended_s = now.mono_s if valued.ended_s is None or is_gap else valued.ended_s
        if now.mono_s - ended_s < threshold.keep_firing_s:
            return replace(valued, ended_s=ended_s)
    return _ended(valued, now)


def _no_data(
    threshold: Threshold,
    tracked: Tracked,
    reading: Reading,
    broken: bool | None,
    now: Moment,
    *,
    is_gap: bool,
) -> Tracked:
    if broken is None:
        told = replace(tracked, alert=replace(tracked.alert, problem=reading.problem))
        return _held(told, threshold.no_data_s, now, is_gap=is_gap)
    if tracked.alert.problem:
        tracked = replace(tracked, alert=replace(tracked.alert, problem=NOTHING))
    return _ended(tracked, now)


def _held(tracked: Tracked, for_s: float, now: Moment, *, is_gap: bool) -> Tracked:
    """The condition holds at this look."""
    alert = tracked.alert
    if alert.is_firing:
        return replace(tracked, ended_s=None)
    since_s = tracked.since_s
    if since_s is None or is_gap or alert.state is not AlertState.PENDING:
        since_s = now.mono_s
        alert = replace(alert, active_at=now.at, fired_at=None, resolved_at=None)
        if for_s:
            alert = _in(alert, AlertState.PENDING, now)
    if now.mono_s - since_s >= for_s:
        alert = replace(_in(alert, AlertState.FIRING, now), fired_at=now.at)
    return Tracked(alert, since_s)


def _ended(tracked: Tracked, now: Moment) -> Tracked:
    """The condition does not hold at this look."""
    alert = tracked.alert
    if alert.state is AlertState.FIRING:
        resolved = replace(_in(alert, AlertState.RESOLVED, now), resolved_at=now.at)
        return Tracked(resolved, ended_s=now.mono_s)
    if alert.state is AlertState.PENDING:
        return Tracked(_in(alert, AlertState.INACTIVE, now))
    if alert.state is AlertState.RESOLVED:
        ended_s = now.mono_s if tracked.ended_s is None else tracked.ended_s
        if now.mono_s - ended_s >= SHOWN_RESOLVED_S:
            return Tracked(_in(alert, AlertState.INACTIVE, now))
        return replace(tracked, since_s=None, ended_s=ended_s)
    return tracked if tracked.since_s is None else replace(tracked, since_s=None)


def _in(alert: Alert, state: AlertState, now: Moment) -> Alert:
    return replace(alert, state=state, changed_at=now.at)


def _resumed(alert: Alert, now: Moment, window_s: float = 0.0) -> Tracked:
    if alert.state is AlertState.FIRING:
        return Tracked(alert, since_s=now.mono_s, blind_until_s=now.mono_s + window_s)
    if alert.state is AlertState.RESOLVED:
        return Tracked(alert, ended_s=now.mono_s)
    return Tracked(Alert(alert.threshold, alert.kind, problem=clean(alert.problem)))
