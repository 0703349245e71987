"""Files on the disk: written whole or not at all, read without following a link, kept aside without a loss."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import secrets
import stat
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from checks.reports.manifest import (
    MAX_BYTES,
    NAME,
    OLDER,
    FileRecord,
    Manifest,
    decode,
    is_report,
    older_name,
)
from checks.text import Clean, clean

PRIVATE = 0o600
_CHUNK = 1 << 20
_TRIES, _PAUSE_S = 40, 0.05
_PART = re.compile(r"\.[0-9a-f]{16}\.part")


class NotAFileError(OSError):
    """A link, a folder, a pipe or a device stands where a report belongs."""

    def __init__(self, path: Path) -> None:
        super().__init__(0, "it is not a regular file", str(path))


def open_regular(path: Path) -> int:
    """A descriptor for reading a regular file; never follows a link, never waits. Raises OSError."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as problem:
        if path.is_symlink():
            raise NotAFileError(path) from problem
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotAFileError(path)
    return descriptor


def read_at_most(path: Path, limit: int) -> bytes | None:
    """The content of a regular file; None when it is longer than `limit` bytes. Raises OSError."""
    with open(open_regular(path), "rb") as file:
        content = file.read(limit + 1)
    return content if len(content) <= limit else None


def digest_of(path: Path) -> tuple[int, str]:
    """Size and SHA-256 of a regular file. Raises OSError."""
    size, total = 0, hashlib.sha256()
    with open(open_regular(path), "rb") as file:
        while chunk := file.read(_CHUNK):
            size += len(chunk)
            total.update(chunk)
    return size, total.hexdigest()


def write_part(folder: Path, content: bytes) -> Path:
    """`content` in a hidden file of `folder`, on the disk, mode 0600. Raises OSError."""
    part = folder / f".{secrets.token_hex(8)}.part"
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, PRIVATE)
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, PRIVATE)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return part


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Nobody else replaces files in `folder` meanwhile. Raises OSError where somebody goes on doing so."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for left in reversed(range(_TRIES)):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as problem:
                if not left:
                    raise OSError(
                        problem.errno, "another gonogo is writing reports there", str(folder)
                    ) from problem
                time.sleep(_PAUSE_S)
            except OSError:
                break  # a file system without such locks
        for path in folder.iterdir():
            if _PART.fullmatch(path.name):
                path.unlink()  # left by a writer that was killed
        yield
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Have the names of a folder on the disk, where its file system can. Raises nothing."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@dataclass(slots=True)
class Replacement:
    """New files taking the place of older ones, which are kept: `prepare`, `keep_older`, `place`, or `undo`.

    The older manifest is moved first and the new one is placed last: wherever this ends in between, no manifest
    claims what is not there.
    """

    folder: Path
    notes: list[Clean] = field(default_factory=list)
    _moved: list[tuple[Path, Path]] = field(default_factory=list)
    _parts: dict[Path, Path] = field(default_factory=dict)

    def prepare(self, name: str, content: bytes) -> None:
        """Write `content` beside its later name. Raises OSError."""
        self._parts[self.folder / name] = write_part(self.folder, content)

    def keep_older(self, names: Sequence[str]) -> None:
        """Give what bears one of `names` another name, and the manifest with all of its files. Raises OSError."""
        kept: set[str] = set()
        if os.path.lexists(self.folder / NAME):
            kept = self._keep_set()
        for name in names:
            path = self.folder / name
            if name in kept or not os.path.lexists(path):
                continue
            if mark := self._claimed_by(name):
                self._move(path, mark)
                continue
            mark = self._free_mark(_changed_at(path), [name])
            self._move(path, mark)
            self.notes.append(
                clean(f"{name} was there and in no manifest; it is kept as {older_name(name, mark)}.")
            )

    def place(self) -> None:
        """Put the prepared files in place, in the order in which they were prepared. Raises OSError."""
        for path, part in self._parts.items():
            part.rename(path)
        sync_folder(self.folder)

    def undo(self) -> None:
        """Take the new files away and give the older ones their names back. Raises nothing."""
        for path, part in self._parts.items():
            with contextlib.suppress(OSError):
                (part if part.exists() else path).unlink(missing_ok=True)
        for before, after in reversed(self._moved):
            with contextlib.suppress(OSError):
                after.rename(before)
        sync_folder(self.folder)

    def _claimed_by(self, name: str) -> str:
        """The mark of an older manifest whose move was interrupted before the file `name`; empty for none."""
        for path, mark in manifests(self.folder):
            older = manifest_at(path)
            for file in older.files if older and mark else ():
                is_missing = not os.path.lexists(self.folder / older_name(name, mark))
                if file.name == name and is_missing and _is_as_written(self.folder / name, file):
                    return mark
        return ""

    def _keep_set(self) -> set[str]:
        """Move the manifest in force and the files that it names; their names before."""
        older = manifest_at(self.folder / NAME)
        files = {file.name: file for file in older.files if is_report(file.name)} if older else {}
        names = [name for name in files if os.path.lexists(self.folder / name)]
        edited = [name for name in names if not _is_as_written(self.folder / name, files[name])]
        when = older.created_at if older else _changed_at(self.folder / NAME)
        mark = self._free_mark(when, [NAME, *names])
        for name in (NAME, *names):
            self._move(self.folder / name, mark)
        self.notes.append(
            clean(f"The older set is kept as {', '.join(older_name(name, mark) for name in (*names, NAME))}.")
        )
        if older is None:
            self.notes.append(clean(f"The older {NAME} is not what gonogo writes."))
        self.notes += [clean(f"The older {name} is not what gonogo wrote: it was edited.") for name in edited]
        return {NAME, *names}

    def _move(self, path: Path, mark: str) -> None:
        kept = path.with_name(older_name(path.name, mark))
        path.rename(kept)
        self._moved.append((path, kept))

    def _free_mark(self, when: datetime, names: list[str]) -> str:
        """A UTC stamp as a mark that none of the names carries already."""
        first = f"{when.astimezone(UTC):%Y%m%dT%H%M%SZ}"
        mark, number = first, 1
        while any(os.path.lexists(self.folder / older_name(name, mark)) for name in names):
            number += 1
            mark = f"{first}-{number}"
        return mark


def manifest_at(path: Path) -> Manifest | None:
    """The manifest at `path`; None where there is none that can be read."""
    try:
        raw = read_at_most(path, MAX_BYTES)
        return decode(raw) if raw is not None else None
    except (OSError, ValueError):
        return None


def _is_as_written(path: Path, record: FileRecord) -> bool:
    try:
        return digest_of(path) == (record.bytes, record.sha256)
    except OSError:
        return False


def _changed_at(path: Path) -> datetime:
    return datetime.fromtimestamp(path.lstat().st_mtime, UTC)


def manifests(folder: Path) -> list[tuple[Path, str]]:
    """The manifests of a folder with the mark of each, the one in force (mark: empty) first. Raises OSError."""
    found = [(folder / NAME, "")] if os.path.lexists(folder / NAME) else []
    marked = ((path, OLDER.fullmatch(path.name)) for path in sorted(folder.iterdir(), reverse=True))
    return found + [(path, match[1]) for path, match in marked if match]
