"""`gonogo export`: the same rules for Prometheus and Alertmanager, a dashboard, and the watch as a service."""

from __future__ import annotations

import fcntl
import os
import tempfile
from pathlib import Path

import click

from checks.model import ReviewError, utc_now
from checks.monitoring.export.writing import EXPORTS, exported, write
from checks.monitoring.record import as_watched
from checks.review import review_id
from checks.state import review_dir, slug
from console.commands.target import profile_option, target_to_run
from console.demo.settings import LOCK_FILE, PROFILE_FILE

ALL = "all"
DEMO_FOLDERS = "gonogo-demo-*"
"""Below the folder for temporary files: what a demo without --data works in."""


@click.command()
@click.argument("kind", type=click.Choice([*EXPORTS, ALL]))
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path, file_okay=False))
@click.option("--demo", "of_demo", is_flag=True, help="For the embedded demo that runs, with its addresses.")
@click.option("--force", is_flag=True, help="Replace files in DIR that no export wrote.")
@profile_option
def export(kind: str, folder: Path, of_demo: bool, force: bool, profile: Path | None) -> None:
    """Write files for Prometheus, Alertmanager, Grafana or systemd into DIR, from the profile's thresholds and ladders.

    No secret is in them; what has to be added is told.
    """
    if of_demo and profile:
        raise click.UsageError("--demo takes the profile of the demo that runs: leave out --profile.")
    target = target_to_run(running_demo() if of_demo else profile)
    # Limits that were changed at the console are part of what is watched.
    target = as_watched(target, review_dir(slug(review_id(target))), utc_now())
    files = exported(target, EXPORTS if kind == ALL else (kind,))
    for path in write(files, folder, is_forced=force):
        click.echo(path)
    for note in dict.fromkeys(note for one in files for note in one.notes):
        click.echo(f"Note: {note}")


def running_demo() -> Path:
    """The profile of the demo of this account that runs, of several the one started last. Raises ReviewError."""
    found = [
        folder / PROFILE_FILE
        for folder in Path(tempfile.gettempdir()).glob(DEMO_FOLDERS)
        if _is_in_use(folder) and (folder / PROFILE_FILE).is_file()
    ]
    if not found:
        raise ReviewError(
            "No demo runs that can be found: start `gonogo demo` in another terminal; of one with --data DIR, give "
            f"--profile DIR/{PROFILE_FILE}."
        )
    return max(found, key=lambda path: path.stat().st_mtime)


def _is_in_use(folder: Path) -> bool:
    """Whether a demo holds the folder: its lock is taken. One that was killed has left its folder, and no lock."""
    try:
        descriptor = os.open(folder / LOCK_FILE, os.O_RDONLY | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False
