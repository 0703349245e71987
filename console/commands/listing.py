"""`gonogo checks`: what will be looked at, what that sends to the target, and which bad cases prove it."""

from __future__ import annotations

import json

import click

from checks.registry import catalogue
from console.demo.faults import FAULTS


@click.command()
@click.option("--json", "as_json", is_flag=True, help="As a JSON array.")
def checks(as_json: bool) -> None:
    """List every check: id, title, area, severity, safety and what it will send or read."""
    found = catalogue()
    faults = {check.id: [fault.name for fault in FAULTS if check.id in fault.breaks] for check in found}
    if as_json:
        documents = [{**check.document(), "faults": faults[check.id]} for check in found]
        click.echo(json.dumps(documents, indent=2, ensure_ascii=False))
        return
    group = ""
    for check in found:
        if (here := f"{check.area.value}: {check.subject.value}".rstrip(": ")) != group:
            group = here
            click.echo(f"{group[0].upper()}{group[1:]}")
        click.echo(f"{check.id:8} {check.title}  ({check.severity.value}, {check.safety.value})")
        click.echo(f"         {check.sends}")
        click.echo(f"         proved by {', '.join(faults[check.id]) or 'no fault yet'}")
