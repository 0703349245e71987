"""What the reports say, folded from the journal: steps, runs, bots, sessions and the decision."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from checks.fold import CheckState, Decision, Snapshot
from checks.model import Area, Ceiling, Entry, Evidence, Kind, Result, State, Verdict
from checks.reports.load_facts import Loads, loads
from checks.signoff.policy import ORDER
from checks.text import NOTHING, Clean, clean

SHORT = 12
"""Digits by which a report names a piece of evidence; more where two begin alike."""


class Source(Protocol):
    """What the reports read of a journal."""

    @property
    def path(self) -> Path:
        """The database file."""

    def entries(self, *, kinds: Collection[Kind] = (), after: int = 0) -> list[Entry]:
        """The entries of these kinds, in order."""

    def evidence(self, ids: Iterable[str]) -> dict[str, Evidence]:
        """The stored evidence with these ids."""


@dataclass(frozen=True, slots=True)
class Judged:
    """One result with the number of its entry."""

    seq: int
    result: Result


@dataclass(frozen=True, slots=True)
class Step:
    """One check with every result that the journal holds of it."""

    state: CheckState
    attempts: tuple[Judged, ...]
    """Of the run of the latest result, oldest first."""
    earlier: tuple[Judged, ...]
    """Of the runs before, oldest first."""

    @property
    def latest(self) -> Judged | None:
        """What counts; None where the check was never run. A failure counts until a PASS disproves it."""
        judged = (*self.earlier, *self.attempts)
        counting = (one for one in reversed(judged) if one.result == self.state.result)
        return next(counting, judged[-1] if judged else None)

    @property
    def evidence(self) -> tuple[str, ...]:
        """The ids of the latest result's evidence."""
        return self.latest.result.evidence if self.latest else ()


@dataclass(frozen=True, slots=True)
class RunFacts:
    """One run as its two entries tell it."""

    id: str
    seq: int
    started_at: datetime
    actor: Clean
    areas: tuple[str, ...]
    checks: tuple[str, ...]
    nonce: Clean
    quick: bool
    stepwise: bool
    gonogo: Clean
    url: Clean
    title: Clean
    ended_at: datetime | None
    interrupted: Clean
    """Why it ended early; empty where it did not, or has not ended."""


@dataclass(frozen=True, slots=True)
class BotFacts:
    """One bot that a run launched, and how it was stopped."""

    bot_id: Clean
    run: str
    seq: int
    launched_at: datetime
    stopped_at: datetime | None
    """None where no end is recorded."""
    stopped_seq: int
    how: Clean


@dataclass(frozen=True, slots=True)
class Instrument:
    """What gonogo ran on: version, interpreter and host, and in how many sessions."""

    gonogo: Clean
    python: Clean
    host: Clean
    sessions: int
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Change:
    """A check whose verdict is another one now than when the decision was made."""

    id: str
    then: str
    now: Verdict
    seq: int


@dataclass(frozen=True, slots=True)
class DecisionFacts:
    """A decision with what it was made on, and what was recorded after it."""

    decision: Decision
    head_seq: int
    head_hash: str
    policy: str
    results_since: int
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class Monitored:
    """What the checks of monitoring rested on, as the journal has it."""

    seq: int
    at: datetime
    body: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that one set of reports says."""

    snapshot: Snapshot
    now: datetime
    journal: Path
    policy: str
    steps: tuple[Step, ...]
    runs: tuple[RunFacts, ...]
    bots: tuple[BotFacts, ...]
    instruments: tuple[Instrument, ...]
    """The last used first."""
    decisions: tuple[DecisionFacts, ...]
    """The one in force last."""
    evidence: dict[str, Evidence]
    """By id, as far as the journal has it."""
    loads: Loads
    monitored: Monitored | None = None
    """The newest; None where the checks of monitoring never ran."""

    @property
    def looked_at(self) -> tuple[RunFacts, ...]:
        """The runs whose results count, oldest first."""
        used = {step.latest.result.run for step in self.steps if step.latest}
        return tuple(run for run in self.runs if run.id in used)

    @property
    def title(self) -> Clean:
        """What the reports are about: the target of the last run whose results count."""
        return self.looked_at[-1].title if self.looked_at else self.snapshot.target

    @property
    def url(self) -> Clean:
        """The address of that target."""
        return self.looked_at[-1].url if self.looked_at else self.snapshot.url

    @property
    def decision(self) -> DecisionFacts | None:
        """The decision in force."""
        return self.decisions[-1] if self.decisions else None

    def of(self, area: Area) -> tuple[Step, ...]:
        """The steps of one area, in order."""
        return tuple(step for step in self.steps if step.state.area is area)

    def last_run(self, area: Area) -> RunFacts | None:
        """The last run that covered `area`."""
        return next((run for run in reversed(self.runs) if area.value in run.areas), None)


def gather(journal: Source, snapshot: Snapshot, *, policy: str, now: datetime) -> Facts:
    """Fold the journal up to the snapshot's head."""
    by_kind: dict[Kind, list[Entry]] = {kind: [] for kind in Kind}
    for entry in journal.entries():
        if entry.seq <= snapshot.head_seq:
            by_kind[entry.kind].append(entry)
    judged = [Judged(entry.seq, Result.from_document(entry.body)) for entry in by_kind[Kind.RESULT]]
    by_check: dict[str, list[Judged]] = {}
    for one in judged:
        by_check.setdefault(one.result.id, []).append(one)
    steps = tuple(_step(state, by_check.get(state.id, [])) for state in snapshot.checks)
    ids = (name for step in steps for one in step.attempts for name in one.result.evidence)
    return Facts(
        snapshot=snapshot,
        now=now,
        journal=journal.path,
        policy=policy,
        steps=steps,
        runs=_runs(by_kind[Kind.RUN_STARTED], by_kind[Kind.RUN_FINISHED]),
        bots=_bots(by_kind[Kind.LAUNCHING], by_kind[Kind.STOPPED]),
        instruments=_instruments(by_kind[Kind.SESSION_OPENED]),
        decisions=tuple(_decision(entry, judged) for entry in by_kind[Kind.DECISION]),
        evidence=journal.evidence(list(dict.fromkeys(ids))),
        loads=loads(by_kind[Kind.LOAD_RUN], by_kind[Kind.LOAD_SECOND]),
        monitored=_monitored(by_kind[Kind.MONITORED]),
    )


def _monitored(entries: Sequence[Entry]) -> Monitored | None:
    return Monitored(entries[-1].seq, entries[-1].at, entries[-1].body) if entries else None


def _step(state: CheckState, own: Sequence[Judged]) -> Step:
    run = own[-1].result.run if own else ""
    return Step(
        state,
        tuple(one for one in own if one.result.run == run),
        tuple(one for one in own if one.result.run != run),
    )


def _runs(started: Sequence[Entry], finished: Sequence[Entry]) -> tuple[RunFacts, ...]:
    ends = {entry.subject: entry for entry in finished}
    found = []
    for entry in started:
        body, end = entry.body, ends.get(entry.subject)
        about = body.get("target", {})
        found.append(
            RunFacts(
                id=entry.subject,
                seq=entry.seq,
                started_at=entry.at,
                actor=clean(entry.actor),
                areas=tuple(body.get("areas", ())),
                checks=tuple(body.get("checks", ())),
                nonce=clean(body.get("nonce", "")),
                quick=bool(body.get("quick")),
                stepwise=bool(body.get("stepwise")),
                gonogo=clean(body.get("gonogo", "")),
                url=clean(about.get("url", "")),
                title=clean(about.get("title", "")),
                ended_at=end.at if end else None,
                interrupted=clean(end.body.get("interrupted", "")) if end else NOTHING,
            )
        )
    return tuple(found)


def _bots(launching: Sequence[Entry], stopped: Sequence[Entry]) -> tuple[BotFacts, ...]:
    found: dict[int, BotFacts] = {}
    running: dict[str, int] = {}
    for entry in sorted((*launching, *stopped), key=lambda one: one.seq):
        if entry.kind is Kind.LAUNCHING:
            running[entry.subject] = entry.seq
            run = str(entry.body.get("run", ""))
            found[entry.seq] = BotFacts(clean(entry.subject), run, entry.seq, entry.at, None, 0, NOTHING)
        elif entry.subject in running:
            seq = running[entry.subject]
            how = clean(entry.body.get("how", ""))
            found[seq] = replace(found[seq], stopped_at=entry.at, stopped_seq=entry.seq, how=how)
    return tuple(found.values())


def _instruments(sessions: Sequence[Entry]) -> tuple[Instrument, ...]:
    found: dict[tuple[Clean, Clean, Clean], Instrument] = {}
    for entry in sessions:
        key = (
            clean(entry.body.get("gonogo", "")),
            clean(entry.body.get("python", "")),
            clean(entry.body.get("host", "")),
        )
        count = found[key].sessions if key in found else 0
        found[key] = Instrument(*key, sessions=count + 1, last_at=entry.at)
    return tuple(sorted(found.values(), key=lambda one: one.last_at, reverse=True))


def _decision(entry: Entry, judged: Sequence[Judged]) -> DecisionFacts:
    body = entry.body
    then = {one.result.id: one for one in judged if one.seq < entry.seq}
    since = [one for one in judged if one.seq > entry.seq]
    now = {one.result.id: one for one in since}
    return DecisionFacts(
        decision=Decision(
            decision=Ceiling(body["decision"]),
            ceiling=Ceiling(body["ceiling"]),
            because=clean(body["because"]),
            actor=clean(entry.actor),
            at=entry.at,
            seq=entry.seq,
        ),
        head_seq=int(body.get("head_seq", 0)),
        head_hash=str(body.get("head_hash", "")),
        policy=str(body.get("policy", "")),
        results_since=len(since),
        changes=tuple(
            Change(name, _verdict(then.get(name)), one.result.verdict, one.seq)
            for name, one in now.items()
            if _verdict(then.get(name)) != one.result.verdict
        ),
    )


def _verdict(judged: Judged | None) -> str:
    return judged.result.verdict.value if judged else State.NOT_RUN.value


@dataclass(frozen=True, slots=True)
class Answer:
    """What the first line of a report says."""

    word: str
    because: Clean
    more: int = 0
    """How many further reasons there are."""
    is_persons: bool = False
    """Whether a person was stricter than the evidence asked for."""


def answer(snapshot: Snapshot) -> Answer:
    """Is it production-ready? The stricter of what the evidence allows now and what a person decided."""
    ceiling, reasons = snapshot.judgement.ceiling, snapshot.judgement.reasons
    decision = snapshot.decision
    if decision and ORDER.index(decision.decision) < ORDER.index(ceiling):
        return Answer(decision.decision.value, decision.because, is_persons=True)
    if decision is None and ceiling in (Ceiling.GO, Ceiling.CONDITIONAL):
        return Answer("NOT DECIDED", clean(f"the evidence allows {ceiling}, and nobody has decided yet"))
    return Answer(ceiling.value, reasons[0], len(reasons) - 1)


def short_names(ids: Iterable[str]) -> dict[str, str]:
    """Each id with the shortest beginning, of at least `SHORT` digits, that tells it from the others."""
    known = sorted(set(ids))
    length = SHORT
    while len({name[:length] for name in known}) < len(known):
        length += 1
    return {name: name[:length] for name in known}
