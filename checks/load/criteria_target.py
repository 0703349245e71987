"""Judges what became of the messages, and what the target and its host used. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from statistics import fmean, median

from checks.load.measured import Measured
from checks.load.model import Accounting, Criterion, Failure, Scenario, Second
from checks.load.statistics import theil_sen
from checks.model import Verdict
from checks.text import Clean, clean, one_line

LEAST_GROWTH_BYTES = 1 << 20
"""Less is noise of the allocator, however steep it looks when it is drawn out to an hour."""
LEAST_SEEN = 0.5
"""Share of the hold's seconds in which the memory has to be seen for a pass."""


def counted(accounting: Accounting, failures: Mapping[Failure, int]) -> Iterable[Criterion]:
    """Nothing may be lost, doubled or swapped: one is a failure, whatever the latency was.

    A reply that answers another message, or comes from another bot, crossed over whatever the database holds.
    """
    crossed = failures.get(Failure.WRONG_BOT, 0) + failures.get(Failure.WRONG_MESSAGE, 0)
    swapped, doubled = (
        max(accounting.swapped, crossed),
        max(accounting.doubled, failures.get(Failure.DOUBLED, 0)),
    )
    examples = f": {accounting.examples[0]}" if accounting.examples else ""
    for name, title, count, told in (
        ("lost", "Lost messages", accounting.lost, "messages were lost"),
        (
            "history",
            "Lost in the history",
            accounting.lost_in_history,
            "stored messages are not in the history",
        ),
        ("doubled", "Doubled messages", doubled, "messages or replies are there twice"),
        (
            "swapped",
            "Swapped messages",
            swapped,
            "messages or replies crossed over to another message or bot",
        ),
        ("replies", "Replies not stored", accounting.unstored_replies, "replies were not stored"),
    ):
        if count:
            judged, sentence = Verdict.FAIL, f"{count} {told}{examples}"
        elif accounting.problem:
            judged, sentence = Verdict.INCONCLUSIVE, f"it could not be counted: {accounting.problem}"
        elif name == "history" and accounting.in_history is None:
            judged, sentence = Verdict.NA, "the target was not asked for its history"
        elif accounting.stored is None:
            judged, sentence = Verdict.INCONCLUSIVE, "it could not be counted: the database was not read"
        elif name == "replies" and accounting.replies_stored is None:
            judged, sentence = Verdict.NA, "the target keeps no replies that could be counted"
        else:
            judged, sentence = Verdict.PASS, f"of {accounting.sent} messages sent, 0 {told}"
        observed = "not counted" if judged is Verdict.INCONCLUSIVE else str(count)
        yield Criterion(name, title, judged, clean(observed), clean("0"), one_line(sentence))


def memory(limit_percent: float, measured: Measured) -> Criterion | None:
    """The target's greatest memory, of what it may use; None where there is no limit."""
    if not limit_percent:
        return None
    seen = [one for second in measured.seconds if (one := second.sample.memory_percent) is not None]
    in_hold = [second.sample.memory_percent is not None for second in measured.hold]
    if not seen:
        judged, sentence = (
            Verdict.INCONCLUSIVE,
            f"the target's memory could not be seen{_reasons(measured.unseen)}",
        )
    elif max(seen) >= limit_percent:
        judged = Verdict.FAIL
        sentence = f"the target used {max(seen):.0f} % of the memory it may use, limit {limit_percent:g} %"
    elif not in_hold or fmean(in_hold) < LEAST_SEEN:
        judged = Verdict.INCONCLUSIVE
        sentence = f"the target's memory was seen in {sum(in_hold)} of {len(in_hold)} seconds alone"
    else:
        judged = Verdict.PASS
        sentence = (
            f"the target used up to {max(seen):.1f} % of the memory it may use, limit {limit_percent:g} %"
        )
    observed = _percent(max(seen, default=None))
    return Criterion(
        "memory",
        "Memory of the target",
        judged,
        observed,
        clean(f"below {limit_percent:g} %"),
        one_line(sentence),
    )


def host_cpu(scenario: Scenario, measured: Measured) -> Criterion | None:
    """The host's processors, as a mean of the busiest window of the hold; None where there is no limit."""
    limit = scenario.criteria.host_cpu_percent
    if not limit:
        return None
    length = max(1, round(scenario.window_s))
    seen = [one for second in measured.hold if (one := second.sample.host_cpu_percent) is not None]
    busiest = max(
        (fmean(seen[at : at + length]) for at in range(max(1, len(seen) - length + 1)) if seen), default=None
    )
    if busiest is None:
        judged, sentence = (
            Verdict.INCONCLUSIVE,
            f"the host's CPU could not be seen{_reasons(measured.unseen)}",
        )
    else:
        judged = Verdict.FAIL if busiest > limit else Verdict.PASS
        sentence = f"in the busiest {length} s all cores were {busiest:.0f} % busy, limit {limit:g} %"
    return Criterion(
        "host-cpu",
        "CPU of the host",
        judged,
        _percent(busiest),
        clean(f"at most {limit:g} %"),
        one_line(sentence),
    )


def pool(limit_percent: float, measured: Measured) -> Criterion | None:
    """The greatest number of database connections, of those that the target may open; None where there is no limit."""
    if not limit_percent:
        return None
    seen = [one for second in measured.seconds if (one := second.sample.database_connections) is not None]
    size, most = measured.pool_size, max(seen, default=None)
    observed = _percent(None)
    if not size:
        judged, sentence = Verdict.NA, "the size of the database pool is not declared"
    elif most is None:
        judged, sentence = (
            Verdict.NA,
            f"the database's connections could not be seen{_reasons(measured.unseen)}",
        )
    else:
        percent = 100 * most / size
        observed = _percent(percent)
        judged = Verdict.FAIL if percent >= limit_percent else Verdict.PASS
        sentence = (
            f"up to {most} of {size} connections of the database pool were open, limit {limit_percent:g} %"
        )
    return Criterion(
        "pool", "Database pool", judged, observed, clean(f"below {limit_percent:g} %"), one_line(sentence)
    )


def leak(limit_percent: float, measured: Measured) -> Criterion | None:
    """Growth of the target's memory in an hour, of what it had at the start of the hold; None where there is no limit.

    The slope is Theil and Sen's over the hold, which single peaks do not move.
    """
    if not limit_percent:
        return None

    def told(judged: Verdict, observed: object, sentence: str) -> Criterion:
        most = f"at most {limit_percent:g} % an hour"
        return Criterion(
            "leak", "Growth of the target's memory", judged, clean(observed), clean(most), one_line(sentence)
        )

    points = [(float(second.at_s), used) for second in measured.hold if (used := _used(second)) is not None]
    slope = theil_sen(points)
    if slope is None:
        why = "could not be seen" if not points else f"was seen in {len(points)} seconds alone"
        return told(
            Verdict.INCONCLUSIVE, "no figure", f"the target's memory {why}{_reasons(measured.unseen)}"
        )
    start, span_s = _start(points), points[-1][0] - points[0][0]
    point, lower, upper = (
        360_000 * one / start if start else 0.0 for one in (slope.point, slope.lower, slope.upper)
    )
    figures = (
        f"memory grew by {point:+.1f} % an hour ({lower:+.1f} to {upper:+.1f}) over {span_s:.0f} s, "
        f"limit {limit_percent:g} %"
    )
    observed = f"{point:+.1f} % an hour"
    if upper <= limit_percent:
        return told(Verdict.PASS, observed, figures)
    if lower <= limit_percent:
        return told(Verdict.INCONCLUSIVE, observed, f"{figures}; a longer hold would tell")
    if slope.point * span_s < LEAST_GROWTH_BYTES:
        grown = slope.point * span_s / 1024
        return told(
            Verdict.INCONCLUSIVE, observed, f"{figures}; {grown:.0f} KiB in all are too little to tell"
        )
    return told(Verdict.FAIL, observed, figures)


def _used(second: Second) -> float | None:
    """PSS where it could be read, else RSS, in bytes."""
    sample = second.sample
    used = sample.pss_bytes if sample.pss_bytes is not None else sample.memory_bytes
    return None if used is None else float(used)


def _start(points: Sequence[tuple[float, float]]) -> float:
    """Memory at the start: the median of the first tenth, at most a minute of it."""
    return median(used for _, used in points[: max(1, min(60, len(points) // 10))])


def _reasons(unseen: Sequence[str]) -> str:
    return f": {'; '.join(unseen)}" if unseen else ""


def _percent(value: float | None) -> Clean:
    return clean("no figure" if value is None else f"{value:.0f} %")
