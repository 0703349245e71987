"""What a rate limit must not do: hold for ever, be dodged, reach health, or hit others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

from checks.audit.common import audit, leave_is_missing, listed, note
from checks.audit.route_limits import (
    MAX_CALLS,
    NOTHING_DECLARED,
    OPEN,
    Declared,
    Routes,
    Tried,
    ask,
    declared_limits,
    harmless,
    is_refused,
    no_token,
    over_its_limit,
    slow_route,
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

OTHER_CLIENT = 59
MAX_WAIT_S, SLACK_S = 3.0, 0.1
HEALTH_LOOKS = 5
ADDRESS = "198.51.100.77"
"""Of a network that is kept for documentation (RFC 5737): nobody's."""
DODGES: Mapping[str, Mapping[str, str]] = {
    "another Authorization header": {"authorization": "Bearer of-somebody-else"},
    "X-Forwarded-For": {"x-forwarded-for": ADDRESS},
    "X-Real-IP": {"x-real-ip": ADDRESS},
    "Forwarded": {"forwarded": f"for={ADDRESS}"},
}
QUICK = ("status", "bots", "history", "stop", "send", "login", "launch", "register")
"""Routes in the order in which the recovery is looked at."""
NONE_REFUSES = "No declared limit refused anything, so there is no refusal to look at"


@audit(
    "RATE-02",
    "A refused client is let in again after the time it was told",
    subject=Subject.RATE,
    severity=Severity.MAJOR,
    safety=Safety.ACTIVE,
    sends="one call, once the time has passed that a refused client was told to wait",
    why="A client that waits as it is told and stays refused is locked out by one mistake.",
    fix="Let the bucket refill while calls are refused, and tell in Retry-After when the next call is let in.",
    reference="RFC 9110 section 10.2.3",
)
async def limits_recover(context: Context) -> Outcome:
    """After Retry-After (or the declared time, where none is told) the next call is not refused."""
    if missing := leave_is_missing(context) or await no_token(context):
        return missing
    limits = declared_limits(context)
    if not limits:
        return inconclusive(Reason.NO_SOURCE, NOTHING_DECLARED)
    route = await _quick_route(context, limits)
    if route is None or route.refusal is None:
        why = f"No limit could be looked at that lets its client in again within {MAX_WAIT_S:g} s"
        return inconclusive(Reason.SKIPPED, why)
    await asyncio.sleep(max(0.0, route.refused_at + route.wait_s + SLACK_S - time.monotonic()))
    async with context.visitor(route.place) as visitor:
        waited_s = time.monotonic() - route.refused_at
        reply = await ask(visitor, route.name, harmless(context, route.name))
    expected = f"{route.name} is answered again after {route.wait_s:g} s"
    seen = [*route.refusal.seen, *reply.seen]
    if reply.answer.status is None:
        return inconclusive(
            reply.reason, f"It was not answered: {reply.problem}", expected=expected, evidence=seen
        )
    if is_refused(reply, route):
        what = (
            f"{route.name} still refuses after {waited_s:.1f} s a client that was to wait {route.wait_s:g} s"
        )
        return failed(
            what, observed=f"{reply.answer.status} after {waited_s:.1f} s", expected=expected, evidence=seen
        )
    what = f"{route.name} let its client in again after {waited_s:.1f} s"
    return passed(what, observed=what, expected=expected, evidence=seen)


async def _quick_route(context: Context, limits: Mapping[str, Declared]) -> Tried | None:
    routes = context.state(Routes)
    for is_new in (False, True):
        for name in QUICK:
            limit = limits.get(name)
            if limit is None or (name in routes.tried) is is_new:
                continue
            is_dear = limit.calls > MAX_CALLS or limit.calls + limit.margin > routes.left(context)
            if is_new and (is_dear or limit.token_s > MAX_WAIT_S):
                continue
            route = await tried(context, name, limit)
            left_s = route.refused_at + route.wait_s - time.monotonic()
            if route.refusal is not None and left_s <= MAX_WAIT_S:
                return route
    return None


@audit(
    "RATE-03",
    "A rate limit is not dodged by a header",
    subject=Subject.RATE,
    severity=Severity.MAJOR,
    safety=Safety.ACTIVE,
    sends="four calls of a client over its limit, each with another header that could pass it off as somebody else",
    why="Where a header says who the client is, an attacker writes a new one into each request and has no limit.",
    fix="Count by the address of the connection; take X-Forwarded-For only from your own proxy "
    "(uvicorn --forwarded-allow-ips=PROXY), and never by an Authorization header that was not verified.",
    reference="OWASP API4:2023, ASVS 4.1.3",
)
async def limits_are_not_dodged(context: Context) -> Outcome:
    """A client over its limit stays refused with another Authorization, X-Forwarded-For, X-Real-IP or Forwarded."""
    if missing := leave_is_missing(context) or await no_token(context):
        return missing
    route = await slow_route(context)
    if route is None:
        return _no_refusal(context)
    expected = f"{route.name} stays refused, whatever the header says"
    lines: list[str] = []
    dodges: list[str] = []
    async with context.visitor(route.place) as visitor:
        for name, headers in DODGES.items():
            reply = await ask(visitor, route.name, harmless(context, route.name), headers)
            lines.append(f"{name:28} → {reply.answer.status}")
            if reply.answer.status is None:
                return inconclusive(
                    reply.reason, f"It was not answered: {reply.problem}", evidence=reply.seen
                )
            # Turned away by the sign-in is not let in.
            is_stranger = route.name not in OPEN and reply.answer.status in (401, 403)
            if not is_refused(reply, route) and not is_stranger:
                dodges.append(name)
        if dodges:
            control = await ask(visitor, route.name, harmless(context, route.name))
            lines.append(f"{'none of them':28} → {control.answer.status}")
            if not is_refused(control, route):
                why = f"{route.name} let its client in without any header too: nothing was dodged"
                return inconclusive(Reason.CONTROL, why, expected=expected)
    seen = [note(context, f"{route.name} of a client over its limit, with other headers", lines)]
    if dodges:
        what = f"A client over the limit of {route.name} is let in again with {listed(dodges)}"
        return failed(what, observed=listed(dodges), expected=expected, evidence=seen)
    what = f"{route.name} stayed refused with each of {len(DODGES)} headers"
    return passed(what, observed=what, expected=expected, evidence=seen)


REFILLED_S = 0.5
"""A limit that lets one more call in after less than this may have done so between two calls."""


@audit(
    "RATE-04",
    "A rate limit is for the route, not for each path",
    subject=Subject.RATE,
    severity=Severity.MAJOR,
    safety=Safety.ACTIVE,
    sends="one call with another bot id in the path, right after a client was refused",
    why="Where each path has a limit of its own, a client that changes the bot id in it has none.",
    fix="Key the limiter by client and route template (request.scope['route'].path), not by request.url.path.",
    reference="OWASP API4:2023",
)
async def limits_are_per_route(context: Context) -> Outcome:
    """A client that is refused for one bot id in the path is refused for another too."""
    if missing := leave_is_missing(context) or await no_token(context):
        return missing
    operations = context.target.contract.operations
    limits = declared_limits(context)
    carrying = [name for name in limits if "{bot_id}" in operations[name].path.partition("?")[0]]
    if not carrying:
        return not_applicable("No operation with a declared limit has a bot id in its path")
    routes = context.state(Routes)
    carrying.sort(key=lambda name: (name not in routes.tried, limits[name].calls))
    looked: list[Tried] = []
    for name in carrying:
        is_affordable = limits[name].calls <= MAX_CALLS and limits[name].calls + 2 < routes.left(context)
        if name in routes.tried or (is_affordable and not looked):
            looked.append(await tried(context, name, limits[name]))
    judged = [route for route in looked if route.other_path is not None]
    expected = "another bot id in the path is refused like the first"
    lines = [f"{one.name:9} another path was {'let in' if one.other_path else 'refused'}" for one in judged]
    seen = [note(context, f"Another path after a refusal: {len(judged)} routes", lines)]
    by_path = [route.name for route in judged if route.other_path]
    if len(by_path) < len(judged):
        # What another route refuses was let in here by a limit that had filled up again meanwhile.
        by_path = [name for name in by_path if limits[name].per_s / limits[name].calls > REFILLED_S]
    if by_path:
        what = f"The limit of {listed(by_path)} is counted for each path: another bot id is let in at once"
        return failed(what, observed=what, expected=expected, evidence=seen)
    if not judged:
        return inconclusive(Reason.CONTROL, NONE_REFUSES, expected=expected)
    names = " and ".join(route.name for route in judged)
    return passed(f"Another bot id in the path of {names} was refused too", expected=expected, evidence=seen)


@audit(
    "RATE-05",
    "Health is exempt from rate limits",
    subject=Subject.RATE,
    severity=Severity.MAJOR,
    safety=Safety.ACTIVE,
    sends=f"{HEALTH_LOOKS} health requests of a client that is over its limit elsewhere",
    why="A balancer or monitor that is refused takes a healthy controller out of service.",
    fix="Leave /health out of the limiter, by its path, before the client is counted.",
    reference="SRE book, chapter 20 (load balancing in the datacenter)",
)
async def health_is_exempt(context: Context) -> Outcome:
    """While a client is over a limit, its health requests are answered as ever."""
    if missing := leave_is_missing(context) or await no_token(context):
        return missing
    route = await slow_route(context)
    if route is None:
        return _no_refusal(context)
    expected = f"{HEALTH_LOOKS} answers of health that are no refusal"
    async with context.visitor(route.place) as visitor:
        if not await over_its_limit(context, visitor, route):
            return inconclusive(Reason.CONTROL, f"{route.name} does not refuse any more", expected=expected)
        replies = [await ask(visitor, "health", {}) for _ in range(HEALTH_LOOKS)]
    refused = [reply for reply in replies if is_refused(reply)]
    seen = (refused or replies)[-1].seen
    if refused:
        what = f"{len(refused)} of {HEALTH_LOOKS} health requests of a client over its limit were refused"
        return failed(f"{what} ({refused[0].answer.status})", observed=what, expected=expected, evidence=seen)
    if unanswered := [reply for reply in replies if reply.answer.status is None]:
        why = f"Health was not answered: {unanswered[0].problem}"
        return inconclusive(unanswered[0].reason, why, expected=expected, evidence=seen)
    what = f"Health answered {HEALTH_LOOKS} times to a client that {route.name} refuses"
    return passed(what, observed=what, expected=expected, evidence=seen)


@audit(
    "RATE-06",
    "One client's flood does not have others refused",
    subject=Subject.RATE,
    severity=Severity.MAJOR,
    safety=Safety.ACTIVE,
    sends="one call of another client while the first is refused",
    why="Where all share one limit, a single client locks everybody out.",
    fix="Count for each client. Behind a proxy that is the address in X-Forwarded-For, as your proxy sets it: "
    "uvicorn --proxy-headers --forwarded-allow-ips=PROXY",
    reference="OWASP API4:2023, ASVS 2.4.1",
)
async def limits_are_fair(context: Context) -> Outcome:
    """While one client is refused, a client from another address is not."""
    if missing := leave_is_missing(context) or await no_token(context):
        return missing
    route = await slow_route(context)
    if route is None:
        return _no_refusal(context)
    expected = f"{route.name} refuses one client and not the other"
    async with context.visitor(route.place) as visitor, context.visitor(OTHER_CLIENT) as other:
        if not other.address:
            why = "Only on the target's own host can gonogo come from a second address: run it there"
            return inconclusive(Reason.NO_SOURCE, why, expected=expected)
        if not await over_its_limit(context, visitor, route):
            return inconclusive(Reason.CONTROL, f"{route.name} does not refuse any more", expected=expected)
        reply = await ask(other, route.name, harmless(context, route.name))
    if reply.answer.status is None:
        why = f"The other client was not answered: {reply.problem}"
        return inconclusive(reply.reason, why, expected=expected, evidence=reply.seen)
    if is_refused(reply, route):
        what = f"{route.name} refuses a client that has never called, because another one is over its limit"
        return failed(what, observed=f"{reply.answer.status}", expected=expected, evidence=reply.seen)
    what = f"{route.name} answered another client while it refused the first"
    return passed(what, observed=f"{reply.answer.status}", expected=expected, evidence=reply.seen)


def _no_refusal(context: Context) -> Outcome:
    if not declared_limits(context):
        return inconclusive(Reason.NO_SOURCE, NOTHING_DECLARED)
    return inconclusive(Reason.CONTROL, NONE_REFUSES)
