"""The decision form: what is decided, what the evidence allows, and the justification that it must have."""

from __future__ import annotations

from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.content import Content
from textual.widgets import Button, Input, Static

from checks.fold import Snapshot
from checks.model import Ceiling
from screens.case import evidence_lines, reason_lines
from screens.dialogs.dialog import Dialog
from screens.requests import DraftChanged
from screens.wording import heading, outcome
from widgets.line import Line

WEAKEST_SHOWN = 2
IN_THE_TEXT = "enter goes on to the button that records"


class DecisionForm(Dialog[str]):
    """Answers with the justification once it is recorded by a key of its own; escape answers None."""

    AUTO_FOCUS = "#because"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("ctrl+s", "record", "Record", show=False, id="decision-record"),
    ]

    def __init__(self, wanted: Ceiling, snapshot: Snapshot, draft: str) -> None:
        super().__init__(
            f"Decide {wanted.value} on {snapshot.target}",
            form_text(wanted, snapshot),
            IN_THE_TEXT,
        )
        self._wanted = wanted
        self._draft = draft

    def compose_fields(self) -> ComposeResult:
        """The justification, and the two ways out."""
        field = Input(self._draft, placeholder="What the decision rests on", id="because", compact=True)
        field.cursor_blink = False
        yield field
        yield Line(id="complaint")
        with Horizontal(id="buttons"):
            yield Button(f"Record {self._wanted.value}", id="record", compact=True)
            yield Button("Back", id="back", compact=True)

    @on(Input.Changed, "#because")
    def keep_draft(self, event: Input.Changed) -> None:
        """What is written and not recorded is asked about before gonogo is left."""
        self.post_message(DraftChanged(event.value.strip()))

    def on_descendant_focus(self) -> None:
        """Say what enter does where the focus is."""
        is_last = self.focused is not None and self.focused.id == "record"
        told = f"enter records {self._wanted.value}" if is_last else IN_THE_TEXT
        told += "   tab moves   esc goes back"
        self.query_one("#keys", Static).update(Content.styled(told, "$foreground-muted"))

    @on(Input.Submitted, "#because")
    def go_to_the_button(self) -> None:
        """Enter in the text does not record yet."""
        if self._has_text():
            self.query_one("#record", Button).focus()

    @on(Button.Pressed, "#record")
    def action_record(self) -> None:
        """Answer with the justification."""
        if self._has_text():
            self.dismiss(self.query_one("#because", Input).value.strip())

    @on(Button.Pressed, "#back")
    def go_back(self) -> None:
        """Answer with nothing."""
        self.action_close()

    def _has_text(self) -> bool:
        field = self.query_one("#because", Input)
        is_written = bool(field.value.strip())
        self.query_one("#complaint", Line).say("" if is_written else "A decision needs a justification.")
        if not is_written:
            field.focus()
        return is_written


def form_text(wanted: Ceiling, snapshot: Snapshot) -> Content:
    """What the lead must have before their eyes: the ceiling, its reasons, the weakest evidence."""
    return Content("\n").join(
        [
            Content.assemble("You decide          ", outcome(wanted.value)),
            Content.assemble("The evidence allows ", outcome(snapshot.judgement.ceiling.value), " at best"),
            heading("The weakest and oldest evidence"),
            *evidence_lines(snapshot)[:WEAKEST_SHOWN],
            heading("Why it allows no more"),
            *reason_lines(snapshot),
        ]
    )
