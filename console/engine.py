"""The engine's thread: the review lives there, on a loop of its own, so that no terminal can hold it up.

The app calls the methods of `Engine`, which only leave a wish and return; what happens is posted back as messages.
The thread never waits for the app, the app never waits for the thread.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from textual.message import Message

from checks.events import BoardTold, Event, Gate, Go, Listener, LoadSecond, Notice, open_gate
from checks.model import Area, Ceiling, GonogoError, Result, ReviewError, utc_now
from checks.registry import Check
from checks.text import clean
from console.messages import (
    Announced,
    Decided,
    EngineEnded,
    EvidenceRead,
    ExportsWritten,
    GateAsked,
    GateLeft,
    Refused,
    ReportsWritten,
    ReviewOpened,
    ReviewReady,
    SnapshotTaken,
)
from screens.picture import Waiting

if TYPE_CHECKING:
    from checks.monitoring.actions import Action
    from checks.monitoring.watching import Watching
    from checks.review import Review

    OpenReview = Callable[[Listener], Review]
    OpenWatching = Callable[[Review, Listener], Watching]

FOLLOW_EVERY_S = 2.0
"""How often a read-only review looks whether the other console has written."""
EXPORT_FOLDER = "monitoring-export"
REFOLD_EVERY_S = 60.0
"""How often the picture is folded again although nothing was written: evidence grows old."""


class Engine:
    """A review in a thread of its own. Every method may be called from any thread, and returns at once."""

    def __init__(
        self, open_review: OpenReview, out: Path | None = None, *, open_watching: OpenWatching | None = None
    ) -> None:
        """`open_watching` replaces the real watch of the review's target."""
        self._open_review = open_review
        self._open_watching = open_watching
        self._out = out
        self._post: Callable[[Message], object] = lambda message: None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._work, name="gonogo-engine", daemon=True)
        self._review: Review | None = None
        self._run: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._answer: asyncio.Future[Go] | None = None
        self._watching: Watching | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._may_watch = asyncio.Event()
        self._end = asyncio.Event()
        self._why = ""
        self._is_urgent = False
        self._is_ready = False
        self._waiting: list[Callable[[], None]] = []
        """What was wished for before the review was open."""
        self._is_snapshot_due = False
        self.failure: BaseException | None = None
        """Why the thread ended by itself."""
        self.ended = threading.Event()
        """Set when the review is closed and nothing more is going to happen."""

    def start(self, post: Callable[[Message], object]) -> None:
        """Import, open and recover the review; `post` must be callable from any thread."""
        if not self._end.is_set():
            self._post = post
            self._thread.start()

    def run(
        self,
        *,
        checks: Sequence[str] = (),
        area: Area | None = None,
        stepwise: bool = False,
        quick: bool = False,
    ) -> None:
        """Run `checks` with what they need, else all of `area`, else everything; `quick` without what disturbs."""
        gate: Gate = self._gate if stepwise else open_gate
        areas = (area,) if area and not checks else ()

        def begin(review: Review) -> None:
            if self._run is not None:
                raise ReviewError("A run is under way already; stop it with x, or wait for its end.")
            self._run = self._task(self._run_to_the_end(review, areas, tuple(checks), gate, quick=quick))

        self._ask(begin, may_wait=True)

    def stop(self, why: str) -> None:
        """End the run that is under way; it cleans up first."""
        self._ask(lambda review: self._task(review.stop(why)))

    def answer(self, go: Go) -> None:
        """Answer a stepwise run that waits."""

        def give(review: Review) -> None:
            if self._answer is not None and not self._answer.done():
                self._answer.set_result(go)

        self._ask(give)

    def decide(self, wanted: Ceiling, because: str) -> None:
        """Record a decision."""

        def record(review: Review) -> None:
            self._tell(Decided(review.decide(wanted, because)))
            self._want_snapshot()

        self._ask(record)

    def write_reports(self) -> None:
        """Write the report files to the working folder."""

        def write(review: Review) -> None:
            written = review.write_reports(self._out)
            self._tell(ReportsWritten((*map(str, (*written.paths, written.manifest)), *written.notes)))
            self._want_snapshot()

        self._ask(write)

    def watch(self) -> None:
        """Watch the thresholds from now on, until the end; where another process does, its watch is followed."""
        self._soon(self._may_watch.set)

    def act(self, action: Action) -> None:
        """Do something to the watch: acknowledge, silence, edit, test, drill."""

        def do(review: Review) -> None:
            if self._watching is None:
                raise ReviewError("Nobody watches yet; try again in a moment.")
            self._watching.do(action)

        self._ask(do)

    def write_exports(self) -> None:
        """Write the rules for Prometheus, Alertmanager, Grafana and systemd below the working folder."""

        def write(review: Review) -> None:
            from checks.monitoring.export import writing  # only whoever asks for it waits for it
            from checks.monitoring.record import as_watched

            files = writing.exported(as_watched(review.target, review.folder, utc_now()))
            paths = writing.write(files, (self._out or Path.cwd()) / EXPORT_FOLDER)
            self._tell(ExportsWritten(tuple(map(str, paths))))

        self._ask(write)

    def read_evidence(self, ids: Sequence[str]) -> None:
        """Read evidence from the journal."""
        self._ask(lambda review: self._tell(EvidenceRead(review.evidence(ids))), is_reading=True)

    def end(self, why: str, *, is_urgent: bool = False) -> None:
        """Stop what runs, close the review and end the thread; `is_urgent` hurries the cleaning up.

        May be called again to hurry, and from a signal handler: it takes no lock.
        """

        if self._thread.ident is None:
            self._end.set()
            self._loop.close()
            self.ended.set()
            return

        def wish() -> None:
            self._why, self._is_urgent = self._why or why, self._is_urgent or is_urgent
            if self._end.is_set() and is_urgent and self._review is not None:
                self._task(self._review.stop(self._why, is_urgent=True))
            self._end.set()

        self._soon(wish)

    def _tell(self, message: Message) -> None:
        with contextlib.suppress(RuntimeError):  # the app's loop is closed: nobody is left to tell
            self._post(message)

    def _soon(self, call: Callable[[], object]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nothing is left to wish for
            self._loop.call_soon_threadsafe(call)

    def _ask(
        self, call: Callable[[Review], object], *, is_reading: bool = False, may_wait: bool = False
    ) -> None:
        def do() -> None:
            if may_wait and not self._is_ready and not self._end.is_set():
                self._waiting.append(do)
                return
            if self._review is None or self._end.is_set() or not (self._is_ready or is_reading):
                if not is_reading:
                    self._tell(Refused("The review is not open yet; try again in a moment."))
                return
            try:
                call(self._review)
            except GonogoError as problem:
                self._tell(Refused(str(problem)))

        self._soon(do)

    def _work(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            self._loop.set_exception_handler(self._broke)
            runner.run(self._live())
        self.ended.set()
        self._tell(EngineEnded())

    async def _live(self) -> None:
        serving = asyncio.create_task(self._serve())
        ending = asyncio.create_task(self._end.wait())
        await asyncio.wait((serving, ending), return_when=asyncio.FIRST_COMPLETED)
        serving.cancel()
        ending.cancel()
        self._keep_failure(*await asyncio.gather(serving, return_exceptions=True))
        closing = asyncio.create_task(self._close())
        await asyncio.wait((closing,))
        self._keep_failure(closing.exception())

    async def _serve(self) -> None:
        review = self._review = self._open_review(self._hear)
        self._tell(ReviewOpened(review.checks, review.target.profile.console.keys))
        self._tell(SnapshotTaken(review.snapshot()))
        await review.recover()
        self._tell(SnapshotTaken(review.snapshot()))
        self._is_ready = True
        self._tell(ReviewReady())
        waiting, self._waiting = self._waiting, []
        for wish in waiting:
            wish()
        self._watcher = self._task(self._watch_on(review))
        while True:
            await asyncio.sleep(FOLLOW_EVERY_S if review.read_only else REFOLD_EVERY_S)
            if not review.read_only or review.changed():
                self._want_snapshot()

    async def _watch_on(self, review: Review) -> None:
        """Follow a watch that somebody else keeps; keep one where the lead has asked for it."""
        if self._open_watching is None:
            from checks.monitoring.watching import watching_of  # imported when the tabs are there

            self._open_watching = watching_of
        self._watching = self._open_watching(review, self._hear)
        while not self._may_watch.is_set():
            await self._watching.follow(FOLLOW_EVERY_S)
        await self._watching.run()

    async def _close(self) -> None:
        if self._review is None:
            return
        if self._watcher is not None:
            self._watcher.cancel()
            await asyncio.wait((self._watcher,))
        await self._review.stop(self._why or "the console ended", is_urgent=self._is_urgent)
        if self._run is not None:
            await asyncio.wait((self._run,))
        review, self._review = self._review, None
        review.close()

    async def _run_to_the_end(
        self, review: Review, areas: Sequence[Area], checks: Sequence[str], gate: Gate, *, quick: bool
    ) -> None:
        try:
            await review.run(areas, checks, quick=quick, gate=gate)
        finally:
            self._run = None
            self._want_snapshot()

    async def _gate(self, check: Check, result: Result | None) -> Go:
        self._answer = self._loop.create_future()
        self._tell(GateAsked(Waiting(check, result)))
        try:
            return await self._answer
        finally:
            self._answer = None
            self._tell(GateLeft())

    def _hear(self, event: Event) -> None:
        self._tell(Announced(event))
        if not isinstance(event, LoadSecond | BoardTold):  # drawn as they are; they change no state
            self._want_snapshot()

    def _want_snapshot(self) -> None:
        """Once for everything that happens in this turn of the loop."""
        if not self._is_snapshot_due and self._review is not None:
            self._is_snapshot_due = True
            self._loop.call_soon(self._take_snapshot)

    def _take_snapshot(self) -> None:
        self._is_snapshot_due = False
        if self._review is not None:
            self._tell(SnapshotTaken(self._review.snapshot()))

    def _task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._told)
        return task

    def _told(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        problem = None if task.cancelled() else task.exception()
        if isinstance(problem, ReviewError):  # a run that could not go on: this must not pass with a toast
            self._tell(Announced(Notice(clean(problem), is_warning=True)))
        elif problem is not None:
            self._keep_failure(problem)
            self._end.set()

    def _broke(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        self._keep_failure(context.get("exception") or RuntimeError(context["message"]))
        self._end.set()

    def _keep_failure(self, problem: BaseException | None) -> None:
        if problem is not None and not isinstance(problem, asyncio.CancelledError):
            self.failure = self.failure or problem
