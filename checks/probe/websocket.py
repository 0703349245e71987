"""The WebSocket probe: one bounded conversation on one socket. The only importer of websockets."""

from __future__ import annotations

import asyncio
import json
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI

from checks.model import Evidence, Reason, utc_now
from checks.probe.http import RAW_CHARS, REDACTED_BYTES, Meter, TransportError, redacted
from checks.probe.redaction import Redactor
from checks.text import clean, one_line

MAX_FRAME_BYTES = 1 << 20
MAX_PASSED_OVER = 100
EVIDENCE_FRAME_CHARS = 2000
CLOSE_WITHIN_S = 1.0


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame sent and what came back for it."""

    sent: str
    sent_at: datetime
    reply: str | None
    """None where none came."""
    elapsed_s: float
    error: TransportError | None

    def json(self) -> object | None:
        """The reply as JSON; None where there is none or it is not JSON."""
        try:
            document: object = json.loads(self.reply or "")
        except (ValueError, RecursionError):
            return None
        return document


@dataclass(frozen=True, slots=True)
class Conversation:
    """Everything that happened on one socket."""

    opened: bool
    status: int | None
    """HTTP status of a refused handshake."""
    close_code: int | None
    frames: tuple[Frame, ...]
    error: TransportError | None
    """Why the socket did not open, or ended before every frame was sent."""
    evidence: Evidence


class _Connect(connect):
    """A connection that follows no redirect: it would take the token elsewhere."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        """The refusal itself."""
        return exc


class WebSocketProbe:
    """Talks to one WebSocket endpoint per call; one answer is awaited for each frame before the next is sent."""

    def __init__(
        self,
        base_url: str,
        redactor: Redactor,
        *,
        ca_file: str = "",
        clock: Callable[[], datetime] = utc_now,
        meter: Meter | None = None,
        local_address: str = "",
    ) -> None:
        """`local_address` is where the connections come from; empty: what the host chooses."""
        parts = urlsplit(base_url)
        self._is_secure = parts.scheme == "https"
        scheme = "wss" if self._is_secure else "ws"
        self._base_url = urlunsplit((scheme, parts.netloc, parts.path.rstrip("/"), "", ""))
        self._redactor = redactor
        self._ca_file = ca_file
        self._clock = clock
        self.meter = meter or Meter()
        self._from: dict[str, Any] = {"local_addr": (local_address, 0)} if local_address else {}

    async def converse(
        self,
        path: str,
        frames: Sequence[str],
        *,
        within_s: float,
        is_answer: Callable[[str], bool] = lambda text: True,
        headers: Mapping[str, str] | None = None,
        is_enough: Callable[[Frame], bool] = lambda frame: False,
    ) -> Conversation:
        """Open `path`, send each frame and wait up to `within_s` seconds for its answer, close.

        `headers` go with the handshake; after a frame that `is_enough` no more are sent.

        Frames that are no answer are passed over, `MAX_PASSED_OVER` for each frame at most.
        """
        url, at, began = self._base_url + path, self._clock(), time.monotonic()
        done: list[Frame] = []
        status: int | None = None
        close_code: int | None = None
        opened, error = False, None
        self.meter.requests += 1
        try:
            async with asyncio.timeout(within_s):
                socket = await _Connect(
                    url,
                    ssl=ssl.create_default_context(cafile=self._ca_file or None) if self._is_secure else None,
                    proxy=None,
                    compression=None,
                    open_timeout=None,
                    ping_interval=None,
                    close_timeout=CLOSE_WITHIN_S,
                    max_size=MAX_FRAME_BYTES,
                    additional_headers=dict(headers or {}),
                    **self._from,
                )
        except InvalidStatus as problem:
            status = problem.response.status_code
            error = TransportError(Reason.REFUSED, clean(f"the handshake was refused with HTTP {status}"))
        except TimeoutError:
            error = TransportError(Reason.TIMEOUT, clean(f"the socket did not open within {within_s:g} s"))
        except (OSError, InvalidHandshake, InvalidURI, EOFError) as problem:
            error = TransportError(
                Reason.UNREACHABLE, one_line(f"the socket did not open: {problem}", RAW_CHARS)
            )
        else:
            opened = True
            try:
                for text in frames:
                    done.append(frame := await self._exchange(socket, text, within_s, is_answer))
                    if frame.error or is_enough(frame):
                        break
            finally:
                await socket.close()
            close_code = socket.close_code
        error = redacted(error, self._redactor)
        evidence = self._evidence(url, at, time.monotonic() - began, opened, error, done, close_code)
        return Conversation(opened, status, close_code, tuple(done), error, evidence)

    async def _exchange(
        self, socket: ClientConnection, text: str, within_s: float, is_answer: Callable[[str], bool]
    ) -> Frame:
        at, began = self._clock(), time.monotonic()
        reply: str | None = None
        error: TransportError | None = None
        try:
            async with asyncio.timeout(within_s):
                await socket.send(text)
                for _ in range(MAX_PASSED_OVER):
                    answer = await socket.recv()
                    heard = answer if isinstance(answer, str) else answer.decode("utf-8", "replace")
                    if is_answer(heard):
                        reply = heard
                        break
                else:
                    what = f"{MAX_PASSED_OVER} frames came, and none of them was an answer"
                    error = TransportError(Reason.PROTOCOL, clean(what))
        except TimeoutError:
            error = TransportError(Reason.TIMEOUT, clean(f"no answer within {within_s:g} s"))
        except ConnectionClosed as problem:
            error = TransportError(Reason.REFUSED, one_line(f"the socket was closed: {problem}", RAW_CHARS))
        return Frame(text, at, reply, time.monotonic() - began, redacted(error, self._redactor))

    def _evidence(
        self,
        url: str,
        at: datetime,
        elapsed_s: float,
        opened: bool,
        error: TransportError | None,
        frames: Sequence[Frame],
        close_code: int | None,
    ) -> Evidence:
        redact = self._redactor.redact
        shown = redact(url)
        lines = [f"WebSocket {shown}"]
        if error:
            lines.append(f"! {error.sentence}")
        for frame in frames:
            lines.append(f"→ {clean(redact(frame.sent[:REDACTED_BYTES]), EVIDENCE_FRAME_CHARS)}")
            if frame.reply is not None:
                took = f"{frame.elapsed_s * 1e3:.1f} ms"
                lines.append(f"← {clean(redact(frame.reply), EVIDENCE_FRAME_CHARS)}   after {took}")
            if frame.error:
                lines.append(f"! {frame.error.sentence}")
        if opened:
            lines.append(f"closed with code {close_code}")
        answered = sum(frame.reply is not None for frame in frames)
        outcome = f"{answered} of {len(frames)} frames answered" if opened else "not opened"
        return Evidence(
            kind="websocket",
            title=one_line(f"WebSocket {shown} → {outcome}, {elapsed_s * 1e3:.0f} ms"),
            body=clean("\n".join(lines)),
            command=clean(f"websocat '{shown.replace('***', '$TOKEN')}'"),
            captured_at=at,
        )
