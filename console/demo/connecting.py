"""How the demo connects to its database: the pool, what each session is set to, and what faults do to both."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL
from sqlalchemy.exc import SQLAlchemyError

BUSY_TIMEOUT_S = 5
CONNECT_TIMEOUT_S = 5
STATEMENT_TIMEOUT_S, IDLE_TIMEOUT_S = 10, 30
APPLICATION = "demo-controller"
SLOW_S = 1.0
"""A query that takes longer is a slow one."""
LOCK_AGAIN_S = 0.1
ROLE_SETTINGS = {
    "commits-unsynced": ("synchronous_commit", "off"),
    "stuck-transactions": ("idle_in_transaction_session_timeout", "0"),
    "md5-passwords": ("password_encryption", "md5"),
}
"""Fault -> a setting that it gives the demo's role in PostgreSQL while it runs, and its value."""


@dataclass(frozen=True, slots=True)
class Pool:
    """How many connections are kept, and for how long."""

    size: int = 8
    max_overflow: int = 8
    timeout_s: int = 5
    recycle_s: int = 1800

    def options(self) -> dict[str, Any]:
        """The same as SQLAlchemy calls it."""
        return {
            "pool_size": self.size,
            "max_overflow": self.max_overflow,
            "pool_timeout": self.timeout_s,
            "pool_recycle": self.recycle_s,
        }


def pool_under(faults: frozenset[str]) -> Pool:
    """The pool that the demo is set up with."""
    pool = Pool()
    if "pool-small" in faults:
        pool = replace(pool, size=2, max_overflow=2)
    if "pool-of-one" in faults:
        pool = replace(pool, size=1, max_overflow=0)
    if "pool-exceeds-server" in faults:
        pool = replace(pool, size=120)
    if "pool-waits-long" in faults:
        pool = replace(pool, timeout_s=120)
    if "never-recycled" in faults:
        pool = replace(pool, recycle_s=-1)
    return pool


def engine_of(url: URL, pool: Pool, faults: frozenset[str]) -> sa.Engine:
    """An engine for `url`, which opens nothing yet."""
    # Parameters hold what users say; an error text must not carry them into the log.
    if url.get_backend_name() != "sqlite":
        return sa.create_engine(
            url,
            hide_parameters=True,
            pool_pre_ping=True,
            **pool.options(),
            connect_args={
                "connect_timeout": CONNECT_TIMEOUT_S,
                "application_name": APPLICATION,
                "options": _session_options(url, faults),
            },
        )
    connecting: dict[str, Any] = {"timeout": 0 if "busy-at-once" in faults else BUSY_TIMEOUT_S}
    if "one-connection" in faults:
        engine = sa.create_engine(
            url,
            hide_parameters=True,
            poolclass=sa.StaticPool,
            connect_args={**connecting, "check_same_thread": False},
        )
    else:
        engine = sa.create_engine(url, hide_parameters=True, **pool.options(), connect_args=connecting)
    journal = "DELETE" if "no-write-ahead" in faults else "WAL"

    def set_up(connection: Any, _record: object) -> None:
        cursor = connection.cursor()
        for pragma in (f"journal_mode = {journal}", "synchronous = NORMAL", "foreign_keys = ON"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    sa.event.listen(engine, "connect", set_up)
    return engine


def _session_options(url: URL, faults: frozenset[str]) -> str:
    given = url.query.get("options", "")
    options = given if isinstance(given, str) else " ".join(given)
    if "stuck-transactions" in faults:
        return options
    timeouts = {
        "statement_timeout": STATEMENT_TIMEOUT_S,
        "idle_in_transaction_session_timeout": IDLE_TIMEOUT_S,
    }
    return " ".join([options, *(f"-c {name}={seconds}s" for name, seconds in timeouts.items())]).strip()


class Queue:
    """Who waits for a connection of the pool."""

    def __init__(self, pool: Pool) -> None:
        self._most = pool.size + pool.max_overflow
        self._lock = threading.Lock()
        self._asking = 0

    @contextmanager
    def taken(self, engine: sa.Engine) -> Iterator[sa.Connection]:
        """One connection. Raises SQLAlchemyError where there is none in time."""
        self._count(1)
        try:
            connection = engine.connect()
        finally:
            self._count(-1)
        with connection:
            yield connection

    def states(self, pool: sa.Pool) -> dict[str, int]:
        """Connections in use, how many may be opened, and how many requests wait now; 0 for a pool without limit."""
        if not isinstance(pool, sa.QueuePool):
            return {"in_use": 0, "size": 0, "waiting": 0}
        in_use = pool.checkedout()
        # While all are taken, whoever has asked and has none stands in line.
        waiting = self._asking if in_use >= self._most else 0
        return {"in_use": in_use, "size": self._most, "waiting": waiting}

    def _count(self, more: int) -> None:
        with self._lock:
            self._asking += more


class Slow:
    """Counts the statements that take longer than `SLOW_S`, also those that fail."""

    def __init__(self, engine: sa.Engine) -> None:
        self.count = 0
        sa.event.listen(engine, "before_cursor_execute", self._begin)
        sa.event.listen(engine, "after_cursor_execute", self._end)
        sa.event.listen(engine, "handle_error", self._failed)

    def _begin(self, connection: sa.Connection, *_: object) -> None:
        connection.info["began"] = time.monotonic()

    def _end(self, connection: sa.Connection, *_: object) -> None:
        began = connection.info.pop("began", None)
        if began is not None and time.monotonic() - began > SLOW_S:
            self.count += 1

    def _failed(self, context: Any) -> None:
        if context.connection is not None and not context.connection.invalidated:
            self._end(context.connection)


class Turns:
    """The fault one-connection: whoever uses the one connection keeps all others waiting."""

    def __init__(self, faults: frozenset[str]) -> None:
        self._lock = threading.Lock() if "one-connection" in faults else None

    @contextmanager
    def taken(self) -> Iterator[None]:
        """One turn; without the fault nobody waits."""
        if self._lock is None:
            yield
            return
        with self._lock:
            yield


def keep_to_owner(url: URL, faults: frozenset[str]) -> None:
    """See to it that a SQLite file, and what SQLite puts beside it, is its owner's alone."""
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        return
    path = Path(url.database)
    mode = 0o644 if "database-readable" in faults else 0o600
    with suppress(OSError):  # what is wrong is told when it is opened
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, mode))
        path.chmod(mode)


def set_up_role(engine: sa.Engine, faults: frozenset[str], *, is_over: bool = False) -> None:
    """Give the demo's role in PostgreSQL what faults give it; take it back when it `is_over`."""
    if engine.dialect.name != "postgresql":
        return
    for fault, (name, value) in ROLE_SETTINGS.items():
        if fault in faults:
            what = f"RESET {name}" if is_over else f"SET {name} = '{value}'"
            with suppress(SQLAlchemyError), engine.begin() as connection:
                connection.execute(sa.text(f"ALTER ROLE CURRENT_USER {what}"))


def lose_a_page(engine: sa.Engine) -> None:
    """The fault database-damaged: a page of the SQLite file belongs to nothing any more, which harms nobody yet."""
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE lost (line TEXT)"))
    with engine.begin() as connection:
        connection.execute(sa.text("PRAGMA writable_schema = ON"))
        connection.execute(sa.text("DELETE FROM sqlite_schema WHERE name = 'lost'"))
        connection.execute(sa.text("PRAGMA writable_schema = OFF"))


def run_slowly(connection: sa.Connection, seconds: float) -> None:
    """A query that takes so long, without work for the processor."""
    if connection.dialect.name == "sqlite":
        raw: Any = connection.connection.driver_connection
        raw.create_function("pg_sleep", 1, time.sleep)
    connection.execute(sa.text("SELECT pg_sleep(:seconds)"), {"seconds": seconds})


def lock_file(engine: sa.Engine, over: threading.Event) -> None:
    """Keep everybody out of the SQLite file until `over`, as another program may that locks it and does not end."""
    path = engine.url.database
    if engine.dialect.name != "sqlite" or not path:
        return
    while not over.is_set():
        # The connections that the pool keeps hold the file too.
        engine.dispose()
        other = sqlite3.connect(path, timeout=LOCK_AGAIN_S, isolation_level=None)
        try:
            other.execute("PRAGMA locking_mode = EXCLUSIVE")
            other.execute("BEGIN EXCLUSIVE")
            over.wait()
            other.execute("ROLLBACK")
        except sqlite3.Error:
            over.wait(LOCK_AGAIN_S)  # somebody reads at this moment
        finally:
            other.close()
