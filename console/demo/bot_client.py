"""How the controller asks a bot: one bounded HTTP request on the loopback."""

from __future__ import annotations

import asyncio
import json

MAX_ANSWER_BYTES = 1 << 20


class BotError(Exception):
    """The bot did not answer as a bot does."""


class BotTimeoutError(BotError):
    """The bot did not answer in time."""


async def ask(
    port: int, key: str, method: str, path: str, body: dict[str, object] | None, within_s: float
) -> dict[str, object]:
    """Ask the bot on `port`; its JSON answer. Raises BotError, after `within_s` seconds at the latest."""
    payload = json.dumps(body).encode() if body is not None else b""
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nX-Bot-Key: {key}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(payload)}\r\n\r\n"
    )
    try:
        async with asyncio.timeout(within_s):
            raw = await _exchange(port, head.encode() + payload)
    except TimeoutError as problem:
        raise BotTimeoutError(f"no answer within {within_s:g} s") from problem
    except OSError as problem:
        raise BotError("the connection failed") from problem
    answer_head, _, answer = raw.partition(b"\r\n\r\n")
    try:
        document = json.loads(answer)
    except ValueError as problem:
        raise BotError("the answer is cut off") from problem
    if not answer_head.startswith(b"HTTP/1.1 200 ") or not isinstance(document, dict):
        raise BotError("the bot refused")
    return document


async def _exchange(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(request)
        await writer.drain()
        parts, size = [], 0
        while part := await reader.read(65536):
            parts.append(part)
            size += len(part)
            if size > MAX_ANSWER_BYTES:
                raise BotError("the answer is too long")
        return b"".join(parts)
    finally:
        writer.close()
