"""Starting the demo target: in this process, or as a process of its own that never outlives its starter.

Imported before the console's first paint, so the server itself is imported when it is started.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, Any

from console.demo.errors import DemoError
from console.demo.faults import UnknownFaultError, checked

__all__ = ["DemoError", "DemoProcess", "serve"]

PREFERRED_PORT = 8000
EXIT_USAGE = 2
WATCH_INPUT = "GONOGO_DEMO_WATCH_INPUT"
"""Set by `DemoProcess`: the demo ends when its standard input does, so that it cannot outlive its starter."""
WATCH_UNSEEN = "GONOGO_DEMO_INPUT"
"""The fault unsupervised: the same under another name."""
DATABASE_VARIABLE = "DEMO_DATABASE_URL"
"""The variable that `--database` is taken from where the option is not given."""
READY_WITHIN_S = 20.0
TERM_WITHIN_S, KILL_WITHIN_S = 2.0, 2.0
PREFIX = "gonogo: "
"""What every sentence for the person at the terminal begins with."""
USAGE_PREFIX = "Error: "
"""What the command line puts before a wrong option."""
Output = Callable[[str], None]


class Stop:
    """Asked for by a signal or by the end of standard input, at any time."""

    def __init__(self) -> None:
        self.is_asked = False

    def ask(self, number: int = 0, frame: FrameType | None = None) -> None:
        """Ask for it; a signal handler."""
        del number, frame
        self.is_asked = True


def serve(*, faults: Sequence[str], port: int | None, data: Path | None, tls: bool, database: str) -> int:
    """Serve in this process until SIGTERM, SIGINT or SIGHUP; returns the exit code: 0, or 2 with a sentence.

    `port` None: 8000 where it is free, else another; 0: any free one. `data` None: a temporary folder.
    """
    stop = Stop()
    if "unsupervised" in faults and os.environ.pop(WATCH_INPUT, ""):
        # The mark by which it is seen to end with its starter is gone; it does so all the same.
        os.execve(sys.executable, sys.orig_argv, {**os.environ, WATCH_UNSEEN: "1"})  # noqa: S606
    with _handling_signals(stop):
        if os.environ.pop(WATCH_INPUT, "") or os.environ.pop(WATCH_UNSEEN, ""):
            threading.Thread(target=_watch_input, args=(stop,), daemon=True).start()
        try:
            with _listening(port) as listener, _folder(data) as folder:
                from console.demo.server import run  # brings the web server and the database in

                run(listener, folder, checked(faults), database, is_tls=tls, stop=stop, tell=_tell)
        except (DemoError, UnknownFaultError) as problem:
            sys.stderr.write(f"{PREFIX}{problem}\n")
            return EXIT_USAGE
    return 0


@contextlib.contextmanager
def _handling_signals(stop: Stop) -> Iterator[None]:
    # `nohup` sets SIGHUP to be ignored, and means it.
    numbers = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]
    handled = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]
    before = {number: signal.signal(number, stop.ask) for number in handled}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def _listening(port: int | None) -> Iterator[socket.socket]:
    wanted = PREFERRED_PORT if port is None else port
    # The event loop turns Nagle's delay off only for sockets that say that they are TCP.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", wanted))
        except OSError as problem:
            if port is None:
                listener.bind(("127.0.0.1", 0))
            elif problem.errno == errno.EADDRINUSE:
                why = f"Port {port} is taken by another program; give another --port, or none for a free one."
                raise DemoError(why) from problem
            else:
                raise DemoError(f"Port {port} cannot be used: {problem.strerror}.") from problem
        yield listener


@contextlib.contextmanager
def _folder(data: Path | None) -> Iterator[Path]:
    if data is not None:
        yield data.absolute()
        return
    folder = Path(tempfile.mkdtemp(prefix="gonogo-demo-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _watch_input(stop: Stop) -> None:
    with contextlib.suppress(OSError):
        while os.read(0, 4096):
            pass
    stop.ask()


def _tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class DemoProcess:
    """A demo target as a process of its own, which ends with the one that started it. Every method may be called
    from any thread; `stop` at any time."""

    def __init__(self, process: subprocess.Popen[bytes], errors: IO[bytes], *, is_temporary: bool) -> None:
        self._process = process
        self._errors = errors
        self._is_temporary = is_temporary
        self._reading, self._stopping = threading.Lock(), threading.Lock()
        self._received = b""
        self._info: dict[str, Any] = {}

    @classmethod
    def spawn(
        cls,
        *,
        port: int | None = None,
        data: Path | None = None,
        faults: Sequence[str] = (),
        tls: bool = False,
        database: str = "",
    ) -> DemoProcess:
        """Start the process without waiting for it; all as in `serve`."""
        command = [sys.executable, "-m", "console.cli", "demo", "--serve"]
        if tls:
            command.append("--tls")
        if port is not None:
            command += ["--port", str(port)]
        if data is not None:
            command += ["--data", str(data.absolute())]
        for fault in faults:
            command += ["--fault", fault]
        errors = tempfile.TemporaryFile()  # noqa: SIM115 - read when the process ended, closed by `stop`
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=Path(__file__).resolve().parents[2],
            # Every account of the host may read a command line, and a URL may hold a password.
            env={**os.environ, WATCH_INPUT: "1"} | ({DATABASE_VARIABLE: database} if database else {}),
            start_new_session=True,
        )
        return cls(process, errors, is_temporary=data is None)

    @classmethod
    def start(
        cls,
        *,
        port: int | None = None,
        data: Path | None = None,
        faults: Sequence[str] = (),
        tls: bool = False,
        database: str = "",
    ) -> DemoProcess:
        """Start the process and wait until it accepts requests. Raises DemoError."""
        demo = cls.spawn(port=port, data=data, faults=faults, tls=tls, database=database)
        try:
            demo.wait_ready()
        except BaseException:
            demo.stop()
            raise
        return demo

    def __enter__(self) -> DemoProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int:
        """The controller's process."""
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """Its exit code; None while it runs."""
        return self._process.poll()

    @property
    def info(self) -> dict[str, Any]:
        """What it said when it was ready: `url`, `pid`, `database`, `log`, `env_file`, `profile`.

        Raises DemoError before `wait_ready` has returned.
        """
        if not self._info:
            raise DemoError("The demo target is not ready yet.")
        return self._info

    @property
    def url(self) -> str:
        """Its base URL. Raises DemoError before it is ready."""
        return str(self.info["url"])

    @property
    def profile(self) -> Path:
        """The profile that it wrote of itself. Raises DemoError before it is ready."""
        return Path(self.info["profile"])

    def wait_ready(self, *, within_s: float = READY_WITHIN_S) -> None:
        """Wait until it accepts requests. Raises DemoError where it ends before, or takes longer."""
        deadline = time.monotonic() + within_s
        with self._reading:
            if self._info:
                return
            output = self._process.stdout
            if output is None or output.closed:
                raise DemoError("The demo target was stopped.")
            ready = select.poll()
            ready.register(output, select.POLLIN)
            while b"\n" not in self._received:
                left_s = deadline - time.monotonic()
                if left_s <= 0 or not ready.poll(left_s * 1e3):
                    raise DemoError(f"The demo target was not ready within {within_s:g} s; try it again.")
                part = os.read(output.fileno(), 4096)
                if not part:
                    raise DemoError(self._why_it_ended())
                self._received += part
            self._info = json.loads(self._received.partition(b"\n")[0])

    def stop(self) -> None:
        """End it with its bots, by force where it takes longer than two seconds; again is no harm."""
        with self._stopping:
            if self._process.poll() is None:
                self._process.terminate()
                try:
                    self._process.wait(TERM_WITHIN_S)
                except subprocess.TimeoutExpired:
                    self._process.kill()
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        self._process.wait(KILL_WITHIN_S)
            # Where it gave up the rights of root, it may not be able to remove its folder itself.
            if self._is_temporary and self._info:
                shutil.rmtree(self.profile.parent, ignore_errors=True)
            # The end of the process has ended a `wait_ready` in another thread.
            with self._reading:
                for pipe in (self._process.stdin, self._process.stdout, self._errors):
                    if pipe is not None:
                        pipe.close()

    def _why_it_ended(self) -> str:
        self._process.wait(KILL_WITHIN_S)
        self._errors.seek(0)
        said = self._errors.read().decode("utf-8", "replace").strip().splitlines()
        for prefix in (PREFIX, USAGE_PREFIX):
            if said and said[-1].startswith(prefix):
                return said[-1].removeprefix(prefix)
        return f"The demo target ended before it was ready (exit code {self._process.returncode})."
