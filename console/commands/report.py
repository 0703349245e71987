"""`gonogo report` and `gonogo verify`: the files, and the proof that nobody touched them."""

from __future__ import annotations

from pathlib import Path

import click

from checks.reports.verify import verify as verify_folder
from console.commands.target import open_recorded, profile_option, review_option

EXIT_ALTERED = 21


@click.command()
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path(),
    help="Folder in which the report folder is made; default: this one.",
)
@profile_option
@review_option
def report(out: Path, profile: Path | None, review: str) -> None:
    """Write the report files and their manifest, from the journal alone."""
    opened = open_recorded(profile, review)
    try:
        written = opened.write_reports(out)
    finally:
        opened.close()
    for path in (*written.paths, written.manifest):
        click.echo(path)
    for note in written.notes:
        click.echo(note)


@click.command()
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
def verify(folder: Path) -> None:
    """Recompute the files, the evidence and the chain behind the reports in DIR; exit 21 where one was altered."""
    found = verify_folder(folder)
    for line in found.checked:
        click.echo(f"checked: {line}")
    for problem in found.problems:
        click.echo(f"ALTERED: {problem}")
    if found.problems:
        click.get_current_context().exit(EXIT_ALTERED)
    click.echo("Nothing was altered.")
