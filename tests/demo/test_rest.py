"""The REST operations: the contract's shapes, statuses that tell more, and refusals that a person can read."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import httpx
import pytest

from console.demo.launch import DemoProcess
from console.demo.settings import MAX_COMMAND_BYTES
from tests.demo.client import credentials, launched, say

JSON = {"Content-Type": "application/json"}


def refused(answer: httpx.Response, status: int, text: str) -> None:
    """Assert that `answer` is a refusal with that status and a text that holds `text`."""
    document = answer.json()
    assert (answer.status_code, document["success"]) == (status, False), answer.text
    assert text in document["error"]
    assert datetime.fromisoformat(document["timestamp"]).tzinfo


@pytest.mark.parametrize("path", ["/health", "/health/db"])
def test_it_is_healthy(demo: DemoProcess, path: str) -> None:
    answer = httpx.get(demo.url + path)
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")


def test_the_right_password_yields_a_token(demo: DemoProcess) -> None:
    answer = httpx.post(f"{demo.url}/api/auth/login", json=credentials(demo))
    document = answer.json()
    assert (answer.status_code, document["success"]) == (200, True)
    assert document["token"].count(".") == 2
    assert document["user"]["username"] == credentials(demo)["username"]


@pytest.mark.parametrize("username", ["demo", "nobody"])
def test_a_wrong_password_and_an_unknown_user_are_refused_alike(demo: DemoProcess, username: str) -> None:
    answer = httpx.post(f"{demo.url}/api/auth/login", json={"username": username, "password": "wrong-one"})
    refused(answer, 401, "Invalid username or password")


def test_a_registered_user_can_sign_in(demo: DemoProcess) -> None:
    user = {"username": "grace", "password": "correct horse"}
    register, login = f"{demo.url}/api/auth/register", f"{demo.url}/api/auth/login"
    assert httpx.post(register, json=user).json()["success"] is True
    assert httpx.post(login, json=user).json()["user"]["username"] == "grace"
    refused(httpx.post(register, json=user), 409, "User already exists")
    refused(httpx.post(register, json={**user, "username": "x"}), 400, "at least 3 characters")


OPERATIONS = [
    ("POST", "/api/bot/launch"),
    ("POST", "/api/bot/stop/BOT-001"),
    ("POST", "/api/bot/BOT-001/task"),
    ("GET", "/api/bots"),
    ("GET", "/api/bots/status"),
    ("GET", "/api/chat/history?bot_id=BOT-001"),
]


@pytest.mark.parametrize(("method", "path"), OPERATIONS)
@pytest.mark.parametrize("authorization", ["", "Bearer nonsense", "Basic ZGVtbzpkZW1v"])
def test_nothing_below_the_sign_in_is_answered_without_a_token(
    demo: DemoProcess, method: str, path: str, authorization: str
) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    answer = httpx.request(method, demo.url + path, headers=headers)
    refused(answer, 401, "Sign in")
    assert answer.headers["WWW-Authenticate"] == "Bearer"


WRONG_LAUNCHES = [
    ({"bot_id": "not a bot id!"}, 400, "Invalid bot ID format"),
    ({"bot_id": "bot-001"}, 400, "Invalid bot ID format"),
    ({"bot_id": "BOT-12"}, 400, "Invalid bot ID format"),
    ({"bot_id": "  "}, 400, "cannot be empty"),
    ({"bot_id": f"BOT-{'1' * 60}"}, 400, "too long"),
    ({"bot_id": "BOT-001", "bot_type": "parrot"}, 400, "Must be one of: claude"),
    ({"bot_id": 7}, 422, "bot_id must be a string"),
    ({}, 422, "bot_id is missing"),
    ([], 400, "JSON object"),
]


@pytest.mark.parametrize(("body", "status", "text"), WRONG_LAUNCHES)
def test_a_wrong_launch_is_refused(client: httpx.Client, body: object, status: int, text: str) -> None:
    refused(client.post("/api/bot/launch", json=body), status, text)


@pytest.mark.parametrize(
    ("content", "headers", "status", "text"),
    [
        (b'{"command": "cut o', JSON, 400, "not valid JSON"),
        (b"[" * 100_000, JSON, 400, "not valid JSON"),
        (b'{"command": "\xff"}', JSON, 400, "not valid JSON"),
        (b'{"command": "hello"}', {"Content-Type": "text/plain"}, 415, "application/json"),
        (b'{"command": "' + b"x" * 200_000 + b'"}', JSON, 413, "too long"),
        (b'{"command": "\\ud800"}', JSON, 422, "no text"),
        (b'{"command": "a\\u0000b"}', JSON, 422, "no text"),
    ],
    ids=["cut", "deep", "bytes", "type", "body", "surrogate", "nul"],
)
def test_a_malformed_body_is_refused(
    client: httpx.Client, content: bytes, headers: dict[str, str], status: int, text: str
) -> None:
    refused(client.post("/api/bot/BOT-001/task", content=content, headers=headers), status, text)


def test_a_body_without_a_length_is_bounded_too(client: httpx.Client) -> None:
    parts = (b"x" * 10_000 for _ in range(100))
    refused(client.post("/api/bot/BOT-001/task", content=parts, headers=JSON), 413, "too long")


def test_commands_are_bounded_by_their_bytes(client: httpx.Client, bot_id: str) -> None:
    with launched(client, bot_id):
        assert say(client, bot_id, "x" * MAX_COMMAND_BYTES).status_code == 200
        refused(say(client, bot_id, "x" * (MAX_COMMAND_BYTES + 1)), 413, "too long")
        refused(say(client, bot_id, "ä" * MAX_COMMAND_BYTES), 413, "too long")
        refused(say(client, bot_id, "  "), 400, "command cannot be empty")


def test_an_unknown_bot_is_not_found(client: httpx.Client) -> None:
    refused(say(client, "BOT-9999", "hello"), 404, "Bot BOT-9999 not found")
    refused(client.post("/api/bot/stop/BOT-9999"), 404, "Bot BOT-9999 not found")


@pytest.mark.parametrize("query", [{"limit": "0"}, {"limit": "many"}, {"limit": "100000"}, {"limit": "²"}])
def test_a_wrong_limit_is_refused(client: httpx.Client, query: dict[str, str]) -> None:
    refused(client.get("/api/chat/history", params={"bot_id": "BOT-001", **query}), 422, "limit")


def test_a_history_needs_a_bot(client: httpx.Client) -> None:
    refused(client.get("/api/chat/history"), 400, "bot_id parameter required")


def test_what_is_not_there_is_told_in_the_same_shape(client: httpx.Client) -> None:
    refused(client.get("/api/nothing"), 404, "Not Found")
    refused(client.delete("/api/bots"), 405, "Method Not Allowed")
    refused(client.get("/static/%2e%2e/bot.py"), 404, "Not Found")


def test_every_answer_carries_an_id(demo: DemoProcess) -> None:
    url = f"{demo.url}/health"
    ids = {httpx.get(url).headers["X-Request-ID"] for _ in range(3)}
    assert len(ids) == 3
    assert httpx.get(url, headers={"X-Request-ID": "mine-7"}).headers["X-Request-ID"] == "mine-7"
    odd = httpx.get(url, headers={"X-Request-ID": "a b"}).headers["X-Request-ID"]
    assert re.fullmatch(r"[0-9a-f]{16}", odd)


def test_the_openapi_document_is_true(demo: DemoProcess, client: httpx.Client) -> None:
    refused(httpx.get(f"{demo.url}/openapi.json"), 401, "Sign in first: a token is needed")
    document: dict[str, Any] = client.get("/openapi.json").json()
    assert document["info"]["title"] == "Demo chatbot controller"
    asked = 0
    for path, operations in document["paths"].items():
        for method, told in operations.items():
            answer = httpx.request(method, demo.url + path.replace("{bot_id}", "BOT-001"))
            assert answer.status_code not in (404, 405), path
            assert (answer.status_code == 401) == bool(told["security"]), path
            asked += 1
    assert asked == 11


def test_metrics_count_what_happened(demo: DemoProcess, client: httpx.Client, bot_id: str) -> None:
    def messages() -> int:
        found = re.search(r'chat_messages_total\{channel="rest"\} (\d+)', client.get("/metrics").text)
        return int(found[1]) if found else 0

    before = messages()
    with launched(client, bot_id):
        say(client, bot_id, "count me")
        text = client.get("/metrics").text
    assert messages() == before + 1
    assert 'bots{status="active"}' in text
    assert 'route="/api/bot/{bot_id}/task"' in text
    assert bot_id not in text
