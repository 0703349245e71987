"""Judges what was measured against a scenario's criteria; pure.

What is not shown is not kept: a criterion passes where the confidence interval keeps the limit, fails where it does not
reach it, and is INCONCLUSIVE in between. A generator that was itself too slow leaves every figure that it could have
spoiled INCONCLUSIVE; a message that was lost, doubled or swapped is a failure all the same.
"""

from __future__ import annotations

from collections.abc import Iterable

from checks.load.criteria_replies import Doubt, errors, quantile, windows
from checks.load.criteria_target import counted, host_cpu, leak, memory, pool
from checks.load.measured import (
    MOST_CPU_PERCENT,
    MOST_LAG_S,
    Measured,
    failed_of,
    health,
    own_lag_s,
    too_slow,
)
from checks.load.model import Arrival, Criterion, Failure, Scenario
from checks.model import Verdict
from checks.text import clean, duration, one_line

__all__ = [
    "MOST_CPU_PERCENT",
    "MOST_LAG_S",
    "Measured",
    "failed_of",
    "health",
    "judge",
    "own_lag_s",
    "too_slow",
    "verdict",
]


def judge(scenario: Scenario, measured: Measured) -> tuple[Criterion, ...]:
    """Every criterion that the scenario asks for, in the order in which they are read."""
    first = (generator(scenario, measured), limiter(scenario, measured))
    doubt = _doubt(measured, first)
    limits = scenario.criteria
    judged: Iterable[Criterion | None] = (
        *first,
        quantile("p95", 0.95, limits.p95_s, measured, doubt),
        quantile("p99", 0.99, limits.p99_s, measured, doubt),
        errors(limits.error_percent, measured, doubt),
        windows(scenario, measured, doubt),
        *counted(measured.accounting, measured.failures),
        memory(limits.memory_percent, measured),
        host_cpu(scenario, measured),
        pool(limits.pool_percent, measured),
        leak(limits.leak_percent_per_hour, measured),
        complete(measured),
    )
    return tuple(one for one in judged if one is not None)


def verdict(criteria: Iterable[Criterion]) -> Verdict:
    """FAIL where one fails, else INCONCLUSIVE where one is, else PASS; NA alone, or nothing, is no pass."""
    found = {one.verdict for one in criteria}
    for worst in (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS):
        if worst in found:
            return worst
    return Verdict.INCONCLUSIVE


def generator(scenario: Scenario, measured: Measured) -> Criterion:
    """Whether the generator kept up. Never FAIL: it is not what was to be judged."""
    found = measured.generator
    observed = (
        f"lag p99 {duration(found.lag.p99_s)}, core {max(found.cpu_percent, found.worst_cpu_percent):.0f} %"
    )
    unsent = measured.failures.get(Failure.UNSENT, 0)
    is_open = scenario.arrival is not Arrival.CLOSED
    if problem := too_slow(found):
        judged, sentence = Verdict.INCONCLUSIVE, f"generator too slow: {problem}"
    elif unsent and is_open:
        judged = Verdict.INCONCLUSIVE
        sentence = (
            f"generator too slow: {unsent} messages were due and not sent, every connection was waiting for a reply; "
            f"give {scenario.name} more users"
        )
    else:
        judged = Verdict.PASS
        sentence = f"the generator kept up: 99 % of the messages were sent within {duration(found.lag.p99_s)}"
        if found.waited:
            sentence = (
                f"the generator kept up; {found.waited} messages waited until a reply freed a connection"
            )
    return Criterion(
        "generator",
        "The generator kept up",
        judged,
        clean(observed),
        clean(f"lag p99 at most {duration(MOST_LAG_S)}, core at most {MOST_CPU_PERCENT:.0f} %"),
        one_line(sentence),
    )


def limiter(scenario: Scenario, measured: Measured) -> Criterion | None:
    """Whether it was the target that was measured, or its rate limiter. Never FAIL."""
    limit = scenario.criteria.throttled_percent
    if not limit:
        return None
    refused, sent = measured.failures.get(Failure.THROTTLED, 0), measured.sent
    percent = 100 * refused / sent if sent else 0.0
    if not sent:
        judged, sentence = Verdict.INCONCLUSIVE, "no message was sent in the hold"
    elif percent > limit:
        judged = Verdict.INCONCLUSIVE
        sentence = (
            f"the rate limiter is what was measured: it refused {refused} of {sent} messages; "
            "spread them over more users, or raise its limit for the test"
        )
    else:
        judged = Verdict.PASS
        sentence = f"the rate limiter refused {refused} of {sent} messages"
    return Criterion(
        "limiter",
        "Refusals of the rate limiter",
        judged,
        clean(f"{percent:.2f} %"),
        clean(f"at most {limit:g} %"),
        one_line(sentence),
    )


def complete(measured: Measured) -> Criterion:
    """Whether the run went to its end."""
    stopped = bool(measured.stopped)
    return Criterion(
        "complete",
        "The run went to its end",
        Verdict.INCONCLUSIVE if stopped else Verdict.PASS,
        clean("stopped" if stopped else "complete"),
        clean("complete"),
        one_line(f"it ended early: {measured.stopped}" if stopped else "the whole schedule was sent"),
    )


def _doubt(measured: Measured, first: Iterable[Criterion | None]) -> Doubt:
    """What makes the figures of the replies doubtful."""
    for one in first:
        if one is not None and one.verdict is Verdict.INCONCLUSIVE:
            is_unsent = one.name == "generator" and not too_slow(measured.generator)
            return Doubt("unsent" if is_unsent else one.name, one.sentence)
    return Doubt()
