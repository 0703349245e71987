"""What the checks of the HTTP surface say of a service that is not set up as it should be."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path

import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from checks.audit.common import Function
from checks.audit.surface import (
    api_answers_are_not_kept,
    cookies_are_guarded,
    cookies_of,
    the_page_is_defended,
    versions_are_not_told,
)
from checks.audit.surface_closed import (
    documentation_is_closed,
    internal_pages_are_not_public,
    unused_methods_are_refused,
)
from checks.audit.surface_origin import foreign_origins_get_nothing, the_websocket_refuses_foreign_origins
from checks.context import Context
from checks.model import Outcome, Reason, Verdict
from tests.checks.audit.contexts import context_of, target_at
from tests.checks.servers import Talk, http, listening

NOSNIFF = "X-Content-Type-Options: nosniff\r\n"
PAGE = (
    "Content-Security-Policy: default-src 'self'; frame-ancestors 'none'\r\n"
    f"Referrer-Policy: no-referrer\r\n{NOSNIFF}"
)
KEPT_BY_NOBODY = f"Cache-Control: no-store\r\n{NOSNIFF}"
BOTS, FOREIGN = "/api/bots", "https://gonogo-0badc0de1234.example"
Answers = Callable[[str, str, dict[str, str]], bytes | None]
EVERY = (
    the_page_is_defended,
    api_answers_are_not_kept,
    versions_are_not_told,
    foreign_origins_get_nothing,
    documentation_is_closed,
    internal_pages_are_not_public,
    unused_methods_are_refused,
    cookies_are_guarded,
)


def good(method: str, path: str, headers: dict[str, str]) -> bytes:
    """A service as it should be."""
    del headers
    if method == "GET" and path == "/":
        return http(b"<html>", kind="text/html", more=PAGE)
    if method == "GET" and path == BOTS:
        return http(b'{"bots": {}}', more=KEPT_BY_NOBODY)
    return http(b'{"detail": "Not Found"}', status="404 Not Found", more=KEPT_BY_NOBODY)


def answering(answers: Answers) -> Talk:
    """Answer by `answers`, and what that leaves out by `good`."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        method, path, _ = head[0].split(" ")
        headers = {
            name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])
        }
        writer.write(answers(method, path, headers) or good(method, path, headers))
        await writer.drain()

    return talk


@asynccontextmanager
async def at(answers: Answers, folder: Path, **audit: object) -> AsyncIterator[Context]:
    """The context of a run on a service that answers so."""
    async with (
        listening(answering(answers)) as port,
        context_of(target_at(f"http://127.0.0.1:{port}", audit), folder) as context,
    ):
        yield context


async def judged(check: Function, answers: Answers, folder: Path, **audit: object) -> Outcome:
    """What `check` says of it."""
    async with at(answers, folder, **audit) as context:
        return await check(context)


def only(method: str, path: str, answer: bytes) -> Answers:
    """That answer to that request, and good ones to all others."""
    return lambda asked, where, headers: answer if (asked, where) == (method, path) else None


async def test_a_service_as_it_should_be_passes_within_its_requests(tmp_path: Path) -> None:
    async with at(good, tmp_path) as context:
        outcomes = {check.__name__: await check(context) for check in EVERY}
        requests = context.http.meter.requests
    assert outcomes.pop("cookies_are_guarded").verdict is Verdict.NA
    assert {name: one.verdict for name, one in outcomes.items()} == dict.fromkeys(outcomes, Verdict.PASS)
    assert requests <= 20


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("Content-Security-Policy", "Content-Security-Policy"),
        ("; frame-ancestors 'none'", "frame-ancestors in Content-Security-Policy"),
        ("Referrer-Policy", "Referrer-Policy"),
        ("X-Content-Type-Options", "X-Content-Type-Options: nosniff"),
    ],
)
async def test_each_header_of_the_page_is_missed(tmp_path: Path, missing: str, said: str) -> None:
    more = PAGE.replace(missing, "" if missing.startswith(";") else "X-Other")
    page = only("GET", "/", http(b"<html>", kind="text/html", more=more))
    outcome = await judged(the_page_is_defended, page, tmp_path)
    assert (outcome.verdict, outcome.summary) == (Verdict.FAIL, f"The page is sent without {said}")


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (http(b"{}", kind="text/html", more=KEPT_BY_NOBODY), "it is called text/html, not JSON"),
        (http(b"{}", more="Cache-Control: no-store\r\n"), "nosniff is missing"),
        (http(b"{}", more=NOSNIFF), "caches may keep it (Cache-Control: none)"),
        (http(b"{}", more=f"{NOSNIFF}Cache-Control: public, max-age=60\r\n"), "public, max-age=60"),
    ],
)
async def test_an_answer_that_is_kept_or_guessed_at_fails(tmp_path: Path, answer: bytes, said: str) -> None:
    outcome = await judged(api_answers_are_not_kept, only("GET", BOTS, answer), tmp_path)
    assert outcome.verdict is Verdict.FAIL
    assert said in outcome.summary


@pytest.mark.parametrize(
    ("status", "reason"), [("429 Slow", Reason.THROTTLED), ("503 Busy", Reason.PROTOCOL)]
)
async def test_a_service_that_does_not_answer_is_not_judged(
    tmp_path: Path, status: str, reason: Reason
) -> None:
    outcome = await judged(api_answers_are_not_kept, only("GET", BOTS, http(b"{}", status=status)), tmp_path)
    assert (outcome.verdict, outcome.reason) == (Verdict.INCONCLUSIVE, reason)


def allowing(origin_of: Callable[[str], str], *, is_preflight: bool = False) -> Answers:
    """Answer the list with what `origin_of` makes of the origin."""

    def answers(method: str, path: str, headers: dict[str, str]) -> bytes | None:
        allowed = origin_of(headers.get("origin", ""))
        if path != BOTS or not allowed or is_preflight != (method == "OPTIONS"):
            return None
        more = f"Access-Control-Allow-Origin: {allowed}\r\nAccess-Control-Allow-Credentials: true\r\n"
        return http(b"{}", more=more)

    return answers


@pytest.mark.parametrize(
    ("answers", "said"),
    [
        (allowing(lambda origin: "*"), "foreign origin is allowed (* with credentials)"),
        (allowing(lambda origin: origin), "null origin is allowed"),
        (allowing(lambda origin: "null" * (origin == "null")), "not right: null origin is allowed"),
        (
            allowing(lambda origin: origin if origin.startswith("http://127.0.0.1") else ""),
            "not right: look-alike origin is allowed",
        ),
        (
            allowing(lambda origin: origin, is_preflight=True),
            "not right: foreign, preflight origin is allowed",
        ),
    ],
    ids=["all", "reflected", "null", "look-alike", "preflight"],
)
async def test_an_origin_that_is_let_in_is_named(tmp_path: Path, answers: Answers, said: str) -> None:
    outcome = await judged(foreign_origins_get_nothing, answers, tmp_path)
    assert outcome.verdict is Verdict.FAIL
    assert said in outcome.summary


async def test_the_declared_origin_must_work(tmp_path: Path) -> None:
    def answers(method: str, path: str, headers: dict[str, str]) -> bytes | None:
        own = "https://chat.example"
        more = f"Access-Control-Allow-Origin: {own}\r\n"  # to everybody, and the browser compares
        return http(b"{}", more=more) if headers.get("origin") else None

    outcome = await judged(foreign_origins_get_nothing, answers, tmp_path, origin="https://chat.example")
    assert outcome.verdict is Verdict.PASS, outcome.summary
    outcome = await judged(foreign_origins_get_nothing, good, tmp_path, origin="https://chat.example")
    assert outcome.summary.startswith(
        "CORS is not right: the declared origin https://chat.example is not allowed"
    )


@pytest.mark.parametrize(
    ("path", "check"),
    [
        ("/docs", documentation_is_closed),
        ("/openapi.json", documentation_is_closed),
        ("/.git/config", internal_pages_are_not_public),
        ("/metrics", internal_pages_are_not_public),
    ],
)
async def test_what_is_served_to_strangers_is_named_without_its_text(
    tmp_path: Path, path: str, check: Function
) -> None:
    outcome = await judged(check, only("GET", path, http(b"url = SECRET", kind="text/plain")), tmp_path)
    assert (outcome.verdict, outcome.summary) == (Verdict.FAIL, f"Served to everybody: {path}")
    assert "SECRET" not in outcome.evidence[0].body


async def test_a_page_that_answers_everything_serves_nothing_internal(tmp_path: Path) -> None:
    def catch_all(method: str, path: str, headers: dict[str, str]) -> bytes | None:
        return http(f"<html>{path} at 12:30:{len(path)}".encode(), kind="text/html", more=PAGE)

    for check in (documentation_is_closed, internal_pages_are_not_public):
        assert (await judged(check, catch_all, tmp_path)).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (http(b"{}", status="404 No", more=f"{NOSNIFF}Server: nginx/1.18.0 (Ubuntu)\r\n"), "nginx/1.18.0"),
        (http(b"{}", status="404 No", more="X-Powered-By: PHP/8.1.2\r\n"), "x-powered-by: PHP/8.1.2"),
        (http(b"<hr>Werkzeug/2.0.1 Python/3.9", status="404 No"), "Werkzeug/2.0.1"),
    ],
)
async def test_a_version_is_found(tmp_path: Path, answer: bytes, said: str) -> None:
    nothing = only("GET", "/gonogo-0badc0de1234", answer)
    outcome = await judged(versions_are_not_told, nothing, tmp_path)
    assert outcome.verdict is Verdict.FAIL
    assert said in outcome.summary


@pytest.mark.parametrize("header", ["Server: nginx\r\n", "Server: uvicorn\r\n", "Via: 1.1 proxy\r\n"])
async def test_a_name_or_a_protocol_is_no_version(tmp_path: Path, header: str) -> None:
    page = only("GET", "/", http(b"<html>", kind="text/html", more=PAGE + header))
    assert (await judged(versions_are_not_told, page, tmp_path)).verdict is Verdict.PASS


async def test_methods_that_are_taken_fail_and_are_undone(tmp_path: Path) -> None:
    seen: list[str] = []

    def answers(method: str, path: str, headers: dict[str, str]) -> bytes | None:
        seen.append(f"{method} {path}")
        return http(b"", status="201 Created") if method in ("PUT", "DELETE", "TRACE") else None

    outcome = await judged(unused_methods_are_refused, answers, tmp_path)
    marked = "/gonogo-0badc0de1234"
    assert outcome.summary == f"Answered as a success: TRACE /, PUT {marked}"
    assert seen[-1] == f"DELETE {marked}"


async def test_a_host_without_leave_is_sent_no_put(tmp_path: Path) -> None:
    async with context_of(target_at("http://chat.example"), tmp_path) as context:
        outcome = await unused_methods_are_refused(context)
        assert (outcome.reason, context.http.meter.requests) == (Reason.NO_RIGHT, 0)


async def test_a_bare_cookie_is_named_without_its_value(tmp_path: Path) -> None:
    cookies = "Set-Cookie: sid=SECRET; Secure; Path=/\r\nSet-Cookie: a=1; Secure; HttpOnly; SameSite=Lax\r\n"
    page = only("GET", "/", http(b"<html>", kind="text/html", more=PAGE + cookies))
    outcome = await judged(cookies_are_guarded, page, tmp_path)
    assert (outcome.verdict, outcome.summary) == (
        Verdict.FAIL,
        "A cookie is not guarded: the page: sid lacks HttpOnly, SameSite",
    )
    assert "SECRET" not in outcome.evidence[0].body


def test_cookies_are_told_apart_in_joined_headers() -> None:
    joined = "a=1; Expires=Wed, 21 Oct 2037 07:28:00 GMT; secure, b=x,y; HttpOnly; samesite=Lax; Secure"
    assert cookies_of(joined) == [("a", ["HttpOnly", "SameSite"]), ("b", [])]
    assert cookies_of("a=1; Secure; HttpOnly; SameSite=None") == [("a", ["SameSite"])]


@asynccontextmanager
async def socket_server(is_welcome: Callable[[str], bool], *, is_late: bool = False) -> AsyncIterator[int]:
    """A WebSocket server that refuses origins at the handshake, or right after it."""

    def decide(connection: ServerConnection, request: Request) -> Response | None:
        if is_late or is_welcome(request.headers.get("Origin", "")):
            return None
        return connection.respond(HTTPStatus.FORBIDDEN, "no")

    async def talk(connection: ServerConnection) -> None:
        assert connection.request
        if is_late and not is_welcome(connection.request.headers.get("Origin", "")):
            await connection.close(1008)
            return
        async for _ in connection:
            await connection.send('{"type": "error", "message": "no such bot"}')

    async with serve(talk, "127.0.0.1", 0, process_request=decide) as server:
        yield next(iter(server.sockets)).getsockname()[1]


@pytest.mark.parametrize(
    ("is_welcome", "is_late", "verdict", "said"),
    [
        (lambda origin: True, False, Verdict.FAIL, "a page of a foreign origin"),
        (lambda origin: origin != FOREIGN, False, Verdict.FAIL, "a page of a null origin"),
        (lambda origin: origin.startswith("http://127"), False, Verdict.PASS, "its own origin alone"),
        (lambda origin: origin.startswith("http://127"), True, Verdict.PASS, "its own origin alone"),
        (lambda origin: False, False, Verdict.INCONCLUSIVE, "does not open with its own origin"),
    ],
    ids=["all", "null", "own", "refused late", "nobody"],
)
async def test_a_websocket_is_judged_beside_its_own_origin(
    tmp_path: Path, is_welcome: Callable[[str], bool], is_late: bool, verdict: Verdict, said: str
) -> None:
    async with (
        socket_server(is_welcome, is_late=is_late) as port,
        context_of(target_at(f"http://127.0.0.1:{port}"), tmp_path) as context,
    ):
        outcome = await the_websocket_refuses_foreign_origins(context)
    assert outcome.verdict is verdict
    assert said in outcome.summary
