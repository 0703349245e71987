"""Faults of the HTTP surface: a layer around the application that adds what should not be there."""

from __future__ import annotations

from starlette.datastructures import MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

FAULTS = frozenset(
    {
        "no-csp",
        "api-cacheable",
        "cors-any",
        "cors-look-alike",
        "docs-open",
        "debug-open",
        "version-shown",
        "trace-answered",
        "cookie-bare",
    }
)
SHOWN_VERSION = "uvicorn/0.50.2"
DOCUMENTATION = "<!DOCTYPE html><title>API</title><h1>Every operation of the API</h1>"


class Surface:
    """Wraps the application `app`."""

    def __init__(self, app: ASGIApp, faults: frozenset[str]) -> None:
        self._faults = faults
        self._app = app
        # "*" with credentials answers every origin by its own name.
        if "cors-any" in faults:
            self._app = CORSMiddleware(app, allow_origins=["*"], allow_credentials=True, allow_headers=["*"])
        elif "cors-look-alike" in faults:
            pattern = r"https?://127\.0\.0\.1.*"  # its end is not marked
            self._app = CORSMiddleware(app, allow_origin_regex=pattern, allow_headers=["*"])

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path: str = scope["path"]

        async def sender(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._spoil(path, MutableHeaders(scope=message))
            await send(message)

        page = self._page(scope["method"], path)
        await (page or self._app)(scope, receive, sender)

    def _page(self, method: str, path: str) -> Response | None:
        """What is answered in place of the application."""
        if "trace-answered" in self._faults and method == "TRACE":
            return Response(f"TRACE {path}", media_type="message/http")
        if "docs-open" in self._faults and path == "/docs":
            return HTMLResponse(DOCUMENTATION)
        if "debug-open" in self._faults and path == "/debug":
            return JSONResponse({"debug": True, "settings": ["JWT_SECRET_KEY", "DATABASE_URL"]})
        return None

    def _spoil(self, path: str, headers: MutableHeaders) -> None:
        if "no-csp" in self._faults and path == "/":
            del headers["Content-Security-Policy"]
        if "api-cacheable" in self._faults and path.startswith("/api/"):
            headers["Cache-Control"] = "public, max-age=60"
        if "version-shown" in self._faults:
            headers["Server"] = SHOWN_VERSION
        if "cookie-bare" in self._faults and path == "/api/auth/login":
            headers.append("Set-Cookie", "session=1; Path=/")
