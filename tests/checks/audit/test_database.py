"""What the checks of the database say of SQLite files and a PostgreSQL that are not as they should be."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import msgspec
import pytest

from checks.audit import database, keeping, pool, postgresql, sqlite
from checks.audit.common import Function
from checks.audit.database_sessions import is_reached_over_tls, stuck_transactions_end
from checks.audit.database_source import milliseconds
from checks.context import Context
from checks.launches import Bot
from checks.model import Outcome, Reason, Verdict
from checks.probe import postgresql as postgresql_probe
from checks.probe import sql
from checks.probe.sqlite import WriteLock, look_through
from checks.walkthrough.walk import Walk
from tests.checks.audit.answering import Asked, Said, answering, said
from tests.checks.audit.chatting import BOT
from tests.checks.audit.contexts import context_of, target_at
from tests.checks.servers import listening
from tests.postgres import MARKS, PASSWORD, hardened

TABLE = """CREATE TABLE messages (id INTEGER PRIMARY KEY, bot_id TEXT NOT NULL, role TEXT NOT NULL,
    content TEXT NOT NULL, timestamp TEXT)"""
INDEX = "CREATE INDEX by_bot ON messages (bot_id, id)"
SERVERS_ONLY: tuple[Function, ...] = (
    postgresql.role_has_no_power,
    postgresql.wrong_password_is_refused,
    postgresql.listens_where_needed,
    postgresql.passwords_are_scram,
    postgresql.slow_statements_are_seen,
    stuck_transactions_end,
    is_reached_over_tls,
)
FILES_ONLY: tuple[Function, ...] = (
    sqlite.has_several_connections,
    sqlite.is_whole,
    sqlite.is_closed_to_others,
    sqlite.lock_is_waited_for,
)
BOTH: tuple[Function, ...] = (
    database.is_the_one_in_use,
    database.table_has_constraints,
    database.history_uses_an_index,
    database.commits_are_durable,
    pool.pool_fits,
)


@asynccontextmanager
async def on(
    folder: Path, url: str, *, at: str = "http://127.0.0.1:9", log: str = "", **audit: object
) -> AsyncIterator[Context]:
    """A run's context on the database `url` of a controller that is served `at`."""
    target = target_at(at, audit)
    settings = msgspec.structs.replace(target.profile.log, file=log)
    limits = msgspec.structs.replace(target.profile.walkthrough, stored_within_s=0.1, reply_within_s=2.0)
    profile = msgspec.structs.replace(target.profile, log=settings, walkthrough=limits)
    async with context_of(
        msgspec.structs.replace(target, profile=profile, database_url=url), folder
    ) as context:
        yield context


def make(path: Path, *statements: str) -> str:
    """A SQLite file in WAL mode; its URL."""
    with closing(sqlite3.connect(path)) as connection:
        for statement in ("PRAGMA journal_mode = WAL", *statements):
            connection.execute(statement)
        connection.commit()
    path.chmod(0o600)
    return f"sqlite:///{path}"


async def healthy(asked: Asked) -> Said:
    """A controller that has nothing to say."""
    return said({"success": True})


async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Take what is said and answer nothing."""
    while await reader.read(1024):
        pass


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("", "No database is known"),
        ("postgresql://u@[::1/x", "cannot be used"),
        ("mysql://u@h/d", "this version reads sqlite and postgresql"),
        ("sqlite:////nowhere/chat.db", "no database file /nowhere/chat.db"),
        ("postgresql://u:hidden-canary@127.0.0.1:1/d", "could not be read"),
    ],
)
async def test_a_database_that_cannot_be_read_is_told_by_one_sentence_and_passes_nothing(
    tmp_path: Path, url: str, told: str
) -> None:
    async with on(tmp_path, url) as context:
        outcomes = [await check(context) for check in (*BOTH, *SERVERS_ONLY, *FILES_ONLY)]
    judged = [one for one in outcomes if one.verdict is not Verdict.NA]
    assert {one.verdict for one in judged} == {Verdict.INCONCLUSIVE}
    assert len({one.summary for one in judged}) == 1
    assert told in judged[0].summary
    assert "hidden-canary" not in repr(outcomes)


async def test_a_server_that_never_answers_is_waited_for_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql, "TIMEOUT_S", 1)
    async with (
        listening(hang) as port,
        on(tmp_path, f"postgresql://u:p@127.0.0.1:{port}/d") as context,
    ):
        began = time.monotonic()
        outcomes = [await check(context) for check in (*BOTH, *SERVERS_ONLY)]
        took_s = time.monotonic() - began
    assert took_s < 4
    assert {(one.verdict, one.summary) for one in outcomes} == {(Verdict.INCONCLUSIVE, outcomes[0].summary)}


async def test_without_its_driver_postgresql_is_not_read_and_the_cure_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Missing:
        """What the import system says of a package that is not installed."""

        def find_spec(self, name: str, path: object = None, target: object = None) -> None:
            """Refuses the driver."""
            if name.partition(".")[0] == "psycopg":
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    for name in [name for name in sys.modules if name.partition(".")[0] == "psycopg"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Missing(), *sys.meta_path])
    async with on(tmp_path, "postgresql://u@127.0.0.1:1/d") as context:
        outcome = await postgresql.role_has_no_power(context)
    assert outcome.verdict is Verdict.INCONCLUSIVE
    assert "pip install 'gonogo[postgres]'" in outcome.summary


async def test_a_file_that_somebody_keeps_locked_is_not_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql, "TIMEOUT_S", 0.2)
    path = tmp_path / "chat.db"
    url = make(path, "PRAGMA journal_mode = DELETE", TABLE)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        async with on(tmp_path, url) as context:
            outcomes = [
                await check(context) for check in (*BOTH, sqlite.is_whole, sqlite.is_closed_to_others)
            ]
    assert {one.verdict for one in outcomes} == {Verdict.INCONCLUSIVE}
    assert all("another process keeps it locked" in one.summary for one in outcomes)


@pytest.mark.parametrize("damage", ["overwritten", "cut short", "no database"])
async def test_a_damaged_file_fails_as_damaged_and_passes_nothing(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "chat.db"
    rows = "INSERT INTO messages (bot_id, role, content) SELECT 'BOT-1', 'user', hex(randomblob(400))"
    url = make(path, "PRAGMA journal_mode = DELETE", TABLE, INDEX, *[rows] * 60)
    raw = path.read_bytes()
    damaged = {
        "overwritten": raw[:4096] + b"\xff" * 8192 + raw[12288:],
        "cut short": raw[: len(raw) // 2],
        "no database": b"this is a text and no database at all\n" * 400,
    }
    path.write_bytes(damaged[damage])
    async with on(tmp_path, url) as context:
        whole = await sqlite.is_whole(context)
    assert whole.verdict is Verdict.FAIL, whole
    assert "damaged" in whole.summary


async def test_a_check_of_the_whole_file_is_given_up_in_time(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    rows = "INSERT INTO messages (bot_id, role, content) SELECT 'BOT-1', 'user', hex(randomblob(40))"
    double = "INSERT INTO messages (bot_id, role, content) SELECT bot_id, role, content FROM messages"
    make(path, TABLE, INDEX, rows, *[double] * 13)
    found = await look_through(path, 0.0)
    assert found.findings == ()
    assert "was not looked through within 0 s" in found.problem


@pytest.mark.parametrize(
    ("statements", "index", "constraints"),
    [
        ((TABLE, INDEX), Verdict.PASS, Verdict.PASS),
        ((TABLE,), Verdict.FAIL, Verdict.PASS),
        ((TABLE, "CREATE INDEX later ON messages (timestamp, bot_id)"), Verdict.FAIL, Verdict.PASS),
        ((TABLE.replace("content TEXT NOT NULL", "content TEXT"), INDEX), Verdict.PASS, Verdict.FAIL),
        ((TABLE.replace("INTEGER PRIMARY KEY", "INTEGER"), INDEX), Verdict.PASS, Verdict.FAIL),
        ((TABLE.replace("bot_id TEXT NOT NULL", "bot_id TEXT"),), Verdict.FAIL, Verdict.FAIL),
        (("CREATE TABLE other (id)",), Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE),
        (("CREATE TABLE messages (id INTEGER PRIMARY KEY)",), Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE),
    ],
)
async def test_the_table_is_judged_by_its_own_index_and_constraints(
    tmp_path: Path, statements: tuple[str, ...], index: Verdict, constraints: Verdict
) -> None:
    async with on(tmp_path, make(tmp_path / "chat.db", *statements)) as context:
        assert (await database.history_uses_an_index(context)).verdict is index
        assert (await database.table_has_constraints(context)).verdict is constraints


async def test_a_journal_that_is_not_written_ahead_fails(tmp_path: Path) -> None:
    for mode, verdict in (("WAL", Verdict.PASS), ("DELETE", Verdict.FAIL)):
        url = make(tmp_path / f"{mode}.db", f"PRAGMA journal_mode = {mode}", TABLE)
        async with on(tmp_path, url) as context:
            assert (await database.commits_are_durable(context)).verdict is verdict


async def test_files_beside_the_database_and_its_folder_are_looked_at_too(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir(0o700)
    path = folder / "chat.db"
    url = make(path, TABLE)
    beside = path.with_name("chat.db-wal")

    async def judged() -> Outcome:
        async with on(tmp_path, url) as context:
            return await sqlite.is_closed_to_others(context)

    with closing(sqlite3.connect(path)) as writer:
        writer.execute("INSERT INTO messages (bot_id, role, content) VALUES ('BOT-1', 'user', 'x')")
        writer.commit()
        assert (await judged()).verdict is Verdict.PASS
        path.chmod(0o660)
        assert (await judged()).verdict is Verdict.PASS  # its group may be the service's own
        beside.chmod(0o604)
        assert "chat.db-wal (0604)" in (await judged()).summary
        beside.chmod(0o600)
        folder.chmod(0o707)
        assert "its folder (0707)" in (await judged()).summary


async def test_the_file_in_use_is_told_from_another_one(tmp_path: Path) -> None:
    url, other = make(tmp_path / "chat.db", TABLE), make(tmp_path / "other.db", TABLE)
    async with answering(healthy) as server:
        with closing(sqlite3.connect(tmp_path / "chat.db")) as opened:
            opened.execute("SELECT count(*) FROM messages")
            async with on(tmp_path, url, at=server.url) as context:
                assert (await database.is_the_one_in_use(context)).verdict is Verdict.PASS
            async with on(tmp_path, other, at=server.url) as context:
                outcome = await database.is_the_one_in_use(context)
            assert outcome.verdict is Verdict.FAIL
            assert f"has {tmp_path}/chat.db open" in outcome.summary
        async with on(tmp_path, other, at=server.url) as context:
            outcome = await database.is_the_one_in_use(context)
        assert outcome.verdict is Verdict.INCONCLUSIVE
        config = tmp_path / "app.toml"
        for named, verdict in ((other, Verdict.PASS), (url, Verdict.FAIL)):
            config.write_text(f'[database]\nurl = "{named}"\n')
            async with on(tmp_path, other, at=server.url, config_files=(str(config),)) as context:
                assert (await database.is_the_one_in_use(context)).verdict is verdict


@pytest.mark.parametrize(
    ("settings", "verdict", "told"),
    [
        ("pool_size = 12\nmax_overflow = 8", Verdict.PASS, "20 connections at most, for 20 requests"),
        ("pool_size = 10\nmax_overflow = 9", Verdict.FAIL, "19 connections for 20 requests"),
        ("pool_size = 40\nmax_overflow = -1", Verdict.FAIL, "no bound"),
        ('pool_size = "many"\nmax_overflow = 1', Verdict.FAIL, "is no number: “many”"),
        (
            "max_overflow = 1",
            Verdict.INCONCLUSIVE,
            "pool_size of the database pool is given nowhere: set DB_POOL",
        ),
    ],
)
async def test_the_pool_is_held_against_the_declared_concurrency(
    tmp_path: Path, settings: str, verdict: Verdict, told: str
) -> None:
    config = tmp_path / "app.toml"
    config.write_text(f"[database]\n{settings}\n")
    url = make(tmp_path / "chat.db", TABLE)
    async with (
        answering(healthy) as server,
        on(tmp_path, url, at=server.url, config_files=(str(config),), concurrency=20) as context,
    ):
        outcome = await pool.pool_fits(context)
    assert (outcome.verdict, told in outcome.summary) == (verdict, True), outcome


@pytest.mark.parametrize(
    ("timeout", "verdict"),
    [("30", Verdict.PASS), ("31", Verdict.FAIL), ("0", Verdict.FAIL), ('"inf"', Verdict.FAIL)],
)
async def test_an_endless_wait_for_a_connection_fails(tmp_path: Path, timeout: str, verdict: Verdict) -> None:
    config = tmp_path / "app.toml"
    config.write_text(f"[database]\npool_timeout_s = {timeout}\n")
    url = make(tmp_path / "chat.db", TABLE)
    async with (
        answering(healthy) as server,
        on(tmp_path, url, at=server.url, config_files=(str(config),)) as context,
    ):
        assert (await pool.waits_are_bounded(context)).verdict is verdict


async def test_a_write_lock_stops_writers_alone_and_is_given_back(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    make(path, TABLE)
    write = "INSERT INTO messages (bot_id, role, content) VALUES ('BOT-1', 'user', 'x')"
    with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as other:
        async with WriteLock(path, 30) as lock:
            assert lock.is_held
            assert other.execute("SELECT count(*) FROM messages").fetchone() == (0,)
            with pytest.raises(sqlite3.OperationalError, match="locked"):
                other.execute(write)
        other.execute(write)

        async def interrupted() -> None:
            async with WriteLock(path, 30):
                held.set()
                await asyncio.sleep(30)

        held = asyncio.Event()
        task = asyncio.create_task(interrupted())
        await held.wait()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        other.execute(write)
        async with WriteLock(path, 0.01) as lock:
            await asyncio.to_thread(lock._given_back.wait, 5)
            other.execute(write)  # given back by itself
        assert other.execute("SELECT count(*) FROM messages").fetchone() == (3,)
    async with WriteLock(tmp_path / "nowhere.db", 1) as lock:
        assert lock.problem
        assert not lock.is_held
    assert not (tmp_path / "nowhere.db").exists()


class Keeper:
    """A controller that keeps what it is told in SQLite, well or badly."""

    def __init__(self, path: Path, *, patience_s: float = 5.0, keeps: bool = True) -> None:
        self._path, self._patience_s, self._keeps = path, patience_s, keeps

    async def answer(self, asked: Asked) -> Said:
        """Store a command; anything else is a success."""
        if "/task" not in asked.path:
            return said({"success": True, "messages": []})
        try:
            await asyncio.to_thread(self._store, msgspec.json.decode(asked.body)["command"])
        except sqlite3.OperationalError:
            return said({"success": False, "error": "locked"}, 503)
        return said({"success": True, "bot_id": BOT, "response": "heard"})

    def _store(self, text: str) -> None:
        with closing(sqlite3.connect(self._path, timeout=self._patience_s)) as connection:
            values = (BOT, "user", text)
            connection.execute("INSERT INTO messages (bot_id, role, content) VALUES (?, ?, ?)", values)
            if self._keeps:
                connection.commit()


@pytest.mark.parametrize(
    ("how", "verdict", "told"),
    [
        ({}, Verdict.PASS, "answered and stored"),
        ({"patience_s": 0}, Verdict.FAIL, "failed while another writer had the file"),
        ({"keeps": False}, Verdict.FAIL, "but it is not stored"),
    ],
)
async def test_a_command_that_meets_a_locked_file_has_to_be_answered_and_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: dict[str, Any], verdict: Verdict, told: str
) -> None:
    monkeypatch.setattr(sqlite, "LOCKED_S", 0.4)
    url = make(tmp_path / "chat.db", TABLE, INDEX)
    async with (
        answering(Keeper(tmp_path / "chat.db", **how).answer) as server,
        on(tmp_path, url, at=server.url) as context,
    ):
        context.state(Walk).first = Bot(BOT)
        outcome = await sqlite.lock_is_waited_for(context)
        assert server.count("/api") == 2
    assert (outcome.verdict, told in outcome.summary) == (verdict, True), outcome


async def test_no_file_of_a_host_without_leave_is_locked(tmp_path: Path) -> None:
    url = make(tmp_path / "chat.db", TABLE)
    async with on(tmp_path, url, at="http://chat.example") as context:
        for check in (sqlite.lock_is_waited_for, sqlite.has_several_connections):
            outcome = await check(context)
            assert (outcome.verdict, outcome.reason) == (Verdict.INCONCLUSIVE, Reason.NO_RIGHT)


async def test_a_backup_has_to_be_fresh_whole_and_of_this_database(tmp_path: Path) -> None:
    folder = tmp_path / "backups"
    rows = "INSERT INTO messages (bot_id, role, content) SELECT 'BOT-1', 'user', hex(randomblob(400))"
    url = make(tmp_path / "chat.db", "PRAGMA journal_mode = DELETE", TABLE, *[rows] * 20)

    async def judged(place: Path | str = folder) -> Outcome:
        async with on(tmp_path, url, backups=str(place)) as context:
            return await keeping.backup_is_fresh(context)

    assert (await judged("")).verdict is Verdict.INCONCLUSIVE
    assert "There is no backup" in (await judged()).summary
    folder.mkdir()
    (folder / "chat.db.part").write_bytes(b"not finished")
    assert "There is no backup" in (await judged()).summary
    backup = folder / "chat.db"
    shutil.copy(tmp_path / "chat.db", backup)
    assert (await judged()).verdict is Verdict.PASS
    assert (await judged(backup)).verdict is Verdict.PASS
    assert sorted(path.name for path in folder.iterdir()) == ["chat.db", "chat.db.part"]
    backup.write_bytes(backup.read_bytes()[:5000])
    assert "is damaged" in (await judged()).summary
    backup.unlink()
    make(backup, "PRAGMA journal_mode = DELETE", "CREATE TABLE other (id)")
    assert "holds no table messages" in (await judged()).summary
    backup.write_bytes(b"")
    assert "is empty" in (await judged()).summary
    backup.write_bytes(b"PGDMP")
    assert (await judged()).verdict is Verdict.PASS
    then = time.time() - 25 * 3600
    os.utime(backup, (then, then))
    assert "is 25 h old" in (await judged()).summary


async def test_room_is_judged_on_both_disks_or_not_at_all(tmp_path: Path) -> None:
    url, log = make(tmp_path / "chat.db", TABLE), tmp_path / "controller.log"
    log.write_text("{}\n")

    async def judged(url: str, name: Path | str, need: float = 1.0) -> Verdict:
        async with on(tmp_path, url, log=str(name), disk_free_percent=need) as context:
            return (await keeping.disks_have_room(context)).verdict

    assert await judged(url, log) is Verdict.PASS
    assert await judged(url, log, 100.1) is Verdict.FAIL
    assert await judged(url, tmp_path / "missing.log") is Verdict.INCONCLUSIVE
    assert await judged("", log) is Verdict.INCONCLUSIVE
    assert await judged("postgresql://u@db.example/d", log) is Verdict.INCONCLUSIVE


@pytest.mark.parametrize(
    ("value", "expected"),
    [("10s", 10_000), ("500", 500), ("1min", 60_000), ("-1", -1), ("0", 0), ("2 h", 7_200_000), ("x", None)],
)
def test_durations_of_postgresql_are_read(value: str, expected: float | None) -> None:
    assert milliseconds(value) == expected


POWER = (
    "CREATE ROLE power LOGIN CREATEDB PASSWORD 'other-canary'",
    "GRANT pg_read_server_files TO power",
    "ALTER ROLE power SET statement_timeout = 0",
    "ALTER ROLE power SET synchronous_commit = off",
    "ALTER ROLE power SET log_min_duration_statement = -1",
    "CREATE TABLE messages (id bigint PRIMARY KEY, bot_id text NOT NULL, role text NOT NULL, content text NOT NULL)",
    "INSERT INTO messages SELECT n, 'BOT-' || n % 50, 'user', 'x' FROM generate_series(1, 120000) AS n",
    "ANALYZE messages",
    "GRANT SELECT ON messages TO chat",
)


class TestPostgresql:
    """One server for everything."""

    pytestmark = MARKS

    async def test_the_controller_s_role_is_judged_not_that_of_the_profile(self, tmp_path: Path) -> None:
        import psycopg

        with hardened() as url:
            admin = url.replace("//chat:", "//demo:")
            with psycopg.connect(admin, autocommit=True) as connection:
                for statement in POWER:
                    connection.execute(statement)
            config = tmp_path / "app.toml"
            config.write_text(f'[database]\nurl = "{url.replace("//chat:", "//power:")}"\n')
            async with (
                answering(healthy) as server,
                on(tmp_path, url, at=server.url, config_files=(str(config),)) as context,
            ):
                for check, told in (
                    (postgresql.role_has_no_power, "power: createdb, pg_read_server_files"),
                    (database.commits_are_durable, "synchronous_commit = off"),
                    (postgresql.slow_statements_are_seen, "neither logged nor counted"),
                    (stuck_transactions_end, "of power: statement_timeout is not set"),
                    (database.history_uses_an_index, "the planner uses no index"),
                ):
                    outcome = await check(context)
                    assert (outcome.verdict, told in outcome.summary) == (Verdict.FAIL, True), outcome
                with psycopg.connect(admin, autocommit=True) as connection:
                    connection.execute(INDEX)
                    connection.execute("ANALYZE messages")
                assert (await database.history_uses_an_index(context)).verdict is Verdict.PASS
            config.write_text(f'[database]\nurl = "{admin}"\n')
            await self._hidden(tmp_path, url, admin, config)
            await self._logins(url)

    async def _hidden(self, folder: Path, url: str, admin: str, config: Path) -> None:
        """Sessions of another role cannot be looked at: nothing is said of them, and the grant is named."""
        import psycopg

        with psycopg.connect(admin):
            async with (
                answering(healthy) as server,
                on(folder, url, at=server.url, config_files=(str(config),)) as context,
            ):
                for check in (database.is_the_one_in_use, stuck_transactions_end):
                    outcome = await check(context)
                    assert outcome.verdict is Verdict.INCONCLUSIVE
                    assert "GRANT pg_read_all_stats" in outcome.summary

    async def _logins(self, url: str) -> None:
        """A wrong password is refused by the server, and never told."""
        from checks.probe.redaction import Redactor

        port = int(url.rpartition(":")[2].partition("/")[0])
        address = postgresql_probe.Address("127.0.0.1", port, "chat", "chat", PASSWORD)
        redactor = Redactor([PASSWORD])
        good = await postgresql_probe.login(address, redactor, username="chat", password=PASSWORD)
        bad = await postgresql_probe.login(address, redactor, username="chat", password="wrong-canary")
        assert (good.is_accepted, bad.is_accepted, bad.error) == (True, False, None)
        for require, is_in in (("scram-sha-256", True), ("md5", False), ("password", False)):
            asked = await postgresql_probe.login(
                address, redactor, username="chat", password=PASSWORD, require=require
            )
            assert asked.is_accepted is is_in
        written = await postgresql_probe.transaction(address, ["SELECT 1", "CREATE TABLE x ()"], redactor)
        assert written.error
        assert "read-only" in written.error.sentence
