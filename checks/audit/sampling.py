"""Times answers at rest: as many as the judgement needs, never so fast that a rate limit is what is measured."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from checks.audit.common import a_bot, leave_is_missing, signed_in
from checks.audit.route_limits import MAX_CALLS, Declared, declared, tried
from checks.context import Context
from checks.controller import Reply
from checks.launches import Bot
from checks.model import Evidence, Outcome, Reason, inconclusive
from checks.probe.websocket import Conversation, Frame
from checks.quantiles import Estimate, estimate, samples_needed
from checks.text import Clean, clean
from checks.walkthrough.chat import refusal
from checks.walkthrough.walk import command

SURE = 0.8
"""Confidence of the bounds: a whole audit has at most 300 requests. What is tight is measured under load."""
NEEDED = samples_needed(confidence=SURE)
CLEARLY_SLOW = 6
"""So many samples that are all above the limit end the sampling: at a 95th percentile within it, 1 of 60 million."""
WITHIN_S = 8.0
"""Longest time that one operation is sampled."""
GIVEN_UP_AFTER = 3
"""Answers that are no success."""
FIRST_PLACE, PLACES = 60, 19
SOCKET_PLACE = 79
POLITE = Declared(20, 1)
"""The pace on another host where no limit is declared."""
LEAST_PATIENCE_S = 2.0
TICK_S = 0.01


@dataclass(slots=True)
class Lag:
    """How late this program's own event loop was at worst, in seconds."""

    worst_s: float = 0.0


@asynccontextmanager
async def own_lag() -> AsyncIterator[Lag]:
    """Watches the event loop: where it is late, an answer that was in time looks late."""
    lag = Lag()

    async def watch() -> None:
        while True:
            began = time.monotonic()
            await asyncio.sleep(TICK_S)
            lag.worst_s = max(lag.worst_s, time.monotonic() - began - TICK_S)

    task = asyncio.create_task(watch())
    try:
        yield lag
    finally:
        task.cancel()


@dataclass(slots=True)
class Sampling:
    """The samples of one operation, and what came instead of some."""

    seconds: list[float] = field(default_factory=list)
    problem: Clean = Clean("")  # noqa: RUF009
    """The last answer that was no success; empty where all were."""
    reason: Reason = Reason.MET
    lag_s: float = 0.0
    stand_ins: int = 0
    """How many of the samples were timed under load: no faster than at rest."""
    evidence: tuple[Evidence, ...] = ()

    def estimate(self) -> Estimate | None:
        """The 95th percentile; None where there is no sample."""
        return estimate(self.seconds, confidence=SURE) if self.seconds else None


class _Turns:
    """Whose turn it is among clients that each stay below half of a limit, in bursts and on average."""

    def __init__(self, limit: Declared | None, clients: int) -> None:
        self._share = max(1.0, limit.calls // 2) if limit else 0.0
        self._rate = limit.calls / limit.per_s / 2 if limit else 0.0
        self._tokens = [self._share] * clients
        self._at = time.monotonic()

    def next(self) -> tuple[int, float]:
        """Which client asks next, and after how many seconds."""
        if not self._share:
            return 0, 0.0
        now = time.monotonic()
        gained, self._at = (now - self._at) * self._rate, now
        self._tokens = [min(self._share, tokens + gained) for tokens in self._tokens]
        place = next((place for place, tokens in enumerate(self._tokens) if tokens >= 1), None)
        if place is None:
            place = max(range(len(self._tokens)), key=self._tokens.__getitem__)
        wait_s = max(0.0, (1 - self._tokens[place]) / self._rate)
        self._tokens[place] -= 1
        return place, wait_s


async def try_limit(context: Context, name: str, values: Mapping[str, str]) -> None:
    """Try the declared limit of `name` now, where it may and can be: the answers until its refusal are timed too."""
    limit = declared(context, name)
    async with context.visitor(FIRST_PLACE) as visitor:
        is_here = bool(visitor.address)
    if limit and is_here and limit.calls <= MAX_CALLS and leave_is_missing(context) is None:
        await tried(context, name, limit, values)


async def sampled(
    context: Context,
    name: str,
    limit_s: float,
    values: Mapping[str, str] | None = None,
    *,
    slower: Sequence[float] = (),
) -> Sampling:
    """Ask operation `name` until the run has timed enough of its successful answers, those before included.

    Fewer where its limit does not allow it within `WITHIN_S`, where it does not succeed, or where all are too slow.
    Samples that are `slower` than at rest stand in for some as long as all of them are within the limit.
    """
    stand_ins = list(slower) if slower and max(slower) <= limit_s else []
    patience_s = min(context.target.profile.walkthrough.timeout_s, max(LEAST_PATIENCE_S, 3 * limit_s))
    options: dict[str, Any] = dict(values or {})
    known = context.http.meter.latencies_s.setdefault(name, [])
    result, failures, began = Sampling(), 0, time.monotonic()
    async with own_lag() as lag, AsyncExitStack() as stack:
        visitors = {0: await stack.enter_async_context(context.visitor(FIRST_PLACE))}
        is_here = bool(visitors[0].address)
        limit = declared(context, name) or (None if is_here else POLITE)
        turns = _Turns(limit, PLACES if is_here else 1)
        while (
            len(known) + len(stand_ins) < NEEDED
            and failures < GIVEN_UP_AFTER
            and not _is_clear(known, limit_s)
        ):
            place, wait_s = turns.next()
            if time.monotonic() - began + wait_s > WITHIN_S:
                break
            await asyncio.sleep(wait_s)
            if place not in visitors:
                visitors[place] = await stack.enter_async_context(context.visitor(FIRST_PLACE + place))
            reply = await visitors[place].controller.ask(
                name, within_s=patience_s, is_patient=False, **options
            )
            if not reply.ok:
                failures += 1 if reply.answer.status else GIVEN_UP_AFTER
                result.problem, result.reason, result.evidence = reply.problem, reply.reason, reply.seen
            elif stand_ins and reply.answer.elapsed_s > limit_s:
                stand_ins = []  # all that counts from here on was timed at rest
    result.seconds, result.lag_s, result.stand_ins = [*known, *stand_ins], lag.worst_s, len(stand_ins)
    return result


def _is_clear(seconds: Sequence[float], limit_s: float) -> bool:
    return len(seconds) >= CLEARLY_SLOW and min(seconds) > limit_s


@dataclass(slots=True)
class Talk:
    """What was said to the audit's bot in one run."""

    sampling: Sampling | None = None
    bot: Bot | None = None
    short: Reply | None = None
    """The history with a small limit."""

    @property
    def messages(self) -> int:
        """How many messages the bot's history holds for sure: each answered command and its reply."""
        return 2 * len(self.sampling.seconds) if self.sampling else 0


async def talked(context: Context, limit_s: float) -> Talk | Outcome:
    """The audit's bot, once enough commands for a judgement were said to it; else the outcome that says why not."""
    talk = context.state(Talk)
    if talk.sampling is None:
        bot = await a_bot(context)
        if isinstance(bot, Outcome):
            return bot
        talk.bot = bot
        has_socket = {"ws", "ws_send"} <= context.target.contract.operations.keys()
        if has_socket and not (await signed_in(context)):
            talk.sampling = await _over_socket(context, bot.bot_id, limit_s)
        else:
            text = command(context, "timed")
            talk.sampling = await sampled(context, "send", limit_s, {"bot_id": bot.bot_id, "text": text})
    if talk.bot is None or not talk.sampling.seconds:
        why = talk.sampling.problem or "nothing was answered"
        return inconclusive(
            Reason.BLOCKED, f"The bot answers no command: {why}", evidence=talk.sampling.evidence
        )
    return talk


async def _over_socket(context: Context, bot_id: str, limit_s: float) -> Sampling:
    """Commands over one WebSocket, or over several clients' where the declared limit of one is too small."""
    limit = declared(context, "ws_send")
    each = NEEDED if limit is None else max(1, limit.calls * 3 // 4)
    result, began = Sampling(), time.monotonic()
    async with own_lag() as lag:
        for place in range(SOCKET_PLACE, FIRST_PLACE - 1, -1):
            async with context.visitor(place) as visitor:
                first = len(result.seconds)
                texts = [
                    command(context, f"timed-{number}") for number in range(first, min(NEEDED, first + each))
                ]
                talk = await visitor.controller.converse(
                    [(bot_id, text) for text in texts],
                    within_s=context.target.profile.walkthrough.reply_within_s,
                    is_enough=_Enough(context, limit_s, began),
                )
            _take(context, talk, result)
            is_over = len(result.seconds) >= NEEDED or time.monotonic() - began > WITHIN_S
            if result.problem or is_over or _is_clear(result.seconds, limit_s) or not visitor.address:
                break
    result.lag_s = lag.worst_s
    return result


def _take(context: Context, talk: Conversation, result: Sampling) -> None:
    """Keep the seconds of the answers of one socket, and why one was none."""
    known = context.http.meter.latencies_s.setdefault("ws_send", [])
    if not talk.opened:
        result.problem = talk.error.sentence if talk.error else clean("the socket did not open")
        result.reason = talk.error.reason if talk.error else Reason.PROTOCOL
        result.evidence = (talk.evidence,)
    for frame in talk.frames:
        if problem := _not_answered(context, frame):
            result.problem, result.reason = problem, Reason.REFUSED
            if frame.error:
                result.reason = frame.error.reason
        else:
            known.append(frame.elapsed_s)
            result.seconds.append(frame.elapsed_s)


def _not_answered(context: Context, frame: Frame) -> Clean:
    """Why a frame was not answered with a success; empty where it was."""
    if frame.error:
        return frame.error.sentence
    if told := refusal(context, frame):
        return told
    document, success = frame.json(), context.target.contract.success
    if isinstance(document, dict) and success and document.get(success, True) is not True:
        return context.controller.quote(frame.reply or "", 120)
    return Clean("")


class _Enough:
    """Ends a conversation that takes too long, does not succeed, or is clearly too slow."""

    def __init__(self, context: Context, limit_s: float, began: float) -> None:
        self._context = context
        self._limit_s = limit_s
        self._ends_at = began + WITHIN_S
        self._seconds: list[float] = []
        self._failures = 0

    def __call__(self, frame: Frame) -> bool:
        """Whether no more is to be sent."""
        if _not_answered(self._context, frame):
            self._failures += 1
        else:
            self._seconds.append(frame.elapsed_s)
        is_late = time.monotonic() >= self._ends_at
        return is_late or self._failures >= GIVEN_UP_AFTER or _is_clear(self._seconds, self._limit_s)
