"""The report of the load runs: what was carried, what broke, how far the limit is, and what the numbers do not show."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from checks.fold import age
from checks.load.model import LoadRun
from checks.load.scenarios.shipped import shipped
from checks.model import Area, Severity, State
from checks.reports import load_tables as tables
from checks.reports import load_words as words
from checks.reports.facts import Facts, RunFacts, Step
from checks.reports.limits import is_on_this_host
from checks.reports.load_facts import LoadFacts, Unjudged
from checks.reports.load_words import DASH
from checks.reports.manifest import LOG_ENDING, is_report
from checks.reports.markdown import Md, code, table
from checks.reports.render import Report, render
from checks.text import Clean, clean, one_line

NOT_RUN = State.NOT_RUN.value
OPEN = (State.INCONCLUSIVE.value, State.STALE.value, NOT_RUN)
BY_NATURE = (
    "Synthetic users are more regular than people: they send texts of one length, in one language, from one place.",
    (
        "What a reply costs depends on what stands behind the controller. These figures hold for the bots that "
        "answered here; a bot that asks a language model is slower, has limits of its own, and may answer "
        "from elsewhere."
    ),
    "Whether a reply is a good answer was not judged, only that it came, in time, and to the right message.",
)


@dataclass(frozen=True, slots=True)
class Told:
    """One scenario as the report tells it."""

    name: Clean
    title: Clean
    check: str
    """Id of its check; empty where this review has none."""
    state: str
    severity: Severity
    because: Clean
    """What made the state, without a full stop."""
    step: Step | None
    load: LoadFacts | None
    """The run whose figures are told: that of the result that counts."""
    others: tuple[LoadFacts, ...]
    """Runs after it that do not count in its place."""
    cut_off: tuple[Unjudged, ...]
    run: RunFacts | None
    is_soak: bool = False

    @property
    def label(self) -> str:
        """How tables name it."""
        return self.check or self.name


@dataclass(frozen=True, slots=True)
class Carries:
    """Whether it carries the load, in a word and a sentence."""

    word: str
    because: str


def load_test(facts: Facts) -> Report:
    """The report of the load runs."""
    told = scenarios(facts)
    ran = [one for one in told if one.load]
    return render(
        "load.md.j2",
        facts,
        [name for one in told if one.step for name in one.step.evidence],
        told=told,
        carries=carries(told),
        capacity=next((one for one in told if one.load and one.load.run.scenario.is_capacity), None),
        speed_table=_speed(told),
        rest_table=_rest(ran),
        ran=ran,
        hidden=list(hidden(facts, told)),
        nature=BY_NATURE,
        log_names=Md(", ".join(map(code, sorted(logs(facts))))),
        words=words,
        tables=tables,
        fences=lambda one: list(tables.charts(one.run, one.seconds)),
        before=lambda one: _before(one, facts),
    )


def scenarios(facts: Facts) -> tuple[Told, ...]:
    """Every scenario that ships, run or not, and every other one that the journal has a run of."""
    steps = {step.state.id: step for step in facts.of(Area.LOAD)}
    names = [*shipped(), *(one.run.scenario.name for one in facts.loads.judged)]
    return tuple(_told(name, steps, facts) for name in dict.fromkeys(names))


def _told(name: str, steps: dict[str, Step], facts: Facts) -> Told:
    known, runs = shipped().get(name), facts.loads.of(name)
    step = steps.get(known.id) if known else None
    load = _counting(step, runs)
    cut_off = facts.loads.cut_off(name)
    is_soak = bool(known and known.scenario.is_soak)
    state = _state(step, load)
    scenario = load.run.scenario if load else known.scenario if known else runs[-1].run.scenario
    return Told(
        name=one_line(name, 60),
        title=one_line(scenario.title, 120),
        check=known.id if known and step else "",
        state=state,
        severity=known.severity if known else Severity.MAJOR,
        because=clean(_because(step, load, cut_off, facts, is_soak=is_soak)),
        step=step,
        load=load,
        others=tuple(one for one in runs if load is None or one.seq > load.seq),
        cut_off=cut_off,
        run=next((run for run in facts.runs if load and run.id == load.run.run), None),
        is_soak=is_soak,
    )


def _counting(step: Step | None, runs: Sequence[LoadFacts]) -> LoadFacts | None:
    """The run behind the result that counts; without a check, the newest."""
    if step is None or step.latest is None:
        return runs[-1] if runs else None
    own = [one for one in runs if one.run.run == step.latest.result.run and one.seq < step.latest.seq]
    return own[-1] if own else None


def _state(step: Step | None, load: LoadFacts | None) -> str:
    if step is not None and step.latest is not None:
        return step.state.state.value
    return load.run.verdict.value if load else NOT_RUN


def _because(
    step: Step | None, load: LoadFacts | None, cut_off: Sequence[Unjudged], facts: Facts, *, is_soak: bool
) -> str:
    if step is not None and step.latest is not None:
        if step.state.doubt:
            return step.state.doubt
        if step.state.state is State.STALE:
            result = step.latest.result
            return f"its result ({result.verdict}) is {age(result.started_at, facts.snapshot.at)} old"
        if load is None:
            return step.latest.result.summary.rstrip(".")
    if load is not None:
        return words.decided_by(load.run)
    if cut_off:
        last = cut_off[-1]
        return (
            f"a run of it was cut off after {last.seconds} seconds and never judged (entry {last.last_seq})"
        )
    return "it is only run when it is asked for by name" if is_soak else "it was never run"


def carries(told: Sequence[Told]) -> Carries:
    """YES only when every scenario passed; the soak may be left out, and a minor failure alone does not deny it."""
    if all(one.state == NOT_RUN for one in told):
        return Carries("NOT DECIDABLE", "no load was put on it.")
    counts: dict[str, int] = {}
    for one in told:
        counts[one.state] = counts.get(one.state, 0) + 1
    parts = [f"{counts.pop(State.PASS.value, 0)} of {len(told)} scenarios passed"]
    parts += [f"{counts[state.value]} {state.value}" for state in State if state.value in counts]
    word = "YES"
    if any(one.state in OPEN and not (one.is_soak and one.state == NOT_RUN) for one in told):
        word = "NOT DECIDABLE"
    if any(one.state == State.FAIL.value and one.severity is not Severity.MINOR for one in told):
        word = "NO"
    searches = (one.load.run.capacity for one in told if one.load)
    found = next((one for one in searches if one is not None), None)
    limit = (
        words.headroom(found) if found else "how far its limit is, is not known: no capacity search was run"
    )
    return Carries(word, f"{', '.join(parts)}. Capacity: {limit}.")


def _speed(told: Sequence[Told]) -> Md:
    rows = []
    for one in told:
        run = one.load.run if one.load else None
        if run is None:
            rows.append((one.label, one.state, *(DASH,) * 6))
            continue
        p50, p95, p99, most = words.times(run.latency)
        if run.latency.count:
            p95 = words.with_interval(run.p95)
        achieved = words.rate(run.throughput_per_s)
        rows.append((one.label, one.state, words.asked(run.scenario), achieved, p50, p95, p99, most))
    return table(rows, "scenario", "state", "asked", "achieved", "p50", "p95 (95 % interval)", "p99", "max")


def _rest(ran: Sequence[Told]) -> Md:
    rows = []
    for one in ran:
        assert one.load
        run = one.load.run
        peak = run.peak
        memory = words.mebibytes(peak.memory_bytes if peak.pss_bytes is None else peak.pss_bytes)
        if peak.memory_percent is not None:
            memory = f"{memory} ({peak.memory_percent:.1f} %)"
        wrong = run.accounting
        lost = DASH if wrong.problem else wrong.lost + wrong.lost_in_history
        crossed = DASH if wrong.problem else f"{wrong.doubled} / {wrong.swapped}"
        rows.append((one.label, words.errors(run), lost, crossed, words.percent(peak.cpu_percent), memory))
    return table(rows, "scenario", "errors (Wilson, 95 %)", "lost", "doubled / swapped", "CPU", "memory")


def _before(one: LoadFacts, facts: Facts) -> LoadFacts | None:
    """The run that it was compared with."""
    earlier = [
        other for other in facts.loads.judged if other.run.id == one.run.before_id and other.seq < one.seq
    ]
    return earlier[-1] if earlier else None


def hidden(facts: Facts, told: Sequence[Told]) -> Iterator[str]:
    """What the numbers do not show, the concrete first."""
    for one in told:
        if one.state == NOT_RUN and not one.is_soak:
            yield f"{one.label} {one.title} was not run: {one.because}."
        elif one.load and one.load.run.stopped:
            yield f"{one.label} {one.title} ended early; its figures are those of the part that was run."
    if not any(one.load and one.load.run.scenario.is_soak for one in told):
        yield "No soak was run: nothing here shows what grows over hours, such as a leak, or what runs at night."
    ran = [one.load.run for one in told if one.load]
    if ran:
        yield from _shared(facts, ran)
    for note, labels in _notes(told).items():
        yield f"{note.rstrip('.')} ({', '.join(labels)})."
    unseen = [one.label for one in told if one.load and one.load.run.peak.cpu_percent is None]
    if unseen:
        yield f"The target's processes could not be seen in {', '.join(unseen)}: its CPU and memory are not known."


def _shared(facts: Facts, ran: Sequence[LoadRun]) -> Iterator[str]:
    if not is_on_this_host(facts.url):
        yield "The way between this host and the target is part of every response time; it was not measured apart."
        return
    most = max(run.generator.worst_cpu_percent for run in ran)
    own = max((run.peak.console_cpu_percent or 0.0 for run in ran), default=0.0)
    console = f", and gonogo itself up to {words.percent(own)} in a second" if own else ""
    yield (
        f"The generator ran on the target's own host and shared its CPUs: it took up to {words.percent(most)} of "
        f"one core over five seconds{console}. With a host of its own the target may carry more."
    )
    yield (
        "The messages went over loopback: no delay, no loss and no limit of a network, and no proxy in between, is "
        "in the response times."
    )


def _notes(told: Sequence[Told]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one in told:
        for note in one.load.run.notes if one.load else ():
            found.setdefault(note, []).append(one.label)
    return found


def logs(facts: Facts) -> dict[str, bytes]:
    """File name -> HdrHistogram log of the latencies, for each scenario whose figures are told."""
    found = {}
    for one in scenarios(facts):
        name = f"load-{one.name}{LOG_ENDING}"
        if one.load and one.load.run.histogram and is_report(name):
            from checks.load.hdr_log import interval_log  # a report without load needs none of it

            found[name] = interval_log(one.load.run).encode()
    return found
