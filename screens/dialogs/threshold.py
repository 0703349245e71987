"""A dialog that changes a threshold: limit, duration, severity, and why; the reason must not be empty."""

from __future__ import annotations

import math
import re
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Input, Static

from checks.monitoring.actions import Edit
from checks.monitoring.model import AlertSeverity, Threshold
from screens.dialogs.dialog import Dialog
from widgets.line import Line

FIELDS = ("limit", "for", "severity", "because")
DURATION = re.compile(r"(?:(?P<minutes>\d{1,4}):)?(?P<number>\d{1,5}(?:\.\d+)?)\s*(?P<unit>s|m|min|h)?")
UNITS_S = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}
MOST_FOR_S = 86_400.0


class ThresholdForm(Dialog[Edit]):
    """Answers with the change, or with None."""

    AUTO_FOCUS = "#limit"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "record", "Record", show=False, id="threshold-record"),
    ]

    def __init__(self, threshold: Threshold, text: Content | str, unit: str) -> None:
        """`text` says what is known of it: its value, who changed it; `unit` is that of the limit."""
        super().__init__(
            f"Change {threshold.title}",
            text,
            "enter goes on, and records at the end   tab moves   esc goes back",
        )
        self._threshold = threshold
        self._unit = unit

    def compose_fields(self) -> ComposeResult:
        """A line for each value, and a complaint where one cannot be read."""
        threshold = self._threshold
        rows = (
            (
                "limit",
                f"alert if {threshold.comparison}",
                f"{threshold.limit:.10g}",
                self._unit or "a number",
            ),
            ("for", "for", f"{threshold.for_s:g} s", "seconds, or as in 5 m or 1:30; 0 at once"),
            ("severity", "severity", threshold.severity.value, "critical or warning"),
            ("because", "because", "", "why it is changed; this is recorded"),
        )
        for name, label, value, hint in rows:
            with Horizontal(classes="field"):
                yield Static(label, classes="label", markup=False)
                field = Input(value, placeholder=hint, id=name, compact=True, select_on_focus=True)
                field.cursor_blink = False
                yield field
        yield Line(id="complaint")

    @on(Input.Submitted)
    def go_on(self, event: Input.Submitted) -> None:
        """The next field; from the last one, record."""
        place = FIELDS.index(str(event.input.id))
        if place + 1 < len(FIELDS):
            self.query_one(f"#{FIELDS[place + 1]}", Input).focus()
        else:
            self.action_record()

    def action_record(self) -> None:
        """Answer, where everything can be read."""
        limit = limit_of(self._value("limit"))
        for_s = seconds_of(self._value("for"))
        severity, because = severity_of(self._value("severity")), self._value("because")
        if limit is None:
            self._complain("limit", "The limit must be a number, as in 1.5.")
        elif for_s is None:
            self._complain("for", "The duration must be from 0 to a day, as in 60, 5 m or 1:30.")
        elif severity is None:
            self._complain("severity", "The severity must be critical or warning.")
        elif not because:
            self._complain("because", "The reason must not be empty.")
        else:
            self.dismiss(Edit(self._threshold.name, limit, for_s, severity.value, because))

    def _value(self, name: str) -> str:
        return self.query_one(f"#{name}", Input).value.strip()

    def _complain(self, name: str, sentence: str) -> None:
        self.query_one("#complaint", Line).say(sentence)
        self.query_one(f"#{name}", Input).focus()


def limit_of(text: str) -> float | None:
    """A finite number, with a point or a comma; None for anything else."""
    try:
        value = float(text.replace(",", "."))
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def seconds_of(text: str) -> float | None:
    """`90`, `90 s`, `1.5 m`, `1:30`, `1 h` in seconds; None for anything else, and for more than a day."""
    found = DURATION.fullmatch(text.lower())
    if not found or (found["minutes"] and found["unit"]):
        return None
    seconds = 60.0 * int(found["minutes"] or 0) + float(found["number"]) * UNITS_S[found["unit"] or ""]
    return seconds if seconds <= MOST_FOR_S else None


def severity_of(text: str) -> AlertSeverity | None:
    """The severity that begins with what was typed; None where none does."""
    text = text.lower()
    return next((one for one in AlertSeverity if text and one.value.startswith(text)), None)
