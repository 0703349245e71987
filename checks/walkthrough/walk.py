"""What the steps of one walkthrough hand on: the launched bots and the commands that were sent."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial

from checks.context import Context, until
from checks.launches import Bot
from checks.model import Evidence, Outcome, Reason, failed, inconclusive
from checks.probe.process import START_TOLERANCE_S, Seen
from checks.text import Clean

SETTLE_S = 0.5
"""A bot that ends this soon after its launch was never launched."""
FIRST_NUMBER = 900_000_000
"""Marked bot ids are BOT-9xxxxxxxx: recognizable in the rows that stay behind."""


@dataclass(frozen=True, slots=True)
class Sent:
    """One command and everything that came back for it."""

    channel: str
    """`WebSocket` or `REST`."""
    bot_id: str
    text: str
    sent_at: datetime
    reply: str | None
    reply_bot_id: str
    """The bot that the reply names; empty where it names none."""
    elapsed_s: float
    problem: Clean
    """Why there is no reply, or none that is a success; empty where there is one."""
    evidence: tuple[Evidence, ...]


@dataclass(slots=True)
class Walk:
    """The state of one walkthrough."""

    first: Bot | None = None
    second: Bot | None = None
    sent: list[Sent] = field(default_factory=list)
    """Commands that the controller accepted."""
    attempts: int = 0
    """Commands that the first bot was sent, accepted or not, before the second one came in."""

    def preferred_channel(self) -> str:
        """The channel on which a command has been answered; the socket if it was both."""
        answered = {command.channel for command in self.sent if command.reply is not None}
        return next((channel for channel in ("WebSocket", "REST") if channel in answered), "")


@dataclass(frozen=True, slots=True)
class Launch:
    """How a launch went: the bot, or the outcome that says why there is none."""

    bot: Bot | None
    outcome: Outcome | None
    elapsed_s: float
    evidence: tuple[Evidence, ...]
    seen: Seen | None


def bot_id(context: Context, place: int) -> str:
    """The marked id of this run's bot number `place`."""
    number = FIRST_NUMBER + (int(context.nonce, 16) + place) % 99_999_999
    return context.target.contract.bot_id_pattern.format(number=number)


def command(context: Context, place: str) -> str:
    """The marked text of one command: carries the run's nonce, and is unlike every other of the run."""
    return f"gonogo {context.nonce} {place}: please repeat this line"


def marker(context: Context, place: str) -> str:
    """The part of `command` by which it is recognized in replies, rows and histories."""
    return f"{context.nonce} {place}:"


async def launch(context: Context, place: int) -> Launch:
    """Launch the run's bot number `place`, and see its process born and its port open with our own eyes."""
    settings = context.target.profile.walkthrough
    name = bot_id(context, place)
    bot = context.launches.announce(name)
    asked_at = context.now()
    reply = await context.controller.ask(
        "launch", within_s=settings.launch_within_s, bot_id=name, bot_type=settings.bot_type
    )
    expected = f"a new process for {name} with an open port within {settings.launch_within_s:g} s"
    if not reply.ok:
        judge = not_judged(reply.reason, f"{name} was not launched: {reply.problem}", reply.seen, expected)
        return Launch(None, judge, reply.answer.elapsed_s, reply.seen, None)
    context.launches.launched(bot)
    bot.pid, bot.port = _number(reply.field("pid")), _number(reply.field("port"))
    if not context.target.is_local:
        why = (
            "the target is not on this host, so its processes cannot be seen: run gonogo on the target's host"
        )
        return Launch(
            bot,
            inconclusive(Reason.NO_RIGHT, why, evidence=reply.seen),
            reply.answer.elapsed_s,
            reply.seen,
            None,
        )
    has_port = "port" in context.controller.operation("launch").reply
    left_s = max(0.5, settings.launch_within_s - reply.answer.elapsed_s)
    seen, waited_s = await until(
        partial(_look, context, bot, asked_at),
        lambda look: _is_its(context, bot, look) is True and (look.listening or not has_port),
        left_s,
    )
    elapsed_s = reply.answer.elapsed_s + waited_s
    evidence = (*reply.seen, seen.evidence)
    problem = _not_born(seen, bot, asked_at, has_port=has_port)
    if not _is_older(seen, asked_at):
        if _is_its(context, bot, seen) is not True:
            why = (
                f"process {bot.pid} was born after the launch, but whether it is {name}'s cannot be seen: its command "
                "line does not carry the id, or may not be read"
            )
            doubt = inconclusive(Reason.NO_RIGHT, why, expected=expected, evidence=evidence)
            return Launch(bot, doubt, elapsed_s, evidence, seen)
        # From here on it may be ended by us: never a process that is not the bot's.
        bot.identity = seen.identity
    if not problem:
        await asyncio.sleep(SETTLE_S)
        seen = await context.processes.look(bot.pid, bot.port)
        evidence = (*reply.seen, seen.evidence)
        problem = _not_born(seen, bot, asked_at, has_port=has_port)
        problem = f"it ended within {SETTLE_S:g} s of its launch" if problem else ""
    if problem:
        outcome = failed(
            f"{name}: the controller says it was launched, but {problem}",
            observed=seen.evidence.title,
            expected=expected,
            evidence=evidence,
        )
        return Launch(None, outcome, elapsed_s, evidence, seen)
    return Launch(bot, None, elapsed_s, evidence, seen)


async def _look(context: Context, bot: Bot, asked_at: datetime) -> Seen:
    told = context.processes.identity(bot.pid)
    if told is None or not context.processes.carries(told, bot.bot_id):
        # No pid was told, or one of another namespace, or another process: the id on a command line tells.
        bot.pid = context.processes.find(bot.bot_id, asked_at.timestamp()) or bot.pid
    if not bot.port and (found := context.processes.identity(bot.pid)):
        bot.port = context.processes.port_of(found)
    return await context.processes.look(bot.pid, bot.port)


def _is_its(context: Context, bot: Bot, seen: Seen) -> bool | None:
    return context.processes.carries(seen.identity, bot.bot_id) if seen.identity else False


def _not_born(seen: Seen, bot: Bot, asked_at: datetime, *, has_port: bool) -> str:
    if seen.identity is None:
        return "there is no such process" if bot.pid else "no process carries its id"
    if _is_older(seen, asked_at):
        return f"process {seen.identity.pid} is older than the request"
    if has_port and not seen.listening:
        return f"port {bot.port} is not its own, or stays closed" if bot.port else "it listens on no port"
    return ""


def _is_older(seen: Seen, asked_at: datetime) -> bool:
    return seen.identity is None or seen.identity.created < asked_at.timestamp() - START_TOLERANCE_S


def not_judged(reason: Reason, sentence: str, evidence: Iterable[Evidence], expected: str) -> Outcome:
    """The outcome of a request without success: unreachable and throttled say nothing of the operation itself."""
    if reason in (Reason.UNREACHABLE, Reason.THROTTLED):
        return inconclusive(reason, sentence, expected=expected, evidence=tuple(evidence))
    return failed(sentence, reason=reason, observed=sentence, expected=expected, evidence=tuple(evidence))


def _number(text: str) -> int | None:
    """A process id or port number; None for whatever else a target may answer."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 10 and int(text) > 0 else None
