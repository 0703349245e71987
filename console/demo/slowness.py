"""What the faults of performance do to answers on their way out; without such a fault it is not there."""

from __future__ import annotations

import asyncio

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

DELAYS_S = {
    "slow-health": ("/health", 0.4),
    "slow-list": ("/api/bots", 0.7),
    "slow-history": ("/api/chat/history", 0.7),
}
"""Fault -> the path that it delays, and by how much."""
FAULTS = frozenset({*DELAYS_S, "connection-closes", "static-not-cacheable", "one-at-a-time"})
ONE_S = 0.05
"""The fault one-at-a-time: how long each holds up the next."""
SLOW_SEND_S = 1.25
"""The fault slow-send."""
VALIDATORS = ("etag", "last-modified")


class Slowness:
    """Wraps the application `app`."""

    def __init__(self, app: ASGIApp, faults: frozenset[str]) -> None:
        self._app = app
        self._faults = faults
        self._delays_s = dict(DELAYS_S[fault] for fault in sorted(faults & DELAYS_S.keys()))
        self._turn = asyncio.Lock()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, late."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]

        async def sender(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._spoil(path, MutableHeaders(scope=message))
            await send(message)

        await asyncio.sleep(self._delays_s.get(path, 0))
        if "one-at-a-time" in self._faults and path == "/health":
            async with self._turn:
                await asyncio.sleep(ONE_S)
        await self._app(scope, receive, sender)

    def _spoil(self, path: str, headers: MutableHeaders) -> None:
        if "connection-closes" in self._faults:
            headers["Connection"] = "close"
        if "static-not-cacheable" in self._faults and path.startswith("/static/"):
            headers["Cache-Control"] = "no-store"
            for name in VALIDATORS:
                del headers[name]
