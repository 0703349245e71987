"""The probe of one connection: two requests, one after the other, and whether it outlived the first. The only importer
of h11."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

import h11

from checks.model import Evidence, Reason, utc_now
from checks.probe.http import RAW_CHARS, SENTENCE_CHARS, Meter, TransportError
from checks.probe.redaction import Redactor
from checks.text import clean, one_line

MAX_ANSWER_BYTES = 1 << 20
READ_BYTES = 1 << 16
IDLE_S = 0.2
"""How long the connection is left alone after the first answer: a server that closes it has done so by then."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What became of one connection."""

    statuses: tuple[int, ...]
    """Of the whole answers that came on it: none, one or two."""
    seconds: tuple[float, ...]
    """From each request to the end of its answer."""
    how: str
    """What ended it after the first answer, such as `Connection: close`; empty where it was kept."""
    error: TransportError | None
    """Why not even the first answer came."""
    evidence: Evidence


class KeepAliveProbe:
    """Asks one base URL twice on one connection."""

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
        """`local_address` is where the connection comes from; empty: what the host chooses."""
        parts = urlsplit(base_url)
        self._base_url = base_url.rstrip("/")
        self._host = parts.hostname or ""
        self._is_secure = parts.scheme == "https"
        self._port = parts.port or (443 if self._is_secure else 80)
        self._netloc, self._path = parts.netloc.rpartition("@")[2], parts.path.rstrip("/")
        self._redactor = redactor
        self._ca_file = ca_file
        self._clock = clock
        self.meter = meter or Meter()
        self._from: dict[str, Any] = {"local_addr": (local_address, 0)} if local_address else {}

    async def ask_twice(self, path: str, *, within_s: float) -> Kept:
        """GET `path` twice on one new connection, all within `within_s` seconds."""
        at, began = self._clock(), time.monotonic()
        statuses: list[int] = []
        seconds: list[float] = []
        how, error = "", None
        try:
            async with asyncio.timeout(within_s):
                how = await self._talk(path, statuses, seconds)
        except TimeoutError:
            error = TransportError(Reason.TIMEOUT, clean(f"no two answers came within {within_s:g} s"))
        except ssl.SSLError as problem:
            error = TransportError(Reason.UNREACHABLE, one_line(f"TLS failed: {problem}", RAW_CHARS))
        except OSError as problem:
            where = f"{self._host}:{self._port}"
            error = TransportError(
                Reason.UNREACHABLE, one_line(f"{where} cannot be reached: {problem}", RAW_CHARS)
            )
        except h11.ProtocolError as problem:
            error = TransportError(
                Reason.PROTOCOL, one_line(f"the answer is not HTTP/1.1: {problem}", RAW_CHARS)
            )
        if error:
            error = TransportError(
                error.reason, one_line(self._redactor.redact(error.sentence), SENTENCE_CHARS)
            )
        ending = error.sentence if error else how or "the connection was kept"
        shown = self._redactor.redact(self._base_url + path)
        lines = [f"GET {shown}", f"→ {status}"] if (status := next(iter(statuses), 0)) else [f"GET {shown}"]
        lines += [f"GET {shown} on the same connection", f"→ {statuses[1]}"] if len(statuses) > 1 else []
        took = f"{(time.monotonic() - began) * 1e3:.0f} ms"
        evidence = Evidence(
            kind="http",
            title=one_line(f"Two requests on one connection: {len(statuses)} answered, {took}"),
            body=clean("\n".join([*lines, ending])),
            command=clean(f"curl -sSv {shown} {shown} 2>&1 | grep -i 're-us\\|closing\\|http/'"),
            captured_at=at,
        )
        return Kept(tuple(statuses), tuple(seconds), how, error, evidence)

    async def _talk(self, path: str, statuses: list[int], seconds: list[float]) -> str:
        """Ask twice; what ended the connection after the first answer, or nothing. Raises OSError, ProtocolError."""
        context = ssl.create_default_context(cafile=self._ca_file or None) if self._is_secure else None
        reader, writer = await asyncio.open_connection(self._host, self._port, ssl=context, **self._from)
        state = h11.Connection(h11.CLIENT, max_incomplete_event_size=READ_BYTES)
        try:
            began = time.monotonic()
            statuses.append(await self._ask(state, reader, writer, path))
            seconds.append(time.monotonic() - began)
            if state.their_state is not h11.DONE or state.our_state is not h11.DONE:
                return "the answer says that the connection is to be closed"
            await asyncio.sleep(IDLE_S)
            if reader.at_eof():
                return "the connection was closed after the answer, without a word"
            state.start_next_cycle()
            began = time.monotonic()
            try:
                statuses.append(await self._ask(state, reader, writer, path))
                seconds.append(time.monotonic() - began)
            except (ConnectionError, h11.ProtocolError):
                return "the connection was closed when it was asked again"
            return ""
        finally:
            writer.close()

    async def _ask(
        self, state: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str
    ) -> int:
        self.meter.requests += 1
        headers = [("Host", self._netloc), ("Accept", "*/*"), ("User-Agent", "gonogo")]
        request = h11.Request(method="GET", target=self._path + path, headers=headers)
        for event in (request, h11.EndOfMessage()):
            writer.write(state.send(event) or b"")
        await writer.drain()
        status, size = 0, 0
        while True:
            event_or_need = state.next_event()
            if event_or_need is h11.NEED_DATA:
                part = await reader.read(READ_BYTES)
                size += len(part)
                if size > MAX_ANSWER_BYTES:
                    raise h11.RemoteProtocolError(f"it is longer than {MAX_ANSWER_BYTES // 1024} KiB")
                if not part and not status:
                    raise ConnectionResetError("the connection was closed before an answer came")
                state.receive_data(part)
            elif isinstance(event_or_need, h11.Response):
                status = event_or_need.status_code
            elif isinstance(event_or_need, h11.EndOfMessage):
                return status
            elif isinstance(event_or_need, h11.ConnectionClosed):
                raise ConnectionResetError("the connection was closed before an answer was whole")
