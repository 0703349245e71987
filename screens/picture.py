"""What the screens show: one immutable picture, made of the review's snapshot and the events since."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from checks.events import (
    BoardTold,
    CheckFinished,
    CheckStarted,
    Event,
    HopCrossed,
    LoadFinished,
    LoadSecond,
    LoadStarted,
    Notice,
    RunFinished,
    RunStarted,
)
from checks.fold import Decision, Snapshot
from checks.model import Evidence, Result
from checks.monitoring.board import Board
from checks.registry import Check
from screens.load_view import NO_LOAD, LoadView, load_followed

EVIDENCE_KEPT = 64
"""Pieces of evidence held in memory; the journal has them all."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """A stepwise run that waits for the lead: before a check, or after one that did not pass."""

    check: Check
    result: Result | None


@dataclass(frozen=True, slots=True)
class Progress:
    """The run that is under way."""

    run: str
    checks: tuple[str, ...]
    done: frozenset[str] = frozenset()
    running: str = ""
    """Id of the check that is being made; empty between two."""
    last: str = ""
    """Id of the check that was judged last."""
    attempt: int = 1
    since: float = 0.0
    """When it began, by the monotonic clock."""
    hop: str = ""
    waiting: Waiting | None = None
    is_stopping: bool = False


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything that a screen may show at one moment."""

    snapshot: Snapshot | None = None
    """None until the review is open."""
    checks: tuple[Check, ...] = ()
    is_ready: bool = False
    """Whether runs and decisions are possible: the review is open and recovered."""
    status: str = "opening the review"
    """What gonogo itself is doing, where that is not a run."""
    progress: Progress | None = None
    notices: tuple[Notice, ...] = ()
    """What the lead was told since the last run began."""
    evidence: Mapping[str, Evidence] = field(default_factory=dict)
    """The evidence that came in or was asked for last, by id."""
    load: LoadView = NO_LOAD
    """The load run that is under way, else the last one of this session."""
    loads: Mapping[str, LoadView] = field(default_factory=dict)
    """The last load run of this session by check."""
    board: Board | None = None
    """What the watch knows, own or followed; None before its first look."""
    is_ascii: bool = False
    """Whether the terminal shows nothing but ASCII."""
    draft: str = ""
    """A justification that is written and not recorded."""
    recorded: Decision | None = None
    """The decision recorded in this session, for its receipt."""
    written: tuple[str, ...] = ()
    """The report files written last, and what is to be known about them."""

    @property
    def is_running(self) -> bool:
        """Whether a run is under way."""
        return self.progress is not None

    @property
    def waiting(self) -> Waiting | None:
        """What a stepwise run waits for; None where none waits."""
        return self.progress.waiting if self.progress is not None else None

    @property
    def is_read_only(self) -> bool:
        """Whether the review is open for writing elsewhere."""
        return self.snapshot is not None and self.snapshot.read_only

    def check(self, check_id: str) -> Check | None:
        """The check with this id."""
        return next((check for check in self.checks if check.id == check_id), None)


def with_evidence(picture: Picture, evidence: Mapping[str, Evidence]) -> Picture:
    """The picture with this evidence too; what is older than the last `EVIDENCE_KEPT` is forgotten."""
    kept = dict(list(picture.evidence.items())[-EVIDENCE_KEPT:])
    return replace(picture, evidence=kept | dict(evidence))


def with_load(picture: Picture, load: LoadView) -> Picture:
    """The picture with this load run as the newest, where it is one."""
    if load is picture.load or not load.id:
        return picture
    return replace(picture, load=load, loads={**picture.loads, load.check: load})


def followed(picture: Picture, event: Event, now: float) -> Picture:
    """The picture after `event`; `now` is the monotonic clock."""
    if isinstance(event, RunStarted):
        return replace(picture, progress=Progress(event.run, event.checks), notices=())
    if isinstance(event, RunFinished):
        return with_load(replace(picture, progress=None), replace(picture.load, is_running=False))
    if isinstance(event, Notice):
        return replace(picture, notices=(*picture.notices, event))
    if isinstance(event, BoardTold):
        return replace(picture, board=event.board)
    progress = picture.progress
    if isinstance(event, LoadStarted | LoadSecond | LoadFinished):
        check = progress.running if progress else picture.load.check
        return with_load(picture, load_followed(picture.load, event, now, check))
    if progress is None:
        return picture
    if isinstance(event, CheckStarted):
        progress = replace(progress, running=event.id, attempt=event.attempt, since=now, hop="", waiting=None)
    elif isinstance(event, HopCrossed):
        progress = replace(progress, hop=event.hop)
    elif isinstance(event, CheckFinished):
        done = progress.done | {event.result.id}
        progress = replace(progress, running="", hop="", last=event.result.id, done=done)
        picture = with_evidence(picture, {seen.id: seen for seen in event.evidence})
        if event.result.id == picture.load.check:
            picture = with_load(picture, replace(picture.load, is_running=False))
    return replace(picture, progress=progress)
