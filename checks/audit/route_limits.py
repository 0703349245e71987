"""Tries the declared rate limits, each route once for all checks: harmless calls from a client of its own, until the
first refusal."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from checks.audit.common import signed_in
from checks.context import Context, Visitor
from checks.controller import Reply
from checks.launches import Bot
from checks.model import Evidence, Outcome, Reason
from checks.text import Clean, clean
from checks.walkthrough.walk import bot_id, command

ROUTES = ("login", "register", "launch", "send", "stop", "history", "bots", "status")
"""The operations over HTTP that may have a limit, the most costly ones first."""
OPEN = ("login", "register", "health")
"""What is asked without a token."""
FIRST_PLACE = 40
"""The clients that try limits are the visitors from this number on, in the order of `ROUTES`."""
MAX_CALLS = 40
"""A greater limit is not tried: users would notice."""
OWN_REQUESTS, RUN_REQUESTS = 70, 300
"""What this subject may always send, and what a run may send: where it has sent less, this subject may send more."""
KEPT_REQUESTS = 14
"""What the checks besides API-01 need."""
SLOW_CALLS, NEARLY = 3, 0.8
"""Seen after so many calls: a limit that refills nearly as fast as calls are answered is not reached."""
TRY_WITHIN_S, ALL_WITHIN_S = 6.0, 20.0
"""Longest time that one route is tried, and all of them."""
NOBODY, SOMEBODY_ELSE = 95, 96
"""Marked bots that are never launched."""
NOTHING_DECLARED = (
    'No rate limit is declared: write what holds into the profile, as [operations.login] limit = "5/300"'
)
LIMIT_WORDS = re.compile(r"too many|rate.?limit|slow down|try again (later|in)|throttl", re.IGNORECASE)
OUT_OF_SERVICE = {500, 503}
BEFORE_IT = {415, 422}
"""Statuses of a look at the request that may stand before the limiter: such calls never reach it."""


@dataclass(frozen=True, slots=True)
class Declared:
    """So many calls in so many seconds."""

    calls: int
    per_s: float

    @property
    def token_s(self) -> float:
        """Seconds until one more call is allowed."""
        return self.per_s / self.calls

    @property
    def margin(self) -> int:
        """How many calls above the limit are sent at most."""
        return max(1, self.calls // 10)

    def __str__(self) -> str:
        return f"{self.calls} in {self.per_s:g} s"


@dataclass(slots=True)
class Tried:
    """What came of trying one route's limit."""

    name: str
    declared: Declared
    place: int
    """The visitor that tried it."""
    is_fresh: bool = True
    """Whether the target had not heard of that client before."""
    admitted: int = 0
    seconds: float = 0.0
    """How long the calls took."""
    refusal: Reply | None = None
    refused_at: float = 0.0
    """Monotonic seconds of the last refusal."""
    other_path: bool | None = None
    """Whether another bot id in the path was let in right after; None where it was not tried."""
    why_not: Clean = Clean("")  # noqa: RUF009
    """Why it could not be judged; empty where it was."""
    reason: Reason = Reason.MET
    evidence: tuple[Evidence, ...] = ()

    @property
    def wait_s(self) -> float:
        """Seconds after which one more call should be let in: as told, else as declared."""
        told = retry_after_s(self.refusal) if self.refusal else None
        return self.declared.token_s if told is None else told

    def line(self) -> str:
        """One line for the evidence."""
        start = f"{self.name:9} {self.declared!s:14}"
        if self.why_not:
            return f"{start} not judged: {self.why_not}"
        let_in = f"{start} {self.admitted} let in within {self.seconds:.2f} s"
        if self.refusal is None:
            return f"{let_in}, none refused"
        told = self.refusal.answer.headers.get("retry-after", "")
        return f"{let_in}, then {self.refusal.answer.status}" + (
            f", Retry-After: {told[:40]}" if told else ""
        )


@dataclass(slots=True)
class Routes:
    """What the checks of rate limits share in one run."""

    tried: dict[str, Tried] = field(default_factory=dict)
    spent: int = 0
    """Requests of all tries."""
    seconds: float = 0.0
    """Time of all tries."""

    def left(self, context: Context) -> int:
        """How many requests may still be spent on tries."""
        return max(OWN_REQUESTS - self.spent, RUN_REQUESTS - context.http.meter.requests)


def declared_limits(context: Context) -> dict[str, Declared]:
    """Operation -> its declared limit, in the order of `ROUTES`."""
    found = {name: declared(context, name) for name in ROUTES}
    return {name: limit for name, limit in found.items() if limit}


def declared(context: Context, name: str) -> Declared | None:
    """The declared limit of one operation; None for none, or where the contract does not name the operation."""
    operation = context.target.contract.operations.get(name)
    if operation is None or not operation.limit:
        return None
    calls, _, seconds = operation.limit.partition("/")
    return Declared(int(calls), float(seconds))


async def no_token(context: Context) -> Outcome | None:
    """The outcome that says why there is no token, where the routes cannot be asked without one."""
    problem = await signed_in(context)
    return problem if context.target.contract.rest_auth == "bearer" else None


async def tried(
    context: Context, name: str, limit: Declared, values: Mapping[str, str] | None = None
) -> Tried:
    """The route's limit, tried now (with `values`, or with what does nothing) or before in this run."""
    routes = context.state(Routes)
    if name not in routes.tried:
        before = context.http.meter.requests
        routes.tried[name] = await _try(context, name, limit, values or harmless(context, name))
        routes.seconds += routes.tried[name].seconds
        routes.spent += context.http.meter.requests - before
    return routes.tried[name]


async def _try(context: Context, name: str, limit: Declared, values: Mapping[str, str]) -> Tried:
    found = Tried(name, limit, FIRST_PLACE + ROUTES.index(name))
    bot = context.launches.announce(values["bot_id"]) if name == "launch" else None
    async with context.visitor(found.place) as visitor:
        found.is_fresh = bool(visitor.address)
        replies = await _call(visitor, found, values)
        path = context.target.contract.operations[name].path.partition("?")[0]
        if found.refusal and "{bot_id}" in path:
            await _ask_other_path(context, visitor, found)
    if bot:
        _tick_off(context, bot, replies)
    return found


async def _call(visitor: Visitor, found: Tried, values: Mapping[str, str]) -> list[Reply]:
    """Ask until the first refusal; as many calls as are declared, what refills meanwhile, and the margin at most."""
    limit, replies = found.declared, []
    began = time.monotonic()
    while True:
        reply = await ask(visitor, found.name, values)
        replies.append(reply)
        now = time.monotonic()
        found.seconds = now - began
        if reply.answer.status is None:
            found.why_not, found.reason = reply.problem, reply.reason
            break
        if is_refused(reply) or _breaks_down(reply, replies[0]):
            found.refusal, found.refused_at = reply, now
            break
        found.admitted += 1
        refilled = int(found.seconds / limit.token_s)
        is_slower = found.admitted >= SLOW_CALLS and found.seconds >= found.admitted * limit.token_s * NEARLY
        is_late = found.seconds > TRY_WITHIN_S
        if is_slower or is_late or found.admitted >= 2 * limit.calls + limit.margin:
            found.why_not = clean(f"its answers take so long that {limit} are not reached")
            found.reason = Reason.TIMEOUT
            break
        if found.admitted >= limit.calls + refilled + limit.margin:
            break
    if found.refusal and found.refusal.answer.status in OUT_OF_SERVICE and found.admitted < limit.calls / 2:
        found.why_not = clean(f"call {len(replies)} failed: {found.refusal.problem}")
        found.reason, found.refusal = Reason.REFUSED, None
    found.evidence = (*replies[0].seen, *(replies[-1].seen if len(replies) > 1 else ()))
    if found.refusal is None and not found.why_not:
        _judge_depth(found, replies)
    return replies


def _breaks_down(reply: Reply, first: Reply) -> bool:
    """Whether the answer is a 500 or 503 where the first call's was not: what some limiters refuse with."""
    return reply.answer.status in OUT_OF_SERVICE and first.answer.status not in OUT_OF_SERVICE


def _judge_depth(found: Tried, replies: list[Reply]) -> None:
    """Calls that something before the limiter turned away, or that all failed, say nothing about the limiter."""
    statuses = {reply.answer.status for reply in replies}
    is_turned_away = statuses <= {401, 403} and found.name not in OPEN
    if is_turned_away or statuses <= BEFORE_IT or statuses <= OUT_OF_SERVICE:
        found.why_not = clean(
            f"the calls were turned away with {replies[-1].answer.status} instead of reaching the limit"
        )
        found.reason = Reason.REFUSED


async def over_its_limit(context: Context, visitor: Visitor, route: Tried) -> bool:
    """Whether `visitor`, who tried the route before, is refused now: at once, or after as many calls as are declared.

    Where the bucket has refilled meanwhile, it is emptied again.
    """
    values = harmless(context, route.name)
    for _ in range(route.declared.calls + route.declared.margin):
        reply = await ask(visitor, route.name, values)
        if reply.answer.status is None:
            return False
        if is_refused(reply, route):
            return True
    return False


async def slow_route(context: Context) -> Tried | None:
    """The route that refuses longest once its limit was reached: so little has to be sent. None where none refuses."""
    limits = declared_limits(context)
    by_wait = sorted(limits, key=lambda name: -limits[name].token_s)
    for name in by_wait:
        routes = context.state(Routes)
        is_affordable = limits[name].calls <= MAX_CALLS and limits[name].calls + KEPT_REQUESTS <= routes.left(
            context
        )
        if name not in routes.tried and not is_affordable:
            continue
        found = await tried(context, name, limits[name])
        if found.refusal is not None:
            return found
    return None


async def _ask_other_path(context: Context, visitor: Visitor, found: Tried) -> None:
    """One call with another bot id, right after the refusal; let in counts only if the first id is still refused."""
    reply = await ask(visitor, found.name, harmless(context, found.name, SOMEBODY_ELSE))
    if reply.answer.status is None:
        return
    if is_refused(reply, found):
        found.other_path = False
        return
    again = await ask(visitor, found.name, harmless(context, found.name))
    if again.answer.status is not None and is_refused(again, found):
        found.other_path = True
        found.refused_at = time.monotonic()


def _tick_off(context: Context, bot: Bot, replies: list[Reply]) -> None:
    if any(reply.ok for reply in replies):  # it was launched after all: the clean-up stops it
        context.launches.launched(bot)
    elif all(reply.answer.status is not None for reply in replies):
        context.launches.stopped(bot, "the controller refused to launch it")


async def ask(
    visitor: Visitor, name: str, values: Mapping[str, Any], headers: Mapping[str, str] | None = None
) -> Reply:
    """One call that does not wait for a limit; sign-in and sign-up without a token."""
    has_token = name not in OPEN and "authorization" not in (headers or {})
    return await visitor.controller.ask(
        name, with_token=has_token, is_patient=False, headers=headers, **values
    )


def harmless(context: Context, name: str, place: int = NOBODY) -> dict[str, str]:
    """What to ask the route with, so that it does nothing: nobody signs in, nothing is launched or said."""
    marked = f"gonogo {context.nonce}"
    if name == "login":
        return {"username": marked, "password": marked}
    if name == "register":
        return {"username": "", "password": ""}
    if name == "launch":
        kind = context.target.profile.walkthrough.bot_type
        return {"bot_id": context.target.contract.bad_bot_id, "bot_type": kind}
    if name == "send":
        return {"bot_id": bot_id(context, place), "text": command(context, "limit")}
    if name in ("stop", "history"):
        return {"bot_id": bot_id(context, place), "limit": "1"}
    return {}


def is_refused(reply: Reply, route: Tried | None = None) -> bool:
    """Whether a rate limit refused the call: as it should (429), in words, or as it refused on `route` before."""
    status = reply.answer.status
    before = route.refusal.answer.status if route and route.refusal else 429
    is_told = not reply.ok and bool(LIMIT_WORDS.search(reply.told))
    return status == 429 or is_told or (status in OUT_OF_SERVICE and status == before)


def retry_after_s(reply: Reply) -> float | None:
    """Seconds of `Retry-After` (RFC 9110, section 10.2.3); None where there is none in seconds."""
    value = reply.answer.headers.get("retry-after", "").strip()
    return float(value) if value.isascii() and value.isdigit() and len(value) <= 9 else None
