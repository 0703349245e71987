"""What `gonogo run` shows while it runs: a progress bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import os
import sys
from collections import Counter
from typing import TextIO

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.text import Text

from checks.events import (
    CheckFinished,
    CheckStarted,
    Event,
    LoadSecond,
    LoadStarted,
    Notice,
    RunFinished,
    RunStarted,
)
from checks.fold import Snapshot
from checks.load.model import Second
from checks.model import Result, Verdict
from checks.runner import RunSummary
from checks.text import duration

TELL_EVERY_S = 10
"""How often a load run says how it goes where there is no bar."""
COLOURS = {Verdict.PASS: "green", Verdict.FAIL: "red", Verdict.INCONCLUSIVE: "yellow", Verdict.NA: ""}


class Reporter:
    """The listener of a headless run: one line for each result, each notice and the end."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._is_read = True

    def __enter__(self) -> Reporter:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def __call__(self, event: Event) -> None:
        """Tell one event."""
        if isinstance(event, CheckFinished):
            self.line(result_line(event.result), COLOURS[event.result.verdict])
        elif isinstance(event, Notice):
            self.line(f"Note: {event.text}", "yellow" if event.is_warning else "")
        elif isinstance(event, RunFinished) and event.interrupted:
            self.line(f"Interrupted: {event.interrupted}", "yellow")
        elif isinstance(event, LoadStarted):
            self.line(f"Load: {event.scenario.title}, about {event.legs_s:.0f} s", "")
        elif isinstance(event, LoadSecond):
            self.second(event.second)

    def second(self, second: Second) -> None:
        """Tell one second of a load run, now and then."""
        if second.at_s % TELL_EVERY_S == TELL_EVERY_S - 1:
            self.line(f"  {second_line(second)}", "")

    def line(self, text: str, colour: str) -> None:
        """Write one line; a reader that went away, as `head` does, ends the telling and not the run."""
        if self._is_read:
            try:
                click.echo(text, file=self._stream)
            except OSError:
                self._is_read = False
                with contextlib.suppress(OSError):
                    os.dup2(os.open(os.devnull, os.O_WRONLY), self._stream.fileno())

    def summary(self, summary: RunSummary, snapshot: Snapshot) -> None:
        """Write what the run amounted to, and what the evidence allows now."""
        counts = Counter(result.verdict for result in summary.results)
        told = ", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict if counts[verdict])
        self.line(f"{len(summary.results)} checks: {told or 'none was run'}", "")
        self.line(f"{snapshot.judgement.ceiling} at best: {snapshot.judgement.reasons[0]}", "")


class TerminalReporter(Reporter):
    """The same with colours, above a bar that says what is being run."""

    def __init__(self, stream: TextIO) -> None:
        super().__init__(stream)
        self._console = Console(file=stream, highlight=False)
        columns = (TextColumn("{task.description}", markup=False), BarColumn(), MofNCompleteColumn())
        # Twice a second is enough for an eye and little for a slow link.
        self._bar = Progress(*columns, console=self._console, transient=True, refresh_per_second=2)
        self._task: TaskID | None = None

    def __enter__(self) -> Reporter:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, event: Event) -> None:
        """Tell one event, and move the bar."""
        super().__call__(event)
        if isinstance(event, RunStarted):
            self._task = self._bar.add_task("", total=len(event.checks))
        elif self._task is not None and isinstance(event, CheckStarted):
            self._bar.update(self._task, description=f"{event.id} {event.title}")
        elif self._task is not None and isinstance(event, CheckFinished):
            self._bar.advance(self._task)

    def second(self, second: Second) -> None:
        """Beside the bar, where each replaces the one before."""
        if self._task is not None:
            self._bar.update(self._task, description=second_line(second))

    def line(self, text: str, colour: str) -> None:
        """Write one line above the bar; what the target said is never read as markup."""
        self._console.print(Text(text, style=colour), soft_wrap=True)


def reporter_for(*, to_stderr: bool) -> Reporter:
    """The reporter for where the output goes; `to_stderr` keeps standard output for JSON."""
    stream = sys.stderr if to_stderr else sys.stdout
    return TerminalReporter(stream) if stream.isatty() else Reporter(stream)


def result_line(result: Result) -> str:
    """One result on one line: verdict, id, title, time and, unless it passed, why."""
    again = f" (attempt {result.attempt})" if result.attempt > 1 else ""
    head = f"{result.verdict:12} {result.id}  {result.title}{again}  {duration(result.duration_s)}"
    return head if result.verdict is Verdict.PASS else f"{head}: {result.summary}"


def second_line(second: Second) -> str:
    """One second of a load run on one line."""
    p95 = "-" if second.p95_s is None else duration(second.p95_s)
    step = f" {second.label}" if second.label else ""
    wrong = second.failed + second.throttled
    return f"{second.at_s + 1:>4} s {second.part}{step}: {second.ok} replies, p95 {p95}, {wrong} failed"
