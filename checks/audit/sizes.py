"""Sizes that are bounded: bodies, frames of the WebSocket, pages of the history."""

from __future__ import annotations

import re

from checks.audit.broken import is_refused, throttled
from checks.audit.common import a_bot, audit, leave_is_missing, signed_in
from checks.context import Context
from checks.controller import Reply
from checks.model import Outcome, Reason, Safety, Severity, Subject, failed, inconclusive, passed
from checks.probe.websocket import Frame
from checks.profile.template import pick
from checks.walkthrough.chat import refusal
from checks.walkthrough.walk import bot_id, command

VISITOR, PLACE = 28, 65
LARGE_BYTES = 2 << 20
"""What no command is as long as."""
WITHIN_S = 1.0
MANY, TOO_MANY = 1_000_000, 10**30
"""More messages than a page holds; and more than a database can be asked for."""
DIGITS = re.compile(r"\d+")


def shown(size: int) -> str:
    """A size for a sentence."""
    return f"{size / (1 << 20):g} MiB" if size >= 1 << 20 else f"{size} bytes"


def _alike(one: Reply, other: Reply) -> bool:
    """Whether two refusals say the same, but for numbers."""
    same = DIGITS.sub("", one.told) == DIGITS.sub("", other.told)
    return one.answer.status == other.answer.status and same


@audit(
    "HTTP-12",
    "A body that is far too large is refused",
    subject=Subject.HTTP,
    severity=Severity.MAJOR,
    safety=Safety.ACTIVE,
    sends="one small command and one of 2 MiB to a bot that does not exist",
    why="A few large requests exhaust the memory for everyone.",
    fix="nginx: client_max_body_size 128k;\n"
    "in the controller: refuse with 413 by Content-Length, and count while reading",
    reference="ASVS 15.2.2, OWASP API4:2023",
)
async def large_bodies_are_refused(context: Context) -> Outcome:
    """2 MiB are refused for their size and within a second, not read and then looked at."""
    if missing := leave_is_missing(context):
        return missing
    if problem := await _no_token(context):
        return problem
    nobody = bot_id(context, PLACE)
    size = max(LARGE_BYTES, 2 * context.target.contract.max_command_bytes)
    async with context.visitor(VISITOR) as visitor:
        small = await visitor.controller.ask(
            "send", bot_id=nobody, text=command(context, "small"), is_typical=False
        )
        large = await visitor.controller.ask("send", bot_id=nobody, text="x" * size, is_typical=False)
        closed = large.answer.status is None and large.reason is Reason.PROTOCOL
        is_well = (await visitor.controller.ask("health", with_token=False)).ok if closed else True
    evidence = [*small.seen[-1:], *large.seen[-1:]]
    expected = f"{shown(size)} refused with 413 or another 4xx within {WITHIN_S:g} s, for its size"
    for reply in (small, large):
        if throttled(reply):
            return inconclusive(
                reply.reason, f"The body was not looked at: {reply.problem}", evidence=evidence
            )
    took = f"{large.answer.elapsed_s:.2f} s"
    observed = f"{large.answer.status or 'no answer'} after {took}: {large.told or large.problem}"
    if closed and is_well:
        what = f"A body of {shown(size)} is not taken: the connection is closed"
        return passed(what, observed=observed, expected=expected, evidence=evidence)
    problem_text = ""
    if closed or large.answer.status is None or large.answer.status >= 500:
        problem_text = f"A body of {shown(size)} was answered as a fault: {large.problem}"
    elif not is_refused(context, large):
        problem_text = f"A body of {shown(size)} was accepted"
    elif _alike(small, large):
        problem_text = f"A body of {shown(size)} was read whole and taken like a small one: no limit acts"
    elif large.answer.elapsed_s > WITHIN_S:
        problem_text = f"A body of {shown(size)} was refused only after {took}"
    if problem_text:
        return failed(problem_text, observed=observed, expected=expected, evidence=evidence)
    what = f"A body of {shown(size)} is refused ({large.answer.status}) within {took}"
    return passed(what, observed=observed, expected=expected, evidence=evidence)


@audit(
    "HTTP-13",
    "The history is answered in pages of bounded size",
    subject=Subject.HTTP,
    severity=Severity.MAJOR,
    safety=Safety.READ_ONLY,
    sends="at most two looks at the history of its own bot, with a limit of a million and with one beyond all numbers",
    why="One request for everything holds memory and database while all others wait.",
    fix="limit: int = Query(100, ge=1, le=1000)   (FastAPI), or LEAST(:limit, 1000) in the query",
    reference="ASVS 2.3.2, OWASP API4:2023",
)
async def pages_are_bounded(context: Context) -> Outcome:
    """A limit of a million is refused or cut; one that only reaches the database unchecked shows itself by an error."""
    if problem := await _no_token(context):
        return problem
    if "{limit}" not in context.controller.operation("history").path:
        return inconclusive(
            Reason.NO_SOURCE, "The contract names no limit of the history: set [operations.history] path"
        )
    nobody = bot_id(context, PLACE)
    expected = "refused with 4xx, or cut to a bounded number of messages"
    async with context.visitor(VISITOR) as visitor:
        many = await visitor.controller.ask("history", bot_id=nobody, limit=str(MANY), is_typical=False)
        if throttled(many):
            return inconclusive(
                many.reason, f"The history was not answered: {many.problem}", evidence=many.seen
            )
        if is_refused(context, many):
            told = f"{many.answer.status}: {many.told}"
            return passed(
                "A limit of a million messages is refused",
                observed=told,
                expected=expected,
                evidence=many.seen,
            )
        more = await visitor.controller.ask("history", bot_id=nobody, limit=str(TOO_MANY), is_typical=False)
    evidence = [*many.seen[-1:], *more.seen[-1:]]
    observed = f"limit={MANY}: {many.answer.status}; limit={TOO_MANY:.0e}: {more.answer.status} {more.told}"
    if throttled(more):
        return inconclusive(more.reason, f"The history was not answered: {more.problem}", evidence=evidence)
    if many.ok and more.ok:
        what = "Limits beyond all bounds are cut by the history"
        return passed(what, observed=observed, expected=expected, evidence=evidence)
    if many.ok and more.answer.status is not None and 400 <= more.answer.status < 500:
        why = "The history takes a limit of a million; whether it answers as many cannot be seen"
        return inconclusive(Reason.BLOCKED, why, observed=observed, expected=expected, evidence=evidence)
    what = "The limit of the history is not bounded: a million is taken, and what is asked for reaches the database"
    if not many.ok:
        what = f"A limit of a million is answered as a fault: {many.problem}"
    return failed(what, observed=observed, expected=expected, evidence=evidence)


@audit(
    "HTTP-14",
    "A frame that is too large is refused by the WebSocket",
    subject=Subject.HTTP,
    severity=Severity.MAJOR,
    safety=Safety.ACTIVE,
    sends="one frame just above the documented limit to its own bot; where none is documented, one of 2 MiB to no bot",
    why="A single client fills the memory, and what REST refuses comes in by the socket.",
    fix="uvicorn --ws-max-size 131072, and the limit of a command in the code that answers frames",
    reference="ASVS 15.2.2, 4.4.1",
)
async def large_frames_are_refused(context: Context) -> Outcome:
    """The frame is answered with an error about its size, or the socket closes (1009)."""
    if missing := leave_is_missing(context):
        return missing
    if "ws" not in context.target.contract.operations:
        return inconclusive(Reason.NO_SOURCE, "The contract names no WebSocket: set [operations.ws] path")
    limit = context.target.contract.max_command_bytes
    if limit:
        bot = await a_bot(context)
        if isinstance(bot, Outcome):
            return bot
        messages = [(bot.bot_id, "x" * (limit + 1))]
    else:
        if problem := await signed_in(context):
            return problem
        nobody = bot_id(context, PLACE)
        messages = [(nobody, command(context, "small")), (nobody, "x" * LARGE_BYTES)]
    size, evidence_of = (limit + 1, f"above the documented {limit}") if limit else (LARGE_BYTES, "of 2 MiB")
    async with context.visitor(VISITOR) as visitor:
        talk = await visitor.controller.converse(
            messages, within_s=context.target.profile.walkthrough.reply_within_s
        )
    evidence = (talk.evidence,)
    expected = f"a frame {evidence_of} refused with an error, or the socket closed with 1009"
    if not talk.opened or len(talk.frames) < len(messages):
        why = talk.error.sentence if talk.error else "the socket was closed before"
        reason = talk.error.reason if talk.error else Reason.PROTOCOL
        return inconclusive(reason, f"The frame could not be sent: {why}", evidence=evidence)
    frame = talk.frames[-1]
    told = _told(context, frame)
    observed = f"close code {talk.close_code}" if frame.error else told or "answered"
    if frame.error and frame.error.reason is Reason.TIMEOUT:
        what = f"A frame of {shown(size)} was not answered at all"
        return failed(what, observed=frame.error.sentence, expected=expected, evidence=evidence)
    is_like_small = not limit and DIGITS.sub("", told) == DIGITS.sub("", _told(context, talk.frames[0]))
    if not frame.error and (not told or is_like_small):
        what = f"A frame of {shown(size)} is taken like a small one: no limit acts on the WebSocket"
        return failed(what, observed=observed, expected=expected, evidence=evidence)
    what = f"A frame of {shown(size)} is refused: {told or observed}"
    return passed(what, observed=observed, expected=expected, evidence=evidence)


def _told(context: Context, frame: Frame) -> str:
    """The error that a frame was answered with, also where it comes as an answer without success; empty for none."""
    document, success = frame.json(), context.target.contract.success
    if isinstance(document, dict) and success and document.get(success) is False:
        named = context.controller.operation("ws_send").reply.get("text", "")
        return context.controller.quote(pick(document, named) or "no success", 120)
    return refusal(context, frame)


async def _no_token(context: Context) -> Outcome | None:
    return await signed_in(context) if context.target.contract.rest_auth == "bearer" else None
