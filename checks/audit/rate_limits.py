"""Rate limits: declared, acting where they are declared, told as limits, and not to be dodged.

A declaration says nothing: each limit is tried by a client of its own with calls that do nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime

from checks.audit.common import audit, leave_is_missing, listed, note, signed_in
from checks.audit.route_limits import (
    ALL_WITHIN_S,
    KEPT_REQUESTS,
    LIMIT_WORDS,
    MAX_CALLS,
    NOBODY,
    NOTHING_DECLARED,
    OUT_OF_SERVICE,
    Declared,
    Routes,
    Tried,
    declared,
    declared_limits,
    no_token,
    tried,
)
from checks.context import Context
from checks.model import (
    Outcome,
    Reason,
    Safety,
    Severity,
    Subject,
    failed,
    inconclusive,
    not_applicable,
    passed,
)
from checks.probe.websocket import Conversation, Frame
from checks.text import clean
from checks.walkthrough.chat import refusal
from checks.walkthrough.walk import bot_id, command

COSTLY = ("login", "register", "launch", "stop", "send", "ws_send", "history")
"""What signs in, registers, launches, sends, or asks the database."""
SOCKET_CLIENT = 58
MAX_FRAMES, UNDECLARED_FRAMES = 300, 40
"""Messages over the WebSocket that are sent at most, and where no limit is declared."""
LIMITER_FIX = "limit_req (nginx), or a limiter in the controller, for each route that a client can flood"


@audit(
    "RATE-01",
    "Everything that costs has a declared rate limit",
    subject=Subject.RATE,
    severity=Severity.MAJOR,
    safety=Safety.READ_ONLY,
    sends="nothing: reads the contract",
    why="What is not limited can be used to guess passwords, to fill the host with bots, or to run up a bill.",
    fix='Limit it in the controller, and declare it in the profile:\n[operations.ws_send]\nlimit = "60/60"',
    reference="OWASP API4:2023, ASVS 2.4.1",
)
async def limits_are_declared(context: Context) -> Outcome:
    """Sign-in, sign-up, launch, stop, commands over both ways and the history have a declared limit."""
    operations = context.target.contract.operations
    has_socket = "ws" in operations
    wanted = [name for name in COSTLY if name in operations and (name != "ws_send" or has_socket)]
    lines = [f"{name:9} {operations[name].limit or 'none declared'}" for name in wanted]
    lacking = [name for name in wanted if not operations[name].limit]
    seen = [note(context, f"{len(wanted) - len(lacking)} of {len(wanted)} limits are declared", lines)]
    expected = f"a limit for each of {', '.join(wanted)}"
    if lacking:
        named = " and ".join(lacking) if len(lacking) < 3 else listed(lacking)
        what = f"No rate limit is declared for {named}"
        if "ws_send" in lacking:
            what += ": messages over the WebSocket can be sent without end"
        return failed(what, observed=f"none for {named}", expected=expected, evidence=seen)
    return passed(
        f"All {len(wanted)} costly operations have a declared limit", expected=expected, evidence=seen
    )


@audit(
    "API-01",
    "Rate limits act as declared",
    subject=Subject.RATE,
    severity=Severity.BLOCKER,
    safety=Safety.ACTIVE,
    sends="for each declared limit as many harmless calls, and one more, from a client of its own",
    why="One client can starve all others, guess passwords or run up cost; a 500 instead looks like an outage.",
    fix="Refuse with 429 and Retry-After at the declared number, in the handler chain and not by an exception that "
    f"becomes a 500:\n{LIMITER_FIX}",
    reference="OWASP API4:2023, ASVS 2.4.1, RFC 6585 section 4",
)
async def limits_act(context: Context) -> Outcome:
    """Each declared route refuses with 429 and Retry-After at its number, not at twice and not at half of it."""
    if missing := leave_is_missing(context) or await no_token(context):
        return missing
    limits = declared_limits(context)
    if not limits:
        return inconclusive(Reason.NO_SOURCE, NOTHING_DECLARED)
    routes, untried = context.state(Routes), []
    for name, limit in limits.items():
        if limit.calls > MAX_CALLS:
            untried.append(f"{name} ({limit} are too many to try)")
        elif limit.calls + limit.margin > routes.left(context) - KEPT_REQUESTS and name not in routes.tried:
            untried.append(f"{name} (the requests of a run are spent: run the rate limits alone)")
        elif routes.seconds > ALL_WITHIN_S and name not in routes.tried:
            untried.append(f"{name} (the answers take so long that there was no time left)")
        else:
            await tried(context, name, limit)
    found = [routes.tried[name] for name in limits if name in routes.tried]
    return _acting(context, found, untried)


def _acting(context: Context, found: list[Tried], untried: list[str]) -> Outcome:
    lines = [*(route.line() for route in found), *(f"not tried: {one}" for one in untried)]
    problems = {route.name: problem for route in found if (problem := _wrong(route))}
    seen = [note(context, f"{len(found)} limits tried, {len(problems)} do not act as declared", lines)]
    expected = "429 with Retry-After at the declared number of calls"
    if problems:
        wrong = [route for route in found if route.name in problems]
        seen += [route.evidence[-1] for route in wrong[:3] if route.evidence]
        told = "; ".join(f"{name} {problem}" for name, problem in problems.items())
        return failed(
            f"Limits do not act as declared: {told}", observed=told, expected=expected, evidence=seen
        )
    doubts = [route for route in found if route.why_not]
    early = [
        f"{route.name} (refused early, but this client has called before)"
        for route in found
        if _is_early(route)
    ]
    if doubts or untried or early:
        told = listed([*(f"{route.name} ({route.why_not})" for route in doubts), *early, *untried])
        reason = doubts[0].reason if doubts else Reason.SKIPPED
        acting = len(found) - len(doubts) - len(early)
        rest = f"; {acting} others act as declared" if acting else ""
        return inconclusive(reason, f"Not judged: {told}{rest}", expected=expected, evidence=seen)
    return passed(
        f"All {len(found)} declared limits act at their number, with 429 and Retry-After",
        expected=expected,
        evidence=seen,
    )


def _is_early(route: Tried) -> bool:
    return route.refusal is not None and route.admitted < route.declared.calls / 2


def _wrong(route: Tried) -> str:
    """How the route's limit differs from what is declared; empty where it does not, or was not judged."""
    if route.why_not:
        return ""
    if route.refusal is None:
        return f"refused none of {route.admitted} calls ({route.declared} are declared)"
    status = route.refusal.answer.status
    if status in OUT_OF_SERVICE:
        return f"answers {status} in place of 429"
    if status != 429:
        return f"refuses with {status} in place of 429"
    after = route.refusal.answer.headers.get("retry-after", "")
    if not _is_time(after):
        return "refuses without Retry-After" if not after else f"sends Retry-After “{clean(after, 40)}”"
    if route.is_fresh and _is_early(route):
        return f"refuses after {route.admitted} calls already ({route.declared} are declared)"
    return ""


def _is_time(text: str) -> bool:
    """Whether it is a Retry-After: seconds or a date (RFC 9110, section 10.2.3)."""
    text = text.strip()
    if text.isascii() and text.isdigit():
        return True
    try:
        parsedate_to_datetime(text)
    except (TypeError, ValueError):
        return False
    return True


@audit(
    "API-02",
    "Messages over the WebSocket are limited",
    subject=Subject.RATE,
    severity=Severity.MAJOR,
    safety=Safety.ACTIVE,
    sends=f"as many messages to an unknown bot over one WebSocket as are declared ({UNDECLARED_FRAMES} where none "
    "are) and a tenth more, until one is refused",
    why="A middleware that limits requests does not see messages: one open socket sends to paid models without end.",
    fix="Take a token for each received message, by user or address, and answer an error or close with 1008.",
    reference="OWASP API4:2023, ASVS 2.4.1, RFC 6455 section 7.4.1",
)
async def messages_are_limited(context: Context) -> Outcome:
    """One socket's messages are refused at the declared number, or at all where none is declared."""
    if missing := leave_is_missing(context):
        return missing
    operations = context.target.contract.operations
    if "ws" not in operations or "ws_send" not in operations:
        return not_applicable("The contract names no WebSocket")
    if missing := await signed_in(context):
        return missing
    limit = declared(context, "ws_send")
    if limit and limit.calls > MAX_FRAMES:
        return inconclusive(Reason.SKIPPED, f"Not tried: {limit} are more messages than gonogo sends at once")
    began = time.monotonic()
    async with context.visitor(SOCKET_CLIENT) as visitor:
        most = 2 * limit.calls if limit else UNDECLARED_FRAMES
        name = bot_id(context, NOBODY)
        talk = await visitor.controller.converse(
            [(name, command(context, f"flood-{number}")) for number in range(most)],
            within_s=context.target.profile.walkthrough.timeout_s,
            is_enough=_enough(context, limit, began),
        )
        return _flooded(context, talk, limit, time.monotonic() - began, is_fresh=bool(visitor.address))


def _enough(context: Context, limit: Declared | None, began: float) -> Callable[[Frame], bool]:
    """Whether a message was refused, or as many were not as are declared, with what refills meanwhile and a margin."""
    count = 0

    def is_enough(frame: Frame) -> bool:
        nonlocal count
        count += 1
        if LIMIT_WORDS.search(refusal(context, frame)):
            return True
        refilled = int((time.monotonic() - began) / limit.token_s) if limit else 0
        return limit is not None and count >= limit.calls + refilled + limit.margin

    return is_enough


def _flooded(
    context: Context, talk: Conversation, limit: Declared | None, seconds: float, *, is_fresh: bool
) -> Outcome:
    expected = f"a refusal after {limit}" if limit else "a refusal, or a declared limit"
    if not talk.opened or not talk.frames:
        why = talk.error.sentence if talk.error else "nothing was sent"
        reason = talk.error.reason if talk.error else Reason.PROTOCOL
        return inconclusive(
            reason, f"The socket could not be used: {why}", expected=expected, evidence=[talk.evidence]
        )
    last = talk.frames[-1]
    told = refusal(context, last)
    is_closed = last.error is not None and last.error.reason is Reason.REFUSED
    is_limited = is_closed or bool(LIMIT_WORDS.search(told))
    admitted = len(talk.frames) - is_limited
    lines = [f"→ {last.sent}", f"← {context.controller.quote(last.reply or told, 300)}"]
    took = f"{admitted} messages in {seconds:.2f} s were answered"
    seen = [note(context, f"{took}, {'then one was refused' if is_limited else 'none was refused'}", lines)]
    if last.error and not is_closed:
        why = f"Message {len(talk.frames)} was not answered: {last.error.sentence}"
        return inconclusive(last.error.reason, why, expected=expected, evidence=seen)
    if not is_limited and limit and admitted < limit.calls + int(seconds / limit.token_s):
        why = f"The messages are answered so slowly that {limit} are not reached"
        return inconclusive(Reason.TIMEOUT, why, expected=expected, evidence=seen)
    if not is_limited:
        stated = f"{limit} are declared" if limit else "and no limit is declared"
        what = f"Messages over the WebSocket are not limited: {took}, {stated}"
        return failed(what, observed=took, expected=expected, evidence=seen)
    if limit and admitted < limit.calls / 2 and is_fresh:
        what = f"Messages are refused after {admitted} already ({limit} are declared)"
        return failed(what, observed=took, expected=expected, evidence=seen)
    return passed(
        f"After {admitted} messages the next one was refused", observed=took, expected=expected, evidence=seen
    )
