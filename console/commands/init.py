"""`gonogo init`: a profile from what the live host shows."""

from __future__ import annotations

from pathlib import Path

import click

from checks.profile.discover import discover
from checks.profile.write import render, write_new


@click.command()
@click.option("--port", default=8000, show_default=True, type=click.IntRange(1, 65535))
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    default=Path("gonogo.toml"),
    show_default=True,
    help="The file to write; an existing one is kept.",
)
def init(port: int, out: Path) -> None:
    """Look at who listens on the port and write a commented gonogo.toml; secrets never go into it."""
    discovery = discover(port)
    write_new(out, render(discovery))
    for line in discovery.found:
        click.echo(f"found: {line}")
    for line in discovery.missing:
        click.echo(f"not found: {line}")
    click.echo(f"Written: {out}. Look it through, then start `gonogo --profile {out}`.")
