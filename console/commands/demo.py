"""`gonogo demo`: the embedded target, with the console on it or by itself."""

from __future__ import annotations

import json
from pathlib import Path

import click

from console.demo.faults import FAULTS


@click.command()
@click.option("--fault", "faults", multiple=True, metavar="NAME", help="Switch a fault on; may be repeated.")
@click.option("--serve", is_flag=True, help="Only serve: print one JSON line once requests are accepted.")
@click.option("--port", type=click.IntRange(0, 65535), help="Default: 8000 where it is free, else another.")
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder of its database, log and settings; default: a temporary one.",
)
@click.option(
    "--tls/--no-tls",
    default=None,
    help="HTTPS with a certificate made on the spot; default: with the console, not with --serve.",
)
@click.option(
    "--database",
    default="",
    envvar="DEMO_DATABASE_URL",
    metavar="URL",
    help="PostgreSQL instead of SQLite (with --serve); a URL with a password belongs into DEMO_DATABASE_URL.",
)
@click.option("--faults", "list_faults", is_flag=True, help="List the faults.")
@click.option("--json", "as_json", is_flag=True, help="With --faults: as a JSON array.")
@click.option("--mouse", is_flag=True, help="Let the console take the mouse.")
def demo(
    faults: tuple[str, ...],
    serve: bool,
    port: int | None,
    data: Path | None,
    tls: bool | None,
    database: str,
    list_faults: bool,
    as_json: bool,
    mouse: bool,
) -> None:
    """Start the embedded target on loopback, and the console on it."""
    if list_faults:
        _list_faults(as_json)
        return
    known = {fault.name for fault in FAULTS}
    for name in faults:
        if name not in known:
            raise click.UsageError(f"There is no fault {name!r}; `gonogo demo --faults` lists them.")
    if serve:
        click.get_current_context().exit(_serve(faults, port, data, tls=bool(tls), database=database))
    from console.commands.console import open_console_on_demo  # brings Textual in

    click.get_current_context().exit(
        open_console_on_demo(faults, port=port, data=data, tls=tls is not False, mouse=mouse)
    )


def _serve(faults: tuple[str, ...], port: int | None, data: Path | None, *, tls: bool, database: str) -> int:
    from console.demo.launch import serve  # not needed for the list

    return serve(faults=faults, port=port, data=data, tls=tls, database=database)


def _list_faults(as_json: bool) -> None:
    if as_json:
        rows = [
            {
                "name": fault.name,
                "about": fault.about,
                "breaks": list(fault.breaks),
                "fires": list(fault.fires),
                "switchable": fault.is_switchable,
            }
            for fault in FAULTS
        ]
        click.echo(json.dumps(rows, indent=2, ensure_ascii=False))
        return
    for fault in FAULTS:
        broken = ", ".join((*fault.breaks, *fault.fires))
        mark = "*" if fault.is_switchable else ""
        click.echo(f"{fault.name + mark:24} {broken:18} {fault.about}")
    click.echo(
        "\n* can also be switched while the demo runs: write its name into the file `faults` of its folder,"
    )
    click.echo("  one a line, and remove it there again.")
