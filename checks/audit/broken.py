"""Requests that are wrong on purpose, sent once in a run and judged by several checks; and one text that is not."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from checks.audit.common import a_bot
from checks.context import Context, Visitor
from checks.controller import Reply
from checks.model import Outcome, Reason, inconclusive
from checks.profile.template import fill
from checks.target import Body
from checks.text import Clean, one_line
from checks.walkthrough.walk import bot_id

FIRST_VISITOR, SECOND_VISITOR = 20, 21
LAUNCH_PLACE = 60
"""The number of the bot that a launch with the wrong content type would make."""
WITHIN_S = 1.0
"""Longest time to a refusal."""
HUGE = 10**30


@dataclass(frozen=True, slots=True)
class Broken:
    """One broken body."""

    name: str
    raw: bytes
    content_type: str = "application/json"
    might_launch: bool = False
    """Whether it is a good launch but for its content type."""


@dataclass(frozen=True, slots=True)
class Tried:
    """How one wrong request was answered."""

    what: str
    reply: Reply
    problem: str
    """Why the answer is not a clear refusal; empty where it is one."""
    is_judged: bool = True

    def line(self) -> str:
        """For a table."""
        told = self.reply.told or self.reply.problem
        took_ms = self.reply.answer.elapsed_s * 1e3
        return f"{self.what}: {self.reply.answer.status}, {took_ms:.0f} ms, {one_line(told, 80)}"


@dataclass(slots=True)
class _Said:
    tried: tuple[Tried, ...] | None = None
    text: str = ""
    reply: Reply | None = None


def marked(context: Context, word: str) -> str:
    """A text that is recognized in the database and is unlike every other of the run."""
    return f"gonogo {context.nonce} {word}"


def is_refused(context: Context, reply: Reply) -> bool:
    """Whether it was clearly refused: 4xx, or by the success field that the contract names."""
    status, name = reply.answer.status or 0, context.target.contract.success
    if 400 <= status < 500:
        return status != 429
    document = reply.document
    return bool(200 <= status < 300 and name and isinstance(document, dict) and document.get(name) is False)


def throttled(reply: Reply) -> bool:
    """Whether the answer says nothing, because the target was not reached or asks to come again later."""
    return reply.reason in (Reason.UNREACHABLE, Reason.THROTTLED)


async def try_launch(
    context: Context,
    visitor: Visitor,
    name: str,
    *,
    raw_body: bytes | None = None,
    content_type: str = "application/json",
    is_announced: bool = True,
    bot_type: str = "",
) -> Reply:
    """Ask for a launch that must be refused; should it be done all the same, the bot is stopped when the run ends.

    `is_announced` is False where `name` can be no bot's.
    """
    bot = context.launches.announce(name) if is_announced else None
    reply = await visitor.controller.ask(
        "launch",
        within_s=context.target.profile.walkthrough.timeout_s,
        raw_body=raw_body,
        headers={"content-type": content_type},
        bot_id=name,
        bot_type=bot_type or context.target.profile.walkthrough.bot_type,
    )
    if reply.ok:
        launched = reply.field("bot_id") or name
        if launched and (bot is None or launched != bot.bot_id):
            bot = context.launches.announce(launched)
        if bot is not None:
            context.launches.launched(bot)
    elif bot is not None and is_refused(context, reply):
        context.launches.stopped(bot, "the controller refused to launch it")
    return reply


async def broken_bodies(context: Context) -> tuple[Tried, ...] | Outcome:
    """Ten broken bodies for a launch and ten for a command, and how each was answered; asked once in a run."""
    said = context.state(_Said)
    if said.tried is not None:
        return said.tried
    bot = await a_bot(context)
    if isinstance(bot, Outcome):
        return bot
    tried: list[Tried] = []
    async with context.visitor(FIRST_VISITOR) as first, context.visitor(SECOND_VISITOR) as second:
        new = bot_id(context, LAUNCH_PLACE)
        asked = [("launch", body) for body in bodies_for_launch(context, new)]
        asked += [("command", body) for body in bodies_for_send(context)]
        for place, (what, body) in enumerate(asked):
            visitor = (first, second)[place % 2]  # each has a limit of its own
            ask = _launch if what == "launch" else _send
            reply = await ask(context, visitor, new if what == "launch" else bot.bot_id, body)
            tried.append(_judged(context, f"{what}, {body.name}", reply))
            if reply.answer.status is None:
                break  # whoever does not answer one will hardly answer the next
    said.tried = tuple(tried)
    return said.tried


async def _launch(context: Context, visitor: Visitor, new: str, body: Broken) -> Reply:
    return await try_launch(
        context,
        visitor,
        new if body.might_launch else "",
        raw_body=body.raw,
        content_type=body.content_type,
        is_announced=body.might_launch,
    )


async def _send(context: Context, visitor: Visitor, to: str, body: Broken) -> Reply:
    return await visitor.controller.ask(
        "send",
        within_s=context.target.profile.walkthrough.timeout_s,
        raw_body=body.raw,
        headers={"content-type": body.content_type},
        bot_id=to,
    )


async def well_formed(context: Context) -> tuple[str, Reply] | Outcome:
    """A good text full of what SQL stumbles over, sent to the audit's bot once in a run; and its answer."""
    said = context.state(_Said)
    if said.reply is None:
        bot = await a_bot(context)
        if isinstance(bot, Outcome):
            return bot
        said.text = marked(context, "quoted: it's \"said\" \\' ; -- /* */ %s :name $1 ' OR '1'='1")
        async with context.visitor(FIRST_VISITOR) as visitor:
            said.reply = await visitor.controller.ask(
                "send",
                within_s=context.target.profile.walkthrough.reply_within_s,
                bot_id=bot.bot_id,
                text=said.text,
            )
    if not said.reply.ok:
        why = f"A well-formed command was not accepted: {said.reply.problem}"
        return inconclusive(Reason.CONTROL, why, evidence=said.reply.seen)
    return said.text, said.reply


def bodies_for_send(context: Context) -> Iterator[Broken]:
    """Ten bodies that are no command."""
    mark = marked(context, "broken")
    template = context.controller.operation("send").body or {}
    yield from _bodies(template, {"text": mark}, "text", mark, ("not a number (NaN)", lambda: float("nan")))


def bodies_for_launch(context: Context, new: str) -> Iterator[Broken]:
    """Ten bodies that are no launch."""
    mark, template = marked(context, "broken"), context.controller.operation("launch").body or {}
    values = {"bot_id": new, "bot_type": context.target.profile.walkthrough.bot_type}
    bad = context.target.contract.bad_bot_id
    for body in _bodies(template, values, "bot_id", mark, ("an id that is none", lambda: bad)):
        might = body.content_type != "application/json"
        yield Broken(body.name, body.raw, body.content_type, might)


def _bodies(
    template: Body, values: Mapping[str, str], name: str, mark: str, last: tuple[str, Callable[[], object]]
) -> Iterator[Broken]:
    good = fill(template, values)
    key = next((key for key, text in template.items() if text == f"{{{name}}}"), name)

    def with_value(value: object) -> bytes:
        return json.dumps({**good, key: value}).encode()

    missing = {other: value for other, value in good.items() if other != key}
    yield Broken("a missing field", json.dumps({**missing, f"not_{key}": mark}).encode())
    yield Broken("a truth value for text", with_value(value=True))
    yield Broken("null for text", with_value(None))
    yield Broken("a list for text", with_value([mark]))
    yield Broken("empty text", with_value(""))
    yield Broken("a huge number for text", with_value(HUGE))
    yield Broken(last[0], with_value(last[1]()))
    yield Broken("the wrong content type", json.dumps(good).encode(), "text/plain")
    yield Broken("JSON cut off", json.dumps({**good, key: mark}).encode()[:-3])
    yield Broken("a list for an object", json.dumps([mark]).encode())


def _judged(context: Context, what: str, reply: Reply) -> Tried:
    status = reply.answer.status
    if throttled(reply):
        return Tried(what, reply, reply.problem, is_judged=False)
    if status is None:
        return Tried(what, reply, f"was not answered: {reply.problem}")
    if status >= 500:
        return Tried(what, reply, f"was answered as a fault of the server ({status})")
    if not is_refused(context, reply):
        return Tried(what, reply, f"was accepted ({status})")
    if reply.answer.elapsed_s > WITHIN_S:
        return Tried(what, reply, f"was refused only after {reply.answer.elapsed_s:.1f} s")
    return Tried(what, reply, "")


def first_of(problems: list[str]) -> Clean:
    """The first problem for a summary, and how many more there are."""
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return one_line(problems[0][:1].upper() + problems[0][1:] + more, 300)
