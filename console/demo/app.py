"""The ASGI application: the routes of one controller."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from pathlib import Path

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route, WebSocketRoute
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Scope
from starlette.websockets import WebSocket

from console.demo import careless, slowness, surface
from console.demo.api import OPERATIONS
from console.demo.connecting import SLOW_S
from console.demo.controller import Controller
from console.demo.edge import Edge
from console.demo.errors import ApiError, now_text, refusal, told
from console.demo.limits import SIGN_UPS
from console.demo.log import error_lines, event
from console.demo.openapi import document
from console.demo.operations import client_of
from console.demo.process import Single, of_this_process
from console.demo.profile import version
from console.demo.storage import StorageError
from console.demo.ws import converse

HERE = Path(__file__).parent
PAGE, STATIC = HERE / "page.html", HERE / "static"
SCRIPT = "app.js"


def build_app(controller: Controller) -> ASGIApp:
    """The application that serves `controller`."""
    # What is the same for everybody alone: the length of a packed answer tells of what is secret in it (BREACH).
    packed = [] if "no-compression" in controller.faults else [Middleware(GZipMiddleware, minimum_size=1024)]
    app = Starlette(
        routes=[
            Route("/", _page, middleware=packed),
            Mount("/static", _Static(controller.faults), middleware=packed),
            Route("/health", _health),
            Route("/health/db", _database_health),
            Route("/metrics", _metrics),
            Route("/openapi.json", _openapi),
            *(operation.route(controller) for operation in OPERATIONS),
            WebSocketRoute("/ws", converse),
        ],
        exception_handlers={
            ApiError: _refused,
            HTTPException: _not_served,
            StorageError: _not_stored,
            Exception: _failed,
        },
    )
    app.state.controller = controller
    served: ASGIApp = app
    if controller.faults & slowness.FAULTS:
        served = slowness.Slowness(app, controller.faults)
    edge = Edge(served, controller.metrics, is_tls=controller.settings.is_tls, faults=controller.faults)
    return surface.Surface(edge, controller.faults) if controller.faults & surface.FAULTS else edge


def _of(connection: Request | WebSocket) -> Controller:
    controller: Controller = connection.app.state.controller
    return controller


async def _page(request: Request) -> Response:
    if "page-missing" in _of(request).faults:
        raise HTTPException(404)
    return FileResponse(PAGE, headers={"Cache-Control": "no-cache"})


class _Static(StaticFiles):
    """The page's style sheet and script."""

    def __init__(self, faults: frozenset[str]) -> None:
        super().__init__(directory=STATIC)
        self._faults = faults

    async def get_response(self, path: str, scope: Scope) -> Response:
        """One file; it may be kept, but is asked for again."""
        if "part-missing" in self._faults and path == SCRIPT:
            raise HTTPException(404)
        if "part-replaced" in self._faults and path == SCRIPT:
            return FileResponse(PAGE)
        if "path-traversal" in self._faults and (file := careless.upwards(STATIC, path)):
            return FileResponse(file)
        response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        return response


async def _health(request: Request) -> Response:
    if "health-limited" in _of(request).faults and _of(request).limiter.is_over(SIGN_UPS, client_of(request)):
        raise ApiError(429, "Too many requests", {"Retry-After": "1"})
    if "unhealthy" in _of(request).faults:
        return JSONResponse({"status": "degraded", "timestamp": now_text()}, 503)
    return JSONResponse({"status": "ok", "timestamp": now_text()})


async def _database_health(request: Request) -> Response:
    try:
        await asyncio.to_thread(_of(request).store.ping)
    except StorageError:
        return JSONResponse({"status": "down", "timestamp": now_text()}, 503)
    return JSONResponse({"status": "ok", "timestamp": now_text()})


async def _metrics(request: Request) -> Response:
    controller = _of(request)
    bots = Counter(controller.bots.status(bot) for bot in controller.bots.all())
    store = controller.store
    singles = [
        Single(
            "db_slow_queries_total",
            "counter",
            f"Queries that took longer than {SLOW_S:g} s.",
            store.slow_queries,
        ),
        Single("log_errors_total", "counter", "Lines of level ERROR or above in the log.", error_lines()),
        *of_this_process(),
    ]
    text = controller.metrics.exposition(controller.chat.answered, bots, store.connections(), singles)
    return controller.troubles.metrics(text)


async def _openapi(request: Request) -> Response:
    controller = _of(request)
    if "description-open" not in controller.faults:
        controller.claims(request.headers.get("authorization", ""))
    return JSONResponse(document(OPERATIONS, version()))


async def _refused(request: Request | WebSocket, problem: Exception) -> Response:
    assert isinstance(problem, ApiError)
    request.scope["demo.cause"] = _cause(problem, problem.text)
    text = told(problem, problem.text, _of(request).faults)
    return JSONResponse(refusal(text), problem.status, problem.headers)


async def _not_served(request: Request | WebSocket, problem: Exception) -> Response:
    assert isinstance(problem, HTTPException)
    request.scope["demo.cause"] = _cause(problem, problem.detail)
    text = told(problem, problem.detail, _of(request).faults)
    if "error-shapes-differ" in _of(request).faults:
        return JSONResponse({"detail": text}, problem.status_code, problem.headers)
    return JSONResponse(refusal(text), problem.status_code, problem.headers)


async def _not_stored(request: Request | WebSocket, problem: Exception) -> Response:
    event("database failed", logging.ERROR, problem)
    text = told(problem, "The database does not answer", _of(request).faults)
    return JSONResponse(refusal(text), 503)


def _cause(problem: Exception, text: str) -> str:
    """Why a request was refused, for the log: what the caller is told, and the exception behind it."""
    behind = problem.__cause__
    return f"{text} ({type(behind).__name__})" if behind else text


async def _failed(request: Request | WebSocket, problem: Exception) -> Response:
    text = told(problem, "Internal error", _of(request).faults)
    return JSONResponse(refusal(text), 500)
