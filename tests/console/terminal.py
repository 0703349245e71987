"""A real pseudo-terminal with a program in it, for tests of what a pilot cannot see: bytes, signals, modes."""

from __future__ import annotations

import codecs
import contextlib
import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import pyte

MISREAD = re.compile(r"\x1b\[[<>=][0-9;]*u|\x1b\[\?[0-9;]*\$p|\x1b\[\?[0-9;]*u")
"""Sequences that pyte takes for text."""
UNFINISHED = re.compile(r"\x1b(\[[0-9;?<>=$]*|\][^\x07\x1b]*)?$")
MODES = {
    "1049": "alternate screen",
    "1000": "mouse",
    "1003": "mouse",
    "2004": "bracketed paste",
    "1004": "focus",
}


class Session:
    """A program on a terminal of its own, and what it has painted so far."""

    def __init__(
        self,
        command: Sequence[str],
        environment: Mapping[str, str],
        *,
        columns: int = 100,
        rows: int = 30,
        encoding: str = "utf-8",
    ) -> None:
        self.raw = b""
        self.status: int | None = None
        """Exit code; minus the number of a signal that killed it."""
        self.screen = pyte.Screen(columns, rows)
        self._stream = pyte.Stream(self.screen)
        self._decode = codecs.getincrementaldecoder(encoding)("replace").decode
        self._carry = ""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvpe(command[0], list(command), dict(environment))
        self.attributes = termios.tcgetattr(self.fd)
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        if not self.reaped():
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        if self.fd >= 0:
            os.close(self.fd)

    @property
    def text(self) -> str:
        """The screen as lines."""
        return "\n".join(line.rstrip() for line in self.screen.display)

    def pump(self, wait_s: float = 0.02) -> None:
        """Read what the program wrote, for at most `wait_s`."""
        ready, _, _ = select.select([self.fd], [], [], wait_s)
        if not ready:
            return
        try:
            data = os.read(self.fd, 1 << 16)
        except OSError:  # the program closed its end
            time.sleep(wait_s)
            return
        self.raw += data
        text = self._carry + self._decode(data)
        cut = UNFINISHED.search(text)
        self._carry = text[cut.start() :] if cut else ""
        self._stream.feed(MISREAD.sub("", text[: cut.start()] if cut else text))

    def until(self, wanted: str, within_s: float = 20.0) -> None:
        """Read until the pattern stands on the screen."""
        deadline = time.monotonic() + within_s
        while not re.search(wanted, self.text):
            assert time.monotonic() < deadline, f"{wanted!r} did not appear:\n{self.text}"
            assert not self.reaped(), f"it ended with {self.status} before {wanted!r} appeared:\n{self.text}"
            self.pump()

    def press(self, keys: str) -> None:
        """Type."""
        os.write(self.fd, keys.encode())

    def signal(self, number: int) -> None:
        """Send a signal to the program."""
        os.kill(self.pid, number)

    def hang_up(self) -> None:
        """Close the terminal, as a connection that is cut does."""
        os.close(self.fd)
        self.fd = -1

    def reaped(self) -> bool:
        """Whether it has ended."""
        if self.status is None:
            with contextlib.suppress(ChildProcessError):
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                if pid:
                    self.status = os.waitstatus_to_exitcode(status)
        return self.status is not None

    def rests(self, for_s: float = 0.4, within_s: float = 10.0) -> None:
        """Wait, without reading, until the program has used no processor time for `for_s`."""
        began = since = time.monotonic()
        used = self._ticks()
        while time.monotonic() - since < for_s:
            assert time.monotonic() - began < within_s, "it does not come to rest"
            time.sleep(0.02)
            if (now := self._ticks()) > used + 1:  # the input thread looks up ten times a second
                used, since = now, time.monotonic()

    def _ticks(self) -> int:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(") ")[2].split()
        return int(fields[11]) + int(fields[12])

    def ends(self, within_s: float, *, is_reading: bool = True) -> float:
        """Wait for the end; returns the seconds it took."""
        began = time.monotonic()
        while not self.reaped():
            elapsed = time.monotonic() - began
            assert elapsed < within_s, f"it is still there after {elapsed:.1f} s:\n{self.text}"
            if is_reading and self.fd >= 0:
                self.pump()
            else:
                time.sleep(0.01)
        took = time.monotonic() - began
        for _ in range(20):
            if self.fd >= 0:
                self.pump(0.005)
        return took

    def left_on(self) -> set[str]:
        """Terminal modes that are still switched on."""
        found: set[str] = set()
        for codes, switch, kitty in re.findall(rb"\x1b\[\?([0-9;]+)([hl])|\x1b\[([<>])[0-9]*u", self.raw):
            if kitty:
                (found.add if kitty == b">" else found.discard)("kitty keyboard")
            for code in codes.decode().split(";"):
                name, is_on = MODES.get(code, ""), switch == b"h"
                if code in ("25", "7"):
                    name, is_on = ("cursor hidden", not is_on) if code == "25" else ("wrap off", not is_on)
                if name:
                    (found.add if is_on else found.discard)(name)
        return found

    def is_cooked(self) -> bool:
        """Whether the terminal echoes and edits lines again."""
        flags = termios.tcgetattr(self.fd)[3]
        return bool(flags & termios.ECHO) and bool(flags & termios.ICANON)
