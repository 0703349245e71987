"""The outermost layer: every request gets an id, is timed, counted and logged, and never shows the program's inside."""

from __future__ import annotations

import logging
import re
import secrets
import time
from email.utils import formatdate
from typing import Any

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from console.demo.log import MAX_PATH_CHARS, event
from console.demo.log import request_id as current_request_id
from console.demo.metrics import Metrics

CLOCK_OFF_S = 300
"""The fault clock-off: how far ahead the Date of answers is."""
GOOD_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Sent with every answer that does not say otherwise."""
HSTS = "max-age=31536000"
"""A year, as browsers ask for: RFC 6797."""


class Edge:
    """Wraps the application `app`."""

    def __init__(
        self, app: ASGIApp, metrics: Metrics, *, is_tls: bool, faults: frozenset[str] = frozenset()
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._headers = {**HEADERS, "Strict-Transport-Security": HSTS} if is_tls else HEADERS
        if "no-hsts" in faults:
            self._headers = HEADERS
        self._faults = faults

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; an exception that nobody told the caller about is logged here."""
        given = Headers(scope=scope).get("x-request-id", "") if scope["type"] in ("http", "websocket") else ""
        request_id = given if GOOD_ID.fullmatch(given) else secrets.token_hex(8)
        current_request_id.set(request_id)
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.monotonic(), 0

        async def sender(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                if not (status >= 400 and "error-without-id" in self._faults):
                    headers["X-Request-ID"] = request_id
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
                if "clock-off" in self._faults:
                    headers["Date"] = formatdate(time.time() + CLOCK_OFF_S, usegmt=True)
            await send(message)

        try:
            await self._app(scope, receive, sender)
        except Exception as problem:  # noqa: BLE001 - the application has answered 500; the log tells why
            event("request failed", logging.ERROR, problem)
        finally:
            self._record(scope, status, time.monotonic() - began)

    def _record(self, scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in METHODS else "other"
        self._metrics.observe(_route(scope), method, status, seconds)
        client = scope.get("client")
        is_refused = not 0 < status < 400
        if is_refused and "errors-not-logged" in self._faults:
            return
        if scope["path"].endswith("/login") and "sign-ins-not-logged" in self._faults:
            return
        level = logging.INFO if not is_refused else logging.ERROR if status >= 500 else logging.WARNING
        if "errors-logged-as-info" in self._faults:
            level = logging.INFO
        more: dict[str, Any] = {}
        if (cause := scope.get("demo.cause")) and "cause-not-logged" not in self._faults:
            more["cause"] = cause
        # The query is left out: it may hold a token.
        event(
            "request",
            level,
            method=method,
            path=scope["path"][:MAX_PATH_CHARS],
            status=status,
            ms=round(seconds * 1e3, 1),
            client=client[0] if client else "",
            user=scope.get("demo.user", ""),
            **more,
        )


METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def _route(scope: Scope) -> str:
    route: Any = scope.get("route")
    return str(getattr(route, "path", "")) or "unmatched"
