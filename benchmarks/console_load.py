"""The console while a real load run goes on: how fast tabs change, and what a terminal that nobody reads does to it.

    python -m benchmarks.console_load [SWITCHES]

Starts the demo and the console at 160x45 and runs 1000 messages a minute (LOAD-03). Prints the median, 95th percentile
and maximum of the time from a digit key to the other tab on the screen, before and during the run; tabs are opened once
before. Then the same run twice more, once read all the time and once with ten seconds in which nobody reads the
terminal: the generator's lag, its latencies, and whether a second is missing in the journal.
"""

from __future__ import annotations

import gc
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.console import COLUMNS, ROWS
from checks.journal import Journal
from checks.load.model import LoadRun, Second
from checks.load.records import load_run, second
from checks.model import Kind
from console.demo.launch import DemoProcess
from tests.console.terminal import Session

TABS = {"1": "[1 Walk", "2": "[2 Audit", "3": "[3 Load"}
SCENARIO = """
[scenarios.rate-1000]
ramp_s = 1.0
hold_s = 24.0
"""
UNREAD_S = 10.0
LONGEST_S = 90.0


def switched(session: Session, key: str) -> float:
    """Milliseconds from the key to the tab's name in brackets."""
    began = time.perf_counter()
    session.press(key)
    while TABS[key] not in session.text:
        session.pump(0.002)
        assert time.perf_counter() - began < 10, session.text
    return (time.perf_counter() - began) * 1e3


def switches(session: Session, count: int) -> str:
    """Switch round and round; the figures as text."""
    took = []
    gc.collect()
    gc.disable()  # a collection in this program, whose terminal is an emulated one, is not the console's
    for place in range(count):
        took.append(switched(session, "123"[place % 3]))
        until = time.monotonic() + 0.15
        while time.monotonic() < until:
            session.pump(0.02)
    gc.enable()
    ordered = sorted(took)
    p95 = ordered[max(0, -(-95 * len(ordered) // 100) - 1)]
    return f"median {ordered[len(ordered) // 2]:.0f} ms, p95 {p95:.0f} ms, max {ordered[-1]:.0f} ms"


def begin(session: Session) -> None:
    """Choose LOAD-03 and run it."""
    switched(session, "3")
    for _ in range(20):  # what the run before had launched is being stopped
        session.pump(0.1)
    for key in ("g", "j", "j", "r"):
        session.press(key)
        session.pump(0.3)
    session.until("to give leave")
    session.press("127.0.0.1")
    session.pump(0.3)
    session.press("\r")
    session.until("running LOAD-03")


def to_its_end(session: Session) -> None:
    """Read the terminal until nothing runs."""
    until = time.monotonic() + LONGEST_S
    while "running LOAD" in session.text:
        session.pump(0.1)
        assert time.monotonic() < until, session.text


def newest(state: Path) -> tuple[LoadRun, list[Second]]:
    """The last load run in the journal, and the seconds that it has of it."""
    path = next(state.glob("reviews/*/journal.db"))
    journal = Journal.open(path, review=path.parent.name, actor="benchmark", read_only=True)
    try:
        run = load_run(journal.entries(kinds=[Kind.LOAD_RUN])[-1].body)
        entries = journal.entries(kinds=[Kind.LOAD_SECOND])
        seconds = [second(entry.body) for entry in entries if entry.subject == run.id]
    finally:
        journal.close()
    return run, seconds


def told(name: str, run: LoadRun, seconds: list[Second]) -> str:
    """The engine's figures as one line."""
    gaps = len(range(seconds[0].at_s, seconds[-1].at_s + 1)) - len(seconds)
    lag = run.generator.lag
    cpu = [one.sample.console_cpu_percent or 0.0 for one in seconds]
    return (
        f"{name:22} lag p99 {lag.p99_s * 1e3:.2f} ms, p50 {run.latency.p50_s * 1e3:.1f} ms, "
        f"p95 {run.latency.p95_s * 1e3:.1f} ms, sent {run.sent}, {gaps} seconds missing, "
        f"console {statistics.fmean(cpu):.1f} % of a core"
    )


def main(count: int) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder, DemoProcess.start(port=0, tls=True) as demo:
        where = Path(folder)
        text, _, _ = demo.profile.read_text("utf-8").partition("[scenarios.")
        (where / "gonogo.toml").write_text(text + SCENARIO, "utf-8")
        environment = {**os.environ, "GONOGO_STATE_DIR": str(where / "state"), "TERM": "xterm-256color"}
        command = [sys.executable, "-m", "console.cli", "--profile", str(where / "gonogo.toml")]
        with Session(command, environment, columns=COLUMNS, rows=ROWS) as session:
            session.until("Walk")
            session.pump(2)
            switches(session, len(TABS))  # the first time, a tab is built
            print(f"tab switch, at rest:     {switches(session, count)}")
            begin(session)
            print(f"tab switch, under load:  {switches(session, count)}")
            to_its_end(session)
            begin(session)
            to_its_end(session)
            session.pump(1)
            print(told("read all the time:", *newest(where / "state")))
            begin(session)
            session.pump(1)
            time.sleep(UNREAD_S)
            to_its_end(session)
            session.pump(1)
            print(told("10 s read by nobody:", *newest(where / "state")))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 60)
