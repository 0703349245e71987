"""The file of a log as the host keeps it: who may read it, whether it was rotated, and what rotates it."""

from __future__ import annotations

import fnmatch
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from checks.text import Clean, one_line

LOGROTATE = (Path("/etc/logrotate.conf"), Path("/etc/logrotate.d"))
MAX_CONFIG_BYTES, MAX_CONFIGS, MAX_SIBLINGS = 64 << 10, 200, 200
_ROTATED = re.compile(r"[.-](?:\d{1,4}|\d{4}-?\d\d-?\d\d(?:[-T_.]?\d{2,6})?|old)(?:\.(?:gz|xz|bz2|zst))?")
"""What logrotate, Python's handlers and the like put behind the name of a file that they rotated."""


@dataclass(frozen=True, slots=True)
class LogFile:
    """One look at the file and its folder."""

    path: Path
    mode: int
    """Permission bits."""
    folder_mode: int
    """Those of its folder, with the sticky bit."""
    size: int
    rotated: tuple[tuple[Path, int], ...]
    """Files that it was rotated into, with their permission bits."""


def look_at_log_file(path: Path) -> LogFile:
    """The file's permissions and its rotated siblings. Raises OSError."""
    state, folder = path.lstat(), path.parent.stat()
    rotated = []
    for sibling in _siblings(path):
        if _ROTATED.fullmatch(sibling.name.removeprefix(path.name)) or _is_dated(path, sibling):
            rotated.append((sibling, stat.S_IMODE(sibling.lstat().st_mode)))
    return LogFile(
        path, stat.S_IMODE(state.st_mode), stat.S_IMODE(folder.st_mode), state.st_size, tuple(rotated)
    )


def _siblings(path: Path) -> list[Path]:
    try:
        names = sorted(one for one in path.parent.iterdir() if one.name.startswith(path.stem) and one != path)
    except OSError:
        return []
    return [one for one in names[:MAX_SIBLINGS] if one.is_file() and not one.is_symlink()]


def _is_dated(path: Path, sibling: Path) -> bool:
    """`app-20260301.log` beside `app.log`."""
    middle = sibling.name.removeprefix(path.stem).removesuffix(path.suffix)
    return bool(path.suffix) and sibling.suffix == path.suffix and bool(_ROTATED.fullmatch(middle))


def logrotate_of(path: Path, places: tuple[Path, ...] = LOGROTATE) -> Clean:
    """The configuration of logrotate that names `path`, as `/etc/logrotate.d/chatbot: /var/log/chatbot/*.log`;
    empty where none does, or none may be read."""
    for config in _configs(places):
        try:
            with config.open("rb") as file:
                text = file.read(MAX_CONFIG_BYTES).decode("utf-8", "replace")
        except OSError:
            continue
        for pattern in _patterns(text):
            if fnmatch.fnmatch(str(path), pattern):
                return one_line(f"{config}: {pattern}")
    return Clean("")


def _configs(places: tuple[Path, ...]) -> Iterator[Path]:
    for place in places:
        try:
            found = sorted(place.iterdir())[:MAX_CONFIGS] if place.is_dir() else [place]
        except OSError:
            continue
        yield from (one for one in found if one.is_file())


def _patterns(text: str) -> Iterator[str]:
    """The names of files in front of each block of directives."""
    bare = re.sub(r"(?m)^\s*#.*$", "", text)
    bare = re.sub(r"(?ms)^\s*(?:pre|post|first|last)(?:rotate|action)\b.*?^\s*endscript\b", "", bare)
    for head in re.findall(r"([^{}]*)\{[^{}]*\}", bare):
        for word in re.findall(r'"([^"\n]+)"|(\S+)', head):
            name = word[0] or word[1]
            if name.startswith("/"):
                yield name
