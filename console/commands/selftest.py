"""`gonogo selftest`: every check before its good case and its bad ones, on this host; recorded in the review."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from checks.model import Area, ReviewError
from checks.registry import catalogue
from checks.review import Review
from console.commands.target import profile_option, target_to_run
from console.demo.faults import FAULTS
from console.selftest import DemoError, Proof, Trial, chosen, proofs, try_all

EXIT_UNTRUSTED, EXIT_UNPROVED = 10, 11


@click.command()
@profile_option
@click.option("--check", "ids", multiple=True, metavar="ID", help="Only this check; may be repeated.")
@click.option("--fault", "faults", multiple=True, metavar="NAME", help="Only this bad case; may be repeated.")
@click.option(
    "--database", default="", metavar="URL", help="An empty PostgreSQL for the cases that need one."
)
@click.option("--jobs", type=click.IntRange(1, 16), default=2, show_default=True, help="Cases at a time.")
def selftest(
    profile: Path | None, ids: tuple[str, ...], faults: tuple[str, ...], database: str, jobs: int
) -> None:
    """Put every check before the healthy demo and before each of its faults, on this host, and record it.

    The load runs take minutes each and are tried only where they are named by --check or --fault.

    A check that lets a bad case through is not trusted: its PASS counts as INCONCLUSIVE. Exit code: 0 all proved,
    10 a check is not to be trusted, 11 some could not be tried here.
    """
    known = {fault.name for fault in FAULTS}
    if unknown := [name for name in faults if name not in known]:
        raise click.UsageError(f"There is no fault {unknown[0]!r}; `gonogo demo --faults` lists them.")
    every = [check.id for check in catalogue()]
    among = set(ids) if ids else {check.id for check in catalogue() if faults or check.area is not Area.LOAD}
    if unknown := [name for name in ids if name not in every]:
        raise click.UsageError(f"There is no check {unknown[0]!r}; `gonogo checks` lists them.")
    review = Review.open(target_to_run(profile))
    try:
        trials = _tried(faults, among, database, jobs)
        found = proofs(trials)
        wanted = [name for name in every if name in found and (not ids or name in ids)]
        missing = [] if ids or faults else [name for name in every if name in among and name not in found]
        for name in wanted:
            review.record_self_test(name, found[name].document())
    finally:
        review.close()
    _tell({name: found[name] for name in wanted}, missing)
    words = {found[name].word for name in wanted}
    code = EXIT_UNTRUSTED if "UNTRUSTED" in words else EXIT_UNPROVED if "unproved" in words or missing else 0
    click.get_current_context().exit(code)


def _tried(faults: tuple[str, ...], among: set[str], database: str, jobs: int) -> list[Trial]:
    some = chosen(faults, () if faults else among)
    click.echo(f"The healthy case and {len(some)} bad ones; ctrl+c ends it.")
    try:
        return asyncio.run(try_all(some, among=among, database=database, jobs=jobs, tell=_line))
    except DemoError as problem:
        raise ReviewError(str(problem)) from problem


def _line(trial: Trial) -> None:
    if trial.skipped:
        click.echo(f"not tried  {trial.name}: {trial.skipped}")
        return
    word = "WRONG" if trial.wrong else "right"
    click.echo(
        f"{word:10} {trial.name}: {', '.join(trial.wanted) if len(trial.wanted) < 9 else 'every check'}"
    )
    for check, said in trial.wrong.items():
        click.echo(f"           {check} said {said}")


def _tell(found: dict[str, Proof], missing: list[str]) -> None:
    for name, proof in found.items():
        if proof.word != "proved":
            click.echo(f"{proof.word:10} {name}: {'; '.join(proof.doubts or proof.untried) or 'no bad case'}")
    for name in missing:
        click.echo(f"{'unproved':10} {name}: there is no bad case of it")
    counts = [proof.word for proof in found.values()] + ["unproved"] * len(missing)
    told = ", ".join(f"{counts.count(word)} {word}" for word in ("proved", "UNTRUSTED", "unproved"))
    click.echo(f"{len(counts)} checks: {told}")
