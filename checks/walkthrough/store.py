"""Steps 8 to 10: what was said is stored, reads back the same, and stays with its bot."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from checks.context import Context, until
from checks.controller import Reply
from checks.model import Area, Evidence, Outcome, Reason, Safety, Severity, failed, inconclusive, passed
from checks.probe.sql import Row, Rows, parse_time
from checks.profile.template import pick
from checks.registry import check
from checks.target import zone_of
from checks.text import duration
from checks.walkthrough.chat import (
    SOCKET,
    ask_over_rest,
    ask_over_socket,
    foreign_markers,
    own_marker,
    wrong_reply,
)
from checks.walkthrough.walk import Sent, Walk, command, launch, not_judged

CLOCK_TOLERANCE = timedelta(seconds=1)
"""Stored times may be rounded to the second."""
HISTORY_LIMIT = "100"
TURNS = 2
"""How often each of the two bots is spoken to in turn."""


@check(
    "WALK-08",
    "Stored in the database",
    area=Area.WALKTHROUGH,
    severity=Severity.BLOCKER,
    safety=Safety.READ_ONLY,
    sends="one SELECT on the messages table, repeated until the rows are there",
    why="What is not stored is gone with the next restart, and no history can show it.",
    needs=("WALK-04",),
    hops=("database",),
)
async def commands_are_stored(context: Context) -> Outcome:
    """Two rows for each command: the user's text to the letter, then the bot's; right bot, role, order, time."""
    walk = context.state(Walk)
    context.hop("database")
    limit_s = context.target.profile.walkthrough.stored_within_s
    expected = f"for each command the exact text and then its reply, in order, within {limit_s:g} s"
    if not walk.sent or walk.first is None:
        return inconclusive(
            Reason.BLOCKED, "No command was accepted, so nothing is to be stored", expected=expected
        )
    bot_id = walk.first.bot_id
    rows, elapsed_s = await until(
        lambda: context.sql.messages(bot_id),
        lambda seen: seen.error is not None or not _wrongly_stored(context, walk.sent, seen.rows),
        limit_s,
    )
    if rows.error:
        return inconclusive(
            rows.error.reason, _capital(rows.error.sentence), expected=expected, evidence=[rows.evidence]
        )
    observed = f"{len(rows.rows)} rows for {len(walk.sent)} commands to {bot_id}"
    if problem := _wrongly_stored(context, walk.sent, rows.rows):
        return failed(_capital(problem), observed=observed, expected=expected, evidence=[rows.evidence])
    return passed(
        f"Both sides of {len(walk.sent)} commands are stored to the letter",
        observed=f"{observed}, complete {duration(elapsed_s)} after the first look",
        expected=expected,
        evidence=[rows.evidence],
    )


def _wrongly_stored(context: Context, commands: Sequence[Sent], rows: Sequence[Row]) -> str:
    """What is wrong with the rows of one bot; empty where nothing is."""
    contract = context.target.contract
    echo = context.target.profile.walkthrough.reply == "echo"
    at = -1
    for sent in commands:
        places = [place for place, row in enumerate(rows) if row.text == sent.text]
        if not places:
            return f"the text sent over {sent.channel} is not stored as it was sent"
        if len(places) > 1:
            return f"the text sent over {sent.channel} is stored {len(places)} times"
        if places[0] <= at:
            return f"the rows of the command sent over {sent.channel} are out of order"
        at = places[0]
        asked = rows[at]
        if asked.role != contract.user_role:
            return f"the text sent over {sent.channel} is stored in role “{context.controller.quote(asked.role, 30)}”"
        answered = rows[at + 1] if at + 1 < len(rows) else None
        if answered is None or answered.role != contract.bot_role:
            return f"the reply to the command sent over {sent.channel} is missing"
        if sent.reply is not None and answered.text != sent.reply:
            return f"the stored reply over {sent.channel} is not the one that was received"
        if echo and own_marker(context, sent) not in answered.text:
            return f"the stored reply over {sent.channel} belongs to another command"
        if problem := _wrong_time(context, sent, (asked, answered)):
            return problem
    # A command that was refused, or whose answer was lost, may be stored all the same.
    surplus = 2 * (context.state(Walk).attempts - len(commands))
    if not 2 * len(commands) <= len(rows) <= 2 * len(commands) + surplus:
        return f"{len(rows)} rows are stored, {2 * len(commands)} were said"
    return ""


def _wrong_time(context: Context, sent: Sent, rows: Sequence[Row]) -> str:
    zone = zone_of(context.target.profile.database.time_zone)
    times = [parse_time(row.time, zone) for row in rows]
    for row, stored in zip(rows, times, strict=True):
        if stored is None:
            return f"the stored time “{context.controller.quote(row.time, 40)}” cannot be read"
        if not sent.sent_at - CLOCK_TOLERANCE <= stored <= context.now() + CLOCK_TOLERANCE:
            return (
                f"row {row.id} is dated {stored:%H:%M:%S}Z, the command was sent at {sent.sent_at:%H:%M:%S}Z "
                f"(a time without a zone is read as {zone or 'local time'}: see [database] time_zone)"
            )
    asked, answered = times
    if asked and answered and answered < asked:
        return f"the reply to the command sent over {sent.channel} is dated before it"
    return ""


@check(
    "WALK-09",
    "History comes back",
    area=Area.WALKTHROUGH,
    severity=Severity.BLOCKER,
    safety=Safety.READ_ONLY,
    sends="one request for the bot's history, and one SELECT beside it",
    why="Users who come back must find what was said, as it was said.",
    needs=("WALK-04",),
    hops=("database", "controller", "ui"),
)
async def history_comes_back(context: Context) -> Outcome:
    """The history of the API equals the rows: as many, the same texts and roles, in the same order."""
    walk = context.state(Walk)
    context.hop("database")
    expected = "the same messages as the database holds, in the same order"
    if not walk.sent or walk.first is None:
        return inconclusive(
            Reason.BLOCKED, "No command was accepted, so there is no history", expected=expected
        )
    reply = await history_of(context, walk.first.bot_id)
    rows = await context.sql.messages(walk.first.bot_id)
    seen = [*reply.seen, rows.evidence]
    if not reply.ok:
        return not_judged(reply.reason, f"The history was not answered: {reply.problem}", seen, expected)
    told = history_lines(context, reply)
    if told is None:
        return failed(
            "The history is not a list of messages",
            reason=Reason.PROTOCOL,
            observed="another shape",
            expected=expected,
            evidence=seen,
        )
    if rows.error:
        return inconclusive(
            rows.error.reason, _capital(rows.error.sentence), expected=expected, evidence=seen
        )
    stored = _lines(rows)
    observed = f"{len(told)} messages in the history, {len(stored)} rows"
    if problem := _difference(told, stored):
        return failed(_capital(problem), observed=observed, expected=expected, evidence=seen)
    return passed(
        f"The history equals the {len(stored)} rows", observed=observed, expected=expected, evidence=seen
    )


def _difference(told: Sequence[tuple[str, str]], stored: Sequence[tuple[str, str]]) -> str:
    if not stored:
        return "there is nothing stored that a history could show"
    if Counter(told) != Counter(stored):
        missing, extra = Counter(stored) - Counter(told), Counter(told) - Counter(stored)
        return (
            f"the history lacks {missing.total()} stored messages and has {extra.total()} that are not stored"
        )
    if told != stored:
        place = next(place for place, pair in enumerate(told) if pair != stored[place])
        return f"the history is out of order from message {place + 1} on"
    return ""


@check(
    "WALK-10",
    "Switch bots, no mixing",
    area=Area.WALKTHROUGH,
    severity=Severity.BLOCKER,
    safety=Safety.ACTIVE,
    sends="a second launch, two marked commands to each bot in turn, both histories, two SELECTs",
    why="A message in the wrong conversation shows one customer the words of another.",
    reference="OWASP API1:2023",
    needs=("WALK-04",),
    hops=("ui", "controller", "bot", "database"),
)
async def bots_do_not_mix(context: Context) -> Outcome:
    """With two bots spoken to in turn, every reply, row and history stays with its own bot."""
    walk = context.state(Walk)
    channel = walk.preferred_channel()
    expected = "every reply, row and history entry belongs to the bot that was spoken to"
    if walk.first is None or not channel:
        return inconclusive(Reason.BLOCKED, "No command was answered by the first bot", expected=expected)
    context.hop("bot")
    started = await launch(context, 1)
    if started.bot is None:
        return started.outcome or inconclusive(Reason.BLOCKED, "The second bot is missing", expected=expected)
    walk.second = started.bot
    names = (walk.first.bot_id, walk.second.bot_id)
    turns = [
        (name, command(context, f"turn-{turn}-{'ab'[place]}"))
        for turn in range(1, TURNS + 1)
        for place, name in enumerate(names)
    ]
    commands, refused, seen = await _speak(context, channel, turns)
    walk.sent += commands
    evidence = [*started.evidence, *seen]
    limit_s = context.target.profile.walkthrough.reply_within_s
    problems = [refused] if refused else []
    for sent in commands:
        foreign = foreign_markers(context, sent)
        if problem := wrong_reply(sent, limit_s, False, own_marker(context, sent), foreign):
            problems.append(f"{sent.bot_id}: {problem}")
    context.hop("database")
    unread: Mixed | None = None
    for name in names:
        found, _ = await until(
            partial(_mixed, context, name),
            lambda mixed: not mixed.problem,
            context.target.profile.walkthrough.stored_within_s,
        )
        evidence += found.evidence
        unread = unread or (found if found.unread else None)
        if found.problem:
            problems.append(f"{name}: {found.problem}")
    judged = f"{len(commands)} of {len(turns)} commands in turn to {names[0]} and {names[1]} over {channel}"
    if problems:
        return failed(
            _capital(problems[0]), observed="; ".join(problems), expected=expected, evidence=evidence
        )
    if unread:
        return inconclusive(
            unread.reason, _capital(unread.unread), observed=judged, expected=expected, evidence=evidence
        )
    return passed(
        "Replies, rows and histories of two bots stay apart",
        observed=judged,
        expected=expected,
        evidence=evidence,
    )


async def _speak(
    context: Context, channel: str, turns: Sequence[tuple[str, str]]
) -> tuple[list[Sent], str, list[Evidence]]:
    """Speak the turns; the accepted commands, the first refusal as a sentence, and the evidence."""
    if channel == SOCKET:
        talk, answers = await ask_over_socket(context, turns)
        accepted = [sent for sent in answers if sent is not None]
        refused = (
            f"only {len(accepted)} of {len(turns)} commands were taken" if len(accepted) < len(turns) else ""
        )
        return accepted, refused, [talk.evidence]
    accepted, refused, seen = [], "", []
    for name, text in turns:
        sent, _ = await ask_over_rest(context, name, text)
        seen += list(sent.evidence)
        if sent.problem:
            refused = refused or f"{name} did not take a command: {sent.problem}"
        else:
            accepted.append(sent)
    return accepted, refused, seen


@dataclass(frozen=True, slots=True)
class Mixed:
    """One look at what stands under one bot."""

    problem: str
    """What is missing or does not belong there; empty where nothing is."""
    unread: str
    """Why that could not be seen in full; empty where it could."""
    reason: Reason
    evidence: tuple[Evidence, ...]


async def _mixed(context: Context, bot_id: str) -> Mixed:
    """Whether rows and history of `bot_id` hold every command of its own, and none of another bot."""
    walk = context.state(Walk)
    own = [own_marker(context, sent) for sent in walk.sent if sent.bot_id == bot_id]
    others = [own_marker(context, sent) for sent in walk.sent if sent.bot_id != bot_id]
    reply = await history_of(context, bot_id)
    rows = await context.sql.messages(bot_id)
    seen = (*reply.seen, rows.evidence)
    told = history_lines(context, reply)
    if reply.reason in (Reason.THROTTLED, Reason.UNREACHABLE):
        return Mixed("", f"the history was not answered: {reply.problem}", reply.reason, seen)
    if not reply.ok or told is None:
        why = reply.problem or "not a list of messages"
        return Mixed(f"its history was not answered: {why}", "", reply.reason, seen)
    unread = rows.error.sentence if rows.error else ""
    problem = ""
    for where, lines in (
        ("messages in the history", told),
        *([] if rows.error else [("rows", _lines(rows))]),
    ):
        texts = [text for _, text in lines]
        if any(other in text for text in texts for other in others):
            problem = problem or f"among its {where} are messages of another bot"
        if missing := sum(not any(marker in text for text in texts) for marker in own):
            problem = problem or f"among its {where}, {missing} of {len(own)} commands are missing"
    if not problem and not rows.error and Counter(told) != Counter(_lines(rows)):
        problem = f"its history holds {len(told)} messages, the database {len(rows.rows)} rows of it"
    return Mixed(problem, unread, rows.error.reason if rows.error else Reason.MET, seen)


async def history_of(context: Context, bot_id: str) -> Reply:
    """Ask the API for the history of one bot."""
    return await context.controller.ask("history", bot_id=bot_id, limit=HISTORY_LIMIT)


def history_lines(context: Context, reply: Reply) -> list[tuple[str, str]] | None:
    """(role, text) of each message of a history; None where the answer is no such list."""
    names = context.controller.operation("history").reply
    messages = reply.fields.get("messages")
    if not isinstance(messages, list):
        return None
    return [
        (str(pick(message, names.get("role", "role"))), str(pick(message, names.get("text", "content"))))
        for message in messages
    ]


def _lines(rows: Rows) -> list[tuple[str, str]]:
    return [(row.role, row.text) for row in rows.rows]


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
