"""What the console costs, beside a bare five-tab Textual app, both in a real terminal in the same run.

    python -m benchmarks.console [ROUNDS]

Prints medians and the ratio: start to the first whole paint, peak memory, CPU and bytes while nothing happens, and the
time from a tab's key to its paint. Reads /proc, so it needs Linux.
"""

from __future__ import annotations

import os
import re
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from console.demo.launch import DemoProcess
from tests.console.terminal import Session

IDLE_S = 10.0
SWITCHES = 10
COLUMNS, ROWS = 160, 45


@dataclass(frozen=True, slots=True)
class Program:
    """One program, the text that says that it is ready, and the texts of two of its tabs by key."""

    name: str
    command: Sequence[str]
    ready: str
    tabs: tuple[tuple[str, str], tuple[str, str]]


def cpu_s(pid: int) -> float:
    """CPU seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_mib(pid: int) -> float:
    """The most memory that it has had resident, in MiB."""
    found = re.search(r"VmHWM:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())
    return int(found[1]) / 1024 if found else 0.0


def settle(session: Session, quiet_s: float = 0.3) -> None:
    """Read until nothing has come for a while."""
    size, since = len(session.raw), time.monotonic()
    while time.monotonic() - since < quiet_s:
        session.pump(0.01)
        if len(session.raw) != size:
            size, since = len(session.raw), time.monotonic()


def measured(program: Program, environment: dict[str, str]) -> dict[str, list[float]]:
    """One round."""
    figures: dict[str, list[float]] = defaultdict(list)
    began = time.perf_counter()
    with Session(program.command, environment, columns=COLUMNS, rows=ROWS) as session:
        session.until(program.ready)
        figures["ready ms"].append((time.perf_counter() - began) * 1e3)
        settle(session, 1.0)
        used, size, since = cpu_s(session.pid), len(session.raw), time.monotonic()
        while time.monotonic() - since < IDLE_S:
            session.pump(0.1)
        figures["idle CPU %"].append((cpu_s(session.pid) - used) / IDLE_S * 100)
        figures["idle bytes/s"].append((len(session.raw) - size) / IDLE_S)
        for _ in range(SWITCHES):
            for key, text in program.tabs:
                settle(session, 0.15)
                began = time.perf_counter()
                session.press(key)
                while text not in session.text:
                    session.pump(0.002)
                figures["tab switch ms"].append((time.perf_counter() - began) * 1e3)
        figures["peak RSS MiB"].append(peak_mib(session.pid))
    return figures


def main(rounds: int) -> None:
    """Measure in turn and print."""
    bin_dir = Path(sys.executable).parent
    with tempfile.TemporaryDirectory() as folder, DemoProcess.start(port=0) as demo:
        environment = {**os.environ, "TERM": "xterm-256color", "GONOGO_STATE_DIR": folder}
        programs = (
            Program(
                "gonogo",
                [str(bin_dir / "gonogo"), "--profile", str(demo.profile)],
                "Walkthrough",
                (("5", "The ceiling"), ("1", "Controller is healthy")),
            ),
            Program(
                "bare",
                [sys.executable, "-m", "benchmarks.bare"],
                "PANE-1",
                (("2", "PANE-2"), ("1", "PANE-1")),
            ),
        )
        all_figures: dict[str, dict[str, list[float]]] = {
            program.name: defaultdict(list) for program in programs
        }
        for _ in range(rounds):
            for program in programs:
                for name, values in measured(program, environment).items():
                    all_figures[program.name][name] += values
    print(f"{'':16}{'gonogo':>10}{'bare':>10}{'ratio':>8}")
    for name, values in all_figures["gonogo"].items():
        ours, bare = statistics.median(values), statistics.median(all_figures["bare"][name])
        ratio = f"{ours / bare:8.2f}" if bare else f"{'-':>8}"
        print(f"{name:16}{ours:10.2f}{bare:10.2f}{ratio}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
