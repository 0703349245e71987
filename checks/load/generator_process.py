"""The console's end of a generator: a process of its own, told by orders and heard by reports, bounded in every wait.

It needs neither httptools nor uvloop: they are the generator's own.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from checks.load.wire import Order, Report, Setup, Unframer, framed
from checks.text import one_line

ROOT = Path(__file__).resolve().parents[2]
KEPT_VARIABLES = ("PATH", "LANG", "HOME", "SSL_CERT_FILE", "SSL_CERT_DIR")
"""What of this process's environment the generator gets: nothing that may hold a secret."""
SEND_WITHIN_S = 5.0
CLOSE_WITHIN_S = 3.0
PIECE_BYTES = 1 << 18
ERROR_BYTES = 4096
"""So much of the end of its standard error is kept."""


class GeneratorProcess:
    """One generator: `start`, then `send` and `reports`; `kill` at any moment and more than once; `close` last."""

    def __init__(self) -> None:
        self._process: asyncio.subprocess.Process | None = None
        self._descriptor = -1
        """Stands for this process and no later one of the same id; -1 where the system has none."""
        self._errors = bytearray()
        self._listening: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        """Its process id; 0 before it was started."""
        return self._process.pid if self._process else 0

    @property
    def problem(self) -> str:
        """The last line that it wrote to its standard error, which says why it broke down; empty where it did not."""
        lines = self._errors.decode("utf-8", "replace").strip().splitlines()
        return one_line(lines[-1], 200) if lines else ""

    async def start(self, setup: Setup) -> None:
        """Start it and tell it what it is for. Raises OSError where no process can be started."""
        assert self._process is None, "a generator is started once"
        self._process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "checks.load.generator",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=ROOT,
            env={name: os.environ[name] for name in KEPT_VARIABLES if name in os.environ},
            start_new_session=True,
        )
        with contextlib.suppress(OSError, AttributeError):
            self._descriptor = os.pidfd_open(self._process.pid)
        self._listening = asyncio.create_task(self._listen(self._process))
        await self.send(setup)

    async def send(self, order: Order) -> None:
        """Give an order. One that is gone, or does not take it in time, is no error here: its reports end."""
        if self._process is None or self._process.stdin is None or self._process.returncode is not None:
            return
        with contextlib.suppress(OSError, TimeoutError, RuntimeError):
            self._process.stdin.write(framed(order))
            async with asyncio.timeout(SEND_WITHIN_S):
                await self._process.stdin.drain()

    async def reports(self) -> AsyncIterator[Report]:
        """What it reports, until it ends. Raises ValueError for what is no report."""
        if self._process is None or self._process.stdout is None:
            return
        unframer = Unframer(Report)
        while data := await self._process.stdout.read(PIECE_BYTES):
            for report in unframer.feed(data):
                yield report  # type: ignore[misc]  # the decoder makes nothing but reports

    def kill(self) -> None:
        """End it now: its traffic stops with it."""
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                # Not by the process object: it would collect the exit status that its watcher waits for.
                if self._descriptor >= 0:
                    signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)
                else:
                    os.kill(self._process.pid, signal.SIGKILL)

    async def close(self) -> None:
        """Kill it where it still runs, and release what it held."""
        process = self._process
        if process is None:
            return
        self.kill()
        if process.stdin is not None:
            process.stdin.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_WITHIN_S):
                # Unread reports would keep the pipe, and with it the process's end, waiting.
                while process.stdout is not None and await process.stdout.read(PIECE_BYTES):
                    pass
                await process.wait()
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        if self._listening is not None:
            listening, self._listening = self._listening, None
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        while process.stderr is not None and (data := await process.stderr.read(ERROR_BYTES)):
            self._errors += data
            del self._errors[:-ERROR_BYTES]
