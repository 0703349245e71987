"""The SQLite probe: is a file whole, and what happens while another writer holds it. Stores nothing."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

from checks.text import NOTHING, Clean, one_line

STEPS = 10_000
"""Instructions of SQLite's machine between two looks at the clock."""
MAX_FINDINGS = 20
OPEN_WITHIN_S = 3.0
DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


@dataclass(frozen=True, slots=True)
class Whole:
    """What SQLite's own check said of a file."""

    findings: tuple[Clean, ...]
    """What is damaged; empty where nothing is, or it could not be judged."""
    problem: Clean
    """Why it could not be judged; empty where it could."""
    tables: tuple[Clean, ...] = ()


async def look_through(path: Path, within_s: float, *, is_at_rest: bool = False) -> Whole:
    """Run `PRAGMA quick_check` on the file; given up after `within_s` seconds.

    A file `is_at_rest` where nobody writes to it: nothing is then made beside it.
    """
    return await asyncio.to_thread(_look_through, path, within_s, is_at_rest)


def _look_through(path: Path, within_s: float, is_at_rest: bool) -> Whole:
    deadline = time.monotonic() + within_s
    mode = "mode=ro&immutable=1" if is_at_rest else "mode=ro"
    try:
        uri = f"file:{quote(str(path))}?{mode}"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=OPEN_WITHIN_S)) as connection:
            connection.set_progress_handler(lambda: time.monotonic() > deadline, STEPS)
            found = connection.execute(f"PRAGMA quick_check({MAX_FINDINGS})").fetchall()
            names = connection.execute(
                "SELECT name FROM sqlite_master WHERE type = 'table' LIMIT 100"
            ).fetchall()
    except sqlite3.Error as problem:
        code = getattr(problem, "sqlite_errorcode", 0) & 0xFF
        if code in DAMAGED:
            return Whole((one_line(problem),), NOTHING)
        if code == sqlite3.SQLITE_INTERRUPT:
            return Whole((), one_line(f"{path} was not looked through within {within_s:g} s"))
        return Whole((), one_line(f"{path} cannot be looked through: {problem}", 300))
    said = [one_line(str(row[0]).removeprefix("*** in database main ***").strip()) for row in found]
    return Whole(
        tuple(line for line in said if line != "ok"), NOTHING, tuple(one_line(row[0], 80) for row in names)
    )


class WriteLock:
    """The right to write to a SQLite file, held for a while and given back whatever happens; nothing is written.

    `async with WriteLock(path, most_s) as lock`: `lock.problem` says why it is not held, `lock.free` gives it back
    early. It is given back after `most_s` seconds in any case.
    """

    def __init__(self, path: Path, most_s: float) -> None:
        self._path, self._most_s = path, most_s
        self._asked, self._given_back = threading.Event(), threading.Event()
        self._tried = threading.Event()
        self.problem = NOTHING
        self.held_s = 0.0
        """How long it was held, in seconds, once it was given back."""
        self._thread = threading.Thread(target=self._hold, daemon=True)

    async def __aenter__(self) -> WriteLock:
        self._thread.start()
        await asyncio.to_thread(self._tried.wait)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._asked.set()
        await asyncio.shield(asyncio.to_thread(self._thread.join))

    async def free(self) -> None:
        """Give it back now; it is free when this returns."""
        self._asked.set()
        await asyncio.to_thread(self._given_back.wait)

    @property
    def is_held(self) -> bool:
        """Whether it is held at this moment."""
        return self._tried.is_set() and not self.problem and not self._given_back.is_set()

    def _hold(self) -> None:
        try:
            uri = f"file:{quote(str(self._path))}?mode=rw"
            with contextlib.closing(
                sqlite3.connect(uri, uri=True, timeout=OPEN_WITHIN_S, isolation_level=None)
            ) as connection:
                connection.execute("BEGIN IMMEDIATE")
                began = time.monotonic()
                try:
                    self._tried.set()
                    self._asked.wait(self._most_s)
                finally:
                    connection.execute("ROLLBACK")
                    self.held_s = time.monotonic() - began
        except sqlite3.Error as problem:
            self.problem = one_line(problem)
        finally:
            self._tried.set()
            self._given_back.set()
