"""What the checks of the host say of real processes that are not run as they should be."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import msgspec
import psutil
import pytest

from checks.audit import host
from checks.audit.common import Function
from checks.audit.host import clocks_agree, only_needed_ports, restart_is_supervised, runs_without_root
from checks.audit.host_limits import enough_descriptors, memory_is_bounded, no_core_dumps
from checks.context import Context
from checks.launches import Bot
from checks.model import Outcome, Reason, Verdict
from checks.probe import supervision
from checks.probe.clock import ClockState
from checks.probe.family import Family, Listener, Member
from checks.probe.supervision import ENDS_WITH_STARTER, look_at_supervision
from checks.text import NOTHING, Clean
from tests.checks.audit.answering import Asked, Said, answering
from tests.checks.audit.contexts import context_of, target_at

SERVICE = """
import resource, socket, subprocess, sys
for name, soft in {limits!r}.items():
    resource.setrlimit(getattr(resource, name), (soft, resource.getrlimit(getattr(resource, name))[1]))
listener = socket.create_server(("127.0.0.1", 0))
public = socket.socket()
public.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
public.bind(("{address}", 0))
public.listen()
child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE)
print(listener.getsockname()[1], public.getsockname()[1], flush=True)
sys.stdin.read()
child.kill()
"""
"""A controller with a bot and, on `address`, a second port, which nobody but this host can reach."""
ALL = (
    runs_without_root,
    only_needed_ports,
    enough_descriptors,
    memory_is_bounded,
    no_core_dumps,
    restart_is_supervised,
)
NOBODY = 65534


@pytest.fixture(autouse=True)
def no_further_bot(monkeypatch: pytest.MonkeyPatch) -> None:
    """The controller has its bot; where it has none, there is none to be had."""

    async def a_bot(context: Context) -> Bot:
        del context
        return Bot("BOT-1")

    monkeypatch.setattr(host, "a_bot", a_bot)


@asynccontextmanager
async def on_service(
    folder: Path,
    *,
    address: str = "127.0.0.1",
    limits: dict[str, int] | None = None,
    ports: tuple[str, ...] = (),
    environment: dict[str, str] | None = None,
) -> AsyncIterator[tuple[Context, int]]:
    """A run on such a controller; also its second port."""
    code = SERVICE.replace("{limits!r}", repr(limits or {})).replace("{address}", address)
    with subprocess.Popen(  # noqa: ASYNC220 - it is told to end below
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, **(environment or {})},
    ) as process:
        assert process.stdin
        assert process.stdout
        port, second = map(int, process.stdout.readline().split())
        try:
            target = target_at(f"http://127.0.0.1:{port}", {"ports": ports})
            async with context_of(target, folder) as context:
                yield context, second
        finally:
            process.stdin.close()


async def judged(folder: Path, function: Function, **options: object) -> Outcome:
    """What `function` says of such a controller."""
    async with on_service(folder, **options) as (context, _):  # type: ignore[arg-type]
        return await function(context)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can start what runs as root")
async def test_root_is_told_with_the_bots(tmp_path: Path) -> None:
    outcome = await judged(tmp_path, runs_without_root)
    assert outcome.verdict is Verdict.FAIL
    assert outcome.summary.startswith("The controller and bots: it runs as root (pid ")


@pytest.mark.parametrize(
    ("uid", "rights", "verdict", "told"),
    [
        (NOBODY, (), Verdict.PASS, "further processes run as chat"),
        (NOBODY, ("CAP_SYS_ADMIN",), Verdict.FAIL, "The controller: it has CAP_SYS_ADMIN (pid 7)"),
        (0, (), Verdict.FAIL, "The controller: it runs as root (pid 7)"),
        (None, (), Verdict.INCONCLUSIVE, "may not be seen by this account"),
    ],
)
async def test_rights_are_judged_by_account_and_capabilities(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    uid: int | None,
    rights: tuple[str, ...],
    verdict: Verdict,
    told: str,
) -> None:
    member = Member(7, Clean("python"), False, uid, Clean("chat"), rights, 0.0)
    monkeypatch.setattr(host, "look_at_family", lambda port, pid: Family((member,)))
    async with context_of(target_at("http://127.0.0.1:8000"), tmp_path) as context:
        outcome = await runs_without_root(context)
    assert outcome.verdict is verdict, outcome
    assert told in outcome.summary


async def test_a_public_port_is_told_unless_it_is_named(tmp_path: Path) -> None:
    async with on_service(tmp_path, address="0.0.0.0") as (context, second):
        outcome = await only_needed_ports(context)
        assert outcome.verdict is Verdict.FAIL
        assert f"Port {second} of the controller" in outcome.summary
        audit = msgspec.structs.replace(context.target.profile.audit, ports=(str(second),))
        profile = msgspec.structs.replace(context.target.profile, audit=audit)
        context.target = msgspec.structs.replace(context.target, profile=profile)
        assert (await only_needed_ports(context)).verdict is Verdict.PASS
    assert (await judged(tmp_path, only_needed_ports)).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("address", "is_public"),
    [("127.9.9.9", False), ("::1", False), ("::ffff:127.0.0.1", False), ("::", True), ("fe80::1%eth0", True)],
)
def test_addresses_that_other_hosts_reach_are_told_apart(address: str, is_public: bool) -> None:
    assert Listener(1, NOTHING, address, 80).is_public is is_public


@pytest.mark.parametrize(
    ("url", "port"),
    [
        ("postgresql://chat:pw@localhost/chat", 5432),
        ("postgresql+psycopg://127.0.0.1:5433/chat", 5433),
        ("postgresql:///chat?host=/run/postgresql", 5432),
        ("postgresql://db.example/chat", 0),
        ("postgresql://localhost:port/chat", 0),
        ("sqlite:////srv/chat.db", 0),
        ("", 0),
    ],
)
def test_only_a_database_server_of_this_host_is_looked_at(url: str, port: int) -> None:
    assert host._local_database(url) == port


@pytest.mark.parametrize(
    ("function", "limits", "verdict", "told"),
    [
        (enough_descriptors, {"RLIMIT_NOFILE": 256}, Verdict.FAIL, "256 files and connections at once"),
        (memory_is_bounded, {}, Verdict.FAIL, "Nothing bounds the memory"),
        (memory_is_bounded, {"RLIMIT_AS": 1 << 30}, Verdict.PASS, "bounded at 1,024 MiB"),
        (no_core_dumps, {"RLIMIT_CORE": 0}, Verdict.PASS, "Core dumps are off"),
        (no_core_dumps, {"RLIMIT_CORE": 4096}, Verdict.FAIL, "secrets included"),
    ],
)
async def test_limits_are_those_of_the_process(
    tmp_path: Path, function: Function, limits: dict[str, int], verdict: Verdict, told: str
) -> None:
    if resource.getrlimit(resource.RLIMIT_CORE)[1] == 0 and limits.get("RLIMIT_CORE"):
        pytest.skip("this host allows no core dumps at all")
    outcome = await judged(tmp_path, function, limits=limits)
    assert outcome.verdict is verdict, outcome
    assert told in outcome.summary


async def test_what_this_account_may_not_see_is_never_passed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Hidden:
        """Sockets of other accounts are listed without their process."""

        def __init__(self, one: psutil._ntuples.sconn) -> None:
            self.status, self.laddr, self.pid = one.status, one.laddr, None

    real = psutil.net_connections
    monkeypatch.setattr(psutil, "net_connections", lambda kind: [Hidden(one) for one in real(kind)])
    async with on_service(tmp_path) as (context, _):
        told = {(outcome := await function(context)).summary for function in ALL}
        assert (outcome.verdict, outcome.reason) == (Verdict.INCONCLUSIVE, Reason.NO_RIGHT)
    assert len(told) == 1
    assert "run gonogo as the account of the service or as root" in told.pop()


async def test_a_target_elsewhere_is_not_judged_by_this_host(tmp_path: Path) -> None:
    async with context_of(target_at("http://chat.example:8000"), tmp_path) as context:
        for function in ALL:
            outcome = await function(context)
            assert (outcome.verdict, outcome.reason) == (Verdict.INCONCLUSIVE, Reason.NO_SOURCE)


def dated(off: timedelta, *, zone: bool = True, date: bool = True) -> Callable[[Asked], Said]:
    """A health answered by a clock that is `off`."""

    def answer(asked: Asked) -> Said:
        del asked
        moment = datetime.now(UTC) + off
        body = {"status": "ok", "timestamp": moment.replace(tzinfo=UTC if zone else None).isoformat()}
        headers = {"Content-Type": "application/json"}
        if date:
            headers["Date"] = format_datetime(moment, usegmt=True)
        return Said(200, json.dumps(body).encode(), headers)

    return answer


@pytest.mark.parametrize(
    ("answer", "clock", "verdict", "told"),
    [
        (dated(timedelta()), ClockState(True, ()), Verdict.PASS, "no time service is seen here"),
        (dated(timedelta(seconds=300)), ClockState(True, ()), Verdict.FAIL, "300 s ahead of this host's"),
        (dated(timedelta(seconds=-9), date=False), ClockState(True, ()), Verdict.FAIL, "9 s behind"),
        (
            dated(timedelta(), date=False, zone=False),
            ClockState(True, ()),
            Verdict.INCONCLUSIVE,
            "neither Date",
        ),
        (dated(timedelta()), ClockState(False, (Clean("chronyd"),)), Verdict.FAIL, "chronyd runs, but"),
        (dated(timedelta()), ClockState(None, (Clean("chronyd"),)), Verdict.PASS, "this host's"),
    ],
)
async def test_clocks_are_compared(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    answer: Callable[[Asked], Said],
    clock: ClockState,
    verdict: Verdict,
    told: str,
) -> None:
    async def said(asked: Asked) -> Said:
        return answer(asked)

    monkeypatch.setattr(host, "look_at_clock", lambda: clock)
    async with answering(said) as server, context_of(target_at(server.url), tmp_path) as context:
        outcome = await clocks_agree(context)
    assert outcome.verdict is verdict, outcome
    assert told in outcome.summary


async def test_a_process_that_nobody_starts_again_fails(tmp_path: Path) -> None:
    outcome = await judged(tmp_path, restart_is_supervised)
    assert (outcome.verdict, outcome.summary) == (
        Verdict.FAIL,
        "No supervisor runs it: when it ends, it stays down",
    )


async def test_a_demo_that_ends_with_its_starter_needs_no_supervisor(tmp_path: Path) -> None:
    outcome = await judged(tmp_path, restart_is_supervised, environment={ENDS_WITH_STARTER: "1"})
    assert outcome.verdict is Verdict.NA
    assert f"its input is a pipe of pid {os.getpid()}" in outcome.summary


def test_the_mark_of_such_a_demo_is_not_believed_without_the_pipe() -> None:
    with subprocess.Popen(
        ["sleep", "30"], stdin=subprocess.DEVNULL, env={**os.environ, ENDS_WITH_STARTER: "1"}
    ) as process:
        assert look_at_supervision(process.pid).kind == "none"
        process.kill()


@pytest.mark.parametrize("name", ["runsv", "s6-supervise"])
def test_a_supervisor_above_it_is_seen(tmp_path: Path, name: str) -> None:
    program = tmp_path / name
    program.symlink_to("/bin/sh")
    with subprocess.Popen(
        [str(program), "-c", "sleep 30 & echo $!; read line; kill $!; wait"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdin
        assert process.stdout
        seen = look_at_supervision(int(process.stdout.readline()))
        process.stdin.close()
    assert (seen.kind, seen.told) == ("supervised", f"It is run by {name}, which starts it again")


@pytest.mark.parametrize(
    ("restart", "state", "main", "kind"),
    [
        ("on-failure", "enabled", "own", "supervised"),
        ("no", "enabled", "own", "not-restarted"),
        ("always", "disabled", "own", "not-restarted"),
        ("always", "enabled", "1", "none"),
    ],
)
def test_a_unit_counts_where_it_runs_the_controller_and_starts_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, restart: str, state: str, main: str, kind: str
) -> None:
    with subprocess.Popen(["sleep", "30"]) as process:
        pid = str(process.pid) if main == "own" else main
        program = tmp_path / "systemctl"
        program.write_text(
            f"#!/bin/sh\necho MainPID={pid}\necho Restart={restart}\necho UnitFileState={state}\n"
        )
        program.chmod(0o755)
        monkeypatch.setattr(supervision, "unit_of", lambda pid: "chat.service")
        monkeypatch.setattr(shutil, "which", lambda name: str(program))
        assert look_at_supervision(process.pid).kind == kind
        process.kill()
