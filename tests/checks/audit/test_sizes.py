"""Limits of size: refused for the size is good, taken like a small one is not, and closing the door counts."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from websockets.asyncio.server import ServerConnection, serve

from checks.audit.sizes import large_bodies_are_refused, large_frames_are_refused, pages_are_bounded
from checks.launches import Bot
from checks.model import Outcome, Reason, Verdict
from checks.walkthrough.walk import Walk
from tests.checks.audit.answering import Asked, Said, said
from tests.checks.audit.chatting import BOT, chatting, only, refused
from tests.checks.audit.contexts import context_of, target_at
from tests.checks.servers import http, listening


async def test_a_body_that_is_refused_for_its_size_passes(tmp_path: Path) -> None:
    async with chatting(tmp_path) as (context, _):
        outcome = await large_bodies_are_refused(context)
    assert outcome.verdict is Verdict.PASS, outcome.summary
    assert "2 MiB is refused (413)" in outcome.summary


async def test_a_body_that_is_read_and_then_looked_at_fails(tmp_path: Path) -> None:
    def reads(asked: Asked) -> Said | None:
        return refused(404, f"Bot BOT-{len(asked.body)} not found")

    async with chatting(tmp_path, only("/task", reads)) as (context, _):
        outcome = await large_bodies_are_refused(context)
    assert outcome.verdict is Verdict.FAIL
    assert outcome.summary.endswith("read whole and taken like a small one: no limit acts")


@pytest.mark.parametrize("answer", [http(b'{"success": false, "error": "no"}', status="413 Large"), b""])
async def test_a_target_that_answers_or_closes_before_it_has_read_passes(
    tmp_path: Path, answer: bytes
) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        size = next((int(line[15:]) for line in head.split(b"\r\n") if line[:15] == b"content-length:"), 0)
        if size > 100_000:
            writer.write(answer)
        else:
            await reader.readexactly(size)
            is_health = b" /health " in head
            writer.write(
                http(b'{"status": "ok"}') if is_health else http(b'{"error": "no bot"}', status="404 No")
            )
        await writer.drain()

    async with (
        listening(talk) as port,
        context_of(target_at(f"http://127.0.0.1:{port}"), tmp_path) as context,
    ):
        outcome = await large_bodies_are_refused(context)
    assert outcome.verdict is Verdict.PASS, outcome.summary


@pytest.mark.parametrize(
    ("million", "beyond", "verdict"),
    [
        (refused(422), None, Verdict.PASS),
        (said({"success": True, "messages": []}), said({"success": True, "messages": []}), Verdict.PASS),
        (said({"success": True, "messages": []}), Said(500, b"oops"), Verdict.FAIL),
        (
            said({"success": True, "messages": []}),
            said({"success": False, "error": "Python int too large"}),
            Verdict.FAIL,
        ),
        (said({"success": True, "messages": []}), refused(422), Verdict.INCONCLUSIVE),
        (Said(500, b"oops"), Said(500, b"oops"), Verdict.FAIL),
        (refused(429), None, Verdict.INCONCLUSIVE),
    ],
)
async def test_a_limit_that_reaches_the_database_shows_itself(
    tmp_path: Path, million: Said, beyond: Said | None, verdict: Verdict
) -> None:
    def history(asked: Asked) -> Said | None:
        return million if asked.path.endswith("limit=1000000") else beyond

    async with chatting(tmp_path, only("/history", history)) as (context, _):
        assert (await pages_are_bounded(context)).verdict is verdict


async def over_a_socket(tmp_path: Path, answer: Any, *, documented: int, most: int | None = None) -> Outcome:
    """What is found of a socket that answers each frame by `answer`."""

    async def talk(socket: ServerConnection) -> None:
        async for frame in socket:
            await socket.send(json.dumps(answer(json.loads(frame)["query"])))

    async with serve(talk, "127.0.0.1", 0, max_size=most) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        target = target_at(f"http://127.0.0.1:{port}")
        contract = msgspec.structs.replace(target.contract, max_command_bytes=documented)
        async with context_of(msgspec.structs.replace(target, contract=contract), tmp_path) as context:
            context.state(Walk).first = Bot(BOT)
            return await large_frames_are_refused(context)


def nobody(text: str) -> object:
    """As a target answers that has looked at the frame."""
    return {"type": "error", "message": f"Bot BOT-{len(text)} not found in registry"}


def measured(text: str) -> object:
    """As a target answers that has a limit of its own."""
    return {"type": "error", "message": "Too long"} if len(text) > 1000 else nobody(text)


def heard(text: str) -> object:
    """As a bot answers."""
    return {"type": "response", "content": "heard", "success": True, "bot_id": BOT}


async def test_a_frame_above_the_documented_limit_must_be_refused(tmp_path: Path) -> None:
    assert (await over_a_socket(tmp_path, measured, documented=1000)).verdict is Verdict.PASS
    outcome = await over_a_socket(tmp_path, heard, documented=1000)
    assert (outcome.verdict, outcome.summary) == (
        Verdict.FAIL,
        "A frame of 1001 bytes is taken like a small one: no limit acts on the WebSocket",
    )


async def test_without_a_documented_limit_two_mebibytes_must_be_refused(tmp_path: Path) -> None:
    outcome = await over_a_socket(tmp_path, nobody, documented=0)
    assert outcome.verdict is Verdict.FAIL, outcome.summary
    closed = await over_a_socket(tmp_path, nobody, documented=0, most=1 << 16)
    assert closed.verdict is Verdict.PASS
    assert "1009" in closed.observed


async def test_a_socket_that_does_not_open_says_nothing(tmp_path: Path) -> None:
    async with chatting(tmp_path, max_command_bytes=1000) as (context, _):
        outcome = await large_frames_are_refused(context)
    assert outcome.verdict is Verdict.INCONCLUSIVE
    assert outcome.reason is not Reason.MET
