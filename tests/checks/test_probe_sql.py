"""The SQL probe reads what is there, writes nothing, and says why it could not read."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest

from checks.model import Reason
from checks.probe.redaction import Redactor
from checks.probe.sql import SqlProbe, parse_time
from checks.target import zone_of

COLUMNS = {"id": "id", "bot_id": "bot_id", "role": "role", "text": "content", "time": "timestamp"}


@pytest.fixture
def database(tmp_path: Path) -> Path:
    """A chat database in WAL mode with three rows."""
    path = tmp_path / "chat.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE messages (id INTEGER PRIMARY KEY, bot_id, role, content, timestamp)")
        rows = [
            (2, "BOT-1", "assistant", "hello token=canary"),
            (1, "BOT-1", "user", "hi"),
            (3, "BOT-2", "user", "x"),
        ]
        connection.executemany("INSERT INTO messages VALUES (?, ?, ?, ?, '2026-03-01T12:00:00')", rows)
        connection.commit()
    return path


@pytest.fixture
def probe(database: Path) -> Iterator[SqlProbe]:
    """A probe of it."""
    probe = SqlProbe(f"sqlite:///{database}", "messages", COLUMNS, Redactor(["canary"]))
    yield probe
    probe.close()


async def test_the_rows_of_one_bot_come_in_the_order_of_their_ids(probe: SqlProbe) -> None:
    rows = await probe.messages("BOT-1")
    assert [(row.id, row.role, row.text) for row in rows.rows] == [
        (1, "user", "hi"),
        (2, "assistant", "hello token=canary"),
    ]
    assert "WHERE messages.bot_id = 'BOT-1'" in rows.evidence.command
    assert "2 rows" in rows.evidence.title
    assert "canary" not in rows.evidence.body


async def test_what_a_writer_commits_meanwhile_is_seen(probe: SqlProbe, database: Path) -> None:
    assert len((await probe.messages("BOT-2")).rows) == 1
    with closing(sqlite3.connect(database)) as connection:
        connection.execute("INSERT INTO messages VALUES (9, 'BOT-2', 'user', 'y', '2026-03-01T12:00:01')")
        connection.commit()
        assert len((await probe.messages("BOT-2")).rows) == 2


async def test_nothing_is_written_not_even_by_a_hostile_id(probe: SqlProbe, database: Path) -> None:
    rows = await probe.messages("'; DROP TABLE messages; --")
    assert rows.rows == ()
    assert rows.error is None
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("SELECT count(*) FROM messages").fetchone() == (3,)


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("", "no database is known"),
        ("sqlite:////nowhere/chat.db", "there is no database file /nowhere/chat.db"),
        ("mysql://u@h/d", "this version reads sqlite and postgresql"),
        ("not a url", "cannot be used"),
        ("postgresql://u@127.0.0.1:1/d", "could not be read"),
    ],
)
async def test_a_source_that_cannot_be_read_is_named(url: str, told: str) -> None:
    probe = SqlProbe(url, "messages", COLUMNS, Redactor())
    rows = await probe.messages("BOT-1")
    probe.close()
    assert rows.error
    assert rows.error.reason is Reason.NO_SOURCE
    assert told in rows.error.sentence


async def test_a_missing_table_and_a_file_that_is_no_database_are_told(
    database: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other.db"
    other.write_bytes(b"this is not a database at all, but it is long enough" * 30)
    for path, table, told in (
        (database, "elsewhere", "no such table"),
        (other, "messages", "not a database"),
    ):
        probe = SqlProbe(f"sqlite:///{path}", table, COLUMNS, Redactor())
        rows = await probe.messages("BOT-1")
        probe.close()
        assert rows.error
        assert told in rows.error.sentence


@pytest.mark.parametrize(
    ("stored", "read"),
    [
        ("2026-03-01T12:00:00+00:00", datetime(2026, 3, 1, 12, tzinfo=UTC)),
        ("2026-03-01 14:00:00.500000+02:00", datetime(2026, 3, 1, 12, 0, 0, 500000, tzinfo=UTC)),
        (1772366400, datetime(2026, 3, 1, 12, tzinfo=UTC)),
        ("yesterday", None),
        (None, None),
    ],
)
def test_stored_times_are_read(stored: object, read: datetime | None) -> None:
    assert parse_time(stored) == read


def test_a_stored_time_without_a_zone_is_local_time() -> None:
    assert parse_time("2026-03-01T12:00:00") == datetime(2026, 3, 1, 12).astimezone(UTC)


def test_a_stored_time_without_a_zone_is_in_the_profile_s_zone() -> None:
    assert parse_time("2026-03-01T12:00:00", UTC) == datetime(2026, 3, 1, 12, tzinfo=UTC)
    berlin = zone_of("Europe/Berlin")
    assert parse_time("2026-03-01T12:00:00", berlin) == datetime(2026, 3, 1, 11, tzinfo=UTC)
    assert parse_time("0001-01-01T00:00:00", berlin) is None
