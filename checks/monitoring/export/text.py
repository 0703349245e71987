"""Exported files as text: YAML with a head that says where it comes from."""

from __future__ import annotations

from typing import Any

import yaml

MARK = "Written by `gonogo export`"
"""What an export is known by; files without it are never replaced unasked."""
WIDTH = 10_000
"""Expressions are not broken into lines: people search for them."""


def head(*sentences: str) -> str:
    """Comment lines at the beginning of a file."""
    return "".join(f"# {line}\n" for line in (f"{MARK}. Change the profile and export again.", *sentences))


def document(content: Any, *sentences: str) -> str:
    """`content` as YAML below its head."""
    return f"{head(*sentences)}\n{yaml.safe_dump(content, sort_keys=False, width=WIDTH, allow_unicode=True)}"
