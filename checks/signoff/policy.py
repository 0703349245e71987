"""The decision policy as data, and the one pure function that turns a review's entries into its ceiling."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from checks.fold import CheckState, Judgement, check_states
from checks.model import Area, Ceiling, Entry, Severity, State, digest
from checks.registry import Check
from checks.text import Clean, clean

UNDECIDED = frozenset({State.NOT_RUN, State.STALE, State.INCONCLUSIVE})
"""States in which a check says neither yes nor no."""

ORDER = (Ceiling.NO_GO, Ceiling.NOT_DECIDABLE, Ceiling.CONDITIONAL, Ceiling.GO)
"""From the strictest to the laxest. A person may decide at or below the ceiling, never above."""

DECIDABLE = (Ceiling.GO, Ceiling.CONDITIONAL, Ceiling.NO_GO)
"""What a person can decide; NOT DECIDABLE is the machine's word alone."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The numbers of the decision, with the digest that every decision binds."""

    required_areas: tuple[Area, ...]
    max_age: Mapping[Area, timedelta]
    digest: str


def shipped_policy() -> Policy:
    """The policy that comes with the project (`checks/signoff/policy.toml`)."""
    import tomllib  # a screen that only needs the wording must not wait for these
    from importlib import resources

    document = tomllib.loads(resources.files("checks.signoff").joinpath("policy.toml").read_text("utf-8"))
    return Policy(
        required_areas=tuple(Area(name) for name in document["required_areas"]),
        max_age={Area(name): timedelta(hours=hours) for name, hours in document["max_age_h"].items()},
        digest=digest(document),
    )


def decide(entries: Sequence[Entry], checks: Sequence[Check], policy: Policy, now: datetime) -> Judgement:
    """The best decision that the evidence allows at `now`, with the deciding reasons first.

    Pure: the banner, the sign-off screen, `gonogo status` and the reports all call this one function.
    """
    return judge(check_states(entries, checks, policy.max_age, now), policy)


def judge(states: Sequence[CheckState], policy: Policy) -> Judgement:
    """`decide` on states that were folded already."""
    failures = [
        entry for entry in states if entry.state is State.FAIL and entry.severity is not Severity.MINOR
    ]
    blockers = [entry for entry in failures if entry.severity is Severity.BLOCKER]
    majors = [entry for entry in failures if entry.severity is Severity.MAJOR]
    open_questions = [
        entry for entry in states if entry.state in UNDECIDED and entry.severity is not Severity.MINOR
    ]
    missing = [
        clean(f"{area.value}: no evidence, nothing was looked at")
        for area in policy.required_areas
        if all(entry.state is State.NOT_RUN for entry in states if entry.area is area)
    ]
    silent = {entry.area for entry in states} - {
        entry.area for entry in states if entry.state is not State.NOT_RUN
    }
    doubts = [
        *missing,
        *(_sentence(entry) for entry in open_questions if entry.area not in silent),
    ]
    if blockers:
        return Judgement(Ceiling.NO_GO, (*map(_sentence, blockers), *map(_sentence, majors), *doubts))
    if doubts:
        return Judgement(Ceiling.NOT_DECIDABLE, (*map(_sentence, majors), *doubts))
    if majors:
        return Judgement(Ceiling.NO_GO, tuple(map(_sentence, majors)))
    return Judgement(
        Ceiling.GO, (clean(f"all {len(states)} checks have evidence and no blocker or major fails"),)
    )


def allows(ceiling: Ceiling, wanted: Ceiling) -> bool:
    """Whether a person may decide `wanted` under `ceiling`."""
    return wanted in DECIDABLE and ORDER.index(wanted) <= ORDER.index(ceiling)


def refusal(wanted: Ceiling, ceiling: Ceiling) -> Clean:
    """The beginning of the sentence that refuses `wanted`; the reasons follow."""
    return clean(f"{wanted} is refused: the evidence allows {ceiling} at best, because")


def _sentence(entry: CheckState) -> Clean:
    detail = f": {entry.result.summary}" if entry.result and entry.state is not State.STALE else ""
    if entry.doubt:
        detail = f": {entry.doubt}"
    return clean(f"{entry.id} {entry.title} ({entry.severity.value}) is {entry.state.value}{detail}")
