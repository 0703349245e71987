"""The reports as text: Jinja2 templates over the facts, in which every value is escaped unless marked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache

from jinja2 import Environment, PackageLoader, StrictUndefined

from checks.fold import age
from checks.model import Area, Evidence, State
from checks.reports.facts import Facts, Step, answer, short_names
from checks.reports.limits import BY_NATURE, limits
from checks.reports.markdown import (
    Md,
    code,
    entry,
    escape,
    fence,
    item,
    lines_of,
    paragraph,
    quote,
    sentence,
    table,
)
from checks.signoff.policy import DECIDABLE, ORDER, allows
from checks.text import Clean, duration

NONE = Md("–")


@dataclass(frozen=True, slots=True)
class Report:
    """One rendered report."""

    text: str
    evidence: frozenset[str]
    """Ids of the evidence that its appendix shows."""


@dataclass(frozen=True, slots=True)
class Proof:
    """One piece of evidence as the appendix shows it."""

    id: str
    short: str
    seen: Evidence | None
    """None where the journal does not have it."""
    used: str
    """The checks and entries that name it."""

    @property
    def definition(self) -> Md:
        """What makes links of the brackets around its short name."""
        return Md(f"[{self.short}]: #evidence-{self.short}")


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason of the ceiling with the check that it speaks of."""

    text: Clean
    step: Step | None


@dataclass(frozen=True, slots=True)
class Walk:
    """Whether the walkthrough came through, in a word and a sentence."""

    word: str
    because: str


def utc(moment: datetime) -> str:
    """A time in UTC, to the second."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def utc_exact(moment: datetime) -> str:
    """A time in UTC, to the microsecond."""
    return f"{moment.astimezone(UTC):%Y-%m-%d %H:%M:%S.%f} UTC"


def refs(ids: Iterable[str], short: dict[str, str]) -> Md:
    """Links to pieces of evidence by their short names."""
    return Md(", ".join(f"[{short[name]}]" for name in ids) or "none was taken")


def cited(step: Step | None, short: dict[str, str]) -> Md:
    """The evidence and the entry of a check's latest result, in brackets; nothing where there is none."""
    if step is None or step.latest is None:
        return Md("")
    links = f"{refs(step.evidence, short)}; " if step.evidence else ""
    return Md(f"({links}{entry(step.latest.seq)})")


@cache
def _environment() -> Environment:
    # Not HTML: `finalize` escapes every value for Markdown, as autoescaping would for HTML.
    environment = Environment(  # noqa: S701
        loader=PackageLoader("checks.reports"),
        undefined=StrictUndefined,
        finalize=escape,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "code": code,
        "fence": fence,
        "item": item,
        "para": paragraph,
        "quote": quote,
        "duration": duration,
        "sentence": sentence,
        "utc": utc,
        "utc_exact": utc_exact,
    }
    return environment


def end_to_end(facts: Facts) -> Report:
    """The report of the walkthrough."""
    steps = facts.of(Area.WALKTHROUGH)
    run = facts.last_run(Area.WALKTHROUGH)
    bots = tuple(bot for bot in facts.bots if bot.stopped_at is None or (run and bot.run == run.id))
    ids = [name for step in steps for one in step.attempts for name in one.result.evidence]
    return render(
        "e2e.md.j2",
        facts,
        ids,
        steps=steps,
        run=run,
        judged=len(_judged_in(steps, run.id)) if run else 0,
        walk=walk(steps),
        bots=bots,
        other_bots=len(facts.bots) - len(bots),
        steps_table=_steps_table(steps),
        leftovers_table=_leftovers_table(facts),
    )


def sign_off(facts: Facts) -> Report:
    """The report of the decision, over every area."""
    snapshot = facts.snapshot
    allowed = [word for word in DECIDABLE if allows(snapshot.judgement.ceiling, word)]
    return render(
        "sign-off.md.j2",
        facts,
        [name for step in facts.steps for name in step.evidence],
        reasons=[Reason(text, _step_of(text, facts)) for text in snapshot.judgement.reasons],
        superseded=facts.decisions[:-1],
        decidable=", ".join(allowed),
        areas_table=_areas_table(facts),
        checks_table=_checks_table(facts),
    )


def render(name: str, facts: Facts, ids: Sequence[str], **more: object) -> Report:
    """The template `name` over the facts; `ids` are the evidence that its appendix shows, in order."""
    first = answer(facts.snapshot)
    lead = None if first.is_persons else _step_of(first.because, facts)
    # The first line names evidence too, wherever it is from.
    order = tuple(dict.fromkeys((*(lead.evidence if lead else ()), *ids)))
    short = short_names(order)
    decision, ceiling = facts.decision, facts.snapshot.judgement.ceiling
    text = (
        _environment()
        .get_template(name)
        .render(
            f=facts,
            s=facts.snapshot,
            answer=first,
            answer_step=lead,
            more_reasons=len(facts.snapshot.judgement.reasons) - 1 if first.is_persons else first.more,
            decision=decision,
            reasons_where="below" if name == "sign-off.md.j2" else "in the sign-off report",
            lapsed=decision is not None and ORDER.index(decision.decision.decision) > ORDER.index(ceiling),
            limits=limits(facts),
            by_nature=BY_NATURE,
            proofs=_proofs(facts, order, short),
            entry=entry,
            cited=lambda step: cited(step, short),
            refs=lambda some: refs(some, short),
            **more,
        )
    )
    return Report(_tidy(text), frozenset(name for name in order if name in facts.evidence))


def _tidy(text: str) -> str:
    """One blank line at most where a template left several, code blocks excepted; one newline at the end."""
    lines: list[str] = []
    for line, is_code in lines_of(text):
        if is_code or line.strip() or (lines and lines[-1].strip()):
            lines.append(line)
    return "\n".join(lines).rstrip("\n") + "\n"


def walk(steps: Sequence[Step]) -> Walk:
    """Only when every step passed does it work from end to end."""
    if not any(step.latest for step in steps):
        return Walk("NOT DECIDABLE", "no step was run.")
    by_state: dict[State, list[str]] = {}
    for step in steps:
        by_state.setdefault(step.state.state, []).append(step.state.id)
    passed = len(by_state.pop(State.PASS, ()))
    worst_first = sorted(by_state.items(), key=lambda pair: list(State).index(pair[0]))
    told = [f"{passed} of {len(steps)} steps passed"]
    told += [f"{len(ids)} {state.value} ({', '.join(ids)})" for state, ids in worst_first]
    word = "NO" if State.FAIL in by_state else "NOT DECIDABLE" if by_state else "YES"
    return Walk(word, f"{', '.join(told)}.")


def _judged_in(steps: Sequence[Step], run: str) -> set[str]:
    """The ids of the checks that have a result of that run."""
    return {
        one.result.id for step in steps for one in (*step.attempts, *step.earlier) if one.result.run == run
    }


def _step_of(reason: str, facts: Facts) -> Step | None:
    """The check that a reason begins with the id of."""
    return next((step for step in facts.steps if reason.startswith(f"{step.state.id} ")), None)


def _proofs(facts: Facts, ids: Sequence[str], short: dict[str, str]) -> list[Proof]:
    used: dict[str, list[str]] = {name: [] for name in ids}
    for step in facts.steps:
        for one in step.attempts:
            for name in dict.fromkeys(one.result.evidence):
                if name in used:
                    used[name].append(f"{step.state.id} ({entry(one.seq)})")
    return [Proof(name, short[name], facts.evidence.get(name), ", ".join(used[name])) for name in ids]


def _steps_table(steps: Sequence[Step]) -> Md:
    return table(
        (
            (
                step.state.id,
                step.state.state,
                duration(step.latest.result.duration_s) if step.latest else NONE,
                step.latest.seq if step.latest else NONE,
                step.state.severity,
                step.state.title,
            )
            for step in steps
        ),
        "step",
        "state",
        "took",
        "entry",
        "severity",
        "title",
    )


def _checks_table(facts: Facts) -> Md:
    return table(
        (
            (
                step.state.id,
                step.state.state,
                age(step.latest.result.started_at, facts.snapshot.at) if step.latest else NONE,
                step.latest.seq if step.latest else NONE,
                step.state.severity,
                step.state.title,
            )
            for step in facts.steps
        ),
        "check",
        "state",
        "age",
        "entry",
        "severity",
        "title",
    )


def _areas_table(facts: Facts) -> Md:
    rows = []
    for area in Area:
        tally = facts.snapshot.tally(area)
        seqs = [step.latest.seq for step in facts.of(area) if step.latest]
        told = ", ".join(f"{tally[state]} {state.value}" for state in State if state in tally)
        span = f"{min(seqs)} to {max(seqs)}" if seqs else NONE
        rows.append((area.value, told or "no checks: nothing was looked at", span))
    return table(rows, "area", "checks", "entries")


def _leftovers_table(facts: Facts) -> Md:
    marks = {run.id: run.nonce for run in facts.runs}
    rows = [
        (
            left.bot_id,
            "not counted" if left.rows is None else left.rows,
            marks.get(left.run, NONE),
            left.run,
        )
        for left in facts.snapshot.leftovers
    ]
    return table(rows, "bot id", "rows", "mark", "run")
