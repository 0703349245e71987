"""Who may do what: strangers who are served are told, whatever lists the operations; and fields that nobody meant."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from checks.audit.access import credential_names, only_meant_fields_count, strangers_are_refused
from checks.model import Reason, Verdict
from tests.checks.audit.answering import Asked, Said, said
from tests.checks.audit.chatting import chatting, only, refused


def is_stranger(asked: Asked) -> bool:
    """Whether no token was sent."""
    return "authorization" not in asked.headers


async def test_a_target_that_asks_everybody_for_a_token_passes_and_nothing_is_launched(
    tmp_path: Path,
) -> None:
    async with chatting(tmp_path) as (context, server):
        outcome = await strangers_are_refused(context)
        bad = context.target.contract.bad_bot_id
    assert outcome.verdict is Verdict.PASS, outcome.summary
    assert "All 6 operations of the contract" in outcome.summary
    assert all(json.loads(one.body)["bot_id"] == bad for one in server.asked if one.path.endswith("/launch"))
    assert server.count("/login") == server.count("/register") == 0


async def test_a_target_without_tokens_is_told_in_plain_words(tmp_path: Path) -> None:
    async def served(asked: Asked) -> Said | None:
        return said({"success": False, "error": "Bot not found"})  # as the observed contract does: 200

    async with chatting(tmp_path, served, token="", rest_auth="none") as (context, _):
        outcome = await strangers_are_refused(context)
    assert outcome.verdict is Verdict.FAIL
    assert outcome.summary.startswith("Anybody can drive bots: 6 of 6 operations answer without a token")


async def test_a_stranger_who_is_told_what_a_user_is_told_was_let_in(tmp_path: Path) -> None:
    def unguarded(asked: Asked) -> Said | None:
        return refused(404, "Bot 7 not found")

    async with chatting(tmp_path, only("/stop/", unguarded)) as (context, _):
        outcome = await strangers_are_refused(context)
    assert outcome.verdict is Verdict.FAIL
    assert "1 of 6 operations answer without a token (POST /api/bot/stop/{})" in outcome.summary


async def test_a_refusal_of_something_else_first_is_told_and_no_failure(tmp_path: Path) -> None:
    def early(asked: Asked) -> Said | None:
        return refused(422, "limit is wrong") if is_stranger(asked) else None

    async with chatting(tmp_path, only("/history", early)) as (context, _):
        outcome = await strangers_are_refused(context)
    assert outcome.verdict is Verdict.PASS
    assert outcome.summary.endswith("before they ask who it is, GET /api/chat/history say what is wrong")


async def test_an_operation_that_only_the_description_names_is_tried_too(tmp_path: Path) -> None:
    paths: dict[str, Any] = {
        "/api/admin/{name}": {"delete": {}},
        "/health": {"get": {}},
        "/api/bots": {"get": {}},
    }

    def unguarded(asked: Asked) -> Said | None:
        return said({"success": True})

    async with chatting(tmp_path, only("/admin/", unguarded), description={"paths": paths}) as (
        context,
        server,
    ):
        outcome = await strangers_are_refused(context)
    assert outcome.verdict is Verdict.FAIL
    assert "(DELETE /api/admin/{})" in outcome.summary
    assert next(one.path for one in server.asked if "admin" in one.path).startswith("/api/admin/BOT-9")


@pytest.mark.parametrize(
    "description",
    [
        {
            "paths": {
                f"/api/{'x' * 400}": {"get": {}},
                "//elsewhere.example/a": {"get": {}},
                "/a\r\nb: c": {"get": {}},
            }
        },
        {"paths": {f"/api/many/{number}": {"get": {}, "post": None} for number in range(500)}},
        {"paths": {"/api/odd": "text", "relative": {"get": {}}}},
        {"paths": []},
        ["no object"],
    ],
)
async def test_a_hostile_description_costs_little_and_leads_nowhere_else(
    tmp_path: Path, description: Any
) -> None:
    async with chatting(tmp_path, description=description) as (context, server):
        outcome = await strangers_are_refused(context)
    assert outcome.verdict in (Verdict.PASS, Verdict.FAIL)
    assert len(server.asked) <= 50
    assert all(len(one.path) < 400 and "b" not in one.headers for one in server.asked)


async def test_a_random_token_that_is_believed_is_told(tmp_path: Path) -> None:
    async def any_token(asked: Asked) -> Said | None:
        return None if is_stranger(asked) else said({"success": True})

    async with chatting(tmp_path, any_token) as (context, _):
        outcome = await strangers_are_refused(context)
    assert outcome.summary.startswith("A random token is believed: 2 operations")
    assert outcome.verdict is Verdict.FAIL


async def test_a_target_that_refuses_its_users_too_says_nothing(tmp_path: Path) -> None:
    async def nobody(asked: Asked) -> Said | None:
        return refused(401)

    async with chatting(tmp_path, nobody) as (context, _):
        outcome = await strangers_are_refused(context)
    assert (outcome.verdict, outcome.reason) == (Verdict.INCONCLUSIVE, Reason.CONTROL)


async def test_a_limiter_is_no_open_door(tmp_path: Path) -> None:
    def limited(asked: Asked) -> Said | None:
        return refused(429) if is_stranger(asked) else None

    async with chatting(tmp_path, only("/history", limited)) as (context, _):
        outcome = await strangers_are_refused(context)
    assert (outcome.verdict, outcome.reason) == (Verdict.INCONCLUSIVE, Reason.THROTTLED)


async def test_further_fields_that_are_ignored_pass(tmp_path: Path) -> None:
    async with chatting(tmp_path) as (context, _):
        outcome = await only_meant_fields_count(context)
    assert outcome.verdict is Verdict.PASS, outcome.summary


def told_by(asked: Asked, **more: Any) -> Said:
    """A command that was taken, with further fields in the answer."""
    return said({"success": True, "response": "heard", **more})


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"user": {"name": "a", "password_hash": "x"}}, "the command answers the field password_hash"),
        ({"bot_id": "BOT-123"}, "The command was given to BOT-123"),
    ],
)
async def test_an_answer_that_gives_more_is_told(
    tmp_path: Path, answer: Mapping[str, Any], words: str
) -> None:
    def generous(asked: Asked) -> Said | None:
        return told_by(asked, **answer)

    async with chatting(tmp_path, only("/task", generous)) as (context, _):
        outcome = await only_meant_fields_count(context)
    assert outcome.verdict is Verdict.FAIL
    assert words.lower() in outcome.summary.lower()


async def test_a_role_that_was_taken_from_the_body_is_seen_in_the_history(tmp_path: Path) -> None:
    said_so: list[dict[str, Any]] = []

    async def assigns(asked: Asked) -> Said | None:
        if asked.path.endswith("/task"):
            body = json.loads(asked.body)
            said_so.append({"role": body["role"], "content": body["command"]})
        return said({"success": True, "messages": said_so}) if "/history" in asked.path else None

    async with chatting(tmp_path, assigns) as (context, _):
        outcome = await only_meant_fields_count(context)
    assert outcome.verdict is Verdict.FAIL
    assert outcome.summary == "A command is stored as said by the assistant, by its further field"


def test_names_of_credentials_are_found_at_any_depth_and_others_are_not() -> None:
    document = {"a": [{"passwordHash": 1}], "token": "x", "hashtags": [], "message": {"salt": ""}}
    assert credential_names(document) == ["passwordHash", "salt"]
    deep: Any = {"secret": 1}
    for _ in range(1000):
        deep = [deep]
    assert credential_names(deep) == []
