"""Broken bodies and strange text: what is accepted, changed or crashes is told; what is refused is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from checks.audit.inputs import bodies_are_checked, first_difference, text_comes_back
from checks.model import Reason, Verdict
from tests.checks.audit.answering import Asked, Said, said
from tests.checks.audit.chatting import BOT, chatting, only, refused


async def test_broken_bodies_that_are_refused_pass_and_each_is_another_one(tmp_path: Path) -> None:
    async with chatting(tmp_path) as (context, server):
        outcome = await bodies_are_checked(context)
        await bodies_are_checked(context)
    assert outcome.verdict is Verdict.PASS, outcome.summary
    assert "the database was not looked at" in outcome.summary
    launches = [one for one in server.asked if one.path.endswith("/launch")]
    commands = [one for one in server.asked if one.path.endswith("/task")]
    kinds = {(one.path, one.body, one.headers["content-type"]) for one in (*launches, *commands)}
    assert (len(launches), len(commands), len(kinds)) == (10, 11, 21)  # one of the commands is a good one
    assert len(server.asked) == 21  # asked once in a run


async def test_a_truth_value_that_is_taken_for_a_command_is_told(tmp_path: Path) -> None:
    def lenient(asked: Asked) -> Said | None:
        return said({"success": True, "response": "heard"}) if b"true" in asked.body else None

    async with chatting(tmp_path, only("/task", lenient)) as (context, _):
        outcome = await bodies_are_checked(context)
    assert (outcome.verdict, outcome.summary) == (
        Verdict.FAIL,
        "Command, a truth value for text: it was accepted (200)",
    )


async def test_a_crash_of_a_launch_is_told(tmp_path: Path) -> None:
    def fragile(asked: Asked) -> Said | None:
        return Said(500, b"Internal Server Error") if b"null" in asked.body else None

    async with chatting(tmp_path, only("/launch", fragile)) as (context, _):
        outcome = await bodies_are_checked(context)
    assert outcome.verdict is Verdict.FAIL
    assert "Launch, null for text" in outcome.summary


@pytest.mark.parametrize(("is_told", "verdict"), [(True, Verdict.PASS), (False, Verdict.FAIL)])
async def test_a_200_is_a_refusal_only_where_it_says_so(
    tmp_path: Path, is_told: bool, verdict: Verdict
) -> None:
    def always_200(asked: Asked) -> Said | None:
        if asked.headers["content-type"] == "application/json":
            try:
                text = json.loads(asked.body)["command"]
            except (ValueError, TypeError, KeyError):
                text = None
            if isinstance(text, str) and text:
                return None
        return said({"error": "It is wrong"} | ({"success": False} if is_told else {}))

    async with chatting(tmp_path, only("/task", always_200)) as (context, _):
        assert (await bodies_are_checked(context)).verdict is verdict


async def test_a_limiter_or_a_target_that_hangs_is_no_failure_of_the_schema(tmp_path: Path) -> None:
    def limited(asked: Asked) -> Said | None:
        return refused(429, "Too many requests")

    async with chatting(tmp_path, only("/launch", limited)) as (context, _):
        outcome = await bodies_are_checked(context)
    assert (outcome.verdict, outcome.reason) == (Verdict.INCONCLUSIVE, Reason.THROTTLED)


async def test_where_good_commands_are_refused_nothing_is_said_of_broken_ones(tmp_path: Path) -> None:
    def closed(asked: Asked) -> Said | None:
        return refused(422)

    async with chatting(tmp_path, only("/task", closed)) as (context, _):
        outcome = await bodies_are_checked(context)
    assert (outcome.verdict, outcome.reason) == (Verdict.INCONCLUSIVE, Reason.CONTROL)


async def test_text_in_every_script_comes_back(tmp_path: Path) -> None:
    async with chatting(tmp_path) as (context, _):
        outcome = await text_comes_back(context)
    assert outcome.verdict is Verdict.PASS, outcome.summary
    assert outcome.observed == "scripts: came back as it was sent; a NUL: was refused"


async def test_text_that_was_encoded_before_it_was_stored_is_told(tmp_path: Path) -> None:
    def encoded(asked: Asked) -> Said | None:
        texts = [json.loads(one)["command"] for one in told]
        kept = [{"role": "user", "content": text.replace("<", "&lt;")} for text in texts]
        return said({"success": True, "messages": kept})

    def remembered(asked: Asked) -> Said | None:
        if asked.path.endswith(f"{BOT}/task"):
            told.append(asked.body)
        return encoded(asked) if "/history" in asked.path else None

    told: list[bytes] = []
    async with chatting(tmp_path, only("", remembered)) as (context, _):
        outcome = await text_comes_back(context)
    assert outcome.verdict is Verdict.FAIL
    assert outcome.summary.startswith("A text came back changed: '<b onmouseov' became '&lt;b onmous'")


async def test_a_nul_that_crashes_is_told(tmp_path: Path) -> None:
    def fragile(asked: Asked) -> Said | None:
        return Said(500, b"oops") if b"\\u0000" in asked.body or b"\0" in asked.body else None

    async with chatting(tmp_path, only("/task", fragile)) as (context, _):
        outcome = await text_comes_back(context)
    assert outcome.verdict is Verdict.FAIL
    assert outcome.summary.startswith("A text with a NUL: it answered 500")


def test_the_first_difference_is_shown_without_what_a_terminal_would_act_on() -> None:
    assert first_difference("m: a\x1b[2J", ["m: a\x1b[3J"], "m") == r"'2J' became '3J'"
    assert first_difference("m: ab", ["m: a"], "m") == "'b' became ''"
    assert first_difference("m: a", ["m: a", "other"], "m") == ""
