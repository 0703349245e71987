"""Tab 3: load. A run live in charts and figures, what each scenario found last, and the criteria behind it."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import ClassVar

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Container
from textual.content import Content

from checks.fold import CheckState
from checks.model import Area, State
from screens.checked import CheckedTab
from screens.load_charts import CHARTS, charts
from screens.load_live import figures, scenario_line
from screens.load_text import rows, run_of, told_of
from screens.load_view import NO_LOAD, LoadView
from screens.picture import Picture
from screens.requests import RunWanted
from screens.tab import TabName
from widgets.chart import Chart
from widgets.chart_data import ChartData
from widgets.line import Block, Line
from widgets.result_list import ResultList, Row

BROAD_CELLS, WIDE_CELLS = 140, 100
"""From so many columns on all charts are seen at once, or four of them; else one."""
FIGURES_EVERY_S = 2.0
"""How often at most the figures change on a line that carries little."""
STAYING = 2
"""Of four charts, the first two always stand there; the others are gone through."""


class Figures(Block):
    """A tile of fixed size."""

    is_fixed = True


class Load(CheckedTab):
    """The run in charts and figures above; the scenarios in a list, the chosen one's criteria in a pane."""

    TAB = TabName("load", "3", "Load", Area.LOAD)
    NOUN = "Scenarios"
    LABEL_CELLS = 8

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("r", "run_chosen", "Run", id="run-selected", tooltip="Run the chosen scenario"),
        Binding(
            "c", "next_chart", "Charts", id="next-chart", tooltip="The next chart, where not all have room"
        ),
        Binding(
            "p", "pause", "Pause", show=False, id="pause", tooltip="Hold the picture still, not the load"
        ),
        Binding(
            "b", "save_bandwidth", "Low bandwidth", show=False, id="low-bandwidth", tooltip="Send little"
        ),
    ]

    def __init__(self) -> None:
        super().__init__()
        self._first = 0
        """Which chart is seen where not all have room."""
        self._is_paused = False
        self._is_compact = bool(os.environ.get("GONOGO_LOW_BANDWIDTH"))
        self._figured_at = float("-inf")
        self._charted: LoadView | None = None
        self._data: dict[str, ChartData] = {}

    @classmethod
    def count(cls, picture: Picture) -> tuple[str, str]:
        """How far a run is, while there is one."""
        if picture.load.is_running:
            percent = picture.load.done_percent
            return "●" if percent is None else f"● {percent}%", "RUNNING"
        return super().count(picture)

    @classmethod
    def counting(cls, picture: Picture) -> Sequence[CheckState]:
        """Without what is run by name alone, until it was."""
        by_name = {check.id for check in picture.checks if check.is_by_name}
        found = super().counting(picture)
        return [entry for entry in found if entry.state is not State.NOT_RUN or entry.id not in by_name]

    def compose_above(self) -> ComposeResult:
        """The scenario, the charts, the figures."""
        yield Line(id="scenario")
        with Container(id="load"):
            with Container(id="charts"):
                for name in CHARTS:
                    yield Chart(id=name)
            yield Figures(id="figures")

    def on_mount(self) -> None:
        """Charts as the line and the terminal can carry them."""
        for chart in self.query(Chart):
            chart.is_ascii, chart.is_compact = self.picture.is_ascii, self._is_compact

    def on_resize(self) -> None:
        """Other charts may have room."""
        self._arrange()
        self.show_above()

    @property
    def view(self) -> LoadView:
        """The run that is shown: the one under way, else that of the chosen scenario, else none."""
        if self.picture.load.is_running:
            return self.picture.load
        return self.picture.loads.get(self.query_one(ResultList).chosen, NO_LOAD)

    def show_above(self) -> None:
        """Bring the scenario's line, the charts and the figures up to the picture."""
        if bool(self.picture.loads) != self.has_class("-live"):
            self.toggle_class("-live")
            self.refresh_bindings()
        if self._is_paused:
            return
        view, is_broad = self.view, self.size.width >= BROAD_CELLS
        line = scenario_line(view, self.size.width, self._notes())
        self.query_one("#scenario", Line).say(line if self._has_line() else "")
        if not self.picture.loads:
            return
        if view is not self._charted:
            self._charted, self._data = view, charts(view)
        for name in self._seen():
            self.query_one(f"#{name}", Chart).show(self._data[name])
        if self._is_compact and view.is_running and time.monotonic() - self._figured_at < FIGURES_EVERY_S:
            return
        self._figured_at = time.monotonic()
        self.query_one("#figures", Figures).say(figures(view, is_brief=not is_broad))

    def rows(self, text: str, now: float) -> tuple[Sequence[Row], str]:
        """The scenarios that hold `text`."""
        found = rows(self.states(), self.picture, text, now)
        return found, f"{self.NOUN}: {len(found)} of {len(self.states())} match" if text else self.NOUN

    def told(self, entry: CheckState) -> Sequence[Content | str]:
        """What the newest run of the scenario found."""
        run = run_of(entry, self.picture.snapshot.loads if self.picture.snapshot else ())
        return told_of(run, self.picture.loads.get(entry.id)) if run is not None else ()

    @on(ResultList.Chosen)
    def chart_chosen(self) -> None:
        """The charts follow the cursor too."""
        self.show_above()

    def action_run_chosen(self) -> None:
        """Run the chosen scenario."""
        if chosen := self.query_one(ResultList).chosen:
            self.post_message(RunWanted(checks=(chosen,)))

    def action_next_chart(self) -> None:
        """Show the next chart."""
        self._first = (self._first + 1) % len(CHARTS)
        self._arrange()
        self.show_above()

    def action_pause(self) -> None:
        """Hold the picture still, or let it go on."""
        self._is_paused = not self._is_paused
        if self._is_paused:
            line = scenario_line(self.view, self.size.width, self._notes())
            self.query_one("#scenario", Line).say(line)
        self.show_above()

    def action_save_bandwidth(self) -> None:
        """Send little to the terminal, or everything again."""
        self._is_compact = not self._is_compact
        self._figured_at = float("-inf")
        for chart in self.query(Chart):
            chart.is_compact = self._is_compact
            chart.redraw()
        self.show_above()

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only what would do something is offered."""
        if action == "next_chart":
            return bool(self.picture.loads) and self.size.width < BROAD_CELLS
        return super().check_action(action, parameters)

    def _has_line(self) -> bool:
        return bool(self.view.id) or self._is_paused or self._is_compact

    def _notes(self) -> tuple[str, ...]:
        """How the picture is shown, and which run of how many it is; empty ones are no notes."""
        progress, own = self.picture.progress, {entry.id for entry in self.states()}
        wanted = [name for name in progress.checks if name in own] if progress is not None else []
        done = len(progress.done & set(wanted)) if progress is not None else 0
        return (
            "picture paused, p goes on" if self._is_paused else "",
            "low bandwidth" if self._is_compact else "",
            f"run {min(done + 1, len(wanted))} of {len(wanted)}" if len(wanted) > 1 else "",
        )

    def _seen(self) -> tuple[str, ...]:
        """The charts that have room."""
        if self.size.width >= BROAD_CELLS:
            return CHARTS
        if self.size.width < WIDE_CELLS:
            return (CHARTS[self._first],)
        others = CHARTS[STAYING:]
        turn = self._first % len(others)
        return (*CHARTS[:STAYING], *(others[turn:] + others[:turn])[:2])

    def _arrange(self) -> None:
        self.set_class(self.size.width >= BROAD_CELLS, "-broad")
        seen = self._seen()
        for chart in self.query(Chart):
            chart.display = chart.id in seen
