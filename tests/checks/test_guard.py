"""The dead-man's switch stops what was launched when gonogo dies, and nothing when it does not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from checks.guard import Guard, StopRequest

DYING = """
import os, signal, sys
from pathlib import Path
from checks.guard import Guard, StopRequest
guard = Guard(Path(sys.argv[1]), "run-1")
for bot_id in ("BOT-1", "BOT-2"):
    guard.watch(StopRequest(bot_id, "POST", f"{sys.argv[2]}/stop/{bot_id}", {"Authorization": "Bearer canary"}))
    guard.launched(bot_id)
guard.stopped("BOT-2")
os.kill(os.getpid(), signal.SIGKILL)
"""


class Controller(BaseHTTPRequestHandler):
    """Answers every stop as its server's `answer` says, and remembers it."""

    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, Stops)
        server.asked.append((self.path, self.headers.get("Authorization", "")))
        status, body = server.answer
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


class Stops(HTTPServer):
    """A controller that only knows how to stop."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Controller)
        self.asked: list[tuple[str, str]] = []
        self.answer = (200, b'{"success": true}')

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://127.0.0.1:{self.server_port}"


@pytest.fixture
def controller() -> Iterator[Stops]:
    with Stops() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def eventually(is_so: Callable[[], bool], within_s: float = 10.0) -> bool:
    """Whether it becomes so in time."""
    deadline = time.monotonic() + within_s
    while not is_so():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_a_killed_gonogo_has_its_bots_stopped_and_told(controller: Stops, tmp_path: Path) -> None:
    left = tmp_path / "guard-run-1.json"
    died = subprocess.run([sys.executable, "-c", DYING, str(left), controller.url], timeout=20, check=False)
    assert died.returncode == -signal.SIGKILL
    assert eventually(left.exists)
    assert controller.asked == [("/stop/BOT-1", "Bearer canary")]
    assert json.loads(left.read_text()) == {"run": "run-1", "stopped": {"BOT-1": "stopped by the guard"}}
    assert left.stat().st_mode & 0o777 == 0o600
    assert "canary" not in left.read_text()


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ((404, b'{"error": "Bot BOT-1 not found"}'), "the controller no longer knew it"),
        ((200, b'{"success": false, "error": "Bot BOT-1 not found"}'), "the controller no longer knew it"),
    ],
)
def test_a_bot_that_is_gone_already_is_told_as_gone(
    controller: Stops, tmp_path: Path, answer: tuple[int, bytes], told: str
) -> None:
    controller.answer = answer
    left = tmp_path / "left.json"
    subprocess.run([sys.executable, "-c", DYING, str(left), controller.url], timeout=20, check=False)
    assert eventually(left.exists)
    assert json.loads(left.read_text())["stopped"] == {"BOT-1": told}


def test_a_controller_that_is_gone_is_not_asked_for_ever(controller: Stops, tmp_path: Path) -> None:
    left = tmp_path / "left.json"
    subprocess.run([sys.executable, "-c", DYING, str(left), "http://127.0.0.1:1"], timeout=20, check=False)
    assert eventually(left.exists)
    assert "the controller is gone" in json.loads(left.read_text())["stopped"]["BOT-1"]


def test_a_run_that_cleaned_up_leaves_no_guard_and_asks_nothing(controller: Stops, tmp_path: Path) -> None:
    guard = Guard(tmp_path / "left.json", "run-1")
    guard.watch(StopRequest("BOT-1", "POST", f"{controller.url}/stop/BOT-1", {}))
    process = guard._process
    assert process
    guard.dismiss()
    assert process.returncode == 0
    assert controller.asked == []
    assert list(tmp_path.iterdir()) == []


def test_the_token_is_on_no_command_line_and_in_no_environment(controller: Stops, tmp_path: Path) -> None:
    guard = Guard(tmp_path / "left.json", "run-1")
    os.environ["GONOGO_PASSWORD"] = "canary-password"
    try:
        guard.watch(StopRequest("BOT-1", "POST", controller.url, {"Authorization": "Bearer canary-token"}))
    finally:
        del os.environ["GONOGO_PASSWORD"]
    process = guard._process
    assert process
    command_line, environment = (Path(f"/proc/{process.pid}/{name}") for name in ("cmdline", "environ"))
    is_there = eventually(lambda: b"checks.guard" in command_line.read_bytes())
    seen = command_line.read_bytes() + environment.read_bytes()
    guard.dismiss()
    assert is_there
    assert b"PATH=" in seen
    assert b"canary" not in seen


def test_a_lost_guard_does_not_disturb_the_run(controller: Stops, tmp_path: Path) -> None:
    guard = Guard(tmp_path / "left.json", "run-1")
    guard.watch(StopRequest("BOT-1", "POST", controller.url, {}))
    process = guard._process
    assert process
    process.kill()
    process.wait()
    guard.launched("BOT-1")
    guard.stopped("BOT-1")
    guard.dismiss()


def test_before_the_first_launch_there_is_no_process(tmp_path: Path) -> None:
    guard = Guard(tmp_path / "left.json", "run-1")
    guard.stopped("BOT-1")
    guard.dismiss()
    assert guard._process is None
