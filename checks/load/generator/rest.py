"""HTTP/1.1 with keep-alive: one request under way on a connection, never a second try, never a redirect followed."""

from __future__ import annotations

import asyncio
from typing import cast

import httptools

from checks.load.generator.client import WAITING, Client
from checks.load.generator.judging import Judge, shown
from checks.load.model import Failure

HEADER_BYTES = 1 << 16
"""What the headers of a reply may take besides its body."""
REQUEST_TIMEOUT = 408
"""Servers say this to a connection that was idle for long, and close it (RFC 9110, section 15.5.9)."""


class RestLink(asyncio.Protocol):
    """One connection of one client."""

    __slots__ = (
        "_body",
        "_complete",
        "_feed",
        "_first",
        "_is_kept",
        "_judge",
        "_most",
        "_size",
        "_status",
        "_status_code",
        "_transport",
        "_write",
        "client",
        "keeps_alive",
    )

    def __init__(self, client: Client, judge: Judge, most_reply_bytes: int) -> None:
        self.client = client
        self._judge = judge.rest
        self._most = most_reply_bytes + HEADER_BYTES
        parser = httptools.HttpResponseParser(self)
        self._feed, self._status_code, self.keeps_alive = (
            parser.feed_data,
            parser.get_status_code,
            parser.should_keep_alive,
        )
        self._transport: asyncio.Transport | None = None
        self._size = 0
        """Bytes that came since the last complete reply."""
        self._first = b""
        self._body: bytes | bytearray = b""
        self._status = 0
        self._complete = 0
        self._is_kept = True

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As in `asyncio.Protocol`."""
        self._transport = cast("asyncio.Transport", transport)
        self._write = self._transport.write

    def send(self, message: bytes) -> None:
        """As in `Link`."""
        self._write(message)

    def data_received(self, data: bytes) -> None:
        """As in `asyncio.Protocol`."""
        if not self._size:
            self._first = data
        self._size += len(data)
        try:
            self._feed(data)
        except httptools.HttpParserUpgrade:
            self._break(Failure.PROTOCOL, "an answer that changes the protocol", is_reply=True)
            return
        except httptools.HttpParserError as problem:
            if not self._complete:
                self._break(Failure.PROTOCOL, f"no HTTP answer ({problem}): {shown(data)}", is_reply=True)
                return
            self._is_kept = False
        if self._complete:
            self._answer()
        elif self._size > self._most:
            self._break(Failure.TOO_LARGE, f"more than {self._most} bytes of a reply came", is_reply=True)

    def on_body(self, data: bytes) -> None:
        """A piece of a body; called by the parser."""
        if self._complete:
            return
        if not self._body:
            self._body = data
            return
        if not isinstance(self._body, bytearray):
            self._body = bytearray(self._body)
        self._body += data

    def on_message_complete(self) -> None:
        """The end of an answer; called by the parser."""
        if not self._complete:
            status = self._status_code()
            if status < 200:
                return  # on its way (RFC 9110, section 15.2): the answer itself follows
            self._status = status
            self._is_kept = self.keeps_alive()
        self._complete += 1

    def connection_lost(self, problem: Exception | None) -> None:
        """As in `asyncio.Protocol`."""
        self._transport = None
        client = self.client
        if client.link is not self:
            return
        if self._body and problem is None and client.state == WAITING and self._ends_with_connection():
            self._complete, self._status = 1, self._status_code()
            self._is_kept = False
            self._answer()
            return
        how = "reset" if isinstance(problem, ConnectionResetError) else "closed"
        came = f" after {self._size} bytes" if self._size else ""
        client.lost(self, f"the connection was {how}{came} before the reply was whole")

    def drop(self) -> None:
        """As in `Link`."""
        transport, self._transport = self._transport, None
        self._first = self._body = b""
        if transport is not None:
            transport.abort()

    def close(self) -> None:
        """As in `Link`."""
        if self._transport is not None:
            self._transport.close()

    def _answer(self) -> None:
        """One whole answer is there, and perhaps more than one."""
        client, status, body, count = self.client, self._status, self._body, self._complete
        self._size = self._complete = 0
        self._body = self._first = b""
        if client.state != WAITING:
            if client.number and status != REQUEST_TIMEOUT:
                client.doubled(f"HTTP {status} that was not asked for: {shown(body)}")
            client.drop()
            return
        if count > 1:
            client.doubled(f"{count} answers to one request: {shown(body)}")
        if count > 1 or not self._is_kept:
            # What else is on this connection belongs to no message of ours.
            client.drop()
        judged = self._judge(status, body, client.name, client.bot_id, client.number)
        if judged is None:
            client.answered()
        else:
            client.failed(*judged, is_reply=True)

    def _ends_with_connection(self) -> bool:
        """Whether the length of the body was told by nothing but the end of the connection (RFC 9112, 6.3)."""
        head = self._first.partition(b"\r\n\r\n")[0].lower()
        return b"\ncontent-length:" not in head and b"\ntransfer-encoding:" not in head

    def _break(self, kind: Failure, seen: str, *, is_reply: bool) -> None:
        self.client.broke(kind, seen, is_reply=is_reply) if self.client.link is self else self.drop()
