"""What the checks of monitoring share: their decorator, how a threshold is judged, how it is shown as evidence."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from checks.context import Context
from checks.model import (
    Area,
    Evidence,
    Outcome,
    Reason,
    Safety,
    Severity,
    Subject,
    failed,
    inconclusive,
    passed,
)
from checks.monitoring.judging.gathering import Gathered
from checks.monitoring.model import Comparison, Reading, Threshold
from checks.monitoring.signals import SIGNALS
from checks.registry import check
from checks.text import clean

WITHIN_S = 45.0
LONGEST_FOR_S = 300.0
"""A limit that has to be broken for longer than five minutes is told too late (mission task 5)."""
LONGEST_NO_DATA_S = 180.0
LONGEST_WINDOW_S = 900.0
"""Over a longer window, what is bad now is hidden by what was good before."""
MOST_LEAST_EVENTS = 1000
"""A rule that asks for more events than that sleeps through most nights."""
LESS_IS_BAD = ("up", "days")
"""Units of signals of which too little is bad; of all others it is too much."""
Function = Callable[[Context], Awaitable[Outcome]]


def monitoring(
    id: str,  # noqa: A002
    title: str,
    *,
    subject: Subject,
    severity: Severity,
    sends: str,
    why: str,
    fix: str,
    reference: str,
) -> Callable[[Function], Function]:
    """Register the decorated coroutine function as a check of monitoring. Raises ValueError when the id is taken."""
    return check(
        id,
        title,
        area=Area.MONITORING,
        severity=severity,
        safety=Safety.READ_ONLY,
        sends=sends,
        why=why,
        reference=reference,
        subject=subject,
        fix=fix,
        within_s=WITHIN_S,
    )


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a watched limit has to be at least, by the name of its signal."""

    signal: str
    limit: float
    """The laxest limit that will do."""
    longest_s: float = LONGEST_FOR_S
    needs_events: bool = False
    """Whether the reading must rest on events: a rate of nothing proves nothing."""


def strictest(found: Gathered, signal: str) -> Threshold | None:
    """The threshold that watches `signal` most strictly; None where none does."""
    on = [one for one in found.thresholds if one.signal == signal and one.is_on]
    if not on:
        return None
    is_upper = on[0].comparison in (Comparison.ABOVE, Comparison.AT_LEAST)
    return min(on, key=lambda one: one.limit if is_upper else -one.limit)


def judged(found: Gathered, wanted: Sequence[Wanted], context: Context) -> Outcome:
    """Whether each wanted limit is watched, strict enough, tested and live."""
    wrong, unknown, told, expected = list[str](), list[str](), list[str](), list[str]()
    evidence: list[Evidence] = []
    is_live = False
    for want in wanted:
        signal = SIGNALS[want.signal]
        expected.append(
            f"{signal.title} at {want.limit:g} {signal.unit} within {want.longest_s:g} s".replace("  ", " ")
        )
        threshold = strictest(found, want.signal)
        if threshold is None:
            wrong.append(f"{signal.title} is not watched: it is switched off, or has no threshold")
            continue
        reading = found.newest(threshold.name)
        evidence.append(shown(threshold, reading, found, context))
        if not reading.applies:
            told.append(f"{signal.title} does not apply here")
            continue
        wrong += _lax(threshold, want)
        if problem := found.tests[threshold.name].problem:
            wrong.append(f"{threshold.title}: {problem}")
        if reading.is_missing:
            unknown.append(f"{signal.title} has no value: {reading.problem or 'nothing was answered'}")
        elif want.needs_events and not reading.events:
            unknown.append(
                f"{signal.title} rests on no request: nothing of our own traffic was counted by {reading.source}"
            )
        else:
            is_live = True
            told.append(f"{signal.title} {value(threshold, reading)} ({reading.source})")
    observed, all_hoped = "; ".join(told), "; ".join(expected)
    if wrong:
        return failed(". ".join(wrong), observed=observed, expected=all_hoped, evidence=evidence)
    if unknown:
        return inconclusive(
            Reason.NO_SOURCE, ". ".join(unknown), observed=observed, expected=all_hoped, evidence=evidence
        )
    if not is_live:  # what does not apply was not looked at either
        return inconclusive(
            Reason.NO_SOURCE,
            f"Nothing of it can be seen here: {observed}; name what the target has in the profile",
            observed=observed,
            expected=all_hoped,
            evidence=evidence,
        )
    return passed(
        f"Watched, tested and live: {observed}", observed=observed, expected=all_hoped, evidence=evidence
    )


def _lax(threshold: Threshold, want: Wanted) -> list[str]:
    signal, wrong = SIGNALS[threshold.signal], []
    is_upper = threshold.comparison in (Comparison.ABOVE, Comparison.AT_LEAST)
    if is_upper is (signal.unit in LESS_IS_BAD):
        return [
            f"{threshold.title} fires on the wrong side of its limit: {threshold.comparison.value} {threshold.limit:g}"
        ]
    if threshold.window_s > LONGEST_WINDOW_S:
        wrong.append(
            f"{threshold.title} is computed over {threshold.window_s:g} s, more than {LONGEST_WINDOW_S:g} s"
        )
    if threshold.least_events > MOST_LEAST_EVENTS:
        wrong.append(
            f"{threshold.title} asks for {threshold.least_events} events, more than {MOST_LEAST_EVENTS}"
        )
    too_lax = threshold.limit > want.limit if is_upper else threshold.limit < want.limit
    if too_lax:
        wrong.append(
            f"{threshold.title} is told at {threshold.limit:g} {signal.unit} only, not at {want.limit:g}".replace(
                "  ", " "
            )
        )
    if threshold.for_s > want.longest_s:
        wrong.append(
            f"{threshold.title} is told after {threshold.for_s:g} s only, not within {want.longest_s:g} s"
        )
    return wrong


def value(threshold: Threshold, reading: Reading) -> str:
    """A reading with its unit and the events that it rests on."""
    if reading.value is None:
        return "no value"
    unit = SIGNALS[threshold.signal].unit
    if unit == "up":
        return "answers" if reading.value >= 1 else "does not answer"
    events = f" of {reading.events:.0f} events" if reading.events is not None else ""
    return f"{reading.value:.4g} {unit}".strip() + events


def shown(threshold: Threshold, reading: Reading, found: Gathered, context: Context) -> Evidence:
    """One threshold, its newest reading and its rule test as evidence."""
    test = found.tests.get(threshold.name)
    lines = [
        f"threshold  {threshold.name}: {threshold.signal} {threshold.comparison.value} {threshold.limit:g}",
        f"window     {threshold.window_s:g} s, for {threshold.for_s:g} s, at least {threshold.least_events} events",
        f"severity   {threshold.severity.value}",
        f"origin     {threshold.origin}",
        f"changed    {found.edited.get(threshold.name) or 'as in the profile'}",
        f"reading    {value(threshold, reading)}, from {reading.source or 'nowhere'}",
    ]
    if reading.problem:
        lines.append(f"problem    {reading.problem}")
    if test:
        quiet = "fired" if test.quiet_fired else "stayed quiet"
        lines += [
            f"tested     {test.breaking:g} fired after {test.fired_after_s} s, over after {test.resolved_after_s} s",
            f"           {test.allowed:g} {quiet}; missing data was told after {test.no_data_after_s} s",
        ]
    return Evidence(
        kind="note",
        title=clean(f"Threshold {threshold.name}: {value(threshold, reading)}"),
        body=clean("\n".join(lines)),
        command=clean(""),
        captured_at=context.now(),
    )


def note(title: str, lines: Sequence[str], context: Context) -> Evidence:
    """Lines of text as evidence."""
    return Evidence("note", clean(title), clean("\n".join(lines)), clean(""), context.now())
