"""One generator at work: legs are sent, seconds come back and go to the journal, and a guard ends it where it must."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from checks.load.generator_process import GeneratorProcess
from checks.load.histogram import Histogram
from checks.load.model import Failure, Sample, Second
from checks.load.wire import Done, Failed, Finish, Halt, Leg, LegDone, Ready, Setup, Tick
from checks.model import ReviewError

TAKE_SAMPLE_WITHIN_S = 2.0
HALT_WITHIN_S = 3.0
"""After a wish to halt: until the generator is killed."""
READY_WITHIN_S = 60.0
LEG_LATE_S = 30.0
"""So much longer than a leg and its replies may take, and the generator counts as lost."""

TakeSample = Callable[[], Awaitable[Sample]]
OnSecond = Callable[[Second], None]


class GeneratorLost(Exception):  # noqa: N818 - it says what happened, as the standard library's own do not
    """The generator ended, or said nothing any more; the text is one sentence without a full stop."""


@dataclass(slots=True)
class Session:
    """Runs legs through one generator. Use `begin`, `leg` for each, `end`; `kill` at any moment."""

    setup: Setup
    take_sample: TakeSample
    on_second: OnSecond
    seconds: list[Second] = field(default_factory=list)
    legs: list[LegDone] = field(default_factory=list)
    ready: Ready | None = None
    done: Done | None = None
    stopped: str = ""
    """Why it was halted; empty where it was not."""
    _process: GeneratorProcess = field(default_factory=GeneratorProcess)
    _reader: asyncio.Task[None] | None = None
    _news: asyncio.Condition = field(default_factory=asyncio.Condition)
    _lost: str = ""
    _unrecorded: ReviewError | None = None

    async def begin(self) -> Ready:
        """Start the generator and connect its users. Raises GeneratorLost."""
        await self._process.start(self.setup)
        self._reader = asyncio.create_task(self._read())
        connecting_s = len(self.setup.users) / max(1.0, self.setup.connects_per_s)
        await self._until(lambda: self.ready is not None, READY_WITHIN_S + connecting_s)
        assert self.ready is not None
        return self.ready

    async def run(self, *legs: Leg) -> tuple[LegDone, ...]:
        """Run these legs without a gap; what each of them came to. Raises GeneratorLost.

        Fewer come back where it is halted meanwhile.
        """
        first = len(self.legs)
        for leg in legs:
            await self._process.send(leg)
        within_s = sum(leg.seconds for leg in legs) + self.setup.reply_within_s + LEG_LATE_S
        await self._until(lambda: len(self.legs) >= first + len(legs) or self.done is not None, within_s)
        return tuple(self.legs[first:])

    async def end(self) -> Done | None:
        """Wait for the last reports; None where the generator was killed before it gave them. Raises GeneratorLost."""
        if self.done is None and not self._lost:
            await self._process.send(Finish())
            await self._until(lambda: self.done is not None, self.setup.drain_s + LEG_LATE_S)
        await self._close()
        return self.done

    async def halt(self, why: str, *, drain_s: float = 1.0) -> None:
        """Send nothing more, and let `run` and `end` come back soon. A second wish changes nothing."""
        if self.stopped or self.done is not None:
            return
        self.stopped = why
        await self._process.send(Halt(drain_s=drain_s))

    async def last_words(self, within_s: float) -> None:
        """After `halt`: wait so long for what the generator has to report of what it had sent."""
        with contextlib.suppress(GeneratorLost):
            await self._until(lambda: self.done is not None, within_s)

    async def kill(self) -> None:
        """End all traffic now."""
        self._process.kill()
        await self._close()

    async def _close(self) -> None:
        self._process.kill()
        if self._reader is not None:
            reader, self._reader = self._reader, None
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)
        await self._process.close()

    async def _until(self, is_so: Callable[[], bool], within_s: float) -> None:
        deadline = asyncio.get_running_loop().time() + within_s
        async with self._news:
            while not is_so():
                if self._unrecorded:
                    raise self._unrecorded
                if self._lost:
                    raise GeneratorLost(self._lost)
                left_s = deadline - asyncio.get_running_loop().time()
                if self.stopped:
                    left_s = min(left_s, HALT_WITHIN_S)
                try:
                    await asyncio.wait_for(self._news.wait(), max(0.01, left_s))
                except TimeoutError:
                    what = "did not stop in time" if self.stopped else f"said nothing for {within_s:.0f} s"
                    raise GeneratorLost(f"The load generator {what}") from None

    async def _read(self) -> None:
        try:
            async for report in self._process.reports():
                await self._take(report)
            self._lost = self._lost or "The load generator ended by itself"
        except ReviewError as problem:
            self._unrecorded = problem
        except Exception as problem:  # noqa: BLE001 - whatever broke, whoever waits must hear of it
            self._lost = f"The load generator's reports could not be read: {type(problem).__name__}"
        finally:
            async with self._news:
                self._news.notify_all()

    async def _take(self, report: object) -> None:
        if isinstance(report, Tick):
            try:
                sample = await asyncio.wait_for(self.take_sample(), TAKE_SAMPLE_WITHIN_S)
            except TimeoutError:
                sample = Sample()
            second = second_of(report, sample)
            self.seconds.append(second)
            self.on_second(second)
        elif isinstance(report, LegDone):
            self.legs.append(report)
        elif isinstance(report, Ready):
            self.ready = report
        elif isinstance(report, Done):
            self.done = report
        elif isinstance(report, Failed):
            self._lost = report.sentence
        async with self._news:
            self._news.notify_all()


def second_of(tick: Tick, sample: Sample) -> Second:
    """One second as the screen draws and the journal keeps it."""
    latency, service, lag = Histogram(tick.latency), Histogram(tick.service), Histogram(tick.lag)
    p50, p95, p99 = (value / 1e6 if latency.count else None for value in latency.quantiles(0.5, 0.95, 0.99))
    throttled = tick.failures.get(Failure.THROTTLED, 0)
    return Second(
        at_s=tick.second,
        part=tick.part,
        label=tick.label,
        users=tick.users,
        due=tick.due,
        sent=tick.sent,
        answered=tick.answered,
        ok=tick.ok,
        throttled=throttled,
        failed=sum(tick.failures.values()) - throttled,
        in_flight=tick.in_flight,
        p50_s=p50,
        p95_s=p95,
        p99_s=p99,
        max_s=latency.highest / 1e6 if latency.count else None,
        service_p95_s=service.quantiles(0.95)[0] / 1e6 if service.count else None,
        lag_p99_s=lag.quantiles(0.99)[0] / 1e6 if lag.count else None,
        generator_cpu_percent=round(100 * tick.cpu_s / tick.wall_s, 1) if tick.wall_s else 0.0,
        sample=sample,
    )
