"""The journal's database: its tables, its migrations, how it is opened, and what an entry's hash covers."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from sqlalchemy import Column, Connection, Engine, Integer, MetaData, Table, Text, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import StaticPool

from checks.journal_files import wal_path
from checks.model import GonogoError, IntegrityError, ReviewError, digest
from checks.text import one_line

APPLICATION_ID = 0x676F6E6F
"""`gono` in the header of the database file tells it from any other SQLite database."""
BUSY_TIMEOUT_MS = 2000

_metadata = MetaData()
meta = Table("meta", _metadata, Column("key", Text, primary_key=True), Column("value", Text))
entries = Table(
    "entries",
    _metadata,
    Column("seq", Integer, primary_key=True),
    *(
        Column(name, Text, nullable=False)
        for name in ("at", "kind", "subject", "actor", "body", "prev", "hash")
    ),
)
evidence = Table("evidence", _metadata, Column("id", Text, primary_key=True), Column("document", Text))


def _append_only(table: str, key: str, value: str) -> tuple[str, ...]:
    refuse = "BEGIN SELECT RAISE(ABORT, 'the journal is append-only'); END"
    # REPLACE deletes without asking the DELETE trigger, so an INSERT over a row is refused by one of its own.
    taken = f"EXISTS (SELECT 1 FROM {table} WHERE {key} = NEW.{key} AND {value} IS NOT NEW.{value})"  # noqa: S608
    return (
        f"CREATE TRIGGER {table}_keep BEFORE DELETE ON {table} {refuse}",
        f"CREATE TRIGGER {table}_fixed BEFORE UPDATE ON {table} {refuse}",
        f"CREATE TRIGGER {table}_first BEFORE INSERT ON {table} WHEN {taken} {refuse}",
    )


MIGRATIONS: tuple[tuple[int, tuple[str, ...]], ...] = (
    (
        1,
        (
            "CREATE TABLE meta (key TEXT PRIMARY KEY NOT NULL, value TEXT NOT NULL)",
            """CREATE TABLE entries (
                seq INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, kind TEXT NOT NULL,
                subject TEXT NOT NULL, actor TEXT NOT NULL, body TEXT NOT NULL, prev TEXT NOT NULL,
                hash TEXT NOT NULL UNIQUE)""",
            "CREATE INDEX entries_latest ON entries (kind, subject, seq)",
            "CREATE TABLE evidence (id TEXT PRIMARY KEY NOT NULL, document TEXT NOT NULL)",
            *_append_only("meta", "key", "value"),
            *_append_only("entries", "seq", "hash"),
            *_append_only("evidence", "id", "document"),
        ),
    ),
)
"""Each schema version and the statements that lead to it from the one before; never edited, only added to."""
SCHEMA_VERSION = MIGRATIONS[-1][0]


def entry_hash(
    review: str, seq: int, at: str, kind: str, subject: str, actor: str, body: str, prev: str
) -> str:
    """SHA-256 over everything that an entry says, the entry before it and the review that it belongs to."""
    return digest(
        {
            "review": review,
            "seq": seq,
            "at": at,
            "kind": kind,
            "subject": subject,
            "actor": actor,
            "body": body,
            "prev": prev,
        }
    )


def engine_for(path: Path, *, read_only: bool, text: Callable[[bytes], str] | None = None) -> Engine:
    """An engine over one connection; `text` decodes what may not be UTF-8. Nothing is opened yet."""
    engine = create_engine(
        "sqlite://", creator=partial(_connect, path, read_only, text), poolclass=StaticPool
    )
    event.listen(engine, "begin", _begin)
    return engine


def _begin(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))


def _connect(path: Path, read_only: bool, text: Callable[[bytes], str] | None) -> sqlite3.Connection:
    address = path.absolute().as_uri()
    if not read_only:
        return _dial(f"{address}?mode=rw", "PRAGMA journal_mode = WAL", "PRAGMA synchronous = FULL")
    try:
        connection = _dial(f"{address}?mode=ro", "PRAGMA schema_version")
    except sqlite3.OperationalError:
        wal = wal_path(path)
        if not path.is_file() or (wal.exists() and wal.stat().st_size):
            raise
        # In a folder where SQLite may create no shared memory, a file without a log cannot change either.
        connection = _dial(f"{address}?immutable=1", "PRAGMA schema_version")
    if text is not None:
        connection.text_factory = text
    return connection


def _dial(uri: str, *pragmas: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        uri, uri=True, isolation_level=None, check_same_thread=False, timeout=BUSY_TIMEOUT_MS / 1000
    )
    try:
        for pragma in ("PRAGMA trusted_schema = OFF", *pragmas):
            connection.execute(pragma).fetchall()
    except sqlite3.Error:
        connection.close()
        raise
    return connection


@contextmanager
def one_sentence(path: Path, done: str) -> Iterator[None]:
    """Turn what SQLite or the file system raises into one sentence: `path` could not be `done`, and why."""
    try:
        yield
    except DBAPIError as error:
        raise _trouble(path, done, error.orig) from error
    except OSError as error:
        raise ReviewError(f"{path} could not be {done}: {error.strerror or error}.") from error


_CURES = {
    sqlite3.SQLITE_BUSY: "another program has locked it; close that program and try again",
    sqlite3.SQLITE_LOCKED: "another program has locked it; close that program and try again",
    sqlite3.SQLITE_FULL: "the disk is full; free some space and try again",
    sqlite3.SQLITE_IOERR: "the disk refused (full, over quota, or failing); free some space and try again",
    sqlite3.SQLITE_READONLY: "this account may not write to it",
    sqlite3.SQLITE_CANTOPEN: "this account may not open it, or its folder cannot be written",
    sqlite3.SQLITE_PERM: "this account may not open it",
    sqlite3.SQLITE_NOMEM: "the memory is used up",
    sqlite3.SQLITE_CONSTRAINT: "another program has written to it at the same time; try again",
}


def _trouble(path: Path, done: str, error: BaseException | None) -> GonogoError:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF
    if code == sqlite3.SQLITE_NOTADB:
        return IntegrityError(f"{path} is not a journal: {one_line(error)}; run `gonogo verify`.")
    if cure := _CURES.get(code):
        return ReviewError(f"{path} could not be {done}: {cure}.")
    return IntegrityError(f"{path} is damaged: {one_line(error)}; run `gonogo verify`.")


def schema_version(connection: Connection, path: Path) -> int:
    """The schema of an open database, 0 for an empty one. Raises ReviewError for a foreign or newer one."""
    application = int(connection.exec_driver_sql("PRAGMA application_id").scalar_one())
    version = int(connection.exec_driver_sql("PRAGMA user_version").scalar_one())
    tables = int(connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar_one())
    if application != APPLICATION_ID and (application or version or tables):
        raise ReviewError(f"{path} is a database, but not a journal of gonogo; name another file.")
    if version > SCHEMA_VERSION:
        raise ReviewError(
            f"{path} was written by a newer gonogo (schema {version}, this one knows {SCHEMA_VERSION}); "
            "update gonogo."
        )
    return version


def migrate(connection: Connection, version: int) -> None:
    """Bring the schema from `version` up to date, inside the caller's transaction."""
    for number, statements in MIGRATIONS:
        if number > version:
            for statement in statements:
                connection.exec_driver_sql(statement)
            connection.exec_driver_sql(f"PRAGMA user_version = {number}")
    connection.exec_driver_sql(f"PRAGMA application_id = {APPLICATION_ID}")


def schema_objects(connection: Connection) -> dict[tuple[str, str], tuple[str, str | None]]:
    """Each table, index and trigger (kind, name) with the table that it is on and its statement."""
    rows = connection.exec_driver_sql("SELECT type, name, tbl_name, sql FROM sqlite_master")
    return {(kind, name): (table, sql) for kind, name, table, sql in rows}


def expected_objects() -> dict[tuple[str, str], tuple[str, str | None]]:
    """What `schema_objects` finds in a journal that nobody tampered with."""
    engine = create_engine("sqlite://", poolclass=StaticPool)
    try:
        with engine.begin() as connection:
            migrate(connection, 0)
            return schema_objects(connection)
    finally:
        engine.dispose()
