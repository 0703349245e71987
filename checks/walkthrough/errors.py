"""Step 11: what is wrong is told as wrong, clearly, and without showing the inside of the program."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from checks.context import Context
from checks.controller import Reply
from checks.model import Area, Evidence, Outcome, Reason, Safety, Severity, failed, inconclusive, passed
from checks.registry import check
from checks.text import one_line
from checks.walkthrough.chat import ask_over_socket, refusal
from checks.walkthrough.walk import Walk, bot_id, command

LARGEST_REST_BODY = 1 << 20
"""A documented limit above this is tried over the socket, where the observed contract documents it."""
INSIDE = re.compile(
    r"Traceback \(most recent call last\)|\bFile \"/|\bat [\w.$]+\([\w.]+:\d+\)|sqlalchemy\.|/site-packages/"
)
"""Stack traces and paths: an error text for people holds none."""


@dataclass(frozen=True, slots=True)
class Told:
    """How one wrong request was answered."""

    name: str
    problem: str
    """Why the answer is not a clear refusal; empty where it is one."""
    answer: str
    evidence: tuple[Evidence, ...]
    is_judged: bool = True
    was_tried: bool = True


@check(
    "WALK-11",
    "Errors are told clearly",
    area=Area.WALKTHROUGH,
    severity=Severity.MAJOR,
    safety=Safety.ACTIVE,
    sends="about nine wrong requests: unknown bot, empty and oversized command, malformed JSON, bad id, no token",
    why="An error answered as a success loses work silently; one that shows its inside helps an attacker.",
    reference="ASVS 16.5.1",
    needs=("WALK-04",),
    hops=("ui", "controller"),
)
async def errors_are_told(context: Context) -> Outcome:
    """Each wrong request is refused in time, with a text, without a stack trace."""
    context.hop("controller")
    told = [await case(context) for case in CASES]
    evidence = [seen for one in told for seen in one.evidence]
    expected = "each wrong request refused with a text that says why, and nothing of the program's inside"
    observed = "; ".join(f"{one.name}: {one.problem or one.answer}" for one in told)
    wrong = [one for one in told if one.problem and one.is_judged]
    if wrong:
        return failed(
            f"{wrong[0].name}: {wrong[0].problem}"
            + (f" (and {len(wrong) - 1} more cases)" if len(wrong) > 1 else ""),
            observed=observed,
            expected=expected,
            evidence=evidence,
        )
    if unjudged := [one for one in told if not one.is_judged]:
        return inconclusive(
            Reason.THROTTLED,
            f"{unjudged[0].name} could not be judged: {unjudged[0].problem}",
            observed=observed,
            expected=expected,
            evidence=evidence,
        )
    untried = [one.name for one in told if not one.was_tried]
    return passed(
        f"All {len(told) - len(untried)} wrong requests were refused with a text"
        + (f"; not tried: {', '.join(untried)}" if untried else ""),
        observed=observed,
        expected=expected,
        evidence=evidence,
    )


def _judged(name: str, reply: Reply, *, needs_text: bool = True) -> Told:
    answer, seen = reply.answer, reply.seen
    if reply.reason in (Reason.UNREACHABLE, Reason.THROTTLED):
        return Told(name, reply.problem, "", seen, is_judged=False)
    if reply.reason is Reason.TIMEOUT:
        return Told(name, f"it was not answered: {reply.problem}", "", seen)
    if reply.ok:
        return Told(name, "it was answered as a success", "", seen)
    if answer.status is not None and answer.status >= 500:
        return Told(name, f"it was answered as a fault of the server ({answer.status})", "", seen)
    if INSIDE.search(answer.text):
        return Told(name, "the answer shows the inside of the program", "", seen)
    if needs_text and not reply.told:
        return Told(name, f"it was refused ({answer.status}) without a text that says why", "", seen)
    return Told(name, "", one_line(f"{answer.status} {reply.told}", 60), seen)


async def _unknown_bot_rest(context: Context) -> Told:
    reply = await context.controller.ask("send", bot_id=_nobody(context), text=command(context, "unknown"))
    return _judged("unknown bot (REST)", reply)


async def _unknown_bot_socket(context: Context) -> Told:
    return await _over_socket(
        context, "unknown bot (WebSocket)", _nobody(context), command(context, "unknown")
    )


async def _empty_command(context: Context) -> Told:
    return _judged("empty command", await context.controller.ask("send", bot_id=_somebody(context), text=""))


async def _oversized_command(context: Context) -> Told:
    limit = context.target.contract.max_command_bytes
    name = "oversized command"
    if not limit:
        return Told(name, "", "not tried: no limit is documented", (), was_tried=False)
    text = "x" * (limit + 1)
    if limit > LARGEST_REST_BODY:
        return await _over_socket(context, name, _somebody(context), text)
    return _judged(name, await context.controller.ask("send", bot_id=_somebody(context), text=text))


async def _malformed_json(context: Context) -> Told:
    reply = await context.controller.ask("send", bot_id=_somebody(context), raw_body=b'{"command": "cut o')
    return _judged("malformed JSON", reply)


async def _bad_id(context: Context) -> Told:
    bad = context.target.contract.bad_bot_id
    kind = context.target.profile.walkthrough.bot_type
    bot = context.launches.announce(bad)
    reply = await context.controller.ask("launch", bot_id=bad, bot_type=kind)
    if reply.ok:  # it was launched after all: the clean-up stops it
        context.launches.launched(bot)
    elif reply.reason is Reason.REFUSED:
        context.launches.stopped(bot, "the controller refused to launch it")
    return _judged("bad bot id", reply)


async def _socket_without_token(context: Context) -> Told:
    name = "WebSocket without a token"
    talk = await context.controller.converse([], within_s=_patience_s(context), with_token=False)
    if talk.opened:
        # Some servers can only refuse after the handshake: a close before the first answer is a refusal too.
        spoken = await context.controller.converse(
            [(_nobody(context), command(context, "stranger"))],
            within_s=_patience_s(context),
            with_token=False,
        )
        evidence = (talk.evidence, spoken.evidence)
        if spoken.close_code in (1008, 3000, 4001, 4003, 4401, 4403) and not any(
            f.reply for f in spoken.frames
        ):
            return Told(name, "", f"closed with {spoken.close_code}", evidence)
        return Told(name, "the socket opened for a stranger", "", evidence)
    if talk.status in (401, 403):
        return Told(name, "", f"handshake refused with {talk.status}", (talk.evidence,))
    why = talk.error.sentence if talk.error else "it did not open"
    unreachable = talk.error is not None and talk.error.reason is Reason.UNREACHABLE
    return Told(name, f"it was not refused clearly: {why}", "", (talk.evidence,), is_judged=not unreachable)


async def _rest_without_token(context: Context) -> Told:
    name = "REST without a token"
    if context.target.contract.rest_auth != "bearer":
        return Told(name, "", "not tried: the contract asks for no token", (), was_tried=False)
    return _judged(name, await context.controller.ask("bots", with_token=False))


async def _over_socket(context: Context, name: str, to: str, text: str) -> Told:
    talk, (sent,) = await ask_over_socket(context, [(to, text)])
    evidence = (talk.evidence,)
    if not talk.opened:
        why = talk.error.sentence if talk.error else ""
        return Told(name, "", f"not tried over the socket: {why}", evidence, was_tried=False)
    if sent is None:
        answer = refusal(context, talk.frames[0])
        if INSIDE.search(talk.frames[0].reply or ""):
            return Told(name, "the answer shows the inside of the program", "", evidence)
        return Told(name, "", one_line(answer, 60), evidence)
    if sent.reply is None and sent.problem.startswith("no answer"):
        return Told(name, "it was not answered at all", "", evidence)
    if sent.reply is None:
        return Told(name, "", one_line(sent.problem, 60), evidence)
    return Told(name, "it was answered as a success", "", evidence)


def _nobody(context: Context) -> str:
    return bot_id(context, 7)


def _somebody(context: Context) -> str:
    first = context.state(Walk).first
    return first.bot_id if first else bot_id(context, 0)


def _patience_s(context: Context) -> float:
    return context.target.profile.walkthrough.timeout_s


CASES: tuple[Callable[[Context], Awaitable[Told]], ...] = (
    _unknown_bot_rest,
    _unknown_bot_socket,
    _empty_command,
    _oversized_command,
    _malformed_json,
    _bad_id,
    _socket_without_token,
    _rest_without_token,
)
