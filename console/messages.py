"""What the engine's thread tells the app, posted from there and never waited for."""

from __future__ import annotations

from collections.abc import Mapping

from textual.message import Message

from checks.events import Event
from checks.fold import Decision, Snapshot
from checks.model import Evidence
from checks.registry import Check
from screens.picture import Waiting


class ReviewOpened(Message):
    """The review is open: its checks, and the keys that the profile binds anew."""

    def __init__(self, checks: tuple[Check, ...], keys: Mapping[str, str]) -> None:
        super().__init__()
        self.checks = checks
        self.keys = dict(keys)


class ReviewReady(Message):
    """What an interrupted run left is dealt with; runs and decisions are possible."""


class Announced(Message):
    """One event of the review, in order."""

    def __init__(self, event: Event) -> None:
        super().__init__()
        self.event = event


class SnapshotTaken(Message):
    """The review as it is now; a newer one replaces one that waits."""

    def __init__(self, snapshot: Snapshot) -> None:
        super().__init__()
        self.snapshot = snapshot

    def can_replace(self, message: Message) -> bool:
        """Whether this one makes `message` superfluous."""
        return isinstance(message, SnapshotTaken)


class GateAsked(Message):
    """A stepwise run waits for the lead."""

    def __init__(self, waiting: Waiting) -> None:
        super().__init__()
        self.waiting = waiting


class GateLeft(Message):
    """The stepwise run waits no longer."""


class EvidenceRead(Message):
    """The evidence that was asked for last."""

    def __init__(self, evidence: Mapping[str, Evidence]) -> None:
        super().__init__()
        self.evidence = evidence


class Decided(Message):
    """A decision is in the journal."""

    def __init__(self, decision: Decision) -> None:
        super().__init__()
        self.decision = decision


class ExportsWritten(Message):
    """The rules for other monitoring systems are on disk."""

    def __init__(self, paths: tuple[str, ...]) -> None:
        super().__init__()
        self.paths = paths


class ReportsWritten(Message):
    """The report files are on disk: their paths, and what is to be known about them."""

    def __init__(self, lines: tuple[str, ...]) -> None:
        super().__init__()
        self.lines = lines


class Refused(Message):
    """What was asked for cannot be done; one sentence says why and what to do."""

    def __init__(self, sentence: str) -> None:
        super().__init__()
        self.sentence = sentence


class EngineEnded(Message):
    """The engine's thread has closed the review and is gone; `Engine.failure` says whether by itself."""


class LeaveAsked(Message):
    """Whoever guards the console wants it to end with this exit code."""

    def __init__(self, code: int) -> None:
        super().__init__()
        self.code = code
