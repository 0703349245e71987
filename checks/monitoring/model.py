"""The vocabulary of monitoring, as frozen types: what is watched, what was seen, which alerts there are, who is told.

Durations are seconds (float). Times of alerts are aware datetimes; how long something has lasted is counted on a
monotonic clock, so that a clock that is set does not make or end an alert.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from checks.model import parse_stamp, stamp
from checks.text import NOTHING, Clean, clean


class Comparison(StrEnum):
    """How a value is held against the limit; the words of PromQL."""

    ABOVE = ">"
    AT_LEAST = ">="
    BELOW = "<"
    AT_MOST = "<="

    def holds(self, value: float, limit: float) -> bool:
        """Whether the limit is broken. NaN breaks nothing."""
        if math.isnan(value):
            return False
        if self is Comparison.ABOVE:
            return value > limit
        if self is Comparison.AT_LEAST:
            return value >= limit
        return value < limit if self is Comparison.BELOW else value <= limit


class AlertSeverity(StrEnum):
    """Whom an alert wakes; the words of the Prometheus community."""

    CRITICAL = "critical"
    """Somebody is told at once, whatever the hour."""
    WARNING = "warning"
    """Somebody has to look at it today."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """One watched limit, as a table `[thresholds.NAME]`."""

    name: str
    title: str
    signal: str
    """Name of the signal (`checks/monitoring/signals.py`) that is held against the limit."""
    limit: float
    """In the unit of the signal."""
    severity: AlertSeverity
    comparison: Comparison = Comparison.ABOVE
    window_s: float = 0.0
    """The signal is computed over so many seconds; 0: as it is at the moment."""
    short_window_s: float = 0.0
    """The limit must be broken over this shorter window too; 0: over the one window alone."""
    for_s: float = 60.0
    """The limit has to be broken for so long, at every look, before the alert fires; 0: at once."""
    keep_firing_s: float = 0.0
    """So long the alert fires on after the limit was last broken: what flaps is one alert."""
    least_events: int = 0
    """With fewer events in the window nothing is concluded: one error at night does not page."""
    no_data_s: float = 120.0
    """Without a value for so long, the alert NO DATA of this threshold fires."""
    is_on: bool = True
    """Whether it is watched."""
    inhibited_by: tuple[str, ...] = ()
    """While one of these fires, nobody is told of this one: it is a consequence."""
    runbook: str = ""
    """Link, or path below [monitoring] runbooks, of what to do."""
    origin: str = ""
    """Where the limit comes from."""
    why: str = ""
    """What it means for the users, in one sentence."""

    @property
    def alert(self) -> str:
        """Its name as an alert in Prometheus: `error-rate` is `ErrorRate`."""
        return "".join(part.capitalize() for part in re.split(r"[^A-Za-z0-9]+", self.name))


@dataclass(frozen=True, slots=True)
class Reading:
    """What one look found of one threshold's signal."""

    value: float | None
    """In the unit of the signal; None where there is none."""
    events: float | None = None
    """How many events it rests on; None for a signal that counts none."""
    short: float | None = None
    """The value over the threshold's shorter window, where it has one."""
    source: Clean = NOTHING
    """What was asked: `/metrics of the target`, `gonogo's own probes`, `pg_stat_activity`, ..."""
    problem: Clean = NOTHING
    """Why there is no value, in one sentence without a full stop, with what would help."""
    applies: bool = True
    """False where there is nothing to watch (no certificate without TLS): neither good, bad nor NO DATA."""

    @property
    def is_missing(self) -> bool:
        """Whether there should be a value and is none."""
        return self.applies and (self.value is None or not math.isfinite(self.value))


class AlertState(StrEnum):
    """Prometheus' states, and the end of one that fired."""

    INACTIVE = "inactive"
    PENDING = "pending"
    FIRING = "firing"
    RESOLVED = "resolved"
    """It fired and does not any more; shown for a while, then inactive."""


class AlertKind(StrEnum):
    """What an alert says of its threshold."""

    LIMIT = "limit"
    """The limit is broken."""
    NO_DATA = "no-data"
    """Nobody knows."""


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert of one threshold, as the watch has it at the moment."""

    threshold: str
    kind: AlertKind
    state: AlertState = AlertState.INACTIVE
    active_at: datetime | None = None
    """When its condition was first seen to hold."""
    fired_at: datetime | None = None
    resolved_at: datetime | None = None
    changed_at: datetime | None = None
    value: float | None = None
    """The newest value that its condition was judged by."""
    problem: Clean = NOTHING
    """Why there is no value: of NO DATA."""

    @property
    def key(self) -> str:
        """`error-rate`, or `error-rate/no-data`: the journal's subject."""
        return self.threshold if self.kind is AlertKind.LIMIT else f"{self.threshold}/{self.kind.value}"

    @property
    def id(self) -> str:
        """One episode: the key and when it began to fire; empty where it never did."""
        return f"{self.key}@{stamp(self.fired_at)}" if self.fired_at else ""

    @property
    def is_firing(self) -> bool:
        """Whether it fires now."""
        return self.state is AlertState.FIRING

    def document(self) -> dict[str, Any]:
        """The fields as JSON values, as the journal has them."""
        return {
            "threshold": self.threshold,
            "kind": self.kind.value,
            "state": self.state.value,
            "active_at": _stamped(self.active_at),
            "fired_at": _stamped(self.fired_at),
            "resolved_at": _stamped(self.resolved_at),
            "changed_at": _stamped(self.changed_at),
            "value": self.value,
            "problem": self.problem,
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Alert:
        """Read back what `document` wrote."""
        return cls(
            threshold=document["threshold"],
            kind=AlertKind(document["kind"]),
            state=AlertState(document["state"]),
            active_at=_parsed(document["active_at"]),
            fired_at=_parsed(document["fired_at"]),
            resolved_at=_parsed(document["resolved_at"]),
            changed_at=_parsed(document["changed_at"]),
            value=document["value"],
            problem=clean(document["problem"]),
        )


@dataclass(frozen=True, slots=True)
class Contact:
    """Somebody who can be told, as a table `[contacts.NAME]`."""

    name: str
    person: str = ""
    """Who reads it."""
    url_env: str = ""
    """Variable that holds the Apprise URL of the channel (it is a secret)."""
    url: str = field(default="", repr=False)
    """The URL itself, from the environment; in memory alone."""

    @property
    def channel(self) -> str:
        """The kind of channel: the scheme of its URL (`slack`, `mailto`, `json`); empty where none is set."""
        return self.url.partition("://")[0] if "://" in self.url else ""


@dataclass(frozen=True, slots=True)
class Rung:
    """One step of an escalation ladder."""

    contact: str
    """Name of a contact."""
    after_s: float = 0.0
    """Told when the alert has fired for so long and nobody has acknowledged it."""


@dataclass(frozen=True, slots=True)
class Silence:
    """Nobody is told of an alert until its end; it goes on being watched and recorded."""

    id: str
    threshold: str
    """Name of a threshold, or `*`."""
    because: Clean
    actor: Clean
    begins: datetime
    ends: datetime

    def covers(self, threshold: str, now: datetime) -> bool:
        """Whether it holds for `threshold` at `now`."""
        return self.threshold in ("*", threshold) and self.begins <= now < self.ends


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """Somebody has taken an alert on: it escalates no further."""

    alert: str
    """Id of the alert's episode."""
    actor: Clean
    at: datetime
    note: Clean = NOTHING


class Told(StrEnum):
    """What a message is about."""

    FIRING = "firing"
    RESOLVED = "resolved"
    TEST = "test"
    DRILL = "drill"


class Delivery(StrEnum):
    """How far a message came."""

    DUE = "due"
    """Written down, not sent yet."""
    SENT = "sent"
    """The channel took it."""
    FAILED = "failed"
    """The channel did not take it; it is tried again."""
    GIVEN_UP = "given-up"
    """Tried for as long as it made sense."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message to one contact. Its id says what it is about, so that it is sent once."""

    id: str
    """Alert id, word, rung and contact: the same message has the same id whoever works it out."""
    alert: str
    told: Told
    contact: str
    title: Clean
    body: Clean
    at: datetime
    """When it was due."""
    delivery: Delivery = Delivery.DUE
    attempts: int = 0
    answer: Clean = NOTHING
    """What the channel said, or why it could not be reached."""
    took_s: float = 0.0

    def document(self) -> dict[str, Any]:
        """The fields as JSON values, as the journal has them."""
        return {
            "id": self.id,
            "alert": self.alert,
            "told": self.told.value,
            "contact": self.contact,
            "title": self.title,
            "body": self.body,
            "at": stamp(self.at),
            "delivery": self.delivery.value,
            "attempts": self.attempts,
            "answer": self.answer,
            "took_s": round(self.took_s, 3),
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Message:
        """Read back what `document` wrote."""
        return cls(
            id=document["id"],
            alert=document["alert"],
            told=Told(document["told"]),
            contact=document["contact"],
            title=clean(document["title"]),
            body=clean(document["body"]),
            at=parse_stamp(document["at"]),
            delivery=Delivery(document["delivery"]),
            attempts=document["attempts"],
            answer=clean(document["answer"]),
            took_s=document["took_s"],
        )


@dataclass(frozen=True, slots=True)
class Row:
    """One threshold with everything that is known of it at the moment: a line of the screen."""

    threshold: Threshold
    reading: Reading
    limit: Alert
    no_data: Alert
    history: tuple[tuple[float, float | None], ...] = ()
    """(seconds before now, value), the oldest first; None where there was none."""
    silence: Silence | None = None
    inhibitor: str = ""
    """The firing threshold of which this one is a consequence."""
    acknowledged: Acknowledgement | None = None
    next_contact: str = ""
    """Who is told next if nobody acknowledges; empty: nobody."""
    next_in_s: float | None = None
    edited_by: Clean = NOTHING
    """Who changed it at the console, and when; empty: it is as the profile has it."""

    @property
    def state(self) -> str:
        """The word of its state: `OK`, `PENDING`, `FIRING`, `RESOLVED`, `NO DATA`, `NA`, `OFF`."""
        if not self.threshold.is_on:
            return "OFF"
        if self.limit.is_firing:
            return "FIRING"
        if self.no_data.state in (AlertState.PENDING, AlertState.FIRING) or self.reading.is_missing:
            return "NO DATA"
        if not self.reading.applies:
            return "NA"
        if self.limit.state is AlertState.PENDING:
            return "PENDING"
        return "RESOLVED" if self.limit.state is AlertState.RESOLVED else "OK"


def _stamped(moment: datetime | None) -> str | None:
    return stamp(moment) if moment else None


def _parsed(text: str | None) -> datetime | None:
    return parse_stamp(text) if text else None
