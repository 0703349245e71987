"""The sampler shows what the target uses, once a second, and says once what it cannot see."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path

import msgspec
import pytest

from checks.context import Context
from checks.load import connections
from checks.load import sampler as sampler_module
from checks.load.connections import pool_of
from checks.load.model import Sample
from checks.load.sampler import Sampler, peak
from checks.probe import usage
from checks.probe.sql import Table
from checks.target import Target
from tests.checks.audit.answering import Answering, Asked, Said, answering, said
from tests.checks.audit.contexts import context_of, target_at
from tests.checks.builders import evidence
from tests.postgres import MARKS, fresh, url_of

POOL = """# TYPE db_pool_connections gauge
db_pool_connections{state="in_use"} 3
db_pool_connections{state="size"} 8
db_pool_connections{state="max"} 16
thread_pool_active 99
"""


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that is busy with other tests takes longer than a production host should."""
    monkeypatch.setattr(sampler_module, "LOOK_WITHIN_S", 30.0)
    monkeypatch.setattr(connections, "METRICS_WITHIN_S", 30.0)
    monkeypatch.setattr(connections, "SESSIONS_WITHIN_S", 30.0)


def with_(target: Target, *, database: str = "", metrics: str = "", **process: int) -> Target:
    """The target with a database, metrics and values of [process]."""
    contract = msgspec.structs.replace(target.contract, metrics=metrics)
    profile = msgspec.structs.replace(
        target.profile, process=msgspec.structs.replace(target.profile.process, **process)
    )
    return msgspec.structs.replace(target, contract=contract, profile=profile, database_url=database)


@asynccontextmanager
async def sampling(
    folder: Path, answer: Answering, *, database: str = "", metrics: str = "", **process: int
) -> AsyncIterator[tuple[Sampler, Context]]:
    """A sampler on this very process, which serves `answer`."""
    async with answering(answer) as server:
        target = with_(target_at(server.url), database=database, metrics=metrics, **process)
        async with context_of(target, folder) as context:
            yield Sampler(context), context


async def nothing(asked: Asked) -> Said:
    """No metrics."""
    return said({"success": False}, 404)


async def test_the_process_that_listens_is_sampled_with_its_host(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "LEAST_SPAN_S", 0.0)
    async with sampling(tmp_path, nothing) as (sampler, _):
        first = await sampler.sample()
        second = await sampler.sample()
    assert first.cpu_percent is None
    assert second.cpu_percent is not None
    assert second.memory_bytes and second.memory_bytes > 10 << 20
    assert second.memory_percent is not None
    assert 0 < second.memory_percent < 100
    assert second.processes and second.threads and second.descriptors
    assert second.host_memory_percent and second.console_cpu_percent is not None
    assert second.database_connections is None
    assert any("set [database] url" in one for one in sampler.problems)


async def test_connections_come_from_the_targets_own_metrics(tmp_path: Path) -> None:
    async def metrics(asked: Asked) -> Said:
        return Said(200, POOL.encode(), {"Content-Type": "text/plain"})

    async with sampling(tmp_path, metrics, metrics="/metrics") as (sampler, _):
        sample = await sampler.sample()
    assert (sample.database_connections, sampler.pool_size) == (3, 16)
    assert sampler.connections_from == "/metrics of the target"


async def test_metrics_that_want_a_token_get_it_and_nobody_else_does(tmp_path: Path) -> None:
    async def guarded(asked: Asked) -> Said:
        if asked.headers.get("authorization") != "Bearer a.good.token":
            return said({"success": False}, 401)
        return Said(200, POOL.encode(), {})

    async with sampling(tmp_path, guarded, metrics="/metrics") as (sampler, _):
        await sampler.sample()
        assert (await sampler.sample()).database_connections == 3
        assert not sampler.problems


async def test_metrics_without_the_pool_are_told_once_and_the_file_is_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"

    async def metrics(asked: Asked) -> Said:
        return Said(200, b"http_requests_total 7\n", {})

    with closing(sqlite3.connect(path)) as one, closing(sqlite3.connect(path)) as other:
        for connection in (one, other):
            connection.execute("CREATE TABLE IF NOT EXISTS messages (id)").close()
        async with sampling(tmp_path, metrics, database=f"sqlite:///{path}", metrics="/metrics") as (
            sampler,
            _,
        ):
            await sampler.sample()
            sample = await sampler.sample()
    assert (sample.database_connections, sample.database_waiting) == (2, None)
    assert len(sampler.problems) == 1
    assert "does not tell how many connections" in sampler.problems[0]


async def test_metrics_that_hang_cost_a_second_at_most(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "METRICS_WITHIN_S", 0.05)

    async def hang(asked: Asked) -> Said:
        await asyncio.sleep(30)
        return said({})

    async with sampling(tmp_path, hang, metrics="/metrics") as (sampler, _):
        async with asyncio.timeout(10):
            sample = await sampler.sample()
            again = await sampler.sample()
    assert sample.database_connections is None
    assert again.memory_bytes, "the rest is there"


async def test_a_database_that_hangs_is_not_piled_upon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "SESSIONS_WITHIN_S", 0.02)
    monkeypatch.setattr(connections, "SESSIONS_EVERY_S", 0.0)
    asked, freed = 0, asyncio.Event()

    async with sampling(tmp_path, nothing, database="postgresql://u@127.0.0.1:1/d") as (sampler, context):

        async def hang(statement: str, **values: object) -> Table:
            nonlocal asked
            asked += 1
            await freed.wait()
            row = {"connections": 4, "waiting": 1, "hidden": 0}
            return Table((row,), None, evidence())

        monkeypatch.setattr(context.sql, "ask", hang)
        samples = [await sampler.sample() for _ in range(5)]
        assert asked == 1
        assert {one.database_connections for one in samples} == {None}
        freed.set()
        sample = await sampler.sample()
    assert (sample.database_connections, sample.database_waiting) == (4, 1)


@pytest.mark.postgres
@pytest.mark.skipif(MARKS[1].args[0], reason="needs PostgreSQL's initdb and postgres")
async def test_sessions_of_the_targets_role_are_counted_and_those_that_wait_for_a_lock(
    tmp_path: Path,
) -> None:
    import psycopg

    with fresh() as (_, port):
        async with (
            await psycopg.AsyncConnection.connect(url_of(port)) as holder,
            await psycopg.AsyncConnection.connect(url_of(port)) as waiter,
            sampling(tmp_path, nothing, database=url_of(port)) as (sampler, _),
        ):
            await holder.execute("SELECT pg_advisory_lock(7)")
            blocked = asyncio.create_task(waiter.execute("SELECT pg_advisory_lock(7)"))
            async with asyncio.timeout(10):
                sample = await sampler.sample()
                while sample.database_waiting != 1:
                    sampler._connections._sessions_at = -9e9
                    sample = await sampler.sample()
            assert (sample.database_connections, sampler.connections_from) == (2, "pg_stat_activity")
            await holder.execute("SELECT pg_advisory_unlock(7)")
            await blocked
    assert not any("could not be counted" in one for one in sampler.problems)


async def test_a_database_that_cannot_be_reached_is_told_once(tmp_path: Path) -> None:
    async with sampling(tmp_path, nothing, database="postgresql://u@127.0.0.1:1/d") as (sampler, _):
        await sampler.sample()
        await sampler.sample()
    assert [one for one in sampler.problems if "could not be counted" in one] == [sampler.problems[0]]
    assert "\n" not in sampler.problems[0]


async def test_a_target_elsewhere_is_not_seen_and_the_cure_is_told(tmp_path: Path) -> None:
    async with context_of(with_(target_at("http://192.0.2.1:8000")), tmp_path) as context:
        sampler = Sampler(context)
        sample = await sampler.sample()
    assert (sample.memory_bytes, sample.cpu_percent) == (None, None)
    assert sample.host_memory_percent
    assert any("192.0.2.1: run gonogo there" in one for one in sampler.problems)


@pytest.fixture
def other() -> Iterator[int]:
    """A process that has nothing to do with the target."""
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process.pid
        process.kill()


async def test_a_wrong_pid_is_told(tmp_path: Path, other: int) -> None:
    async with sampling(tmp_path, nothing, pid=other) as (sampler, _):
        sample = await sampler.sample()
    assert sample.memory_bytes is None
    assert any("correct [process] pid" in one for one in sampler.problems)


LISTENING = """
import socket, sys
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print(listener.getsockname()[1], flush=True)
sys.stdin.read()
"""


@contextmanager
def listening_on(port: int) -> Iterator[tuple[int, int]]:
    """A process that listens on `port` (0: any): its pid and the port."""
    command = [sys.executable, "-c", LISTENING, str(port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        yield process.pid, int(process.stdout.readline())
        process.kill()


def kill(pid: int) -> None:
    """End a child, and leave what is left of it to whoever started it."""
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


async def test_a_target_that_is_started_again_meanwhile_is_found_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("checks.load.sampler.SOUGHT_AGAIN_S", 0.0)
    with listening_on(0) as (pid, port):
        target = with_(target_at(f"http://127.0.0.1:{port}"), pid=pid)
        async with context_of(target, tmp_path) as context:
            sampler = Sampler(context)
            assert (await sampler.sample()).processes == 1
            kill(pid)
            assert (await sampler.sample()).processes is None
            with listening_on(port):
                assert (await sampler.sample()).processes == 1


async def test_whatever_breaks_leaves_an_empty_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ValueError("a kernel that nobody knows")

    async with sampling(tmp_path, nothing) as (sampler, _):
        monkeypatch.setattr("checks.load.sampler.processes_of", broken)
        sample = await sampler.sample()
    assert sample.memory_bytes is None
    assert "could not be looked at: ValueError" in sampler.problems[0]


@pytest.mark.parametrize(
    ("text", "in_use", "most"),
    [
        (POOL, 3, 16),
        (
            'hikaricp_connections_pool_active{pool="a"} 2\nhikaricp_connections_pool_active{pool="b"} 5\n',
            7,
            None,
        ),
        ("db_pool_checked_out 4\ndb_pool_max_connections 20\n", 4, 20),
        ("sqlalchemy_pool_checkedout 4.0\n", 4, None),
        ('db_pool_connections{state="idle"} 4\n', None, None),
        ('db_pool_connections{state="in_use"} NaN\n', None, None),
        ('db_pool_connections{state="in_use"} 1e400\n', None, None),
        ("thread_pool_active 5\n", None, None),
        ("\x00{{{ 1\n", None, None),
        ("", None, None),
    ],
)
def test_the_pool_is_found_in_metrics(text: str, in_use: int | None, most: int | None) -> None:
    seen = pool_of(text)
    assert (seen.in_use, seen.most) == (in_use, most)


def test_the_peak_is_that_of_each_figure() -> None:
    every = [Sample(cpu_percent=5.0, threads=3), Sample(cpu_percent=50.0, memory_bytes=0), Sample()]
    assert peak(every) == Sample(cpu_percent=50.0, threads=3, memory_bytes=0)
    assert peak([]) == Sample()
