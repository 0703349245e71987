"""The append-only record of a review: hash-chained entries and content-addressed evidence in SQLite.

An entry is on the disk before `append` returns. One process writes; any number read meanwhile.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, Row, func, select
from sqlalchemy.dialects.sqlite import insert

from checks import journal_schema as schema
from checks.journal_files import (
    NO_HASH,
    HeadRecord,
    WriteLock,
    create_private,
    holder_of,
    read_head,
    seal_of,
    wal_path,
    write_head,
)
from checks.journal_schema import one_sentence
from checks.journal_verify import tail_problem, verify_file
from checks.model import (
    Entry,
    Evidence,
    IntegrityError,
    Kind,
    ReviewError,
    canonical,
    digest,
    parse_stamp,
    stamp,
    utc_now,
)
from checks.text import NOTHING, Clean, one_line

BORN_WITHIN_S = 2.0
"""How long a reader waits for the tables of a journal that its writer is just making."""
UNJUDGED = '"verdict":"INCONCLUSIVE"'
"""How the canonical JSON of a result says so; within a string of it the quotation marks would be escaped."""
_BATCH = 500


class Head(NamedTuple):
    """The end of the chain."""

    seq: int
    """0 for an empty journal."""
    hash: str


class Journal:
    """One open journal. Use `open`, and `close` when done; any thread may call any method."""

    def __init__(
        self,
        path: Path,
        review: str,
        actor: str,
        engine: Engine,
        lock: WriteLock | None,
        clock: Callable[[], datetime],
    ) -> None:
        self.path = path
        self.review = review
        self._actor = actor
        self._engine = engine
        self._write_lock = lock
        self._clock = clock
        self._guard = threading.RLock()
        self._record = HeadRecord(0, NO_HASH)
        self._is_sealed = True
        self._data_version = 0

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        review: str,
        actor: str,
        read_only: bool = False,
        clock: Callable[[], datetime] = utc_now,
    ) -> Journal:
        """Open the journal of `review` at `path`; made where there is none, read-only where another process writes.

        Raises ReviewError when it cannot be opened or belongs to another review, IntegrityError when its end is not
        what was written.
        """
        with one_sentence(path, "opened"):
            if read_only and not path.is_file():
                raise ReviewError(f"There is no journal at {path}; begin a review with `gonogo run`.")
            lock = None if read_only else WriteLock.take(path, actor, clock())
            try:
                if lock:
                    create_private(path)
                engine = schema.engine_for(path, read_only=lock is None)
                journal = cls(path, review, actor, engine, lock, clock)
                try:
                    journal._begin()
                except BaseException:
                    engine.dispose()
                    raise
            except BaseException:
                if lock:
                    lock.release()
                raise
        return journal

    @property
    def read_only(self) -> bool:
        """Whether this process may only read."""
        return self._write_lock is None

    @property
    def holder(self) -> Clean:
        """Who else has it open for writing; empty where nobody has."""
        return holder_of(self.path) if self.read_only else NOTHING

    def append(
        self, kind: Kind, subject: str, body: Mapping[str, Any], evidence: Sequence[Evidence] = ()
    ) -> Entry:
        """Write one entry and its evidence; both are on the disk when this returns, or neither is.

        Raises ReviewError when it cannot be written, IntegrityError when somebody else wrote in between.
        """
        with self._guard, one_sentence(self.path, "written"):
            if self.read_only:
                raise ReviewError(f"{self.path} was opened read-only; nothing can be recorded in it.")
            self._unseal()
            with self._begun(write=True) as connection:
                last = _last(connection)
                if last.seq != self._record.seq or last.hash != self._record.hash:
                    raise IntegrityError(
                        f"{self.path} was changed by another program while it was open; run `gonogo verify`."
                    )
                for seen in evidence:
                    _keep(connection, seen)
                entry = self._entry_after(last, kind, subject, body)
                connection.execute(
                    schema.entries.insert().values(
                        seq=entry.seq,
                        at=stamp(entry.at),
                        kind=entry.kind.value,
                        subject=entry.subject,
                        actor=entry.actor,
                        body=canonical(entry.body).decode(),
                        prev=entry.prev,
                        hash=entry.hash,
                    )
                )
            self._record = replace(self._record, seq=entry.seq, hash=entry.hash)
            write_head(self.path, self._record)
            return entry

    def head(self) -> Head:
        """The end of the chain at this moment."""
        with self._reading() as connection:
            return _last(connection)

    def latest(self, upto: int | None = None) -> list[Entry]:
        """The last entry of each kind and subject, in order; with `upto`, as it was when that entry was the last.

        Where the last result of a check is INCONCLUSIVE, the last one that is not comes with it.
        """
        columns = schema.entries.c
        newest = select(func.max(columns.seq)).group_by(columns.kind, columns.subject)
        if upto is not None:
            newest = newest.where(columns.seq <= upto)
        query = select(schema.entries).where(columns.seq.in_(newest)).order_by(columns.seq)
        with self._reading() as connection:
            rows = list(connection.execute(query))
            for row in [row for row in rows if row.kind == Kind.RESULT and UNJUDGED in row.body]:
                judged = (
                    select(schema.entries)
                    .where(columns.kind == row.kind, columns.subject == row.subject, columns.seq < row.seq)
                    .where(columns.body.not_like(f"%{UNJUDGED}%"))
                    .order_by(columns.seq.desc())
                    .limit(1)
                )
                rows += connection.execute(judged)
        return [self._read(row) for row in sorted(rows, key=lambda row: row.seq)]

    def entries(self, *, kinds: Collection[Kind] = (), after: int = 0) -> list[Entry]:
        """Every entry behind number `after`, in order; with `kinds`, those alone."""
        columns = schema.entries.c
        query = select(schema.entries).where(columns.seq > after).order_by(columns.seq)
        if kinds:
            query = query.where(columns.kind.in_([kind.value for kind in kinds]))
        with self._reading() as connection:
            return [self._read(row) for row in connection.execute(query)]

    def evidence(self, ids: Iterable[str]) -> dict[str, Evidence]:
        """The evidence with these ids; what is not there is left out. Raises IntegrityError for altered evidence."""
        wanted = list(dict.fromkeys(ids))
        found: dict[str, Evidence] = {}
        table = schema.evidence
        with self._reading() as connection:
            for first in range(0, len(wanted), _BATCH):
                some = wanted[first : first + _BATCH]
                for identity, document in connection.execute(select(table).where(table.c.id.in_(some))):
                    found[identity] = self._evidence(identity, document)
        return {identity: found[identity] for identity in wanted if identity in found}

    def changed(self) -> bool:
        """Whether another process has written since the last call."""
        with self._reading() as connection:
            version = int(connection.exec_driver_sql("PRAGMA data_version").scalar_one())
        before, self._data_version = self._data_version, version
        return version != before

    def verify(self) -> list[Clean]:
        """What was altered, one sentence each; nothing when all is as it was written."""
        with self._guard:
            self._engine.dispose()  # opened again by the next question
            return verify_file(self.path)

    def close(self) -> None:
        """Seal the file and give the write lock back; a second call does nothing."""
        with self._guard, one_sentence(self.path, "closed"):
            lock, self._write_lock = self._write_lock, None
            try:
                if lock and not self._is_sealed:
                    self._seal()
                self._engine.dispose()
            finally:
                if lock:
                    lock.release()

    def _begin(self) -> None:
        """Make or check the tables, and see that the end is what was written."""
        if self.read_only:
            self._wait_for_tables()
        # Before the database: an entry appended meanwhile is then beyond this head, never missing from it.
        record = self._recorded_head()
        with self._begun(write=not self.read_only) as connection:
            version = schema.schema_version(connection, self.path)
            if not self.read_only and version < schema.SCHEMA_VERSION:
                schema.migrate(connection, version)
            if not version:
                connection.execute(schema.meta.insert().values(key="review", value=self.review))
            found = connection.execute(select(schema.meta.c.value).where(schema.meta.c.key == "review"))
            owner = found.scalar()
            if owner != self.review:
                raise ReviewError(
                    f"{self.path} is the journal of review {one_line(owner, 60)}, not of {self.review}."
                )
            self._accept_end(connection, record)
        self._data_version = 0
        self.changed()

    def _recorded_head(self) -> HeadRecord | None:
        try:
            return read_head(self.path)
        except ValueError as problem:
            raise IntegrityError(f"{self.path}: {problem}; run `gonogo verify`.") from problem

    def _accept_end(self, connection: Connection, record: HeadRecord | None) -> None:
        if told := tail_problem(connection, self.review, record):
            raise IntegrityError(f"{self.path}: {told}; run `gonogo verify`.")
        last = _last(connection)
        restarted_at = record.restarted_at if record else last.seq
        self._record = HeadRecord(last.seq, last.hash, None, restarted_at)

    def _wait_for_tables(self) -> None:
        deadline = time.monotonic() + BORN_WITHIN_S
        while True:
            if self.path.is_file():
                with self._begun(write=False) as connection:
                    if schema.schema_version(connection, self.path):
                        return
            if time.monotonic() > deadline:
                raise ReviewError(f"{self.path} is empty: whoever began it did not write anything.")
            time.sleep(0.05)

    def _unseal(self) -> None:
        if self._is_sealed:
            write_head(self.path, self._record, durable=True)
            self._is_sealed = False

    def _seal(self) -> None:
        """Say in the head file how the database file looks now, if all of it is in that one file."""
        with self._engine.connect() as connection, suppress(sqlite3.Error):
            # On a full disk the entries stay in the log beside the file: nothing is lost, and nothing is sealed.
            connection.connection.driver_connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # type: ignore[union-attr]
        self._engine.dispose()
        wal = wal_path(self.path)
        if not wal.exists() or not wal.stat().st_size:
            self._is_sealed = True
            write_head(self.path, replace(self._record, seal=seal_of(self.path)), durable=True)

    @contextmanager
    def _begun(self, *, write: bool) -> Iterator[Connection]:
        options = {"begin": "BEGIN IMMEDIATE"} if write else {}
        with self._engine.execution_options(**options).begin() as connection:
            yield connection

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        with self._guard, one_sentence(self.path, "read"), self._begun(write=False) as connection:
            yield connection

    def _entry_after(self, last: Head, kind: Kind, subject: str, body: Mapping[str, Any]) -> Entry:
        # What is kept is what reads back: tuples become lists, and what JSON cannot hold is refused now.
        kept = json.loads(canonical(dict(body)))
        seq, at = last.seq + 1, self._clock()
        hashed = schema.entry_hash(
            self.review,
            seq,
            stamp(at),
            kind.value,
            subject,
            self._actor,
            canonical(kept).decode(),
            last.hash,
        )
        return Entry(seq, at, kind, subject, self._actor, kept, last.hash, hashed)

    def _read(self, row: Row[tuple[Any, ...]]) -> Entry:
        """The entry of one row. Raises IntegrityError where it is not what was written."""
        told = (row.at, row.kind, row.subject, row.actor, row.body, row.prev)
        try:
            if schema.entry_hash(self.review, row.seq, *told) != row.hash:
                raise ValueError("its content does not match its hash")
            return Entry(
                seq=row.seq,
                at=parse_stamp(row.at),
                kind=Kind(row.kind),
                subject=row.subject,
                actor=row.actor,
                body=json.loads(row.body),
                prev=row.prev,
                hash=row.hash,
            )
        except (ValueError, TypeError, RecursionError) as problem:
            raise IntegrityError(
                f"{self.path}: entry {row.seq}: {one_line(problem)}; run `gonogo verify`."
            ) from problem

    def _evidence(self, identity: str, document: str) -> Evidence:
        try:
            found = json.loads(document)
            if digest(found) != identity:
                raise ValueError("its content does not match its id")
            return Evidence.from_document(found)
        except (ValueError, TypeError, KeyError, RecursionError) as problem:
            raise IntegrityError(
                f"{self.path}: evidence {one_line(identity, 13)}: {one_line(problem)}; run `gonogo verify`."
            ) from problem


def _last(connection: Connection) -> Head:
    columns = schema.entries.c
    row = connection.execute(select(columns.seq, columns.hash).order_by(columns.seq.desc()).limit(1)).first()
    return Head(row.seq, row.hash) if row else Head(0, NO_HASH)


def _keep(connection: Connection, seen: Evidence) -> None:
    document = seen.document()
    values = {"id": digest(document), "document": canonical(document).decode()}
    connection.execute(insert(schema.evidence).values(**values).on_conflict_do_nothing())
