"""Watches where nobody does, follows where somebody does, and takes over when that one ends: one watch per review."""

from __future__ import annotations

import asyncio
import secrets
import time
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from checks.context import opened
from checks.events import BoardTold, Listener, Notice, nobody
from checks.journal import Journal
from checks.model import GonogoError, Kind, ReviewError, utc_now
from checks.monitoring import files
from checks.monitoring.actions import Action
from checks.monitoring.board import Board
from checks.monitoring.model import Reading
from checks.monitoring.record import open_journal, watch_folder
from checks.monitoring.standing import Standing
from checks.monitoring.watch import Watch
from checks.state import actor
from checks.target import Target
from checks.text import clean

if TYPE_CHECKING:
    from checks.review import Review

FOLLOW_EVERY_S = 1.0
TAKE_OVER_EVERY_S = 3.0
TEND_EVERY_S = 0.5
STANDS_STILL = 3.0
"""A board that is so many intervals old (15 s at least) is not looked at by anybody any more."""


def watching_of(review: Review, announce: Listener) -> Watching:
    """The watch of an open review's target; it keeps a journal of its own beside the review's."""
    standing = Standing(review.snapshot, time.monotonic)
    return Watching(review.target, review.folder, announce, standing=standing, who=actor())


def _nothing_recorded(kind: Kind, subject: str, body: dict[str, object]) -> None:
    """A watch launches nothing, so that there is nothing to record of it."""


class Watching:
    """One process's part in the watch of a review. `run` until it is cancelled; `do` from the same event loop."""

    def __init__(
        self,
        target: Target,
        review: Path,
        announce: Listener,
        *,
        standing: Callable[[], Reading],
        who: str,
        clock: Callable[[], datetime] = utc_now,
        mono: Callable[[], float] = time.monotonic,
    ) -> None:
        """`review` is the folder of the review; `who` acts as `user@host`."""
        self._target = target
        self._review = review
        self._announce = announce
        self._standing = standing
        self._who = who
        self._clock, self._mono = clock, mono
        self._watch: Watch | None = None
        self._complaint = ""
        self.board: Board | None = None
        """The newest board, own or followed."""

    @property
    def is_own(self) -> bool:
        """Whether this process watches."""
        return self._watch is not None

    async def run(self) -> None:
        """Watch, or follow until there is nobody to follow. Ends with its cancellation alone."""
        while True:
            journal = await asyncio.to_thread(self._taken)
            if journal is None:
                await self.follow(TAKE_OVER_EVERY_S)
                continue
            try:
                async with self._watched(journal) as watch:
                    await self._look_after_look(watch)
            except Exception as problem:  # noqa: BLE001 - it is tried again, and ends nothing else
                self._complain(f"Nothing can be watched: {_sentence(problem)}")
                await asyncio.sleep(TAKE_OVER_EVERY_S)

    async def follow(self, seconds: float) -> None:
        """Tell the board that another process writes, for so long."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            found = await asyncio.to_thread(files.read_board, self._review / "watch")
            if found is not None:
                self._tell(self._aged(found))
            await asyncio.sleep(FOLLOW_EVERY_S)

    def do(self, action: Action) -> None:
        """Do what the person at this process asks for, or leave it as a wish for the one that watches.

        Raises ReviewError with the sentence that says why it cannot be done.
        """
        if self._watch is not None:
            self._watch.do(action, self._who)
            self._tell(self._watch.board())
        elif self.board is None:
            raise ReviewError("Nobody watches yet; wait a moment.")
        else:
            files.put_wish(watch_folder(self._review), action, self._who, self._clock())
            self._announce(
                Notice(clean(f"Left for the watch of {self.board.watcher}; it does it at its next look."))
            )

    def _taken(self) -> Journal | None:
        """The watch's journal for writing; None where another process has it."""
        try:
            journal = open_journal(self._review, actor=self._who, clock=self._clock)
        except GonogoError as problem:
            self._complain(f"Nothing can be watched: {problem}")
            return None
        if journal.read_only:
            journal.close()
            return None
        return journal

    @asynccontextmanager
    async def _watched(self, journal: Journal) -> AsyncIterator[Watch]:
        folder = watch_folder(self._review)
        async with opened(
            self._target,
            run="watch",
            nonce=secrets.token_hex(6),
            guard_file=folder / "guard.json",
            record=_nothing_recorded,
            announce=nobody,
            clock=self._clock,
        ) as (context, _):
            context.http.is_evidence_kept = False
            try:
                watch = self._watch = Watch(
                    context,
                    journal,
                    folder,
                    standing=self._standing,
                    clock=self._clock,
                    mono=self._mono,
                    who=self._who,
                )
            except BaseException:
                journal.close()
                raise
            try:
                yield watch
            finally:
                self._watch = None
                await asyncio.shield(watch.close())

    async def _look_after_look(self, watch: Watch) -> None:
        due = time.monotonic()
        while True:
            try:
                self._tell(await watch.look())
                self._complaint = ""
            except Exception as problem:  # noqa: BLE001 - one look that fails must not be the last
                self._complain(f"A look of the watch failed: {_sentence(problem)}")
            # The schedule is absolute: looks do not drift; ones that were missed are not made up for.
            due = max(due + watch.interval_s, time.monotonic())
            while (left := due - time.monotonic()) > 0:
                await asyncio.sleep(min(left, TEND_EVERY_S) if watch.is_telling else left)
                if watch.is_telling:
                    await watch.tend()

    def _complain(self, sentence: str) -> None:
        """Once for each trouble, however long it lasts."""
        if self._complaint != sentence:
            self._complaint = sentence
            self._announce(Notice(clean(sentence), is_warning=True))

    def _aged(self, board: Board) -> Board:
        age_s = (self._clock() - board.at).total_seconds()
        if age_s <= max(15.0, STANDS_STILL * board.interval_s):
            return board
        return replace(
            board, problem=clean(f"Nobody looks: the last look was {age_s:.0f} s ago, by {board.watcher}")
        )

    def _tell(self, board: Board) -> None:
        self.board = board
        self._announce(BoardTold(board))


def _sentence(problem: Exception) -> str:
    """What is wrong, for a person; of what nobody expected, where it came from."""
    if isinstance(problem, GonogoError):
        return str(problem)
    where = traceback.extract_tb(problem.__traceback__)[-1]
    place = f"{Path(where.filename).name}:{where.lineno}"
    return f"{type(problem).__name__} at {place}; it is tried again, please report it"
