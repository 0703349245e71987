"""What a watch writes down: its own hash-chained journal beside that of the review, so that a service that watches for
days does not keep the review from being worked on; read back after a restart, so that nothing fires or is told anew.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from checks.journal import Journal
from checks.model import Entry, Kind, ReviewError
from checks.monitoring.board import (
    Drill,
    acknowledgement_document,
    read_acknowledgement,
    read_silence,
    read_threshold,
    silence_document,
    threshold_document,
)
from checks.monitoring.model import (
    Acknowledgement,
    Alert,
    AlertKind,
    Delivery,
    Message,
    Reading,
    Silence,
    Threshold,
)
from checks.target import Target
from checks.text import NOTHING, Clean, clean, one_line

FOLDER = "watch"
MOST_WAITING = 1000
"""Entries that wait for a disk that takes them again; the oldest go first."""
KEPT_MESSAGES = timedelta(days=2)
"""Messages of older alerts are not needed to know what was told already."""


def watch_folder(review: Path) -> Path:
    """The folder of the watch within that of its review (created, mode 0700). Raises ReviewError."""
    folder = review / FOLDER
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as problem:
        why = (problem.strerror or type(problem).__name__).lower()
        raise ReviewError(f"The folder {one_line(folder)} cannot be made ({why}).") from problem
    return folder


def open_journal(
    review: Path, *, actor: str, clock: Callable[[], datetime], read_only: bool = False
) -> Journal:
    """The watch's journal of the review in folder `review`; read-only where another process watches.

    Raises as `Journal.open` does.
    """
    folder = watch_folder(review) if not read_only else review / FOLDER
    return Journal.open(
        folder / "journal.db", review=f"{review.name}-watch", actor=actor, read_only=read_only, clock=clock
    )


@dataclass(slots=True)
class Known:
    """What the journal says of the past: the newest of each."""

    alerts: dict[str, Alert] = field(default_factory=dict)
    """By key."""
    messages: dict[str, Message] = field(default_factory=dict)
    acknowledged: dict[str, Acknowledgement] = field(default_factory=dict)
    """By the id of the alert's episode."""
    silences: dict[str, Silence] = field(default_factory=dict)
    edits: dict[str, tuple[Threshold, Clean]] = field(default_factory=dict)
    """Threshold -> as it was changed at the console, and by whom and when."""
    drills: dict[str, Drill] = field(default_factory=dict)

    def alert(self, threshold: str, kind: AlertKind) -> Alert:
        """The alert as it was last; a new one where there is none."""
        fresh = Alert(threshold, kind)
        return self.alerts.get(fresh.key, fresh)

    @property
    def undelivered(self) -> list[Message]:
        """Messages that are still to be sent, the oldest first."""
        waiting = [one for one in self.messages.values() if one.delivery in (Delivery.DUE, Delivery.FAILED)]
        return sorted(waiting, key=lambda one: one.at)


def known(entries: list[Entry], now: datetime) -> Known:
    """Fold the entries (the last of each kind and subject) of a watch's journal."""
    found = Known()
    for entry in entries:
        body = entry.body
        if entry.kind is Kind.ALERT:
            alert = Alert.from_document(body["alert"])
            found.alerts[alert.key] = alert
        elif entry.kind is Kind.MESSAGE:
            message = Message.from_document(body)
            found.messages[message.id] = message
        elif entry.kind is Kind.ACKNOWLEDGED:
            one = read_acknowledgement(body)
            found.acknowledged[one.alert] = one
        elif entry.kind is Kind.SILENCED:
            silence = read_silence(body)
            if silence.ends > now:
                found.silences[silence.id] = silence
        elif entry.kind is Kind.THRESHOLD:
            who = clean(f"{entry.actor}, {entry.at:%Y-%m-%d %H:%M}Z")
            found.edits[entry.subject] = (read_threshold(body["threshold"]), who)
        elif entry.kind is Kind.DRILL:
            drill = Drill.from_document(body)
            found.drills[drill.id] = drill
    # Of an alert that still fires it must be known, however long it does, who was told.
    episodes = {alert.id for alert in found.alerts.values() if alert.id}
    found.messages = {
        key: one
        for key, one in found.messages.items()
        if one.alert in episodes
        or now - one.at < KEPT_MESSAGES
        or one.delivery in (Delivery.DUE, Delivery.FAILED)
    }
    return found


def in_force(
    thresholds: tuple[Threshold, ...], edits: Mapping[str, tuple[Threshold, Clean]]
) -> tuple[Threshold, ...]:
    """The thresholds of the profile with what was changed at the console: limit, duration and severity."""
    return tuple(
        replace(
            one,
            limit=edits[one.name][0].limit,
            for_s=edits[one.name][0].for_s,
            severity=edits[one.name][0].severity,
        )
        if one.name in edits
        else one
        for one in thresholds
    )


def as_watched(target: Target, review: Path, now: datetime) -> Target:
    """The target with its thresholds as the watch of the review in folder `review` has them.

    Raises GonogoError where the watch's journal cannot be read.
    """
    if not (review / FOLDER / "journal.db").is_file():
        return target
    journal = open_journal(review, actor="", clock=lambda: now, read_only=True)
    try:
        return target.with_thresholds(in_force(target.thresholds, known(journal.latest(), now).edits))
    finally:
        journal.close()


class Record:
    """Appends to the watch's journal; a disk that takes nothing does not stop the watch, nor loses an entry of it."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._waiting: deque[tuple[Kind, str, dict[str, Any]]] = deque(maxlen=MOST_WAITING)
        self.problem: Clean = NOTHING
        """Why the journal takes nothing at the moment; empty where it does."""

    def alert(self, alert: Alert, threshold: Threshold, reading: Reading) -> None:
        """The state of an alert changed."""
        body = {
            "alert": alert.document(),
            "limit": threshold.limit,
            "comparison": threshold.comparison.value,
            "for_s": threshold.for_s,
            "severity": threshold.severity.value,
            "value": reading.value,
            "events": reading.events,
            "source": reading.source,
            "problem": reading.problem,
        }
        self._append(Kind.ALERT, alert.key, body)

    def message(self, message: Message) -> None:
        """The delivery of a message changed."""
        self._append(Kind.MESSAGE, message.id, message.document())

    def acknowledged(self, one: Acknowledgement) -> None:
        """Somebody took an alert on."""
        self._append(Kind.ACKNOWLEDGED, one.alert, acknowledgement_document(one))

    def silenced(self, silence: Silence) -> None:
        """A silence began, or was ended."""
        self._append(Kind.SILENCED, silence.id, silence_document(silence))

    def edited(self, threshold: Threshold, before: Threshold, because: str, actor: str) -> None:
        """A threshold was changed at the console."""
        body = {
            "threshold": threshold_document(threshold),
            "before": threshold_document(before),
            "because": because,
            "by": actor,
        }
        self._append(Kind.THRESHOLD, threshold.name, body)

    def drill(self, drill: Drill) -> None:
        """A drill went on."""
        self._append(Kind.DRILL, drill.id, drill.document())

    def told(self, what: str, **more: object) -> None:
        """Something of the watch itself: `began`, `ended`, `clock-set`, `missed`."""
        self._append(Kind.WATCH, what, {"what": what, "pid": os.getpid(), **more})

    def _append(self, kind: Kind, subject: str, body: dict[str, Any]) -> None:
        self._waiting.append((kind, subject, body))
        self.retry()

    def retry(self) -> None:
        """Write what could not be written before, in its order. Entries get the time at which they are written."""
        while self._waiting:
            try:
                self._journal.append(*self._waiting[0])
            except ReviewError as problem:
                self.problem = clean(f"The watch's journal cannot be written: {problem}")
                return
            self._waiting.popleft()
        self.problem = NOTHING

    def close(self) -> None:
        """Close the journal."""
        self._journal.close()
