"""The board: everything that a watch knows at one moment, as one immutable value for screens, exports and files.

The watch that holds the lock writes it to `board.json` at every look; whoever else opens the review reads it there.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from checks.model import parse_stamp, stamp
from checks.monitoring.model import (
    Acknowledgement,
    Alert,
    AlertSeverity,
    Comparison,
    Message,
    Reading,
    Row,
    Silence,
    Threshold,
)
from checks.text import NOTHING, Clean, clean


@dataclass(frozen=True, slots=True)
class Drill:
    """A real breach on demand: fired, told with a code, and the code typed back by the person who was told."""

    id: str
    threshold: str
    contact: str
    began_at: datetime
    fired_at: datetime | None = None
    told_at: datetime | None = None
    """When the channel took the message with the code."""
    answered_at: datetime | None = None
    """When the code was typed back."""
    resolved_at: datetime | None = None
    """When the word that it is over was taken by the channel."""
    answered_by: Clean = NOTHING
    problem: Clean = NOTHING
    """Why it came to nothing; empty where it did not."""
    rung: int = 0
    """The rung of the ladder that was told: 0 the first; the drill of a higher one ignores those below."""

    @property
    def to_notice_s(self) -> float | None:
        """From the breach to the code typed back."""
        return (self.answered_at - self.began_at).total_seconds() if self.answered_at else None

    @property
    def is_over(self) -> bool:
        """Whether nothing more is waited for."""
        return bool(self.problem) or (self.answered_at is not None and self.resolved_at is not None)

    def document(self) -> dict[str, Any]:
        """The fields as JSON values, as the journal has them. The code itself is not among them."""
        return {
            "id": self.id,
            "threshold": self.threshold,
            "contact": self.contact,
            "began_at": stamp(self.began_at),
            "fired_at": _text(self.fired_at),
            "told_at": _text(self.told_at),
            "answered_at": _text(self.answered_at),
            "resolved_at": _text(self.resolved_at),
            "answered_by": self.answered_by,
            "problem": self.problem,
            "rung": self.rung,
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Drill:
        """Read back what `document` wrote."""
        return cls(
            id=document["id"],
            threshold=document["threshold"],
            contact=document["contact"],
            began_at=parse_stamp(document["began_at"]),
            fired_at=_moment(document["fired_at"]),
            told_at=_moment(document["told_at"]),
            answered_at=_moment(document["answered_at"]),
            resolved_at=_moment(document["resolved_at"]),
            answered_by=clean(document["answered_by"]),
            problem=clean(document["problem"]),
            rung=document["rung"],
        )


@dataclass(frozen=True, slots=True)
class LadderRung:
    """One rung of a ladder with what is known of its channel."""

    severity: AlertSeverity
    contact: str
    person: str
    channel: str
    """Kind of channel; empty where no URL is set."""
    after_s: float
    url_env: str
    last: Message | None = None
    """The newest message to that contact."""


@dataclass(frozen=True, slots=True)
class Board:
    """One moment of a watch."""

    at: datetime
    rows: tuple[Row, ...] = ()
    ladder: tuple[LadderRung, ...] = ()
    messages: tuple[Message, ...] = ()
    """The newest first, some dozens."""
    silences: tuple[Silence, ...] = ()
    drill: Drill | None = None
    """The one under way, or else the newest."""
    began_at: datetime | None = None
    looks: int = 0
    interval_s: float = 0.0
    watcher: Clean = NOTHING
    """Who watches: `user@host, process 4711`."""
    is_own: bool = False
    """Whether this process watches; else it follows."""
    problem: Clean = NOTHING
    """What is wrong with the watch itself: it stands still, its journal cannot be written."""

    def row(self, threshold: str) -> Row | None:
        """The row of one threshold."""
        return next((row for row in self.rows if row.threshold.name == threshold), None)

    @property
    def firing(self) -> tuple[Row, ...]:
        """The rows whose limit or NO DATA alert fires, without the one that a drill makes fire."""
        drilled = self.drill.threshold if self.drill and not self.drill.is_over else ""
        return tuple(
            row
            for row in self.rows
            if (row.limit.is_firing or row.no_data.is_firing) and row.threshold.name != drilled
        )

    def document(self) -> dict[str, Any]:
        """As JSON values; histories are cut to the newest 120 points."""
        return {
            "at": stamp(self.at),
            "rows": [_row(row) for row in self.rows],
            "ladder": [
                {
                    "severity": rung.severity.value,
                    "contact": rung.contact,
                    "person": rung.person,
                    "channel": rung.channel,
                    "after_s": rung.after_s,
                    "url_env": rung.url_env,
                    "last": rung.last.document() if rung.last else None,
                }
                for rung in self.ladder
            ],
            "messages": [message.document() for message in self.messages],
            "silences": [silence_document(one) for one in self.silences],
            "drill": self.drill.document() if self.drill else None,
            "began_at": _text(self.began_at),
            "looks": self.looks,
            "interval_s": self.interval_s,
            "watcher": self.watcher,
            "problem": self.problem,
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Board:
        """Read back what `document` wrote; `is_own` is False. Raises KeyError, TypeError or ValueError."""
        return cls(
            at=parse_stamp(document["at"]),
            rows=tuple(_read_row(row) for row in document["rows"]),
            ladder=tuple(
                LadderRung(
                    AlertSeverity(rung["severity"]),
                    rung["contact"],
                    rung["person"],
                    rung["channel"],
                    rung["after_s"],
                    rung["url_env"],
                    Message.from_document(rung["last"]) if rung["last"] else None,
                )
                for rung in document["ladder"]
            ),
            messages=tuple(Message.from_document(one) for one in document["messages"]),
            silences=tuple(read_silence(one) for one in document["silences"]),
            drill=Drill.from_document(document["drill"]) if document["drill"] else None,
            began_at=_moment(document["began_at"]),
            looks=document["looks"],
            interval_s=document["interval_s"],
            watcher=clean(document["watcher"]),
            problem=clean(document["problem"]),
        )


def threshold_document(threshold: Threshold) -> dict[str, Any]:
    """A threshold as JSON values."""
    return {
        "name": threshold.name,
        "title": threshold.title,
        "signal": threshold.signal,
        "limit": threshold.limit,
        "severity": threshold.severity.value,
        "comparison": threshold.comparison.value,
        "window_s": threshold.window_s,
        "short_window_s": threshold.short_window_s,
        "for_s": threshold.for_s,
        "keep_firing_s": threshold.keep_firing_s,
        "least_events": threshold.least_events,
        "no_data_s": threshold.no_data_s,
        "is_on": threshold.is_on,
        "inhibited_by": list(threshold.inhibited_by),
        "runbook": threshold.runbook,
        "origin": threshold.origin,
        "why": threshold.why,
    }


def read_threshold(document: Mapping[str, Any]) -> Threshold:
    """Read back what `threshold_document` wrote."""
    return Threshold(
        **{
            **document,
            "severity": AlertSeverity(document["severity"]),
            "comparison": Comparison(document["comparison"]),
            "inhibited_by": tuple(document["inhibited_by"]),
        }
    )


def silence_document(silence: Silence) -> dict[str, Any]:
    """A silence as JSON values."""
    return {
        "id": silence.id,
        "threshold": silence.threshold,
        "because": silence.because,
        "actor": silence.actor,
        "begins": stamp(silence.begins),
        "ends": stamp(silence.ends),
    }


def read_silence(document: Mapping[str, Any]) -> Silence:
    """Read back what `silence_document` wrote."""
    return Silence(
        document["id"],
        document["threshold"],
        clean(document["because"]),
        clean(document["actor"]),
        parse_stamp(document["begins"]),
        parse_stamp(document["ends"]),
    )


def acknowledgement_document(one: Acknowledgement) -> dict[str, Any]:
    """An acknowledgement as JSON values."""
    return {"alert": one.alert, "actor": one.actor, "at": stamp(one.at), "note": one.note}


def read_acknowledgement(document: Mapping[str, Any]) -> Acknowledgement:
    """Read back what `acknowledgement_document` wrote."""
    return Acknowledgement(
        document["alert"], clean(document["actor"]), parse_stamp(document["at"]), clean(document["note"])
    )


def _row(row: Row) -> dict[str, Any]:
    return {
        "threshold": threshold_document(row.threshold),
        "reading": {
            "value": row.reading.value,
            "events": row.reading.events,
            "short": row.reading.short,
            "source": row.reading.source,
            "problem": row.reading.problem,
            "applies": row.reading.applies,
        },
        "limit": row.limit.document(),
        "no_data": row.no_data.document(),
        "history": [list(point) for point in row.history[-120:]],
        "silence": silence_document(row.silence) if row.silence else None,
        "inhibitor": row.inhibitor,
        "acknowledged": acknowledgement_document(row.acknowledged) if row.acknowledged else None,
        "next_contact": row.next_contact,
        "next_in_s": row.next_in_s,
        "edited_by": row.edited_by,
    }


def _read_row(document: Mapping[str, Any]) -> Row:
    reading = document["reading"]
    row = Row(
        threshold=read_threshold(document["threshold"]),
        reading=Reading(
            reading["value"],
            reading["events"],
            reading["short"],
            clean(reading["source"]),
            clean(reading["problem"]),
            reading["applies"],
        ),
        limit=Alert.from_document(document["limit"]),
        no_data=Alert.from_document(document["no_data"]),
        history=tuple((point[0], point[1]) for point in document["history"]),
        inhibitor=document["inhibitor"],
        next_contact=document["next_contact"],
        next_in_s=document["next_in_s"],
        edited_by=clean(document["edited_by"]),
    )
    if document["silence"]:
        row = replace(row, silence=read_silence(document["silence"]))
    if document["acknowledged"]:
        row = replace(row, acknowledged=read_acknowledgement(document["acknowledged"]))
    return row


def _text(moment: datetime | None) -> str | None:
    return stamp(moment) if moment else None


def _moment(text: str | None) -> datetime | None:
    return parse_stamp(text) if text else None
