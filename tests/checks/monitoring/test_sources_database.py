"""The database is asked from outside: whether it answers, who waits, what is slow; SQLite and a real PostgreSQL."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Coroutine, Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from checks.monitoring.model import Reading
from checks.monitoring.sources import asking, database
from checks.probe import sql
from checks.probe.activity import Statement, slow_calls
from checks.probe.sql import Table
from checks.text import clean
from tests.checks.monitoring.collecting import Collecting, collecting
from tests.postgres import MARKS, PASSWORD, hardened

QUERY = "a query of gonogo's own"
DECLARED = {"declared": {"pool_size": "3", "max_overflow": "1"}}
ANYTHING = ["database-up", "pool-use", "pool-waiting", "slow-queries"]


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that is busy with other tests takes longer than a production host should."""
    monkeypatch.setattr(asking, "LOOK_WITHIN_S", 30.0)
    monkeypatch.setattr(database, "ANSWER_WITHIN_S", 30.0)


async def test_without_a_database_nothing_of_it_is_watched(tmp_path: Path) -> None:
    async with collecting(tmp_path, ANYTHING, metrics="", process={"port": 1}) as found:
        readings = await found.look()
    assert not any(one.applies for one in readings.values())


async def test_a_sqlite_file_answers_and_tells_nothing_of_a_pool(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "chat.db").close()
    url = f"sqlite:///{tmp_path}/chat.db"
    async with collecting(tmp_path, ANYTHING, metrics="", database=url, process={"port": 1}) as found:
        readings = dict(await found.look())
    assert readings.pop("database-up") == Reading(1.0, source=clean(QUERY))
    assert not any(one.applies for one in readings.values())


async def test_a_pool_that_the_profile_names_and_nobody_can_see_is_not_known(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "chat.db").close()
    url = f"sqlite:///{tmp_path}/chat.db"
    async with collecting(
        tmp_path, ["pool-use"], metrics="", database=url, audit=DECLARED, process={"port": 1}
    ) as found:
        reading = (await found.look())["pool-use"]
    assert reading.is_missing
    assert 'db_pool_connections{state="in_use"}' in reading.problem


async def test_a_locked_sqlite_file_is_down_and_not_asked_again_and_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sql, "TIMEOUT_S", 1)
    path = tmp_path / "chat.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("CREATE TABLE t (x)")
        async with collecting(tmp_path, ["database-up"], metrics="", database=f"sqlite:///{path}") as found:
            assert (await found.look())["database-up"].value == 1.0
            other.execute("PRAGMA locking_mode = EXCLUSIVE")
            other.execute("BEGIN EXCLUSIVE")
            monkeypatch.setattr(asking, "LOOK_WITHIN_S", 0.2)
            monkeypatch.setattr(database, "ANSWER_WITHIN_S", 2.0)
            assert (await found.look(5.0))["database-up"].value == 1.0  # not late yet
            late = (await found.look(5.0))["database-up"]
            monkeypatch.setattr(asking, "LOOK_WITHIN_S", 30.0)
            monkeypatch.setattr(database, "ANSWER_WITHIN_S", 60.0)
            locked = (await found.look(5.0))["database-up"]
            other.execute("COMMIT")
            other.execute("PRAGMA locking_mode = NORMAL")
            other.execute("SELECT count(*) FROM t").fetchone()
            free = (await found.look(5.0))["database-up"]
    assert (late.value, late.source) == (0.0, f"{QUERY}: it did not answer within 2 s")
    assert locked.value == 0.0
    assert "database is locked" in locked.source
    assert free.value == 1.0


async def test_a_file_that_never_was_there_is_not_known_and_one_that_went_is_down(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    async with collecting(tmp_path, ["database-up"], metrics="", database=f"sqlite:///{path}") as found:
        never = (await found.look())["database-up"]
        sqlite3.connect(path).close()
        there = (await found.look())["database-up"]
        path.unlink()
        gone = (await found.look())["database-up"]
    assert never.is_missing
    assert "correct [database] url" in never.problem
    assert (there.value, gone.value) == (1.0, 0.0)


async def test_nothing_is_asked_more_often_than_every_five_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sqlite3.connect(tmp_path / "chat.db").close()
    async with collecting(
        tmp_path, ["database-up"], metrics="", database=f"sqlite:///{tmp_path}/chat.db"
    ) as found:
        asked = []
        ask = found.context.sql.ask

        def counted(statement: str, **values: Any) -> Coroutine[Any, Any, Table]:
            asked.append(statement)
            return ask(statement, **values)

        monkeypatch.setattr(found.context.sql, "ask", counted)
        for _ in range(10):
            assert (await found.look(1.0))["database-up"].value == 1.0
    assert len(asked) == 2


async def test_a_server_that_refuses_connections_is_down(tmp_path: Path) -> None:
    pytest.importorskip("psycopg")
    url = "postgresql://chat@127.0.0.1:1/chat"
    async with collecting(tmp_path, ["database-up"], metrics="", database=url) as found:
        reading = (await found.look())["database-up"]
    assert reading.value == 0.0
    assert "refused" in reading.source


def test_slow_calls_are_counted_between_two_looks() -> None:
    before = {"a": Statement(10, 500, 400), "b": Statement(5, 9000, 3000), "c": Statement(9, 9000, 1500)}
    after = {
        "a": Statement(14, 8500, 2500),  # four more, two seconds each
        "b": Statement(7, 9100, 3000),  # two more, and quick
        "c": Statement(19, 12_000, 1800),  # ten more, one of them the longest so far
        "d": Statement(3, 1300, 1200),  # slow for the first time
    }
    assert slow_calls(before, after) == 4 + 0 + 1 + 1
    assert slow_calls(after, {"a": Statement(1, 1500, 1500)}) == 1  # the statistics were reset
    assert slow_calls(after, after) == 0


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The URL of a PostgreSQL with a role of the application."""
    with hardened(["shared_preload_libraries=pg_stat_statements"]) as url:
        yield url


async def until(found: Collecting, name: str, value: float | None = None) -> Mapping[str, Reading]:
    """Look until a signal has this value, or any but 0; pytest-timeout bounds it."""
    while True:
        readings = await found.look()
        if readings[name].value == value if value is not None else readings[name].value:
            return readings
        await asyncio.sleep(0.05)


@pytest.mark.postgres
@MARKS[1]
async def test_sessions_of_postgresql_are_looked_at(tmp_path: Path, server: str) -> None:
    import psycopg

    held = [psycopg.connect(server, autocommit=True) for _ in range(3)]
    try:
        held[0].execute("CREATE TABLE IF NOT EXISTS t (x int)")
        async with collecting(
            tmp_path, ANYTHING, metrics="", database=server, audit=DECLARED, process={"port": 1}
        ) as found:
            idle = await found.look()
            held[0].execute("BEGIN")
            held[0].execute("LOCK TABLE t")
            waiting = threading.Thread(target=lambda: held[1].execute("SELECT * FROM t"))
            waiting.start()
            busy = await until(found, "pool-waiting", 1.0)
            slow = await until(found, "slow-queries")
            again = await found.look(0.0)
            held[0].execute("COMMIT")
            await asyncio.to_thread(waiting.join)
            after = await found.look()
    finally:
        for connection in held:
            connection.close()
    assert idle["database-up"].value == 1.0
    assert {name: idle[name].value for name in ANYTHING[1:]} == {
        "pool-use": 0.0,
        "pool-waiting": 0.0,
        "slow-queries": 0.0,
    }
    assert busy["pool-use"].value == 50.0  # two of four
    assert (slow["slow-queries"].value or 0) > 0
    assert again["slow-queries"].value == slow["slow-queries"].value  # one that still runs is one
    assert (after["pool-waiting"].value, after["pool-use"].value) == (0.0, 0.0)
    assert slow["slow-queries"].source == "pg_stat_activity"


@pytest.mark.postgres
@MARKS[1]
async def test_the_servers_statistics_tell_of_slow_queries_that_ended(tmp_path: Path, server: str) -> None:
    import psycopg

    superuser = server.replace("//chat:", "//demo:")
    with psycopg.connect(superuser, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    with psycopg.connect(server, autocommit=True) as connection:
        async with collecting(
            tmp_path, ["slow-queries"], metrics="", database=server, process={"port": 1}
        ) as found:
            await found.look()
            await asyncio.to_thread(connection.execute, "SELECT pg_sleep(1.1)")
            connection.execute("SELECT pg_sleep(0.01)")
            reading = (await found.look(60.0))["slow-queries"]
    assert (reading.value, reading.source) == (1.0, "pg_stat_statements and pg_stat_activity")


@pytest.mark.postgres
@MARKS[1]
async def test_a_pool_of_unknown_size_is_not_known(tmp_path: Path, server: str) -> None:
    async with collecting(tmp_path, ["pool-use"], metrics="", database=server, process={"port": 1}) as found:
        unknown = (await found.look())["pool-use"]
    assert unknown.is_missing
    assert "set pool_size and max_overflow in [audit.declared]" in unknown.problem


@pytest.mark.postgres
@MARKS[1]
async def test_sessions_that_may_not_be_looked_at_are_not_known(tmp_path: Path, server: str) -> None:
    import psycopg

    with psycopg.connect(server.replace("//chat:", "//demo:"), autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS looker")
        connection.execute(f"CREATE ROLE looker LOGIN PASSWORD '{PASSWORD}'")
    settings = tmp_path / "controller.env"
    settings.write_text("DATABASE_URL=postgresql://chat@127.0.0.1/chat\n")
    looker = server.replace("//chat:", "//looker:")
    audit = {**DECLARED, "config_files": (str(settings),)}
    names = ["pool-use", "pool-waiting", "slow-queries"]
    with psycopg.connect(server):
        async with collecting(
            tmp_path, names, metrics="", database=looker, audit=audit, process={"port": 1}
        ) as found:
            readings = await found.look()
    for reading in readings.values():
        assert reading.is_missing
        assert reading.problem.endswith("GRANT pg_read_all_stats TO that role")


@pytest.mark.postgres
@MARKS[1]
async def test_a_password_that_is_wrong_is_gonogos_own_fault(tmp_path: Path, server: str) -> None:
    head, _, tail = server.partition("@")
    wrong = head.rpartition(":")[0] + ":wrong@" + tail
    async with collecting(
        tmp_path, ["database-up"], metrics="", database=wrong, process={"port": 1}
    ) as found:
        reading = (await found.look())["database-up"]
    assert reading.is_missing
    assert "password authentication failed" in reading.problem
    assert PASSWORD not in str(reading)
