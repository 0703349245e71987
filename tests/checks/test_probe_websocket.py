"""The WebSocket probe: one bounded conversation, each trouble a value, no secret in the evidence."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from checks.model import Reason
from checks.probe.redaction import Redactor
from checks.probe.websocket import WebSocketProbe
from tests.checks.servers import http, listening, repeating, saying

SECRET = "canary-token"


async def echo(socket: ServerConnection) -> None:
    """Answer each frame with itself, except for some words."""
    async for text in socket:
        if text == "silence":
            continue
        if text == "close":
            await socket.close(4401, "go away")
            return
        if text == "flood":
            await socket.send("z" * (2 << 20))
        else:
            await socket.send(json.dumps({"echo": text}))


async def refuse(socket: ServerConnection, request: Request) -> Response | None:
    """403 without the token."""
    return None if SECRET in request.path else socket.respond(403, "no\n")


@asynccontextmanager
async def probe() -> AsyncIterator[WebSocketProbe]:
    """A probe of an echo server that wants a token."""
    async with serve(echo, "127.0.0.1", 0, process_request=refuse) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield WebSocketProbe(f"http://127.0.0.1:{port}", Redactor([SECRET]))


async def test_frames_are_answered_in_turn_and_the_token_is_nowhere() -> None:
    async with probe() as socket:
        talk = await socket.converse(f"/ws?token={SECRET}", ["one", f"two {SECRET}"], within_s=2)
    assert talk.opened
    assert [frame.json() for frame in talk.frames] == [{"echo": "one"}, {"echo": f"two {SECRET}"}]
    assert talk.close_code == 1000
    assert "2 of 2 frames answered" in talk.evidence.title
    assert SECRET not in json.dumps(talk.evidence.document())


async def test_a_refused_handshake_has_its_status() -> None:
    async with probe() as socket:
        talk = await socket.converse("/ws", ["one"], within_s=2)
    assert (talk.opened, talk.status, talk.frames) == (False, 403, ())
    assert talk.error
    assert talk.error.reason is Reason.REFUSED


async def test_an_answer_that_does_not_come_is_a_timeout_and_ends_the_conversation() -> None:
    async with probe() as socket:
        talk = await socket.converse(f"/ws?token={SECRET}", ["silence", "later"], within_s=0.3)
    (frame,) = talk.frames
    assert frame.reply is None
    assert frame.error
    assert frame.error.reason is Reason.TIMEOUT


async def test_a_close_in_between_is_told_with_its_code() -> None:
    async with probe() as socket:
        talk = await socket.converse(f"/ws?token={SECRET}", ["close"], within_s=2)
    assert talk.close_code == 4401
    assert talk.frames[0].error
    assert talk.frames[0].error.reason is Reason.REFUSED


async def test_a_frame_over_the_limit_is_not_read() -> None:
    async with probe() as socket:
        talk = await socket.converse(f"/ws?token={SECRET}", ["flood"], within_s=2)
    assert talk.frames[0].reply is None
    assert talk.frames[0].error


async def test_a_server_that_speaks_no_websocket_is_told() -> None:
    for talk_like in (saying(http(b"<html>", kind="text/html")), saying(b"nonsense\r\n\r\n"), saying(b"")):
        async with listening(talk_like) as port:
            talk = await WebSocketProbe(f"http://127.0.0.1:{port}", Redactor()).converse(
                "/ws", ["x"], within_s=1
            )
        assert not talk.opened
        assert talk.error


async def test_a_handshake_that_never_ends_is_bounded() -> None:
    async with listening(repeating(b"HTTP/1.1 101 Switching Protocols\r\n", b"X: y\r\n", 0.02)) as port:
        talk = await WebSocketProbe(f"http://127.0.0.1:{port}", Redactor()).converse(
            "/ws", ["x"], within_s=0.5
        )
    assert not talk.opened
    assert talk.error


async def test_nobody_there_is_unreachable() -> None:
    async with listening(saying(b"")) as port:
        pass
    talk = await WebSocketProbe(f"http://127.0.0.1:{port}", Redactor()).converse("/ws", ["x"], within_s=1)
    assert talk.error
    assert talk.error.reason is Reason.UNREACHABLE


async def test_a_redirect_is_not_followed_and_the_token_goes_nowhere_else() -> None:
    asked: list[bytes] = []

    async def other(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append(await reader.readuntil(b"\r\n\r\n"))

    async with listening(other) as elsewhere:
        target = f"Location: ws://127.0.0.1:{elsewhere}/ws?token={SECRET}\r\n"
        async with listening(saying(http(b"", status="302 Found", more=target))) as port:
            probe = WebSocketProbe(f"http://127.0.0.1:{port}", Redactor([SECRET]))
            talk = await probe.converse(f"/ws?token={SECRET}", ["x"], within_s=2)
    assert (talk.opened, talk.status) == (False, 302)
    assert asked == []


async def greet(socket: ServerConnection) -> None:
    """Say hello, tell that it types, and then answer."""
    await socket.send('{"type": "welcome"}')
    async for _ in socket:
        await socket.send('{"type": "typing"}')
        await socket.send('{"type": "response"}')


async def test_frames_that_are_no_answers_are_passed_over() -> None:
    async with serve(greet, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        probe = WebSocketProbe(f"http://127.0.0.1:{port}", Redactor())
        talk = await probe.converse("/ws", ["a", "b"], within_s=2, is_answer=lambda text: "response" in text)
        silent = await probe.converse("/ws", ["a"], within_s=0.3, is_answer=lambda text: False)
    assert [frame.json() for frame in talk.frames] == [{"type": "response"}] * 2
    assert silent.frames[0].reply is None
    assert silent.frames[0].error


async def test_what_a_close_says_is_redacted() -> None:
    async def refuse(socket: ServerConnection) -> None:
        await socket.close(1011, f"bad token {SECRET}")

    async with serve(refuse, "127.0.0.1", 0) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        probe = WebSocketProbe(f"http://127.0.0.1:{port}", Redactor([SECRET]))
        talk = await probe.converse("/ws", ["a"], within_s=2)
    assert talk.frames[0].error
    assert SECRET not in talk.frames[0].error.sentence
    assert "***" in talk.frames[0].error.sentence
