"""Starting the pager beside the demo: it goes on while the controller is dead, and never outlives its starter."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType

from console.demo.errors import DemoError

PROGRAM = Path(__file__).with_name("pager.py")
PORT_VARIABLE = "GONOGO_DEMO_PAGER"
"""Tells a controller the port of the pager that its starter has started."""
DETACHED_WITHIN_S = 10.0
END_WITHIN_S = 2.0


class Pager:
    """The pager as a process of its own. Use as a context manager, or call `stop`; again is no harm."""

    def __init__(self, *, is_detached: bool = False) -> None:
        """Start it; it takes messages when this returns. `is_detached`: as nobody's child. Raises DemoError."""
        self._lock = threading.Lock()
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
                listener.bind(("127.0.0.1", 0))
                listener.listen(64)
                self.port: int = listener.getsockname()[1]
                descriptor = listener.fileno()
                self._process = subprocess.Popen(
                    # Isolated and without site packages, it is up in a moment.
                    [sys.executable, "-I", "-S", str(PROGRAM), str(descriptor), *(["detach"] * is_detached)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    pass_fds=(descriptor,),
                    start_new_session=True,
                )
        except OSError as problem:
            raise DemoError(f"The pager cannot be started: {problem.strerror or problem}.") from problem
        if is_detached:
            self._process.wait(DETACHED_WITHIN_S)

    def __enter__(self) -> Pager:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def keep_in(self, folder: Path) -> None:
        """Have it append what it takes to `pager.jsonl` in `folder`."""
        with self._lock, contextlib.suppress(OSError, ValueError):  # it has ended
            assert self._process.stdin
            self._process.stdin.write(os.fsencode(folder) + b"\n")
            self._process.stdin.flush()

    def stop(self) -> None:
        """End it."""
        with self._lock:
            if self._process.stdin:
                with contextlib.suppress(OSError):
                    self._process.stdin.close()
            if self._process.poll() is None:
                self._process.terminate()
                with contextlib.suppress(subprocess.TimeoutExpired):
                    self._process.wait(END_WITHIN_S)
