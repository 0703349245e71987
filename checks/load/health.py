"""The guard of a load run: ends it when the target, its host or its real users suffer.

A canary of its own asks for the health and, with real users on the target, for a history once a second: what it waits
for is what everybody waits for. Metrics of the target could not tell our traffic from theirs.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from checks.context import Context, Visitor
from checks.controller import Reply
from checks.load.model import Sample
from checks.text import NOTHING, Clean, clean, duration, one_line

MOST_FAILURES = 3
FAILING_S = 4.9
"""Somewhat less than one answer is waited for."""
HEALTH_WITHIN_S = 5.0
MOST_MEMORY_PERCENT = 90.0
PLACE = 89
"""The number of the canary among the run's visitors."""
BEFORE, PAUSE_BEFORE_S = 10, 0.2
"""Looks before the run, and the pause after each: a limiter must not be what is measured."""
WINDOW = 15
LEAST_LATE = 2
"""One late answer of fifteen is an accident; two are more than 5 % of them."""
WORSE = 1.5
LEAST_SLOW_S = 0.25
"""Below that nobody suffers, however much worse it is than before."""


@dataclass(frozen=True, slots=True)
class Look:
    """One look of the canary."""

    at_s: float
    """When it was answered, or given up, by a monotonic clock."""
    took_s: float
    """For all that was asked."""
    problem: Clean = NOTHING
    """Why the target is not healthy; empty where it is."""
    is_error: bool = False
    """Whether anything of it failed, a refusal of the rate limiter left out."""


def why_stop(looks: Sequence[Look], before: Sequence[Look], sample: Sample, *, has_real_users: bool) -> Clean:
    """Why the run has to end, as a sentence without a full stop; empty where it has not.

    `looks` are those since it began, the newest last; `before` those before it.
    """
    failing = []
    for look in reversed(looks):
        if not look.problem:
            break
        failing.append(look)
    if failing:
        lasted_s = failing[0].at_s - failing[-1].at_s + failing[-1].took_s
        if len(failing) >= MOST_FAILURES or lasted_s >= FAILING_S:
            times = "once" if len(failing) == 1 else f"{len(failing)} times in a row"
            told = f"the target's health failed {times}, for {duration(lasted_s)}: {failing[0].problem}"
            return one_line(told, 300)
    memory = sample.host_memory_percent
    if memory is not None and memory > MOST_MEMORY_PERCENT:
        return clean(
            f"the memory of the host is in use to {memory:.0f} %, more than {MOST_MEMORY_PERCENT:.0f} %"
        )
    return _impact(looks[-WINDOW:], before) if has_real_users else NOTHING


def _impact(looks: Sequence[Look], before: Sequence[Look]) -> Clean:
    """How real users suffer: more errors, or later answers, than before by half; empty where they do not."""
    errors, errors_before = _share(looks), _share(before)
    if sum(look.is_error for look in looks) >= LEAST_LATE and errors > WORSE * errors_before:
        return clean(
            f"real users are on the target, and {100 * errors:.0f} % of the guard's own requests failed, "
            f"{100 * errors_before:.0f} % before the run"
        )
    if not before:
        return NOTHING
    usual_s = quantile([look.took_s for look in before])
    limit_s = max(LEAST_SLOW_S, WORSE * usual_s)
    if sum(look.took_s > limit_s for look in looks) < LEAST_LATE:
        return NOTHING
    now_s = quantile([look.took_s for look in looks])
    return clean(
        f"real users are on the target, and 95 % of the guard's own requests took up to {duration(now_s)}, "
        f"{duration(usual_s)} before the run"
    )


def quantile(values: Sequence[float], share: float = 0.95) -> float:
    """The value of the nearest rank; 0 where there is none."""
    ordered = sorted(values)
    return ordered[max(0, -int(-share * len(ordered) // 1) - 1)] if ordered else 0.0


def _share(looks: Sequence[Look]) -> float:
    return sum(look.is_error for look in looks) / len(looks) if looks else 0.0


@dataclass(slots=True)
class Watch:
    """Looks when it is asked to; `opened` gives it a connection and an address of its own."""

    visitor: Visitor
    bot_id: str = ""
    """The bot whose history is asked for; empty: none is."""
    has_real_users: bool = False
    before: list[Look] = field(default_factory=list)
    looks: list[Look] = field(default_factory=list)
    """The newest `WINDOW`."""

    @classmethod
    @asynccontextmanager
    async def opened(cls, context: Context) -> AsyncIterator[Watch]:
        """Before the run begins; with real users on the target, two seconds go into how fast it is at rest."""
        has_real_users = context.target.profile.load.real_users
        running = (bot.bot_id for bot in context.launches.bots.values() if not bot.is_stopped)
        bot_id = next(running, "") if has_real_users else ""
        async with context.visitor(PLACE) as visitor:
            watch = cls(visitor, bot_id, has_real_users)
            for _ in range(BEFORE if has_real_users else 0):
                watch.before.append(await watch._look())
                await asyncio.sleep(PAUSE_BEFORE_S)
            yield watch

    async def look(self, sample: Sample) -> Clean:
        """Look once; why the run has to end, as a sentence without a full stop, empty where it has not."""
        self.looks = [*self.looks, await self._look()][-WINDOW:]
        return why_stop(self.looks, self.before, sample, has_real_users=self.has_real_users)

    async def _look(self) -> Look:
        replies = [await self._ask("health")]
        if self.bot_id and replies[0].ok:
            replies.append(await self._ask("history", bot_id=self.bot_id, limit="10"))
        now = asyncio.get_running_loop().time()
        is_limited = [reply.answer.status == 429 for reply in replies]
        return Look(
            now,
            sum(reply.answer.elapsed_s for reply in replies),
            NOTHING if is_limited[0] else replies[0].problem,
            any(not reply.ok and not limited for reply, limited in zip(replies, is_limited, strict=True)),
        )

    async def _ask(self, name: str, bot_id: str = "", limit: str = "") -> Reply:
        return await self.visitor.controller.ask(
            name, within_s=HEALTH_WITHIN_S, is_patient=False, is_typical=False, bot_id=bot_id, limit=limit
        )
