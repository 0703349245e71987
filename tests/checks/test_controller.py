"""The controller client judges answers by the contract, not by their status, and waits politely but not for ever."""

from __future__ import annotations

import asyncio
import json

import pytest

from checks.controller import Controller, Reply
from checks.model import Reason
from checks.probe.http import HttpProbe
from checks.probe.redaction import Redactor
from checks.probe.websocket import WebSocketProbe
from checks.profile.read import target_for_url
from tests.checks.servers import Talk, http, listening, saying


async def asked(talk: Talk, name: str = "bots", bot_id: str = "") -> Reply:
    """Ask one operation of a server that answers by `talk`."""
    async with listening(talk) as port:
        target = target_for_url(f"http://127.0.0.1:{port}", {})
        redactor = Redactor()
        async with HttpProbe(target.url, redactor) as probe:
            controller = Controller(target, probe, WebSocketProbe(target.url, redactor), redactor)
            return await controller.ask(name, within_s=2, bot_id=bot_id)


def document(**fields: object) -> Talk:
    """An answer of 200 with these fields."""
    return saying(http(json.dumps(fields).encode()))


@pytest.mark.parametrize(
    ("talk", "reason", "problem"),
    [
        (document(success=True, bots={}), Reason.MET, ""),
        (document(bots={}), Reason.MET, ""),
        (document(success=False, error="no such bot"), Reason.REFUSED, "success: false: no such bot"),
        (document(success="true", bots={}), Reason.REFUSED, "success: false"),
        (document(success=None, bots={}), Reason.REFUSED, "success: false"),
        (saying(http(b"{}", status="503 Busy")), Reason.REFUSED, "it answered 503"),
        (saying(http(b'{"detail": "Not Found"}', status="404 No")), Reason.REFUSED, "404: Not Found"),
        (saying(http(b"", status="302 Found", more="Location: /\r\n")), Reason.REFUSED, "it answered 302"),
        (saying(http(b"<p>", kind="text/html")), Reason.PROTOCOL, "text/html instead of JSON"),
        (saying(http(b"[" * 100_000)), Reason.PROTOCOL, "instead of JSON"),
        (saying(http(b"", status="429 Slow", more="Retry-After: 60\r\n")), Reason.THROTTLED, "429"),
        (saying(http(b"", status="429 Slow", more="Retry-After: \xb2\r\n")), Reason.THROTTLED, "429"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_an_answer_is_judged_by_what_it_says(talk: Talk, reason: Reason, problem: str) -> None:
    reply = await asked(talk)
    assert reply.reason is reason
    assert problem in reply.problem
    assert reply.ok is (problem == "")


async def test_a_short_retry_after_is_waited_for_and_all_of_it_is_evidence() -> None:
    answers = [
        http(b"", status="429 Slow", more="Retry-After: 0\r\n"),
        http(b'{"success": true, "bots": {"BOT-001": {}}}'),
    ]

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answers.pop(0))
        await writer.drain()

    reply = await asked(talk)
    assert reply.ok
    assert len(reply.seen) == 2
    assert reply.fields["bots"] == {"BOT-001": {}}


async def test_values_in_a_path_cannot_change_the_path() -> None:
    paths: list[bytes] = []

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        paths.append(await reader.readline())
        await reader.readuntil(b"\r\n\r\n")
        writer.write(http(b"{}"))
        await writer.drain()

    await asked(talk, "stop", bot_id="../../admin?x=1#{text}")
    assert paths == [b"POST /api/bot/stop/..%2F..%2Fadmin%3Fx%3D1%23%7Btext%7D HTTP/1.1\r\n"]
