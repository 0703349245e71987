"""The words of monitoring: the thresholds as rows, who watches, and what keeps people from being told."""

from __future__ import annotations

from datetime import datetime

from textual.content import Content

from checks.monitoring.board import Board
from checks.monitoring.model import Alert, AlertSeverity, AlertState, Comparison, Row, Threshold
from checks.monitoring.signals import SIGNALS
from checks.text import Clean, one_line
from widgets.chart_data import BLOCKS, ChartData, Series, brief, minutes, scale_of, spark
from widgets.column_list import Column, ColumnRow
from widgets.outcome import Look

MARKS = {
    "FIRING": Look("✘", "bad"),
    "PENDING": Look("…", "doubt"),
    "NO DATA": Look("?", "doubt"),
    "RESOLVED": Look("✔", "good"),
    "OK": Look("✔", "good"),
    "NA": Look("-", "quiet"),
    "OFF": Look("·", "quiet"),
}
"""State of a row -> how it is shown."""
WORDS = {"NA": "n/a", "OFF": "off", "RESOLVED": "resolved"}
"""States that are no cause for capitals."""
CALM = ("OK", "NA", "OFF")
ASCII_LEVELS = "_.-:=+*#"
SPARK_CELLS, SPARK_LOOKS = 12, 60
DAY_S = 86_400
COLUMNS = (
    Column(20),  # state and times
    Column(16, most=25),  # title
    Column(11, is_right=True),  # value
    Column(10, rank=1),  # limit
    Column(SPARK_CELLS + 1, rank=3, is_quiet=True),
    Column(10, rank=4, is_quiet=True),  # for
    Column(15, most=200, rank=2),  # who is told next, and marks
)


def rows(board: Board, *, only: bool = False, text: str = "", is_ascii: bool = False) -> list[ColumnRow]:
    """The thresholds in the profile's order; with `only`, those that are not OK, with `text`, those that hold it."""
    found = [row(one, board, is_ascii=is_ascii) for one in board.rows if not only or one.state not in CALM]
    return [one for one in found if text in f"{one.outcome} {one.key} {one.title}".lower()]


def title(board: Board | None, shown: int, *, only: bool, text: str) -> str:
    """The list's title: how many of how many, where it is narrowed."""
    total = len(board.rows) if board else 0
    if not (only or text):
        return "Thresholds"
    return f"Thresholds: {shown} of {total}{', not OK' if only else ''}{', filtered' if text else ''}"


def row(one: Row, board: Board, *, is_ascii: bool) -> ColumnRow:
    """One threshold as a line."""
    threshold, name = one.threshold, one_line(one.threshold.title, 60)
    return ColumnRow(
        threshold.name,
        one.state,
        "",
        name,
        tone=look_of(one).tone,
        cells=(
            state_text(one, board.at),
            name,
            value_text(threshold, one.reading.value) if one.reading.applies else "",
            limit_text(threshold),
            history_text(one, board.interval_s, is_ascii=is_ascii),
            f"for {minutes(threshold.for_s)}" if threshold.for_s else "at once",
            " · ".join(marks(one, board)),
        ),
    )


def look_of(one: Row) -> Look:
    """Glyph and tone of a row's state; NO DATA is bad as soon as its alert fires."""
    found = MARKS[one.state]
    return Look(found.glyph, "bad") if one.no_data.is_firing else found


def state_text(one: Row, at: datetime) -> str:
    """`✘ FIRING 4:12`, `… PENDING 0:20/1:00`, `? NO DATA 1:40`, `✔ resolved 2:10`, `✔ OK`."""
    state, threshold = one.state, one.threshold
    told = f"{look_of(one).glyph} {WORDS.get(state, state)}"
    if state == "FIRING":
        return f"{told} {_since(one.limit.fired_at, at)}".rstrip()
    if state == "PENDING":
        return f"{told} {_since(one.limit.active_at, at)}/{minutes(threshold.for_s)}"
    if state == "NO DATA":
        held = one.no_data.state in (AlertState.PENDING, AlertState.FIRING)
        return f"{told} {_since(one.no_data.active_at, at)}".rstrip() if held else told
    return f"{told} {_since(one.limit.resolved_at, at)}".rstrip() if state == "RESOLVED" else told


def marks(one: Row, board: Board) -> list[str]:
    """Who is told next and when, or why nobody is; then what else is to be known, the most pressing first."""
    hushed = ["drill"] if drilled(board) == one.threshold.name else []
    if one.inhibitor:
        hushed.append(f"consequence of {title_of(one.inhibitor, board)}")
    if one.silence:
        hushed.append(f"silenced {left(one.silence.ends, board.at)}")
    if one.acknowledged:
        hushed.append(f"ack {one.acknowledged.actor}")
    if is_firing(one) and not hushed:
        hushed.append(told_next(one, board))
    if one.limit.is_firing and one.reading.is_missing:
        hushed.append("no data")
    return [*hushed, "edited"] if one.edited_by else hushed


def told_next(one: Row, board: Board) -> str:
    """`→ lead in 3:10`; `told` where nobody is left, `NOBODY IS TOLD` where there never was anybody."""
    if one.next_contact:
        in_s = one.next_in_s or 0.0
        return f"→ {one.next_contact} " + (f"in {lasted(in_s)}" if in_s >= 1 else "now")
    severity = one.threshold.severity
    return "all told" if any(rung.severity is severity for rung in board.ladder) else "NOBODY IS TOLD"


def drilled(board: Board) -> str:
    """Name of the threshold that is being drilled; empty where none is."""
    return board.drill.threshold if board.drill is not None and not board.drill.is_over else ""


def is_firing(one: Row) -> bool:
    """Whether one of its alerts fires."""
    return one.limit.is_firing or one.no_data.is_firing


def alert_of(one: Row) -> Alert:
    """The alert that the row is about: the limit's where it fires, else that of missing data where that does."""
    return one.no_data if one.no_data.is_firing and not one.limit.is_firing else one.limit


def title_of(name: str, board: Board) -> Clean:
    """The title of a threshold; its name where it is not known."""
    found = board.row(name)
    return one_line(found.threshold.title if found else name, 60)


def value_text(threshold: Threshold, value: float | None) -> str:
    """The value with its unit: `2.4 %`, `up`; a dash where there is none."""
    unit = SIGNALS[threshold.signal].unit
    if value is None:
        return "-"
    if unit == "up":
        return "up" if value >= 1 else "down"
    return f"{number(value)} {unit}".rstrip()


def limit_text(threshold: Threshold) -> str:
    """What breaks it: `> 1 %`; `< up` is told as `down`."""
    unit = SIGNALS[threshold.signal].unit
    if unit == "up" and threshold.comparison is Comparison.BELOW and threshold.limit == 1:
        return "if down"
    return f"{threshold.comparison} {number(threshold.limit)} {'' if unit == 'up' else unit}".rstrip()


def number(value: float) -> str:
    """Four digits, so that what is just beyond a limit does not look like the limit."""
    return f"{value:.4g}" if abs(value) < 1e4 else brief(value)


def history_text(one: Row, interval_s: float, *, is_ascii: bool) -> str:
    """The newest minutes as a line of blocks, under a scale that holds the limit where it is near."""
    window_s = SPARK_LOOKS * max(interval_s, 0.1)
    points = tuple((-ago_s, value) for ago_s, value in one.history if ago_s <= window_s)
    data = ChartData("", (Series("", points),), limit=one.threshold.limit, x_from=-window_s, x_to=0.0)
    if data.is_blank:
        return ""
    return spark(points, data, scale_of(data), SPARK_CELLS, ASCII_LEVELS if is_ascii else BLOCKS)


def watch_line(board: Board | None) -> Content:
    """Who watches since when, how often, and what it has come to; what is wrong with the watch goes before it."""
    if board is None:
        return Content(" The watch begins: the first look is under way")
    who = (
        f"{board.watcher or 'gonogo'} watches"
        if board.is_own
        else f"followed: {board.watcher or '?'} watches"
    )
    since = f" since {board.began_at:%H:%M:%S}Z" if board.began_at else ""
    states = [one.state for one in board.rows]
    counts = [
        f"{states.count(state)} {WORDS.get(state, state).lower()}"
        for state in ("FIRING", "PENDING", "NO DATA", "OK")
        if state in states
    ]
    looks = f"look {board.looks}, every {board.interval_s:g} s"
    told = f" {', '.join(counts) or 'nothing is watched'} · {looks} · {who}{since}"
    return Content.assemble((f" ✘ {board.problem} ·" if board.problem else "", "bold $text-error"), told)


def unreachable(board: Board | None) -> list[str]:
    """A sentence for each severity that nobody is told of, and for each contact without an address."""
    if board is None:
        return []
    missing = [one.value for one in AlertSeverity if not any(rung.severity is one for rung in board.ladder)]
    told = []
    if len(missing) == len(AlertSeverity):
        told.append(" ? Nobody is told: add [contacts.NAME] and [escalation] to the profile")
    elif missing:
        told.append(
            f" ? Nobody is told of {missing[0]} alerts: add {missing[0]} to [escalation] of the profile"
        )
    silent = {rung.contact: rung.url_env for rung in board.ladder if not rung.channel}
    return told + [
        f" ? {contact} cannot be reached: set {url_env} to the channel's Apprise URL"
        for contact, url_env in silent.items()
    ]


def count(board: Board) -> tuple[str, str]:
    """What stands behind the tab's title where there is cause, and the outcome that colours it; else nothing."""
    if firing := len(board.firing):
        return f"✘ {firing} firing", "FAIL"
    if board.problem:
        return "? stands still", "INCONCLUSIVE"
    pending = sum(one.state == "PENDING" for one in board.rows)
    return (f"… {pending} pending", "INCONCLUSIVE") if pending else ("", "")


def left(ends: datetime, at: datetime) -> str:
    """How long something still lasts, in whole minutes."""
    whole = max(0, -int(-(ends - at).total_seconds() // 60))
    return f"{whole} min" if whole < 120 else f"{whole / 60:.0f} h"


def lasted(seconds: float) -> str:
    """`4:12`, `1:02:00`, `3 d 4 h`."""
    if seconds < DAY_S:
        return minutes(max(0.0, seconds))
    return f"{int(seconds // DAY_S)} d {int(seconds % DAY_S // 3600)} h"


def _since(moment: datetime | None, at: datetime) -> str:
    return lasted((at - moment).total_seconds()) if moment else ""
