"""The faults that are switched on now: those of the start, and of the file that switches them while the demo runs."""

from __future__ import annotations

import logging
from pathlib import Path

from console.demo.faults import SWITCHABLE
from console.demo.log import event
from console.demo.switch_file import FAULTS_FILE, MAX_BYTES, read_switches, write_switches

SHOWN_CHARS = 60
Mark = tuple[int, int, int]


class Switches:
    """The faults that are switched on: those that were given at the start, and what the file says of the others."""

    def __init__(self, data: Path, started: frozenset[str]) -> None:
        """Writes nothing: `begin` does."""
        self._path = data / FAULTS_FILE
        self._fixed = started - SWITCHABLE
        self._mark: Mark | None = None
        self.on = started
        """The names."""

    def begin(self) -> None:
        """Write what was given at the start, in place of what an earlier demo has left. Raises OSError."""
        write_switches(self._path.parent, self.on & SWITCHABLE)
        self._mark = self._marked()

    def look(self) -> bool:
        """Read the file where it has changed; whether other faults are on now. Never raises."""
        mark = self._marked()
        if mark == self._mark:
            return False
        self._mark = mark
        try:
            names = read_switches(self._path.parent)
        except (OSError, ValueError) as problem:
            event("faults not switched", logging.WARNING, cause=str(problem)[:MAX_BYTES])
            return False
        if unknown := sorted(names - SWITCHABLE):
            event(
                "faults that cannot be switched",
                logging.WARNING,
                names=[one[:SHOWN_CHARS] for one in unknown],
            )
        before, self.on = self.on, self._fixed | (names & SWITCHABLE)
        if before != self.on:
            event("faults switched", on=sorted(self.on - before), off=sorted(before - self.on))
        return before != self.on

    def _marked(self) -> Mark | None:
        try:
            state = self._path.lstat()
        except OSError:
            return None
        return state.st_mtime_ns, state.st_ino, state.st_size
