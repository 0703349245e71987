"""A target whose manners can be chosen, on loopback: HTTP/1.1 and WebSocket by hand, to do anything wrong."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import json
import ssl
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
BOT = "BOT-1"
MOST_SENT = 64 << 20
"""What a flood sends at most, should nobody stop it."""


def answer(body: bytes, status: str = "200 OK", more: str = "") -> bytes:
    """One HTTP answer."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n{more}\r\n"
    return head.encode() + body


def reply(text: str, bot: str = BOT, *, success: bool = True) -> bytes:
    """What a good bot answers over HTTP."""
    return json.dumps({"success": success, "bot_id": bot, "response": text}).encode()


def frame(data: bytes, opcode: int = 1, *, fin: bool = True) -> bytes:
    """One frame of a server (RFC 6455, section 5.2)."""
    first = bytes([(0x80 if fin else 0) | opcode])
    if len(data) < 126:
        return first + bytes([len(data)]) + data
    return first + b"\x7e" + len(data).to_bytes(2, "big") + data


def said(text: str, kind: str = "response", bot: str = BOT, **more: object) -> bytes:
    """A frame with what a good bot says over a socket."""
    return frame(json.dumps({"type": kind, "success": True, "content": text, "bot_id": bot, **more}).encode())


REST: dict[str, Callable[[str], list[bytes]]] = {
    "good": lambda text: [answer(reply(text))],
    "in pieces": lambda text: [bytes([byte]) for byte in answer(reply(text))],
    "chunked": lambda text: [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        *(b"%x\r\n%s\r\n" % (1, reply(text)[at : at + 1]) for at in range(len(reply(text)))),
        b"0\r\n\r\n",
    ],
    "closing": lambda text: [answer(reply(text), more="Connection: close\r\n"), b"CLOSE"],
    "until the end": lambda text: [b"HTTP/1.1 200 OK\r\n\r\n" + reply(text), b"CLOSE"],
    "continue first": lambda text: [b"HTTP/1.1 100 Continue\r\n\r\n", answer(reply(text))],
    "limited": lambda _: [answer(b'{"error": "slow down"}', "429 Too Many Requests")],
    "limited in a 200": lambda _: [answer(b'{"success": false, "error": "Rate limit exceeded"}')],
    "too many clients": lambda _: [answer(b'{"success": false, "error": "sorry, too many clients already"}')],
    "broken": lambda _: [answer(b"oops", "500 Internal Server Error")],
    "missing": lambda _: [answer(b"{}", "404 Not Found")],
    "redirect": lambda _: [answer(b"", "302 Found", more="Location: /elsewhere\r\n")],
    "unsuccessful": lambda text: [answer(reply(text, success=False))],
    "no json": lambda _: [answer(b"<html>")],
    "too deep": lambda _: [answer(b"[" * 50_000)],
    "wrong message": lambda _: [answer(reply("gonogo load u9 7 and so on"))],
    "wrong number": lambda text: [answer(reply(text.replace(" 1 ", " 11 ", 1)))],
    "wrong bot": lambda text: [answer(reply(text, bot="BOT-2"))],
    "textless": lambda _: [answer(b'{"success": true, "bot_id": "BOT-1"}')],
    "half": lambda text: [answer(reply(text))[:-9], b"CLOSE"],
    "closed": lambda _: [b"CLOSE"],
    "reset": lambda _: [b"RESET"],
    "garbage": lambda _: [b"\x00\xff\x16\x03 who are you?\r\n\r\n"],
    "silent": lambda _: [],
    "slow drip": lambda _: [b"HTTP/1.1 200 OK\r\n"],
    "upgrade": lambda _: [b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n"],
    "gigabyte": lambda _: [b"HTTP/1.1 200 OK\r\nContent-Length: 1073741824\r\n\r\n", b"FLOOD" + b"x" * 65536],
    "headers": lambda _: [b"HTTP/1.1 200 OK\r\n", b"FLOOD" + b"X-Header: a\r\n" * 5000],
    "one header": lambda _: [b"HTTP/1.1 200 OK\r\nX-Header: ", b"FLOOD" + b"x" * 65536],
    "chunks": lambda _: [
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"FLOOD" + b"1\r\nx\r\n" * 10_000,
    ],
    "twice": lambda text: [answer(reply(text)) * 2],
    "twice, later": lambda text: [answer(reply(text)), b"WAIT", answer(reply(text))],
    "token": lambda _: [answer(b'{"success": false, "error": "bad token s3cr3t+/="}')],
}
SOCKET: dict[str, Callable[[str], list[bytes]]] = {
    "good": lambda text: [said(text)],
    "in pieces": lambda text: [bytes([byte]) for byte in said(text)],
    "fragments": lambda text: [
        frame(b'{"type": "response", "bot_id": "BOT-1", ', fin=False),
        frame(b"ping", 9),
        frame(b'"content": "', 0, fin=False),
        frame(text.encode() + b'"}', 0),
    ],
    "typing first": lambda text: [said("...", kind="typing"), said(text)],
    "twice": lambda text: [said(text) * 2],
    "twice, later": lambda text: [said(text), b"WAIT", said(text)],
    "limited": lambda _: [frame(b'{"type": "error", "message": "Rate limit exceeded: 20 per minute"}')],
    "error": lambda _: [frame(b'{"type": "error", "message": "Bot not found"}')],
    "unsuccessful": lambda text: [said(text, success=False)],
    "no json": lambda _: [frame(b"hello")],
    "wrong message": lambda _: [said("gonogo load u9 7 and so on")],
    "wrong bot": lambda text: [said(text, bot="BOT-2")],
    "closed": lambda _: [frame(b"\x03\xf0no", 8)],
    "cut": lambda text: [said(text)[:-5], b"CLOSE"],
    "reset": lambda _: [b"RESET"],
    "garbage": lambda _: [b"\xff\xff\xff\xff\xff"],
    "silent": lambda _: [],
    "gigabyte": lambda _: [b"\x81\x7f" + (1 << 30).to_bytes(8, "big"), b"FLOOD" + b"x" * 65536],
    "endless fragments": lambda _: [
        frame(b"x" * 100, fin=False),
        b"FLOOD" + frame(b"x" * 100, 0, fin=False) * 600,
    ],
    "empty fragments": lambda _: [frame(b"", fin=False), b"FLOOD" + frame(b"", 0, fin=False) * 30_000],
    "pings": lambda _: [b"FLOOD" + frame(b"", 9) * 30_000],
}


@dataclass
class Target:
    """Answers by its manner, and remembers who asked what when."""

    manner: str = "good"
    handshake: str = ""
    """Status line that a WebSocket handshake is refused with; empty where it is accepted."""
    greeting: bytes = b""
    delay_s: float = 0.0
    port: int = 0
    times: list[float] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    heads: list[str] = field(default_factory=list)
    peers: set[str] = field(default_factory=set)
    connections: int = 0
    flooded: int = 0
    stall: tuple[int, float] = (0, 0.0)
    """(number of the message, how long): it is answered so much later."""
    news: asyncio.Event = field(default_factory=asyncio.Event)

    async def asked(self, count: int) -> None:
        """Wait until so many messages have come."""
        while len(self.texts) < count:
            self.news.clear()
            await self.news.wait()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.connections += 1
        self.peers.add(writer.get_extra_info("peername")[0])
        with contextlib.suppress(asyncio.IncompleteReadError, OSError):
            while head := (await reader.readuntil(b"\r\n\r\n")).decode():
                self.heads.append(head)
                if "upgrade: websocket" in head.lower():
                    await self._socket(head, reader, writer)
                    break
                size = int(head.lower().partition("content-length: ")[2].partition("\r\n")[0])
                text = json.loads(await reader.readexactly(size))["command"]
                if not await self._answer(text, REST[self.manner], writer):
                    break
        writer.close()

    async def _socket(self, head: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.handshake:
            writer.write(f"HTTP/1.1 {self.handshake}\r\nConnection: close\r\n\r\n".encode())
            return
        key = next(
            line for line in head.splitlines() if line.lower().startswith("sec-websocket-key")
        ).split()[1]
        accept = base64.b64encode(hashlib.sha1((key + GUID).encode()).digest()).decode()
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            + f"Sec-WebSocket-Accept: {accept}\r\n\r\n".encode()
            + self.greeting
        )
        while True:
            first, second = await reader.readexactly(2)
            size = second & 0x7F
            if size == 126:
                size = int.from_bytes(await reader.readexactly(2), "big")
            mask = await reader.readexactly(4)
            data = bytes(byte ^ mask[place % 4] for place, byte in enumerate(await reader.readexactly(size)))
            if first & 0x0F == 1 and not await self._answer(
                json.loads(data)["query"], SOCKET[self.manner], writer
            ):
                return

    async def _answer(
        self, text: str, manner: Callable[[str], list[bytes]], writer: asyncio.StreamWriter
    ) -> bool:
        """Whether the connection goes on."""
        self.times.append(time.monotonic())
        self.texts.append(text)
        self.news.set()
        number, stall_s = self.stall
        if len(self.texts) == number:
            await asyncio.sleep(stall_s)
        if self.delay_s:
            await asyncio.sleep(self.delay_s)
        for piece in manner(text):
            if piece == b"CLOSE":
                return False
            if piece == b"RESET":
                writer.transport.abort()
                return False
            if piece == b"WAIT":
                await asyncio.sleep(0.02)
            elif piece.startswith(b"FLOOD"):
                while self.flooded < MOST_SENT:
                    writer.write(piece[5:])
                    self.flooded += len(piece) - 5
                    await writer.drain()
            else:
                writer.write(piece)
                await writer.drain()
        return True


@contextlib.asynccontextmanager
async def served(target: Target, tls: ssl.SSLContext | None = None) -> AsyncIterator[Target]:
    """The target, listening on a port of its own on every loopback address."""
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.get_running_loop().create_task(target.serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    server = await asyncio.start_server(accept, "0.0.0.0", 0, ssl=tls, backlog=512)
    target.port = server.sockets[0].getsockname()[1]
    try:
        yield target
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
