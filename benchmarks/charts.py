"""What the Load tab costs while a run is drawn live: the real console in a real terminal, fed two seconds a second.

    python -m benchmarks.charts [ROUNDS]

Prints, for each kind of terminal, medians of: CPU of the console in per cent of a core, milliseconds on its event loop
for each refresh (all charts, figures, list and banner together), and kilobytes a second sent to the terminal. The feed
is synthetic: no load is made. Reads /proc, so it needs Linux.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path

from benchmarks.console import COLUMNS, ROWS, cpu_s
from checks.events import LoadSecond, LoadStarted
from checks.load.model import Scenario
from console.app import GonogoApp
from console.engine import Engine
from console.messages import Announced, SnapshotTaken
from tests.console.terminal import Session
from tests.screens.loads import SOAK, USERS_100, LoadReview, announced, load_run

FEED_EVERY_S, ROUND_S = 0.5, 10.0
BEFORE = 10
"""Seconds of the run that are over when measuring begins."""
LONG = 3000
TRUECOLOUR = {"TERM": "xterm-256color", "COLORTERM": "truecolor"}
NO_MORE = {"TERM": "xterm-256color", "COLORTERM": ""}


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of terminal, and the run that is drawn in it."""

    name: str
    environment: dict[str, str] = field(default_factory=dict)
    columns: int = COLUMNS
    rows: int = ROWS
    is_long: bool = False
    tab: str = "3"


CASES = (
    Case("160x45", TRUECOLOUR),
    Case("160x45, 256 colours", NO_MORE),
    Case("160x45, an hour's soak", TRUECOLOUR, is_long=True),
    Case("160x45, low bandwidth", {**TRUECOLOUR, "GONOGO_LOW_BANDWIDTH": "1"}),
    Case("100x30, 256 colours", NO_MORE, 100, 30),
    Case("80x24, 256 colours", NO_MORE, 80, 24),
    Case("another tab is open", TRUECOLOUR, tab="1"),
)


class FedApp(GonogoApp):
    """The console, with a load run that is announced to it as the engine would, only faster."""

    CSS_PATH = str(Path(__file__).parents[1] / "console/console.tcss")

    def __init__(self, scenario: Scenario, before: int, out: Path) -> None:
        self.review = LoadReview(hold={"LOAD-02"}, loads=(load_run(),))
        super().__init__(Engine(self.review.open))
        self.events: Iterator[LoadStarted | LoadSecond] = announced(scenario, 1 << 20)
        self.before, self.out = before, out
        self.refreshes, self.fed_s = 0, 0.0
        self.snapshot = self.review.snapshot()

    def begin(self) -> None:
        """Start the run, and feed it from then on."""
        self._engine.run(checks=("LOAD-01", "LOAD-02"))
        self.set_timer(0.5, self.catch_up)

    def catch_up(self) -> None:
        """What is over when measuring begins."""
        for event in islice(self.events, self.before + 1):
            self.post_message(Announced(event))
        self.set_timer(1.5, lambda: self.set_interval(FEED_EVERY_S, self.feed))

    def feed(self) -> None:
        """One more second, and a snapshot as after every event; note what the loop's thread used but for this."""
        began = time.thread_time()
        self.refreshes += 1
        self.post_message(Announced(next(self.events)))
        self.post_message(SnapshotTaken(replace(self.snapshot, head_seq=self.refreshes)))
        self.out.write_text(json.dumps([self.refreshes, began - self.fed_s]))
        self.fed_s += time.thread_time() - began


def serve(is_long: bool, out: Path) -> None:
    """Be the console that is measured."""
    app = FedApp(SOAK if is_long else USERS_100, LONG if is_long else BEFORE, out)
    app.call_later(lambda: app.set_timer(1.0, app.begin))
    app.run(mouse=False)
    if app.crash is not None:
        raise app.crash


def measured(case: Case) -> tuple[float, float, float]:
    """CPU in per cent, milliseconds a refresh, kilobytes a second: one round."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "used.json"
        command = [sys.executable, "-m", "benchmarks.charts", "--serve", str(int(case.is_long)), str(out)]
        environment = {**os.environ, **case.environment}
        with Session(command, environment, columns=case.columns, rows=case.rows) as session:
            session.until("Walk")
            session.press(case.tab)
            while not out.exists():
                session.pump(0.1)
            for _ in range(20):  # the charts' library is fetched, and everything stands
                session.pump(0.1)
            first, used, size, since = _read(out), cpu_s(session.pid), len(session.raw), time.monotonic()
            while time.monotonic() - since < ROUND_S:
                session.pump(0.05)
            took = time.monotonic() - since
            last = _read(out)
            cpu = (cpu_s(session.pid) - used) / took * 100
            sent = (len(session.raw) - size) / took / 1e3
    return cpu, (last[1] - first[1]) / (last[0] - first[0]) * 1e3, sent


def _read(out: Path) -> list[float]:
    """What was noted last; a note that is being written is waited for."""
    while True:
        try:
            found: list[float] = json.loads(out.read_text())
        except ValueError:
            time.sleep(0.001)
        else:
            return found


def main(rounds: int) -> None:
    """Measure all in turn, as often as asked for, and print."""
    found: dict[str, list[tuple[float, float, float]]] = defaultdict(list)
    for _ in range(rounds):
        for case in CASES:
            found[case.name].append(measured(case))
    print(f"{'':26}{'CPU %':>8}{'ms a refresh':>14}{'kB/s':>10}")
    for name, rows in found.items():
        cpu, loop, sent = (statistics.median(values) for values in zip(*rows, strict=True))
        print(f"{name:26}{cpu:8.1f}{loop:14.1f}{sent:10.1f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(sys.argv[2] == "1", Path(sys.argv[3]))
    else:
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 3)
