"""Judges the replies: how long they took, over the hold and over each window of it, and how many failed. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from checks.load.measured import Measured
from checks.load.model import Criterion, Failure, Scenario, Second
from checks.load.statistics import (
    deviate,
    quantile_interval,
    quantile_ranks,
    samples_needed,
    tries_needed,
    wilson,
)
from checks.model import Verdict
from checks.text import clean, duration, one_line

OWN_WORDS = (
    Failure.REFUSED,
    Failure.SERVER_ERROR,
    Failure.TOO_LARGE,
    Failure.WRONG_MESSAGE,
    Failure.WRONG_BOT,
)
"""Failures that only the target can bring about; a starved generator can cause the others itself."""
LEAST_IN_WINDOW = 20
"""Messages below which the 95th percentile of a window is no more than its slowest one."""
STALL_RATIO = 20.0
"""A 95th percentile that is so many times the median comes of standing still rather than of being slow."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """What makes the figures of the replies doubtful; both empty where nothing does."""

    name: str = ""
    """`generator`, `unsent` or `limiter`."""
    sentence: str = ""


def quantile(
    name: str, fraction: float, limit_s: float, measured: Measured, doubt: Doubt
) -> Criterion | None:
    """One quantile of the whole hold, from the intended send; None where there is no limit."""
    if not limit_s:
        return None
    latency, limit = measured.latency, round(limit_s * 1e6)
    share = f"{100 * fraction:g} % of the replies"

    def told(judged: Verdict, observed: object, sentence: str) -> Criterion:
        title = f"{share}, from the intended send"
        return Criterion(
            name, title, judged, clean(observed), clean(f"at most {duration(limit_s)}"), one_line(sentence)
        )

    if not latency.count:
        return told(Verdict.INCONCLUSIVE, "no figure", "no message ended in the hold")
    point = latency.quantiles(fraction)[0]
    lower, upper = quantile_interval(latency, fraction)
    observed = duration(point / 1e6)
    if doubt.name:
        if doubt.name == "unsent" and (slow := _slow_itself(fraction, limit, measured)):
            return told(Verdict.FAIL, observed, f"{share} took {slow}, limit {duration(limit_s)}")
        figures = f"{name} was {observed}, limit {duration(limit_s)}"
        return told(Verdict.INCONCLUSIVE, observed, f"{figures}, but {doubt.sentence}")
    figures = f"{share} took up to {observed}{_bounds(lower, upper)}, limit {duration(limit_s)}"
    if lower is not None and lower > limit:
        return told(Verdict.FAIL, observed, figures + _stall(measured, fraction, limit))
    if upper is not None and upper <= limit:
        return told(Verdict.PASS, observed, figures)
    needed = _needed(measured, fraction, limit, has_bound=upper is not None)
    return told(Verdict.INCONCLUSIVE, observed, f"{figures}; too few samples to tell: {needed}")


def errors(limit_percent: float, measured: Measured, doubt: Doubt) -> Criterion | None:
    """The share of the messages of the hold that failed; None where there is no limit.

    PASS only where Wilson's upper bound keeps the limit: for 1 % that takes 381 messages without an error. FAIL only
    where the lower bound exceeds it.
    """
    if not limit_percent:
        return None
    failed, n = measured.failed, max(measured.due, measured.sent)
    limit = limit_percent / 100

    def told(judged: Verdict, observed: object, sentence: str) -> Criterion:
        title, most = "Failed messages", f"at most {limit_percent:g} %"
        return Criterion("errors", title, judged, clean(observed), clean(most), one_line(sentence))

    if not n:
        return told(Verdict.INCONCLUSIVE, "no figure", "no message was due in the hold")
    percent = f"{100 * min(failed, n) / n:.2f} %"
    if doubt.name:
        # What is left when everything is set aside that the generator or the limiter may have caused.
        left, of = _without(doubt, measured)
        if of and wilson(left, of)[0] > limit:
            sentence = f"{left} of {of} messages failed by the target's own doing, limit {limit_percent:g} %"
            return told(Verdict.FAIL, percent, sentence)
        return told(Verdict.INCONCLUSIVE, percent, f"{failed} of {n} messages failed, but {doubt.sentence}")
    lower, upper = wilson(failed, n)
    figures = (
        f"{failed} of {n} messages failed ({100 * lower:.2f} % to {100 * upper:.2f} % with 95 % confidence), "
        f"limit {limit_percent:g} %"
    )
    if lower > limit:
        return told(Verdict.FAIL, percent, figures)
    if upper <= limit:
        return told(Verdict.PASS, percent, figures)
    needed = tries_needed(min(failed, n) / n, limit) if limit < 1 else None
    advice = f"{needed} messages would do" if needed else "no number of messages would tell"
    return told(Verdict.INCONCLUSIVE, percent, f"{figures}; too few messages to tell: {advice}")


def windows(scenario: Scenario, measured: Measured, doubt: Doubt) -> Criterion | None:
    """The worst 95th percentile of all windows of `window_s` within the hold, by the figures of its seconds.

    FAIL where the lower bound of a window exceeds the limit, INCONCLUSIVE where only its point does.
    """
    limit_s, length = scenario.criteria.p95_s, max(1, round(scenario.window_s))
    if not limit_s or not scenario.window_s:
        return None

    def told(judged: Verdict, observed: object, sentence: str) -> Criterion:
        title = f"95 % of the replies in each {length} s"
        most = f"at most {duration(limit_s)}"
        return Criterion("windows", title, judged, clean(observed), clean(most), one_line(sentence))

    # A message without a reply has no latency in its second. Second replies would be mistaken for such ones.
    never = (measured.failures.get(kind, 0) for kind in (Failure.NO_REPLY, Failure.UNSENT))
    silent_s = scenario.reply_within_s if any(never) and not measured.failures.get(Failure.DOUBLED) else 0.0
    seconds = [_spread(second, silent_s) for second in measured.hold]
    stretches = (seconds[at : at + length] for at in range(len(seconds) - length + 1))
    judged = [window for stretch in stretches if (window := _window(stretch)).n >= LEAST_IN_WINDOW]
    if not judged:
        return told(
            Verdict.NA,
            "no figure",
            f"no {length} s of the hold have {LEAST_IN_WINDOW} messages: the whole hold is judged",
        )
    worst = max(judged, key=lambda window: (window.lower_s > limit_s, window.p95_s))
    observed = duration(worst.p95_s)
    figures = (
        f"in the worst {length} s ({worst.begin} to {worst.end} s) 95 % of {worst.n} replies took up to {observed}"
        f" (at least {duration(worst.lower_s)}), limit {duration(limit_s)}"
    )
    if doubt.name:
        return told(Verdict.INCONCLUSIVE, observed, f"{figures}, but {doubt.sentence}")
    if worst.p95_s <= limit_s:
        return told(Verdict.PASS, observed, figures)
    if worst.lower_s > limit_s:
        return told(Verdict.FAIL, observed, figures)
    return told(Verdict.INCONCLUSIVE, observed, f"{figures}; with so few it may be chance")


@dataclass(frozen=True, slots=True)
class Window:
    """The 95th percentile of some seconds in a row, with its lower bound."""

    begin: int
    end: int
    n: int
    p95_s: float
    lower_s: float


@dataclass(frozen=True, slots=True)
class Spread:
    """The replies of one second as (value, weight)."""

    at_s: int
    n: int
    steps: tuple[tuple[float, float], ...] = ()


def _spread(second: Second, silent_s: float, pieces: int = 6) -> Spread:
    """By its p50, p95, p99 and greatest value; between them, the distribution is taken as linear.

    Messages that ended without a reply count with `silent_s`, or not at all where that is 0.
    """
    ended = second.ok + second.failed + second.throttled
    silent = max(0, ended - second.answered) if silent_s else 0
    steps = [(silent_s, float(silent))] if silent else []
    quantiles = (second.p50_s, second.p95_s, second.p99_s, second.max_s)
    known = [one for one in quantiles if one is not None]
    if second.answered and len(known) == len(quantiles):
        steps.append((known[0], 0.5 * second.answered))
        for (low, high), weight in zip(pairwise(known), (0.45, 0.04, 0.01), strict=True):
            step = (high - low) / pieces
            one = weight * second.answered / pieces
            steps += [(low + step * (place + 0.5), one) for place in range(pieces)]
        silent += second.answered
    return Spread(second.at_s, silent, tuple(steps))


def _window(stretch: Sequence[Spread]) -> Window:
    n = sum(second.n for second in stretch)
    steps = sorted(step for second in stretch for step in second.steps)
    low, _ = quantile_ranks(n, 0.95) if n else (None, None)
    lower_s = _at(steps, float(low)) if low else 0.0
    return Window(stretch[0].at_s, stretch[-1].at_s + 1, n, _at(steps, 0.95 * n), lower_s)


def _at(steps: Sequence[tuple[float, float]], weight: float) -> float:
    """The value at which that much weight has passed."""
    passed = 0.0
    for value, one in steps:
        passed += one
        if passed >= weight - 1e-9:
            return value
    return steps[-1][0] if steps else 0.0


def _slow_itself(fraction: float, limit: int, measured: Measured) -> str:
    """That the limit is broken from the real send already, which no lack of connections explains; else empty."""
    lower, _ = quantile_interval(measured.service, fraction)
    if lower is None or lower <= limit:
        return ""
    return f"at least {duration(lower / 1e6)} from the real send alone"


def _without(doubt: Doubt, measured: Measured) -> tuple[int, int]:
    """Failures that stand in spite of the doubt, and the messages that they are of."""
    if doubt.name == "limiter":
        throttled = measured.failures.get(Failure.THROTTLED, 0)
        return measured.failed - throttled, max(0, measured.sent - throttled)
    if doubt.name == "unsent":
        return measured.failed - measured.failures.get(Failure.UNSENT, 0), measured.sent
    return sum(measured.failures.get(kind, 0) for kind in OWN_WORDS), measured.sent


def _bounds(lower: int | None, upper: int | None) -> str:
    told = [
        f"at least {duration(lower / 1e6)}" if lower is not None else "",
        f"at most {duration(upper / 1e6)}" if upper is not None else "",
    ]
    both = ", ".join(one for one in told if one)
    return f" ({both})" if both else ""


def _stall(measured: Measured, fraction: float, limit: int) -> str:
    """In words, where a target that stands still is the likely reason; else empty."""
    latency, service = measured.latency, measured.service
    point, half = latency.quantiles(fraction, 0.5)
    if service.count:
        (real,) = service.quantiles(fraction)
        if real <= limit and 2 * real <= point:
            told = duration(real / 1e6)
            return f", counted from when they were due; {told} counted from the real send: the target stood still"
    if half * STALL_RATIO <= point:
        return f"; half of them took up to {duration(half / 1e6)}: the target stands still at times"
    return ""


def _needed(measured: Measured, fraction: float, limit: int, *, has_bound: bool) -> str:
    """How many samples would tell, in words."""
    least = samples_needed(fraction)
    over = measured.latency.above(limit) / measured.latency.count
    enough = tries_needed(over, 1 - fraction)
    if enough is None:
        return "it is at the limit, and no number would tell"
    z = deviate()
    # At the limit of what a binomial can tell, a handful more is needed than its normal approximation says.
    enough = max(least, enough + math.ceil(z * z), measured.latency.count + 1) if has_bound or over else least
    return f"{measured.latency.count} of {enough} that would do"
