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
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, Any

from console.demo.errors import DemoError
from console.demo.faults import SWITCHABLE, UnknownFaultError, checked
from console.demo.paging import PORT_VARIABLE, Pager
from console.demo.switch_file import write_switches

__all__ = ["DemoError", "DemoProcess", "serve"]

PREFERRED_PORT = 8000
EXIT_USAGE = 2
WATCH_INPUT = "GONOGO_DEMO_WATCH_INPUT"
"""Set by `DemoProcess`: the demo ends when its standard input does, so that it cannot outlive its starter."""
WATCH_UNSEEN = "GONOGO_DEMO_INPUT"
"""The fault unsupervised: the same under another name."""
AGAIN = "GONOGO_DEMO_AGAIN"
"""Set by `DemoProcess.revive`: certificate and secret stay as they are, as they do for a service that was restarted."""
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
            is_again = bool(os.environ.pop(AGAIN, ""))
            with _listening(port) as listener, _folder(data) as folder, _paging() as pager:
                from console.demo.server import Start, run  # brings the web server and the database in

                def tell(line: str) -> None:
                    if isinstance(pager, Pager):
                        pager.keep_in(folder)
                    _tell(line)

                pager_port = pager.port if isinstance(pager, Pager) else pager
                start = Start(folder, checked(faults), database, tls, pager_port, is_again)
                run(listener, start, stop=stop, tell=tell)
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


@contextlib.contextmanager
def _paging() -> Iterator[Pager | int]:
    """The pager, or the port of the one that the starter has started."""
    port = os.environ.pop(PORT_VARIABLE, "")
    if port.isdigit():
        yield int(port)
        return
    # What is the controller's child is taken for a part of it.
    with Pager(is_detached=True) as pager:
        yield pager


def _watch_input(stop: Stop) -> None:
    with contextlib.suppress(OSError):
        while os.read(0, 4096):
            pass
    stop.ask()


def _tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


@dataclass(frozen=True, slots=True)
class _Spawn:
    """How a demo is started; all as in `serve`."""

    port: int | None
    data: Path | None
    faults: Sequence[str]
    tls: bool
    database: str
    is_again: bool = False

    def begin(self, pager: Pager) -> tuple[subprocess.Popen[bytes], IO[bytes]]:
        """The process, and what it writes to its standard error."""
        command = [sys.executable, "-m", "console.cli", "demo", "--serve"]
        if self.tls:
            command.append("--tls")
        if self.port is not None:
            command += ["--port", str(self.port)]
        if self.data is not None:
            command += ["--data", str(self.data.absolute())]
        for fault in self.faults:
            command += ["--fault", fault]
        more = {WATCH_INPUT: "1", PORT_VARIABLE: str(pager.port)}
        if self.database:
            # Every account of the host may read a command line, and a URL may hold a password.
            more[DATABASE_VARIABLE] = self.database
        if self.is_again:
            more[AGAIN] = "1"
        errors = tempfile.TemporaryFile()  # noqa: SIM115 - read when the process ended, closed by `stop`
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=Path(__file__).resolve().parents[2],
            env={**os.environ, **more},
            start_new_session=True,
        )
        return process, errors


class DemoProcess:
    """A demo target as a process of its own, which ends with the one that started it. Every method may be called
    from any thread; `stop` at any time."""

    def __init__(self, how: _Spawn) -> None:
        """Start the process without waiting for it, and the pager beside it. Raises DemoError."""
        self._how = how
        self._pager = Pager()
        self._process, self._errors = how.begin(self._pager)
        self._reading, self._stopping = threading.Lock(), threading.Lock()
        self._received = b""
        self._info: dict[str, Any] = {}
        self._folder: Path | None = None
        self._again = how
        self._is_stopped = False

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
        """Start the process without waiting for it; all as in `serve`. Raises DemoError."""
        return cls(_Spawn(port, data, tuple(faults), tls, database))

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
        """What it said when it was ready: `url`, `pid`, `database`, `log`, `env_file`, `profile`, `pager`, `faults`.

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

    @property
    def pager(self) -> str:
        """Where whoever is told can read it: the URL of the pager."""
        return f"http://127.0.0.1:{self._pager.port}/"

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
            self._folder = Path(self._info["profile"]).parent
            port = int(self._info["url"].rpartition(":")[2])
            self._again = replace(self._how, port=port, data=self._folder, is_again=True)
        self._pager.keep_in(self._folder)

    def switch(self, *names: str) -> None:
        """Switch these faults on and all others that can be switched off, within a second.

        Raises DemoError for one that cannot be switched, and before the demo was ready.
        """
        if self._folder is None:
            raise DemoError("The demo target is not ready yet.")
        for name in names:
            if name not in SWITCHABLE:
                known = ", ".join(sorted(SWITCHABLE))
                raise DemoError(
                    f"The fault {name!r} cannot be switched while the demo runs; these can: {known}."
                )
        try:
            write_switches(self._folder, frozenset(names))
        except OSError as problem:
            raise DemoError(f"The faults cannot be switched: {problem.strerror or problem}.") from problem

    def kill(self) -> None:
        """End the controller at once, as an accident would; the pager goes on."""
        with self._stopping:
            self._process.kill()
            self._process.wait()

    def revive(self) -> None:
        """Start the controller again where it was, and wait until it accepts requests; a restart where it still runs.

        With the address, the certificate, the folder and the faults that it began with. Raises DemoError.
        """
        with self._stopping:
            if self._is_stopped or self._folder is None:
                raise DemoError("The demo target was stopped.")
            self._process.kill()
            self._process.wait()
            with self._reading:
                self._close_pipes()
                self._process, self._errors = self._again.begin(self._pager)
                self._received, self._info = b"", {}
        self.wait_ready()

    def stop(self) -> None:
        """End it with its bots, by force where it takes longer than two seconds; again is no harm."""
        with self._stopping:
            self._is_stopped = True
            self._pager.stop()
            if self._process.poll() is None:
                self._process.terminate()
                try:
                    self._process.wait(TERM_WITHIN_S)
                except subprocess.TimeoutExpired:
                    self._process.kill()
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        self._process.wait(KILL_WITHIN_S)
            # Where it gave up the rights of root, it may not be able to remove its folder itself.
            if self._how.data is None and self._folder is not None:
                shutil.rmtree(self._folder, ignore_errors=True)
            # The end of the process has ended a `wait_ready` in another thread.
            with self._reading:
                self._close_pipes()

    def _close_pipes(self) -> None:
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
