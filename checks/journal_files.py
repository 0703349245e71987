"""The files beside the journal's database: the lock of its writer and the head that its end must match."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import time
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from checks.model import canonical, stamp
from checks.text import NOTHING, Clean, one_line

NO_HASH = "0" * 64
"""What the first entry is chained to."""
PRIVATE = 0o600
_HEAD_SIZE = 512  # one disk sector, overwritten in place: old or new after a power cut, never torn
_TRIES = 5
_PAUSE_S = 0.02


@dataclass(frozen=True, slots=True)
class Seal:
    """The database file as it was when its writer closed it."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class HeadRecord:
    """What `journal.head` says; at most as far as the database, because it is written after the commit."""

    seq: int
    hash: str
    seal: Seal | None = None
    """None from before the first append until the journal is closed."""
    restarted_at: int = 0
    """The last entry at a moment when the file was found missing; 0 where it never was."""


def head_path(journal: Path) -> Path:
    """`journal.head` for `journal.db`."""
    return journal.with_suffix(".head")


def lock_path(journal: Path) -> Path:
    """`journal.lock` for `journal.db`."""
    return journal.with_suffix(".lock")


def wal_path(journal: Path) -> Path:
    """SQLite's write-ahead log for `journal.db`."""
    return journal.with_name(f"{journal.name}-wal")


def read_head(journal: Path) -> HeadRecord | None:
    """The head file; None when it is missing or empty. Raises ValueError when it is not what was written."""
    for attempt in range(_TRIES):
        try:
            raw = head_path(journal).read_bytes()
        except FileNotFoundError:
            return None
        if not raw:
            return None
        try:
            return _decode(raw)
        except ValueError:
            if attempt == _TRIES - 1:
                raise
            time.sleep(_PAUSE_S)  # read while its writer was overwriting it
    return None


def write_head(journal: Path, record: HeadRecord, *, durable: bool = False) -> None:
    """Overwrite the head file; `durable` waits for the disk. Raises OSError."""
    raw = _encode(record)
    descriptor = os.open(head_path(journal), os.O_WRONLY | os.O_CREAT, PRIVATE)
    try:
        os.fchmod(descriptor, PRIVATE)
        os.pwrite(descriptor, raw, 0)
        if os.fstat(descriptor).st_size != len(raw):
            os.ftruncate(descriptor, len(raw))
        if durable:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _encode(record: HeadRecord) -> bytes:
    return canonical(asdict(record)).ljust(_HEAD_SIZE - 1) + b"\n"


def _decode(raw: bytes) -> HeadRecord:
    if len(raw) != _HEAD_SIZE:
        raise ValueError("the head file has the wrong size")
    try:
        document = json.loads(raw)
        sealed = document.pop("seal")
        seal = Seal(**sealed) if sealed else None
        record = HeadRecord(**document, seal=seal)
        numbers = [record.seq, record.restarted_at, *([seal.size] if seal else [])]
        same = all(type(number) is int for number in numbers) and _encode(record) == raw
    except (AttributeError, KeyError, TypeError, RecursionError) as error:
        raise ValueError("the head file has the wrong fields") from error
    if not same:
        raise ValueError("the head file is not what was written")
    return record


def file_digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal. Raises OSError.

    Not for a database that this process has open: closing any descriptor of it drops SQLite's locks.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def seal_of(journal: Path) -> Seal:
    """The database file as it is now. Raises OSError."""
    return Seal(journal.stat().st_size, file_digest(journal))


def create_private(path: Path) -> None:
    """Create an empty file of mode 0600 whatever the umask; an existing one is left. Raises OSError."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE)
    except FileExistsError:
        return
    os.fchmod(descriptor, PRIVATE)
    os.close(descriptor)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


class WriteLock:
    """The one writer of a journal; the kernel releases it when the process ends, however it ends."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor: int | None = descriptor

    @classmethod
    def take(cls, journal: Path, actor: str, since: datetime) -> WriteLock | None:
        """The lock, or None while another process holds it. Raises OSError."""
        descriptor = os.open(lock_path(journal), os.O_RDWR | os.O_CREAT, PRIVATE)
        for _ in range(_TRIES):
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(_PAUSE_S)  # a reader that asks for the holder takes it for a moment
                continue
            os.fchmod(descriptor, PRIVATE)
            os.ftruncate(descriptor, 0)
            os.pwrite(descriptor, canonical({"pid": os.getpid(), "actor": actor, "since": stamp(since)}), 0)
            return cls(descriptor)
        os.close(descriptor)
        return None

    def release(self) -> None:
        """Give the lock back; a second call does nothing."""
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            os.ftruncate(descriptor, 0)
            os.close(descriptor)


def holder_of(journal: Path) -> Clean:
    """Who holds the write lock, such as `mhk@host, pid 4711, since 2026-01-31T09:00:00Z`; empty if nobody."""
    try:
        descriptor = os.open(lock_path(journal), os.O_RDONLY)
    except OSError:
        return NOTHING
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return _holder(os.pread(descriptor, 4096, 0))
    else:
        return NOTHING
    finally:
        os.close(descriptor)


def _holder(raw: bytes) -> Clean:
    try:
        document = json.loads(raw)
        since = str(document["since"]).split(".")[0].rstrip("Z")
        return one_line(f"{document['actor']}, pid {document['pid']}, since {since}Z")
    except (ValueError, KeyError, TypeError, RecursionError):
        return Clean("another process")  # it has the lock and has not yet written its name
