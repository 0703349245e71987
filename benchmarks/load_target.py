"""A target whose faults are known: fixed service time, exact freezes, and a log of when each request came.

    python -m benchmarks.load_target [--port 0] [--delay-ms 2] [--freeze 1 --every 5 --first 2] [--log FILE]

Loopback alone. It prints its port. Freezes are counted from the first request; one blocks the whole event loop, so
that nothing is accepted, read or answered while it lasts. `GET /count` answers how many requests came before it. With
--log the time of each (CLOCK_MONOTONIC, nanoseconds) is written as packed int64 when the process gets SIGTERM.
"""

from __future__ import annotations

import argparse
import asyncio
import signal
import time
from array import array
from pathlib import Path
from typing import cast

import httptools

BODY = b'{"ok":true,"id":1234567}'
MOST_FREEZES = 200


def answer(body: bytes) -> bytes:
    """An HTTP answer that keeps the connection."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


OK = answer(BODY)


class State:
    """What the connections share."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.delay_s: float = options.delay_ms / 1e3
        self.freeze_s: float = options.freeze
        self.every_s: float = options.every
        self.first_s: float = options.first
        self.is_logged = bool(options.log)
        self.times = array("q")
        self.count = 0

    def came(self, moment: int) -> None:
        """A request came; the first one begins the freezes."""
        if not self.count and self.freeze_s:
            loop = asyncio.get_running_loop()
            now = loop.time()
            for place in range(MOST_FREEZES):
                loop.call_at(now + self.first_s + place * self.every_s, time.sleep, self.freeze_s)
        self.count += 1
        if self.is_logged:
            self.times.append(moment)


class Server(asyncio.Protocol):
    """One connection."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._parser = httptools.HttpRequestParser(self)
        self._moment = 0
        self._is_count = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of asyncio.Protocol."""
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        """Part of asyncio.Protocol."""
        self._moment = time.monotonic_ns()
        self._parser.feed_data(data)

    def on_url(self, url: bytes) -> None:
        """Called by the parser."""
        self._is_count = url == b"/count"

    def on_message_complete(self) -> None:
        """Called by the parser."""
        if self._is_count:
            self._transport.write(answer(b"%d" % self._state.count))
            return
        self._state.came(self._moment)
        if self._state.delay_s:
            asyncio.get_running_loop().call_later(self._state.delay_s, self._answer)
        else:
            self._answer()

    def _answer(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(OK)


async def serve(options: argparse.Namespace) -> None:
    """Serve until SIGTERM."""
    loop, stop, state = asyncio.get_running_loop(), asyncio.Event(), State(options)
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    server = await loop.create_server(lambda: Server(state), "127.0.0.1", options.port, backlog=2048)
    print(server.sockets[0].getsockname()[1], flush=True)
    await stop.wait()
    server.close()
    if options.log:
        Path(options.log).write_bytes(state.times.tobytes())  # noqa: ASYNC240 - nothing else is done any more


def main() -> None:
    """Serve as the command line says."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--port", type=int, default=0)
    for name, default in (("--delay-ms", 0.0), ("--freeze", 0.0), ("--every", 5.0), ("--first", 2.0)):
        parser.add_argument(name, type=float, default=default)
    parser.add_argument("--log", default="")
    options = parser.parse_args()
    try:
        import uvloop
    except ImportError:
        asyncio.run(serve(options))
    else:
        uvloop.run(serve(options))


if __name__ == "__main__":
    main()
