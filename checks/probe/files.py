"""Small files of the host: their text, bounded in size, and who may read them.

No link is followed out of its folder, and nothing but a file is read.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from checks.text import NOTHING, Clean, clean, one_line

MAX_BYTES = 256 << 10
"""What is longer is no configuration."""


class Trouble(StrEnum):
    """Why a file could not be used."""

    NONE = ""
    MISSING = "missing"
    DENIED = "denied"
    ELSEWHERE = "elsewhere"
    """A symbolic link that leads out of the folder that it stands in."""
    NOT_A_FILE = "not-a-file"
    TOO_LONG = "too-long"
    BINARY = "binary"


FAULTY = frozenset({Trouble.NOT_A_FILE, Trouble.TOO_LONG, Trouble.BINARY})
"""Troubles of the file itself, which its owner has to correct."""


@dataclass(frozen=True, slots=True)
class SmallFile:
    """One look at a file."""

    path: Path
    """As it was asked for."""
    text: str | None
    """None where it could not be used."""
    trouble: Trouble = Trouble.NONE
    sentence: Clean = NOTHING
    """What is wrong with it and what to do, without a full stop."""


@dataclass(frozen=True, slots=True)
class Access:
    """Who may do what with a file or folder."""

    path: Path
    mode: int
    """Permission bits, as in 0o640."""
    owner: int
    """Its owner's number."""
    group: int
    is_folder: bool


def read_small(path: Path, most: int = MAX_BYTES) -> SmallFile:
    """The text (UTF-8) of `path`, of at most `most` bytes; a device or pipe is never read or waited for. Blocks."""
    try:
        real = path.resolve(strict=True)
        if path.is_symlink() and not real.is_relative_to(path.parent.resolve(strict=True)):
            return _refused(
                path,
                Trouble.ELSEWHERE,
                f"is a link that leads out of its folder, to {one_line(real, 120)}: name the file itself",
            )
        # The link is resolved: another one in its place by now is not followed, and a pipe does not block.
        descriptor = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except PermissionError:
        return _refused(
            path,
            Trouble.DENIED,
            "may not be read by this account: run gonogo as the account of the service, or let it read the file "
            "(setfacl -m u:ACCOUNT:r FILE)",
        )
    except (FileNotFoundError, NotADirectoryError):
        return _refused(path, Trouble.MISSING, "does not exist: correct its name, or make it")
    except (OSError, RuntimeError, ValueError) as problem:
        # Python 3.11 and 3.12 raise RuntimeError for links that lead to each other.
        why = (getattr(problem, "strerror", "") or "its links lead in a circle").lower()
        return _refused(path, Trouble.NOT_A_FILE, f"cannot be opened ({why}): put a file there")
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        return _refused(path, Trouble.NOT_A_FILE, "is not a file: put a file there")
    with os.fdopen(descriptor, "rb") as file:
        try:
            raw = file.read(most + 1)
        except OSError as problem:
            why = (problem.strerror or type(problem).__name__).lower()
            return _refused(path, Trouble.NOT_A_FILE, f"cannot be read ({why}): put a file there")
    return _decoded(path, raw, most)


def _decoded(path: Path, raw: bytes, most: int) -> SmallFile:
    if len(raw) > most:
        what = f"is longer than {most >> 10} KiB: no configuration is, so correct it"
        return _refused(path, Trouble.TOO_LONG, what)
    if b"\0" in raw:
        line = raw.count(b"\n", 0, raw.index(b"\0")) + 1
        return _refused(path, Trouble.BINARY, f"is binary (a zero byte in line {line}): put text there")
    try:
        return SmallFile(path, raw.decode("utf-8-sig"))
    except UnicodeDecodeError as problem:
        line = raw.count(b"\n", 0, problem.start) + 1
        return _refused(path, Trouble.BINARY, f"is not UTF-8 text in line {line}: save it as UTF-8")


def _refused(path: Path, trouble: Trouble, what: str) -> SmallFile:
    return SmallFile(path, None, trouble, clean(f"{one_line(path, 200)} {what}"))


def access_of(path: Path) -> Access | None:
    """Who may do what with what `path` leads to; None where that may not be seen, or nothing is there. Blocks."""
    try:
        seen = path.stat()
    except (OSError, ValueError, RuntimeError):
        return None
    return Access(path, stat.S_IMODE(seen.st_mode), seen.st_uid, seen.st_gid, stat.S_ISDIR(seen.st_mode))


def folders_above(path: Path) -> list[Access]:
    """Who may do what with each folder on the way to what `path` leads to, the nearest first. Blocks."""
    try:
        real = path.resolve()
    except (OSError, RuntimeError):
        return []
    return [access for folder in real.parents if (access := access_of(folder))]
