"""Error answers: what shows the inside is told, in whatever language it is written; words for people are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from checks.audit.errors import errors_have_one_shape, errors_reveal_nothing, leak_in
from checks.model import Reason, Verdict
from tests.checks.audit.answering import Asked, Said, said
from tests.checks.audit.chatting import chatting, only, refused


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ('Traceback (most recent call last):\n  File "/srv/a.py", line 1', "a stack trace"),
        ("at com.example.Main.run(Main.java:12)", "a stack trace"),
        ("cannot open /home/bot/app/config.yaml", "a path of the host"),
        (r"cannot open C:\Users\bot\app.py", "a path of the host"),
        ("[SQL: SELECT id, content FROM messages WHERE id = 1]", "a fragment of SQL"),
        ("UNIQUE constraint failed: users.username", "a fragment of SQL"),
        ("'DeiaContextLoader' object has no attribute 'load'", "a name of the program"),
        ("json.decoder.JSONDecodeError: Expecting value", "a name of the program"),
        ("Werkzeug/2.0.1 Python/3.9", "a library with its version"),
        ("see https://errors.pydantic.dev/2.5/v/missing", "a library with its version"),
    ],
)
def test_the_inside_of_a_program_is_seen(text: str, what: str) -> None:
    assert leak_in(text) == what


@pytest.mark.parametrize(
    "text",
    [
        "Bot BOT-001 not found",
        "Please select a bot from the list and update your settings.",
        '{"detail":[{"type":"missing","loc":["body","command"],"msg":"Field required"}]}',
        "https://example.com/home/page is not allowed",
        "Method Not Allowed",
        "The path /api/bots does not take DELETE",
        "<h1>404 Not Found</h1>",
        "Internal Server Error",
    ],
)
def test_words_for_people_are_none(text: str) -> None:
    assert leak_in(text) == ""


async def test_errors_of_one_shape_with_an_id_pass_both(tmp_path: Path) -> None:
    async with chatting(tmp_path) as (context, server):
        context.target.contract.operations.pop("ws")  # this target has none
        first, second = await errors_reveal_nothing(context), await errors_have_one_shape(context)
    assert (first.verdict, second.verdict) == (Verdict.PASS, Verdict.PASS), (first.summary, second.summary)
    assert second.summary == "All 22 error answers have one shape and an id"
    assert len(server.asked) == 22  # once for both


async def test_a_stack_trace_in_one_answer_is_told_and_where(tmp_path: Path) -> None:
    def shows(asked: Asked) -> Said | None:
        return (
            Said(500, b'Traceback (most recent call last):\n  File "/srv/a.py"')
            if b"null" in asked.body
            else None
        )

    async with chatting(tmp_path, only("/task", shows)) as (context, _):
        outcome = await errors_reveal_nothing(context)
    assert outcome.verdict is Verdict.FAIL
    assert outcome.summary == "Command, null for text: the answer shows a stack trace"


async def test_a_header_of_an_error_counts_but_not_the_name_of_the_server(tmp_path: Path) -> None:
    def shows(asked: Asked) -> Said | None:
        more = {"X_Debug": "/srv/app/main.py"} if asked.method == "DELETE" else {"Server": "nginx/1.18.0"}
        return (
            said({"success": False, "error": "no"}, 405, **more)
            if asked.method in ("DELETE", "PUT")
            else None
        )

    async with chatting(tmp_path, only("/api/bots", shows)) as (context, _):
        outcome = await errors_reveal_nothing(context)
    assert outcome.summary == "A method that is not there: the answer shows a path of the host"


async def test_shapes_that_differ_are_told_with_where(tmp_path: Path) -> None:
    def framework(asked: Asked) -> Said | None:
        return said({"detail": "Not Found"}, 404, X_Request_ID="r-2")

    async with chatting(tmp_path, only("gonogo-0badc0de1234", framework)) as (context, _):
        outcome = await errors_have_one_shape(context)
    assert outcome.verdict is Verdict.FAIL
    assert outcome.summary == (
        "Errors come in 2 shapes: {error: str, success: bool} (launch, a missing field); "
        "{detail: str} (a path that is not there)"
    )


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (said({"error": "no", "request_id": "r-3"}, 422), Verdict.PASS),
        (said({"error": "no"}, 422), Verdict.FAIL),
        (said({"error": "no"}, 422, X_Request_ID=" "), Verdict.FAIL),
        (Said(422, b"<h1>Error</h1>", {"Content-Type": "text/html", "X-Request-ID": "r-4"}), Verdict.FAIL),
    ],
)
async def test_the_id_may_be_a_header_or_a_field_but_not_empty(
    tmp_path: Path, answer: Said, verdict: Verdict
) -> None:
    async def always(asked: Asked) -> Said | None:
        return answer

    async with chatting(tmp_path, always) as (context, _):
        assert (await errors_have_one_shape(context)).verdict is verdict


async def test_answers_of_a_limiter_are_no_errors_to_judge(tmp_path: Path) -> None:
    async def limited(asked: Asked) -> Said | None:
        return refused(429)

    async with chatting(tmp_path, limited) as (context, _):
        outcome = await errors_have_one_shape(context)
    assert (outcome.verdict, outcome.reason) == (Verdict.INCONCLUSIVE, Reason.THROTTLED)
