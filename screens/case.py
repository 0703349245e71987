"""The case for and against, in words: what the Sign-off tab, the decision form and a refusal say of a snapshot."""

from __future__ import annotations

from textual.content import Content

from checks.fold import CheckState, Snapshot
from checks.model import Ceiling, Severity, State
from checks.signoff.policy import refusal
from screens.picture import Picture
from screens.wording import ago, clock, counted, heading, outcome
from widgets.outcome import look

WEAKEST = (State.FAIL, State.INCONCLUSIVE, State.STALE, State.NOT_RUN, State.WAIVED, State.NA, State.PASS)
UNDECIDED = (State.NOT_RUN, State.STALE, State.INCONCLUSIVE)
CHOICES = (("g", Ceiling.GO), ("c", Ceiling.CONDITIONAL), ("b", Ceiling.NO_GO))
LEFTOVERS_SHOWN = 6
ANSWERS = {
    Ceiling.GO: "Yes, as far as it was looked at: the evidence allows GO.",
    Ceiling.CONDITIONAL: "With conditions: the evidence allows CONDITIONAL GO at best.",
    Ceiling.NOT_DECIDABLE: "Not known yet: evidence is missing, stale or inconclusive.",
    Ceiling.NO_GO: "No: the evidence allows NO-GO alone.",
}


def answer_line(snapshot: Snapshot) -> Content:
    """The first line: is this system production-ready?"""
    ceiling = snapshot.judgement.ceiling
    return Content.assemble(" ", outcome(ceiling.value), f"  {ANSWERS[ceiling]}")


def decided_line(snapshot: Snapshot) -> Content:
    """The decision in force, in one line."""
    decision = snapshot.decision
    if decision is None:
        return Content.styled(" Nothing is decided yet.", "$foreground-muted")
    when = ago(decision.at, snapshot.at)
    changed = " but the evidence has changed since" if is_changed_since(snapshot) else ""
    return Content.assemble(
        " Decided: ",
        outcome(decision.decision.value),
        (changed, "bold $text-warning"),
        f" · {when} by {decision.actor}, entry {decision.seq}",
    )


def choices_line(snapshot: Snapshot) -> Content:
    """The keys that decide; what the ceiling forbids is greyed and says so."""
    from checks.signoff.policy import allows  # after the first paint

    parts: list[Content] = []
    for key, wanted in CHOICES:
        is_allowed = allows(snapshot.judgement.ceiling, wanted)
        text = f" {key} {wanted}" if is_allowed else f" {key} {wanted} not allowed"
        parts.append(Content.styled(text, "bold" if is_allowed else "$foreground-muted"))
    return Content(" ·").join(parts)


def case_text(snapshot: Snapshot) -> Content:
    """Why the ceiling is what it is, the evidence with the weakest first, and what is missing."""
    lines: list[Content | str] = [
        heading("The ceiling, and why"),
        Content.assemble(outcome(snapshot.judgement.ceiling.value), " at best, because"),
        *reason_lines(snapshot),
        "",
        heading("Evidence, weakest and oldest first"),
        *evidence_lines(snapshot),
    ]
    return Content("\n").join(lines)


def record_text(picture: Picture, snapshot: Snapshot) -> Content:
    """What is on record: the decision in force, what was cut short, left behind, told, written."""
    lines: list[Content | str] = [heading("Decision in force"), *_decision_lines(snapshot)]
    if snapshot.interrupted:
        lines += ["", heading("Interrupted runs"), *(f"! {sentence}" for sentence in snapshot.interrupted)]
    if snapshot.leftovers:
        lines += ["", heading("Left in the target's database"), *_leftover_lines(snapshot)]
    if picture.notices:
        lines += ["", heading("Notices"), *(f"- {notice.text}" for notice in picture.notices)]
    if picture.written:
        lines += ["", heading("Reports written"), *picture.written]
    return Content("\n").join(lines)


def reason_lines(snapshot: Snapshot) -> list[Content | str]:
    """The reasons of the ceiling, one a line."""
    return [f"- {reason}" for reason in snapshot.judgement.reasons]


def evidence_lines(snapshot: Snapshot) -> list[Content | str]:
    """Every check with its state and age, the weakest first and among equals the oldest."""
    return [_evidence_line(entry, snapshot) for entry in sorted(snapshot.checks, key=_weakness)]


def refused(wanted: Ceiling, snapshot: Snapshot) -> str:
    """Why a decision above the ceiling is refused, in a sentence and all reasons."""
    judgement = snapshot.judgement
    return "\n".join([refusal(wanted, judgement.ceiling), *(f"- {reason}" for reason in judgement.reasons)])


def receipt(picture: Picture) -> str:
    """What was recorded a moment ago."""
    decision = picture.recorded
    if decision is None:
        return ""
    return (
        f" Recorded: {decision.decision} as entry {decision.seq} at {clock(decision.at)} by {decision.actor}"
    )


def is_changed_since(snapshot: Snapshot) -> bool:
    """Whether evidence came in after the decision, or the ceiling is another now."""
    decision = snapshot.decision
    if decision is None:
        return False
    newest = max((entry.result.started_at for entry in snapshot.checks if entry.result), default=None)
    is_newer = newest is not None and newest > decision.at
    return is_newer or snapshot.judgement.ceiling is not decision.ceiling


def _weakness(entry: CheckState) -> tuple[int, int, float]:
    weight = list(Severity).index(entry.severity)
    taken = entry.result.started_at.timestamp() if entry.result else 0.0
    return (WEAKEST.index(entry.state), weight, taken)


def _evidence_line(entry: CheckState, snapshot: Snapshot) -> Content:
    shown = look(entry.state.value)
    when = ago(entry.result.started_at, snapshot.at) if entry.result else entry.severity.value
    return Content.assemble(
        (f"{shown.glyph} {entry.state.value.lower():13}", shown.style),
        f"{entry.id} {entry.title}",
        (f"  {when}", "$foreground-muted"),
    )


def _decision_lines(snapshot: Snapshot) -> list[Content | str]:
    decision = snapshot.decision
    if decision is None:
        return ["nothing is decided yet"]
    lines: list[Content | str] = [
        outcome(decision.decision.value),
        f"by {decision.actor}, {ago(decision.at, snapshot.at)} ({clock(decision.at)}), entry {decision.seq}",
        f"because: {decision.because}",
        f"the evidence allowed {decision.ceiling} at best",
    ]
    if is_changed_since(snapshot):
        now = snapshot.judgement.ceiling
        lines.append(
            Content.styled(
                f"! the evidence has changed since: it allows {now} at best now", "bold $text-warning"
            )
        )
    return lines


def _leftover_lines(snapshot: Snapshot) -> list[str]:
    newest = snapshot.leftovers[-LEFTOVERS_SHOWN:]
    lines = []
    for left in newest:
        rows = "rows not counted" if left.rows is None else counted(left.rows, "row")
        lines.append(f"{left.bot_id}: {rows}")
    earlier = len(snapshot.leftovers) - len(newest)
    return (
        [*lines, f"and those of {counted(earlier, 'earlier bot')}; the report lists all"]
        if earlier
        else lines
    )
