"""What the demo's tests share: a signed-in client, and a look at processes from outside."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import psutil

from console.demo.launch import DemoProcess

GONE_WITHIN_S = 5.0
CLIENTS = 20
TURNS = count()


def settings(path: Path) -> dict[str, str]:
    """The NAME=value lines of a file."""
    return dict(line.split("=", 1) for line in path.read_text("utf-8").splitlines())


def credentials(demo: DemoProcess) -> dict[str, str]:
    """The body of a sign-in that succeeds."""
    found = settings(demo.profile.parent / "credentials.env")
    return {"username": found["DEMO_USERNAME"], "password": found["DEMO_PASSWORD"]}


def sign_in(demo: DemoProcess) -> str:
    """A token."""
    with httpx.Client(transport=Crowd()) as client:
        answer = client.post(f"{demo.url}/api/auth/login", json=credentials(demo))
    return str(answer.json()["token"])


class Crowd(httpx.BaseTransport):
    """Sends each request from the next of many addresses of this host, so that no rate limit meets a test."""

    def __init__(self) -> None:
        self._clients = [
            httpx.HTTPTransport(local_address=f"127.0.9.{place}") for place in range(1, CLIENTS + 1)
        ]

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send it."""
        return self._clients[next(TURNS) % CLIENTS].handle_request(request)

    def close(self) -> None:
        """Close every connection."""
        for client in self._clients:
            client.close()


@contextmanager
def signed_in(demo: DemoProcess) -> Iterator[httpx.Client]:
    """A client with a token."""
    headers = {"Authorization": f"Bearer {sign_in(demo)}"}
    with httpx.Client(base_url=demo.url, headers=headers, timeout=15, transport=Crowd()) as client:
        yield client


def launch(client: httpx.Client, bot_id: str) -> dict[str, Any]:
    """Launch a bot; the answer."""
    answer = client.post("/api/bot/launch", json={"bot_id": bot_id})
    assert answer.status_code == 200, answer.text
    document: dict[str, Any] = answer.json()
    return document


@contextmanager
def launched(client: httpx.Client, bot_id: str) -> Iterator[psutil.Process]:
    """The process of a bot that is stopped at the end."""
    yield psutil.Process(launch(client, bot_id)["pid"])
    client.post(f"/api/bot/stop/{bot_id}")


def say(client: httpx.Client, bot_id: str, text: str) -> httpx.Response:
    """Say something to a bot over REST."""
    return client.post(f"/api/bot/{bot_id}/task", json={"command": text})


def history(client: httpx.Client, bot_id: str, **query: str) -> list[dict[str, str]]:
    """The messages of a bot's history."""
    answer = client.get("/api/chat/history", params={"bot_id": bot_id, **query})
    assert answer.status_code == 200, answer.text
    messages: list[dict[str, str]] = answer.json()["messages"]
    return messages


def all_gone(processes: list[psutil.Process]) -> bool:
    """Whether they have all ended, or do so soon."""
    _, alive = psutil.wait_procs(processes, timeout=GONE_WITHIN_S)
    return not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]
