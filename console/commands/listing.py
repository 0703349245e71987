"""`gonogo checks`: what will be looked at, and what that sends to the target."""

from __future__ import annotations

import json

import click

from checks.registry import catalogue


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As a JSON array.")
def checks(as_json: bool) -> None:
    """List every check: id, title, area, severity, safety and what it will send or read."""
    found = catalogue()
    if as_json:
        click.echo(json.dumps([check.document() for check in found], indent=2, ensure_ascii=False))
        return
    for check in found:
        click.echo(
            f"{check.id}  {check.title}  ({check.area.value}, {check.severity.value}, {check.safety.value})"
        )
        click.echo(f"         {check.sends}")
