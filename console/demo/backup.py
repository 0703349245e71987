"""The demo's backup of its database: one copy, made at each start, for its owner alone."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa

FOLDER = "backups"
KEPT = 3
OLD_S = 3 * 24 * 3600
"""The fault backup-old: the age of the newest one."""


def back_up(engine: sa.Engine, tables: tuple[str, ...], data: Path, faults: frozenset[str]) -> None:
    """Write a copy of the database into `FOLDER` below `data`: a SQLite file, or PostgreSQL's COPY format.

    Raises OSError, sqlite3.Error or SQLAlchemyError where it cannot be made.
    """
    folder = data / FOLDER
    folder.mkdir(mode=0o700, exist_ok=True)
    is_sqlite = engine.dialect.name == "sqlite"
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%S")
    path = folder / f"chat-{stamp}.{'db' if is_sqlite else 'copy'}"
    part = path.with_suffix(".part")
    part.unlink(missing_ok=True)
    if is_sqlite:
        copy_file(engine, part)
    else:
        _copy_tables(engine, tables, part)
    if "backup-empty" in faults:
        os.truncate(part, 0)
    part.replace(path)
    kept = sorted(folder.glob("chat-*"), reverse=True)
    for older in kept[KEPT:]:
        older.unlink()
    if "backup-old" in faults:
        for one in kept[:KEPT]:
            os.utime(one, (time.time() - OLD_S,) * 2)


def copy_file(engine: sa.Engine, path: Path, journal: str = "DELETE") -> None:
    """Copy the SQLite database behind `engine` to `path`, for its owner alone, while it is in use."""
    path.touch(0o600)
    connection = engine.raw_connection()
    try:
        source = connection.driver_connection
        assert isinstance(source, sqlite3.Connection)
        with closing(sqlite3.connect(path)) as target:
            source.backup(target)
            target.execute(f"PRAGMA journal_mode = {journal}")
    finally:
        connection.close()


def _copy_tables(engine: sa.Engine, tables: tuple[str, ...], path: Path) -> None:
    path.touch(0o600)
    connection = engine.raw_connection()
    try:
        cursor: Any = connection.cursor()
        with path.open("wb") as file:
            for table in tables:
                file.write(f"COPY {table} FROM stdin;\n".encode())
                with cursor.copy(f"COPY {table} TO STDOUT") as copy:
                    for block in copy:
                        file.write(block)
                file.write(b"\\.\n")
    finally:
        connection.close()
