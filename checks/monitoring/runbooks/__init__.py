"""Runbooks: what whoever is woken does. One Markdown file for each, with the same four headings."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

HEADINGS = ("Symptom", "Check", "Act", "Escalate")
MOST_BYTES = 1 << 18
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")


def runbook_text(name: str, folder: str = "") -> str | None:
    """The text of the runbook `name` in `folder` (empty: gonogo's own); None where there is none."""
    if not _NAME.fullmatch(name):
        return None
    file = f"{name.removesuffix('.md')}.md"
    try:
        if folder:
            with (Path(folder) / file).open("rb") as opened:
                return opened.read(MOST_BYTES).decode("utf-8", "replace")
        return files(__package__).joinpath(file).read_text("utf-8")
    except OSError:
        return None


def runbook_names() -> tuple[str, ...]:
    """The runbooks that ship with gonogo."""
    return tuple(
        sorted(
            entry.name.removesuffix(".md")
            for entry in files(__package__).iterdir()
            if entry.name.endswith(".md")
        )
    )


def missing_headings(text: str) -> list[str]:
    """The headings that `text` lacks, or that have nothing below them."""
    sections = re.split(r"(?m)^#{1,6}\s+(.+?)\s*#*\s*$", text)
    filled = {
        title.strip().lower()
        for title, body in zip(sections[1::2], sections[2::2], strict=False)
        if body.strip()
    }
    return [heading for heading in HEADINGS if heading.lower() not in filled]
