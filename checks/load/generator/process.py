"""The generator as a process: orders on standard input, reports on standard output, and an end that nothing delays."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import sys
import traceback
from collections import deque
from typing import Any

from checks.load.generator.dialing import CannotStart
from checks.load.generator.engine import Engine
from checks.load.wire import Failed, Order, Report, Setup, Unframer, framed
from checks.text import one_line

PIECE_BYTES = 1 << 16
PARENT_EVERY_S = 1.0
"""How often it is looked whether the console is still there, besides its end of the pipe."""
CLOSE_S = 0.2
"""How long connections may take to say goodbye."""
COLLECT_EVERY = 100_000
"""Allocations between two searches for cycles of garbage: the hot path makes none, and a search holds it up."""
EXIT_GONE, EXIT_FAILED = 0, 1


class Outbox:
    """Reports on their way to the console. A console that does not read holds nothing up: they wait here."""

    def __init__(self, loop: asyncio.AbstractEventLoop, descriptor: int) -> None:
        os.set_blocking(descriptor, False)
        self._loop, self._descriptor = loop, descriptor
        self._waiting: deque[memoryview] = deque()
        self._is_watched = False
        self.is_empty = asyncio.Event()
        self.is_empty.set()

    def put(self, report: Report) -> None:
        """Send it as soon as the pipe takes it."""
        self._waiting.append(memoryview(framed(report)))
        self.is_empty.clear()
        if not self._is_watched:
            self._write()

    def _write(self) -> None:
        while self._waiting:
            piece = self._waiting[0]
            try:
                written = os.write(self._descriptor, piece[:PIECE_BYTES])
            except BlockingIOError:
                if not self._is_watched:
                    self._is_watched = True
                    self._loop.add_writer(self._descriptor, self._write)
                return
            except OSError:
                os._exit(EXIT_GONE)  # nobody listens any more
            if written < len(piece):
                self._waiting[0] = piece[written:]
            else:
                self._waiting.popleft()
        if self._is_watched:
            self._is_watched = False
            self._loop.remove_writer(self._descriptor)
        self.is_empty.set()


class Generator:
    """Follows the orders of one console."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._outbox = Outbox(loop, sys.stdout.fileno())
        self._input = sys.stdin.fileno()
        self._unframer = Unframer(Order)
        self._engine: Engine | None = None
        self._has_setup = False
        self._early: list[Any] = []
        """Orders that came before the engine could take them."""
        self._parent = os.getppid()
        self._failed: asyncio.Future[str] = loop.create_future()
        self._setup: asyncio.Future[Setup] = loop.create_future()

    async def run(self) -> int:
        """Work until the last report is delivered; the exit code."""
        os.set_blocking(self._input, False)
        self._loop.add_reader(self._input, self._read)
        self._loop.add_signal_handler(signal.SIGTERM, self._halt)
        self._loop.set_exception_handler(self._broke)
        self._watch_parent()
        work = asyncio.ensure_future(self._work())
        await asyncio.wait((work, self._failed), return_when=asyncio.FIRST_COMPLETED)
        code = 0
        if self._failed.done():
            work.cancel()
            self._outbox.put(Failed(sentence=str(one_line(self._failed.result(), 400))))
            code = EXIT_FAILED
        if self._engine is not None:
            self._engine.close()
        await self._outbox.is_empty.wait()
        await asyncio.sleep(CLOSE_S if self._engine is not None else 0)
        return code

    async def _work(self) -> None:
        try:
            setup = await self._setup
            _keep_to(setup.core)
            engine = Engine(setup, self._outbox.put)
            ready = await engine.prepare()
            # What is there now stays to the end: it need not be searched again and again.
            gc.collect()
            gc.freeze()
            gc.set_threshold(COLLECT_EVERY, 10, 10)
            self._outbox.put(ready)
            self._engine = engine
            for order in self._early:
                engine.take(order)
            self._early = []
            engine.begin()
            await engine.is_done.wait()
        except CannotStart as problem:
            self._fail(str(problem))
        except Exception as problem:  # noqa: BLE001 - whatever it was, the console must hear of it
            self._break_down(problem)

    def _read(self) -> None:
        try:
            data = os.read(self._input, PIECE_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            os._exit(EXIT_GONE)  # the console is gone: all connections end with the process
        try:
            for order in self._unframer.feed(data):
                self._take(order)
        except Exception as problem:  # noqa: BLE001 - what is no order cannot be gone on from
            self._loop.remove_reader(self._input)
            self._fail(f"An order could not be read: {one_line(problem, 100)}")

    def _take(self, order: Any) -> None:
        if isinstance(order, Setup):
            if self._has_setup:
                raise ValueError("a second setup")
            self._has_setup = True
            self._setup.set_result(order)
        elif self._engine is None:
            self._early.append(order)
        else:
            self._engine.take(order)

    def _halt(self) -> None:
        """SIGTERM."""
        if self._engine is None:
            os._exit(EXIT_GONE)
        self._engine.halt(1.0)

    def _watch_parent(self) -> None:
        if os.getppid() != self._parent:
            os._exit(EXIT_GONE)
        self._loop.call_later(PARENT_EVERY_S, self._watch_parent)

    def _broke(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """The loop's handler of exceptions that nobody took: but for those of the network, they are our own."""
        del loop
        problem = context.get("exception")
        if isinstance(problem, Exception) and not isinstance(problem, OSError):
            self._break_down(problem)

    def _break_down(self, problem: Exception) -> None:
        traceback.print_exception(problem, file=sys.stderr)
        self._fail(f"The load generator broke down: {type(problem).__name__}")

    def _fail(self, sentence: str) -> None:
        if not self._failed.done():
            self._failed.set_result(sentence)


def _keep_to(core: int) -> None:
    if core >= 0:
        # One that does not exist is not worth failing for: the host schedules it then.
        with contextlib.suppress(OSError, AttributeError):
            os.sched_setaffinity(0, {core})


def main() -> int:
    """Run one generator; the exit code."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # they are the console's, which halts the load itself
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        code = runner.run(_generate())
        sys.stderr.flush()
        os._exit(code)


async def _generate() -> int:
    return await Generator(asyncio.get_running_loop()).run()


def _loop_factory() -> Any:
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop
