"""The WebSocket: a good token opens it, each frame has one answer in order, and nothing wrong ends the talk."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from console.demo.launch import DemoProcess
from tests.demo.client import launched, settings, sign_in


def address(demo: DemoProcess, token: str) -> str:
    """The socket's address."""
    return f"{demo.url.replace('http', 'ws')}/ws?token={token}"


def token_for(demo: DemoProcess, expires_at: int, secret: str = "") -> str:
    """A token of the demo's making, but for its end (epoch seconds) or its secret."""
    claims = {"user_id": 1, "username": "demo", "iat": expires_at - 60, "exp": expires_at}
    return jwt.encode(claims, secret or settings(Path(demo.info["env_file"]))["JWT_SECRET_KEY"], "HS256")


def soon() -> int:
    """A minute from now."""
    return int(time.time()) + 60


@asynccontextmanager
async def opened(demo: DemoProcess) -> AsyncIterator[ClientConnection]:
    """A socket that is open."""
    async with connect(address(demo, sign_in(demo))) as socket:
        yield socket


async def asked(socket: ClientConnection, frame: object) -> dict[str, Any]:
    """The answer to one frame."""
    await socket.send(frame if isinstance(frame, str) else json.dumps(frame))
    answer: dict[str, Any] = json.loads(await asyncio.wait_for(socket.recv(), 5))
    return answer


async def test_a_query_is_answered_by_its_bot(demo: DemoProcess, client: httpx.Client, bot_id: str) -> None:
    with launched(client, bot_id):
        async with opened(demo) as socket:
            answer = await asked(socket, {"type": "query", "query": "hello", "bot_id": bot_id})
            status = await asked(socket, {"type": "command", "command": "/status"})
    content = f"{bot_id} heard: hello"
    assert answer == {"type": "response", "content": content, "success": True, "bot_id": bot_id}
    assert status["type"] == "agent_status"
    assert {"bot_id": bot_id, "status": "active"} in status["agents"]


async def test_a_good_token_of_the_same_making_opens_it(demo: DemoProcess) -> None:
    async with connect(address(demo, token_for(demo, soon()))):
        pass


@pytest.mark.parametrize("kind", ["none", "nonsense", "expired", "foreign", "unsigned"])
async def test_the_handshake_is_refused_without_a_good_token(demo: DemoProcess, kind: str) -> None:
    tokens = {
        "none": "",
        "nonsense": "nonsense",
        "expired": token_for(demo, soon() - 61),
        "foreign": token_for(demo, soon(), "another secret of thirty-two bytes or more"),
        "unsigned": jwt.encode({"user_id": 1, "username": "demo", "iat": 0, "exp": 9e9}, "", "none"),
    }
    with pytest.raises(InvalidStatus) as problem:
        await connect(address(demo, tokens[kind]))
    assert problem.value.response.status_code == 403


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        ("not json", "Invalid JSON format"),
        ("[1]", "Invalid message format - must be JSON object with 'type' field"),
        ({"query": "x"}, "Invalid message format - must be JSON object with 'type' field"),
        ({"type": "ping"}, "Unknown message type: ping"),
        ({"type": ["query"]}, "Unknown message type"),
        ({"type": "query"}, "Missing 'query' field"),
        ({"type": "query", "query": " "}, "Missing 'query' field"),
        ({"type": "query", "query": 7}, "query must be a string"),
        ({"type": "query", "query": "x"}, "Bot DEFAULT not found in registry"),
        ({"type": "query", "query": "x", "bot_id": "BOT-777777"}, "Bot BOT-777777 not found in registry"),
        ({"type": "query", "query": "x" * 20_000, "bot_id": "BOT-777777"}, "too long"),
        ({"type": "command"}, "Missing 'command' field"),
        ({"type": "command", "command": ""}, "Empty command"),
        ({"type": "command", "command": "/delegate x y"}, "Unknown command"),
    ],
)
async def test_a_wrong_frame_is_refused_and_the_talk_goes_on(
    demo: DemoProcess, frame: object, text: str
) -> None:
    async with opened(demo) as socket:
        answer = await asked(socket, frame)
        assert answer["type"] == "error"
        assert text in answer["message"]
        assert (await asked(socket, {"type": "command", "command": "/status"}))["type"] == "agent_status"


async def test_an_endless_frame_closes_the_socket(demo: DemoProcess) -> None:
    async with opened(demo) as socket:
        with pytest.raises(ConnectionClosed) as problem:
            await asked(socket, {"type": "query", "query": "x" * 200_000})
    assert problem.value.rcvd is not None
    assert problem.value.rcvd.code == 1009


async def test_a_token_that_expires_ends_the_talk(demo: DemoProcess) -> None:
    status = {"type": "command", "command": "/status"}
    expires_at = int(time.time()) + 2
    async with connect(address(demo, token_for(demo, expires_at))) as socket:
        assert (await asked(socket, status))["type"] == "agent_status"
        await asyncio.sleep(expires_at + 0.01 - time.time())  # the time is what is tested
        assert "expired" in (await asked(socket, status))["message"]
        with pytest.raises(ConnectionClosed) as problem:
            await socket.recv()
    assert problem.value.rcvd is not None
    assert problem.value.rcvd.code == 1008
