"""`gonogo run`: areas without a screen, with the same engine as the console."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import click

from checks.fold import Snapshot
from checks.model import Area, GonogoError, Result, ReviewError, Verdict
from checks.profile.read import load_target
from checks.reports.junit import junit
from checks.reports.run_json import run_document
from checks.review import Review
from checks.runner import RunSummary
from checks.target import Target
from console.commands.progress import Reporter, reporter_for
from console.commands.target import profile_option, target_to_run
from console.demo.faults import FAULTS
from console.demo.launch import DemoError, DemoProcess

EXIT_FAIL, EXIT_INCONCLUSIVE = 10, 11
SIGNALS = {
    signal.SIGINT: "interrupted by the keyboard",
    signal.SIGTERM: "SIGTERM",
    signal.SIGHUP: "the line was cut",
}


@click.command()
@click.argument("areas", metavar="[AREA]...", nargs=-1, type=click.Choice([area.value for area in Area]))
@profile_option
@click.option("--demo", "on_demo", is_flag=True, help="On the embedded target, started for this run.")
@click.option("--fault", "faults", multiple=True, metavar="NAME", help="With --demo: switch a fault on.")
@click.option(
    "--check", "ids", multiple=True, metavar="ID", help="Only this check and what it needs; repeat."
)
@click.option("--quick", is_flag=True, help="Leave out what is disruptive.")
@click.option("--json", "json_file", metavar="FILE|-", help="Write the results as JSON.")
@click.option(
    "--junit", "junit_file", metavar="FILE", type=click.Path(path_type=Path), help="Write JUnit XML."
)
def run(
    areas: tuple[str, ...],
    profile: Path | None,
    on_demo: bool,
    faults: tuple[str, ...],
    ids: tuple[str, ...],
    quick: bool,
    json_file: str | None,
    junit_file: Path | None,
) -> None:
    """Run AREAs (default: all) without a screen.

    Exit code: 0 all passed, 10 a failure, 11 something inconclusive.
    """
    if on_demo and profile:
        raise click.UsageError("--demo brings its own profile: give --demo or --profile, not both.")
    if areas and ids:
        raise click.UsageError("Give areas or --check, not both.")
    if faults and not on_demo:
        raise click.UsageError("--fault belongs to --demo.")
    known = {fault.name for fault in FAULTS}
    if unknown := [name for name in faults if name not in known]:
        raise click.UsageError(f"There is no fault {unknown[0]!r}; `gonogo demo --faults` lists them.")
    reporter = reporter_for(to_stderr=json_file == "-")
    with ExitStack() as stack:
        target = _demo_target(stack, faults) if on_demo else target_to_run(profile)
        review = (Review.open_own if on_demo else Review.open)(target, listener=reporter)
        stack.callback(review.close)
        summary, signal_number = asyncio.run(
            _run(review, tuple(map(Area, areas)), ids, quick=quick, reporter=reporter)
        )
        snapshot = review.snapshot()
        _write(snapshot, summary.results, json_file, junit_file)
    reporter.summary(summary, snapshot)
    click.get_current_context().exit(128 + signal_number if signal_number else exit_code(summary.results))


def exit_code(results: Sequence[Result]) -> int:
    """0 all passed, 10 a failure, 11 something inconclusive or nothing at all."""
    verdicts = {result.verdict for result in results}
    if Verdict.FAIL in verdicts:
        return EXIT_FAIL
    return 0 if verdicts - {Verdict.NA} == {Verdict.PASS} else EXIT_INCONCLUSIVE


def _demo_target(stack: ExitStack, faults: Sequence[str]) -> Target:
    try:
        demo = stack.enter_context(DemoProcess.start(faults=faults, tls=True))
    except DemoError as problem:
        raise ReviewError(str(problem)) from problem
    return load_target(demo.profile, os.environ)


async def _run(
    review: Review, areas: tuple[Area, ...], ids: tuple[str, ...], *, quick: bool, reporter: Reporter
) -> tuple[RunSummary, int]:
    """Run until the end or a signal; returns the number of the signal, 0 without one."""
    loop, stopping, received = asyncio.get_running_loop(), set[asyncio.Task[None]](), [0]

    def stop(number: signal.Signals) -> None:
        is_urgent = number is not signal.SIGINT or bool(received[0])
        received[0] = number.value
        stopping.add(loop.create_task(review.stop(SIGNALS[number], is_urgent=is_urgent)))

    for number in SIGNALS:
        loop.add_signal_handler(number, stop, number)
    try:
        await review.recover()
        with reporter:
            summary = await review.run(areas, ids, quick=quick)
    finally:
        await asyncio.gather(*stopping, return_exceptions=True)
        for number in SIGNALS:
            loop.remove_signal_handler(number)
    return summary, received[0]


def _write(
    snapshot: Snapshot, results: Sequence[Result], json_file: str | None, junit_file: Path | None
) -> None:
    if json_file:
        text = json.dumps(run_document(snapshot, results), indent=2, ensure_ascii=False) + "\n"
        if json_file == "-":
            click.echo(text, nl=False)
        else:
            _save(Path(json_file), text)
    if junit_file:
        _save(junit_file, junit(results, title=f"gonogo {snapshot.review}"))


def _save(path: Path, text: str) -> None:
    try:
        path = path.resolve()
        if path.exists() and not path.is_file():  # a pipe or a device is written to, never replaced
            path.write_text(text, "utf-8")
            return
        part = path.with_name(path.name + ".part")
        part.write_text(text, "utf-8")
        part.replace(path)
    except OSError as problem:
        raise GonogoError(f"{path} could not be written: {problem.strerror}; give another file.") from problem
