"""SIGTERM, SIGHUP and SIGINT: the run ends, the journal is closed, the terminal is given back, within two seconds.

The handlers are set with `signal.signal`, so that they run even while the app's loop is stuck writing to a terminal
that nobody reads. They only wake a thread that waits from the beginning; that thread has the last word.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from console.engine import Engine
from console.messages import LeaveAsked
from console.terminal import QuietApp, Terminal

LAST_MOMENT_S = 1.8
"""After the signal: whatever is not done by then is left to the guard process and to the next start."""
ENGINE_WITHIN_S = 1.55
LIMIT_S = 1.95

REASONS = {
    signal.SIGTERM: "SIGTERM",
    signal.SIGHUP: "the line was cut",
    signal.SIGINT: "interrupted by the keyboard",
}


class Once:
    """A call that is made once, whoever asks first; the others wait for its end."""

    def __init__(self, call: Callable[[], None]) -> None:
        self._call = call
        self._lock = threading.Lock()
        self._is_done = False

    def __call__(self) -> None:
        """Make the call, or wait until it was made."""
        with self._lock:
            if not self._is_done:
                self._is_done = True
                self._call()


class LastWord:
    """The thread that ends the process after a signal, with or without the app's help."""

    def __init__(self, app: QuietApp, engine: Engine, at_exit: Once, terminal: Terminal) -> None:
        self._app = app
        self._engine = engine
        self._at_exit = at_exit
        self._terminal = terminal
        self._woken = threading.Event()
        self._received_at = 0.0
        self._is_app_gone = False
        self._giving_back = threading.Lock()
        self.received = 0
        """Number of the signal; 0 without one."""

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Hear the signals while the block runs."""
        threading.Thread(target=self._wait, name="gonogo-last-word", daemon=True).start()
        before = {number: signal.signal(number, self._hear) for number in REASONS}
        try:
            yield
        finally:
            if not self.received:  # after a signal, a second one must not interrupt the end
                for number, handler in before.items():
                    signal.signal(number, handler)

    def app_is_gone(self) -> None:
        """The app has given the terminal back itself; waits where that was taken out of its hands."""
        with self._giving_back:
            self._is_app_gone = True

    def _hear(self, number: int, frame: FrameType | None) -> None:
        if self.received:
            return
        self.received, self._received_at = number, time.monotonic()
        self._engine.end(REASONS[signal.Signals(number)], is_urgent=True)
        signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # giving the terminal back must not stop the process
        self._woken.set()
        if number == signal.SIGHUP:
            self._app.deafen()

    def _wait(self) -> None:
        self._woken.wait()
        deadline = self._received_at + LAST_MOMENT_S
        self._engine.ended.wait(ENGINE_WITHIN_S)
        if self.received != signal.SIGHUP:
            # The app restores the terminal best, where it still can; the process then ends by itself.
            with contextlib.suppress(RuntimeError):  # its loop is closed already
                self._app.post_message(LeaveAsked(128 + self.received))
            while time.monotonic() < deadline:
                time.sleep(0.02)
        stopping = threading.Thread(target=self._at_exit, daemon=True)
        stopping.start()
        stopping.join(max(0.05, self._received_at + LIMIT_S - time.monotonic()))
        with self._giving_back:  # kept to the end: what the app writes from here on goes nowhere
            if not self._is_app_gone:
                self._terminal.restore()
            os._exit(128 + self.received)
