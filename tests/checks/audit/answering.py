"""A small HTTP/1.1 server on loopback whose every answer a test decides, and that remembers who asked what."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.checks.servers import listening


@dataclass(frozen=True, slots=True)
class Asked:
    """One request."""

    method: str
    path: str
    headers: Mapping[str, str]
    client: str
    """The address that it came from."""
    body: bytes = b""


@dataclass(frozen=True, slots=True)
class Said:
    """One answer."""

    status: int = 200
    body: bytes = b'{"success": true, "status": "ok"}'
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})


Answering = Callable[[Asked], Awaitable[Said]]


@dataclass(slots=True)
class Server:
    """Where it listens, and what it was asked."""

    url: str = ""
    asked: list[Asked] = field(default_factory=list)

    def count(self, part: str) -> int:
        """How many requests had `part` in their path."""
        return sum(part in one.path for one in self.asked)


def said(document: object, status: int = 200, **headers: str) -> Said:
    """A JSON answer; `retry_after` becomes Retry-After."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return Said(status, json.dumps(document).encode(), {"Content-Type": "application/json", **names})


@asynccontextmanager
async def answering(answer: Answering) -> AsyncIterator[Server]:
    """Serve `answer`; connections are kept."""
    server = Server()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
            method, path, _ = head[0].split(" ")
            headers = {
                name.lower(): value.strip()
                for name, _, value in (line.partition(":") for line in head[1:] if line)
            }
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            asked = Asked(method, path, headers, writer.get_extra_info("peername")[0], body)
            server.asked.append(asked)
            told = await answer(asked)
            lines = [
                f"HTTP/1.1 {told.status} Told",
                *(f"{name}: {value}" for name, value in told.headers.items()),
            ]
            if told.status != 304:
                lines.append(f"Content-Length: {len(told.body)}")
            writer.write("\r\n".join([*lines, "", ""]).encode() + (b"" if told.status == 304 else told.body))
            await writer.drain()

    async with listening(talk) as port:
        server.url = f"http://127.0.0.1:{port}"
        yield server
