"""The HTTP probe: one bounded exchange, the answer as data, the evidence redacted. The only importer of httpx."""

from __future__ import annotations

import asyncio
import errno
import json
import shlex
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from types import TracebackType

import httpx

from checks.model import Evidence, Reason, utc_now
from checks.probe.redaction import MASK, Redactor
from checks.text import Clean, clean, one_line

MAX_BODY_BYTES = 1 << 20
"""A longer answer is cut there and told as an error: no operation of a chat needs more."""
EVIDENCE_BODY_CHARS = 4000
SENTENCE_CHARS = 300
RAW_CHARS = 1 << 16
"""What is kept of a library's message until it is redacted: cut before, it might keep half of a secret."""
REDACTED_BYTES = 1 << 16
"""How much of what was sent is searched for secrets; the evidence shows far less of it."""
SHOWN_HEADERS = (
    "content-type",
    "content-length",
    "retry-after",
    "www-authenticate",
    "x-request-id",
    "location",
)


@dataclass(slots=True)
class Meter:
    """Counts what one run sends."""

    requests: int = 0
    """HTTP requests and WebSocket handshakes."""
    latencies_s: dict[str, list[float]] = field(default_factory=dict)
    """Operation -> the seconds of each of its successful answers, in the order in which they came."""


@dataclass(frozen=True, slots=True)
class TransportError:
    """Why there is no complete answer: data, not an exception."""

    reason: Reason
    """TIMEOUT, UNREACHABLE or PROTOCOL."""
    sentence: Clean


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back for one request; raw for the judgement, and the evidence for the record."""

    status: int | None
    """None where no status line arrived."""
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    error: TransportError | None
    started_at: datetime
    elapsed_s: float
    evidence: Evidence

    @property
    def text(self) -> str:
        """The body as text, whatever its bytes."""
        return self.body.decode("utf-8", "replace")

    @property
    def media_type(self) -> str:
        """Content type without parameters, in lower case."""
        return self.headers.get("content-type", "").split(";")[0].strip().lower()

    def json(self) -> object | None:
        """The body as JSON; None where it is not JSON."""
        try:
            document: object = json.loads(self.body)
        except (ValueError, RecursionError):
            return None
        return document


class HttpProbe:
    """Asks one base URL. Follows no redirect, never retries, trusts no proxy setting of the environment."""

    def __init__(
        self,
        base_url: str,
        redactor: Redactor,
        *,
        ca_file: str = "",
        clock: Callable[[], datetime] = utc_now,
        transport: httpx.AsyncBaseTransport | None = None,
        meter: Meter | None = None,
        local_address: str = "",
    ) -> None:
        """`local_address` is where the connections come from; empty: what the host chooses."""
        self._base_url = base_url.rstrip("/")
        self._redactor = redactor
        self._clock = clock
        self.meter = meter or Meter()
        self.is_evidence_kept = True
        """Whether evidence holds what was sent and what came, not only the line that says so."""
        # Loading the system's certificates takes longer than a whole walkthrough step; without TLS an empty
        # context does, and it would refuse every certificate.
        is_secure = base_url.startswith("https")
        verify = (
            ssl.create_default_context(cafile=ca_file or None)
            if is_secure
            else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        )
        if local_address:
            transport = httpx.AsyncHTTPTransport(verify=verify, local_address=local_address, trust_env=False)
        self._client = httpx.AsyncClient(
            verify=verify,
            transport=transport,
            trust_env=False,
            follow_redirects=False,
            timeout=None,  # noqa: S113 - asyncio.timeout bounds the whole exchange
        )

    async def __aenter__(self) -> HttpProbe:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def ask(
        self,
        method: str,
        path: str,
        *,
        within_s: float,
        json_body: object | None = None,
        raw_body: bytes | None = None,
        token: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request and read the whole answer within `within_s` seconds and `MAX_BODY_BYTES`."""
        sent = {"accept": "*/*", **(headers or {})}
        if token:
            sent["authorization"] = f"Bearer {token}"
        content = raw_body
        if json_body is not None:
            content = json.dumps(json_body, ensure_ascii=False).encode()
        if content is not None:
            sent.setdefault("content-type", "application/json")
        url = self._base_url + path
        self.meter.requests += 1
        started_at, began = self._clock(), time.monotonic()
        status, seen, body, error = await self._exchange(method, url, sent, content, within_s)
        elapsed_s = time.monotonic() - began
        error = redacted(error, self._redactor)
        # A watch asks thousands of times a day and shows none of it: then only the line is kept.
        evidence = (
            self._evidence(method, url, sent, content, status, seen, body, error, elapsed_s, started_at)
            if self.is_evidence_kept
            else self._evidence(method, url, {}, None, status, {}, b"", error, elapsed_s, started_at)
        )
        return Answer(status, seen, body, error, started_at, elapsed_s, evidence)

    async def _exchange(
        self, method: str, url: str, headers: Mapping[str, str], content: bytes | None, within_s: float
    ) -> tuple[int | None, dict[str, str], bytes, TransportError | None]:
        status: int | None = None
        seen: dict[str, str] = {}
        body = bytearray()
        error: TransportError | None = None
        try:
            async with (
                asyncio.timeout(within_s),
                self._client.stream(method, url, headers=dict(headers), content=content) as response,
            ):
                status, seen = response.status_code, dict(response.headers)
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > MAX_BODY_BYTES:
                        error = TransportError(
                            Reason.PROTOCOL,
                            clean(
                                f"the answer is longer than {MAX_BODY_BYTES // 1024} KiB and was cut there"
                            ),
                        )
                        break
        except TimeoutError:
            what = f"did not end within {within_s:g} s" if status else f"did not begin within {within_s:g} s"
            size = f" ({len(body)} bytes had come)" if body else ""
            error = TransportError(Reason.TIMEOUT, clean(f"the answer {what}{size}"))
        except httpx.HTTPError as problem:
            error = _told(problem, url)
        except (httpx.InvalidURL, UnicodeError, ValueError) as problem:
            error = TransportError(
                Reason.PROTOCOL, one_line(f"the request could not be made: {problem}", RAW_CHARS)
            )
        return status, seen, bytes(body[:MAX_BODY_BYTES]), error

    def _evidence(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        content: bytes | None,
        status: int | None,
        seen: Mapping[str, str],
        body: bytes,
        error: TransportError | None,
        elapsed_s: float,
        at: datetime,
    ) -> Evidence:
        redact = self._redactor.redact
        asked = "" if content is None else redact(content[:REDACTED_BYTES].decode("utf-8", "replace"))
        outcome = str(status) if status else "no answer"
        lines = [f"{method} {redact(url)}"]
        if "authorization" in headers:
            lines.append(f"authorization: Bearer {MASK}")
        if asked:
            lines += ["", clean(asked, EVIDENCE_BODY_CHARS)]
        lines += ["", f"→ {outcome} after {elapsed_s * 1e3:.1f} ms"]
        lines += [f"{name}: {redact(seen[name])}" for name in SHOWN_HEADERS if name in seen]
        if body:
            lines += ["", clean(redact(body.decode("utf-8", "replace")), EVIDENCE_BODY_CHARS)]
        if error:
            lines += ["", f"! {error.sentence}"]
        return Evidence(
            kind="http",
            title=one_line(f"{method} {redact(url)} → {outcome}, {elapsed_s * 1e3:.0f} ms"),
            body=clean("\n".join(lines)),
            command=clean(_curl(method, redact(url), "authorization" in headers, asked)),
            captured_at=at,
        )


def redacted(error: TransportError | None, redactor: Redactor) -> TransportError | None:
    """The error without secrets: libraries quote what was sent and received."""
    return error and TransportError(error.reason, one_line(redactor.redact(error.sentence), SENTENCE_CHARS))


def _curl(method: str, url: str, with_token: bool, body: str) -> str:
    parts = ["curl", "-sS", "-i", "-X", method]
    if body:
        parts += ["-H", "Content-Type: application/json", "-d", body[:EVIDENCE_BODY_CHARS]]
    command = shlex.join([*parts, url])
    return f'{command} -H "Authorization: Bearer $TOKEN"' if with_token else command


def _told(problem: httpx.HTTPError, url: str) -> TransportError:
    """One sentence for what httpx raises; the cause's errno says more than its message."""
    where = httpx.URL(url)
    place = f"{where.host}:{where.port or (443 if where.scheme == 'https' else 80)}"
    codes = {cause.errno for cause in _causes(problem) if isinstance(cause, OSError)}
    if errno.ECONNREFUSED in codes:
        return TransportError(Reason.UNREACHABLE, clean(f"nothing listens on {place} (connection refused)"))
    if any(isinstance(cause, ssl.SSLError) for cause in _causes(problem)):
        return TransportError(Reason.UNREACHABLE, one_line(f"TLS with {place} failed: {problem}", RAW_CHARS))
    if isinstance(problem, httpx.ConnectError):
        return TransportError(
            Reason.UNREACHABLE, one_line(f"{place} cannot be reached: {problem}", RAW_CHARS)
        )
    if isinstance(problem, httpx.RemoteProtocolError):
        return TransportError(
            Reason.PROTOCOL, one_line(f"{place} did not answer in HTTP: {problem}", RAW_CHARS)
        )
    name = type(problem).__name__
    return TransportError(
        Reason.PROTOCOL,
        one_line(f"the connection to {place} broke before the answer was whole: {name} {problem}", RAW_CHARS),
    )


def _causes(problem: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    todo: list[BaseException | None] = [problem]
    while todo:
        current = todo.pop()
        if current is None or current in found:
            continue
        found.append(current)
        todo += [current.__cause__, current.__context__]
        if isinstance(current, BaseExceptionGroup):
            todo += list(current.exceptions)
    return found
