"""Everything that is known of one threshold, for the pane beside the list: its history, who is told, what was said."""

from __future__ import annotations

from datetime import timedelta

from textual.content import Content

from checks.monitoring.board import Board, Drill, LadderRung
from checks.monitoring.model import Delivery, Message, Row, Told
from checks.monitoring.signals import SIGNALS
from checks.text import clean, one_line
from screens.monitoring_text import (
    drilled,
    is_firing,
    lasted,
    left,
    limit_text,
    look_of,
    number,
    state_text,
    title_of,
    told_next,
    value_text,
)
from screens.wording import heading
from widgets.chart_data import ChartData, Series, minutes
from widgets.outcome import look

SHOWN_MESSAGES = 4
MOST_LOOKS, PARTS = 240, (8, 4, 2, 1)
"""A chart's window: the first of these parts of so many looks that holds the history."""
DELIVERIES = {
    Delivery.DUE: "WAITING",
    Delivery.SENT: "PASS",
    Delivery.FAILED: "FAIL",
    Delivery.GIVEN_UP: "FAIL",
}
"""Delivery -> the outcome that it looks like."""

Line = Content | str


def history(one: Row, board: Board) -> ChartData:
    """The chart of a threshold: it fills from the left, its beginning told in the title."""
    threshold = one.threshold
    span_s = max((ago_s for ago_s, _ in one.history), default=0.0)
    begins, full_s = board.at - timedelta(seconds=span_s), MOST_LOOKS * max(board.interval_s, 0.1)
    now = "-" if one.reading.is_missing else value_text(threshold, one.reading.value)
    return ChartData(
        f"{SIGNALS[threshold.signal].title} from {begins:%H:%M:%S}Z",
        (Series("now", tuple((span_s - ago_s, value) for ago_s, value in one.history), now),),
        limit=threshold.limit,
        limit_label=f"limit {limit_text(threshold)}" if threshold.limit >= 0 else "",
        x_to=next((full_s / part for part in PARTS if full_s / part >= span_s), span_s),
        empty=one_line(one.reading.problem, 120)
        or ("no value yet" if one.reading.applies else "there is nothing to watch"),
    )


def details(one: Row, board: Board) -> Content:
    """The pane's text, what is asked at night first."""
    threshold, reading = one.threshold, one.reading
    shown = look_of(one)
    lines: list[Line] = [
        Content.styled(one_line(threshold.title), "bold"),
        Content.assemble(
            (state_text(one, board.at), f"bold {shown.style}"),
            f"  {threshold.severity} · limit {limit_text(threshold)}{_judged_over(one)}",
        ),
    ]
    if threshold.why:
        lines.append(clean(threshold.why))
    lines += _people(one, board)
    lines += ["", *_reading(one)]
    lines += ["", heading(f"LADDER of {threshold.severity}"), *ladder(one, board)]
    if board.drill is not None:
        lines += ["", heading("DRILL"), *drill_lines(board.drill, board)]
    lines += _messages(one, board)
    lines += ["", heading("ABOUT"), f"measures  {SIGNALS[threshold.signal].about}"]
    for label, told in (
        ("limit from", threshold.origin),
        ("runbook", threshold.runbook),
        ("hushed by", ", ".join(title_of(name, board) for name in threshold.inhibited_by)),
        ("changed by", one.edited_by),
        ("no data", f"alerts after {lasted(threshold.no_data_s)}" if reading.applies else ""),
    ):
        if told:
            lines.append(f"{label}  {clean(told)}")
    return Content("\n").join(lines)


def drill_lines(drill: Drill, board: Board) -> list[Line]:
    """How far a drill came, step by step with its times."""
    place = f"{title_of(drill.threshold, board)}, {drill.contact}, began {drill.began_at:%H:%M:%S}Z"
    if drill.problem:
        return [place, _told("FAIL", f"came to nothing: {drill.problem}")]
    by = f" by {drill.answered_by}" if drill.answered_by else ""
    steps = (
        (drill.fired_at, "the rule fired", "the rule fires"),
        (
            drill.told_at,
            f"{drill.contact}'s channel took the code",
            f"{drill.contact}'s channel takes the code",
        ),
        (drill.answered_at, f"the code was typed back{by}", "the code is typed back: c"),
        (
            drill.resolved_at,
            f"{drill.contact} was told that it is over",
            f"{drill.contact} is told that it is over",
        ),
    )
    lines: list[Line] = [place]
    for moment, done, to_come in steps:
        if moment is None:
            return [*lines, _told("WAITING", f"waits until {to_come}")]
        lines.append(_told("PASS", f"{done} after {lasted((moment - drill.began_at).total_seconds())}"))
    return lines


def drill_line(board: Board | None) -> str:
    """What the drill under way waits for, in one line; empty where none is."""
    drill = board.drill if board is not None else None
    if board is None or drill is None or drill.is_over:
        return ""
    place = f"({title_of(drill.threshold, board)}, {lasted((board.at - drill.began_at).total_seconds())})"
    if drill.fired_at is None:
        return f" Drill: waits until the rule fires {place}"
    if drill.told_at is None:
        return f" Drill: the code is on its way to {drill.contact} {place}"
    if drill.answered_at is None:
        return f" Drill: {drill.contact} has the code, c types it back {place}"
    return f" Drill: answered; waits until {drill.contact} is told that it is over {place}"


def first_rung(one: Row, board: Board) -> LadderRung | None:
    """Who is told first of what breaks this threshold."""
    return next((rung for rung in board.ladder if rung.severity is one.threshold.severity), None)


def _judged_over(one: Row) -> str:
    threshold = one.threshold
    over = f" over {lasted(threshold.window_s)}" if threshold.window_s else ""
    short = f" and {lasted(threshold.short_window_s)}" if threshold.short_window_s else ""
    return f"{over}{short}, " + (f"for {minutes(threshold.for_s)}" if threshold.for_s else "at once")


def _people(one: Row, board: Board) -> list[Line]:
    found: list[Line] = []
    if board.drill is not None and drilled(board) == one.threshold.name:
        found.append(
            _told("WAIVED", f"a drill: its limit is moved, nobody but {board.drill.contact} is told")
        )
    if one.inhibitor:
        found.append(_told("WAIVED", f"consequence of {title_of(one.inhibitor, board)}: nobody is told"))
    if one.silence:
        silence = one.silence
        until = f"{silence.ends:%H:%M}Z, {left(silence.ends, board.at)} left"
        scope = " (everything)" if silence.threshold == "*" else ""
        found.append(_told("WAIVED", f"silenced{scope} until {until}, by {silence.actor}: {silence.because}"))
    if one.acknowledged:
        taken = one.acknowledged
        note = f": {taken.note}" if taken.note else ""
        found.append(_told("PASS", f"acknowledged by {taken.actor} at {taken.at:%H:%M:%S}Z{note}"))
    if is_firing(one) and not found:
        found.append(_told("WAITING", f"not acknowledged: {told_next(one, board)}; a takes it on"))
    return found


def _reading(one: Row) -> list[Line]:
    reading, threshold = one.reading, one.threshold
    if not threshold.is_on:
        return [heading("READING"), "not watched: is_on = false in the profile"]
    if not reading.applies:
        return [heading("READING"), f"nothing to watch{f': {reading.problem}' if reading.problem else ''}"]
    lines: list[Line] = [heading("READING")]
    if reading.is_missing:
        lines.append(_told("INCONCLUSIVE", f"no value: {reading.problem or 'none was found'}"))
    else:
        rests = f" of {number(reading.events)} events" if reading.events is not None else ""
        short = f", {number(reading.short)} over the short window" if reading.short is not None else ""
        lines.append(f"{value_text(threshold, reading.value)}{rests}{short}")
        few = (
            threshold.least_events and reading.events is not None and reading.events < threshold.least_events
        )
        if few:
            lines.append(f"too few to conclude anything: {threshold.least_events} events are needed")
    if reading.source:
        lines.append(f"from {reading.source}")
    return lines


def ladder(one: Row, board: Board) -> list[Line]:
    """Who is told of a threshold after how long, one line each, or that nobody is."""
    severity = one.threshold.severity
    rungs = [rung for rung in board.ladder if rung.severity is severity]
    if not rungs:
        return [
            _told(
                "FAIL",
                f'nobody: add [escalation] {severity} = ["NAME"] to the profile, NAME from [contacts.NAME]',
            )
        ]
    return [_rung(place, rung) for place, rung in enumerate(rungs, 1)]


def _rung(place: int, rung: LadderRung) -> Content:
    when = f"after {lasted(rung.after_s)}" if rung.after_s else "at once"
    person = f" ({one_line(rung.person, 80)})" if rung.person else ""
    begin = f"{place} {rung.contact}{person} {when} "
    if not rung.channel:
        return Content.assemble(begin, _told("FAIL", f"no address: {rung.url_env} is not set"))
    if rung.last is None:
        return Content.assemble(begin, f"by {rung.channel}, never told; t tries it")
    return Content.assemble(begin, f"by {rung.channel}, last ", _delivery(rung.last))


def _messages(one: Row, board: Board) -> list[Line]:
    """Those about this threshold, then the newest of the others."""
    name = one.threshold.name
    own = [message for message in board.messages if _about(message) == name]
    others = [message for message in board.messages if _about(message) != name]
    lines: list[Line] = []
    for label, found in (("MESSAGES", own), ("OTHER MESSAGES", others)):
        if found:
            lines += ["", heading(label)]
            for message in found[:SHOWN_MESSAGES]:
                lines.append(f"{message.at:%H:%M:%S}Z to {message.contact}: {message.title}")
                lines.append(Content.assemble("  ", _delivery(message)))
    return lines


def _about(message: Message) -> str:
    is_test = message.told is Told.TEST
    return "" if is_test else message.alert.partition("@")[0].partition("/")[0]


def _delivery(message: Message) -> Content:
    attempts = f" after {message.attempts} attempts" if message.attempts > 1 else ""
    answer = f": {message.answer}" if message.answer else ""
    return _told(
        DELIVERIES[message.delivery],
        f"{message.told} {message.delivery}{attempts} {message.at:%H:%M:%S}Z{answer}",
    )


def _told(outcome: str, text: str) -> Content:
    shown = look(outcome)
    return Content.assemble((f"{shown.glyph} ", f"bold {shown.style}"), text)
