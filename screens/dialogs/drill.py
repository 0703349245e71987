"""The dialogs of a drill: whom it is to reach, and the code that they read out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.widgets import Input

from checks.monitoring.actions import AnswerDrill, BeginDrill
from screens.dialogs.dialog import Dialog
from widgets.line import Block, Line

MOST_RUNGS = 9
"""So many can be chosen by their digit."""
TEXT = (
    "A drill moves the limit beyond the present value, so that the real rule fires. The rung that you choose gets a "
    "message with a code by its real channel; whoever reads it tells you the code, and c types it back. Then the limit "
    "is put back, and they are told that it is over. Nothing of the target is touched."
)


class DrillBegun(Dialog[BeginDrill]):
    """Answers with the drill, or with None; a digit chooses the rung."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("enter", "choose(1)", "First rung", show=False, id="drill-first"),
        *(
            Binding(str(digit), f"choose({digit})", f"Rung {digit}", show=False, id=f"drill-rung-{digit}")
            for digit in range(1, MOST_RUNGS + 1)
        ),
    ]

    def __init__(self, threshold: str, title: str, rungs: Sequence[Content | str]) -> None:
        """`rungs` are the lines of the ladder, the first to be told first, each with its digit."""
        self._rungs = min(len(rungs), MOST_RUNGS)
        digits = (
            f"1 to {self._rungs} chooses the rung, enter the first" if self._rungs > 1 else "enter begins"
        )
        super().__init__(
            f"Drill {title}",
            Content("\n").join((TEXT, "", *rungs)),
            f"{digits}   esc goes back, nothing happens",
        )
        self._threshold = threshold

    def action_choose(self, place: int) -> None:
        """Begin with the rung at `place`, counted from 1."""
        if place <= self._rungs:
            self.dismiss(BeginDrill(self._threshold, place - 1))


class DrillCode(Dialog[AnswerDrill]):
    """Answers with the code, or with None."""

    AUTO_FOCUS = "#code"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "record", "Done", show=False, id="drill-code-done"),
    ]

    def __init__(self, state: Content) -> None:
        """`state` is how far the drill came."""
        super().__init__(
            "The drill's code",
            "Type what the person who was told has read; three wrong codes end the drill.",
            "enter gives it   esc goes back, the drill goes on",
        )
        self._state = state

    def compose_fields(self) -> ComposeResult:
        """How far the drill came, the code, and a complaint where there is none."""
        yield Block(id="state")
        field = Input(placeholder="the code", id="code", compact=True, max_length=20)
        field.cursor_blink = False
        yield field
        yield Line(id="complaint")

    def on_mount(self) -> None:
        """Show the state."""
        self.tell(self._state)

    def tell(self, state: Content) -> None:
        """Show how far the drill came by now."""
        self.query_one("#state", Block).say(state)

    @on(Input.Submitted)
    def action_record(self) -> None:
        """Answer, where something was typed."""
        code = self.query_one("#code", Input).value.strip()
        if code:
            self.dismiss(AnswerDrill(code))
        else:
            self.query_one("#complaint", Line).say("Type the code of the message.")
