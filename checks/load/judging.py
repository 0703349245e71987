"""From what a generator reported and the target showed to one judged load run. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from checks.load.compare import differences
from checks.load.criteria import Measured, failed_of, health, judge, verdict
from checks.load.histogram import Histogram
from checks.load.model import (
    Accounting,
    Bounded,
    Capacity,
    Criterion,
    Failure,
    FailureCount,
    GeneratorHealth,
    LoadRun,
    Part,
    Scenario,
    Second,
)
from checks.load.sampler import peak
from checks.load.statistics import quantile_interval, wilson
from checks.load.steps import latency_of
from checks.load.wire import Done, LegDone
from checks.model import Verdict
from checks.text import Clean, clean, one_line

ENOUGH_HEADROOM = 1.5
"""Confirmed capacity over the declared peak that a GO needs (the decision policy)."""
OF_CAPACITY = (
    "generator",
    "limiter",
    "lost",
    "history",
    "doubled",
    "swapped",
    "replies",
    "memory",
    "complete",
)
"""Criteria that a capacity search keeps too: it is meant to break the others."""


@dataclass(frozen=True, slots=True)
class Found:
    """Everything that one run brought."""

    id: str
    run: str
    scenario: Scenario
    nonce: str
    started_at: datetime
    duration_s: float
    seconds: tuple[Second, ...]
    legs: tuple[LegDone, ...]
    parts: tuple[Part, ...]
    """The part that each leg belongs to, by its place."""
    done: Done | None
    accounting: Accounting
    capacity: Capacity | None
    pool_size: int | None
    unseen: tuple[str, ...]
    """What of the target could not be seen, and what would help."""
    notes: tuple[str, ...]
    stopped: str
    seed: int
    addresses: tuple[str, ...]
    """Where each client came from; empty texts where the host chose."""


def held(found: Found) -> tuple[LegDone, ...]:
    """The legs that are judged: those of the hold; of a capacity search, the last one that was good."""
    legs = tuple(leg for leg in found.legs if found.parts[leg.place] is Part.HOLD)
    if found.capacity is None:
        return legs
    steps = zip(legs, found.capacity.steps, strict=False)
    good = [leg for leg, step in steps if step.is_good]
    return tuple(good[-1:])


def latencies(legs: Iterable[LegDone]) -> Histogram:
    """From the intended send, exactly where every sample came."""
    whole = Histogram()
    for leg in legs:
        whole.merge(latency_of(leg))
    return whole


def merged(bins: Iterable[dict[int, int]]) -> Histogram:
    """Counts by bin as one histogram."""
    whole = Histogram()
    for one in bins:
        whole.merge_bins(one)
    return whole


def summed(legs: Iterable[LegDone]) -> dict[Failure, int]:
    """Failures by kind."""
    counts: dict[Failure, int] = {}
    for leg in legs:
        for kind, count in leg.failures.items():
            counts[Failure(kind)] = counts.get(Failure(kind), 0) + count
    return counts


def load_run_of(found: Found, before: LoadRun | None) -> LoadRun:
    """The judged run, compared with the one before where there is one."""
    hold = held(found)
    latency, service = latencies(hold), merged(leg.service_bins for leg in hold)
    failures = summed(hold)
    due, sent = sum(leg.due for leg in hold), sum(leg.sent for leg in hold)
    answered, ok = sum(leg.answered for leg in hold), sum(leg.ok for leg in hold)
    generator = _health(found, hold)
    measured = Measured(
        latency=latency,
        service=service,
        due=due,
        sent=sent,
        answered=answered,
        ok=ok,
        failures=failures,
        seconds=found.seconds,
        accounting=found.accounting,
        generator=generator,
        pool_size=found.pool_size,
        stopped=found.stopped,
        unseen=found.unseen,
    )
    criteria = judge(found.scenario, measured)
    if found.scenario.is_capacity:
        kept = [one for one in criteria if one.name in OF_CAPACITY]
        criteria = (capacity_criterion(found.capacity, found.stopped), *kept)
    failed = failed_of(failures)
    bounds = wilson(failed, due) if due else (0.0, 1.0)
    everything = summed(found.legs)
    load = LoadRun(
        id=found.id,
        run=found.run,
        scenario=found.scenario,
        nonce=found.nonce,
        started_at=found.started_at,
        duration_s=round(found.duration_s, 3),
        verdict=verdict(criteria),
        criteria=criteria,
        latency=latency.latencies(),
        p95=_bounded(latency, 0.95),
        p99=_bounded(latency, 0.99),
        service=service.latencies(),
        errors=Bounded(100 * failed / due if due else 0.0, *(100 * bound for bound in bounds)),
        throughput_per_s=round(ok / seconds, 3) if (seconds := sum(leg.seconds for leg in hold)) else 0.0,
        due=sum(leg.due for leg in found.legs),
        sent=sum(leg.sent for leg in found.legs),
        answered=sum(leg.answered for leg in found.legs),
        ok=sum(leg.ok for leg in found.legs),
        throttled=everything.get(Failure.THROTTLED, 0),
        failures=_counted(everything, found.done),
        accounting=found.accounting,
        generator=generator,
        peak=peak([second.sample for second in found.seconds]),
        capacity=found.capacity,
        histogram=latency.counted(),
        stopped=one_line(found.stopped),
        notes=tuple(map(clean, (*found.notes, *found.unseen))),
        seed=found.seed,
        clients=len(found.addresses),
        addresses=_addresses(found.addresses),
    )
    if before is None or before.stopped or load.stopped:
        return load
    return replace(load, before=differences(load, before), before_id=before.id)


def _health(found: Found, hold: Sequence[LegDone]) -> GeneratorHealth:
    """Of the whole run; of a capacity search, of the step that is judged: it is meant to go beyond what is kept."""
    legs, seconds = found.legs, found.seconds
    if found.capacity is not None:
        places = {str(leg.place + 1) for leg in hold}
        legs = tuple(hold)
        seconds = tuple(one for one in seconds if one.label.partition(" ")[0] in places)
    return health(merged(leg.lag_bins for leg in legs), seconds, sum(leg.waited for leg in legs))


def capacity_criterion(capacity: Capacity | None, stopped: str) -> Criterion:
    """Whether the confirmed capacity leaves enough room above the declared peak."""
    title, limit = "Confirmed capacity over the declared peak", clean(f"at least {ENOUGH_HEADROOM:g}")
    if capacity is None or capacity.safe_per_s is None or capacity.headroom is None:
        why = stopped or (capacity.problem if capacity else "") or "no rate was confirmed"
        return Criterion("capacity", title, Verdict.INCONCLUSIVE, clean("no figure"), limit, clean(why))
    is_enough = capacity.headroom >= ENOUGH_HEADROOM
    observed = clean(f"{capacity.headroom:.1f} ({capacity.safe_per_s:.0f}/s)")
    judged = Verdict.PASS if is_enough else Verdict.FAIL
    return Criterion("capacity", title, judged, observed, limit, clean(capacity.sentence))


def _addresses(addresses: Sequence[str]) -> Clean:
    named = [address for address in addresses if address]
    if not named:
        return Clean("")
    return clean(named[0] if len(named) == 1 else f"{named[0]} to {named[-1]}")


def _bounded(latency: Histogram, fraction: float) -> Bounded:
    if not latency.count:
        return Bounded(0.0)
    lower, upper = quantile_interval(latency, fraction)
    point = latency.quantiles(fraction)[0]
    return Bounded(point / 1e6, *(None if bound is None else bound / 1e6 for bound in (lower, upper)))


def _counted(failures: dict[Failure, int], done: Done | None) -> tuple[FailureCount, ...]:
    examples = done.examples if done else {}
    ordered: Sequence[tuple[Failure, int]] = sorted(failures.items(), key=lambda one: -one[1])
    return tuple(
        FailureCount(kind, count, one_line(examples.get(kind, "")) or clean("no example was kept"))
        for kind, count in ordered
        if count
    )
