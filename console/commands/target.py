"""Which target a command means: the profile named, the one in this folder, or the review worked on last."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from checks.journal import Journal
from checks.model import Kind, ReviewError
from checks.profile.read import load_target, target_for_url
from checks.review import Review, review_id
from checks.state import JOURNAL_NAME, actor, review_dirs, slug, state_dir
from checks.target import Target

DEFAULT_PROFILE = Path("gonogo.toml")
DEFAULT_URL = "http://127.0.0.1:8000"

profile_option: Callable[[Any], Any] = click.option(
    "--profile",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The target profile; default: gonogo.toml in this folder.",
)
review_option: Callable[[Any], Any] = click.option(
    "--review", default="", metavar="ID", help="The review; default: the profile's, else the latest."
)


def named_profile(profile: Path | None) -> Path | None:
    """The option of the command, else of `gonogo` itself, else gonogo.toml where there is one."""
    context = click.get_current_context(silent=True)
    given = profile or (context.find_root().obj if context else None)
    return given or (DEFAULT_PROFILE if DEFAULT_PROFILE.exists() else None)


def target_to_run(profile: Path | None) -> Target:
    """The target to look at. Raises ProfileError."""
    path = named_profile(profile)
    return load_target(path, os.environ) if path else target_for_url(DEFAULT_URL, os.environ)


def stored_review(profile: Path | None, review: str) -> tuple[Target, str]:
    """The target and the review id that a command on what is recorded means.

    Raises ReviewError where nothing is recorded, ProfileError for a profile that cannot be read.
    """
    path = named_profile(profile)
    if path and not review:
        target = load_target(path, os.environ)
        return target, slug(review_id(target))
    folders = review_dirs()
    if review:
        folders = [folder for folder in folders if folder.name == slug(review)]
    if not folders:
        known = ", ".join(folder.name for folder in review_dirs()) or "none"
        raise ReviewError(
            f"There is no review {review or 'yet'} under {state_dir()} (recorded: {known}); "
            "begin one with `gonogo run` or in the console."
        )
    if path:
        return load_target(path, os.environ), folders[0].name
    return _target_of(folders[0]), folders[0].name


def _target_of(folder: Path) -> Target:
    """The target of a recorded review: by the profile of its last session, else by its address."""
    journal = Journal.open(folder / JOURNAL_NAME, review=folder.name, actor=actor(), read_only=True)
    try:
        sessions = journal.entries(kinds=(Kind.SESSION_OPENED,))
    finally:
        journal.close()
    if not sessions:
        raise ReviewError(f"The review in {folder} was never begun; remove the folder, or name a profile.")
    body = sessions[-1].body
    path = Path(body["profile"]) if body["profile"] else None
    if path and path.is_file():
        return load_target(path, os.environ)
    return target_for_url(body["target"]["url"], os.environ, title=body["target"]["title"])


def open_recorded(profile: Path | None, review: str, *, read_only: bool = False) -> Review:
    """Open the review that `stored_review` finds. Raises GonogoError."""
    target, name = stored_review(profile, review)
    return Review.open(target, review=name, read_only=read_only)
