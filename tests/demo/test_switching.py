"""Faults that are switched on and off while the demo runs: each really happens, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import ssl
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from console.demo.launch import DemoError, DemoProcess
from console.demo.switch_file import read_switches, write_switches
from tests.demo.client import history, launch, say, signed_in
from tests.demo.watching import metrics, until, value

MIB = 1 << 20


@pytest.fixture(scope="module")
def switched() -> Iterator[DemoProcess]:
    """A demo whose faults these tests switch."""
    with DemoProcess.start(port=0) as demo:
        yield demo


@pytest.fixture
def demo(switched: DemoProcess) -> Iterator[DemoProcess]:
    """The same, with nothing switched on before and after."""
    yield switched
    off(switched)


def events(demo: DemoProcess, text: str) -> list[dict[str, Any]]:
    """The lines of its log with that event."""
    lines = map(json.loads, Path(demo.info["log"]).read_text("utf-8").splitlines())
    return [line for line in lines if line["event"] == text]


def on(demo: DemoProcess, *names: str) -> None:
    """Switch these on alone, and wait until it was seen."""
    seen = len(events(demo, "faults switched"))
    demo.switch(*names)
    until(lambda: len(events(demo, "faults switched")) > seen, f"{names} were not switched on")


def off(demo: DemoProcess) -> None:
    """Switch everything off, and wait until it was seen."""
    if read_switches(demo.profile.parent):
        on(demo)


def status_of(url: str) -> int:
    """What it is answered with."""
    return httpx.get(url, timeout=5).status_code


def told(demo: DemoProcess, series: str) -> float:
    """What `/metrics` says now."""
    return value(metrics(demo), series)


def test_faults_come_and_go_and_those_of_the_start_stay() -> None:
    with DemoProcess.start(port=0, faults=["rest-open", "unhealthy"]) as demo:
        assert read_switches(demo.profile.parent) == {"unhealthy"}
        assert (demo.profile.parent / "faults").stat().st_mode & 0o777 == 0o600
        assert status_of(f"{demo.url}/health") == 503
        demo.switch("metrics-down")
        until(lambda: status_of(f"{demo.url}/health") == 200)
        assert status_of(f"{demo.url}/metrics") == 503
        assert status_of(f"{demo.url}/api/bots") == 200, "rest-open"
        with pytest.raises(
            DemoError, match=r"^The fault 'rest-open' cannot be switched while the demo runs; these"
        ):
            demo.switch("unhealthy", "rest-open")
        assert status_of(f"{demo.url}/health") == 200


def open_to_all(path: Path) -> None:
    """A file that everybody may read."""
    write_switches(path.parent, frozenset({"unhealthy"}))
    path.chmod(0o644)


def test_only_a_file_that_is_its_owners_alone_switches_anything(demo: DemoProcess, tmp_path: Path) -> None:
    path = demo.profile.parent / "faults"

    def refused() -> int:
        return len(events(demo, "faults not switched"))

    other = tmp_path / "other"
    other.write_text("unhealthy\n", "utf-8")
    spoiling: dict[str, Callable[[], object]] = {
        "link": lambda: path.symlink_to(other),
        "pipe": lambda: os.mkfifo(path, 0o600),
        "folder": path.mkdir,
        "mode": partial(open_to_all, path),
    }
    for what, spoil in spoiling.items():
        before = refused()
        path.rmdir() if path.is_dir() else path.unlink()
        spoil()
        until(partial(lambda count: refused() > count, before), f"{what} was not refused")
        assert status_of(f"{demo.url}/health") == 200, what
    write_switches(path.parent, frozenset())
    path.write_bytes(b"\xff\x00\n" + b"x" * 300 + b"\nreply-lost\n  metrics-down \n")
    until(lambda: status_of(f"{demo.url}/metrics") == 503)
    names = events(demo, "faults that cannot be switched")[-1]["names"]
    assert "reply-lost" in names
    assert max(map(len, names)) <= 60


def test_what_lasts_is_undone_when_it_is_switched_off(demo: DemoProcess) -> None:
    names = ("pool-held", "slow-query", "memory-ballast", "cpu-busy", "descriptors-open", "log-noisy")
    process, text = psutil.Process(demo.pid), metrics(demo)
    memory, limit = value(text, "process_resident_memory_bytes"), value(text, "process_max_fds")
    on(demo, *names)
    until(lambda: told(demo, 'db_pool_connections{state="in_use"}') >= 14)
    until(lambda: told(demo, "process_open_fds") / told(demo, "process_max_fds") > 0.85)
    until(lambda: told(demo, "process_resident_memory_bytes") > memory + 60 * MIB)
    until(lambda: told(demo, "db_slow_queries_total") >= 1)
    until(lambda: told(demo, "log_errors_total") >= 2)
    (busy,) = process.children()
    until(lambda: busy.cpu_times().user > 0.2)
    assert status_of(f"{demo.url}/health/db") == 200, "two connections are left"
    assert told(demo, 'db_pool_connections{state="waiting"}') == 0
    off(demo)
    until(lambda: told(demo, 'db_pool_connections{state="in_use"}') == 0)
    until(lambda: told(demo, "process_max_fds") == limit)
    until(lambda: told(demo, "process_open_fds") < 100)
    until(lambda: told(demo, "process_resident_memory_bytes") < memory + 40 * MIB)
    until(lambda: not process.children())
    lines = map(json.loads, Path(demo.info["log"]).read_text("utf-8").splitlines())
    assert told(demo, "log_errors_total") == len([line for line in lines if line["level"] == "ERROR"])


def test_who_asks_for_a_connection_while_all_are_held_is_told_as_waiting(demo: DemoProcess) -> None:
    on(demo, "pool-exhausted")
    until(lambda: told(demo, 'db_pool_connections{state="in_use"}') == 16)
    until(lambda: told(demo, 'db_pool_connections{state="waiting"}') >= 1)
    off(demo)
    until(lambda: told(demo, 'db_pool_connections{state="waiting"}') == 0)
    until(lambda: status_of(f"{demo.url}/health/db") == 200)


def test_a_locked_database_is_read_by_nobody_until_it_is_free_again(demo: DemoProcess) -> None:
    on(demo, "database-locked")
    until(lambda: httpx.get(f"{demo.url}/health/db", timeout=15).status_code == 503)
    assert status_of(f"{demo.url}/health") == 200
    off(demo)
    until(lambda: httpx.get(f"{demo.url}/health/db", timeout=15).status_code == 200)


def test_some_requests_fail_and_the_rest_does_not(demo: DemoProcess) -> None:
    with signed_in(demo) as client:
        on(demo, "errors-10-percent")
        answers = [client.get("/api/bots").status_code for _ in range(50)]
        assert (answers.count(500), answers.count(200)) == (5, 45)
        assert {status_of(f"{demo.url}/health") for _ in range(20)} == {200}
        series = 'http_requests_total{route="/api/bots",method="GET",status="500"}'
        assert told(demo, series) == 5
        on(demo, "errors-2-percent", "answers-slow")
        began = time.monotonic()
        assert client.get("/api/bots").status_code in (200, 500)
        assert time.monotonic() - began > 1.4
        off(demo)
        on(demo, "errors-2-percent")
        answers = [client.get("/api/bots").status_code for _ in range(100)]
        assert answers.count(500) == 2


def test_metrics_that_are_none(demo: DemoProcess) -> None:
    on(demo, "metrics-half")
    with pytest.raises((httpx.ReadTimeout, httpx.RemoteProtocolError)):
        httpx.get(f"{demo.url}/metrics", timeout=0.5)
    on(demo, "metrics-down")
    assert status_of(f"{demo.url}/metrics") == 503
    on(demo, "metrics-garbage")
    assert b"not metrics" in httpx.get(f"{demo.url}/metrics").content
    on(demo, "metrics-nan")
    lines = metrics(demo).splitlines()
    assert {line.split()[-1] for line in lines if not line.startswith("#")} == {"NaN"}
    off(demo)
    assert told(demo, 'db_pool_connections{state="size"}') == 16


def test_counters_begin_again_without_a_restart(demo: DemoProcess) -> None:
    series = 'http_requests_total{route="/health",method="GET",status="200"}'
    for _ in range(5):
        status_of(f"{demo.url}/health")
    began = told(demo, "process_start_time_seconds")
    assert told(demo, series) >= 5
    on(demo, "metrics-reset")
    until(lambda: told(demo, series) == 0)
    assert told(demo, "process_start_time_seconds") == began


def test_a_restart_is_another_process_at_the_same_address_with_everything_kept() -> None:
    with DemoProcess.start(port=0, tls=True, faults=["log-noisy"]) as demo:
        trusted = ssl.create_default_context(cafile=str(demo.profile.parent / "tls-ca.pem"))
        before, url, folder = demo.pid, demo.url, demo.profile.parent
        with httpx.Client(verify=trusted, base_url=url) as client:
            body = {"username": "demo", "password": password(demo)}
            token = client.post("/api/auth/login", json=body).json()["token"]
            demo.switch()
            demo.revive()
            assert (demo.url, demo.profile.parent) == (url, folder)
            assert demo.pid != before
            assert not psutil.pid_exists(before)
            assert client.get("/api/bots", headers={"Authorization": f"Bearer {token}"}).status_code == 200
        assert read_switches(folder) == {"log-noisy"}, "what it was begun with"
    assert not folder.exists()
    with pytest.raises(DemoError, match="was stopped"):
        demo.revive()


def test_a_killed_controller_stays_dead_until_it_is_revived(tmp_path: Path) -> None:
    with DemoProcess.start(port=0, data=tmp_path / "data") as demo:
        with signed_in(demo) as client:
            launch(client, "BOT-001")
            say(client, "BOT-001", "remember me")
        bots = psutil.Process(demo.pid).children()
        demo.switch("killed")
        until(lambda: demo.exit_code is not None)
        assert demo.exit_code == -9
        assert not [one for one in psutil.wait_procs(bots, timeout=10)[1] if one.is_running()]
        before = demo.pid
        assert not psutil.pid_exists(before)
        demo.revive()
        assert demo.pid != before
        assert status_of(f"{demo.url}/health") == 200
        assert not read_switches(demo.profile.parent)
        with signed_in(demo) as client:
            assert history(client, "BOT-001")[0]["content"] == "remember me"


def test_nothing_can_be_switched_before_it_is_ready() -> None:
    with DemoProcess.spawn(port=0) as demo:
        with pytest.raises(DemoError, match="not ready yet"):
            demo.switch("unhealthy")
        demo.wait_ready()
        demo.switch("unhealthy")
        until(lambda: status_of(f"{demo.url}/health") == 503)


def password(demo: DemoProcess) -> str:
    """Its user's."""
    lines = (demo.profile.parent / "credentials.env").read_text("utf-8").splitlines()
    return next(line.partition("=")[2] for line in lines if line.startswith("DEMO_PASSWORD="))
