"""The faults plain-too and plain-websocket: a front that serves clear text on the port of TLS.

It looks at the first bytes of a connection without taking them, and gives it to the web server with TLS or without.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable

TLS_HANDSHAKE = 0x16
"""RFC 8446, section 5.1."""
FAULTS = frozenset({"plain-too", "plain-websocket"})
FIRST_WITHIN_S = 10.0


class Front:
    """Accepts on `listener` until it is closed."""

    def __init__(
        self,
        listener: socket.socket,
        protocol: Callable[[], asyncio.Protocol],
        context: ssl.SSLContext,
        faults: frozenset[str],
    ) -> None:
        self._listener = listener
        self._protocol = protocol
        self._context = context
        self._faults = faults
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self) -> None:
        """Accept from now on."""
        self._listener.setblocking(False)
        self._listener.listen(128)
        self._keep(asyncio.create_task(self._accept()))

    async def close(self) -> None:
        """Accept no more."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            connection, _ = await loop.sock_accept(self._listener)
            self._keep(asyncio.create_task(self._serve(connection)))

    async def _serve(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        try:
            first = await _peek(connection)
            is_tls = first[:1] == bytes([TLS_HANDSHAKE])
            fault = "plain-websocket" if b"upgrade: websocket" in first.lower() else "plain-too"
            if not first or not (is_tls or fault in self._faults):
                connection.close()
                return
            await loop.connect_accepted_socket(
                self._protocol, connection, ssl=self._context if is_tls else None
            )
        except BaseException as problem:
            connection.close()
            if not isinstance(problem, OSError):
                raise


async def _peek(connection: socket.socket) -> bytes:
    loop, is_ready = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(connection, is_ready.set)
    try:
        async with asyncio.timeout(FIRST_WITHIN_S):
            await is_ready.wait()
        return connection.recv(2048, socket.MSG_PEEK)
    except TimeoutError:
        return b""
    finally:
        loop.remove_reader(connection)
