"""One run: checks in order, each judged, recorded and only then announced; whatever was launched is stopped."""

from __future__ import annotations

import asyncio
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from checks.context import Context, Recall, nothing_before, opened
from checks.events import CheckFinished, CheckStarted, Choice, Gate, Listener, Notice
from checks.guard import Guard
from checks.model import (
    Entry,
    Evidence,
    GonogoError,
    Kind,
    Outcome,
    Reason,
    Result,
    ReviewError,
    Verdict,
    inconclusive,
)
from checks.probe.redaction import Redactor
from checks.registry import Check
from checks.target import Target
from checks.text import Clean, clean

URGENT_CLEAN_UP_S = 1.0
"""What a stop that cannot wait (a hang-up, a SIGTERM) leaves for cleaning up; the guard does the rest."""


class Append(Protocol):
    """How a run writes: `Journal.append`."""

    def __call__(
        self, kind: Kind, subject: str, body: Mapping[str, Any], evidence: Sequence[Evidence] = ()
    ) -> Entry:
        """Append one entry."""


@dataclass(frozen=True, slots=True)
class RunSummary:
    """What one run amounted to."""

    run: str
    results: tuple[Result, ...]
    """The last attempt of each check, in order."""
    interrupted: Clean
    """Why it ended early; empty where it did not."""
    requests: int = 0
    """HTTP requests and WebSocket handshakes that its checks sent; those of a load generator are not among them."""


@dataclass(slots=True)
class Stop:
    """A wish to end the run, and how long cleaning up may take."""

    why: str = ""
    is_urgent: bool = False


@dataclass(slots=True)
class Run:
    """One run of `checks` against `target`. `go` may be called once."""

    id: str
    nonce: str
    target: Target
    checks: Sequence[Check]
    append: Append
    announce: Listener
    gate: Gate
    clock: Callable[[], datetime]
    guard_file: Path
    recall: Recall = nothing_before
    stop_wish: Stop = field(default_factory=Stop)
    _results: dict[str, Result] = field(default_factory=dict)
    _running: asyncio.Task[None] | None = None
    _is_ending: bool = False
    _unrecorded: ReviewError | None = None
    _redactor: Redactor = field(default_factory=Redactor)

    async def go(self) -> RunSummary:
        """Judge every check. Raises ReviewError when the journal can no longer be written."""
        async with opened(
            self.target,
            run=self.id,
            nonce=self.nonce,
            guard_file=self.guard_file,
            record=self._record,
            announce=self.announce,
            clock=self.clock,
            recall=self.recall,
        ) as (context, guard):
            self._redactor = context.redactor
            self._running = asyncio.create_task(self._judge_all(context))
            try:
                if self.stop_wish.why:
                    self._running.cancel()
                await self._running
            except asyncio.CancelledError:
                if not self.stop_wish.why:  # not our own stop: whoever runs the loop wants us to end
                    self.stop_wish = Stop("the run was cancelled", is_urgent=True)
                    self._running.cancel()
                    await asyncio.gather(self._running, return_exceptions=True)
            finally:
                await self._end(context, guard)
        if self._unrecorded:
            raise self._unrecorded
        sent = context.http.meter.requests
        return RunSummary(self.id, tuple(self._results.values()), clean(self.stop_wish.why), sent)

    def stop(self, why: str, *, is_urgent: bool = False) -> None:
        """End the run: the check that is running becomes INCONCLUSIVE, what was launched is stopped."""
        if not self.stop_wish.why or is_urgent:
            self.stop_wish = Stop(self.stop_wish.why or why, is_urgent)
        if self._running is not None and (is_urgent or not self._is_ending):
            self._running.cancel()

    async def _end(self, context: Context, guard: Guard) -> None:
        """Clean up; begin again with less time when an urgent stop arrives meanwhile."""
        self._is_ending = True
        self._running = asyncio.create_task(self._clean_up(context, guard))
        try:
            await self._running
        except asyncio.CancelledError:
            self.stop_wish.is_urgent = True
            self._running = None
            await self._clean_up(context, guard)

    async def _judge_all(self, context: Context) -> None:
        for check in self.checks:
            go = await self.gate(check, None)
            attempt = 1
            while True:
                if go.choice is Choice.STOP:
                    self.stop_wish = Stop("stopped by the lead")
                    return
                if go.choice is Choice.SKIP:
                    self._skip(check, go.because, attempt)
                    break
                result = await self._judge(check, context, attempt)
                if result.verdict in (Verdict.PASS, Verdict.NA):
                    break
                go = await self.gate(check, result)
                if go.choice is Choice.GO:
                    break
                attempt += 1

    async def _judge(self, check: Check, context: Context, attempt: int) -> Result:
        self.announce(CheckStarted(check.id, check.title, attempt))
        started_at, began = self.clock(), time.monotonic()
        try:
            outcome = self._blocked(check) or await _outcome(check, context)
        except asyncio.CancelledError:
            why = self.stop_wish.why or "the run was cancelled"
            outcome = inconclusive(Reason.INTERRUPTED, f"Interrupted while it was running: {why}")
            self._finish(check, outcome, started_at, time.monotonic() - began, attempt)
            raise
        return self._finish(check, outcome, started_at, time.monotonic() - began, attempt)

    def _skip(self, check: Check, because: str, attempt: int) -> None:
        told = because.strip() or "no reason given"
        self._finish(
            check, inconclusive(Reason.SKIPPED, f"Skipped by the lead: {told}"), self.clock(), 0.0, attempt
        )

    def _finish(
        self, check: Check, outcome: Outcome, started_at: datetime, duration_s: float, attempt: int
    ) -> Result:
        # The last net: whatever a sentence quotes of the target or of a library, no secret passes here.
        outcome = _redacted(outcome, self._redactor)
        result = Result(
            id=check.id,
            title=check.title,
            area=check.area,
            severity=check.severity,
            verdict=outcome.verdict,
            reason=outcome.reason,
            summary=outcome.summary,
            observed=outcome.observed,
            expected=outcome.expected,
            evidence=tuple(seen.id for seen in outcome.evidence),
            started_at=started_at,
            duration_s=round(duration_s, 6),
            run=self.id,
            attempt=attempt,
        )
        self.append(Kind.RESULT, check.id, result.document(), outcome.evidence)
        self._results[check.id] = result
        self.announce(CheckFinished(result, outcome.evidence))
        return result

    def _blocked(self, check: Check) -> Outcome | None:
        """What a check cannot be judged without: a needed one that failed, or could not itself be judged.

        A need that only lacked a right or a source here (no view of the process) was still done, and blocks nothing.
        """
        for needed in check.needs:
            result = self._results.get(needed)
            if result is None:
                return inconclusive(Reason.BLOCKED, f"Needs {needed}, which was not run")
            harmless = result.reason in (Reason.NO_RIGHT, Reason.NO_SOURCE)
            if result.verdict is Verdict.FAIL or (result.verdict is Verdict.INCONCLUSIVE and not harmless):
                return inconclusive(
                    Reason.BLOCKED, f"Needs {needed} {result.title}, which is {result.verdict}"
                )
        return None

    def _record(self, kind: Kind, subject: str, body: dict[str, object]) -> None:
        try:
            self.append(kind, subject, body)
        except ReviewError as problem:
            if kind in (Kind.LAUNCHING, Kind.LOAD_SECOND):
                raise  # nothing is launched or loaded that the journal does not know of
            self._unrecorded = problem

    async def _clean_up(self, context: Context, guard: Guard) -> None:
        urgent = self.stop_wish.is_urgent
        within_s = URGENT_CLEAN_UP_S if urgent else self.target.profile.walkthrough.stop_within_s
        problems = await context.launches.clean_up(within_s)
        for problem in problems:
            told = self._redactor.redact(f"Not cleaned up: {problem}.")
            self.announce(Notice(clean(told), is_warning=True))
        if context.launches.bots:
            bots = await _left_rows(context, count=not urgent)
            if bots:
                self._record(Kind.LEFTOVER, self.id, {"run": self.id, "bots": bots})
        if problems:
            guard.release()
        else:
            await asyncio.to_thread(guard.dismiss, 0.5 if urgent else 3.0)


def _redacted(outcome: Outcome, redactor: Redactor) -> Outcome:
    def safe(text: str) -> Clean:
        return clean(redactor.redact(text))

    return replace(
        outcome,
        summary=safe(outcome.summary),
        observed=safe(outcome.observed),
        expected=safe(outcome.expected),
        evidence=tuple(
            replace(seen, title=safe(seen.title), body=safe(seen.body), command=safe(seen.command))
            for seen in outcome.evidence
        ),
    )


async def _outcome(check: Check, context: Context) -> Outcome:
    """Call the check; what it raises is a doubt about the check, never a verdict about the target."""
    try:
        async with asyncio.timeout(check.within_s or None) as limit:
            return await check.function(context)
    except ReviewError:
        raise
    except GonogoError as problem:
        return inconclusive(Reason.CHECK_ERROR, f"The check could not be made: {problem}")
    except TimeoutError as problem:
        if limit.expired():
            return inconclusive(Reason.TIMEOUT, f"It could not be judged within {check.within_s:g} s")
        return _broken(problem)
    except Exception as problem:  # noqa: BLE001 - the one place where a fault of a check is caught
        return _broken(problem)


def _broken(problem: Exception) -> Outcome:
    where = traceback.extract_tb(problem.__traceback__)[-1]
    place = f"{Path(where.filename).name}:{where.lineno}"
    return inconclusive(
        Reason.CHECK_ERROR,
        f"The check itself failed with {type(problem).__name__} at {place}; please report it",
    )


async def _left_rows(context: Context, *, count: bool) -> list[dict[str, object]]:
    """The rows that stay behind, by marked bot id; `rows` is None where they were not counted."""
    found: list[dict[str, object]] = []
    for bot_id in context.launches.bots:
        rows = await context.sql.count(bot_id) if count else None
        if rows != 0:
            found.append({"bot_id": bot_id, "rows": rows})
    return found
