"""Where reviews are kept on this host: one folder per review below the platform's state folder."""

from __future__ import annotations

import getpass
import os
import re
import socket
from pathlib import Path

import platformdirs

from checks.model import ReviewError
from checks.text import Clean, one_line

JOURNAL_NAME = "journal.db"


def state_dir() -> Path:
    """`$GONOGO_STATE_DIR`, else the platform's state folder for this account (created, mode 0700)."""
    named = os.environ.get("GONOGO_STATE_DIR")
    return _made(Path(named) if named else platformdirs.user_state_path("gonogo"))


def review_dir(review: str, base: Path | None = None) -> Path:
    """The folder of one review (created, mode 0700)."""
    return _made((base or state_dir()) / "reviews" / slug(review))


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as problem:
        why = (problem.strerror or type(problem).__name__).lower()
        raise ReviewError(
            f"The state folder {one_line(folder)} cannot be made ({why}): set GONOGO_STATE_DIR to a folder of yours."
        ) from problem
    return folder


def review_dirs(base: Path | None = None) -> list[Path]:
    """The folders that hold a journal, the most recently written first."""
    found = [path.parent for path in ((base or state_dir()) / "reviews").glob(f"*/{JOURNAL_NAME}")]
    return sorted(found, key=_last_written, reverse=True)


def _last_written(folder: Path) -> float:
    return max(path.stat().st_mtime for path in folder.glob(f"{JOURNAL_NAME}*"))


def slug(text: str) -> str:
    """`text` as a file name: letters, digits, dot, hyphen."""
    return re.sub(r"[^A-Za-z0-9.-]+", "-", text).strip("-.") or "review"


def actor() -> Clean:
    """Who acts: `user@host`, as every entry records it."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # an account without a name, as in some containers
        user = str(os.getuid())
    return one_line(f"{user}@{socket.gethostname()}", 80)
