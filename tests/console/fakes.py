"""A review without a journal or a target, and the console on it: what screens are tested against."""

from __future__ import annotations

import asyncio
import html
import re
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from textual.app import App
from textual.pilot import Pilot

from checks.events import (
    CheckFinished,
    CheckStarted,
    Choice,
    Gate,
    HopCrossed,
    Listener,
    Notice,
    RunFinished,
    RunStarted,
    nobody,
    open_gate,
)
from checks.fold import CheckState, Decision, Judgement, Leftover, Snapshot
from checks.model import (
    Area,
    Ceiling,
    Evidence,
    Outcome,
    Reason,
    Result,
    ReviewError,
    Safety,
    Severity,
    State,
    Verdict,
    failed,
    inconclusive,
    passed,
)
from checks.monitoring.actions import Action
from checks.registry import Check, with_needs
from checks.signoff.policy import allows, judge, shipped_policy
from checks.text import Clean, clean
from console.app import GonogoApp
from console.engine import Engine

NOW = datetime(2025, 3, 1, 12, 0, tzinfo=UTC)
TITLES = (
    "Controller is healthy",
    "Web page is served",
    "Sign in",
    "Launch a bot",
    "Send a command (WebSocket)",
    "Send a command (REST)",
    "Receive the responses",
    "Stored in the database",
    "History comes back",
    "Switch bots, no mixing",
    "Errors are told clearly",
    "A killed bot is seen as down",
    "Stop ends the bot",
    "Clean-up is verified",
)


async def _never(context: object) -> Outcome:
    raise AssertionError("a fake check is not called")


CHECKS = tuple(
    Check(
        id=f"WALK-{number:02}",
        title=title,
        area=Area.WALKTHROUGH,
        severity=Severity.MAJOR if number in (2, 11, 12, 14) else Severity.BLOCKER,
        safety=Safety.ACTIVE,
        sends=f"what step {number} sends",
        why=f"what a failure of step {number} means",
        reference="",
        needs=("WALK-03",) if number > 3 else (),
        hops=("controller",),
        function=_never,
    )
    for number, title in enumerate(TITLES, 1)
)


def seen(text: str, command: str = "") -> Evidence:
    """A piece of evidence."""
    return Evidence("http", clean(f"title of {text}"), clean(f"body of {text}"), clean(command), NOW)


@dataclass(slots=True)
class FakeWatching:
    """Keeps what it is asked for, and tells the board that a test gives it."""

    announce: Listener
    has_begun: bool = False
    actions: list[Action] = field(default_factory=list)
    refusal: str = ""

    async def follow(self, seconds: float) -> None:
        """Nobody else watches."""
        await asyncio.sleep(min(seconds, 0.01))

    async def run(self) -> None:
        """Watch until it is cancelled."""
        self.has_begun = True
        await asyncio.Event().wait()

    def do(self, action: Action) -> None:
        """Take what a person wants, or refuse it."""
        if self.refusal:
            raise ReviewError(self.refusal)
        self.actions.append(action)


@dataclass
class FakeReview:
    """Runs nothing: each check's outcome comes from `outcomes`, in order of the attempts, else it passes."""

    outcomes: dict[str, list[Outcome]] = field(default_factory=dict)
    hold: set[str] = field(default_factory=set)
    """Checks in which a run stays until it is stopped or let go."""
    keys: dict[str, str] = field(default_factory=dict)
    read_only: bool = False
    holder: str = ""
    ceiling: Ceiling | None = None
    """Instead of the policy's."""
    notices: tuple[Notice, ...] = ()
    """What recovery announces."""
    interrupted: tuple[str, ...] = ()
    leftovers: tuple[Leftover, ...] = ()
    fail_to_write: str = ""
    target_title: str = "Port 8000 chatbot controller 1.4.2"
    listener: Listener = nobody
    results: dict[str, Result] = field(default_factory=dict)
    known: dict[str, Evidence] = field(default_factory=dict)
    decision: Decision | None = None
    now: datetime = NOW
    seq: int = 1
    runs: list[tuple[str, ...]] = field(default_factory=list)
    stops: list[tuple[str, bool]] = field(default_factory=list)
    is_closed: bool = False
    cleans_until_hurried: bool = False
    """Whether a stop takes until an urgent one comes."""
    written_elsewhere: bool = False
    checks: tuple[Check, ...] = CHECKS
    watching: FakeWatching | None = None
    _stopping: str = ""
    _running: asyncio.Task[None] | None = None
    _ended: asyncio.Event = field(default_factory=asyncio.Event)
    _let_go: asyncio.Event = field(default_factory=asyncio.Event)
    _hurried: asyncio.Event = field(default_factory=asyncio.Event)
    _loop: asyncio.AbstractEventLoop | None = None

    @property
    def target(self) -> Any:
        """As much of a target as the console looks at."""
        return SimpleNamespace(profile=SimpleNamespace(console=SimpleNamespace(keys=self.keys)))

    def open(self, listener: Listener) -> Any:
        """What the engine calls in its thread."""
        self.listener = listener
        self._loop = asyncio.get_running_loop()
        return self

    def let_go(self) -> None:
        """Let a held check go on; from any thread."""
        assert self._loop is not None
        self._loop.call_soon_threadsafe(self._let_go.set)

    def snapshot(self) -> Snapshot:
        """Folded from what was run so far."""
        states = tuple(
            CheckState(
                check.id,
                check.title,
                check.area,
                check.severity,
                State(self.results[check.id].verdict.value) if check.id in self.results else State.NOT_RUN,
                self.results.get(check.id),
                subject=check.subject,
                why=check.why,
                fix=check.fix,
                scenario=check.scenario,
            )
            for check in self.checks
        )
        judgement = judge(states, shipped_policy())
        if self.ceiling is not None:
            judgement = Judgement(self.ceiling, (clean("the test says so"), clean("and once more")))
        return Snapshot(
            review="7f3a",
            target=clean(self.target_title),
            url=clean("http://127.0.0.1:8000"),
            lead=clean("mhk"),
            at=self.now,
            head_seq=self.seq,
            head_hash="0" * 64,
            checks=states,
            judgement=judgement,
            decision=self.decision,
            interrupted=tuple(clean(sentence) for sentence in self.interrupted),
            leftovers=self.leftovers,
            read_only=self.read_only,
            holder=clean(self.holder),
        )

    def evidence(self, ids: Iterable[str]) -> dict[str, Evidence]:
        """What was captured."""
        return {name: self.known[name] for name in ids if name in self.known}

    def changed(self) -> bool:
        """Whether the test wrote as another console would."""
        was, self.written_elsewhere = self.written_elsewhere, False
        return was

    async def recover(self) -> None:
        """Announce what the test wants announced."""
        for notice in self.notices:
            self.listener(notice)

    async def run(
        self,
        areas: Iterable[Area] = (),
        checks: Iterable[str] = (),
        *,
        quick: bool = False,
        gate: Gate = open_gate,
    ) -> None:
        """Go through the checks as the runner does."""
        wanted = tuple(checks)
        chosen = with_needs(wanted, self.checks) if wanted else self.checks
        if quick:
            chosen = tuple(check for check in chosen if check.safety is not Safety.DISRUPTIVE)
        self.runs.append(tuple(check.id for check in chosen))
        self._stopping, self._ended = "", asyncio.Event()
        self.listener(RunStarted("run", tuple(areas), tuple(check.id for check in chosen)))
        self._running = asyncio.create_task(self._judge_all(chosen, gate))
        await asyncio.wait((self._running,))
        problem = None if self._running.cancelled() else self._running.exception()
        self._running = None
        self.listener(RunFinished("run", self._stopping))
        self._ended.set()
        if problem:
            raise problem

    async def _judge_all(self, checks: Iterable[Check], gate: Gate) -> None:
        for check in checks:
            go = await gate(check, None)
            attempt = 1
            while go.choice is not Choice.STOP:
                if go.choice is Choice.SKIP:
                    self._finish(check, inconclusive(Reason.SKIPPED, f"Skipped by the lead: {go.because}"), 1)
                    break
                result = await self._judge(check, attempt)
                if result.verdict is Verdict.PASS:
                    break
                go = await gate(check, result)
                if go.choice is Choice.GO:
                    break
                attempt += 1
            if go.choice is Choice.STOP:
                return

    async def _judge(self, check: Check, attempt: int) -> Result:
        self.listener(CheckStarted(check.id, check.title, attempt))
        self.listener(HopCrossed("bot"))
        if check.id in self.hold:
            try:
                await self._let_go.wait()
            except asyncio.CancelledError:
                self._finish(check, inconclusive(Reason.INTERRUPTED, "Interrupted"), attempt)
                raise
        await asyncio.sleep(0)
        if self.fail_to_write:
            raise ReviewError(self.fail_to_write)
        planned = self.outcomes.get(check.id, [])
        outcome = (
            planned[min(attempt, len(planned)) - 1]
            if planned
            else passed("It did", evidence=[seen(check.id)])
        )
        return self._finish(check, outcome, attempt)

    def _finish(self, check: Check, outcome: Outcome, attempt: int) -> Result:
        self.seq += 1
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
            evidence=tuple(piece.id for piece in outcome.evidence),
            started_at=self.now,
            duration_s=0.012,
            run="run",
            attempt=attempt,
        )
        self.results[check.id] = result
        self.known |= {piece.id: piece for piece in outcome.evidence}
        self.listener(CheckFinished(result, outcome.evidence))
        return result

    async def stop(self, why: str, *, is_urgent: bool = False) -> None:
        """End the run."""
        self.stops.append((why, is_urgent))
        if is_urgent:
            self._hurried.set()
        elif self.cleans_until_hurried:
            await self._hurried.wait()
        if self._running is not None:
            self._stopping = why
            self._running.cancel()
            await self._ended.wait()

    def decide(self, wanted: Ceiling, because: str) -> Decision:
        """Record, or refuse as the review does."""
        ceiling = self.snapshot().judgement.ceiling
        if not allows(ceiling, wanted):
            raise ReviewError(f"{wanted} is refused: the evidence allows {ceiling} at best")
        self.seq += 1
        self.decision = Decision(wanted, ceiling, clean(because), clean("mhk@host"), self.now, self.seq)
        return self.decision

    def write_reports(self, out: Path | None = None) -> Any:
        """Paths as the writer returns them."""
        return SimpleNamespace(
            paths=(Path("/work/reports/TEST.md"),),
            manifest=Path("/work/reports/manifest.json"),
            notes=(Clean("An earlier report was kept as TEST.1.md"),),
        )

    def close(self) -> None:
        """Nothing more may be asked of it."""
        self.is_closed = True


def fake_watching(review: Any, listener: Listener) -> Any:
    """The watch of a fake review, which keeps it."""
    review.watching = FakeWatching(listener)
    return review.watching


@asynccontextmanager
async def console(
    review: FakeReview, size: tuple[int, int] = (80, 24), *, wait: bool = True
) -> AsyncIterator[tuple[GonogoApp, Pilot[None]]]:
    """The console on a fake review, open and ready."""
    engine = Engine(review.open, open_watching=fake_watching)
    app = GonogoApp(engine, title="a title")
    async with app.run_test(size=size, notifications=True) as pilot:
        if wait:
            await until(pilot, lambda: app.picture.is_ready)
        yield app, pilot
    engine.end("the test is over", is_urgent=True)
    assert await asyncio.to_thread(engine.ended.wait, 5.0)


async def until(pilot: Pilot[Any], is_so: Callable[[], bool], within_s: float = 5.0) -> None:
    """Let the app go on until something is so."""
    deadline = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < deadline, f"it did not come to be:\n{text_of(pilot.app)}"
        await pilot.pause(0.005)
    await pilot.pause()


def text_of(app: App[Any]) -> str:
    """The screen as text, row by row."""
    rows: dict[str, dict[float, str]] = {}
    for x, y, text in re.findall(
        r'<text(?![^>]*text-anchor)[^>]*? x="([0-9.]+)" y="([0-9.]+)"[^>]*>([^<]*)</text>',
        app.export_screenshot(),
    ):
        rows.setdefault(y, {})[float(x)] = html.unescape(text).replace("\xa0", " ").strip("\n")
    return "\n".join(_row(rows[y]) for y in sorted(rows, key=float))


def _row(parts: Mapping[float, str]) -> str:
    line = ""
    for x in sorted(parts):
        line = line.ljust(round(x / 12.2)) + parts[x]
    return line


FAILED = failed(
    "The text is not stored as it was sent",
    expected="the exact text",
    observed="another text",
    evidence=[seen("the row", "SELECT 1"), seen("the request", "curl http://127.0.0.1:8000/x")],
)
