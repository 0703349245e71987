"""A server of known capacity: one queue, every request takes the same time, frozen for a part of each period.

    python -m benchmarks.queue_target --service-ms 10 [--freeze 1 --every 5]

Loopback alone. It prints its port. Requests are answered in the order in which they came, each `service` after the one
before it ended or after it came, whichever is later; no time counts that falls into a freeze. Times are absolute, so
that the coarseness of timers does not add up. Its capacity is 1 / service x (1 - freeze / every) a second.
"""

from __future__ import annotations

import argparse
import asyncio
import time
from typing import cast

import httptools

from benchmarks.load_target import BODY, answer

OK = answer(BODY)


class Queue:
    """When each request is answered."""

    def __init__(self, service_s: float, freeze_s: float, every_s: float) -> None:
        self._service_s, self._freeze_s, self._every_s = service_s, freeze_s, every_s
        self._free_at = 0.0
        self._began = time.monotonic()

    def done_at(self, now: float) -> float:
        """The end of a request that came at `now` (monotonic seconds)."""
        at, left = max(now, self._free_at), self._service_s
        while self._freeze_s:
            phase = (at - self._began) % self._every_s
            if phase < self._freeze_s:
                at += self._freeze_s - phase
                phase = self._freeze_s
            room = self._every_s - phase
            if left <= room:
                break
            at, left = at + room, left - room
        self._free_at = at + left
        return self._free_at


class Server(asyncio.Protocol):
    """One connection."""

    def __init__(self, queue: Queue) -> None:
        self._queue = queue
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of asyncio.Protocol."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Part of asyncio.Protocol."""
        self._parser.feed_data(data)

    def on_message_complete(self) -> None:
        """Part of httptools' protocol."""
        now = time.monotonic()
        wait_s = self._queue.done_at(now) - now
        asyncio.get_running_loop().call_later(wait_s, self._answer)

    def _answer(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(OK)


async def serve(options: argparse.Namespace) -> None:
    """Serve until the process is ended."""
    queue = Queue(options.service_ms / 1e3, options.freeze, options.every)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Server(queue), "127.0.0.1", 0, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


def main() -> None:
    """Read the options and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--service-ms", type=float, default=10.0)
    parser.add_argument("--freeze", type=float, default=0.0)
    parser.add_argument("--every", type=float, default=5.0)
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
