"""Boards without a watch: thresholds in every state, ladders, messages; and the console that shows them."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from textual.message import Message as Posted
from textual.pilot import Pilot

from checks.events import BoardTold
from checks.model import Area, Safety, Severity, Subject
from checks.monitoring.actions import Action
from checks.monitoring.board import Board, Drill, LadderRung
from checks.monitoring.model import (
    Acknowledgement,
    Alert,
    AlertKind,
    AlertSeverity,
    AlertState,
    Delivery,
    Message,
    Reading,
    Row,
    Silence,
    Threshold,
    Told,
)
from checks.monitoring.thresholds.shipped import shipped
from checks.registry import Check
from checks.text import clean
from console.app import GonogoApp
from console.engine import Engine
from console.messages import Announced
from screens.requests import ActionWanted
from tests.console.fakes import CHECKS, NOW, FakeReview, fake_watching, until

CRITICAL, WARNING = AlertSeverity.CRITICAL, AlertSeverity.WARNING
VALUES: Mapping[str, float] = {
    "error-rate": 2.4,
    "response-time": 0.412,
    "target-up": 1,
    "websocket-up": 1,
    "restarts": 0,
    "database-up": 1,
    "pool-use": 83.5,
    "pool-waiting": 0,
    "slow-queries": 0.4,
    "host-memory": 61.2,
    "target-memory": 22,
    "host-cpu": 34,
    "disk-use": 48,
    "descriptors": 12,
    "log-errors": 14,
    "burn-fast": 4.8,
    "burn-slow": 1.1,
    "notifier": 0,
}
"""What the plain board reads; of the others there is nothing to watch."""
MON = tuple(
    Check(
        id=f"MON-{number:02}",
        title=title,
        area=Area.MONITORING,
        severity=Severity.BLOCKER,
        safety=Safety.READ_ONLY,
        sends="nothing",
        why="Users notice before operators.",
        reference="Mission task 5",
        needs=(),
        hops=(),
        function=CHECKS[0].function,
        fix="[thresholds.error-rate]\nlimit = 1.0",
        subject=Subject.WATCHING if number < 3 else Subject.TELLING,
    )
    for number, title in enumerate(
        ("Error rate above 1 % raises an alert", "Database trouble raises alerts", "Somebody is told"), 1
    )
)


def back(seconds: float) -> datetime:
    """A moment so long before the board's."""
    return NOW - timedelta(seconds=seconds)


def threshold(name: str, **more: Any) -> Threshold:
    """A shipped threshold, or one like it."""
    return replace(shipped()[name], **more)


def alert(name: str, state: AlertState = AlertState.INACTIVE, since_s: float = 0.0, **more: Any) -> Alert:
    """An alert in a state for so long."""
    since = back(since_s) if since_s else None
    times: dict[AlertState, dict[str, Any]] = {
        AlertState.PENDING: {"active_at": since},
        AlertState.FIRING: {"active_at": since, "fired_at": since},
        AlertState.RESOLVED: {"active_at": back(900), "fired_at": back(900), "resolved_at": since},
    }
    return Alert(name, **({"kind": AlertKind.LIMIT, "state": state} | times.get(state, {}) | more))


def wave(value: float, looks: int = 240) -> tuple[tuple[float, float | None], ...]:
    """A history that ends at `value`."""
    return tuple(
        (5.0 * back_by, value * (1 - 0.5 * math.sin(back_by / 9) ** 2))
        for back_by in range(looks - 1, -1, -1)
    )


def row(name: str, **more: Any) -> Row:
    """A threshold at rest, with a history."""
    own = more.pop("threshold", None) or threshold(name)
    value = VALUES.get(name)
    events = 1204.0 if own.least_events else None
    plain = Row(
        own,
        Reading(value, events, source=clean("/metrics of the target"))
        if value is not None
        else Reading(None, applies=False, problem=clean("the target speaks plain http")),
        alert(name),
        alert(name, kind=AlertKind.NO_DATA),
        wave(value) if value is not None else (),
    )
    return replace(plain, **more)


def message(contact: str = "on-call", told: Told = Told.FIRING, since_s: float = 200, **more: Any) -> Message:
    """A message that its channel took."""
    plain = Message(
        f"error-rate@x:{told}:0:{contact}:{since_s}",
        "error-rate@2025-03-01T11:55:48.000Z",
        told,
        contact,
        clean("FIRING critical: Error rate 2.4 % (limit 1 %)"),
        clean("More than one request in a hundred fails."),
        back(since_s),
        Delivery.SENT,
        1,
        clean("200 OK"),
        0.2,
    )
    return replace(plain, **more)


def rung(severity: AlertSeverity, contact: str, after_s: float = 0.0, channel: str = "slack") -> LadderRung:
    """A rung whose contact was told."""
    variable = f"GONOGO_NOTIFY_{contact.upper().replace('-', '_')}"
    return LadderRung(
        severity, contact, "Ada", channel, after_s, variable, message(contact) if channel else None
    )


LADDER = (rung(CRITICAL, "on-call"), rung(CRITICAL, "lead", 600), rung(WARNING, "on-call"))


def quiet() -> Board:
    """Everything is OK, or there is nothing to watch."""
    return Board(
        NOW,
        tuple(row(name) for name in shipped()),
        LADDER,
        began_at=back(1190),
        looks=238,
        interval_s=5.0,
        watcher=clean("mhk@host, process 4711"),
        is_own=True,
    )


def troubled() -> Board:
    """One of each state, in the profile's order."""
    board = quiet()
    changed = {
        "error-rate": row(
            "error-rate",
            limit=alert("error-rate", AlertState.FIRING, 252, value=2.4),
            next_contact="lead",
            next_in_s=190.0,
        ),
        "response-time": row(
            "response-time",
            limit=alert("response-time", AlertState.RESOLVED, 130),
            edited_by=clean("mhk@host, 2025-03-01 11:00Z"),
        ),
        "websocket-up": row(
            "websocket-up",
            reading=Reading(0, source=clean("gonogo's own probes")),
            limit=alert("websocket-up", AlertState.FIRING, 90),
            inhibitor="target-up",
        ),
        "pool-use": row("pool-use", limit=alert("pool-use", AlertState.PENDING, 20)),
        "slow-queries": row(
            "slow-queries",
            reading=Reading(None, problem=clean("/metrics answered 503; look at the controller's log")),
            no_data=alert("slow-queries", AlertState.PENDING, 100, kind=AlertKind.NO_DATA),
        ),
        "host-cpu": row("host-cpu", threshold=threshold("host-cpu", is_on=False)),
        "log-errors": row(
            "log-errors",
            limit=alert("log-errors", AlertState.FIRING, 3700),
            silence=Silence(
                "5ea1", "log-errors", clean("a known import"), clean("mhk@host"), back(600), back(-1800)
            ),
        ),
        "burn-fast": row(
            "burn-fast",
            limit=alert("burn-fast", AlertState.FIRING, 400),
            acknowledged=Acknowledgement("burn-fast@x", clean("ada@host"), back(300), clean("looking at it")),
        ),
    }
    messages = (message(), message("lead", Told.TEST, 400, alert="test", title=clean("TEST from gonogo")))
    rows = tuple(changed.get(one.threshold.name, one) for one in board.rows)
    return replace(board, rows=rows, messages=messages)


def drill(**more: Any) -> Drill:
    """A drill whose code was sent."""
    plain = Drill("d1", "pool-use", "on-call", back(90), fired_at=back(25), told_at=back(23))
    return replace(plain, **more)


def with_row(board: Board, name: str, **more: Any) -> Board:
    """The board with one row changed."""
    rows = tuple(replace(one, **more) if one.threshold.name == name else one for one in board.rows)
    return replace(board, rows=rows)


@dataclass
class MonitoringReview(FakeReview):
    """A review with the checks of monitoring."""

    checks: tuple[Check, ...] = (*CHECKS, *MON)


class Unwritten(Engine):
    """An engine that writes no exports: there is no target whose rules they could be."""

    def write_exports(self) -> None:
        """Nothing is written."""


@dataclass
class Asked:
    """What the console was asked for by its tabs."""

    posted: list[Posted] = field(default_factory=list)

    @property
    def actions(self) -> list[Action]:
        """The actions, in order."""
        return [one.action for one in self.posted if isinstance(one, ActionWanted)]

    def count(self, kind: type[Posted]) -> int:
        """How many of a kind."""
        return sum(isinstance(one, kind) for one in self.posted)


@asynccontextmanager
async def monitored(
    board: Board | None,
    size: tuple[int, int] = (160, 45),
    *,
    review: FakeReview | None = None,
    encoding: str = "utf-8",
) -> AsyncIterator[tuple[GonogoApp, Pilot[None], Asked]]:
    """The console on tab 4 with this board, and what is asked for there."""
    engine = Unwritten((review or MonitoringReview()).open, open_watching=fake_watching)
    app, asked = GonogoApp(engine, title="a title", encoding=encoding), Asked()

    def hear(found: Posted) -> None:
        if type(found).__module__ == "screens.requests" and found not in asked.posted:
            asked.posted.append(found)

    async with app.run_test(size=size, notifications=True, message_hook=hear) as pilot:
        await until(pilot, lambda: app.picture.is_ready)
        await pilot.press("4")
        await told(app, pilot, board)
        yield app, pilot, asked
    engine.end("the test is over", is_urgent=True)
    assert await asyncio.to_thread(engine.ended.wait, 5.0)


async def told(app: GonogoApp, pilot: Pilot[None], board: Board | None) -> None:
    """Let the watch tell a board."""
    if board is not None:
        app.post_message(Announced(BoardTold(board)))
        await until(pilot, lambda: app.picture.board == board)
