"""Runs one scenario, from its preparation to its judgement; the journal has everything before anybody hears it."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from datetime import datetime

from checks.audit.common import leave_is_missing
from checks.context import Context
from checks.events import LoadFinished, LoadSecond, LoadStarted
from checks.load import plan
from checks.load.accounting import account
from checks.load.capacity import Search, judge_step
from checks.load.health import Watch
from checks.load.judging import Found, load_run_of, summed
from checks.load.model import Accounting, Capacity, LoadRun, Part, Sample, Scenario, Second
from checks.load.outcomes import outcome_of
from checks.load.prepared import Prepared, prepared
from checks.load.records import document, load_run
from checks.load.sampler import Sampler
from checks.load.session import GeneratorLost, Session
from checks.load.wire import Leg, User
from checks.model import Kind, Outcome, Reason, inconclusive
from checks.text import clean

WATCH_EVERY_S = 1.0
DRAIN_S, LAST_WORDS_S = 0.3, 0.8
"""A stop ends the sending at once; so long replies are waited for, and the generator's figures."""


async def run_scenario(context: Context, name: str) -> Outcome:
    """Run the scenario `name` and judge it; INCONCLUSIVE where it could not be run."""
    scenario = context.target.scenarios[name]
    if missing := leave_is_missing(context):
        return missing
    if beyond := plan.refused(scenario, context.target.profile.load):
        return inconclusive(Reason.NO_RIGHT, f"No load was sent: {beyond}")
    ready = await prepared(context, scenario)
    if isinstance(ready, Outcome):
        return ready
    return await LoadTest(context, scenario, ready).go()


class LoadTest:
    """One scenario under way."""

    def __init__(self, context: Context, scenario: Scenario, ready: Prepared) -> None:
        self._context = context
        self._scenario = scenario
        self._ready = ready
        self._id = f"{context.run}/{scenario.name}"
        self._nonce = f"{context.nonce}{int(time.monotonic() * 1000) % 0xFFFF:04x}"
        self._marker = f"gonogo load {self._nonce}"
        self._users: tuple[User, ...] = plan.users_of(
            scenario, context.target, bots=ready.bots, accounts=ready.accounts, nonce=context.nonce
        )
        self._parts: list[Part] = []
        self._sampler = Sampler(context)
        self._newest = Sample()
        self._started_at: datetime = context.now()
        self._began = time.monotonic()
        self._capacity: Capacity | None = None

    async def go(self) -> Outcome:
        """Send, account and judge. A stop of the run ends the traffic first and is passed on."""
        setup = plan.setup(
            self._scenario, self._context.target, users=self._users, marker=self._marker, seed=self._seed
        )
        session = Session(setup, self._take_sample, self._keep)
        try:
            async with AsyncExitStack() as stack:
                watch = await stack.enter_async_context(Watch.opened(self._context))
                ready = await session.begin()
                if not ready.connected:
                    await session.kill()
                    return inconclusive(Reason.UNREACHABLE, "No user could connect")
                watching = asyncio.create_task(self._guard(session, watch))
                stack.callback(watching.cancel)
                self._begin()
                await self._send(session)
                await session.end()
        except GeneratorLost as problem:
            await session.kill()
            if not session.seconds:
                return inconclusive(Reason.CHECK_ERROR, str(problem))
            session.stopped = session.stopped or str(problem)
        except asyncio.CancelledError:
            try:
                await session.halt("the run was stopped", drain_s=DRAIN_S)
                await session.last_words(LAST_WORDS_S)
            finally:
                await session.kill()
            if session.seconds:
                self._record(session, Accounting(problem=clean("it was stopped before they were counted")))
            raise
        except BaseException:
            await session.kill()
            raise
        counted = await self._account(session)
        return await asyncio.to_thread(
            outcome_of, self._context, self._record(session, counted), self._seconds(session)
        )

    @property
    def _seed(self) -> int:
        return int(self._nonce[:8], 16)

    def _begin(self) -> None:
        self._started_at, self._began = self._context.now(), time.monotonic()
        self._context.announce(LoadStarted(self._id, self._scenario, plan.seconds_of(self._scenario)))

    async def _send(self, session: Session) -> None:
        if self._scenario.is_capacity:
            self._capacity = await self._search(session)
            return
        legs = plan.legs(self._scenario)
        self._parts = [leg.part for leg in legs]
        await session.run(*legs)

    async def _search(self, session: Session) -> Capacity:
        """Steps until the search has its answer, or the run is stopped."""
        search = Search(self._scenario)
        while not session.stopped and (step := search.next()) is not None:
            label = f"{len(self._parts) + 1} {step.kind} {step.rate_per_s:.4g}/s"
            first = len(session.seconds)
            leg = Leg(
                part=Part.HOLD,
                seconds=step.seconds,
                arrival=self._scenario.arrival,
                rate_from=step.rate_per_s,
                rate_to=step.rate_per_s,
                label=label,
            )
            self._parts.append(Part.HOLD)
            done = await session.run(leg)
            if session.stopped or not done:
                break
            seconds = tuple(second for second in session.seconds[first:] if second.label == label)
            criteria, size = self._scenario.criteria, self._sampler.pool_size
            search.learn(judge_step(step, criteria, seconds, done[0], pool_size=size))
        return search.result(self._context.target.profile.load.peak_per_min / 60, stopped=session.stopped)

    async def _guard(self, session: Session, watch: Watch) -> None:
        while not session.stopped:
            try:
                why = await watch.look(self._newest)
            except Exception as problem:  # noqa: BLE001 - no load without a guard
                why = clean(f"the guard of the run failed with {type(problem).__name__}; please report it")
            if why:
                await session.halt(why)
                return
            await asyncio.sleep(WATCH_EVERY_S)

    async def _take_sample(self) -> Sample:
        self._newest = await self._sampler.sample()
        return self._newest

    def _keep(self, second: Second) -> None:
        """Journal first, then the screen."""
        self._context.record(Kind.LOAD_SECOND, self._id, document(second))
        self._context.announce(LoadSecond(self._id, second))

    def _seconds(self, session: Session) -> tuple[Second, ...]:
        return tuple(session.seconds)

    async def _account(self, session: Session) -> Accounting:
        if session.done is None:
            return Accounting(problem=clean("the generator did not say what it had sent"))
        return await account(
            self._context,
            users=self._users,
            marker=self._marker,
            done=session.done,
            failures={kind.value: count for kind, count in summed(session.legs).items()},
            was_stopped=bool(session.stopped),
        )

    def _record(self, session: Session, counted: Accounting) -> LoadRun:
        before = self._context.recall(Kind.LOAD_RUN, self._scenario.name)
        load = load_run_of(
            Found(
                id=self._id,
                run=self._context.run,
                scenario=self._scenario,
                nonce=self._nonce,
                started_at=self._started_at,
                duration_s=time.monotonic() - self._began,
                seconds=tuple(session.seconds),
                legs=tuple(session.legs),
                parts=tuple(self._parts),
                done=session.done,
                accounting=counted,
                capacity=self._capacity,
                pool_size=self._sampler.pool_size,
                unseen=tuple(self._sampler.problems),
                notes=self._ready.notes,
                seed=self._seed,
                addresses=tuple(user.local_address for user in self._users),
                stopped=session.stopped,
            ),
            load_run(before) if before else None,
        )
        self._context.record(Kind.LOAD_RUN, self._scenario.name, document(load))
        self._context.announce(LoadFinished(load))
        return load
