"""The HTTP probe bounds everything, tells each trouble in a sentence, and lets no secret into the evidence."""

from __future__ import annotations

import json

import pytest

from checks.model import Reason
from checks.probe.http import MAX_BODY_BYTES, HttpProbe
from checks.probe.redaction import Redactor
from tests.checks.servers import Talk, http, listening, repeating, saying

JSON = http(b'{"status": "ok"}')


async def ask(talk: Talk, *, within_s: float = 2.0) -> tuple[Reason | None, str, int | None]:
    """One request to a server that answers by `talk`: the trouble's reason and sentence, and the status."""
    async with listening(talk) as port, HttpProbe(f"http://127.0.0.1:{port}", Redactor()) as probe:
        answer = await probe.ask("GET", "/health", within_s=within_s)
    if answer.error is None:
        return None, "", answer.status
    return answer.error.reason, str(answer.error.sentence), answer.status


async def test_a_whole_answer_has_status_body_and_evidence() -> None:
    async with listening(saying(JSON)) as port, HttpProbe(f"http://127.0.0.1:{port}", Redactor()) as probe:
        answer = await probe.ask("GET", "/health", within_s=2)
    assert (answer.status, answer.json(), answer.error) == (200, {"status": "ok"}, None)
    assert answer.media_type == "application/json"
    assert f"GET http://127.0.0.1:{port}/health → 200" in answer.evidence.title
    assert '{"status": "ok"}' in answer.evidence.body
    assert answer.evidence.command == f"curl -sS -i -X GET http://127.0.0.1:{port}/health"


async def test_nothing_that_listens_is_told_as_that() -> None:
    async with listening(saying(JSON)) as port:
        pass
    async with HttpProbe(f"http://127.0.0.1:{port}", Redactor()) as probe:
        answer = await probe.ask("GET", "/", within_s=2)
    assert answer.error
    assert answer.error.reason is Reason.UNREACHABLE
    assert answer.error.sentence == f"nothing listens on 127.0.0.1:{port} (connection refused)"


@pytest.mark.parametrize(
    ("talk", "reason", "told"),
    [
        pytest.param(
            repeating(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n", b"x", 0.01),
            Reason.TIMEOUT,
            "did not end within 0.4 s",
            id="a reply that never ends",
        ),
        pytest.param(
            repeating(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65536, 0),
            Reason.PROTOCOL,
            "longer than 1024 KiB",
            id="a reply without an end, fast",
        ),
        pytest.param(repeating(b"", b"", 0.05), Reason.TIMEOUT, "did not begin within 0.4 s", id="silence"),
        pytest.param(saying(b""), Reason.PROTOCOL, "did not answer in HTTP", id="closed at once"),
        pytest.param(
            saying(b"SSH-2.0-OpenSSH\r\n"), Reason.PROTOCOL, "did not answer in HTTP", id="not HTTP"
        ),
        pytest.param(
            saying(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort"),
            Reason.PROTOCOL,
            "did not answer in HTTP",
            id="cut short",
        ),
        pytest.param(
            saying(b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc"),
            Reason.PROTOCOL,
            "broke before the answer was whole",
            id="wrongly compressed",
        ),
        pytest.param(
            repeating(b"HTTP/1.1 200 OK\r\n", b"X-Header: 1\r\n" * 999, 0),
            Reason.PROTOCOL,
            "did not answer in HTTP",
            id="headers without an end",
        ),
    ],
)
async def test_each_trouble_is_one_sentence(talk: Talk, reason: Reason, told: str) -> None:
    found, sentence, _ = await ask(talk, within_s=0.4)
    assert found is reason
    assert told in sentence
    assert "\n" not in sentence


async def test_no_more_than_the_limit_is_kept() -> None:
    body = b"y" * (MAX_BODY_BYTES + 10)
    async with (
        listening(saying(http(body))) as port,
        HttpProbe(f"http://127.0.0.1:{port}", Redactor()) as probe,
    ):
        answer = await probe.ask("GET", "/", within_s=5)
    assert len(answer.body) == MAX_BODY_BYTES
    assert answer.error
    assert len(answer.evidence.body) < 10_000


async def test_a_redirect_is_an_answer_and_is_not_followed() -> None:
    raw = http(b"", status="302 Found", more="Location: http://192.0.2.1/elsewhere\r\n")
    _, _, status = await ask(saying(raw))
    assert status == 302


async def test_the_evidence_holds_no_secret_and_acts_on_no_terminal() -> None:
    body = json.dumps({"echo": "canary-password", "token": "canary-token", "x": "\x1b[2J"}).encode()
    async with listening(saying(http(body + b"\x1b]0;t\x07"))) as port:
        redactor = Redactor(["canary-password", "canary-token"])
        async with HttpProbe(f"http://127.0.0.1:{port}", redactor) as probe:
            answer = await probe.ask(
                "POST",
                "/login?token=canary-token",
                within_s=2,
                json_body={"password": "canary-password"},
                token="canary-token",
            )
    told = json.dumps(answer.evidence.document())
    assert "canary" not in told
    assert "\x1b" not in answer.evidence.body
    assert "Bearer $TOKEN" in answer.evidence.command
    assert b"canary-password" in answer.body, "the judgement still sees what came"


async def test_a_body_that_is_not_json_is_not_json() -> None:
    talk = saying(http(b"<html>", kind="text/html"))
    async with listening(talk) as port, HttpProbe(f"http://127.0.0.1:{port}", Redactor()) as probe:
        answer = await probe.ask("GET", "/", within_s=2)
    assert answer.json() is None
    assert answer.media_type == "text/html"
