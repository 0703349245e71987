"""The tables and the charts of the load report."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from checks.load.model import Accounting, Capacity, GeneratorHealth, LoadRun, Sample, Second
from checks.reports import load_words as words
from checks.reports.charts import Limit, Line, chart
from checks.reports.load_words import DASH, NOT_SEEN, mebibytes, percent, rate, time_of
from checks.reports.markdown import Md, table
from checks.text import one_line

Value = Callable[[Second], float | None]
SMALL = 5
"""Rows of the charts that are beside the point of a load run."""


def criteria(run: LoadRun) -> Md:
    """Each criterion as it was judged."""
    rows = ((one_line(one.title), one.verdict, one.observed, one.limit or DASH) for one in run.criteria)
    return table(rows, "criterion", "verdict", "observed", "limit")


def latency(run: LoadRun) -> Md:
    """Both clocks side by side."""
    due, real = run.latency, run.service
    rows = [
        ("p50", due.p50_s, real.p50_s),
        ("p90", due.p90_s, real.p90_s),
        ("p95", due.p95_s, real.p95_s),
        ("p99", due.p99_s, real.p99_s),
        ("p99.9", due.p999_s, real.p999_s),
        ("max", due.max_s, real.max_s),
        ("mean", due.mean_s, real.mean_s),
    ]
    bounds = {"p95": words.with_interval(run.p95), "p99": words.with_interval(run.p99)}
    cells: list[Sequence[object]] = [
        (
            name,
            (bounds.get(name) or time_of(one)) if due.count else DASH,
            time_of(other) if real.count else DASH,
        )
        for name, one, other in rows
    ]
    cells.append(("messages", due.count, real.count))
    return table(cells, "", "from the intended send (95 % interval)", "from the real send")


def accounting(found: Accounting) -> Md:
    """Message by message: what became of them."""
    history: object = DASH if found.in_history is None else found.in_history
    if found.in_history is not None and found.history_asked is not None:
        history = f"{found.in_history} of {found.history_asked} that were asked for"
    rows = (
        ("sent", found.sent),
        ("answered with a good reply", found.answered_ok),
        ("stored", _count(found.stored)),
        ("replies stored", _count(found.replies_stored)),
        ("in the history", history),
        ("lost", found.lost),
        ("missing from the history", found.lost_in_history),
        ("doubled", found.doubled),
        ("swapped between bots", found.swapped),
        ("replies not stored", found.unstored_replies),
    )
    return table(rows, "what", "messages")


def _count(found: int | None) -> object:
    return NOT_SEEN if found is None else found


def health(found: GeneratorHealth, peak: Sample) -> Md:
    """Whether the generator kept up, and what it and gonogo took of the host."""
    lag = found.lag
    spread = f"p50 {time_of(lag.p50_s)}, p99 {time_of(lag.p99_s)}, max {time_of(lag.max_s)}"
    rows = (
        ("sent later than due", spread if lag.count else NOT_SEEN),
        (
            "its CPU, of one core",
            f"{percent(found.cpu_percent)} (busiest five seconds {percent(found.worst_cpu_percent)})",
        ),
        ("waited for a connection", f"{found.waited} messages"),
        ("gonogo itself, CPU at its peak", percent(peak.console_cpu_percent)),
        ("the whole host, CPU at its peak", percent(peak.host_cpu_percent)),
        ("the whole host, memory at its peak", percent(peak.host_memory_percent)),
    )
    return table(rows, "generator and host", "")


def target(peak: Sample) -> Md:
    """The greatest of what the target's processes used."""
    memory = mebibytes(peak.memory_bytes)
    rows = (
        ("CPU, of one core", percent(peak.cpu_percent)),
        ("memory, resident", memory),
        ("memory, PSS (a shared page counts by its share)", mebibytes(peak.pss_bytes)),
        ("memory, of what it may use", percent(peak.memory_percent, 1)),
        ("processes", peak.processes),
        ("threads", peak.threads),
        ("descriptors", peak.descriptors),
        ("context switches a second", None if peak.switches_per_s is None else f"{peak.switches_per_s:.0f}"),
        ("database connections", peak.database_connections),
        ("of them waiting", peak.database_waiting),
        ("memory pressure (PSI some, 10 s)", percent(peak.memory_pressure, 1)),
    )
    shown = ((name, NOT_SEEN if value in (None, DASH) else value) for name, value in rows)
    return table(shown, "target at its peak", "")


def steps(found: Capacity) -> Md:
    """The steps of a capacity search, in order."""
    rows = (
        (
            one.kind,
            rate(one.rate_per_s),
            rate(one.achieved_per_s),
            DASH if one.in_flight is None else f"{one.in_flight:.3g}",
            time_of(one.p95_s),
            time_of(one.p99_s),
            percent(one.error_percent, 2),
            percent(one.cpu_percent),
            words.broke(one),
        )
        for one in found.steps
    )
    return table(rows, "", "asked", "good", "under way", "p95", "p99", "errors", "CPU", "criteria")


def differences(run: LoadRun) -> Md:
    """Each figure beside that of the run before."""
    rows = (
        (
            one_line(one.name, 40),
            words.figure(one.name, one.before),
            words.figure(one.name, one.now),
            f"±{words.figure(one.name, one.noise)}",
            words.judged(one),
        )
        for one in run.before
    )
    return table(rows, "figure", "before", "now", "noise", "")


def charts(run: LoadRun, seconds: Sequence[Second]) -> Iterator[str]:
    """What the journalled seconds show, drawn as text."""
    if not seconds:
        return
    marks = list(_marks(seconds))
    limits = run.scenario.criteria
    is_open = any(one.due != one.sent for one in seconds)
    sent = [_line("due" if is_open else "sent", ".", seconds, lambda one: one.due)]
    wrong = Line(
        "failed or refused", "x", _points(seconds, lambda one: one.failed + one.throttled), is_rare=True
    )
    good = Line("good replies", "*", _points(seconds, lambda one: one.ok), is_low_bad=True)
    yield chart("Messages a second", [*sent, good, wrong], marks=marks)
    yield chart(
        "Response times of each second, from the intended send (ms)",
        [
            _line("p50", ".", seconds, lambda one: _ms(one.p50_s)),
            _line("p95", "+", seconds, lambda one: _ms(one.p95_s)),
            _line("p99", "#", seconds, lambda one: _ms(one.p99_s)),
        ],
        limit=Limit(limits.p95_s * 1e3, f"limit of p95: {limits.p95_s:g} s") if limits.p95_s else None,
        marks=marks,
    )
    yield chart(
        "CPU (% of one core)",
        [
            _line("generator", "o", seconds, lambda one: one.generator_cpu_percent),
            _line("target", "*", seconds, lambda one: one.sample.cpu_percent),
        ],
        rows=SMALL + 2,
    )
    yield chart(
        "Memory of the target (MiB)",
        [_line("controller and bots", "*", seconds, _memory)],
        rows=SMALL,
    )
    yield chart(
        "Connections",
        [
            _line("messages under way", ".", seconds, lambda one: one.in_flight),
            _line("database connections", "*", seconds, lambda one: one.sample.database_connections),
            Line(
                "database sessions waiting",
                "x",
                _points(seconds, lambda one: one.sample.database_waiting),
                is_rare=True,
            ),
        ],
        rows=SMALL + 2,
    )


def _line(label: str, mark: str, seconds: Iterable[Second], value: Value) -> Line:
    return Line(label, mark, _points(seconds, value))


def _points(seconds: Iterable[Second], value: Value) -> tuple[tuple[int, float | None], ...]:
    return tuple((one.at_s, value(one)) for one in seconds)


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1e3


def _memory(one: Second) -> float | None:
    seen = one.sample.pss_bytes if one.sample.pss_bytes is not None else one.sample.memory_bytes
    return None if seen is None else seen / 2**20


def _marks(seconds: Iterable[Second]) -> Iterator[tuple[int, str]]:
    """Where a part of the run, or a step of a capacity search, begins."""
    before = None
    for one in seconds:
        if (one.part, one.label) != before:
            before = (one.part, one.label)
            # Of a step's label, `3 bisection 45/s`, the rate alone has room.
            yield one.at_s, one_line(one.label, 40).rpartition(" ")[2] if one.label else one.part.value
