"""The generator as a process: started, told, heard, and gone when its console is."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import textwrap
from array import array
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from checks.load.generator_process import ROOT, GeneratorProcess
from checks.load.model import Failure
from checks.load.wire import Done, Failed, Finish, LegDone, Ready, Report, Setup, Tick, Unframer, framed
from tests.checks.load.engines import check, opened, setup
from tests.checks.load.manners import Target, served

WITHIN_S = 10.0


@contextlib.asynccontextmanager
async def generator(order: Setup) -> AsyncIterator[GeneratorProcess]:
    """One that is gone afterwards, whatever happened."""
    process = GeneratorProcess()
    try:
        async with asyncio.timeout(WITHIN_S):
            await process.start(order)
            yield process
    finally:
        await process.close()


async def the_rest(process: GeneratorProcess) -> list[Report]:
    """All that it still reports."""
    return [report async for report in process.reports()]


async def gone(pid: int) -> None:
    """Wait until no process of this id runs."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(descriptor, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(descriptor)
        os.close(descriptor)


async def test_orders_go_in_and_reports_come_out() -> None:
    async with served(Target()) as target, generator(setup(target.port, 4)) as process:
        await process.send(opened(100, 0.3))
        await process.send(Finish())
        reports = await the_rest(process)
        assert process.problem == ""
    ready, leg = reports[0], next(one for one in reports if isinstance(one, LegDone))
    assert isinstance(ready, Ready)
    assert (ready.pid, ready.connected, ready.problems) == (process.pid, 4, {})
    check(leg)
    assert leg.ok == 30 == len(target.texts)
    assert isinstance(reports[-1], Done)


@pytest.mark.parametrize(
    ("manner", "kind"),
    [("token", Failure.REFUSED), ("garbage", Failure.PROTOCOL), ("silent", Failure.NO_REPLY)],
)
async def test_failures_and_examples_cross_the_pipe(manner: str, kind: Failure) -> None:
    async with served(Target(manner)) as target, generator(setup(target.port)) as process:
        await process.send(opened(200, 0.005))
        await process.send(Finish())
        reports = await the_rest(process)
    done = reports[-1]
    assert isinstance(done, Done)
    assert list(done.examples) == [kind]
    assert done.unanswered == {"u0": [1]}
    assert [leg.failures for leg in reports if isinstance(leg, LegDone)] == [{kind: 1}]


async def test_nobody_to_connect_to_is_told_over_the_pipe() -> None:
    target = Target()
    async with served(target):
        pass
    async with generator(setup(target.port, 3)) as process:
        (failed,) = await the_rest(process)
    assert isinstance(failed, Failed)
    assert failed.sentence == f"No user could connect to 127.0.0.1:{target.port}: connection refused"


async def test_what_cannot_start_says_why_and_ends() -> None:
    async with generator(setup(1, url="gopher://x")) as process:
        (failed,) = await the_rest(process)
    assert isinstance(failed, Failed)
    assert failed.sentence == "The address of the target is not http:// or https:// and a host"


async def test_what_is_no_order_ends_it() -> None:
    async with generator(setup(1)) as process:
        assert process._process is not None
        assert process._process.stdin is not None
        process._process.stdin.write(b"\x00\x00\x00\x03abc")
        reports = await the_rest(process)
    assert any(isinstance(one, Failed) and "could not be read" in one.sentence for one in reports)


async def test_a_kill_ends_the_traffic_and_the_reports() -> None:
    async with served(Target()) as target, generator(setup(target.port, 4)) as process:
        await process.send(opened(200, 60))
        await target.asked(1)
        process.kill()
        process.kill()
        await the_rest(process)
        count = len(target.texts)
        await process.send(Finish())
        await asyncio.sleep(0.1)
        assert len(target.texts) == count
        await process.close()
        await process.close()


async def test_sigterm_is_a_halt_and_the_terminals_signals_are_the_consoles() -> None:
    async with served(Target()) as target, generator(setup(target.port, 4)) as process:
        await process.send(opened(200, 60))
        await target.asked(1)
        os.kill(process.pid, signal.SIGINT)
        os.kill(process.pid, signal.SIGHUP)
        await target.asked(len(target.texts) + 10)
        os.kill(process.pid, signal.SIGTERM)
        reports = await the_rest(process)
    done = reports[-1]
    assert isinstance(done, Done)
    assert sum(done.sent.values()) == len(target.texts)


CONSOLE = """
    import asyncio, sys
    from checks.load.generator_process import GeneratorProcess
    from checks.load.model import Arrival, Part
    from checks.load.wire import Leg
    from tests.checks.load.engines import setup

    async def main():
        process = GeneratorProcess()
        await process.start(setup(int(sys.argv[1]), 8, reply_within_s=60.0))
        await process.send(Leg(part=Part.HOLD, seconds=60, arrival=Arrival.CONSTANT, rate_from=200, rate_to=200))
        print(process.pid, flush=True)
        async for report in process.reports():
            pass

    asyncio.run(main())
"""


@pytest.mark.parametrize("manner", ["good", "gigabyte"])
async def test_traffic_ends_with_a_console_that_is_killed(manner: str) -> None:
    async with served(Target(manner)) as target:
        console = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            textwrap.dedent(CONSOLE),
            str(target.port),
            stdout=asyncio.subprocess.PIPE,
            cwd=ROOT,
        )
        assert console.stdout is not None
        pid = int(await asyncio.wait_for(console.stdout.readline(), WITHIN_S))
        async with asyncio.timeout(WITHIN_S):
            await target.asked(1)
        console.kill()
        await console.wait()
        async with asyncio.timeout(1.0):
            await gone(pid)
        count = len(target.texts)
        await asyncio.sleep(0.1)
        assert len(target.texts) == count


async def test_the_end_of_its_orders_ends_it_at_once() -> None:
    async with (
        served(Target("silent")) as target,
        generator(setup(target.port, 8, reply_within_s=60.0)) as process,
    ):
        await process.send(opened(200, 60))
        await target.asked(1)
        assert process._process is not None
        assert process._process.stdin is not None
        async with asyncio.timeout(0.5):
            process._process.stdin.close()
            await gone(process.pid)


async def test_a_dead_console_is_noticed_where_its_pipe_is_held_by_another() -> None:
    reading, writing = os.pipe()
    try:
        async with served(Target()) as target:
            orders = framed(setup(target.port, 4)) + framed(opened(200, 60))
            code = (
                "import subprocess, sys, time; "
                "print(subprocess.Popen([sys.executable, '-m', 'checks.load.generator'], stdin=int(sys.argv[1]), "
                "stdout=subprocess.DEVNULL).pid, flush=True); time.sleep(60)"
            )
            console = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", code, str(reading)),
                stdout=asyncio.subprocess.PIPE,
                pass_fds=(reading,),
                cwd=ROOT,
            )
            assert console.stdout is not None
            pid = int(await asyncio.wait_for(console.stdout.readline(), WITHIN_S))
            os.write(writing, orders)
            async with asyncio.timeout(WITHIN_S):
                await target.asked(1)
            console.kill()
            await console.wait()
            async with asyncio.timeout(2.0):
                await gone(pid)
    finally:
        os.close(reading)
        os.close(writing)


async def test_a_console_that_does_not_read_changes_no_figure() -> None:
    async with served(Target()) as target:
        inner = subprocess.Popen(  # noqa: ASYNC220 - its pipes are meant to be looked after by nobody
            [sys.executable, "-m", "checks.load.generator"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
        )
        assert inner.stdin is not None
        assert inner.stdout is not None
        try:
            # The smallest pipe there is: a few seconds fill it.
            fcntl.fcntl(inner.stdout, 1031, 4096)
            legs = [framed(opened(1000, 0.5)) for _ in range(2)]
            inner.stdin.write(b"".join([framed(setup(target.port, 20)), *legs, framed(Finish())]))
            inner.stdin.flush()
            async with asyncio.timeout(WITHIN_S):
                await target.asked(1000)
            assert inner.poll() is None
            data = await asyncio.to_thread(inner.stdout.read)
            assert inner.wait(WITHIN_S) == 0
        finally:
            inner.kill()
            inner.wait()
            inner.stdin.close()
            inner.stdout.close()
    reports = Unframer(Report).feed(data)
    assert len(data) > 8192
    done = [one for one in reports if isinstance(one, LegDone)]
    assert [(leg.place, leg.due, leg.sent, leg.ok) for leg in done] == [
        (place, 500, 500, 500) for place in range(2)
    ]
    assert [one.second for one in reports if isinstance(one, Tick)] == [0]
    gaps = sorted(after - before for before, after in zip(target.times, target.times[1:], strict=False))
    assert gaps[-1] < 0.4, "sending went on while nobody read"


async def test_nothing_of_the_consoles_environment_reaches_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GONOGO_PASSWORD", "hush")
    async with served(Target()) as target, generator(setup(target.port)) as process:
        environment = await asyncio.to_thread(Path(f"/proc/{process.pid}/environ").read_bytes)
        assert b"hush" not in environment
        assert b"PATH=" in environment
        assert os.getsid(process.pid) == process.pid
        await process.send(Finish())
        await the_rest(process)


async def test_it_keeps_to_its_core() -> None:
    core = min(os.sched_getaffinity(0))
    async with served(Target()) as target, generator(setup(target.port, core=core)) as process:
        async for report in process.reports():
            assert isinstance(report, Ready)
            assert os.sched_getaffinity(report.pid) == {core}
            break


def test_it_imports_little_and_the_consoles_end_less() -> None:
    heavy = ("sqlalchemy", "httpx", "textual", "rich", "starlette", "psutil")
    for module, unwanted in (
        ("checks.load.generator.process", heavy),
        ("checks.load.generator_process", (*heavy, "httptools", "uvloop", "websockets")),
    ):
        code = f"import sys, json, {module}; print(json.dumps(sorted(set({unwanted!r}) & set(sys.modules))))"
        ran = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True, cwd=ROOT
        )
        assert json.loads(ran.stdout) == []


def test_its_latencies_are_a_plain_array() -> None:
    from checks.load.generator.books import Samples

    samples = Samples()
    samples.extend([1, 2, 1 << 40])
    kept = array("q")
    kept.frombytes(samples.packed())
    assert kept.tolist() == [1, 2, (1 << 31) - 1]
