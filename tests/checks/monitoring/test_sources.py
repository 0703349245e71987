"""What is seen from outside: processes that are replaced, limits of groups, sockets, certificates."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from checks.monitoring.model import Reading
from checks.monitoring.sources import asking, database
from checks.monitoring.sources.asking import MAX_NOTES, Notes, Question
from checks.monitoring.sources.collector import Collector
from checks.probe import usage
from checks.probe.limits import cores_of
from tests.checks.audit.answering import Asked, Said, answering, said
from tests.checks.audit.contexts import context_of, target_at
from tests.checks.certificates import DAY, made
from tests.checks.monitoring.collecting import Turned, changed, collecting, threshold


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that is busy with other tests takes longer than a production host should."""
    monkeypatch.setattr(asking, "LOOK_WITHIN_S", 30.0)
    monkeypatch.setattr(database, "ANSWER_WITHIN_S", 30.0)


# Processes and the host

SERVE = """
import http.server, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.send_header("Content-Length", "2"); self.end_headers(); self.wfile.write(b"{}")
    def log_message(self, *arguments): pass
http.server.HTTPServer.allow_reuse_address = True
server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
print("ready", flush=True)
server.serve_forever()
"""


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def serving(port: int, code: str = SERVE) -> Iterator[int]:
    """A controller of its own process; its pid."""
    command = [sys.executable, "-c", code, str(port)]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with process:
        assert process.stdout
        process.stdout.readline()
        try:
            yield process.pid
        finally:
            process.kill()


async def test_a_process_that_was_replaced_is_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage, "LEAST_SPAN_S", 0.0)
    port = free_port()
    names = ["restarts", "target-memory", "descriptors", "target-cpu"]
    async with collecting(tmp_path, names, metrics="", process={"port": port}) as found:
        before = await found.look()
        with serving(port):
            first = await found.look(6.0)
            second = await found.look(6.0)
        gone = [await found.look(6.0) for _ in range(2)]
        with serving(port):
            third = await found.look(6.0)
            fourth = await found.look(100.0)
    assert before["restarts"].is_missing
    assert f"listens on port {port}" in before["restarts"].problem
    assert (first["restarts"].value, second["restarts"].value) == (0.0, 0.0)
    assert 0 < (second["target-memory"].value or 0) < 50
    assert 0 < (second["descriptors"].value or 0) < 50
    assert (first["target-cpu"].value, second["target-cpu"].is_missing) == (None, False)
    assert gone[1]["descriptors"].is_missing
    assert gone[1]["target-memory"].is_missing
    assert third["restarts"].value == 1.0
    assert fourth["restarts"].value == 0.0
    assert not fourth["descriptors"].is_missing


OPENING = """
import os, resource, socket, sys
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 200))
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
kept = [os.open("/dev/null", 0) for _ in range(80)]
print("ready", flush=True)
sys.stdin.read()
"""


async def test_descriptors_are_held_against_the_soft_limit_of_the_process(tmp_path: Path) -> None:
    port = free_port()
    with serving(port, OPENING):
        async with collecting(tmp_path, ["descriptors"], metrics="", process={"port": port}) as found:
            reading = (await found.look())["descriptors"]
    assert reading.value == 84.0  # 80, the socket, and standard input, output and error


async def test_memory_is_held_against_what_the_processes_may_use(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage.UsageProbe, "may_use_bytes", lambda probe: 4e12)
    async with collecting(tmp_path, ["target-memory"], metrics="") as found:
        large = (await found.look())["target-memory"].value
    monkeypatch.setattr(usage.UsageProbe, "may_use_bytes", lambda probe: 4e9)
    async with collecting(tmp_path, ["target-memory"], metrics="") as found:
        small = (await found.look())["target-memory"].value
    assert large and small
    assert small / large == pytest.approx(1000, rel=0.2)


async def test_of_a_target_on_another_host_nothing_is_seen_here(tmp_path: Path) -> None:
    names = ["host-cpu", "host-memory", "disk-use", "target-memory", "target-cpu", "descriptors", "restarts"]
    target = changed(target_at("http://192.0.2.1:8000"))
    async with context_of(target, tmp_path) as context:
        collector = Collector(context, [threshold(name) for name in names])
        readings = await collector.look()
        await collector.close()
    assert not any(one.applies for one in readings.values())
    assert all("run gonogo there" in one.problem for one in readings.values())


async def test_the_fullest_file_system_is_told(tmp_path: Path) -> None:
    (tmp_path / "chat.db").touch()
    async with collecting(
        tmp_path,
        ["disk-use"],
        metrics="",
        database=f"sqlite:///{tmp_path}/chat.db",
        log={"file": str(tmp_path / "logs" / "chat.log")},
    ) as found:
        gone = (await found.look())["disk-use"]
        (tmp_path / "logs").mkdir()
        seen = (await found.look())["disk-use"]
    state = os.statvfs(tmp_path)
    used = 100 - 100 * state.f_bavail / (state.f_blocks - state.f_bfree + state.f_bavail)
    assert gone.is_missing
    assert "logs cannot be looked at" in gone.problem
    assert seen.value == pytest.approx(used, abs=1.0)


async def test_a_disk_that_nobody_named_is_not_watched(tmp_path: Path) -> None:
    async with collecting(tmp_path, ["disk-use"], metrics="") as found:
        assert not (await found.look())["disk-use"].applies


@pytest.mark.parametrize(
    ("group", "files", "cores"),
    [
        ("0::/app/chat", {"app/chat/cpu.max": "50000 100000"}, 0.5),
        ("0::/app/chat", {"app/cpu.max": "25000 100000", "app/chat/cpu.max": "max 100000"}, 0.25),
        ("0::/app/chat", {"app/chat/cpu.max": "max 100000"}, None),
        ("0::/", {}, None),
        (
            "4:cpu,cpuacct:/app\n3:memory:/other\n0::/",
            {"cpu/app/cpu.cfs_quota_us": "20000", "cpu/app/cpu.cfs_period_us": "100000"},
            0.2,
        ),
        (
            "4:cpu:/app",
            {"cpu/app/cpu.cfs_quota_us": "-1", "cpu/app/cpu.cfs_period_us": "100000"},
            None,
        ),
        ("4:cpuset:/app", {"cpu/app/cpu.cfs_quota_us": "20000"}, None),
        ("nonsense", {"cpu.max": "x y z"}, None),
    ],
)
def test_cores_are_those_of_the_quota(
    tmp_path: Path, group: str, files: dict[str, str], cores: float | None
) -> None:
    (tmp_path / "proc" / str(os.getpid())).mkdir(parents=True)
    (tmp_path / "proc" / str(os.getpid()) / "cgroup").write_text(group + "\n")
    for name, text in files.items():
        path = tmp_path / "groups" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text + "\n")
    found = cores_of(os.getpid(), proc=tmp_path / "proc", groups=tmp_path / "groups")
    assert found == (cores or len(os.sched_getaffinity(0)))


# Sockets and sign-ins


async def test_without_credentials_a_socket_that_wants_a_token_is_not_watched(tmp_path: Path) -> None:
    async with collecting(tmp_path, ["websocket-up"], metrics="", token="") as found:
        reading = (await found.look())["websocket-up"]
        assert not found.target.server.asked
    assert not reading.applies
    assert "there are no credentials: set GONOGO_USERNAME" in reading.problem


async def test_a_refused_handshake_signs_in_again_once_a_minute(tmp_path: Path) -> None:
    async def refusing(asked: Asked) -> Said:
        if asked.path == "/api/auth/login":
            return said({"success": True, "token": f"token-{asked.body.decode()[:4]}"})
        return Said(403, b"", {})

    async with answering(refusing) as server:
        target = target_at(server.url, token="old")
        credentials = msgspec.structs.replace(target.credentials, username="ada", password="pass-word")
        async with context_of(msgspec.structs.replace(target, credentials=credentials), tmp_path) as context:
            clock = Turned()
            collector = Collector(context, [threshold("websocket-up")], mono=clock)
            readings = []
            for _ in range(8):
                clock.now_s += 16
                readings.append((await collector.look())["websocket-up"])
            await collector.close()
        signed, shaken = server.count("/login"), server.count("/ws")
    assert [one.value for one in readings] == [0.0] * 8
    assert "refused with HTTP 403" in readings[0].source
    assert signed == 2  # 128 s
    assert shaken == 8 + signed


async def test_a_socket_is_shaken_hands_with_every_fifteen_seconds(tmp_path: Path) -> None:
    async with collecting(tmp_path, ["websocket-up"], metrics="") as found:
        for _ in range(9):
            await found.look(5.0)
        assert found.target.server.count("/ws") == 3


async def test_a_token_that_has_run_out_does_not_make_the_target_ill(tmp_path: Path) -> None:
    async def strict(asked: Asked) -> Said:
        if asked.path == "/api/auth/login":
            return said({"success": True, "token": "new-token"})
        return Said(200 if asked.headers.get("authorization") == "Bearer new-token" else 401)

    async with answering(strict) as server:
        target = target_at(server.url, token="old-token")
        credentials = msgspec.structs.replace(target.credentials, username="ada", password="pass-word")
        contract = msgspec.structs.replace(target.contract, public=())
        target = msgspec.structs.replace(target, credentials=credentials, contract=contract)
        async with context_of(target, tmp_path) as context:
            collector = Collector(context, [threshold("target-up")])
            values = [(await collector.look())["target-up"].value for _ in range(2)]
            await collector.close()
        assert server.count("/login") == 1
    assert values == [1.0, 1.0]


# The certificate


async def test_a_certificate_is_asked_for_once_an_hour(tmp_path: Path) -> None:
    connections: list[int] = []
    made_now = made(tmp_path / "tls", ends=5 * DAY)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connections.append(1)
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=made_now.context())
    url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with collecting(tmp_path, ["certificate-days"], metrics="", audit={"tls_url": url}) as found:
        days = [(await found.look(after_s))["certificate-days"].value for after_s in (1, 60, 3000, 1000)]
        server.close()
        await server.wait_closed()
        kept = (await found.look(3600))["certificate-days"]
        lost = (await found.look(7200))["certificate-days"]
    assert days == [pytest.approx(5.0, abs=0.01)] * 4
    assert kept.value == pytest.approx(5.0, abs=0.01)
    assert lost.is_missing
    assert "the certificate could not be looked at" in lost.problem
    assert len(connections) <= 2


async def test_without_tls_there_is_no_certificate(tmp_path: Path) -> None:
    async with collecting(tmp_path, ["certificate-days"], metrics="") as found:
        assert (await found.look())["certificate-days"] == Reading(None, applies=False)


# Asking


async def test_a_question_that_fails_says_so_and_is_asked_again() -> None:
    notes, outcomes = Notes(), [ValueError("secret"), None]

    async def ask() -> None:
        outcome = outcomes.pop(0)
        if outcome:
            raise outcome

    question = Question("moon", ask, notes)
    for problem in ("The moon could not be looked at: ValueError", ""):
        question.begin(0.0)
        await asking.waited([question])
        assert question.problem == problem
    assert notes.all == ("The moon could not be looked at: ValueError",)


async def test_a_look_does_not_wait_for_what_it_has_waited_for_before(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(asking, "LOOK_WITHIN_S", 0.2)
    question = Question("hung", asyncio.Event().wait, Notes())  # type: ignore[arg-type]
    question.begin(0.0)
    loop = asyncio.get_running_loop()
    await asking.waited([question])
    began_s = loop.time()
    question.begin(5.0)
    assert question.left_s() <= 0
    await asking.waited([question])
    assert question.pending_s(6.0) == 6.0
    assert loop.time() >= began_s
    await question.close()
    assert question.task is None


def test_problems_are_bounded() -> None:
    notes = Notes()
    for number in range(10 * MAX_NOTES):
        notes.add(f"problem {number} \x1b[31m")
    assert len(notes.all) == MAX_NOTES
    assert "\x1b" not in json.dumps(notes.all, ensure_ascii=False)
