"""What was altered in a journal: the check of its end at every opening, and the check of all of it."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection, Row, select
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from checks import journal_schema as schema
from checks.journal_files import NO_HASH, HeadRecord, read_head, seal_of, wal_path
from checks.model import GonogoError, Kind
from checks.text import Clean, clean, one_line

MAX_PROBLEMS = 50
"""Sentences that one verification gives at most."""


class _Tail(NamedTuple):
    seq: int
    hash: str


def verify_file(path: Path) -> list[Clean]:
    """Say what was altered in the journal at `path`, one sentence each; nothing when it is intact.

    Needs no lock and may run while another process appends. Within a process that has the journal open,
    use `Journal.verify`.
    """
    if not path.is_file():
        return [clean(f"there is no journal at {path}")]
    problems: list[str] = []
    try:
        # Before the database: an entry appended meanwhile is then beyond this head, never missing from it.
        record, told = _head_of(path)
        if told:
            problems.append(told)
        if changed := _changed_since_closed(path):
            problems.append(changed)
        engine = schema.engine_for(path, read_only=True, text=_lenient)
        try:
            with engine.begin() as connection:
                found = _problems(connection, path, record, head_missing=record is None and not told)
                problems.extend(islice(found, MAX_PROBLEMS))
        finally:
            engine.dispose()
    except GonogoError as error:
        problems.append(str(error))
    except DBAPIError as error:
        if getattr(error.orig, "sqlite_errorcode", 0) == sqlite3.SQLITE_NOTADB:
            return [clean(f"{path} is not a database, or its header was altered")]
        problems.append(f"the database cannot be read to its end: {one_line(error.orig)}")
    except (SQLAlchemyError, OSError, ValueError, OverflowError, MemoryError) as error:
        problems.append(f"the journal cannot be read to its end: {one_line(error)}")
    return [clean(problem) for problem in problems]


def _lenient(raw: bytes) -> str:
    # An altered byte need not be UTF-8; the entry that holds it is named all the same.
    return raw.decode("utf-8", "surrogateescape")


def _head_of(path: Path) -> tuple[HeadRecord | None, str]:
    try:
        return read_head(path), ""
    except ValueError:
        return None, "the head file is not what was written"


def _changed_since_closed(path: Path) -> str:
    """A problem when the closed file differs from its seal; asked again when a writer came in between."""
    while True:
        record, _ = _head_of(path)
        if record is None or record.seal is None:
            return ""
        wal = wal_path(path)
        if wal.exists() and wal.stat().st_size:
            told = "a write-ahead log lies beside a database that was closed without one"
        elif seal_of(path) != record.seal:
            told = "the database file differs from what was written when it was closed"
        else:
            return ""
        if _head_of(path)[0] == record:
            return told


def tail_problem(connection: Connection, review: str, record: HeadRecord | None) -> str:
    """What is wrong with the last entry and the head file; empty when nothing is."""
    columns = schema.entries.c
    rows = connection.execute(select(schema.entries).order_by(columns.seq.desc()).limit(2)).all()
    if not rows:
        return _end_problem(connection, record, _Tail(0, NO_HASH))
    last = rows[0]
    if not _is_genuine(last, review):
        return f"{_name(last)}: its content does not match its hash"
    before = _Tail(rows[1].seq, rows[1].hash) if len(rows) > 1 else _Tail(0, NO_HASH)
    if before.seq != last.seq - 1:
        return _missing(before.seq + 1, last.seq - 1)
    if before.hash != last.prev:
        return f"{_name(last)}: it does not follow the entry before it"
    return _end_problem(connection, record, _Tail(last.seq, last.hash))


def _end_problem(connection: Connection, record: HeadRecord | None, last: _Tail) -> str:
    if record and record.seq > last.seq:
        return (
            f"entries dropped from the end: the head file says {record.seq}, the journal ends at {last.seq}"
        )
    # SQLite's own count of the highest number ever given stands where the head file is gone.
    counted = connection.exec_driver_sql("SELECT seq FROM sqlite_sequence WHERE name = 'entries'").scalar()
    if (counted or 0) != last.seq:
        return f"entries dropped from the end: the database has counted {counted}, the journal ends at {last.seq}"
    if record and record.seq:
        columns = schema.entries.c
        at_head = connection.execute(select(columns.hash).where(columns.seq == record.seq)).scalar()
        if at_head is not None and at_head != record.hash:
            return f"entry {record.seq}: the head file holds another hash for it"
    return ""


def _problems(
    connection: Connection, path: Path, record: HeadRecord | None, head_missing: bool
) -> Iterator[str]:
    if not schema.schema_version(connection, path):
        if record and record.seq:
            yield f"entries dropped from the end: the head file says {record.seq}, the journal is empty"
        return  # killed before its first entry
    for (line,) in connection.exec_driver_sql("PRAGMA integrity_check(5)").all():
        if line != "ok":
            yield f"the database is damaged: {one_line(line)}"
    yield from _schema_problems(connection)
    review = connection.execute(select(schema.meta.c.value).where(schema.meta.c.key == "review")).scalar()
    if review is None:
        yield "the review's id is missing"
    last = _Tail(0, NO_HASH)
    referred: dict[str, str] = {}
    rows = connection.execute(select(schema.entries).order_by(schema.entries.c.seq))
    for row in rows:
        yield from _entry_problems(row, last, review or "", referred)
        last = _Tail(row.seq, row.hash)
    if told := _end_problem(connection, record, last):
        yield told
    yield from _head_problems(record, last, head_missing)
    yield from _evidence_problems(connection, referred)


def _head_problems(record: HeadRecord | None, last: _Tail, head_missing: bool) -> Iterator[str]:
    if head_missing and last.seq:
        yield "the head file is missing, so that entries dropped from the end would not be noticed"
    if record and record.restarted_at:
        yield (
            f"the head file was missing after entry {record.restarted_at}, "
            "so that entries dropped from the end before the next one would not have been noticed"
        )


def _schema_problems(connection: Connection) -> Iterator[str]:
    found, expected = schema.schema_objects(connection), schema.expected_objects()
    for kind, name in sorted(found.keys() | expected.keys(), key=str):
        if (kind, name) not in found:
            yield f"the {kind} {name} is missing from the database"
        elif (kind, name) not in expected:
            yield f"the {kind} {one_line(name)} was added to the database"
        elif found[kind, name] != expected[kind, name]:
            yield f"the {kind} {name} of the database was changed"


def _entry_problems(
    row: Row[tuple[object, ...]], last: _Tail, review: str, referred: dict[str, str]
) -> Iterator[str]:
    if row.seq != last.seq + 1:
        yield _missing(last.seq + 1, row.seq - 1)
    elif row.prev != last.hash:
        yield f"{_name(row)}: it does not follow the entry before it"
    if not _is_genuine(row, review):
        yield f"{_name(row)}: its content does not match its hash"
    elif row.kind == Kind.RESULT:
        try:
            named = json.loads(row.body).get("evidence", [])
        except (ValueError, AttributeError, RecursionError):
            yield f"{_name(row)}: its content is not a result"
        else:
            for identity in named if isinstance(named, list) else []:
                referred.setdefault(str(identity), _name(row))


def _evidence_problems(connection: Connection, referred: dict[str, str]) -> Iterator[str]:
    for identity, document in connection.execute(select(schema.evidence)):
        known = referred.pop(str(identity), None)
        if not isinstance(document, str) or _sha256(document) != identity:
            whose = f" ({known})" if known else ""
            yield f"evidence {one_line(identity, 13)}{whose}: its content does not match its id"
    for identity, name in referred.items():
        yield f"{name}: its evidence {one_line(identity, 13)} is missing"


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _is_genuine(row: Row[tuple[object, ...]], review: str) -> bool:
    said = (row.at, row.kind, row.subject, row.actor, row.body, row.prev)
    try:
        return all(isinstance(text, str) for text in said) and row.hash == schema.entry_hash(
            review, row.seq, *said
        )
    except UnicodeEncodeError:
        return False


def _name(row: Row[tuple[object, ...]]) -> str:
    return f"entry {row.seq} ({one_line(row.kind, 40)} {one_line(row.subject, 60)})"


def _missing(first: int, last: int) -> str:
    if first >= last:
        return f"entry {first} is missing"
    return f"entries {first} to {last} are missing"
