"""The log probe: what was appended to a log file since a mark, and its end; bounded in size, never waiting.

The file may grow, be rotated away, be truncated, be huge or be no log at all: each is told in one sentence.
"""

from __future__ import annotations

import asyncio
import errno
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol

from checks.model import Evidence, Reason, utc_now
from checks.probe.redaction import Redactor
from checks.text import NOTHING, Clean, clean, one_line

MAX_SINCE_BYTES = 8 << 20
"""More than this between two looks is not read: the newest part is, and the cut is told."""
MAX_TAIL_BYTES = 4 << 20
MAX_LINE_CHARS = 1 << 16
MAX_COUNTED_BYTES = 256 << 20
"""Line numbers of a longer file are not counted."""
FINGERPRINT_BYTES = 256
BINARY_SHARE = 0.05
"""So many unprintable bytes make a file binary; a truncated log may begin with a few."""
SHOWN_LINES, SHOWN_CHARS = 8, 600
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.02, 0.5


@dataclass(frozen=True, slots=True)
class Mark:
    """A place in a log: what comes after it is new."""

    at: datetime
    inode: int = 0
    """0: the file was not there."""
    size: int = 0
    before: bytes = field(default=b"", repr=False)
    """The last bytes before the place: a file that was emptied and grew again holds others there."""


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of a log as they are written there: raw, for the judgement alone."""

    lines: tuple[str, ...] = field(default=(), repr=False)
    first: int = 0
    """Number of the first line in its file, from 1; 0 where that is not known."""
    error: Clean = NOTHING
    """Why nothing could be read, as a sentence without a full stop; empty where it could."""
    reason: Reason = Reason.MET
    """NO_SOURCE or NO_RIGHT beside an error."""
    evidence: tuple[Evidence, ...] = ()
    was_cut: bool = False
    """Whether older lines were left out because there were too many."""

    @property
    def text(self) -> str:
        """All of them."""
        return "\n".join(self.lines)

    def with_needle(self, needle: str) -> list[tuple[int, str]]:
        """The lines that contain `needle`, each with its number in the file (0 where that is not known)."""
        found = ((place, line) for place, line in enumerate(self.lines) if needle in line)
        return [(self.first + place if self.first else 0, line) for place, line in found]


class LogSource(Protocol):
    """Somewhere a log can be read: a file or the journal of a unit."""

    @property
    def name(self) -> Clean:
        """What it is called in a sentence."""

    async def mark(self) -> Mark:
        """This moment's end of the log."""

    async def since(self, mark: Mark) -> Lines:
        """What was appended since `mark`."""

    async def tail(self, lines: int) -> Lines:
        """The last `lines` lines."""


class UnreadableError(Exception):
    """The log cannot be read; the text is the sentence."""

    def __init__(self, sentence: str, reason: Reason) -> None:
        super().__init__(sentence)
        self.reason = reason


class LogProbe:
    """Reads one log file."""

    def __init__(self, path: Path, redactor: Redactor, clock: Callable[[], datetime] = utc_now) -> None:
        self.path = path
        self._redactor = redactor
        self._clock = clock

    @property
    def name(self) -> Clean:
        """The file's path."""
        return one_line(self.path)

    async def mark(self) -> Mark:
        """This moment's end of the file; of a file that is not there or may not be read, its beginning."""
        return await asyncio.to_thread(self._mark)

    async def since(self, mark: Mark) -> Lines:
        """What was appended since `mark`, also when the file was rotated or truncated meanwhile."""
        return await asyncio.to_thread(self._told, lambda: self._since(mark))

    async def tail(self, lines: int) -> Lines:
        """The last `lines` lines, as far as they stand in the last `MAX_TAIL_BYTES`."""
        return await asyncio.to_thread(self._told, lambda: self._tail(lines))

    async def find(self, needle: str, mark: Mark, within_s: float) -> Lines:
        """The lines since `mark` that contain `needle`, as soon as there are any; empty after `within_s` seconds."""
        return await find(self, needle, mark, within_s, self._redactor, self._clock)

    def _mark(self) -> Mark:
        at = self._clock()
        try:
            with _opened(self.path) as descriptor:
                state = os.fstat(descriptor)
                start = max(0, state.st_size - FINGERPRINT_BYTES)
                before = os.pread(descriptor, state.st_size - start, start)
                return Mark(at, state.st_ino, start + len(before), before)
        except UnreadableError:
            return Mark(at)

    def _since(self, mark: Mark) -> Lines:
        with _opened(self.path) as descriptor:
            state = os.fstat(descriptor)
            start, older = mark.size, b""
            if state.st_ino != mark.inode:
                older, start = self._rotated_away(mark), 0
            elif state.st_size < mark.size or not _continues(descriptor, mark):
                start = 0
            raw, cut = _read(descriptor, start, state.st_size, MAX_SINCE_BYTES)
            first = 0 if cut or older else _line_number(descriptor, start)
        return _lines(older + raw, first, was_cut=cut)

    def _rotated_away(self, mark: Mark) -> bytes:
        """What the file of the mark was still given after it, under its new name."""
        if not mark.inode:
            return b""
        try:
            siblings = sorted(self.path.parent.glob(f"{_escaped(self.path.name)}*"))[:100]
            renamed = next((one for one in siblings if one.lstat().st_ino == mark.inode), None)
            if renamed is None:
                return b""
            with _opened(renamed) as descriptor:
                size = os.fstat(descriptor).st_size
                return _read(descriptor, mark.size, size, MAX_SINCE_BYTES)[0]
        except (OSError, UnreadableError):
            return b""

    def _tail(self, lines: int) -> Lines:
        with _opened(self.path) as descriptor:
            size = os.fstat(descriptor).st_size
            start = max(0, size - MAX_TAIL_BYTES)
            raw, _ = _read(descriptor, start, size, MAX_TAIL_BYTES)
            if start:  # it begins within a line
                skipped = raw.find(b"\n") + 1
                raw, start = raw[skipped:], start + skipped
            first = _line_number(descriptor, start)
        whole = _lines(raw, first, was_cut=bool(start))
        dropped = max(0, len(whole.lines) - lines)
        number = first + dropped if first else 0
        return Lines(whole.lines[dropped:], number, was_cut=bool(start or dropped))

    def _told(self, look: Callable[[], Lines]) -> Lines:
        try:
            return look()
        except UnreadableError as problem:
            seen = Evidence(
                "log",
                one_line(f"{self.path}: not read"),
                clean(problem),
                clean(f"ls -l {self.path}"),
                self._clock(),
            )
            return Lines(error=one_line(problem, 300), reason=problem.reason, evidence=(seen,))


async def find(
    source: LogSource,
    needle: str,
    mark: Mark,
    within_s: float,
    redactor: Redactor,
    clock: Callable[[], datetime] = utc_now,
) -> Lines:
    """The lines of `source` since `mark` that contain `needle`, as soon as there are any.

    Empty, with the evidence of the last look, after `within_s` seconds.
    """
    began, pause_s = time.monotonic(), FIRST_PAUSE_S
    while True:
        seen = await source.since(mark)
        hits = seen.with_needle(needle)
        left_s = within_s - (time.monotonic() - began)
        if hits or seen.error or left_s <= 0:
            break
        await asyncio.sleep(min(pause_s, left_s))
        pause_s = min(pause_s * 1.5, LONGEST_PAUSE_S)
    if seen.error:
        return seen
    lines = tuple(line for _, line in hits)
    took_s = time.monotonic() - began
    title = f"{source.name}: {len(lines)} of {len(seen.lines)} new lines with “{needle}” after {took_s:.2f} s"
    numbered = [f"{number or '?'}: {line[:SHOWN_CHARS]}" for number, line in hits[:SHOWN_LINES]]
    evidence = Evidence(
        "log",
        one_line(redactor.redact(title)),
        clean(redactor.redact("\n".join(numbered) or "no such line")),
        clean(redactor.redact(f"grep -nF -- '{needle}' {source.name}")),
        clock(),
    )
    return Lines(lines, hits[0][0] if hits else 0, evidence=(evidence,), was_cut=seen.was_cut)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    """The descriptor of a regular file, opened without ever waiting. Raises UnreadableError."""
    try:
        kind = path.lstat().st_mode
        if stat.S_ISLNK(kind):
            why = f"The log {path} is a symbolic link: name the file itself in [log] file of the profile"
            raise UnreadableError(why, Reason.NO_SOURCE)
        if not stat.S_ISREG(kind):
            what = (
                "a folder"
                if stat.S_ISDIR(kind)
                else "a pipe"
                if stat.S_ISFIFO(kind)
                else "a device or socket"
            )
            why = f"The log {path} is {what}, not a file: name the log's file in [log] file of the profile"
            raise UnreadableError(why, Reason.NO_SOURCE)
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NOCTTY)
    except OSError as problem:
        raise _unreadable(path, problem) from problem
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise UnreadableError(f"The log {path} changed while it was opened: try again", Reason.NO_SOURCE)
        _refuse_binary(path, descriptor)
        yield descriptor
    except OSError as problem:
        raise _unreadable(path, problem) from problem
    finally:
        os.close(descriptor)


def _unreadable(path: Path, problem: OSError) -> UnreadableError:
    if problem.errno in (errno.EACCES, errno.EPERM):
        why = f"The log {path} may not be read by this account: run gonogo as the account of the service or as root"
        return UnreadableError(why, Reason.NO_RIGHT)
    if problem.errno in (errno.ENOENT, errno.ENOTDIR):
        why = f"The log {path} is not there: set [log] file in the profile"
        return UnreadableError(why, Reason.NO_SOURCE)
    why = f"The log {path} cannot be read ({problem.strerror or problem}): set [log] file in the profile"
    return UnreadableError(why, Reason.NO_SOURCE)


def _refuse_binary(path: Path, descriptor: int) -> None:
    size = os.fstat(descriptor).st_size
    sample = os.pread(descriptor, 8192, max(0, size - 8192))
    odd = sum(byte < 9 or 13 < byte < 27 for byte in sample)
    if odd > BINARY_SHARE * len(sample):
        why = f"The log {path} holds binary data, not lines of text: name the log's file in [log] file of the profile"
        raise UnreadableError(why, Reason.NO_SOURCE)


def _continues(descriptor: int, mark: Mark) -> bool:
    return os.pread(descriptor, len(mark.before), mark.size - len(mark.before)) == mark.before


def _read(descriptor: int, start: int, end: int, most: int) -> tuple[bytes, bool]:
    """The bytes from `start` to `end`, the newest `most` of them; whether there were more."""
    cut = end - start > most
    start = max(start, end - most)
    parts: list[bytes] = []
    while start < end and (part := os.pread(descriptor, min(1 << 20, end - start), start)):
        parts.append(part)
        start += len(part)
    return b"".join(parts), cut


def _line_number(descriptor: int, place: int) -> int:
    """The number of the line that begins at byte `place`; 0 where that is too far to count."""
    if place > MAX_COUNTED_BYTES:
        return 0
    count, at = 1, 0
    while at < place and (part := os.pread(descriptor, min(1 << 20, place - at), at)):
        count += part.count(b"\n")
        at += len(part)
    return count


def _lines(raw: bytes, first: int, *, was_cut: bool) -> Lines:
    text = raw.replace(b"\0", b"").decode("utf-8", "replace")
    # Only a line feed ends a line: a reader of the log counts so, and str.splitlines does not.
    parts = text.split("\n")
    if parts and not parts[-1]:
        parts.pop()
    return Lines(tuple(part.rstrip("\r")[:MAX_LINE_CHARS] for part in parts), first, was_cut=was_cut)


def _escaped(name: str) -> str:
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in name)
