"""The vocabulary of the readiness engine, as frozen types.

Errors, one small tree:

    GonogoError              one clear sentence for the operator: what is wrong, where, what to do
    ├── ProfileError         the target profile (or an option) cannot be used           exit 2
    ├── ReviewError          the review cannot be opened, written or decided like that   exit 2
    └── IntegrityError       the journal, its evidence or a report was altered           exit 21

What a target does wrong is never an exception: it is a `Result`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from checks.text import NOTHING, Clean, clean


class GonogoError(Exception):
    """One clear sentence for the operator."""


class ProfileError(GonogoError):
    """The target profile cannot be used."""


class ReviewError(GonogoError):
    """The review cannot be opened, written or decided like that."""


class IntegrityError(GonogoError):
    """The journal, its evidence or a report is not what was written."""


class Verdict(StrEnum):
    """What one run of one check found."""

    PASS = "PASS"
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    NA = "NA"
    """It does not apply here: follows from a fact that was evaluated and stands in the summary."""


class State(StrEnum):
    """What the fold of the journal makes of a check or an item."""

    PASS = "PASS"
    FAIL = "FAIL"
    INCONCLUSIVE = "INCONCLUSIVE"
    NOT_RUN = "NOT RUN"
    STALE = "STALE"
    WAIVED = "WAIVED"
    NA = "NA"


class Ceiling(StrEnum):
    """The best decision that the evidence allows; also the words a person decides in."""

    GO = "GO"
    CONDITIONAL = "CONDITIONAL GO"
    NOT_DECIDABLE = "NOT DECIDABLE"
    NO_GO = "NO-GO"


class Severity(StrEnum):
    """How much a failure weighs in the decision."""

    BLOCKER = "blocker"
    MAJOR = "major"
    MINOR = "minor"


class Safety(StrEnum):
    """What a check does to the target."""

    READ_ONLY = "read-only"
    ACTIVE = "active"
    """Sends marked messages or launches marked bots, and removes what it can."""
    DISRUPTIVE = "disruptive"
    """Kills, restarts or loads something."""


class Area(StrEnum):
    """The five questions a review asks; the words of `gonogo run`."""

    WALKTHROUGH = "walkthrough"
    AUDIT = "audit"
    LOAD = "load"
    MONITORING = "monitoring"
    SIGNOFF = "signoff"


class Subject(StrEnum):
    """What a check of the audit or of monitoring is about, in the order in which they are run and shown.

    What spends the target's rate limits comes late, so that nothing else is refused because of it.
    """

    NONE = ""
    SETTINGS = "Effective settings"
    DATABASE = "Database"
    JWT = "JWT"
    TLS = "TLS"
    HTTP = "HTTP surface"
    LOGGING = "Error logging"
    HOST = "Host"
    PERFORMANCE = "Performance"
    RATE = "Rate limiting"
    WATCHING = "What is watched"
    TELLING = "Who is told"


class Reason(StrEnum):
    """Why a verdict is what it is; closed, so that scripts can branch on it."""

    MET = "met"
    MISMATCH = "mismatch"
    TIMEOUT = "timeout"
    REFUSED = "refused"
    UNREACHABLE = "unreachable"
    PROTOCOL = "protocol"
    THROTTLED = "throttled"
    NO_SOURCE = "no-source"
    NO_RIGHT = "no-right"
    CONTROL = "control"
    BLOCKED = "blocked"
    NOT_APPLICABLE = "not-applicable"
    SKIPPED = "skipped"
    INTERRUPTED = "interrupted"
    CHECK_ERROR = "check-error"


@dataclass(frozen=True, slots=True)
class Evidence:
    """What was seen: redacted and cleaned by the probe that saw it, named by its own SHA-256."""

    kind: str
    """The probe: `http`, `websocket`, `sql`, `process`, `note`."""
    title: Clean
    """One line: what was asked and what came back."""
    body: Clean
    """The exchange itself, as text of several lines."""
    command: Clean
    """The same question as a command or query to paste; empty where there is none. Holds no secret."""
    captured_at: datetime

    def document(self) -> dict[str, str]:
        """The fields as the journal stores them."""
        return {
            "kind": self.kind,
            "title": self.title,
            "body": self.body,
            "command": self.command,
            "captured_at": stamp(self.captured_at),
        }

    @property
    def id(self) -> str:
        """SHA-256 of the canonical JSON of `document`, 64 hexadecimal digits."""
        return digest(self.document())

    @classmethod
    def from_document(cls, document: Mapping[str, str]) -> Evidence:
        """Read back what `document` wrote."""
        return cls(
            kind=document["kind"],
            title=clean(document["title"]),
            body=clean(document["body"]),
            command=clean(document["command"]),
            captured_at=parse_stamp(document["captured_at"]),
        )


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a check function returns: the judgement without the frame that the runner adds."""

    verdict: Verdict
    summary: Clean
    reason: Reason
    observed: Clean = NOTHING
    expected: Clean = NOTHING
    evidence: tuple[Evidence, ...] = ()


def passed(
    summary: str, *, observed: object = "", expected: object = "", evidence: Sequence[Evidence] = ()
) -> Outcome:
    """The expectation was looked at and met."""
    return Outcome(
        Verdict.PASS, clean(summary), Reason.MET, clean(observed), clean(expected), tuple(evidence)
    )


def failed(
    summary: str,
    *,
    reason: Reason = Reason.MISMATCH,
    observed: object = "",
    expected: object = "",
    evidence: Sequence[Evidence] = (),
) -> Outcome:
    """The expectation was looked at and not met."""
    return Outcome(Verdict.FAIL, clean(summary), reason, clean(observed), clean(expected), tuple(evidence))


def inconclusive(
    reason: Reason,
    summary: str,
    *,
    observed: object = "",
    expected: object = "",
    evidence: Sequence[Evidence] = (),
) -> Outcome:
    """The expectation could not be judged; `summary` says why and what would cure it."""
    return Outcome(
        Verdict.INCONCLUSIVE, clean(summary), reason, clean(observed), clean(expected), tuple(evidence)
    )


def not_applicable(
    fact: str, *, observed: object = "", expected: object = "", evidence: Sequence[Evidence] = ()
) -> Outcome:
    """There is nothing here to expect anything of; `fact` is what was seen that says so."""
    return Outcome(
        Verdict.NA, clean(fact), Reason.NOT_APPLICABLE, clean(observed), clean(expected), tuple(evidence)
    )


@dataclass(frozen=True, slots=True)
class Result:
    """One judgement of one check, as the journal keeps it."""

    id: str
    title: str
    area: Area
    severity: Severity
    verdict: Verdict
    reason: Reason
    summary: Clean
    observed: Clean
    expected: Clean
    evidence: tuple[str, ...]
    """Ids (SHA-256) of the evidence, in the order in which it was captured."""
    started_at: datetime
    duration_s: float
    run: str = ""
    """Id of the run that it belongs to."""
    attempt: int = 1
    """1 for the first try in a run; a retried step counts up, and every attempt stays in the journal."""

    def document(self) -> dict[str, Any]:
        """The fields as JSON values; the schema is `checks/schema/run.schema.json`."""
        return {
            "id": self.id,
            "title": self.title,
            "area": self.area.value,
            "severity": self.severity.value,
            "verdict": self.verdict.value,
            "reason": self.reason.value,
            "summary": self.summary,
            "observed": self.observed,
            "expected": self.expected,
            "evidence": list(self.evidence),
            "started_at": stamp(self.started_at),
            "duration_s": round(self.duration_s, 6),
            "run": self.run,
            "attempt": self.attempt,
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Result:
        """Read back what `document` wrote."""
        return cls(
            id=document["id"],
            title=document["title"],
            area=Area(document["area"]),
            severity=Severity(document["severity"]),
            verdict=Verdict(document["verdict"]),
            reason=Reason(document["reason"]),
            summary=clean(document["summary"]),
            observed=clean(document["observed"]),
            expected=clean(document["expected"]),
            evidence=tuple(document["evidence"]),
            started_at=parse_stamp(document["started_at"]),
            duration_s=float(document["duration_s"]),
            run=document.get("run", ""),
            attempt=int(document.get("attempt", 1)),
        )


class Kind(StrEnum):
    """What a journal entry records. A later entry of the same kind and subject supersedes."""

    REVIEW_OPENED = "review-opened"  # subject: the review's id
    SESSION_OPENED = "session-opened"  # subject: the session's id
    SESSION_CLOSED = "session-closed"  # subject: the session's id
    RUN_STARTED = "run-started"  # subject: the run's id
    RUN_FINISHED = "run-finished"  # subject: the run's id; also written for a run found interrupted
    RESULT = "result"  # subject: the check's id
    LAUNCHING = "launching"  # subject: the bot's id; written before the request is sent
    STOPPED = "stopped"  # subject: the bot's id
    LEFTOVER = "leftover"  # subject: the run's id; rows that the target gives no way to delete
    SELF_TEST = "self-test"  # subject: the check's id; whether its bad cases were flagged on this host
    LOAD_SECOND = "load-second"  # subject: the load run's id (`RUN/SCENARIO`); one complete second of it
    LOAD_RUN = "load-run"  # subject: the scenario's name; everything that the run found
    THRESHOLD = "threshold"  # subject: the threshold's name; changed at the console
    ALERT = "alert"  # subject: the alert's key (`error-rate`, `error-rate/no-data`); each change of its state
    MESSAGE = "message"  # subject: the message's id; each change of its delivery
    ACKNOWLEDGED = "acknowledged"  # subject: the alert's id
    SILENCED = "silenced"  # subject: the silence's id
    DRILL = "drill"  # subject: the drill's id
    WATCH = "watch"  # subject: `watch`; that a watch began or ended, a clock was set, looks were missed
    MONITORED = "monitored"  # subject: `monitored`; what the checks of monitoring rest on
    DECISION = "decision"  # subject: the review's id
    REPORT_WRITTEN = "report-written"  # subject: the manifest's digest


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the journal, chained to the one before it."""

    seq: int
    """1, 2, 3, ... without a gap."""
    at: datetime
    kind: Kind
    subject: str
    actor: str
    """Who: `user@host`."""
    body: Mapping[str, Any] = field(hash=False)
    prev: str
    """Hash of the entry before, 64 zeros for the first."""
    hash: str


def stamp(moment: datetime) -> str:
    """UTC, ISO 8601 with microseconds and `Z`: sorts as text. Raises ValueError for a naive datetime."""
    if moment.tzinfo is None:
        raise ValueError("a record needs an aware time")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def parse_stamp(text: str) -> datetime:
    """Read what `stamp` wrote."""
    return datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)


def utc_now() -> datetime:
    """The clock of records; durations use `time.monotonic`."""
    return datetime.now(UTC)


def canonical(document: object) -> bytes:
    """JSON with sorted keys, no white space and no escapes beyond the needed (in the spirit of RFC 8785)."""
    return json.dumps(
        document, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False
    ).encode()


def digest(document: object) -> str:
    """SHA-256 over `canonical(document)`, in hexadecimal."""
    return hashlib.sha256(canonical(document)).hexdigest()
