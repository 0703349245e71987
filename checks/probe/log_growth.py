"""What a log file gains, look after look: only what was appended, across rotation, bounded in size. Never waiting."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from checks.probe.log import (
    FINGERPRINT_BYTES,
    MAX_LINE_CHARS,
    LogProbe,
    Mark,
    UnreadableError,
    _continues,
    _opened,
    _read,
)
from checks.text import NOTHING, Clean, one_line

MOST_BYTES = 1 << 20
"""That much of what was gained between two looks is read, the newest."""


@dataclass(frozen=True, slots=True)
class Gained:
    """What one look found new."""

    lines: tuple[bytes, ...] = field(default=(), repr=False)
    """As they are written there, without their line feeds: raw, for the judgement alone."""
    was_cut: bool = False
    """Whether more was gained than is read."""
    error: Clean = NOTHING
    """Why nothing could be read, as a sentence without a full stop; empty where it could."""


class LogGrowth(LogProbe):
    """Reads one log file on from where it read last. The first look only marks the file's end."""

    _mark_: Mark | None = None

    def gained(self) -> Gained:
        """The whole lines that came since the last look, also when the file was rotated or truncated. Blocks."""
        try:
            return self._gained()
        except UnreadableError as problem:
            if self._mark_ is None:
                # What stands in it when it is there, or may be read, is new.
                self._mark_ = Mark(self._clock())
            return Gained(error=one_line(problem, 300))

    def _gained(self) -> Gained:
        before = self._mark_
        with _opened(self.path) as descriptor:
            state = os.fstat(descriptor)
            if before is None:
                self._put_mark(descriptor, state.st_ino, state.st_size)
                return Gained()
            start, older = before.size, b""
            if state.st_ino != before.inode:
                older, start = self._rotated_away(before), 0
            elif state.st_size < before.size or not _continues(descriptor, before):
                start = 0
            raw, was_cut = _read(descriptor, start, state.st_size, MOST_BYTES)
            end = state.st_size
            # A line that is being written is read at the next look; one without an end is none.
            rest = len(raw) - (raw.rfind(b"\n") + 1)
            if 0 < rest <= MAX_LINE_CHARS:
                raw, end = raw[: len(raw) - rest], end - rest
            self._put_mark(descriptor, state.st_ino, end)
        was_cut = was_cut or len(older) + len(raw) > MOST_BYTES
        lines = (older + raw)[-MOST_BYTES:].split(b"\n")
        return Gained(tuple(one.rstrip(b"\r") for one in lines if one), was_cut=was_cut)

    def _put_mark(self, descriptor: int, inode: int, size: int) -> None:
        start = max(0, size - FINGERPRINT_BYTES)
        before = os.pread(descriptor, size - start, start)
        self._mark_ = Mark(self._clock(), inode, start + len(before), before)
