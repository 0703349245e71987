"""What a check function is given: target, probes, the run's nonce, the review's folder, what earlier checks found."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from checks.controller import Controller
from checks.events import Event, HopCrossed, Listener
from checks.guard import Guard
from checks.launches import Launches, Recorder
from checks.model import Kind
from checks.probe.http import HttpProbe
from checks.probe.process import ProcessProbe
from checks.probe.redaction import Redactor, url_secrets
from checks.probe.sql import SqlProbe
from checks.probe.websocket import WebSocketProbe
from checks.target import Target

T = TypeVar("T")
Recall = Callable[[Kind, str], Mapping[str, Any] | None]
"""The body of the last journal entry of a kind and subject; None where there is none."""
FIRST_POLL_S, LONGEST_POLL_S = 0.1, 1.5


def nothing_before(kind: Kind, subject: str) -> None:
    """The recall of a run without a past."""


@dataclass(frozen=True, slots=True)
class Visitor:
    """Another client of the target, whom it tells from the run by the address where the target is on loopback."""

    http: HttpProbe
    controller: Controller
    address: str
    """Where its connections come from; empty where that is the run's own address."""


class Context:
    """One run's view of the target. Made by `opened`, which also closes the probes."""

    def __init__(
        self,
        target: Target,
        *,
        run: str,
        nonce: str,
        http: HttpProbe,
        controller: Controller,
        redactor: Redactor,
        sql: SqlProbe,
        processes: ProcessProbe,
        launches: Launches,
        record: Recorder,
        recall: Recall,
        announce: Listener,
        clock: Callable[[], datetime],
        folder: Path,
    ) -> None:
        self.target = target
        self.folder = folder
        self.run = run
        self.nonce = nonce
        self.http = http
        self.controller = controller
        self.redactor = redactor
        self.sql = sql
        self.processes = processes
        self.launches = launches
        self.record = record
        self.recall = recall
        self.now = clock
        self._announce = announce
        self._states: dict[type[Any], Any] = {}

    def state(self, kind: type[T]) -> T:
        """What the checks of this run share: the one instance of `kind`, made with no argument when first asked."""
        if kind not in self._states:
            self._states[kind] = kind()
        found: T = self._states[kind]
        return found

    @asynccontextmanager
    async def visitor(self, place: int) -> AsyncIterator[Visitor]:
        """Another client, number `place` (1 to 99): what it spends of a rate limit is not taken from anybody else.

        It has the run's token. Away from loopback it comes from the run's own address.
        """
        target, number = self.target, 1 + int(self.nonce[:4], 16) % 200
        address = f"127.{number}.77.{place}" if target.host in ("127.0.0.1", "localhost") else ""
        ca_file = target.profile.target.ca_file
        options: dict[str, Any] = {
            "ca_file": ca_file,
            "clock": self.now,
            "meter": self.http.meter,
            "local_address": address,
        }
        async with HttpProbe(target.url, self.redactor, **options) as http:
            sockets = WebSocketProbe(target.url, self.redactor, **options)
            controller = Controller(target, http, sockets, self.redactor)
            controller.token = self.controller.token
            yield Visitor(http, controller, address)

    def announce(self, event: Event) -> None:
        """Tell the screen what the journal has already."""
        self._announce(event)

    def hop(self, name: str) -> None:
        """Announce which part of the path is being crossed: `ui`, `controller`, `bot`, `database`."""
        self._announce(HopCrossed(name))


def redactor_for(target: Target) -> Redactor:
    """Knows every secret that gonogo holds for `target`."""
    secrets = target.credentials
    return Redactor([secrets.password, secrets.token, *url_secrets(target.database_url)])


@asynccontextmanager
async def opened(
    target: Target,
    *,
    run: str,
    nonce: str,
    guard_file: Path,
    record: Recorder,
    announce: Listener,
    clock: Callable[[], datetime],
    recall: Recall = nothing_before,
) -> AsyncIterator[tuple[Context, Guard]]:
    """A context with live probes; `record` appends to the journal, `announce` tells the screen."""
    redactor = redactor_for(target)
    ca_file = target.profile.target.ca_file
    guard = Guard(guard_file, run)
    sql = SqlProbe(target.database_url, target.contract.table, target.contract.columns, redactor, clock=clock)
    port = target.profile.process.port or target.port
    processes = ProcessProbe(redactor, host=target.host, port=port, clock=clock)
    async with HttpProbe(target.url, redactor, ca_file=ca_file, clock=clock) as http:
        sockets = WebSocketProbe(target.url, redactor, ca_file=ca_file, clock=clock, meter=http.meter)
        controller = Controller(target, http, sockets, redactor)
        launches = Launches(target, controller, processes, guard, record, run)
        try:
            yield (
                Context(
                    target,
                    run=run,
                    nonce=nonce,
                    http=http,
                    controller=controller,
                    redactor=redactor,
                    sql=sql,
                    processes=processes,
                    launches=launches,
                    record=record,
                    recall=recall,
                    announce=announce,
                    clock=clock,
                    folder=guard_file.parent,
                ),
                guard,
            )
        finally:
            sql.close()


async def until(
    look: Callable[[], Awaitable[T]], is_enough: Callable[[T], bool], within_s: float
) -> tuple[T, float]:
    """Look again and again, less and less often, until it is enough or `within_s` has passed.

    Returns the last look and the seconds it took. The pauses grow so that a rate limiter is not what is measured.
    """
    began, pause_s = time.monotonic(), FIRST_POLL_S
    while True:
        seen = await look()
        elapsed_s = time.monotonic() - began
        if is_enough(seen) or elapsed_s >= within_s:
            return seen, elapsed_s
        await asyncio.sleep(min(pause_s, max(0.01, within_s - elapsed_s)))
        pause_s = min(pause_s * 1.5, LONGEST_POLL_S)
