"""Starting and ending the demo: one line when it is ready, and nothing left of it however it ends."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import tomllib
from pathlib import Path

import httpx
import psutil
import pytest

from console.demo.launch import DemoError, DemoProcess
from tests.demo.client import all_gone, credentials, history, launch, say, sign_in, signed_in
from tests.demo.serving import refused, served


def start_bots(url: str, profile: str, count: int = 2) -> None:
    """Launch bots on a demo that is known by its line."""
    text = (Path(profile).parent / "credentials.env").read_text("utf-8")
    found = dict(line.split("=", 1) for line in text.splitlines())
    body = {"username": found["DEMO_USERNAME"], "password": found["DEMO_PASSWORD"]}
    with httpx.Client(base_url=url) as client:
        token = client.post("/api/auth/login", json=body).json()["token"]
        client.headers["Authorization"] = f"Bearer {token}"
        for number in range(count):
            launch(client, f"BOT-{number:03}")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_it_ends_cleanly_with_its_bots(number: signal.Signals) -> None:
    with served("--port", "0") as demo:
        told = {"url", "pid", "database", "log", "env_file", "profile", "pager", "faults"}
        assert set(demo.info) == told
        assert demo.info["pid"] == demo.process.pid
        assert httpx.get(f"{demo.url}/health").status_code == 200
        start_bots(demo.url, demo.info["profile"])
        bots = demo.bots()
        assert len(bots) == 2
        bots[0].suspend()  # it would not hear a SIGTERM
        demo.process.send_signal(number)
        assert demo.process.wait(2) == 0
        assert all_gone(bots)
        assert not Path(demo.info["profile"]).parent.exists()
        assert demo.process.stderr
        assert demo.process.stderr.read() == ""


@pytest.mark.parametrize("fault", ["", "stop-leaves-process"])
def test_bots_end_with_a_controller_that_was_killed(fault: str, tmp_path: Path) -> None:
    options = ("--fault", fault) if fault else ()
    with served("--port", "0", "--data", str(tmp_path), *options) as demo:
        start_bots(demo.url, demo.info["profile"])
        bots = demo.bots()
        demo.process.kill()
        assert all_gone(bots)


def test_a_stopped_bot_that_lives_on_ends_with_the_demo() -> None:
    with DemoProcess.start(port=0, faults=["stop-leaves-process"]) as demo, signed_in(demo) as client:
        process = psutil.Process(launch(client, "BOT-001")["pid"])
        assert client.post("/api/bot/stop/BOT-001").json()["success"] is True
        assert process.is_running()
    assert all_gone([process])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_with_a_starter_that_was_killed(number: signal.Signals) -> None:
    code = (
        "import json, sys\n"
        "from console.demo.launch import DemoProcess\n"
        "demo = DemoProcess.start(port=0)\n"
        "print(json.dumps(demo.info), flush=True)\n"
        "sys.stdin.read()\n"
    )
    starter = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with starter:
        assert starter.stdout
        info = json.loads(starter.stdout.readline())
        start_bots(info["url"], info["profile"], 1)
        controller = psutil.Process(info["pid"])
        processes = [controller, *controller.children()]
        assert len(processes) == 2
        starter.send_signal(number)
        starter.wait(5)
    assert all_gone(processes)
    assert not Path(info["profile"]).parent.exists()


def test_a_request_under_way_does_not_hold_up_the_end() -> None:
    with DemoProcess.start(port=0, faults=["launch-hangs"]) as demo:
        head = (
            "POST /api/bot/launch HTTP/1.1\r\nHost: demo\r\nContent-Type: application/json\r\n"
            f"Authorization: Bearer {sign_in(demo)}\r\nContent-Length: 20\r\nExpect: 100-continue\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", int(demo.url.rpartition(":")[2])), 10) as connection:
            connection.sendall(head.encode())
            assert connection.recv(100).startswith(b"HTTP/1.1 100")  # the operation reads the body now
            connection.sendall(b'{"bot_id":"BOT-001"}')
            demo.stop()
            answer = connection.recv(10_000)
        assert answer.startswith(b"HTTP/1.1 503") or not answer
        assert demo.exit_code == 0


def test_a_port_that_is_taken_is_told_in_one_sentence() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        sentence = f"Port {port} is taken by another program; give another --port, or none for a free one."
        assert refused("--port", str(port)) == sentence
        with pytest.raises(DemoError, match=f"^Port {port} is taken"):
            DemoProcess.start(port=port)


def test_without_a_port_another_than_8000_will_do() -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            taken.bind(("127.0.0.1", 8000))
            taken.listen()
        except OSError:
            pass  # somebody else has it, which is as good
        with DemoProcess.start() as demo:
            assert not demo.url.endswith(":8000")
            assert httpx.get(f"{demo.url}/health").status_code == 200


@pytest.mark.parametrize(
    ("options", "environment", "text"),
    [
        (["--database", "mysql://x/y"], {}, "The database URL cannot be used; give sqlite:///FILE"),
        (["--database", "postgresql://nobody@127.0.0.1:1/x"], {}, "The database cannot be opened"),
        ([], {"DEMO_JWT_SECRET": "short"}, "DEMO_JWT_SECRET is too short"),
        ([], {"DEMO_PASSWORD": "a\nb"}, "DEMO_PASSWORD holds a line break"),
        (["--data", "/proc/nowhere"], {}, "The folder /proc/nowhere cannot be used"),
    ],
)
def test_what_cannot_be_used_is_told_in_one_sentence(
    options: list[str], environment: dict[str, str], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert refused("--port", "0", *options).startswith(text)


def test_its_folder_is_kept_and_used_again(tmp_path: Path) -> None:
    data = tmp_path / "a folder % with ? odd # letters"
    with DemoProcess.start(port=0, data=data) as demo:
        known = credentials(demo)
        with signed_in(demo) as client:
            launch(client, "BOT-001")
            say(client, "BOT-001", "remember me")
        with pytest.raises(DemoError, match="is used by another demo target"):
            DemoProcess.start(port=0, data=data)
    with DemoProcess.start(port=0, data=data) as demo:
        assert credentials(demo) == known
        with signed_in(demo) as client:
            assert history(client, "BOT-001")[0]["content"] == "remember me"
        assert demo.info["database"] == str(data / "chat_history.db")


def test_the_profile_names_what_the_line_says(demo: DemoProcess) -> None:
    profile = tomllib.loads(demo.profile.read_text("utf-8"))
    assert profile["target"]["url"] == demo.url
    assert profile["target"]["contract"] == "port8000"
    assert profile["process"]["pid"] == demo.pid == demo.info["pid"]
    assert profile["log"]["file"] == demo.info["log"]
    assert profile["database"]["url"].endswith(demo.info["database"])
    assert profile["contract"]["rest_auth"] == "bearer"
    assert profile["contract"]["max_command_bytes"] == 16384
    assert "/metrics" in profile["contract"]["public"]
    assert credentials(demo)["password"] not in demo.profile.read_text("utf-8")


def test_stop_again_or_from_two_threads_is_no_harm() -> None:
    demo = DemoProcess.start(port=0)
    threads = [threading.Thread(target=demo.stop) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(6)
        assert not thread.is_alive()
    demo.stop()
    assert not psutil.pid_exists(demo.pid)
    assert not demo.profile.parent.exists()


def test_stop_ends_a_wait_in_another_thread() -> None:
    demo = DemoProcess.spawn(port=0)
    os.kill(demo.pid, signal.SIGSTOP)
    problems: list[DemoError] = []

    def wait() -> None:
        try:
            demo.wait_ready()
        except DemoError as problem:
            problems.append(problem)

    waiting = threading.Thread(target=wait)
    waiting.start()
    demo.stop()  # the process does not obey: it is killed after two seconds
    waiting.join(1)
    assert len(problems) == 1
    assert not psutil.pid_exists(demo.pid)


def test_a_demo_that_is_not_ready_in_time_is_told() -> None:
    with DemoProcess.spawn(port=0) as demo:
        with pytest.raises(DemoError, match="not ready yet"):
            _ = demo.url
        with pytest.raises(DemoError, match=r"was not ready within 0\.01 s"):
            demo.wait_ready(within_s=0.01)
        demo.wait_ready()
        assert httpx.get(f"{demo.url}/health").status_code == 200
