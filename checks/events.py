"""What a running review announces, always after the journal has it, to the console and the command line."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from checks.load.model import LoadRun, Scenario, Second
from checks.model import Area, Evidence, Result
from checks.monitoring.board import Board
from checks.registry import Check
from checks.text import Clean


@dataclass(frozen=True, slots=True)
class RunStarted:
    """A run began; `checks` are the ids that it will judge, in order."""

    run: str
    areas: tuple[Area, ...]
    checks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CheckStarted:
    """One check of the run began."""

    id: str
    title: str
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class HopCrossed:
    """The running check crosses a part of the path: `ui`, `controller`, `bot` or `database`."""

    hop: str


@dataclass(frozen=True, slots=True)
class CheckFinished:
    """One check was judged and its result is in the journal."""

    result: Result
    evidence: tuple[Evidence, ...]


@dataclass(frozen=True, slots=True)
class RunFinished:
    """The run ended; `interrupted` says why it ended early, empty where it did not."""

    run: str
    interrupted: str = ""


@dataclass(frozen=True, slots=True)
class LoadStarted:
    """A load run began to send; its schedule takes `legs_s` seconds, as far as that is known before."""

    id: str
    scenario: Scenario
    legs_s: float


@dataclass(frozen=True, slots=True)
class LoadSecond:
    """One more second of a load run is in the journal."""

    id: str
    second: Second


@dataclass(frozen=True, slots=True)
class LoadFinished:
    """A load run was judged and is in the journal."""

    load: LoadRun


@dataclass(frozen=True, slots=True)
class BoardTold:
    """The watch looked once more, or a person did something to it."""

    board: Board


@dataclass(frozen=True, slots=True)
class Notice:
    """One sentence for the lead that is not a result: what was recovered, what could not be cleaned up."""

    text: Clean
    is_warning: bool = False


Event = (
    RunStarted
    | CheckStarted
    | HopCrossed
    | CheckFinished
    | RunFinished
    | LoadStarted
    | LoadSecond
    | LoadFinished
    | BoardTold
    | Notice
)
Listener = Callable[[Event], None]


def nobody(event: Event) -> None:
    """The listener of a run that nobody watches."""


class Choice(StrEnum):
    """What the lead answers when a stepwise run waits."""

    GO = "go"
    """Run the check; after a failure: go on with the next one."""
    RETRY = "retry"
    SKIP = "skip"
    """Record the check as INCONCLUSIVE (`skipped`) with the lead's reason."""
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Go:
    """The lead's answer, with the reason that SKIP needs."""

    choice: Choice
    because: str = ""


Gate = Callable[[Check, Result | None], Awaitable[Go]]
"""Asked before each check (with None) and after each one that did not pass (with its result)."""


async def open_gate(check: Check, result: Result | None) -> Go:
    """The gate of a run that waits for nobody."""
    return Go(Choice.GO)
