"""The words of one walkthrough step: its row in the list, and everything known of it for the evidence pane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from textual.content import Content

from checks.fold import CheckState
from checks.model import Evidence, Result, State
from checks.registry import Check
from checks.text import duration
from screens.picture import Picture, Progress
from screens.wording import clock, counted, elapsed, heading, outcome
from widgets.result_list import Row

BODY_LINES = 60
"""So much of one piece of evidence is shown beside the list."""
HOPS = ("ui", "controller", "bot", "database")


def hops(port: int | None) -> tuple[tuple[str, str], ...]:
    """The parts of a message's path with their labels; the controller is called by its port."""
    return tuple(zip(HOPS, ("UI", str(port or "controller"), "bot", "database"), strict=True))


def row(entry: CheckState, progress: Progress | None, now: float) -> Row:
    """One line of the list; `now` is the monotonic clock."""
    number = entry.id.rpartition("-")[2]
    result = entry.result
    if progress is not None and progress.waiting is not None and progress.waiting.check.id == entry.id:
        return Row(entry.id, "WAITING", number, entry.title)
    if progress is not None and progress.running == entry.id:
        again = f"{entry.title} (attempt {progress.attempt})" if progress.attempt > 1 else entry.title
        return Row(entry.id, "RUNNING", number, again, elapsed(now - progress.since))
    is_awaited = progress is not None and entry.id in progress.checks and entry.id not in progress.done
    if result is None:
        return Row(entry.id, "NOT RUN", number, entry.title)
    if is_awaited:
        # During a run, an older verdict would pass for this run's; it counts until it is superseded.
        return Row(entry.id, "TO COME", number, f"{entry.title} (so far {entry.state.value})")
    return Row(entry.id, entry.state.value, number, entry.title, duration(result.duration_s))


def details(
    entry: CheckState, check: Check | None, picture: Picture, told: Sequence[Content | str] = ()
) -> Content:
    """Everything known of one step, the judgement first; `told` is what the tab has to say beside it."""
    parts: list[Content | str] = [Content.styled(f"{entry.id} {entry.title}", "bold")]
    progress, result = picture.progress, entry.result
    is_running = progress is not None and progress.running == entry.id
    parts.append(_state(entry, is_running=is_running))
    if result is not None and not is_running:
        parts += _judgement(result)
        if entry.doubt:
            parts.append(_labelled("NOT TRUSTED HERE", entry.doubt))
        parts += told
        if check is not None and check.fix and entry.state is State.FAIL:
            again = Content.styled("   (y copies this)", "$foreground-muted")
            parts += ["", Content.assemble(heading("HOW TO PUT IT RIGHT"), again), check.fix]
        if check is not None and check.subject:
            parts.append(_labelled("WHY IT MATTERS", check.why))
            parts += _reference(check)
        parts += _evidence(result, picture.evidence)
    if check is not None:
        is_told = result is not None and not is_running and bool(check.subject)
        if not is_told:
            parts += ["", _labelled("WHY IT MATTERS", check.why)]
        parts.append(_labelled("WHAT IT DOES", check.sends))
        if check.needs:
            parts.append(_labelled("NEEDS", ", ".join(check.needs)))
        if not is_told:
            parts += _reference(check)
    return Content("\n").join(parts)


def _state(entry: CheckState, *, is_running: bool) -> Content:
    if is_running:
        return Content.assemble(outcome("RUNNING"), f"  {entry.severity.value}")
    result = entry.result
    if result is None:
        return Content.assemble(outcome(entry.state.value), f"  {entry.severity.value}")
    again = f" · attempt {result.attempt}" if result.attempt > 1 else ""
    what = f"  {entry.severity.value} · {duration(result.duration_s)} · {clock(result.started_at)}{again}"
    if entry.state.value != result.verdict.value:
        what += f" · was {result.verdict.value}"
    return Content.assemble(outcome(entry.state.value), what)


def _judgement(result: Result) -> list[Content | str]:
    parts: list[Content | str] = [""]
    if result.expected:
        parts.append(_labelled("EXPECTED", result.expected))
    if result.observed:
        parts.append(_labelled("OBSERVED", result.observed))
    return [*parts, _labelled("SUMMARY", result.summary), _labelled("REASON", result.reason.value)]


def _evidence(result: Result, known: Mapping[str, Evidence]) -> list[Content | str]:
    parts: list[Content | str] = []
    total = len(result.evidence)
    for place, evidence_id in enumerate(result.evidence, 1):
        seen = known.get(evidence_id)
        parts += ["", heading(f"EVIDENCE {place} of {total}")]
        if seen is None:
            parts.append(f"sha256 {evidence_id}")
            continue
        parts += [Content.styled(seen.title, "bold"), *_body(seen.body)]
        if seen.command:
            parts.append(
                Content.assemble(
                    ("$ ", "$foreground-muted"), seen.command, ("   (y copies this)", "$foreground-muted")
                )
            )
        parts.append(Content.styled(f"sha256 {evidence_id}", "$foreground-muted"))
        parts.append(Content.styled(f"captured {clock(seen.captured_at)} · {seen.kind}", "$foreground-muted"))
    return parts or ["", Content.styled("no evidence was captured", "$foreground-muted")]


def _body(text: str) -> list[Content | str]:
    lines = text.split("\n")
    if len(lines) <= BODY_LINES:
        return [text]
    more = f"… {counted(len(lines) - BODY_LINES, 'more line')}: the report holds all (w in Sign-off)"
    return ["\n".join(lines[:BODY_LINES]), Content.styled(more, "$foreground-muted")]


def _reference(check: Check) -> list[Content | str]:
    return [_labelled("REFERENCE", check.reference)] if check.reference else []


def _labelled(label: str, text: str) -> Content:
    return Content.assemble((f"{label}  ", "bold $text-accent"), text)


def progress_text(picture: Picture, now: float) -> Content:
    """What the run is doing, for the line of the path; nothing where none is under way."""
    progress = picture.progress
    if progress is None:
        return Content()
    if progress.is_stopping:
        return Content("stopping: what was launched is being stopped")
    place = f"{len(progress.done)} of {len(progress.checks)} done"
    if not progress.running:
        return Content(place)
    return Content(f"{place} · {progress.running} running {elapsed(now - progress.since)}")


def gate_line(picture: Picture) -> Content:
    """What a stepwise run waits for, with the keys that answer."""
    waiting = picture.waiting
    if waiting is None:
        return Content()
    check, result = waiting.check, waiting.result
    if result is None:
        return Content.assemble(
            (f" Next: {check.id} {check.title}", "bold"), "   enter runs it · s skips it · x stops"
        )
    return Content.assemble(
        (f" {check.id} is {result.verdict}", "bold"),
        "   enter goes on · r tries again · s skips with a reason · x stops",
    )


def commands(entry: CheckState | None, known: Mapping[str, Evidence]) -> list[str]:
    """What can be pasted: the fix of a failure, then what asks the target the same again, in the evidence's order."""
    if entry is None or entry.result is None:
        return []
    fix = [entry.fix] if entry.fix and entry.state is State.FAIL else []
    return fix + [
        known[name].command for name in entry.result.evidence if name in known and known[name].command
    ]
