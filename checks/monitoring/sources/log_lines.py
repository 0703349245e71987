"""Lines of level ERROR or above that the controller's log gained: from its file, or from its unit's journal."""

from __future__ import annotations

import asyncio
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from checks.audit.log_records import LEVELS, read_record
from checks.audit.log_source import the_log
from checks.context import Context
from checks.model import Outcome
from checks.monitoring.sources.asking import Notes, Question, fresh_s
from checks.monitoring.sources.counters import History, Rise
from checks.probe.log import LogProbe, LogSource, Mark
from checks.probe.log_growth import LogGrowth
from checks.text import NOTHING, Clean, clean

ERROR = LEVELS["ERROR"]
JOURNAL_EVERY_S = 10.0
OVERLAP = timedelta(seconds=1)
SOUGHT_AGAIN_S = 60.0
MAX_READ_BYTES, MAX_WORDS_BYTES = 1 << 16, 1 << 10
_LONG_WORD = re.compile(rb"[\w.@-]{64,}")
_MAYBE = re.compile(
    "|".join(name for name, level in LEVELS.items() if level >= ERROR).encode()
    + rb"""|(?:level|severity|lvl)"?\s*[:=]\s*"?\d""",
    re.IGNORECASE,
)
"""What a line must hold to be worth taking apart: words of levels, or a level as a number."""


class LogLines:
    """Counts; the lines themselves are not kept."""

    def __init__(
        self, context: Context, notes: Notes, *, mono: Callable[[], float], interval_s: float
    ) -> None:
        self.question = Question("log", self._look, notes)
        self.errors = History()
        self.problem: Clean = NOTHING
        """Why the log could not be read at the last look; empty where it could."""
        self.name: Clean = NOTHING
        """The log that is read; empty where none is known."""
        self._context, self._notes, self._mono = context, notes, mono
        self._fresh_s = fresh_s(interval_s)
        self._growth: LogGrowth | None = None
        self._journal: LogSource | None = None
        self._mark: Mark | None = None
        self._read: frozenset[int] = frozenset()
        self._good_s = self._sought_s = -math.inf
        self._count = 0.0

    @property
    def is_known(self) -> bool:
        """Whether there is a log to read."""
        return bool(self.name)

    def missing(self) -> Clean:
        """Why the count does not stand; empty where it does."""
        if self._mono() - self._good_s <= self._fresh_s + self.question.every_s:
            return NOTHING
        return self.problem or self.question.problem or clean("the log was not read yet")

    def rise(self, window_s: float) -> Rise:
        """Error lines gained over a window."""
        return self.errors.rise(window_s, self._mono())

    async def _look(self) -> None:
        if not self.name:
            await self._seek()
        if self._growth is not None:
            gained = await asyncio.to_thread(self._grown, self._growth)
            self._take(*gained)
        elif self._journal is not None:
            await self._read_on(self._journal)

    async def _seek(self) -> None:
        now_s = self._mono()
        named = self._context.target.profile.log.file
        if not named and now_s - self._sought_s < SOUGHT_AGAIN_S:
            return
        self._sought_s = now_s
        found = None if named else await the_log(self._context)
        if isinstance(found, LogProbe) or named:
            # Also one that cannot be read now: it may be there at a later look.
            path = found.path if isinstance(found, LogProbe) else Path(named)
            self._growth = LogGrowth(path, self._context.redactor, self._context.now)
            self.name = self._growth.name
        elif found is not None and not isinstance(found, Outcome):
            self._journal, self.name = found, found.name
            self._mark = await found.mark()
            self.question.every_s = JOURNAL_EVERY_S

    def _grown(self, growth: LogGrowth) -> tuple[int, Clean]:
        gained = growth.gained()
        if gained.was_cut:
            self._notes.add(f"{growth.name} grows so fast that only the newest MiB of each look is read")
        return count_errors(gained.lines), gained.error

    async def _read_on(self, journal: LogSource) -> None:
        assert self._mark
        mark = await journal.mark()
        # One second twice, and what was read before is left out: nothing is lost or counted again.
        found = await journal.since(replace(self._mark, at=self._mark.at - OVERLAP))
        if not found.error:
            self._mark = mark
            fresh = [line for line in found.lines if hash(line) not in self._read]
            self._read = frozenset(map(hash, found.lines))
            self._take(count_errors(line.encode() for line in fresh), NOTHING)
        else:
            self._take(0, found.error)

    def _take(self, errors: int, problem: Clean) -> None:
        self.problem = problem
        if problem:
            if not len(self.errors):
                self.errors.add(self._mono(), (0.0,))  # what stands in it when it can be read came since
            return
        self._good_s = self._mono()
        self._count += errors
        self.errors.add(self._good_s, (self._count,))


def count_errors(lines: Iterable[bytes]) -> int:
    """How many of the lines are of level ERROR or above, whether they are JSON, logfmt or plain words."""
    return sum(_is_error(line) for line in lines if _MAYBE.search(line[:MAX_READ_BYTES]))


def _is_error(line: bytes) -> bool:
    if not line.lstrip().startswith(b"{"):
        # The level of words stands in front. Long words cost the reader of pairs the square of their length.
        line = _LONG_WORD.sub(b"-", line[:MAX_WORDS_BYTES])
    try:
        level = read_record(line[:MAX_READ_BYTES].decode("utf-8", "replace")).level
    except (ValueError, ArithmeticError, RecursionError, OSError):
        return False  # a record that was made to be unreadable
    return level is not None and level >= ERROR
