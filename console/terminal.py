"""The terminal under the console: whether it will do, what it cannot show, how it is left behind.

The only module that uses private names of Textual (`_driver`, `_exception`, `_fatal_error`); each has a test.
"""

from __future__ import annotations

import contextlib
import os
import sys
import termios
import time
from collections.abc import Mapping
from typing import Any, TextIO

from rich.segment import Segment
from textual.app import App
from textual.color import Color
from textual.filter import LineFilter

from widgets.outcome import STAND_INS

HEADLESS = "Without a screen: `gonogo run`, `gonogo status`, `gonogo decide`, `gonogo report`."

LEAVE = (
    "\x18"  # whatever sequence was being sent is void
    "\x1b[?2026l"  # synchronized output
    "\x1b[<u"  # kitty keyboard
    "\x1b[?1000l\x1b[?1003l\x1b[?1015l\x1b[?1006l\x1b[?1016l"  # mouse
    "\x1b[?1004l\x1b[?2004l\x1b[?2048l"  # focus, bracketed paste, in-band resize
    "\x1b[?7h\x1b[?1049l\x1b[?25h\x1b[0m"  # line wrap, main screen, cursor, colours
)
"""What undoes everything that Textual's driver switches on."""

BOXES = dict.fromkeys("─━═╌╍┄┅▔▁▂▃", "-") | dict.fromkeys("│┃║▏▎▕▌▐┆┇", "|") | dict.fromkeys("█▇▆▅▄▀▊▉▋", "#")


def unfit(environ: Mapping[str, str], streams: tuple[TextIO | None, ...]) -> str:
    """Why the console cannot be shown here, in one sentence; empty where it can."""
    if not all(stream is not None and stream.isatty() for stream in streams):
        return f"The console needs a terminal for input and output, and this is none. {HEADLESS}"
    if environ.get("TERM", "") in ("", "dumb"):
        told = "TERM is not set" if not environ.get("TERM") else "TERM is dumb"
        return f"The console needs a terminal that can place text, and {told}; set TERM (xterm-256color). {HEADLESS}"
    return ""


class StandIns(LineFilter):
    """Replaces what the terminal's encoding cannot show by something of the same width."""

    def __init__(self, encoding: str) -> None:
        super().__init__()
        self._encoding = encoding
        self._known: dict[str, str] = {}

    def apply(self, segments: list[Segment], background: Color) -> list[Segment]:
        """The segments with every character showable."""
        return [
            segment
            if segment.text.isascii()
            else Segment(self.text(segment.text), segment.style, segment.control)
            for segment in segments
        ]

    def text(self, text: str) -> str:
        """`text` with every character showable."""
        return "".join(self._known.get(char) or self._find(char) for char in text)

    def _find(self, char: str) -> str:
        try:
            char.encode(self._encoding)
            found = char
        except UnicodeEncodeError:
            found = STAND_INS.get(char) or BOXES.get(char) or ("+" if "─" <= char <= "╿" else "?")
            found *= max(1, Segment(char).cell_length)
        self._known[char] = found
        return found


class QuietApp(App[None]):
    """An app that says nothing of a crash itself: its traceback would show the values of local variables."""

    def _fatal_error(self) -> None:
        self._close_messages_no_wait()

    @property
    def crash(self) -> Exception | None:
        """What ended the app, where it did not end by itself."""
        return self._exception

    def deafen(self) -> None:
        """End the input thread: on a terminal that hung up it would spin for good."""
        if self._driver is not None:
            self._driver.disable_input()


class Terminal:
    """The state of the terminal before the console, and how to get back to it without the app's help."""

    def __init__(self) -> None:
        self._input = sys.__stdin__.fileno() if sys.__stdin__ else 0
        self._attributes: list[Any] | None = None
        self._path = ""
        with contextlib.suppress(OSError, termios.error):
            self._attributes = termios.tcgetattr(self._input)
            self._path = os.ttyname(self._input)

    def restore(self, within_s: float = 0.2) -> None:
        """Leave the terminal as it was, even when nobody reads from it; what Textual still has to say is dropped."""
        if not self._path:
            return
        deadline = time.monotonic() + within_s
        with contextlib.suppress(OSError, termios.error):
            termios.tcgetattr(self._input)  # fails on a terminal that hung up: nothing is left to give back
            self._silence()
            # A descriptor of its own: O_NONBLOCK on the inherited one would outlive us in the shell.
            tty = os.open(self._path, os.O_WRONLY | os.O_NOCTTY | os.O_NONBLOCK)
            left = LEAVE.encode()
            while left and time.monotonic() < deadline:
                # Throwing away what nobody reads makes room, but does not wake a writer that waits for it.
                termios.tcflush(tty, termios.TCOFLUSH)
                termios.tcflow(tty, termios.TCOOFF)
                termios.tcflow(tty, termios.TCOON)
                try:
                    left = left[os.write(tty, left) :]
                except BlockingIOError:  # Textual's writer holds the terminal until its write got through
                    time.sleep(0.005)
            if self._attributes is not None:
                termios.tcsetattr(tty, termios.TCSANOW, self._attributes)

    def _silence(self) -> None:
        """Whatever is still written goes nowhere."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        for stream in (sys.__stdout__, sys.__stderr__):
            if stream is not None:
                os.dup2(nowhere, stream.fileno())
