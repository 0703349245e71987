"""The fold: what the journal's entries amount to now. Screens, reports and exit codes read nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from checks.load.model import LoadRun
from checks.model import (
    Area,
    Ceiling,
    Entry,
    Kind,
    Result,
    Severity,
    State,
    Subject,
    Verdict,
    parse_stamp,
)
from checks.registry import Check
from checks.text import Clean, clean


@dataclass(frozen=True, slots=True)
class CheckState:
    """One check and what the journal knows of it."""

    id: str
    title: str
    area: Area
    severity: Severity
    state: State
    result: Result | None
    """The latest one; None where the check was never run."""
    subject: Subject = Subject.NONE
    why: str = ""
    fix: str = ""
    doubt: Clean = Clean("")  # noqa: RUF009
    """Why the check is not trusted on this host; empty where it is, or was not put to the test."""
    scenario: str = ""
    """Name of the load scenario that it judges; empty for every other check."""

    @property
    def counts_as_passed(self) -> bool:
        """Only PASS does."""
        return self.state is State.PASS


@dataclass(frozen=True, slots=True)
class Judgement:
    """The ceiling and why it is that, the deciding reasons first."""

    ceiling: Ceiling
    reasons: tuple[Clean, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """What a person decided, and what the machine allowed at that moment."""

    decision: Ceiling
    ceiling: Ceiling
    because: Clean
    actor: Clean
    at: datetime
    seq: int


@dataclass(frozen=True, slots=True)
class Leftover:
    """Rows that a run had to leave in the target's database, by their marked bot id."""

    bot_id: Clean
    rows: int | None
    """None where they could not be counted."""
    run: str


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One immutable picture of a review; everything that a screen or a report may say."""

    review: str
    target: Clean
    url: Clean
    lead: Clean
    at: datetime
    head_seq: int
    head_hash: str
    checks: tuple[CheckState, ...]
    judgement: Judgement
    decision: Decision | None
    interrupted: tuple[Clean, ...]
    """A sentence for each run that was cut short after the last complete one."""
    leftovers: tuple[Leftover, ...]
    read_only: bool = False
    holder: Clean = Clean("")  # noqa: RUF009
    """Who else has the review open for writing; empty where nobody has."""
    loads: tuple[LoadRun, ...] = ()
    """The newest load run of each scenario, in the order in which they were made."""

    def of(self, area: Area) -> tuple[CheckState, ...]:
        """The checks of one area, in order."""
        return tuple(entry for entry in self.checks if entry.area is area)

    def tally(self, area: Area | None = None) -> dict[State, int]:
        """How many checks are in each state."""
        counts: dict[State, int] = {}
        for entry in self.checks:
            if area is None or entry.area is area:
                counts[entry.state] = counts.get(entry.state, 0) + 1
        return counts


def cannot_write(what: str, holder: str) -> Clean:
    """Why a read-only review takes nothing, and what to do; `holder` is who has it open for writing."""
    if not holder:
        return clean(f"Cannot {what}: this review was opened read-only.")
    return clean(
        f"Cannot {what}: this review is open for writing elsewhere ({holder}); close it there first."
    )


def latest(entries: Iterable[Entry], kind: Kind) -> dict[str, Entry]:
    """The last entry of `kind` for each subject."""
    return {entry.subject: entry for entry in entries if entry.kind is kind}


def in_force(entries: Iterable[Entry]) -> dict[str, Entry]:
    """The result that counts for each check: the last one, but for a failure that was not disproved.

    Only a PASS heals a FAIL: what could not be judged later, or was skipped, leaves it standing.
    """
    found: dict[str, Entry] = {}
    for entry in entries:
        if entry.kind is Kind.RESULT:
            standing = found.get(entry.subject)
            is_open = standing is not None and standing.body["verdict"] == Verdict.FAIL
            if not (is_open and entry.body["verdict"] == Verdict.INCONCLUSIVE):
                found[entry.subject] = entry
    return found


def fold_key(entry: Entry) -> tuple[str, str, bool]:
    """Entries of one key supersede each other: one that was not judged leaves standing what was judged before."""
    is_unjudged = entry.kind is Kind.RESULT and entry.body["verdict"] == Verdict.INCONCLUSIVE
    return entry.kind.value, entry.subject, is_unjudged


def check_states(
    entries: Sequence[Entry], checks: Iterable[Check], max_age: Mapping[Area, timedelta], now: datetime
) -> tuple[CheckState, ...]:
    """What the entries (in order of `seq`) say of each check; older than `max_age` of its area is STALE."""
    results, tests = in_force(entries), latest(entries, Kind.SELF_TEST)
    states = []
    for check in checks:
        entry, test = results.get(check.id), tests.get(check.id)
        result = Result.from_document(entry.body) if entry else None
        doubt = clean(test.body["doubt"]) if test else Clean("")
        state = _state(result, max_age, now)
        if (
            doubt and state is State.PASS
        ):  # whoever lets its bad case through has not shown that this one is good
            state = State.INCONCLUSIVE
        states.append(
            CheckState(
                *(check.id, check.title, check.area, check.severity, state, result),
                subject=check.subject,
                why=check.why,
                fix=check.fix,
                doubt=doubt,
                scenario=check.scenario,
            )
        )
    return tuple(states)


def _state(result: Result | None, max_age: Mapping[Area, timedelta], now: datetime) -> State:
    if result is None:
        return State.NOT_RUN
    # A failure does not heal by growing old: only what would help the decision goes stale.
    if result.verdict is not Verdict.FAIL and now - result.started_at > max_age[result.area]:
        return State.STALE
    return State(result.verdict.value)


def last_decision(entries: Iterable[Entry]) -> Decision | None:
    """The decision in force: the last one recorded."""
    found = None
    for entry in entries:
        if entry.kind is Kind.DECISION:
            found = Decision(
                decision=Ceiling(entry.body["decision"]),
                ceiling=Ceiling(entry.body["ceiling"]),
                because=clean(entry.body["because"]),
                actor=clean(entry.actor),
                at=entry.at,
                seq=entry.seq,
            )
    return found


def interruptions(entries: Sequence[Entry]) -> tuple[Clean, ...]:
    """A sentence for each run that did not end by itself, since the last one that did."""
    started, finished = latest(entries, Kind.RUN_STARTED), latest(entries, Kind.RUN_FINISHED)
    told: list[tuple[int, Clean]] = []
    complete = 0
    for run, entry in started.items():
        end = finished.get(run)
        when = f"{entry.at:%Y-%m-%d %H:%M:%S}Z"
        if end is None:
            told.append((entry.seq, clean(f"The run of {when} has no end recorded.")))
        elif why := end.body.get("interrupted"):
            told.append((entry.seq, clean(f"The run of {when} was interrupted: {why}.")))
        else:
            complete = max(complete, entry.seq)
    return tuple(sentence for seq, sentence in told if seq > complete)


def leftovers(entries: Iterable[Entry]) -> tuple[Leftover, ...]:
    """Everything that runs had to leave behind in the target, as far as it was recorded."""
    return tuple(
        Leftover(clean(row["bot_id"]), row["rows"], entry.subject)
        for entry in latest(entries, Kind.LEFTOVER).values()
        for row in entry.body["bots"]
    )


def loads(entries: Iterable[Entry]) -> tuple[LoadRun, ...]:
    """The newest load run of each scenario."""
    found = latest(entries, Kind.LOAD_RUN).values()
    if not found:
        return ()
    from checks.load.records import load_run  # a screen that shows none must not wait for it

    return tuple(load_run(entry.body) for entry in found)


def age(moment: datetime | str, now: datetime) -> str:
    """How long ago, in the largest two units: `3 d 4 h`, `12 min`, `8 s`."""
    if isinstance(moment, str):
        moment = parse_stamp(moment)
    seconds = max(0, int((now - moment).total_seconds()))
    days, hours, minutes = seconds // 86400, seconds // 3600 % 24, seconds // 60 % 60
    if days:
        return f"{days} d {hours} h"
    if hours:
        return f"{hours} h {minutes} min"
    return f"{minutes} min" if minutes else f"{seconds} s"
