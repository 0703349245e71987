"""The controller's database: messages and users, through SQLAlchemy Core. Every call blocks: call it in a thread."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, SQLAlchemyError

from console.demo.backup import back_up, copy_file
from console.demo.connecting import (
    Pool,
    Queue,
    Slow,
    Turns,
    engine_of,
    keep_to_owner,
    lock_file,
    lose_a_page,
    run_slowly,
    set_up_role,
)
from console.demo.errors import now_text
from console.demo.straining import COMMIT_S

URL_VARIABLE = "DEMO_DATABASE_URL"
URL_WANTED = "The database URL cannot be used; give sqlite:///FILE or postgresql://USER@HOST/NAME."
metadata = sa.MetaData()
# A BIGINT is no alias of SQLite's rowid, so AUTOINCREMENT needs INTEGER there.
_Key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")

messages = sa.Table(
    "messages",
    metadata,
    sa.Column("id", _Key, primary_key=True, autoincrement=True),
    sa.Column("bot_id", sa.Text, nullable=False),
    sa.Column("role", sa.Text, nullable=False),
    sa.Column("content", sa.Text, nullable=False),
    sa.Column("timestamp", sa.Text, nullable=False),
    sa.Column("created_at", sa.TIMESTAMP, server_default=sa.func.current_timestamp()),
    sa.CheckConstraint("role IN ('user', 'assistant')", name="ck_messages_role"),
    sa.Index("idx_messages_bot_id_id", "bot_id", "id"),
    sqlite_autoincrement=True,
)
users = sa.Table(
    "users",
    metadata,
    sa.Column("id", _Key, primary_key=True, autoincrement=True),
    sa.Column("username", sa.Text, nullable=False, unique=True),
    sa.Column("password_hash", sa.Text, nullable=False),
    sa.Column("created_at", sa.Text, nullable=False),
    sqlite_autoincrement=True,
)


class StorageError(Exception):
    """The database cannot be used; the text is one sentence without secrets."""


class TakenError(StorageError):
    """What was to be stored is there already."""


@dataclass(frozen=True, slots=True)
class User:
    """One user as stored."""

    id: int
    username: str
    password_hash: str


class Store:
    """One pool of connections to the database at `url`.

    Raises StorageError where it cannot be opened, and in each call where it does not answer.
    """

    def __init__(self, url: str, pool: Pool = Pool(), faults: frozenset[str] = frozenset()) -> None:  # noqa: B008
        self._faults = faults
        self._turns = Turns(faults)
        self._queue = Queue(pool)
        try:
            self._url = _driver(make_url(url))
            keep_to_owner(self._url, faults)
            self._engine = engine_of(self._url, pool, faults)
        except (ArgumentError, ImportError) as problem:
            raise StorageError(URL_WANTED) from problem
        self._slow = Slow(self._engine)
        try:
            self._set_up()
        except SQLAlchemyError as problem:
            self._engine.dispose()
            cause = str(getattr(problem, "orig", None) or type(problem).__name__).splitlines()[0]
            raise StorageError(f"The database cannot be opened: {cause.rstrip('.')}.") from problem

    @property
    def name(self) -> str:
        """Where it is: the file, or the URL without its password."""
        if self._url.get_backend_name() == "sqlite":
            return self._url.database or ""
        return without_password(self._url.set(drivername="postgresql"))

    @property
    def url(self) -> URL:
        """The URL with everything in it."""
        return self._url

    def _set_up(self) -> None:
        tables = _tables(self._faults)
        tables.create_all(self._engine)
        if "index-missing" in self._faults:
            for index in tables.tables[messages.name].indexes:
                index.drop(self._engine, checkfirst=True)
        set_up_role(self._engine, self._faults)

    def back_up(self, data: Path) -> None:
        """Write a backup below the folder `data`. Raises StorageError."""
        try:
            back_up(self._engine, tuple(metadata.tables), data, self._faults)
            if "database-damaged" in self._faults and self._url.get_backend_name() == "sqlite":
                lose_a_page(self._engine)
        except (OSError, sqlite3.Error, SQLAlchemyError) as problem:
            raise StorageError(f"The backup cannot be written: {type(problem).__name__}.") from problem

    def copy(self, path: Path) -> None:
        """The fault other-database: write the SQLite database to another file."""
        copy_file(self._engine, path, journal="WAL")

    def close(self) -> None:
        """Give all connections back."""
        set_up_role(self._engine, self._faults, is_over=True)
        self._engine.dispose()

    def ping(self) -> None:
        """Raises StorageError where the database does not answer."""
        with self._asked() as connection:
            connection.execute(sa.select(1))

    def connections(self) -> dict[str, int]:
        """Connections of the pool that are in use, how many it may open, and how many requests wait for one."""
        return self._queue.states(self._engine.pool)

    @property
    def slow_queries(self) -> int:
        """Queries that took longer than `SLOW_S`, since the start."""
        return self._slow.count

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """The faults of the pool: keep one connection until the end of the block."""
        with self._asked():
            yield

    def run_slowly(self, seconds: float) -> None:
        """The fault slow-query: one query that takes so long."""
        with self._asked() as connection:
            run_slowly(connection, seconds)

    def lock(self, over: threading.Event) -> None:
        """The fault database-locked: keep everybody out of the SQLite file until `over`."""
        lock_file(self._engine, over)

    def add_message(self, bot_id: str, role: str, content: str) -> None:
        """Store one message; it is committed when this returns."""
        values = {"bot_id": bot_id, "role": role, "content": content, "timestamp": now_text()}
        with self._asked() as connection, connection.begin():
            connection.execute(messages.insert().values(**values))
            if "pool-of-one" in self._faults:
                time.sleep(COMMIT_S)

    def history(self, bot_ids: Sequence[str], limit: int) -> list[dict[str, str]]:
        """The newest `limit` messages of those bots, oldest first."""
        columns = (messages.c.role, messages.c.content, messages.c.timestamp)
        query = (
            sa.select(*columns)
            .where(messages.c.bot_id.in_(bot_ids))
            .order_by(messages.c.id.desc())
            .limit(limit)
        )
        with self._asked() as connection:
            rows = connection.execute(query).all()
        return [
            {"role": row.role, "content": row.content, "timestamp": row.timestamp} for row in reversed(rows)
        ]

    def concatenated_history(self, bot_id: str, limit: int) -> list[dict[str, str]]:
        """The fault sql-injection: the same for one bot, whose id is put into the statement as it came."""
        escaped = bot_id.replace("\\", "\\\\").replace(":", "\\:")  # from SQLAlchemy alone, not from SQL
        query = sa.text(
            f"SELECT role, content, timestamp FROM messages WHERE bot_id = '{escaped}'"  # noqa: S608 - the fault
            f" ORDER BY id DESC LIMIT {limit}"
        )
        with self._asked() as connection:
            rows = connection.execution_options(postgresql_readonly=True).execute(query).all()
        return [
            {"role": row.role, "content": row.content, "timestamp": row.timestamp} for row in reversed(rows)
        ]

    def find_user(self, username: str) -> User | None:
        """The user of that name."""
        with self._asked() as connection:
            row = connection.execute(sa.select(users).where(users.c.username == username)).one_or_none()
        return User(row.id, row.username, row.password_hash) if row else None

    def add_user(self, username: str, password_hash: str) -> bool:
        """Add a user; False where the name is taken."""
        values = {"username": username, "password_hash": password_hash, "created_at": now_text()}
        try:
            with self._asked() as connection, connection.begin():
                connection.execute(users.insert().values(**values))
        except TakenError:
            return False
        return True

    def set_password(self, username: str, password_hash: str) -> None:
        """Give a user that exists another password."""
        query = users.update().where(users.c.username == username).values(password_hash=password_hash)
        with self._asked() as connection, connection.begin():
            connection.execute(query)

    @contextlib.contextmanager
    def _asked(self) -> Iterator[sa.Connection]:
        """A connection; tells every failure of the database as a StorageError."""
        try:
            with self._turns.taken(), self._queue.taken(self._engine) as connection:
                yield connection
        except IntegrityError as problem:
            raise TakenError("The database holds that already.") from problem
        except SQLAlchemyError as problem:
            raise StorageError("The database does not answer.") from problem


def _tables(faults: frozenset[str]) -> sa.MetaData:
    """The tables as they are made where they are not there yet."""
    if "nulls-accepted" not in faults:
        return metadata
    careless = sa.MetaData()
    for table in metadata.sorted_tables:
        copy = table.to_metadata(careless)
        if table is messages:
            copy.c.content.nullable = True
    return careless


def without_password(url: URL) -> str:
    """The URL as text, without the password and without parameters that hold one."""
    query = {name: value for name, value in url.query.items() if "pass" not in name.lower()}
    bare = URL.create(url.drivername, url.username, None, url.host, url.port, url.database, query)
    return bare.render_as_string(hide_password=False)


def _driver(url: URL) -> URL:
    """PostgreSQL is spoken through psycopg; others are not spoken."""
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise ArgumentError(url.get_backend_name())
    return url.set(drivername="postgresql+psycopg") if url.drivername == "postgresql" else url
