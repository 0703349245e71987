"""The file `faults` in the demo's folder, which switches faults on and off while it runs: one name a line.

It is its owner's alone: whoever may write into the folder may do with the demo what he likes anyway.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

FAULTS_FILE = "faults"
MAX_BYTES = 4096


def read_switches(data: Path) -> frozenset[str]:
    """The names in the file; none where there is no file.

    Raises OSError, and ValueError for one that is not an ordinary file which its owner alone may write and read.
    """
    try:
        descriptor = os.open(data / FAULTS_FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return frozenset()
    with os.fdopen(descriptor, "rb") as file:
        state = os.fstat(file.fileno())
        owners = (0, os.geteuid(), data.stat().st_uid)
        if not stat.S_ISREG(state.st_mode) or state.st_mode & 0o077 or state.st_uid not in owners:
            raise ValueError(f"{data / FAULTS_FILE} must be an ordinary file with mode 0600")
        text = file.read(MAX_BYTES).decode("utf-8", "replace")
    return frozenset(filter(None, map(str.strip, text.splitlines())))


def write_switches(data: Path, names: frozenset[str]) -> None:
    """Replace the file at once, for the owner of the folder. Raises OSError."""
    path = data / FAULTS_FILE
    temporary = path.with_name(f"{FAULTS_FILE}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write("".join(f"{name}\n" for name in sorted(names)))
        if os.geteuid() == 0:
            # The demo may have given up the rights of root: the folder is its account's.
            owner = data.stat()
            os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
    temporary.replace(path)
