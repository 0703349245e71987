"""The words of a load run while it goes on: the scenario's line and the figures beside the charts."""

from __future__ import annotations

from collections.abc import Sequence

from textual.content import Content

from checks.load.model import Arrival, Failure, Scenario
from checks.text import one_line
from screens.load_view import LoadView
from screens.wording import heading
from widgets.chart_data import minutes
from widgets.outcome import look

BAR_CELLS, SHORT_BAR_CELLS, SHORT_TO_CELLS = 20, 8, 100
LAG_LIMIT_S, CORE_LIMIT_PERCENT = 0.010, 85.0
"""Past these the generator is too slow, and its run cannot pass (`checks/load/measured.py`, slow to import)."""

NOT_RUN = "not run in this session"


def scenario_text(scenario: Scenario) -> str:
    """What is sent, in a few words."""
    if scenario.is_capacity:
        return (
            f"{scenario.rate_per_s:g} to {scenario.most_rate_per_s:g} messages/s in steps of "
            f"{scenario.step_s:g} s, confirmed over {scenario.confirm_s:g} s"
        )
    length = f"ramp {scenario.ramp_s:g} s, hold {scenario.hold_s:g} s"
    if scenario.arrival is Arrival.CLOSED:
        return f"{scenario.users} users, closed, think {scenario.think_min_s:g}-{scenario.think_max_s:g} s, {length}"
    return f"{scenario.rate_per_s:.3g} messages/s, open, {scenario.arrival.value}, {length}"


def scenario_line(view: LoadView, width: int, notes: Sequence[str] = ()) -> Content:
    """The scenario at the left; at the right `notes`, how long it still takes, and how far it is."""
    scenario = view.scenario
    left = (
        Content.assemble((f" {one_line(scenario.title)}", "bold"), f" ▸ {scenario_text(scenario)}")
        if scenario
        else Content()
    )
    told, bar = [note for note in notes if note], ""
    if view.is_running:
        cells = BAR_CELLS if width >= SHORT_TO_CELLS else SHORT_BAR_CELLS
        full = cells * (view.done_percent or 0) // 100
        bar = " " + "█" * full + "·" * (cells - full)
        newest = view.newest
        told.append(one_line(newest.label or newest.part.value) if newest else "connecting")
        told.append(
            f"{minutes(view.left_s)} left" if view.left_s else "waiting for the last replies, counting"
        )
    right = " · ".join(told) + bar + " "
    room = max(0, width - len(right) - 1)
    left = left.truncate(room, ellipsis=True) if left.cell_length > room else left
    return Content.assemble(left, " " * max(1, width - left.cell_length - len(right)), right)


def figures(view: LoadView, *, is_brief: bool) -> Content:
    """Counts, response times, errors and the generator's own state."""
    if not view.id:
        return Content.styled(f" {NOT_RUN}", "$foreground-muted")
    return Content("\n").join(_brief(view) if is_brief else _full(view))


def _full(view: LoadView) -> list[Content | str]:
    sums, newest, sent = view.sums, view.newest, _counts(view)
    users = f"{newest.in_flight:>9} in flight" if newest else ""
    row = "{:<13}{:>7}{:>7}{:>7}{:>8}".format
    parts: list[Content | str] = [
        heading(" MESSAGES"),
        f" sent      {sent[0]:>8}   ok     {sent[1]:>8}",
        f" throttled {sent[2]:>8}   failed {sent[3]:>8}",
        f" lost      {_lost(view):>8}  {users}",
        "",
        Content.assemble(heading(" TIMES"), row(" ms", "p50", "p95", "p99", "max")[6:]),
    ]
    if newest is not None:
        parts += [
            row(" last second", ms(newest.p50_s), ms(newest.p95_s), ms(newest.p99_s), ms(newest.max_s)),
            row(" worst second", ms(sums.p50_s), ms(sums.p95_s), ms(sums.p99_s), ms(sums.max_s)),
        ]
    if view.result is not None:
        whole, real = view.result.latency, view.result.service
        parts += [
            row(" whole hold", ms(whole.p50_s), ms(whole.p95_s), ms(whole.p99_s), ms(whole.max_s)),
            row(" from sending", ms(real.p50_s), ms(real.p95_s), ms(real.p99_s), ms(real.max_s)),
        ]
    return [*parts, "", Content.assemble(heading(" ERRORS"), "    ", _errors(view)), "", *_generator(view)]


def _brief(view: LoadView) -> list[Content | str]:
    sums, newest = view.sums, view.newest
    named = zip(("sent", "ok", "throttled", "failed", "lost"), (*_counts(view), _lost(view)), strict=True)
    parts: list[Content | str] = [" " + "  ".join(f"{name} {number}" for name, number in named)]
    if view.result is not None:
        whole = view.result.latency
        found = f" hold p50 {ms(whole.p50_s)}  p95 {ms(whole.p95_s)}  p99 {ms(whole.p99_s)}  max {ms(whole.max_s)} ms"
        parts.append(found)
    elif newest is not None:
        now = f" now p50 {ms(newest.p50_s)}  p95 {ms(newest.p95_s)}  p99 {ms(newest.p99_s)}  max {ms(newest.max_s)} ms"
        parts.append(f"{now}   worst p95 {ms(sums.p95_s)}  max {ms(sums.max_s)}")
    return [*parts, Content.assemble(" errors ", _errors(view), "  ", *_generator(view)[1:])]


def _counts(view: LoadView) -> tuple[str, str, str, str]:
    """Sent, good, throttled and failed: as judged, else the sum of the seconds so far."""
    sums, run = view.sums, view.result
    if run is None:
        return count(sums.sent), count(sums.ok), count(sums.throttled), count(sums.failed)
    failed = sum(entry.count for entry in run.failures if entry.kind is not Failure.THROTTLED)
    return count(run.sent), count(run.ok), count(run.throttled), count(failed)


def _errors(view: LoadView) -> Content:
    limit = view.scenario.criteria.error_percent if view.scenario else 0.0
    found = view.result.errors.point if view.result else view.sums.error_percent
    if found is None:
        return Content("none sent yet")
    shown = look("PASS" if found <= limit else "FAIL")
    so_far = " so far" if view.result is None else ""
    return Content.assemble(
        f"{found:.2f} %  limit {limit:g} %  ", (f"{shown.glyph}{so_far}", f"bold {shown.style}")
    )


def _generator(view: LoadView) -> list[Content | str]:
    """A heading and a line."""
    newest, result = view.newest, view.result
    lag = result.generator.lag.p99_s if result else newest.lag_p99_s if newest else None
    core = result.generator.cpu_percent if result else newest.generator_cpu_percent if newest else 0.0
    is_slow = (
        bool(result.generator.problem) if result else (lag or 0.0) > LAG_LIMIT_S or core > CORE_LIMIT_PERCENT
    )
    shown = look("INCONCLUSIVE" if is_slow else "PASS")
    return [
        heading(" GENERATOR"),
        Content.assemble(
            f" lag p99 {ms(lag)} ms  CPU {core:.0f} %  ",
            (f"{shown.glyph} {'too slow' if is_slow else 'healthy'}", f"bold {shown.style}"),
        ),
    ]


def _lost(view: LoadView) -> str:
    if view.result is None:
        return "later" if view.is_running else "-"
    return "?" if view.result.accounting.problem else count(view.result.accounting.lost)


def ms(seconds: float | None) -> str:
    """Milliseconds: `0.8`, `41`, `1 204`."""
    if seconds is None:
        return "-"
    value = seconds * 1e3
    return f"{value:.2g}" if value < 9.95 else count(round(value))


def count(number: int | None) -> str:
    """`1 902`."""
    return "-" if number is None else f"{number:,}".replace(",", " ")
