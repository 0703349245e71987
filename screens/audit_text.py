"""The words of the audit: rows grouped by subject, what only failures leave of them, and what could not be read."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from enum import Enum

from textual.content import Content

from checks.fold import CheckState
from checks.model import Reason, State, Subject
from checks.text import one_line
from screens.picture import Progress
from screens.step_text import row
from screens.wording import counted, heading, outcome
from widgets.outcome import look
from widgets.result_list import Row

HEADING = "#"
"""What the key of a group's row begins with; the subject follows."""
SOURCES_SHOWN = 3
UNREAD = (Reason.NO_SOURCE, Reason.NO_RIGHT)
ORDER = (State.FAIL, State.INCONCLUSIVE, State.STALE, State.WAIVED, State.PASS, State.NA, State.NOT_RUN)


class Only(Enum):
    """Which checks the list is narrowed to."""

    ALL = ""
    FAILED = "failures"
    OPEN = "failures and inconclusive"

    def next(self) -> Only:
        """The one after this, round and round."""
        every = list(Only)
        return every[(every.index(self) + 1) % len(every)]

    def lets(self, entry: CheckState) -> bool:
        """Whether a check is shown."""
        states = {Only.FAILED: (State.FAIL,), Only.OPEN: (State.FAIL, State.INCONCLUSIVE)}
        return self is Only.ALL or entry.state in states[self]


@dataclass(frozen=True, slots=True)
class View:
    """How the list is looked at."""

    folded: frozenset[Subject] = frozenset()
    only: Only = Only.ALL
    text: str = ""
    """What a row has to hold, in lower case."""


def groups(states: Iterable[CheckState]) -> dict[Subject, list[CheckState]]:
    """The checks by subject, in the order in which they come."""
    found: dict[Subject, list[CheckState]] = {}
    for entry in states:
        found.setdefault(entry.subject, []).append(entry)
    return found


def rows(states: Sequence[CheckState], view: View, progress: Progress | None, now: float) -> list[Row]:
    """A heading for each subject with its checks below, unless it is folded; `now` is the monotonic clock.

    A filter looks into folded groups too, and leaves out groups in which nothing is found.
    """
    found: list[Row] = []
    for subject, entries in groups(states).items():
        lines = [_row(entry, progress, now) for entry in entries if view.only.lets(entry)]
        lines = [line for line in lines if _holds(line, subject, view.text)]
        is_narrowed = view.only is not Only.ALL or bool(view.text)
        if is_narrowed and not lines:
            continue
        is_folded = subject in view.folded and not is_narrowed
        found.append(_heading(subject, entries, is_folded=is_folded))
        found += [] if is_folded else lines
    return found


def title(states: Sequence[CheckState], view: View, shown: Sequence[Row]) -> str:
    """The list's title: how many of how many where it is narrowed."""
    told = [view.only.value] if view.only is not Only.ALL else []
    told += [f"“{view.text}”"] if view.text else []
    if not told:
        return "Checks"
    count = sum(not line.is_heading for line in shown)
    return f"Checks: {count} of {len(states)}, {', '.join(told)}"


def subject_of(key: str) -> Subject | None:
    """The subject of a heading's row; None for the row of a check."""
    return Subject(key.removeprefix(HEADING)) if key.startswith(HEADING) else None


def unread(states: Iterable[CheckState]) -> list[str]:
    """A line for each source that could not be read, with how many checks wait for it; the rest counted."""
    waiting: dict[str, int] = {}
    for entry in states:
        result = entry.result
        if result and entry.state is State.INCONCLUSIVE and result.reason in UNREAD:
            waiting[result.summary] = waiting.get(result.summary, 0) + 1
    told = [f" ? {sentence} ({counted(count, 'check')})" for sentence, count in waiting.items()]
    if len(told) > SOURCES_SHOWN:
        left = len(told) - SOURCES_SHOWN + 1
        told = [
            *told[: SOURCES_SHOWN - 1],
            f" ? and {left} more that could not be read: f f shows the checks",
        ]
    return told


def about(subject: Subject, states: Sequence[CheckState]) -> Content:
    """What the pane says of a group: its counts, and each check that does not pass with its sentence."""
    own = groups(states).get(subject, [])
    parts: list[Content | str] = [Content.styled(subject.value, "bold"), tally(own)]
    for entry in own:
        if entry.state in (State.PASS, State.NOT_RUN, State.NA) or entry.result is None:
            continue
        parts += ["", Content.assemble(outcome(entry.state.value), f"  {entry.id} {entry.title}")]
        parts.append(entry.doubt or entry.result.summary)
    parts += ["", heading("KEYS"), "r runs this group · enter or space folds it · f shows only failures"]
    return Content("\n").join(parts)


def tally(entries: Sequence[CheckState]) -> str:
    """`✘ 1 · ✔ 9`, the worst first."""
    counts = [(state, sum(entry.state is state for entry in entries)) for state in ORDER]
    return " · ".join(f"{look(state.value).glyph} {count}" for state, count in counts if count)


def _heading(subject: Subject, entries: Sequence[CheckState], *, is_folded: bool) -> Row:
    sign = "[+]" if is_folded else "[-]"
    worst = next((state for state in ORDER if any(entry.state is state for entry in entries)), State.NOT_RUN)
    key = f"{HEADING}{subject.value}"
    return Row(key, worst.value, "", f"{sign} {subject.value}", tally(entries), is_heading=True)


def _row(entry: CheckState, progress: Progress | None, now: float) -> Row:
    line = replace(row(entry, progress, now), label=entry.id)
    if line.outcome == entry.state.value:
        line = replace(line, detail=_seen(entry))
    if entry.doubt:
        return replace(line, note="untrusted")
    # The title needs the room; how long it took stands in the pane.
    return line if line.outcome == "RUNNING" else replace(line, note="")


def _seen(entry: CheckState) -> str:
    """What was observed against what was expected; of what does not apply or was not read, the fact."""
    result = entry.result
    if result is None:
        return ""
    if entry.state in (State.NA, State.INCONCLUSIVE) or not result.observed:
        return one_line(entry.doubt or result.summary)
    is_met = entry.state is State.PASS or not result.expected
    return one_line(result.observed if is_met else f"{result.observed}, expected {result.expected}")


def _holds(line: Row, subject: Subject, text: str) -> bool:
    return text in f"{line.outcome} {line.key} {line.title} {subject.value}".lower()


def checks_of(subject: Subject, states: Iterable[CheckState]) -> Collection[str]:
    """The ids of a group's checks."""
    return tuple(entry.id for entry in states if entry.subject is subject)
