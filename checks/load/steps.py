"""One step of a capacity search: what is asked for, and whether the target carried it. Pure.

Near its capacity a queue grows slowly: at 1.02 times what a target can do, six seconds add 0.12 s. A step is therefore
not good because its latencies keep the limit; the target must not fall behind the rate either. It does where since its
queue was last empty it answered fewer messages a second than were asked for: what came in by chance does not count.
Where it answers unevenly, because it stands still from time to time and catches up, that has to be sure in spite of it,
or the backlog has to rise all through the step (Theil-Sen, lower bound above zero).
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from checks.load.histogram import Histogram
from checks.load.measured import MOST_CPU_PERCENT, MOST_LAG_S, own_lag_s
from checks.load.model import CapacityStep, Criteria, Failure, Second
from checks.load.statistics import deviate, quantile_interval, theil_sen, wilson
from checks.load.wire import LegDone

STEP, BISECTION, CONFIRMATION = "step", "bisection", "confirmation"
UNCLEAR = "unclear"
"""`broke` of a step that broke nothing and left a backlog: a longer one has to tell. It is not good."""
GROWTH = 0.01
"""Of the rate: what a target falls behind by each second that is worth a name."""
LEAST_BUSY_S = 3
"""Seconds with a queue that tell how many messages a second a target answers."""
EMPTY_S = 0.030
"""Work that may be left in a queue that counts as empty, beside what is always under way."""
BEHIND = 0.9
"""A target that answers less than that share of the rate no longer follows it."""
WHOLE = 0.7
"""Share of the rate that has to be due in the last second, else the step ended within it."""
FEW_WAIT = 0.1
"""Share of messages that may wait for a connection before their number is what was measured."""
FULL_PERCENT = 95.0
"""CPU of all the host's cores that is what broke a step."""


LATE_BY_ACCIDENT = 3


@dataclass(frozen=True, slots=True)
class Step:
    """What to send next: an even or random load for a while."""

    rate_per_s: float
    seconds: float
    kind: str = STEP
    is_final: bool = False
    """Whether it has to be decided by what it shows: no longer step will follow."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """Messages that were due and had not ended, after each second of a step."""

    left: tuple[int, ...]
    ended: tuple[int, ...]
    """How many ended in each second."""
    empty: float
    """Up to so many are what is always under way."""

    @property
    def is_left(self) -> bool:
        """Whether the step ended with more than that."""
        return bool(self.left) and self.left[-1] > self.empty

    def grows(self, rate_per_s: float) -> bool:
        """Whether the target fell behind the rate, and not by chance."""
        if not self.is_left:
            return False
        empty_at = max((place for place, left in enumerate(self.left) if left <= self.empty), default=0)
        busy = self.ended[empty_at + 1 :]
        if len(busy) < LEAST_BUSY_S or fmean(busy) >= (1 - GROWTH) * rate_per_s:
            return False
        if fmean(busy) + deviate() * stdev(busy) / math.sqrt(len(busy)) < rate_per_s:
            return True
        slope = theil_sen([(float(place), float(left)) for place, left in enumerate(self.left)])
        return slope is not None and slope.lower > 0 and slope.point >= GROWTH * rate_per_s


def judge_step(
    step: Step,
    criteria: Criteria,
    seconds: Sequence[Second],
    done: LegDone,
    *,
    pool_size: int | None = None,
) -> CapacityStep:
    """Whether the target carried the step, and what broke first where it did not.

    `seconds` are those that bear the step's label; the ones in which the last replies came in are set aside.
    """
    latency = latency_of(done)
    p95, p99 = latency.quantiles(0.95, 0.99)
    failed = sum(count for kind, count in done.failures.items() if kind != Failure.DOUBLED)
    within = _within(seconds, step.rate_per_s)
    achieved = _achieved(within, step.rate_per_s)
    broke = (
        _generator(criteria, within, latency, done)
        or _limiter(criteria, done)
        or _errors(step, criteria, failed, done)
        or _replies(step, criteria, latency, within)
        or _used(criteria, within, pool_size)
    )
    if broke in ("p95", "p99", "backlog"):
        broke = _resource(within, pool_size) or broke
    cpu = [one for second in within if (one := second.sample.cpu_percent) is not None]
    return CapacityStep(
        rate_per_s=step.rate_per_s,
        achieved_per_s=round(achieved, 3),
        p95_s=p95 / 1e6,
        p99_s=p99 / 1e6,
        error_percent=100 * min(failed, done.due) / done.due if done.due else 0.0,
        is_good=not broke,
        broke=broke,
        cpu_percent=round(fmean(cpu), 1) if cpu else None,
        kind=step.kind,
        in_flight=round(achieved * latency.total / latency.count / 1e6, 4) if latency.count else None,
    )


def latency_of(done: LegDone) -> Histogram:
    """The latencies of a leg, exactly where every sample came."""
    found = Histogram()
    if done.latency:
        samples = array("q")
        samples.frombytes(done.latency)
        found.record_all(samples)
    else:
        found.merge_bins(done.latency_bins)
    return found


def backlog(seconds: Sequence[Second], rate_per_s: float) -> Backlog:
    """Of a step that began with an empty target."""
    ended = tuple(second.ok + second.failed + second.throttled for second in seconds)
    left, total = [], 0
    for second, count in zip(seconds, ended, strict=True):
        total += second.due - count
        left.append(max(0, total))
    # The best second shows how much is always under way: a message that takes 200 ms is not one that waits.
    always_s = min((second.p95_s for second in seconds if second.p95_s is not None), default=0.0)
    return Backlog(tuple(left), ended, rate_per_s * (1.5 * always_s + EMPTY_S) + 3)


def _within(seconds: Sequence[Second], rate_per_s: float) -> tuple[Second, ...]:
    """Without the last seconds, in which no more was sent and the last replies came in."""
    end = len(seconds)
    while end > 1 and seconds[end - 1].due < WHOLE * rate_per_s:
        end -= 1
    return tuple(seconds[:end])


def _achieved(seconds: Sequence[Second], rate_per_s: float) -> float:
    """Good replies a second while the step lasted. It may have begun in the middle of its first second."""
    if not seconds:
        return 0.0
    elapsed_s = len(seconds) - 1 + min(1.0, max(0.05, seconds[0].due / rate_per_s))
    return sum(second.ok for second in seconds) / elapsed_s


def _generator(criteria: Criteria, seconds: Sequence[Second], latency: Histogram, done: LegDone) -> str:
    """The generator's own limits: late, out of CPU, or out of connections while the target answers in time."""
    lag = Histogram(done.lag_bins)
    punctual = max(1, lag.count - done.waited)
    # Among forty messages the 99th percentile is the latest one: an accident is no generator that is too slow.
    share = min(0.99, max(0.5, 1 - LATE_BY_ACCIDENT / punctual))
    late = own_lag_s(lag, done.waited, share) > MOST_LAG_S
    busy = bool(seconds) and fmean(one.generator_cpu_percent for one in seconds) > MOST_CPU_PERCENT
    limit = round(criteria.p95_s * 1e6)
    service = Histogram(done.service_bins)
    short = (
        done.waited > FEW_WAIT * done.due
        and latency.quantiles(0.95)[0] > limit
        and 0 < service.quantiles(0.95)[0] <= limit
    )
    return "generator" if not done.due or late or busy or (limit and short) else ""


def _limiter(criteria: Criteria, done: LegDone) -> str:
    throttled, limit = done.failures.get(Failure.THROTTLED, 0), criteria.throttled_percent
    return "limiter" if limit and 100 * throttled > limit * max(1, done.sent) else ""


def _errors(step: Step, criteria: Criteria, failed: int, done: LegDone) -> str:
    """A step breaks where it is sure, a confirmation already where its own rate exceeds the limit."""
    limit = criteria.error_percent / 100
    if not limit:
        return ""
    lower, _ = wilson(failed, done.due)
    is_over = failed > limit * done.due if step.kind == CONFIRMATION else lower > limit
    return "errors" if is_over else ""


def _replies(step: Step, criteria: Criteria, latency: Histogram, seconds: Sequence[Second]) -> str:
    for name, fraction, limit_s in (("p95", 0.95, criteria.p95_s), ("p99", 0.99, criteria.p99_s)):
        limit = round(limit_s * 1e6)
        if not limit:
            continue
        if latency.quantiles(fraction)[0] > limit:
            return name
        if step.kind == CONFIRMATION:
            _, upper = quantile_interval(latency, fraction)
            if upper is not None and upper > limit:
                return name
    left = backlog(seconds, step.rate_per_s)
    if left.grows(step.rate_per_s):
        return "backlog"
    if not left.is_left:
        return ""
    if not step.is_final:
        return UNCLEAR
    return "backlog" if left.left[-1] > (1 - BEHIND) * sum(second.due for second in seconds) else ""


def _used(criteria: Criteria, seconds: Sequence[Second], pool_size: int | None) -> str:
    """Limits of what the target and its host may use."""
    samples = [second.sample for second in seconds]
    memory = [one for sample in samples if (one := sample.memory_percent) is not None]
    cpu = [one for sample in samples if (one := sample.host_cpu_percent) is not None]
    connections = [one for sample in samples if (one := sample.database_connections) is not None]
    if criteria.memory_percent and memory and max(memory) >= criteria.memory_percent:
        return "memory"
    if criteria.host_cpu_percent and cpu and fmean(cpu) > criteria.host_cpu_percent:
        return "cpu"
    is_full = pool_size and connections and 100 * max(connections) >= criteria.pool_percent * pool_size
    return "pool" if criteria.pool_percent and is_full else ""


def _resource(seconds: Sequence[Second], pool_size: int | None) -> str:
    """What was used up when the replies came late; empty where nothing that was seen."""
    samples = [second.sample for second in seconds]
    cpu = [one for sample in samples if (one := sample.host_cpu_percent) is not None]
    connections = [one for sample in samples if (one := sample.database_connections) is not None]
    if pool_size and connections and max(connections) >= pool_size:
        return "pool"
    return "cpu" if cpu and fmean(cpu) >= FULL_PERCENT else ""
