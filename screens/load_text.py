"""The words of judged load runs: rows with their last figures, and everything that one run found for the pane."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from textual.content import Content

from checks.fold import CheckState
from checks.load.model import Accounting, Capacity, CapacityStep, Criterion, LoadRun
from checks.model import Verdict
from screens.load_live import count, ms, scenario_text
from screens.load_view import LoadView
from screens.picture import Picture, Progress
from screens.step_text import row
from screens.wording import clock, counted, heading
from widgets.outcome import look
from widgets.result_list import Row

UNITS = {
    "p95": (1e3, "ms"),
    "p99": (1e3, "ms"),
    "throughput": (1.0, "msg/s"),
    "errors": (1.0, "%"),
    "memory": (1.0, "MiB"),
    "capacity": (1.0, "msg/s"),
}
"""Figure -> what it is multiplied with to be told in that unit."""
WORST_FIRST = (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS, Verdict.NA)
STEPS_SHOWN, NOTES_SHOWN = 30, 20
QUIET = "$foreground-muted"


def run_of(entry: CheckState, loads: Iterable[LoadRun]) -> LoadRun | None:
    """The newest load run of a check's scenario; None where it never came to figures."""
    return next((run for run in reversed(tuple(loads)) if run.scenario.name == entry.scenario), None)


def rows(states: Sequence[CheckState], picture: Picture, text: str, now: float) -> list[Row]:
    """The scenarios that hold `text`; `now` is the monotonic clock."""
    loads = picture.snapshot.loads if picture.snapshot else ()
    found = (_row(entry, picture.progress, run_of(entry, loads), now) for entry in states)
    return [line for line in found if text in f"{line.outcome} {line.key} {line.title}".lower()]


def _row(entry: CheckState, progress: Progress | None, run: LoadRun | None, now: float) -> Row:
    line = replace(row(entry, progress, now), label=entry.id)
    if line.outcome == "RUNNING" or run is None:
        return line if line.outcome == "RUNNING" else replace(line, note="")
    is_earlier = entry.result is None or entry.result.run != run.run
    return replace(line, note=("earlier: " if is_earlier else "") + brief_result(run))


def brief_result(run: LoadRun) -> str:
    """`p95 38 ms (-4 %)`; the difference only where it is more than noise."""
    if run.capacity is not None:
        safe = run.capacity.safe_per_s
        return f"safe {safe:.4g}/s" if safe is not None else "no safe rate found"
    if not run.latency.count:
        return "no replies"
    p95 = next((entry for entry in run.before if entry.name == "p95"), None)
    told = ""
    if p95 is not None and p95.is_real and p95.before:
        told = f" ({100 * (p95.now - p95.before) / p95.before:+.0f} %)"
    return f"p95 {ms(run.latency.p95_s)} ms{told}"


def told_of(run: LoadRun, view: LoadView | None) -> list[Content | str]:
    """Everything that one run found, the criteria first; `view` holds its charts where it was of this session."""
    title = f"{scenario_text(run.scenario)} · {clock(run.started_at)} · {run.duration_s:.0f} s"
    parts: list[Content | str] = ["", heading("LOAD RUN"), title]
    if run.stopped:
        parts.append(Content.assemble(("Ended early: ", "bold"), run.stopped))
    if run.capacity is not None:
        parts += _capacity(run.capacity)
    parts += _criteria(run.criteria)
    parts += _times(run)
    parts += _messages(run)
    parts += _differences(run)
    parts += _generator(run)
    if run.notes:
        parts += [
            "",
            heading("WHAT THE NUMBERS DO NOT SHOW"),
            *(f"- {note}" for note in run.notes[:NOTES_SHOWN]),
        ]
    if view is None or not view.points:
        parts += ["", Content.styled("Charts are kept for the session in which a run is made.", QUIET)]
    return parts


def _criteria(criteria: Sequence[Criterion]) -> list[Content | str]:
    parts: list[Content | str] = ["", heading("CRITERIA")]
    for entry in sorted(criteria, key=lambda entry: WORST_FIRST.index(entry.verdict)):
        shown = look(entry.verdict.value)
        against = f"  {entry.observed}" + (f" ({entry.limit})" if entry.limit else "")
        word = entry.verdict.value.lower().ljust(12)
        parts.append(
            Content.assemble((f"{shown.glyph} {word}", f"bold {shown.style}"), (entry.title, "bold"), against)
        )
        if entry.sentence:
            parts.append(Content.styled(f"  {entry.sentence}", QUIET))
    return parts if criteria else [*parts, "none was judged"]


def _times(run: LoadRun) -> list[Content | str]:
    line = "{:<22}{:>9}{:>9}{:>9}{:>9}{:>9}".format
    parts: list[Content | str] = [
        "",
        heading("TIMES OF THE HOLD"),
        line("ms", "p50", "p90", "p95", "p99", "max"),
    ]
    for name, found in (("from when it was due", run.latency), ("from when it was sent", run.service)):
        quantiles = (found.p50_s, found.p90_s, found.p95_s, found.p99_s, found.max_s)
        parts.append(line(name, *(ms(value) if found.count else "-" for value in quantiles)))
    return [
        *parts,
        f"{run.throughput_per_s:.4g} good replies a second, {count(run.latency.count)} replies judged",
    ]


def _messages(run: LoadRun) -> list[Content | str]:
    found = run.accounting
    sent = (
        f"due {count(run.due)} · sent {count(run.sent)} · answered {count(run.answered)} · ok {count(run.ok)}"
    )
    sent += f" · throttled {count(run.throttled)}"
    parts: list[Content | str] = [
        "",
        heading("EVERY MESSAGE"),
        sent,
        _kept(found),
    ]
    if found.problem:
        parts.append(Content.assemble(("? ", "bold $text-warning"), f"Not counted: {found.problem}"))
    losses = (found.lost, found.lost_in_history, found.doubled, found.swapped, found.unstored_replies)
    names = ("lost", "lost in the history", "doubled", "swapped", "replies not stored")
    told = " · ".join(f"{count(number)} {name}" for number, name in zip(losses, names, strict=True) if number)
    if told:
        parts.append(Content.assemble(("✘ ", "bold $text-error"), told))
    elif not found.problem:
        parts.append("nothing lost, nothing doubled, nothing swapped")
    parts += [f"  {example}" for example in found.examples]
    if run.failures:
        parts += ["", heading("ERRORS BY KIND"), f"{run.errors.point:.3g} % of the hold{_interval(run)}"]
        parts += [f"{count(entry.count):>7}  {entry.kind.value}  {entry.example}" for entry in run.failures]
    return parts


def _kept(found: Accounting) -> str:
    parts = [f"stored {count(found.stored)}", f"replies stored {count(found.replies_stored)}"]
    asked = f" of {count(found.history_asked)} asked" if found.history_asked is not None else ""
    return " · ".join([*parts, f"in the history {count(found.in_history)}{asked}"])


def _interval(run: LoadRun) -> str:
    low, high = run.errors.lower, run.errors.upper
    return f" (between {low:.3g} and {high:.3g} %)" if low is not None and high is not None else ""


def _differences(run: LoadRun) -> list[Content | str]:
    if not run.before:
        return []
    parts: list[Content | str] = ["", heading("AGAINST THE RUN BEFORE")]
    for entry in run.before:
        factor, unit = UNITS.get(entry.name, (1.0, ""))
        before, now, noise = (value * factor for value in (entry.before, entry.now, entry.noise))
        told = f"{entry.name:<11}{before:>9.4g} -> {now:<7.4g} {unit}"
        parts.append(told if entry.is_real else f"{told}, within noise ({noise:.2g})")
    return parts


def _generator(run: LoadRun) -> list[Content | str]:
    found = run.generator
    shown = look("INCONCLUSIVE" if found.problem else "PASS")
    told = (
        f"send lag p99 {ms(found.lag.p99_s)} ms, CPU {found.cpu_percent:.0f} % (busiest five seconds "
        f"{found.worst_cpu_percent:.0f} %), {counted(found.waited, 'message')} had to wait for a connection"
    )
    word = "too slow" if found.problem else "healthy"
    parts: list[Content | str] = ["", heading("THE GENERATOR ITSELF")]
    parts.append(Content.assemble((f"{shown.glyph} {word}", f"bold {shown.style}"), f"  {told}"))
    return [*parts, found.problem] if found.problem else parts


def _capacity(found: Capacity) -> list[Content | str]:
    parts: list[Content | str] = ["", heading("CAPACITY")]
    parts.append(Content.styled(found.sentence or found.problem or "no figure", "bold"))
    if found.problem and found.sentence:
        parts.append(found.problem)
    if found.headroom is not None:
        parts.append(f"headroom {found.headroom:.3g} times the declared peak of {found.peak_per_s:.3g}/s")
    line = "{:<13}{:>9}{:>9}{:>9}{:>9}{:>9}{:>8}".format
    if found.steps:
        parts.append(line("", "asked/s", "ok/s", "p95 ms", "p99 ms", "errors", "CPU"))
    parts += [_step(step, line) for step in found.steps[-STEPS_SHOWN:]]
    if (law := found.scalability) is not None:
        peak = f", greatest at {law.peak_n:.0f} at once" if law.peak_n is not None else ""
        parts.append(
            f"Scalability law: contention {law.alpha:.3g}, crosstalk {law.beta:.3g}{peak}; "
            f"error {law.error_percent:.1f} %"
        )
    return parts


def _step(step: CapacityStep, line: Callable[..., str]) -> Content:
    shown = look("PASS" if step.is_good else "FAIL")
    cpu = "-" if step.cpu_percent is None else f"{step.cpu_percent:.0f} %"
    figures = line(
        f" {step.kind}",
        f"{step.rate_per_s:.4g}",
        f"{step.achieved_per_s:.4g}",
        ms(step.p95_s),
        ms(step.p99_s),
        f"{step.error_percent:.2g} %",
        cpu,
    )
    return Content.assemble(
        (shown.glyph, f"bold {shown.style}"), figures, f"  {step.broke}" if step.broke else ""
    )
