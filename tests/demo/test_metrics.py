"""The metrics: valid for Prometheus, and true."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from functools import partial
from pathlib import Path

import httpx
import psutil
import pytest
from websockets.sync.client import connect

from console.demo.launch import DemoProcess
from tests.demo.client import launched, say, sign_in
from tests.demo.watching import metrics, until, value

PROMTOOL = shutil.which("promtool")
ROUTE = 'http_request_duration_seconds_count{route="/ws"}'


def messages(demo: DemoProcess, status: int) -> float:
    """Messages over the socket that were answered with that status."""
    series = f'http_requests_total{{route="/ws",method="WS",status="{status}"}}'
    return value(metrics(demo), series)


def has_counted(demo: DemoProcess, status: int, count: float) -> bool:
    """Whether so many were answered with that status."""
    return messages(demo, status) == count


def test_prometheus_finds_no_fault_with_them(demo: DemoProcess, client: httpx.Client, bot_id: str) -> None:
    if not PROMTOOL:
        assert "CI" not in os.environ, "promtool is missing: install the package prometheus"
        pytest.skip("needs promtool")
    with launched(client, bot_id):
        say(client, bot_id, "hello")
        with connect(f"{demo.url.replace('http', 'ws')}/ws?token={sign_in(demo)}") as socket:
            socket.send(json.dumps({"type": "query", "query": "hello", "bot_id": bot_id}))
            socket.recv(5)
    text = metrics(demo)
    done = subprocess.run(
        [PROMTOOL, "check", "metrics"], input=text, capture_output=True, text=True, timeout=20
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert 'db_pool_connections{state="waiting"} 0\n' in text
    assert 'db_pool_connections{state="size"} 16\n' in text


def test_messages_over_the_socket_count_as_requests_by_their_outcome(
    demo: DemoProcess, client: httpx.Client, bot_id: str
) -> None:
    frames = [
        (200, json.dumps({"type": "query", "query": "hello", "bot_id": bot_id})),
        (400, "no JSON"),
        (404, json.dumps({"type": "query", "query": "hello", "bot_id": "BOT-999999"})),
        (200, json.dumps({"type": "command", "command": "/status"})),
        (503, json.dumps({"type": "query", "query": "hello", "bot_id": bot_id})),
    ]
    with (
        launched(client, bot_id) as bot,
        connect(f"{demo.url.replace('http', 'ws')}/ws?token={sign_in(demo)}") as socket,
    ):
        for status, frame in frames:
            if status == 503:
                bot.kill()
                until(lambda: client.get("/api/bots").json()["bots"][bot_id]["status"] == "down")
            before, timed = messages(demo, status), value(metrics(demo), ROUTE)
            socket.send(frame)
            socket.recv(5)
            until(partial(has_counted, demo, status, before + 1), f"{status} was not counted")
            assert value(metrics(demo), ROUTE) == timed + 1


def test_the_process_is_told_as_the_kernel_has_it(demo: DemoProcess) -> None:
    process, text = psutil.Process(demo.pid), metrics(demo)
    assert value(text, "process_start_time_seconds") == pytest.approx(process.create_time(), abs=1.5)
    assert value(text, "process_resident_memory_bytes") == pytest.approx(process.memory_info().rss, rel=0.3)
    limits = Path(f"/proc/{demo.pid}/limits").read_text("ascii")
    assert f"Max open files            {value(text, 'process_max_fds'):.0f} " in limits
    assert value(text, "process_open_fds") == pytest.approx(process.num_fds(), abs=5)
    times = process.cpu_times()
    assert 0 < value(text, "process_cpu_seconds_total") <= times.user + times.system + 0.1


def test_error_lines_of_the_log_are_counted() -> None:
    with DemoProcess.start(port=0, faults=["sign-in-crashes"]) as demo:
        for name in ("one", "two", "three"):
            wrong = {"username": name, "password": "wrong-password"}
            assert httpx.post(f"{demo.url}/api/auth/login", json=wrong).status_code == 500
        httpx.get(f"{demo.url}/nothing-here")
        lines = [json.loads(line) for line in Path(demo.info["log"]).read_text("utf-8").splitlines()]
        assert value(metrics(demo), "log_errors_total") == 3
        assert len([line for line in lines if line["level"] == "ERROR"]) == 3
