"""A judged load run as the outcome of its check, with the evidence that a reader can follow."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from checks.audit.common import note
from checks.context import Context
from checks.load.hdr_log import interval_log
from checks.load.measured import failed_of
from checks.load.model import Criterion, LoadRun, Second
from checks.model import Evidence, Outcome, Reason, Verdict, failed, inconclusive, passed
from checks.text import one_line

MOST_SECONDS = 600
"""Seconds that stand in the evidence one by one; the journal has all of them."""


def outcome_of(context: Context, load: LoadRun, seconds: Sequence[Second]) -> Outcome:
    """The outcome: what broke first in a sentence, or what was carried."""
    evidence = tuple(_evidence(context, load, seconds))
    observed, expected = observed_of(load), expected_of(load)
    broken = [one for one in load.criteria if one.verdict is Verdict.FAIL]
    doubtful = [one for one in load.criteria if one.verdict is Verdict.INCONCLUSIVE]
    if load.verdict is Verdict.FAIL:
        return failed(_sentence(broken), observed=observed, expected=expected, evidence=evidence)
    if load.verdict is Verdict.INCONCLUSIVE:
        reason = _reason(doubtful, load)
        return inconclusive(
            reason, _sentence(doubtful), observed=observed, expected=expected, evidence=evidence
        )
    return passed(carried(load), observed=observed, expected=expected, evidence=evidence)


def carried(load: LoadRun) -> str:
    """What a good run carried, in one sentence."""
    if load.capacity is not None:
        return load.capacity.sentence
    p95, ok = load.latency.p95_s * 1e3, load.ok
    return f"{ok} messages were answered, 95 % of them within {p95:.0f} ms, and all of them are stored"


def observed_of(load: LoadRun) -> str:
    """The figures in one line."""
    figures = load.latency
    told = [
        f"sent {load.sent}, answered {load.ok}, failed {failed_of({one.kind: one.count for one in load.failures})}",
        f"p50 {figures.p50_s * 1e3:.0f} ms, p95 {figures.p95_s * 1e3:.0f} ms, p99 {figures.p99_s * 1e3:.0f} ms",
        f"{load.throughput_per_s:.1f}/s",
        f"lost {load.accounting.lost}",
    ]
    return "; ".join(told)


def expected_of(load: LoadRun) -> str:
    """What it was held against, in one line."""
    limits = load.scenario.criteria
    return (
        f"p95 at most {limits.p95_s:g} s, p99 at most {limits.p99_s:g} s, at most {limits.error_percent:g} % errors, "
        "nothing lost, doubled or swapped"
    )


def _sentence(criteria: Sequence[Criterion]) -> str:
    first = criteria[0].sentence if criteria else "It could not be judged"
    more = f" (and {len(criteria) - 1} more)" if len(criteria) > 1 else ""
    return one_line(f"{first[:1].upper()}{first[1:]}{more}", 400)


def _reason(doubtful: Sequence[Criterion], load: LoadRun) -> Reason:
    names = {one.name for one in doubtful}
    if load.stopped:
        return Reason.INTERRUPTED
    if "generator" in names:
        return Reason.CONTROL
    if "limiter" in names:
        return Reason.THROTTLED
    return Reason.NO_SOURCE


def _evidence(context: Context, load: LoadRun, seconds: Sequence[Second]) -> Iterable[Evidence]:
    repeat = f"gonogo run --check {context_check(load)}"
    yield note(
        context,
        f"{load.scenario.title}: {sum(one.verdict is Verdict.PASS for one in load.criteria)} of "
        f"{len(load.criteria)} criteria hold",
        [
            f"{one.verdict:<12} {one.name:<10} {one.observed} · limit {one.limit} · {one.sentence}"
            for one in load.criteria
        ],
        repeat,
        kind="load",
    )
    counted = load.accounting
    yield note(
        context,
        f"Sent {counted.sent}, answered {counted.answered_ok}, stored {counted.stored}, "
        f"in the history {counted.in_history}",
        [
            f"lost {counted.lost}, lost in the history {counted.lost_in_history}",
            f"doubled {counted.doubled}, swapped {counted.swapped}, replies not stored {counted.unstored_replies}",
            *counted.examples,
            *([counted.problem] if counted.problem else []),
            *(f"{one.kind}: {one.count} × {one.example}" for one in load.failures),
        ],
        kind="load",
    )
    if load.capacity is not None:
        yield note(context, load.capacity.sentence or load.capacity.problem, _steps(load), kind="load")
    yield note(context, f"{len(seconds)} seconds of {load.id}", _series(seconds), kind="load")
    if load.histogram:
        yield note(
            context,
            f"Latencies of the hold of {load.scenario.name} as an HdrHistogram log",
            [interval_log(load)],
            kind="load",
        )


def context_check(load: LoadRun) -> str:
    """The id of the scenario's check."""
    from checks.load.scenarios.shipped import shipped

    return shipped()[load.scenario.name].id


def _steps(load: LoadRun) -> list[str]:
    assert load.capacity is not None
    lines = ["kind         asked/s  good/s    p95 ms    p99 ms  errors %  broke"]
    lines += [
        f"{step.kind:<12} {step.rate_per_s:>7.1f} {step.achieved_per_s:>7.1f} {step.p95_s * 1e3:>9.0f} "
        f"{step.p99_s * 1e3:>9.0f} {step.error_percent:>9.2f}  {step.broke or '-'}"
        for step in load.capacity.steps
    ]
    return lines


def _series(seconds: Sequence[Second]) -> list[str]:
    head = "second part      users  due sent   ok fail thrt flight p50ms p95ms p99ms lag99ms gen% cpu%  MiB"
    shown = seconds[-MOST_SECONDS:]
    lines = [head] if len(shown) == len(seconds) else [f"the last {MOST_SECONDS} of {len(seconds)}", head]
    for one in shown:
        memory = one.sample.memory_bytes
        cells = [
            f"{one.at_s:>6} {one.part:<9} {one.users:>5} {one.due:>4} {one.sent:>4} {one.ok:>4} {one.failed:>4}",
            f"{one.throttled:>4} {one.in_flight:>6} {_ms(one.p50_s)} {_ms(one.p95_s)} {_ms(one.p99_s)}",
            f"{_ms(one.lag_p99_s, 7)} {one.generator_cpu_percent:>4.0f}",
            f"{one.sample.cpu_percent:>4.0f}" if one.sample.cpu_percent is not None else "   -",
            f"{memory / 2**20:>4.0f}" if memory is not None else "   -",
        ]
        lines.append(" ".join(cells))
    return lines


def _ms(seconds: float | None, width: int = 5) -> str:
    return f"{'-':>{width}}" if seconds is None else f"{seconds * 1e3:>{width}.0f}"
