"""Which SQLite file is the target's: those that it has open, else those below its working folder; read-only."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

from checks.probe.host import SQLITE_SUFFIXES, is_sqlite
from checks.target import Contract
from checks.text import Clean, clean, one_line

MAX_DEPTH = 3
MAX_CANDIDATES = 200
MAX_FOLDERS = 2000
_SKIPPED = frozenset({"node_modules", "__pycache__", "site-packages", "venv", "proc", "sys"})
_VERSION_OFFSETS = slice(18, 20)
"""File format write and read version: 2 is WAL. https://www.sqlite.org/fileformat.html, section 1.3."""


@dataclass(frozen=True, slots=True)
class Peek:
    """What one SQLite file holds."""

    path: Path
    tables: tuple[Clean, ...]
    lacking: tuple[str, ...]
    """Columns of the contract that its messages table does not have."""
    problem: Clean
    """Why it could not be read; empty where it could."""

    @property
    def is_chat(self) -> bool:
        """Whether it has the contract's messages table with every column."""
        return not self.problem and not self.lacking


def peek(path: Path, contract: Contract) -> Peek:
    """Look at the tables of `path` without writing, not even the helper files of a write-ahead log."""
    mode = "immutable=1" if _is_closed_wal(path) else "mode=ro"
    try:
        address = f"file:{quote(str(path))}?{mode}"
        with closing(sqlite3.connect(address, uri=True, timeout=1.0)) as connection:
            query = "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name LIMIT 50"
            tables = tuple(one_line(name, 60) for (name,) in connection.execute(query))
            query = "SELECT name FROM pragma_table_info(?)"
            columns = {name for (name,) in connection.execute(query, (contract.table,))}
    except sqlite3.Error as problem:
        return Peek(path, (), (), one_line(f"{path} could not be read ({problem})"))
    return Peek(path, tables, tuple(sorted(set(contract.columns.values()) - columns)), Clean(""))


def chat_database(
    opened: Iterable[Path], folder: Path | None, contract: Contract
) -> tuple[Peek | None, list[Peek]]:
    """The database that holds the contract's messages, and everything that was looked at.

    Open files come first, then files below `folder`, the most recently changed first.
    """
    looked: list[Peek] = []
    below = sorted(_below(folder), key=_changed_at, reverse=True) if folder else []
    for path in dict.fromkeys((*opened, *below)):
        looked.append(peek(path, contract))
        if looked[-1].is_chat:
            return looked[-1], looked
    return None, looked


def told(looked: Iterable[Peek], contract: Contract) -> Iterator[Clean]:
    """Why none of the files that were looked at is the target's database, one sentence each, three at most."""
    for one in list(looked)[:3]:
        if one.problem:
            yield Clean(f"{one.problem}; run as the account of the service or root")
        elif contract.table in one.tables:
            columns = ", ".join(one.lacking)
            yield clean(f"{one.path}: its table {contract.table} lacks {columns}; correct [database] columns")
        else:
            names = ", ".join(one.tables[:6]) or "none"
            yield clean(
                f"{one.path}: no table {contract.table} (its tables: {names}); correct [database] table"
            )


def _below(folder: Path) -> Iterator[Path]:
    """SQLite files at most `MAX_DEPTH` folders below `folder`; not from the root of the host."""
    if folder == Path(folder.anchor):
        return
    count = 0
    for seen, (name, folders, files) in enumerate(os.walk(folder)):
        here = Path(name)
        depth = len(here.relative_to(folder).parts)
        folders[:] = sorted(one for one in folders if one not in _SKIPPED) if depth < MAX_DEPTH else []
        for file in sorted(files):
            path = here / file
            if path.suffix in SQLITE_SUFFIXES and not path.is_symlink() and is_sqlite(path):
                yield path
                count += 1
        if count >= MAX_CANDIDATES or seen >= MAX_FOLDERS:
            return


def _is_closed_wal(path: Path) -> bool:
    """Whether the file is in WAL mode with nobody using it: opening it would then make helper files."""
    try:
        with path.open("rb") as file:
            versions = file.read(20)[_VERSION_OFFSETS]
    except OSError:
        return False
    return versions == b"\2\2" and not path.with_name(f"{path.name}-wal").exists()


def _changed_at(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0
