"""The SQL probe: reads the messages table of the target's database, never writes. SQLAlchemy Core, late."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from typing import Any
from urllib.parse import quote

import sqlalchemy as sa
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from checks.model import Evidence, Reason, utc_now
from checks.probe.http import TransportError
from checks.probe.redaction import Redactor
from checks.text import Clean, clean, one_line

MARK_CHARS = 240
"""Where the mark of a message is looked for."""
MAX_ROWS = 500
MAX_CELL_CHARS = 4000
TIMEOUT_S = 5


@dataclass(frozen=True, slots=True)
class Row:
    """One stored message, raw."""

    id: object
    bot_id: str
    role: str
    text: str
    time: object
    """As stored: a datetime, or text in whatever format the target writes."""


@dataclass(frozen=True, slots=True)
class Rows:
    """What a query answered."""

    rows: tuple[Row, ...]
    error: TransportError | None
    """NO_SOURCE where no database is known or it cannot be opened; PROTOCOL where the query failed."""
    evidence: Evidence


@dataclass(frozen=True, slots=True)
class Table:
    """What a free query answered."""

    rows: tuple[Mapping[str, Any], ...]
    """Column name -> value, raw."""
    error: TransportError | None
    """NO_SOURCE where no database is known or it cannot be opened or asked, TIMEOUT where it did not answer in time."""
    evidence: Evidence

    def value(self) -> Any:
        """The first column of the first row; None where there is no row."""
        return next(iter(self.rows[0].values()), None) if self.rows else None


class SqlProbe:
    """Reads one table of one database, read-only, at most `MAX_ROWS` rows, `TIMEOUT_S` seconds a query."""

    def __init__(
        self,
        url: str,
        table: str,
        columns: Mapping[str, str],
        redactor: Redactor,
        *,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._url = url
        self._redactor = redactor
        self._clock = clock
        self._engine: Engine | None = None
        schema, _, name = table.rpartition(".")
        self._columns: dict[str, sa.ColumnClause[Any]] = {
            ours: sa.column(theirs) for ours, theirs in columns.items()
        }
        self._table = sa.table(name, *self._columns.values(), schema=schema or None)

    async def messages(self, bot_id: str) -> Rows:
        """The rows of one bot in the order of their ids."""
        column = self._columns
        query = (
            sa.select(*(column[name].label(name) for name in ("id", "bot_id", "role", "text", "time")))
            .select_from(self._table)
            .where(column["bot_id"] == bot_id)
            .order_by(column["id"])
            .limit(MAX_ROWS)
        )
        return await asyncio.to_thread(self._read, query)

    async def count(self, bot_id: str) -> int | None:
        """How many rows one bot has; None where they cannot be counted."""
        return await asyncio.to_thread(self._count, bot_id)

    def _count(self, bot_id: str) -> int | None:
        query = sa.select(sa.func.count()).select_from(self._table).where(self._columns["bot_id"] == bot_id)
        try:
            with self._open().connect() as connection:
                return int(connection.execute(query).scalar_one())
        except (_NoSourceError, SQLAlchemyError, ImportError):
            return None

    async def marked(self, start: str, after: object, most: int, *, bot_ids: Sequence[str] = ()) -> Rows:
        """Rows with `start` in the first `MARK_CHARS` of their text, in the order of their ids, behind id `after`.

        Of these bots; without any, of all. Of the text that beginning alone, and no time; without evidence of the rows,
        which may be thousands.
        """
        return await asyncio.to_thread(self._marked, start, after, most, bot_ids)

    def _marked(self, start: str, after: object, most: int, bot_ids: Sequence[str]) -> Rows:
        column = self._columns
        text = sa.func.substr(column["text"], 1, MARK_CHARS)
        asked = (*(column[name].label(name) for name in ("id", "bot_id", "role")), sa.null().label("time"))
        query = (
            sa.select(*asked, text.label("text"))
            .select_from(self._table)
            .where(text.contains(start, autoescape=True))
            .order_by(column["id"])
            .limit(most)
        )
        if bot_ids:
            query = query.where(column["bot_id"].in_(bot_ids))
        if after is not None:
            query = query.where(column["id"] > after)
        return self._read(query, is_shown=False)

    @property
    def backend(self) -> str:
        """`sqlite`, `postgresql` or another name of a URL; empty where no database is known."""
        try:
            return make_url(self._url).get_backend_name() if self._url else ""
        except (ArgumentError, ValueError):
            return ""

    @property
    def url(self) -> URL | None:
        """The URL in parts; None where none is known or it cannot be read."""
        try:
            return make_url(self._url) if self._url else None
        except (ArgumentError, ValueError):
            return None

    @property
    def file(self) -> Path | None:
        """The SQLite file; None for other databases."""
        url = self.url
        is_file = url is not None and self.backend == "sqlite" and bool(url.database)
        return Path(url.database or "").absolute() if url is not None and is_file else None

    async def ask(self, statement: str, **values: Any) -> Table:
        """Answer one reading `statement` with `:name` placeholders, at most `MAX_ROWS` rows of it.

        A database that hangs is given up after `2 * TIMEOUT_S` seconds.
        """
        at, began = self._clock(), time.monotonic()
        try:
            async with asyncio.timeout(2 * TIMEOUT_S):
                rows, error = await asyncio.to_thread(self._ask, statement, values)
        except TimeoutError:
            told = f"the database did not answer within {2 * TIMEOUT_S} s"
            rows, error = (), TransportError(Reason.TIMEOUT, clean(told))
        return Table(rows, error, self._told(statement, values, rows, error, at, time.monotonic() - began))

    def _ask(
        self, statement: str, values: Mapping[str, Any]
    ) -> tuple[tuple[Mapping[str, Any], ...], TransportError | None]:
        try:
            with self._open().connect() as connection:
                found = connection.execute(sa.text(statement), values).mappings().fetchmany(MAX_ROWS)
                return tuple(dict(row) for row in found), None
        except _NoSourceError as problem:
            return (), TransportError(Reason.NO_SOURCE, clean(self._redactor.redact(str(problem))))
        except (SQLAlchemyError, ImportError) as problem:
            cause = getattr(problem, "orig", None) or problem
            what = self._redactor.redact(str(cause))
            return (), TransportError(
                Reason.NO_SOURCE, one_line(f"the database could not be read: {what}", 300)
            )

    def _told(
        self,
        statement: str,
        values: Mapping[str, Any],
        rows: Sequence[Mapping[str, Any]],
        error: TransportError | None,
        at: datetime,
        elapsed_s: float,
    ) -> Evidence:
        redact = self._redactor.redact
        shown = redact(_masked(self._url)) if self._url else "no database"
        lines = [f"-- {shown}", statement]
        lines += [f"-- :{name} = {_cell(redact(str(value)))}" for name, value in values.items()]
        lines += ["", f"→ {len(rows)} rows after {elapsed_s * 1e3:.1f} ms"]
        if rows:
            lines.append("   " + " | ".join(rows[0]))
        for row in rows:
            lines.append("   " + " | ".join(_cell(redact(str(cell))) for cell in row.values()))
        if error:
            lines += ["", f"! {error.sentence}"]
        outcome = "not read" if error else f"{len(rows)} rows"
        return Evidence(
            kind="sql",
            title=one_line(f"SQL on {shown} → {outcome}, {elapsed_s * 1e3:.0f} ms"),
            body=clean(redact("\n".join(lines))),
            command=clean(redact(statement)),
            captured_at=at,
        )

    def close(self) -> None:
        """Give the connection back."""
        if self._engine:
            self._engine.dispose()
            self._engine = None

    def _read(self, query: sa.Select[Any], *, is_shown: bool = True) -> Rows:
        at, began = self._clock(), time.monotonic()
        rows: tuple[Row, ...] = ()
        error: TransportError | None = None
        text = "no query"
        try:
            engine = self._open()
            text = str(query.compile(engine, compile_kwargs={"literal_binds": True}))
            with engine.connect() as connection:
                rows = tuple(
                    Row(line.id, _text(line.bot_id), _text(line.role), _text(line.text), line.time)
                    for line in connection.execute(query)
                )
        except _NoSourceError as problem:
            error = TransportError(Reason.NO_SOURCE, clean(self._redactor.redact(str(problem))))
        except (SQLAlchemyError, ImportError) as problem:
            cause = getattr(problem, "orig", None) or problem
            what = self._redactor.redact(str(cause))
            error = TransportError(Reason.NO_SOURCE, one_line(f"the database could not be read: {what}"))
        shown = rows if is_shown else ()
        return Rows(rows, error, self._evidence(text, shown, error, at, time.monotonic() - began))

    def _open(self) -> Engine:
        if self._engine is None:
            if not self._url:
                raise _NoSourceError(
                    "no database is known: set [database] url in the profile, or the variable named by url_env"
                )
            try:
                url = make_url(self._url)
                self._engine = _read_only(url)
            except (ArgumentError, NoSuchModuleError, ValueError) as problem:
                raise _NoSourceError(
                    "[database] url cannot be used: give a SQLAlchemy URL such as postgresql://user@host/name"
                ) from problem
        return self._engine

    def _evidence(
        self, query: str, rows: Sequence[Row], error: TransportError | None, at: datetime, elapsed_s: float
    ) -> Evidence:
        redact = self._redactor.redact
        shown = redact(_masked(self._url)) if self._url else "no database"
        lines = [f"-- {shown}", query, "", f"→ {len(rows)} rows after {elapsed_s * 1e3:.1f} ms"]
        for row in rows:
            cells = (row.id, row.bot_id, row.role, row.time, row.text)
            lines.append("   " + " | ".join(_cell(redact(str(cell))) for cell in cells))
        if error:
            lines += ["", f"! {error.sentence}"]
        outcome = "not read" if error else f"{len(rows)} rows"
        return Evidence(
            kind="sql",
            title=one_line(f"SQL on {shown} → {outcome}, {elapsed_s * 1e3:.0f} ms"),
            body=clean("\n".join(lines)),
            command=clean(redact(query)),
            captured_at=at,
        )


def parse_time(value: object, zone: tzinfo | None = None) -> datetime | None:
    """A stored time as an aware UTC datetime; None where it cannot be read.

    Without a zone of its own it is taken to be in `zone`, or where that is None in this host's local time, which is
    what the observed contract writes.
    """
    if isinstance(value, (int, float)):
        try:
            return datetime.fromtimestamp(value, UTC)
        except (OverflowError, ValueError, OSError):
            return None
    if not isinstance(value, datetime):
        try:
            value = datetime.fromisoformat(str(value))
        except ValueError:
            return None
    try:
        return (value if value.tzinfo or zone is None else value.replace(tzinfo=zone)).astimezone(UTC)
    except (OverflowError, ValueError):
        return None


class _NoSourceError(Exception):
    """No database to read."""


def _read_only(url: URL) -> Engine:
    """An engine whose connections cannot write, whatever the statement."""
    if url.get_backend_name() == "sqlite":
        path = Path(url.database or "").absolute()
        try:
            is_there = path.is_file()
        except OSError:
            why = (
                f"no permission to look at the database file {path}: run gonogo as the account of the service"
            )
            raise _NoSourceError(why) from None
        if not is_there:
            raise _NoSourceError(f"there is no database file {path}: correct [database] url in the profile")
        read_only = url.set(database=f"file:{quote(str(path))}", query={"mode": "ro", "uri": "true"})
        return sa.create_engine(read_only, connect_args={"timeout": TIMEOUT_S}, poolclass=sa.NullPool)
    if url.get_backend_name() == "postgresql":
        if url.drivername == "postgresql":
            url = url.set(drivername="postgresql+psycopg")
        options = f"-c default_transaction_read_only=on -c statement_timeout={TIMEOUT_S * 1000}"
        return sa.create_engine(
            url, connect_args={"connect_timeout": TIMEOUT_S, "options": options}, poolclass=sa.NullPool
        )
    raise _NoSourceError(
        f"[database] url names {one_line(url.get_backend_name(), 30)}: this version reads sqlite and postgresql"
    )


def _text(cell: object) -> str:
    """A cell as text; a target may store bytes."""
    return cell.decode("utf-8", "replace") if isinstance(cell, bytes) else str(cell)


def _masked(url: str) -> str:
    """The URL without its password; what cannot be parsed is not shown, since it may hold one anywhere."""
    try:
        return make_url(url).render_as_string()
    except (ArgumentError, ValueError):
        return "a URL that cannot be read"


def _cell(text: str) -> Clean:
    return one_line(clean(text, MAX_CELL_CHARS), MAX_CELL_CHARS)
