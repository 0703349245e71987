"""Whether one slow request, or ten clients at once, hold up the others."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from checks.audit.common import audit, leave_is_missing, note
from checks.audit.route_limits import declared
from checks.audit.sampling import FIRST_PLACE, own_lag
from checks.context import Context, Visitor
from checks.controller import Reply
from checks.model import (
    Outcome,
    Reason,
    Safety,
    Severity,
    Subject,
    Verdict,
    failed,
    inconclusive,
    not_applicable,
    passed,
)
from checks.probe.http import Answer
from checks.text import duration

SIGN_INS, LOOKS, CLIENTS = 5, 6, 10
PAUSE_S = 0.01
KNOWN = 10
"""So many samples of health tell how it is at rest."""
ROUNDS = 2
"""What looks too slow under several requests at once is looked at once more: one hiccup is none of the controller's."""
NO_LOOP = (
    "Take hashing and other slow calls off the event loop: await asyncio.to_thread(verify, password, stored),\n"
    "or declare the handler with def instead of async def (FastAPI runs it in a thread)"
)


@dataclass(slots=True)
class Load:
    """What was measured under several requests at once, once in a run."""

    outcomes: dict[str, Outcome] = field(default_factory=dict)
    """Check -> what it found."""
    health_s: list[float] = field(default_factory=list)
    """Seconds of the answers of health meanwhile."""


async def health_under_load(context: Context) -> list[float]:
    """Seconds of answers of health under several requests at once, where that may be tried: no faster than at rest."""
    if leave_is_missing(context) is None:
        for check, measure in MEASURES.items():
            outcome = await _once(context, check, measure)
            if outcome.reason in (Reason.UNREACHABLE, Reason.TIMEOUT):
                break
    return context.state(Load).health_s


async def _once(context: Context, check: str, measure: Callable[[Context], Awaitable[Outcome]]) -> Outcome:
    load = context.state(Load)
    if check not in load.outcomes:
        load.outcomes[check] = await measure(context)
    return load.outcomes[check]


@audit(
    "RESP-09",
    "One slow request does not stop others",
    subject=Subject.PERFORMANCE,
    severity=Severity.MAJOR,
    safety=Safety.ACTIVE,
    sends=f"{SIGN_INS} sign-ins at once with a made-up name, whose hashes take time, and up to {LOOKS} health requests "
    "meanwhile",
    why="A handler that blocks the event loop stops every chat of every user while it works.",
    fix=NO_LOOP,
    reference="Python documentation, asyncio: running blocking code; SRE book, chapter 22 (cascading failures)",
)
async def others_do_not_wait(context: Context) -> Outcome:
    """While passwords are checked, health is answered within [audit] health_p95_s."""
    if missing := leave_is_missing(context):
        return missing
    return await _once(context, "RESP-09", _slow_ones)


async def _slow_ones(context: Context) -> Outcome:
    if "login" not in context.target.contract.operations:
        return not_applicable(
            "The contract names no sign-in, whose hash is the slow request that does no harm"
        )
    limit_s = context.target.profile.audit.health_p95_s
    expected = f"health within {duration(limit_s)} while {SIGN_INS} sign-ins are under way"
    async with AsyncExitStack() as stack:
        visitors = await _sign_in_clients(context, stack)
        if problem := await _not_at_rest(context, limit_s):
            return problem
        for round_ in range(ROUNDS):
            async with own_lag() as lag:
                sign_ins, looks = await _meanwhile(context, visitors, round_)
            context.state(Load).health_s += [look.elapsed_s for _, look in looks if look.status == 200]
            outcome = _waited(context, sign_ins, looks, limit_s, lag.worst_s, expected)
            if outcome.verdict is Verdict.PASS or not looks:
                break
    return outcome


async def _sign_in_clients(context: Context, stack: AsyncExitStack) -> list[Visitor]:
    """Who signs in: each of them at most half as often as is declared."""
    limit = declared(context, "login")
    each = max(1, limit.calls // 2 // ROUNDS) if limit else SIGN_INS
    first = await stack.enter_async_context(context.visitor(FIRST_PLACE))
    if not first.address:
        return [first] * min(SIGN_INS, max(2, each))
    places = range(FIRST_PLACE + 1, FIRST_PLACE + -(-SIGN_INS // each))
    clients = [first, *[await stack.enter_async_context(context.visitor(place)) for place in places]]
    return [clients[number // each] for number in range(SIGN_INS)]


async def _meanwhile(
    context: Context, visitors: list[Visitor], round_: int
) -> tuple[list[Reply], list[tuple[float, Answer]]]:
    """Sign in all at once; the answers of health until the last of them, and after how many seconds each was asked."""
    name = f"gonogo-{context.nonce}-{round_}"
    tasks = [
        asyncio.create_task(
            visitor.controller.ask(
                "login", with_token=False, is_patient=False, username=name, password=context.nonce
            )
        )
        for visitor in visitors
    ]
    looks: list[tuple[float, Answer]] = []
    began = time.monotonic()
    try:
        while len(looks) < LOOKS and not all(task.done() for task in tasks):
            await asyncio.sleep(PAUSE_S)
            at_s = time.monotonic() - began
            looks.append(
                (at_s, await context.http.ask("GET", _health(context), within_s=_patience_s(context)))
            )
        return await asyncio.gather(*tasks), looks
    finally:
        for task in tasks:
            task.cancel()


async def _not_at_rest(context: Context, limit_s: float) -> Outcome | None:
    """The outcome for a target whose health is slow without any other request, by the run's samples of it."""
    known = context.http.meter.latencies_s.setdefault("health", [])
    if len(known) < KNOWN:
        reply = await context.controller.ask("health", with_token=False, is_patient=False)
        if not reply.ok:
            why = f"Health is not answered: {reply.problem}"
            return inconclusive(reply.reason, why, evidence=reply.seen)
    at_rest_s = statistics.median(known)
    if at_rest_s > limit_s:
        what = f"Health takes {duration(at_rest_s)} at rest already: what else it waits for cannot be told"
        return inconclusive(Reason.CONTROL, what)
    return None


def _waited(
    context: Context,
    sign_ins: list[Reply],
    looks: list[tuple[float, Answer]],
    limit_s: float,
    lag_s: float,
    expected: str,
) -> Outcome:
    lines = [
        f"sign-in answered {one.answer.status} after {duration(one.answer.elapsed_s)}" for one in sign_ins
    ]
    lines += [
        f"health asked at {duration(at_s)}: {look.status} after {duration(look.elapsed_s)}"
        for at_s, look in looks
    ]
    seen = [note(context, f"{len(sign_ins)} sign-ins at once, {len(looks)} health requests meanwhile", lines)]
    judged = [one for one in sign_ins if one.answer.status is not None and one.answer.status != 429]
    if not judged:
        why = f"No sign-in was worked on: {sign_ins[0].problem}"
        return inconclusive(Reason.CONTROL, why, expected=expected, evidence=seen)
    if not looks:
        why = "The sign-ins were answered before health could be asked: nothing slow was provoked"
        return inconclusive(Reason.CONTROL, why, expected=expected, evidence=seen)
    worst = max(look.elapsed_s for _, look in looks)
    observed = f"health at worst {duration(worst)} of {len(looks)}, sign-ins up to " + duration(
        max(one.answer.elapsed_s for one in judged)
    )
    broken = [look.error for _, look in looks if look.error and look.elapsed_s <= limit_s]
    if broken:
        why = f"Health was not answered meanwhile: {broken[0].sentence}"
        return inconclusive(broken[0].reason, why, observed=observed, expected=expected, evidence=seen)
    if worst <= limit_s:
        what = f"While {len(judged)} passwords were checked, health took {duration(worst)} at most"
        return passed(what, observed=observed, expected=expected, evidence=seen)
    if worst - lag_s <= limit_s:
        why = f"gonogo itself was late by {duration(lag_s)}: run it on a host with less to do"
        return inconclusive(Reason.CONTROL, why, observed=observed, expected=expected, evidence=seen)
    what = f"While {len(judged)} passwords are checked, health waits up to {duration(worst)}"
    return failed(what, observed=observed, expected=expected, evidence=seen)


@audit(
    "RESP-10",
    f"{CLIENTS} clients at once are all answered in time",
    subject=Subject.PERFORMANCE,
    severity=Severity.MAJOR,
    safety=Safety.ACTIVE,
    sends=f"{CLIENTS} health requests at the same time, each on a connection of its own",
    why="What is answered one after the other at rest is a queue under the smallest load.",
    fix="Hold no lock and wait for nothing in a handler without await; uvicorn --workers 4 on four cores.",
    reference="SRE book, chapter 21 (handling overload)",
)
async def clients_at_once_are_answered(context: Context) -> Outcome:
    """Ten health requests at once are all answered within [audit] health_p95_s, where one is."""
    if missing := leave_is_missing(context):
        return missing
    return await _once(context, "RESP-10", _all_at_once)


async def _all_at_once(context: Context) -> Outcome:
    limit_s = context.target.profile.audit.health_p95_s
    expected = f"{CLIENTS} answers at once, each within {duration(limit_s)}"
    path, patience_s = _health(context), _patience_s(context)
    async with context.visitor(FIRST_PLACE) as visitor:
        if problem := await _not_at_rest(context, limit_s):
            return problem
        for _ in range(ROUNDS):  # the second time all connections are open already
            async with own_lag() as lag:
                asked = (visitor.http.ask("GET", path, within_s=patience_s) for _ in range(CLIENTS))
                answers = await asyncio.gather(*asked)
            answers.sort(key=lambda answer: answer.elapsed_s)
            good = [answer for answer in answers if answer.status is not None and answer.status < 300]
            context.state(Load).health_s += [answer.elapsed_s for answer in good]
            if len(good) == CLIENTS and answers[-1].elapsed_s <= limit_s:
                break
    times = ", ".join(duration(answer.elapsed_s) for answer in answers)
    observed = f"{len(good)} of {CLIENTS} answered, the slowest after {duration(answers[-1].elapsed_s)}"
    seen = [note(context, f"{CLIENTS} health requests at once: {observed}", [times])]
    if len(good) == CLIENTS and answers[-1].elapsed_s <= limit_s:
        return passed(f"All at once: {observed}", observed=observed, expected=expected, evidence=seen)
    if any(answer.status == 429 for answer in answers):
        why = "The rate limiter refused health: see RATE-05"
        return inconclusive(Reason.THROTTLED, why, observed=observed, expected=expected, evidence=seen)
    if len(good) == CLIENTS and answers[-1].elapsed_s - lag.worst_s <= limit_s:
        why = f"gonogo itself was late by {duration(lag.worst_s)}: run it on a host with less to do"
        return inconclusive(Reason.CONTROL, why, observed=observed, expected=expected, evidence=seen)
    return failed(f"Too slow at once: {observed}", observed=observed, expected=expected, evidence=seen)


def _health(context: Context) -> str:
    return context.controller.operation("health").path


def _patience_s(context: Context) -> float:
    return context.target.profile.walkthrough.timeout_s


MEASURES: dict[str, Callable[[Context], Awaitable[Outcome]]] = {
    "RESP-09": _slow_ones,
    "RESP-10": _all_at_once,
}
