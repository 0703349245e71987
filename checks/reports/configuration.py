"""The report of the audit: is production configured correctly, what is not, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from checks.model import Area, Reason, Severity, State, Subject
from checks.reports.facts import Facts, Step
from checks.reports.markdown import Md, table
from checks.reports.render import NONE, Report, render
from checks.text import Clean

WORST_FIRST = tuple(Severity)
UNREAD = (Reason.NO_SOURCE, Reason.NO_RIGHT)


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether production is configured correctly, in a word and a sentence."""

    word: str
    because: str


@dataclass(frozen=True, slots=True)
class Unread:
    """A source that could not be read, and the checks that wait for it."""

    sentence: Clean
    checks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """The checks of one subject."""

    subject: Subject
    steps: tuple[Step, ...]
    table: Md


def configuration(facts: Facts) -> Report:
    """The report of the audit."""
    steps = facts.of(Area.AUDIT)
    failures = sorted(
        (step for step in steps if step.state.state is State.FAIL),
        key=lambda step: WORST_FIRST.index(step.state.severity),
    )
    unread = unread_sources(steps)
    waiting = {name for source in unread for name in source.checks}
    return render(
        "configuration.md.j2",
        facts,
        [name for step in (*failures, *steps) for name in step.evidence],
        steps=steps,
        verdict=verdict(steps),
        looked_at=any(step.latest for step in steps),
        run=facts.last_run(Area.AUDIT),
        failures=failures,
        unread=unread,
        unjudged=[
            step for step in steps if step.state.state is State.INCONCLUSIVE and step.state.id not in waiting
        ],
        groups=groups(steps),
        doubted=[step for step in steps if step.state.doubt],
    )


def verdict(steps: Sequence[Step]) -> Verdict:
    """YES only when every check passed or does not apply; a minor failure alone is told and does not deny it."""
    if not any(step.latest for step in steps):
        return Verdict("NOT DECIDABLE", "nothing was looked at.")
    counts: dict[State, list[Step]] = {}
    for step in steps:
        counts.setdefault(step.state.state, []).append(step)
    told = [f"{len(counts.get(State.PASS, ()))} of {len(steps)} checks passed"]
    for state in (State.FAIL, State.INCONCLUSIVE, State.STALE, State.NOT_RUN, State.WAIVED, State.NA):
        if found := counts.get(state):
            told.append(f"{len(found)} {state.value}{_weights(found) if state is State.FAIL else ''}")
    word = "YES"
    if any(counts.get(state) for state in (State.INCONCLUSIVE, State.STALE, State.NOT_RUN)):
        word = "NOT DECIDABLE"
    if any(step.state.severity is not Severity.MINOR for step in counts.get(State.FAIL, ())):
        word = "NO"
    return Verdict(word, f"{', '.join(told)}.")


def _weights(steps: Iterable[Step]) -> str:
    found = [step.state.severity for step in steps]
    told = [f"{found.count(one)} {one.value}" for one in WORST_FIRST if one in found]
    return f" ({', '.join(told)})"


def unread_sources(steps: Iterable[Step]) -> tuple[Unread, ...]:
    """The sentences of what could not be read, each once, with the checks that say so."""
    found: dict[Clean, list[str]] = {}
    for step in steps:
        result = step.latest.result if step.latest else None
        if result and step.state.state is State.INCONCLUSIVE and result.reason in UNREAD:
            found.setdefault(result.summary, []).append(step.state.id)
    return tuple(Unread(sentence, tuple(checks)) for sentence, checks in found.items())


def groups(steps: Sequence[Step]) -> tuple[Group, ...]:
    """The checks by subject, in the order of the subjects."""
    found = []
    for subject in Subject:
        if own := tuple(step for step in steps if step.state.subject is subject):
            found.append(Group(subject, own, _table(own)))
    return tuple(found)


def _table(steps: Sequence[Step]) -> Md:
    return table(
        (
            (
                step.state.id,
                step.state.state,
                step.latest.seq if step.latest else NONE,
                step.state.severity,
                step.state.title,
            )
            for step in steps
        ),
        "check",
        "state",
        "entry",
        "severity",
        "title",
    )
