"""What each key of monitoring leads to: a dialog, an action, or a sentence that says why there is nothing to do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from textual.content import Content

from checks.monitoring.actions import Action, EndSilence, TryContact
from checks.monitoring.board import Board
from checks.monitoring.model import Delivery, Message, Row, Told
from checks.monitoring.signals import SIGNALS
from screens.dialogs.acknowledge import AcknowledgeForm
from screens.dialogs.dialog import Dialog
from screens.dialogs.drill import DrillBegun, DrillCode
from screens.dialogs.silence import SilenceForm
from screens.dialogs.threshold import ThresholdForm
from screens.monitoring_text import drilled, is_firing, state_text, title_of, value_text
from screens.monitoring_view import drill_lines, first_rung, ladder

Wanted = Dialog[Any] | Action | str


def change(one: Row, board: Board) -> Wanted:
    """Change its limit, duration and severity."""
    threshold = replace(one.threshold, title=title_of(one.threshold.name, board))
    value = f"Its value is {value_text(threshold, one.reading.value)}. " if one.reading.applies else ""
    edited = f"Changed by {one.edited_by}. " if one.edited_by else ""
    text = f"{value}{edited}A change is recorded with its reason, and holds until the profile says otherwise."
    return ThresholdForm(threshold, text, SIGNALS[threshold.signal].unit)


def acknowledge(one: Row, board: Board) -> Wanted:
    """Take its alert on."""
    name = title_of(one.threshold.name, board)
    if not is_firing(one):
        return f"{name} does not fire: there is nothing to acknowledge."
    return AcknowledgeForm(one.threshold.name, name, state_text(one, board.at))


def silence(one: Row, board: Board) -> Wanted:
    """Silence it; where it is silent, end that."""
    if one.silence is not None:
        return EndSilence(one.silence.id)
    return SilenceForm(one.threshold.name, title_of(one.threshold.name, board))


def try_contact(one: Row, board: Board) -> Wanted:
    """Send a test message to whoever is told of it first."""
    rung = first_rung(one, board)
    return TryContact(rung.contact) if rung else _nobody(one)


def drill(one: Row, board: Board) -> Wanted:
    """Choose whom a drill is to reach."""
    if drilled(board):
        return "A drill is under way already: c types its code, or it ends by itself."
    if first_rung(one, board) is None:
        return _nobody(one)
    return DrillBegun(one.threshold.name, title_of(one.threshold.name, board), ladder(one, board))


def code(one: Row, board: Board) -> Wanted:
    """Type the code of the drill under way, whatever it drills."""
    if board.drill is None or not drilled(board):
        return "No drill is under way; d begins one."
    return DrillCode(Content("\n").join(drill_lines(board.drill, board)))


ACTS: Mapping[str, Callable[[Row, Board], Wanted]] = {
    "change": change,
    "acknowledge": acknowledge,
    "silence": silence,
    "try_contact": try_contact,
    "drill": drill,
    "code": code,
}
"""What is asked for by a key -> what it leads to."""

KEYS = (
    ("a", "acknowledge", "Ack", "acknowledge", "Take the alert on"),
    ("m", "silence", "Silence", "silence", "Silence it for a while; again: end that"),
    ("t", "try_contact", "Test", "contact-test", "Send a test message to who is told first"),
    ("d", "drill", "Drill", "drill", "Make it fire, to see that a person is reached"),
    ("c", "code", "Code", "drill-code", "Type the code of the drill back"),
)
"""Key, what it asks for (`ACTS`), word, id and tooltip."""


def answer_of(board: Board, contact: str, since: datetime) -> Message | None:
    """The test message to a contact that was due at `since` or later, once its channel has answered."""
    return next(
        (
            one
            for one in board.messages
            if one.contact == contact and one.told is Told.TEST and one.at >= since
            if one.delivery is not Delivery.DUE
        ),
        None,
    )


def _nobody(one: Row) -> str:
    severity = one.threshold.severity
    return f"Nobody is told of {severity} alerts: add {severity} to [escalation] of the profile."
