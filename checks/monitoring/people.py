"""What people have done to a watch: alerts taken on, silences, thresholds changed at the console. All is recorded."""

from __future__ import annotations

import math
import secrets
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from checks.model import ReviewError
from checks.monitoring.actions import Acknowledge, Edit, SilenceFor
from checks.monitoring.model import Acknowledgement, Alert, AlertSeverity, Silence, Threshold
from checks.monitoring.record import Known, Record, in_force
from checks.text import NOTHING, Clean, clean, one_line

LONGEST_SILENCE_S = 7 * 86_400.0


class People:
    """Their deeds, as far as they are in force."""

    def __init__(self, thresholds: tuple[Threshold, ...], past: Known, record: Record) -> None:
        self._edits = past.edits
        self.thresholds = in_force(thresholds, past.edits)
        """Those of the profile, with what was changed."""
        self._acknowledged = past.acknowledged
        self._silences = past.silences
        self._record = record

    @property
    def silences(self) -> tuple[Silence, ...]:
        """Those that have not ended."""
        return tuple(self._silences.values())

    def known(self, name: str) -> Threshold:
        """A threshold by its name. Raises ReviewError where there is none."""
        for threshold in self.thresholds:
            if threshold.name == name:
                return threshold
        raise ReviewError(f"There is no threshold {one_line(name, 60)}.")

    def edited_by(self, threshold: str) -> Clean:
        """Who changed it, and when; empty where nobody did."""
        return self._edits[threshold][1] if threshold in self._edits else NOTHING

    def acknowledged(self, alert: Alert) -> Acknowledgement | None:
        """Who has taken this episode of an alert on."""
        return self._acknowledged.get(alert.id) if alert.id else None

    def silence_of(self, threshold: str, now: datetime) -> Silence | None:
        """The silence that covers a threshold now."""
        return next((one for one in self._silences.values() if one.covers(threshold, now)), None)

    def acknowledge(self, action: Acknowledge, alerts: Collection[Alert], actor: str, now: datetime) -> None:
        """Take on what fires of `alerts`. Raises ReviewError where nothing does."""
        firing = [alert for alert in alerts if alert.is_firing]
        if not firing:
            raise ReviewError("Nothing of it fires: there is nothing to acknowledge.")
        for alert in firing:
            one = Acknowledgement(alert.id, clean(actor), now, one_line(action.note, 200))
            self._acknowledged[alert.id] = one
            self._record.acknowledged(one)

    def silence(self, action: SilenceFor, actor: str, now: datetime) -> None:
        """Tell nobody of a threshold for a while. Raises ReviewError without a reason or an end."""
        if action.threshold != "*":
            self.known(action.threshold)
        because = one_line(action.because, 200).strip()
        if not because:
            raise ReviewError("A silence needs a reason: say in a sentence why nobody is to be told.")
        if not 0 < action.seconds <= LONGEST_SILENCE_S:
            raise ReviewError("A silence needs an end: give minutes, a week (10080) at most.")
        ends = now + timedelta(seconds=action.seconds)
        one = Silence(secrets.token_hex(4), action.threshold, clean(because), clean(actor), now, ends)
        self._silences[one.id] = one
        self._record.silenced(one)

    def end_silence(self, silence: str, now: datetime) -> None:
        """End a silence before its time. Raises ReviewError where it has ended."""
        one = self._silences.pop(silence, None)
        if one is None or one.ends <= now:
            raise ReviewError("That silence has ended already.")
        self._record.silenced(replace(one, ends=now))

    def edit(self, action: Edit, actor: str, now: datetime) -> None:
        """Change limit, duration and severity. Raises ReviewError without a reason, or for what cannot be."""
        before = self.known(action.threshold)
        because = one_line(action.because, 200).strip()
        if not because:
            raise ReviewError("A change of a threshold needs a reason: say in a sentence why.")
        if action.severity not in tuple(AlertSeverity):
            raise ReviewError(
                f"There is no severity {one_line(action.severity, 20)}: give critical or warning."
            )
        if not math.isfinite(action.limit) or not 0 <= action.for_s <= 86_400:
            raise ReviewError("The limit must be a number, and the duration from 0 s to a day.")
        severity = AlertSeverity(action.severity)
        after = replace(before, limit=action.limit, for_s=action.for_s, severity=severity)
        self._record.edited(after, before, because, actor)
        self._edits[after.name] = after, clean(f"{actor}, {now:%Y-%m-%d %H:%M}Z")
        self.thresholds = tuple(after if one.name == after.name else one for one in self.thresholds)

    def forget(self, now: datetime, episodes: Collection[str]) -> None:
        """What is over: silences that have ended, acknowledgements of alerts that are not known any more."""
        self._silences = {key: one for key, one in self._silences.items() if one.ends > now}
        kept: Mapping[str, Acknowledgement] = self._acknowledged
        self._acknowledged = {key: one for key, one in kept.items() if key in episodes}
