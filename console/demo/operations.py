"""How a REST operation is asked: its limit, its token, its JSON body, and the shape of its answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from console.demo.auth import Claims
from console.demo.controller import Controller
from console.demo.errors import ApiError, now_text

MAX_BODY_BYTES = 128 * 1024
"""Room for the longest command with every character escaped."""
BODY_WITHIN_S = 10.0


@dataclass(slots=True)
class Call:
    """One request to an operation."""

    request: Request
    claims: Claims | None
    """Who asks; None where the operation is open to everybody."""
    after: Callable[[], Awaitable[None]] | None = None
    """Done once the answer was sent."""

    def path(self, name: str) -> str:
        """A part of the path."""
        return str(self.request.path_params[name])

    @property
    def _faults(self) -> frozenset[str]:
        faults: frozenset[str] = self.request.app.state.controller.faults
        return faults

    async def fields(self) -> Mapping[str, object]:
        """The JSON object of the body. Raises ApiError for any other body."""
        raw = await self.body()
        if "bad-body-crashes" in self._faults and raw.lstrip().startswith(b"["):
            return dict(json.loads(raw))
        return json_object(raw)

    async def body(self) -> bytes:
        """The body as sent. Raises ApiError for one that is too long, takes too long or is not called JSON."""
        if (
            self.request.headers.get("content-type", "").partition(";")[0].strip().lower()
            != "application/json"
        ):
            raise ApiError(415, "The body must be JSON, with Content-Type: application/json")
        size = self.request.headers.get("content-length", "")
        too_long = ApiError(413, f"The body is too long (max {MAX_BODY_BYTES} bytes)")
        if size.isdigit() and int(size) > MAX_BODY_BYTES and "no-body-limit" not in self._faults:
            raise too_long
        if "no-body-limit" in self._faults:
            return await self.request.body()
        body = bytearray()
        try:
            async with asyncio.timeout(BODY_WITHIN_S):
                async for part in self.request.stream():
                    body += part
                    if len(body) > MAX_BODY_BYTES:
                        raise too_long
        except TimeoutError as problem:
            raise ApiError(408, f"The body did not arrive within {BODY_WITHIN_S:g} s") from problem
        return bytes(body)


Handler = Callable[[Controller, Call], Awaitable[dict[str, object]]]


@dataclass(frozen=True, slots=True)
class Operation:
    """One REST operation: what routes, limits, token checks and the OpenAPI document are made from."""

    name: str
    """Also the name of its rate limit."""
    method: str
    path: str
    about: str
    handler: Handler
    takes: Mapping[str, bool] = field(default_factory=dict)
    """Fields of the JSON body -> whether they must be given; all are strings."""
    asks: Mapping[str, tuple[str, bool]] = field(default_factory=dict)
    """Query parameters -> their type, and whether they must be given."""
    refuses: tuple[int, ...] = ()
    """Statuses of its own refusals."""
    is_open: bool = False
    """Whether it is answered without a token."""

    def route(self, controller: Controller) -> Route:
        """The route that answers it."""

        async def answer(request: Request) -> JSONResponse:
            controller.admit(self.name, caller_of(request, controller.faults))
            is_open = self.is_open or ("route-open" in controller.faults and self.name == "history")
            claims = None if is_open else controller.claims(request.headers.get("authorization", ""))
            request.scope["demo.user"] = claims.username if claims else ""
            call = Call(request, claims)
            await controller.troubles.meet()
            document = await self.handler(controller, call)
            after = BackgroundTask(call.after) if call.after else None
            return JSONResponse({"success": True, **document, "timestamp": now_text()}, background=after)

        return Route(self.path, answer, methods=[self.method], name=self.name)


def client_of(request: Request) -> str:
    """The address that a request came from."""
    return request.client.host if request.client else ""


def caller_of(request: Request, faults: frozenset[str]) -> str:
    """Who the request is counted for by the rate limits: the address that it came from."""
    caller = client_of(request)
    if "limit-dodged-by-header" in faults:
        caller = request.headers.get("x-forwarded-for", caller)
    if "limit-per-path" in faults and request.path_params:
        caller += request.url.path
    return caller


def json_object(raw: bytes | str) -> Mapping[str, object]:
    """A JSON object. Raises ApiError (400) for anything else."""
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError) as problem:
        raise ApiError(400, "The body is not valid JSON") from problem
    if not isinstance(document, dict):
        raise ApiError(400, "The body must be a JSON object")
    return document


def text_of(fields: Mapping[str, object], name: str, default: str | None = None) -> str:
    """The string in field `name`. Raises ApiError (422) where it is missing, no string or not storable text."""
    value = fields.get(name, default)
    if value is None:
        raise ApiError(422, f"{name} is missing")
    if not isinstance(value, str):
        raise ApiError(422, f"{name} must be a string")
    # Half a surrogate pair is no text; PostgreSQL stores no NUL.
    if "\0" in value or any("\ud800" <= character <= "\udfff" for character in value):
        raise ApiError(422, f"{name} holds a character that is no text")
    return value
