"""What the faults of monitoring do: `console/demo/faults/monitoring.py`, switched on and off while the demo runs.

What lasts is a job in a thread of its own; each undoes what it did when it is over.
"""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress

from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from console.demo.errors import ApiError
from console.demo.log import event
from console.demo.metrics import Metrics
from console.demo.process import open_descriptors
from console.demo.storage import StorageError, Store
from console.demo.switching import Switches

SLOWER_S = 1.5
EVERY = {"errors-10-percent": 10, "errors-2-percent": 50}
"""Fault -> each so many requests one fails; the first that is switched on counts."""
LEFT_CONNECTIONS = 2
QUERY_S, QUERY_PAUSE_S = 2.0, 3.0
BALLAST_BYTES = 64 << 20
FEWER_DESCRIPTORS, OPEN_SHARE = 512, 0.86
NOISE_EVERY_S = 3.0
AGAIN_S = 0.1
END_WITHIN_S = 3.0
MOST_BUSY_S = 300
"""The fault cpu-busy ends by itself after that."""
SPIN = f"""
import os, select, time
os.nice(10)
ends = time.monotonic() + {MOST_BUSY_S}
while time.monotonic() < ends and not select.select([0], [], [], 0)[0]:
    for _ in range(100_000):
        pass
"""
"""Keeps one core busy until its standard input ends: whoever starts it, it does not outlive them."""
METRICS_TYPE = "text/plain; version=0.0.4"
GARBAGE = b"<!DOCTYPE html>\n\x00\xff\xfe{{{ not metrics \x1b[31m}}}\n" * 40
HALF_WITHIN_S = 10.0
"""The fault metrics-half: after that the connection is closed."""


class Troubles:
    """Carries out what `switches` say. Of one event loop."""

    def __init__(self, switches: Switches, store: Store, metrics: Metrics) -> None:
        self._switches = switches
        self._jobs: dict[str, _Job] = {}
        self._count = 0
        self._work: Mapping[str, Work] = {
            "killed": _kill,
            "database-locked": store.lock,
            "pool-held": lambda over: _hold(store, LEFT_CONNECTIONS, over),
            "pool-exhausted": lambda over: _hold(store, 0, over),
            "slow-query": lambda over: _ask_slowly(store, over),
            "memory-ballast": _weigh,
            "cpu-busy": _spin,
            "descriptors-open": _open_many,
            "log-noisy": _complain,
            "metrics-reset": lambda over: metrics.reset(),
        }

    async def meet(self) -> None:
        """Before an operation is carried out. Raises ApiError where it is to fail."""
        if "answers-slow" in self._switches.on:
            await asyncio.sleep(SLOWER_S)
        self._count += 1
        every = next((every for fault, every in EVERY.items() if fault in self._switches.on), 0)
        if every and self._count % every == 0:
            raise ApiError(500, "Internal error")

    def begin(self) -> None:
        """Begin and end jobs as the switches are now."""
        on = self._switches.on
        for name, work in self._work.items():
            job = self._jobs.get(name)
            if name in on and (job is None or job.is_over):
                self._jobs[name] = _Job(name, work, job)
            elif name not in on and job is not None:
                job.end()

    def look(self) -> None:
        """Look whether faults were switched, and carry it out."""
        if self._switches.look():
            self.begin()

    async def close(self) -> None:
        """End every job, and wait a little until each has undone what it did."""
        for job in self._jobs.values():
            job.end()
        for job in self._jobs.values():
            await asyncio.to_thread(job.wait)

    def metrics(self, text: str) -> Response:
        """The answer of `/metrics`, which would be `text`."""
        on = self._switches.on
        if "metrics-down" in on:
            return PlainTextResponse("out of order\n", 503)
        if "metrics-garbage" in on:
            return Response(GARBAGE, media_type=METRICS_TYPE)
        if "metrics-nan" in on:
            lines = (line if line.startswith("#") else _without_value(line) for line in text.splitlines())
            text = "".join(f"{line}\n" for line in lines)
        if "metrics-half" in on:
            return _Half(text, media_type=METRICS_TYPE)
        return PlainTextResponse(text, media_type=METRICS_TYPE)


Work = Callable[[threading.Event], None]
"""Done until the event is set."""


class _Job:
    """One fault that lasts."""

    def __init__(self, name: str, work: Work, before: _Job | None) -> None:
        self._over = threading.Event()
        self._before = before
        self._work = work
        self._thread = threading.Thread(target=self._run, name=f"fault {name}", daemon=True)
        self._thread.start()

    @property
    def is_over(self) -> bool:
        """Whether it was told to end."""
        return self._over.is_set()

    def end(self) -> None:
        """Tell it to end; does not wait."""
        self._over.set()

    def wait(self) -> None:
        """Wait until it has ended, for `END_WITHIN_S` at most."""
        self._thread.join(END_WITHIN_S)

    def _run(self) -> None:
        if self._before is not None:
            self._before.wait()
            self._before = None
        try:
            self._work(self._over)
        except Exception as problem:  # noqa: BLE001 - a fault that cannot be had must not end the demo
            event("fault not carried out", logging.WARNING, problem)


class _Half(Response):
    """Half of the body; then nothing comes until the client leaves."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        half = bytes(self.body[: len(self.body) // 2])
        await send({"type": "http.response.body", "body": half, "more_body": True})
        with suppress(TimeoutError):
            async with asyncio.timeout(HALF_WITHIN_S):
                while (await receive())["type"] != "http.disconnect":
                    pass


def _without_value(line: str) -> str:
    return f"{line.rpartition(' ')[0]} NaN"


def _kill(over: threading.Event) -> None:
    del over
    event("killed", logging.WARNING)
    os.kill(os.getpid(), signal.SIGKILL)


def _hold(store: Store, left: int, over: threading.Event) -> None:
    """Hold all connections that the pool may open but `left`; where none is, stand in line for one more."""
    wanted = store.connections()["size"] - left
    with ExitStack() as kept:
        held = 0
        while wanted > 0 and not over.is_set():
            if held < wanted or not left:
                with suppress(StorageError):
                    kept.enter_context(store.held())
                    held += 1
            else:
                over.wait(AGAIN_S)


def _ask_slowly(store: Store, over: threading.Event) -> None:
    while not over.is_set():
        with suppress(StorageError):
            store.run_slowly(QUERY_S)
        over.wait(QUERY_PAUSE_S)


def _weigh(over: threading.Event) -> None:
    # Bytes that are not 0: pages of zeros would not be in memory before somebody writes to them.
    ballast = b"x" * BALLAST_BYTES
    over.wait()
    del ballast


def _spin(over: threading.Event) -> None:
    command = [sys.executable, "-I", "-S", "-c", SPIN]
    with subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True) as process:
        over.wait()
        process.kill()


def _open_many(over: threading.Event) -> None:
    before, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(FEWER_DESCRIPTORS, before), hard))
    opened: list[int] = []
    try:
        limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        while not over.wait(AGAIN_S):
            # Connections come and go: the share is kept from below.
            missing = int(limit * OPEN_SHARE) + 1 - open_descriptors()
            opened += [os.open(os.devnull, os.O_RDONLY) for _ in range(missing)]
    finally:
        for descriptor in opened:
            os.close(descriptor)
        resource.setrlimit(resource.RLIMIT_NOFILE, (before, hard))


def _complain(over: threading.Event) -> None:
    while not over.is_set():
        event("job failed", logging.ERROR, cause="the fault log-noisy")
        over.wait(NOISE_EVERY_S)
