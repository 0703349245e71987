"""Bots are real processes: born before the launch is answered, seen when they die, gone when the stop is answered."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor

import httpx
import psutil

from tests.demo.client import all_gone, launch, launched, say


def accepts(port: int) -> bool:
    """Whether a connection to `port` is accepted."""
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def listed(client: httpx.Client, bot_id: str) -> str:
    """The status word of a bot; empty where it is not listed."""
    entry = client.get("/api/bots").json()["bots"].get(bot_id, {})
    return str(entry.get("status", ""))


def test_a_launch_is_answered_once_the_process_listens(client: httpx.Client, bot_id: str) -> None:
    answer = launch(client, bot_id)
    process = psutil.Process(answer["pid"])
    assert accepts(answer["port"])
    assert bot_id in process.cmdline()
    assert answer["bot_type"] == "claude"
    entry = client.get("/api/bots").json()["bots"][bot_id]
    assert (entry["status"], entry["port"]) == ("active", answer["port"])
    assert client.get("/api/bots/status").json()["bots"][bot_id]["current_task"] is None
    stopped = client.post(f"/api/bot/stop/{bot_id}").json()
    assert (stopped["success"], stopped["bot_id"]) == (True, bot_id)
    assert not process.is_running()
    assert not accepts(answer["port"])
    assert listed(client, bot_id) == ""


def test_an_id_runs_once(client: httpx.Client, bot_id: str) -> None:
    def attempt(_: int) -> int:
        return client.post("/api/bot/launch", json={"bot_id": bot_id}).status_code

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(attempt, range(4))) == [200, 409, 409, 409]
    client.post(f"/api/bot/stop/{bot_id}")


def test_a_bot_that_died_is_down_and_can_be_launched_again(client: httpx.Client, bot_id: str) -> None:
    with launched(client, bot_id) as process:
        process.kill()
        assert all_gone([process])
        while listed(client, bot_id) == "active":  # pytest-timeout bounds it
            pass
        assert listed(client, bot_id) == "down"
        answer = say(client, bot_id, "anybody there?")
        assert (answer.status_code, answer.json()["error"]) == (503, f"Bot {bot_id} is not running")
        assert launch(client, bot_id)["pid"] != process.pid
        assert listed(client, bot_id) == "active"


def test_a_bot_that_hangs_is_told_and_still_stopped(client: httpx.Client, bot_id: str) -> None:
    with launched(client, bot_id) as process:
        process.suspend()
        status = client.get("/api/bots/status").json()["bots"][bot_id]["status"]
        assert status == "unresponsive"
        assert client.post(f"/api/bot/stop/{bot_id}").json()["success"] is True
        assert not process.is_running()


def test_a_bot_knows_no_secret_of_the_controller(client: httpx.Client, bot_id: str) -> None:
    with launched(client, bot_id) as process:
        assert not [name for name in process.environ() if "SECRET" in name or "PASSWORD" in name]
        assert (
            httpx.post(f"http://127.0.0.1:{process.net_connections()[0].laddr.port}/task").status_code == 403
        )
