"""The console: tabs, verdict banner, keys and palette over the engine's thread. It decides nothing itself."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from textual import on
from textual.app import SystemCommand
from textual.binding import Binding, BindingType
from textual.filter import LineFilter
from textual.reactive import var
from textual.screen import Screen
from textual.timer import Timer

from checks.events import Notice
from checks.fold import cannot_write
from console import messages
from console.consent import Consent, meant
from console.engine import Engine
from console.keys import key_problems, key_sections, palette_commands
from console.palette import Palette
from console.terminal import StandIns
from console.watched import WatchedApp
from screens.audit import Audit
from screens.banner import banner_text
from screens.dialogs.asked import Asked
from screens.dialogs.keys import Keys
from screens.load import Load
from screens.monitoring import Monitoring
from screens.picture import Picture, followed, with_evidence
from screens.requests import (
    DecisionWanted,
    DraftChanged,
    EvidenceWanted,
    GateAnswered,
    ReportsWanted,
    RunWanted,
)
from screens.signoff import Signoff
from screens.tab import TabScreen
from screens.walkthrough import Walkthrough

TABS: tuple[type[TabScreen], ...] = (Walkthrough, Audit, Load, Monitoring, Signoff)
"""The tabs in the order of their digits; a new one is added here alone."""

REPAINT_EVERY_S = 0.2
"""How often at most the picture of a run is painted: an audit judges a dozen checks a second."""
TWICE_WITHIN_S = 2.0


class GonogoApp(WatchedApp):
    """The frame around the tabs; what happens is told by the engine, what is wanted is handed to it."""

    CSS_PATH = "console.tcss"
    MODES: ClassVar[dict[str, Callable[[], Screen[Any]]]] = {tab.TAB.mode: tab for tab in TABS}  # type: ignore[assignment]
    DEFAULT_MODE = TABS[0].TAB.mode
    ESCAPE_TO_MINIMIZE = False
    COMMAND_PALETTE_BINDING = "ctrl+p"

    BINDINGS: ClassVar[list[BindingType]] = [
        *(
            Binding(
                tab.TAB.digit,
                f"tab('{tab.TAB.mode}')",
                tab.TAB.title,
                show=False,
                id=f"tab-{tab.TAB.digit}",
                tooltip=f"Open {tab.TAB.title}",
            )
            for tab in TABS
        ),
        Binding("left_square_bracket", "next_tab(-1)", "Previous tab", show=False, id="tab-previous"),
        Binding("right_square_bracket", "next_tab(1)", "Next tab", show=False, id="tab-next"),
        Binding("A", "run_everything", "Run all", id="run-all", tooltip="Run every check"),
        Binding("x", "stop", "Stop", id="stop", tooltip="Stop the run at once; it cleans up"),
        Binding("question_mark", "keys", "Keys", id="help", tooltip="The keys that work here"),
        Binding("colon", "command_palette", "Commands", show=False, id="palette"),
        Binding("ctrl+p", "command_palette", "Commands", show=False, priority=True, id="palette-anywhere"),
        Binding("ctrl+z", "suspend_process", "Suspend", show=False, id="suspend", tooltip="Suspend gonogo"),
        Binding("q", "leave", "Quit", id="quit", tooltip="Leave gonogo"),
        Binding("ctrl+q", "leave", "Quit", show=False, priority=True, id="quit-anywhere"),
        Binding("ctrl+c", "interrupt", "Twice: stop and quit", show=False, priority=True, id="interrupt"),
    ]

    picture: var[Picture] = var(Picture(), init=False)

    def __init__(
        self,
        engine: Engine,
        *,
        title: str = "",
        encoding: str = "utf-8",
        settle: Callable[[], None] = lambda: None,
    ) -> None:
        """`settle` is called when something that stays has been built: the review, a tab."""
        super().__init__()
        self._settle = settle
        self._seen: set[str] = set()
        self.animation_level = "none"
        self._engine = engine
        self._title = title
        self._stand_ins = [] if encoding.lower().replace("-", "") == "utf8" else [StandIns(encoding)]
        self._interrupted_at = -TWICE_WITHIN_S
        self._leave_code: int | None = None
        self._keys: dict[str, str] = {}
        self._consent = Consent()
        self._wanted: RunWanted | None = None
        self._repainting: Timer | None = None

    def get_line_filters(self) -> Sequence[LineFilter]:
        """Textual's own, then the stand-ins for what the encoding lacks."""
        return [*super().get_line_filters(), *self._stand_ins]

    def delay_update(self, delay: float = 0.05) -> None:
        """Change tabs at once: there is no transition to hide for 50 ms."""

    def on_mount(self) -> None:
        """Show the empty tab; start the engine, whose imports are heavy, once it is painted."""
        self.picture = replace(self.picture, is_ascii=bool(self._stand_ins))
        self._show_picture()
        self.call_after_refresh(self.set_timer, 0.01, lambda: self._engine.start(self.post_message))

    def watch_picture(self, before: Picture, now: Picture) -> None:
        """Show the picture on the tab that is open; during a run not more often than a slow line can carry."""
        is_rushing = before.is_running and now.is_running and before.waiting is now.waiting is None
        if not is_rushing:
            self._show_picture()
        elif self._repainting is None:
            self._repainting = self.set_timer(REPAINT_EVERY_S, self._show_picture)

    def _show_picture(self) -> None:
        if self._repainting is not None:
            self._repainting.stop()
            self._repainting = None
        tab = self.screen_stack[0]
        if isinstance(tab, TabScreen):
            tab.follow(self.picture, banner_text(self.picture, TABS, tab.TAB.mode, self._title))

    # What the engine tells

    @on(messages.ReviewOpened)
    def take_checks(self, message: messages.ReviewOpened) -> None:
        """The catalogue and the profile's keys are known."""
        tabs = ((tab, tab.PARTS) for tab in TABS)
        self._keys, problems = key_problems(message.keys, type(self), tabs)
        self.set_keymap(self._keys)
        told = tuple(Notice(sentence, is_warning=True) for sentence in problems)
        self.picture = replace(
            self.picture,
            checks=message.checks,
            status="looking for what an interrupted run left",
            notices=(*self.picture.notices, *told),
        )

    @on(messages.ReviewReady)
    def be_ready(self) -> None:
        """Runs and decisions are possible; what was wished for meanwhile is run."""
        self.picture = replace(self.picture, is_ready=True, status="")
        self.call_after_refresh(self._settle)
        if self._wanted is not None:
            wanted, self._wanted = self._wanted, None
            self.run_checks(wanted)

    @on(messages.Announced)
    def follow_event(self, message: messages.Announced) -> None:
        """One event of the review."""
        event = message.event
        self.picture = followed(self.picture, event, time.monotonic())
        if isinstance(event, Notice):
            self.tell(event.text, is_warning=event.is_warning)

    @on(messages.SnapshotTaken)
    def take_snapshot(self, message: messages.SnapshotTaken) -> None:
        """The review as it is now."""
        self.picture = replace(self.picture, snapshot=message.snapshot)

    @on(messages.GateAsked)
    def wait_at_gate(self, message: messages.GateAsked) -> None:
        """A stepwise run waits for an answer."""
        self._set_waiting(message)

    @on(messages.GateLeft)
    def leave_gate(self, message: messages.GateLeft) -> None:
        """It waits no longer."""
        self._set_waiting(None)

    def _set_waiting(self, message: messages.GateAsked | None) -> None:
        progress = self.picture.progress
        if progress is not None:
            progress = replace(progress, waiting=message.waiting if message else None, running="", hop="")
            self.picture = replace(self.picture, progress=progress)

    @on(messages.EvidenceRead)
    def take_evidence(self, message: messages.EvidenceRead) -> None:
        """The evidence that the pane asked for."""
        self.picture = with_evidence(self.picture, message.evidence)

    @on(messages.Decided)
    def take_decision(self, message: messages.Decided) -> None:
        """The decision is in the journal."""
        self.picture = replace(self.picture, recorded=message.decision, draft="")

    @on(messages.ReportsWritten)
    def take_reports(self, message: messages.ReportsWritten) -> None:
        """The files are on disk."""
        self.picture = replace(self.picture, written=message.lines)
        # The names are in the tab: a toast of them all is higher than a small terminal.
        self.tell(f"Reports written, {len(message.lines)} files; Sign-off lists them.")

    @on(messages.Refused)
    def tell_refusal(self, message: messages.Refused) -> None:
        """What was asked for cannot be done."""
        self.tell(message.sentence, is_warning=True)

    @on(messages.EngineEnded)
    def end_with_engine(self) -> None:
        """The review is closed: nothing is left to show."""
        code = (
            self._leave_code if self._leave_code is not None else (0 if self._engine.failure is None else 1)
        )
        self.exit(return_code=code)

    @on(messages.LeaveAsked)
    def leave_at_once(self, message: messages.LeaveAsked) -> None:
        """Give the terminal back and end."""
        self.exit(return_code=message.code)

    def tell(self, text: str, *, is_warning: bool = False) -> None:
        """A passing word; what must stay is in the picture."""
        self.notify(text, severity="warning" if is_warning else "information", markup=False)

    # What the tabs ask for

    @on(RunWanted)
    def run_checks(self, message: RunWanted) -> None:
        """Run what is asked for, with the leave that it needs."""
        if not self._may_write("run"):
            return
        if not self.picture.is_ready:
            self._wanted = message
            return

        def begin(is_quick: bool) -> None:
            self._engine.run(
                checks=message.checks, area=message.area, stepwise=message.stepwise, quick=is_quick
            )

        url = self.picture.snapshot.url if self.picture.snapshot else ""
        self._consent.ask(self, meant(message, self.picture.checks), url, begin)

    @on(GateAnswered)
    def answer_gate(self, message: GateAnswered) -> None:
        """Pass the lead's answer on."""
        self._engine.answer(message.go)

    @on(EvidenceWanted)
    def read_evidence(self, message: EvidenceWanted) -> None:
        """Read it in the engine's thread."""
        self._engine.read_evidence(message.ids)

    @on(DecisionWanted)
    def record_decision(self, message: DecisionWanted) -> None:
        """Record it in the engine's thread."""
        self._engine.decide(message.wanted, message.because)

    @on(DraftChanged)
    def keep_draft(self, message: DraftChanged) -> None:
        """A justification that is not recorded yet."""
        self.picture = replace(self.picture, draft=message.draft)

    @on(ReportsWanted)
    def write_reports(self) -> None:
        """Write them in the engine's thread."""
        if self._may_write("write reports"):
            self._engine.write_reports()

    def _may_write(self, what: str) -> bool:
        snapshot = self.picture.snapshot
        if what == "run" and not self.picture.is_ready:
            self.tell("The review is being opened; the run starts then.")
            return True
        if snapshot is None or not self.picture.is_ready:
            self.tell("The review is not open yet; try again in a moment.", is_warning=True)
            return False
        if snapshot.read_only:
            self.tell(cannot_write(what, snapshot.holder), is_warning=True)
            return False
        return True

    # Keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only what would do something is offered."""
        if action == "run_everything":
            return not self.picture.is_running
        if action == "stop":
            return self.picture.is_running
        return super().check_action(action, parameters)

    def action_tab(self, mode: str) -> None:
        """Open a tab."""
        if mode != self.current_mode:
            self.switch_mode(mode)
            self._show_picture()
            if mode not in self._seen:
                self._seen.add(mode)
                self.call_after_refresh(self._settle)

    def action_next_tab(self, by: int) -> None:
        """Open the next or the previous tab, round and round."""
        modes = [tab.TAB.mode for tab in TABS]
        self.action_tab(modes[(modes.index(self.current_mode) + by) % len(modes)])

    def action_run_everything(self) -> None:
        """Run every check."""
        self.run_checks(RunWanted())

    def action_stop(self) -> None:
        """Stop the run at once, without asking; it cleans up what it launched."""
        progress = self.picture.progress
        if progress is not None:
            self._engine.stop("stopped by the lead")
            self.picture = replace(self.picture, progress=replace(progress, is_stopping=True))

    def action_keys(self) -> None:
        """Show the keys that work here."""
        tab = self.screen_stack[0]
        self.push_screen(Keys("Keys", key_sections(self, tab, self._keys)))

    def action_command_palette(self) -> None:
        """Open the palette, once."""
        if not isinstance(self.screen, Palette):
            self.push_screen(Palette(id="--command-palette"))

    def action_suspend_process(self) -> None:
        """Suspend gonogo, but not under a run: its time limits would go on while it stands still."""
        if self.picture.is_running:
            self.tell(
                "A run is under way and would stand still too; stop it with x, then suspend.", is_warning=True
            )
        else:
            super().action_suspend_process()

    def action_leave(self) -> None:
        """Leave; asked about only while something runs or a justification is not recorded."""
        if self._leave_code is not None:
            self._engine.end("the lead left", is_urgent=True)
        elif self.picture.is_running:
            self._ask_to_leave(
                "A run is under way. Leaving stops it and what it launched.", yes="stops it and leaves"
            )
        elif self.picture.draft:
            self._ask_to_leave("A justification is written and not recorded; it would be lost.", yes="leaves")
        else:
            self._leave()

    def _ask_to_leave(self, text: str, *, yes: str) -> None:
        def answer(is_meant: bool | None) -> None:
            if is_meant:
                self._leave()

        if not isinstance(self.screen, Asked):
            self.push_screen(Asked("Leave gonogo?", text, yes=yes, no="stays"), answer)

    def _leave(self) -> None:
        if self.picture.is_running:
            self._begin_to_leave(0)
            self._engine.end("the lead left")
        else:
            self.exit(return_code=0)

    def _begin_to_leave(self, code: int) -> None:
        self._leave_code = code
        self.picture = replace(self.picture, status="leaving; stopping what was launched")

    def action_interrupt(self) -> None:
        """Twice within two seconds: stop what runs, and leave."""
        now = time.monotonic()
        if now - self._interrupted_at <= TWICE_WITHIN_S:
            self._begin_to_leave(130)
            self._engine.end("interrupted by the keyboard", is_urgent=True)
        else:
            self.tell("Press ctrl+c again within 2 s to stop everything and leave; q leaves with care.")
        self._interrupted_at = now

    def get_system_commands(self, screen: Screen[object]) -> Iterable[SystemCommand]:
        """Everything that the keys of this tab do, for the palette."""
        return palette_commands(self, screen)
