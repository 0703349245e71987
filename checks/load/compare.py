"""The figures of a run beside those of the run before, with what is noise; pure.

Only runs of the same load are compared. Noise is what the confidence intervals of both leave open.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

from checks.load.model import Bounded, Criteria, Difference, LoadRun, Sample, Scenario
from checks.load.statistics import deviate

MEMORY_NOISE = 0.05
"""Of the memory itself: a peak has no interval, and an allocator keeps what it once had."""
CAPACITY_NOISE = 0.05
"""Of the rate itself: as exact as the search is."""
MIB = 1 << 20


def differences(now: LoadRun, before: LoadRun) -> tuple[Difference, ...]:
    """`p95` and `p99` (seconds), `throughput` (messages a second), `errors` (per cent), `memory` (MiB), `capacity`.

    Empty where the two are not of the same load. A figure that one of them lacks, or that has no bounds, is left out.
    """
    if load_of(now.scenario) != load_of(before.scenario):
        return ()
    return tuple(_found(now, before))


def load_of(scenario: Scenario) -> Scenario:
    """What of a scenario makes its load: everything but its words and its limits."""
    return replace(scenario, title="", criteria=Criteria())


def _found(now: LoadRun, before: LoadRun) -> Iterator[Difference]:
    for name, one, other in (("p95", now.p95, before.p95), ("p99", now.p99, before.p99)):
        if now.latency.count and before.latency.count:
            yield from _bounded(name, one, other)
    noise = _throughput_noise(now) + _throughput_noise(before)
    yield Difference("throughput", before.throughput_per_s, now.throughput_per_s, noise)
    yield from _bounded("errors", now.errors, before.errors)
    used, was = _memory(now.peak), _memory(before.peak)
    if used is not None and was is not None:
        yield Difference("memory", was / MIB, used / MIB, MEMORY_NOISE * max(used, was) / MIB)
    if now.capacity and before.capacity and now.capacity.safe_per_s and before.capacity.safe_per_s:
        safe, other_safe = now.capacity.safe_per_s, before.capacity.safe_per_s
        yield Difference("capacity", other_safe, safe, CAPACITY_NOISE * (safe + other_safe))


def _bounded(name: str, now: Bounded, before: Bounded) -> Iterator[Difference]:
    halves = [_half(now), _half(before)]
    known = [half for half in halves if half is not None]
    if len(known) == len(halves):
        yield Difference(name, before.point, now.point, sum(known))


def _half(figure: Bounded) -> float | None:
    """Half the width of its interval; None where an end is missing."""
    if figure.lower is None or figure.upper is None:
        return None
    return (figure.upper - figure.lower) / 2


def _throughput_noise(run: LoadRun) -> float:
    """Half the interval of a rate, its count taken as Poisson's, in messages a second."""
    seconds = run.scenario.confirm_s if run.scenario.is_capacity else run.scenario.hold_s
    return deviate() * math.sqrt(max(1.0, run.throughput_per_s * seconds)) / seconds if seconds else 0.0


def _memory(peak: Sample) -> int | None:
    return peak.pss_bytes if peak.pss_bytes is not None else peak.memory_bytes
