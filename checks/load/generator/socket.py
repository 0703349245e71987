"""A WebSocket (RFC 6455) by the sans-I/O half of `websockets`: one message under way, no compression."""

from __future__ import annotations

import asyncio
from typing import cast
from urllib.parse import urlsplit

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus, PayloadTooBig
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.uri import parse_uri

from checks.load.generator.client import WAITING, Client
from checks.load.generator.judging import Judge, shown
from checks.load.generator.messages import target_of
from checks.load.model import Failure
from checks.load.wire import Setup

MOST_PASSED_OVER = 1000
"""Frames of other kinds that may come before the reply to one message."""
PIECE_BYTES = 4096
"""So much is parsed at once: a flood of empty frames must not hold up the schedule."""
GOING_AWAY = 1000


class Refused(ConnectionError):  # noqa: N818 - it says what happened
    """The handshake was answered with something else than a WebSocket."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        """HTTP status; 0 where there was none."""


class SocketLink(asyncio.Protocol):
    """One WebSocket of one client; usable when `ready` is done."""

    __slots__ = (
        "_judge",
        "_passed_over",
        "_pieces",
        "_protocol",
        "_transport",
        "_was_asked",
        "client",
        "ready",
    )

    def __init__(self, client: Client, setup: Setup, judge: Judge, ready: asyncio.Future[None]) -> None:
        """`ready` gets Refused where the handshake fails."""
        self.client = client
        self.ready = ready
        self._judge = judge.frame
        self._transport: asyncio.Transport | None = None
        self._protocol = ClientProtocol(parse_uri(url_of(setup, client)), max_size=setup.most_reply_bytes)
        self._pieces: list[bytes] = []
        """The fragments of the message under way."""
        self._passed_over = 0
        self._was_asked = False
        """Whether a message was sent over this socket: what comes before is no reply."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """As in `asyncio.Protocol`."""
        self._transport = cast("asyncio.Transport", transport)
        request = self._protocol.connect()
        request.headers["User-Agent"] = "gonogo"
        self._protocol.send_request(request)
        self._flush()

    def send(self, message: bytes) -> None:
        """As in `Link`."""
        self._was_asked = True
        self._passed_over = 0
        self._protocol.send_text(message)
        self._flush()

    def data_received(self, data: bytes) -> None:
        """As in `asyncio.Protocol`."""
        if len(data) <= PIECE_BYTES:
            self._take(data)
            return
        for start in range(0, len(data), PIECE_BYTES):
            if self._transport is None:
                return
            self._take(data[start : start + PIECE_BYTES])

    def connection_lost(self, problem: Exception | None) -> None:
        """As in `asyncio.Protocol`."""
        self._transport = None
        how = "reset" if isinstance(problem, ConnectionResetError) else "closed"
        if not self.ready.done() and not self._protocol.reader.eof:
            # A refusal may end with the connection, and only with it.
            self._protocol.receive_eof()
            refusal = self._protocol.handshake_exc
            if isinstance(refusal, InvalidStatus):
                self._refused(refusal)
        if not self.ready.done():
            self.ready.set_exception(Refused(0, f"the connection was {how} during the handshake"))
        self.client.lost(self, f"the socket was {how} before the reply came")

    def drop(self) -> None:
        """As in `Link`."""
        transport, self._transport = self._transport, None
        self._pieces = []
        if transport is not None:
            transport.abort()

    def close(self) -> None:
        """As in `Link`."""
        if self._transport is None:
            return
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(GOING_AWAY)
            self._flush()
        self._transport.close()

    def _take(self, data: bytes) -> None:
        protocol = self._protocol
        protocol.receive_data(data)
        events = protocol.events_received()
        if protocol.writes:
            self._flush()
        for event in events:
            if self._transport is None:
                return
            if isinstance(event, Frame):
                self._frame(event)
            elif isinstance(event, Response) and protocol.handshake_exc is None and not self.ready.done():
                self.ready.set_result(None)
        if self._transport is None:
            return
        if protocol.handshake_exc is not None:
            self._refused(protocol.handshake_exc)
        elif protocol.parser_exc is not None:
            if isinstance(protocol.parser_exc, PayloadTooBig):
                self._break(Failure.TOO_LARGE, f"a message that is too long: {protocol.parser_exc}")
            else:
                self._break(Failure.PROTOCOL, f"no WebSocket message ({protocol.parser_exc}): {shown(data)}")

    def _frame(self, frame: Frame) -> None:
        opcode = frame.opcode
        if opcode is Opcode.TEXT or opcode is Opcode.BINARY or opcode is Opcode.CONT:
            if frame.fin and not self._pieces:
                self._message(bytes(frame.data))
                return
            self._pieces.append(bytes(frame.data))
            if frame.fin:
                whole, self._pieces = b"".join(self._pieces), []
                self._message(whole)
                return
        elif opcode is Opcode.CLOSE:
            told = self._protocol.close_rcvd
            why = f"{told.code} {told.reason}".strip() if told else "no code"
            self._break(Failure.CLOSED, f"the socket was closed with code {why}", is_reply=False)
            return
        self._pass_over()

    def _message(self, data: bytes) -> None:
        client = self.client
        if client.link is not self or not self._was_asked:
            self._pass_over()
            return
        is_awaited = client.state == WAITING
        # Without a message under way, what answers any message so far is a second reply.
        number = client.number if is_awaited else client.number + 1
        judged = self._judge(data, client.name, client.bot_id, number)
        if judged is False:
            self._pass_over()
        elif judged is True:
            client.doubled(shown(data))
            self._pass_over()
        elif not is_awaited:
            if judged is None or judged[0] in (Failure.WRONG_BOT, Failure.WRONG_MESSAGE):
                client.doubled(shown(data))
            self._pass_over()
        elif judged is None:
            client.answered()
        else:
            client.failed(*judged, is_reply=True)

    def _pass_over(self) -> None:
        """What came is no reply; a target that goes on like that is dropped."""
        self._passed_over += 1
        if self._passed_over > MOST_PASSED_OVER:
            self._break(Failure.PROTOCOL, f"{MOST_PASSED_OVER} frames came, and none of them was a reply")

    def _refused(self, problem: Exception) -> None:
        if isinstance(problem, InvalidStatus):
            response = problem.response
            refused = Refused(
                response.status_code, f"the handshake was refused with HTTP {response.status_code}"
            )
        else:
            refused = Refused(0, f"the handshake failed: {problem}")
        if not self.ready.done():
            self.ready.set_exception(refused)
        self.drop()

    def _break(self, kind: Failure, seen: str, *, is_reply: bool = True) -> None:
        if self.client.link is self:
            self.client.broke(kind, seen, is_reply=is_reply)
        else:
            if not self.ready.done():
                self.ready.set_exception(Refused(0, "what came is no WebSocket"))
            self.drop()

    def _flush(self) -> None:
        """Write what the protocol has to say; its empty piece, the end of the stream, is left to the transport."""
        transport = self._transport
        for piece in self._protocol.data_to_send():
            if piece and transport is not None:
                transport.write(piece)


def url_of(setup: Setup, client: Client) -> str:
    """Where the socket is: the base URL with the contract's path."""
    parts = urlsplit(setup.url)
    scheme = "wss" if parts.scheme == "https" else "ws"
    return f"{scheme}://{parts.netloc}{target_of(setup, setup.websocket, client.user)}"
