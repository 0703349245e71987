"""A controller that a test serves: one REST operation and a WebSocket, which take the tokens that the test says."""

from __future__ import annotations

import http
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import msgspec
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from checks.context import Context
from tests.checks.audit.contexts import context_of, target_at

SECRET = "kV3x-Qm81_tZr0LwYp6JdHb9sNcEuA4gTfXi2oRa7"
Accepts = Callable[[str], bool]


def claims(**other: Any) -> dict[str, Any]:
    """Complete claims of a token that is good for an hour; None takes one away."""
    now = int(time.time())
    every = {"user_id": 1, "username": "lead", "iat": now, "exp": now + 3600, **other}
    return {name: value for name, value in every.items() if value is not None}


def token(secret: Any = SECRET, algorithm: str = "HS256", **other: Any) -> str:
    """A signed token."""
    return jwt.encode(claims(**other), secret, algorithm=algorithm)


def verified(text: str, key: Any = SECRET, algorithm: str = "HS256", **options: bool) -> bool:
    """Whether the library accepts the token."""
    wanted: Any = {"require": ["exp"], **options}
    try:
        jwt.decode(text, key, algorithms=[algorithm], options=wanted)
    except jwt.InvalidTokenError:
        return False
    return True


@dataclass
class Controller:
    """How it takes tokens."""

    accepts: Accepts = verified
    socket_accepts: Accepts | None = None
    """None: as `accepts`."""
    refusal: int = 401
    is_late: bool = False
    """Whether the WebSocket is closed at the first frame in place of a refused handshake."""
    logged: Callable[[str], str] = field(default=lambda path: "")
    """What is logged of a handshake."""
    log: Path | None = None
    asked: int = 0

    async def rest(self, connection: ServerConnection, request: Request) -> Response | None:
        """Answer REST; None for the WebSocket."""
        self.asked += 1
        path = urlsplit(request.path)
        given = parse_qs(path.query).get("token", [""])[0]
        if path.path != "/ws":
            given = request.headers.get("authorization", "").removeprefix("Bearer").strip()
            is_good = path.path == "/api/bots" and self.accepts(given)
            status = http.HTTPStatus(200 if is_good else self.refusal)
            body = {"success": True, "bots": {}} if is_good else {"success": False, "error": "no"}
            return connection.respond(status, json.dumps(body))
        line = self.logged(request.path)
        if self.log and line:
            with self.log.open("a") as file:
                file.write(line + "\n")
        is_good = (self.socket_accepts or self.accepts)(given)
        connection.is_good = is_good  # type: ignore[attr-defined]
        return None if is_good or self.is_late else connection.respond(http.HTTPStatus.FORBIDDEN, "")

    async def talk(self, connection: ServerConnection) -> None:
        """Answer each query."""
        async for _ in connection:
            if not connection.is_good:  # type: ignore[attr-defined]
                await connection.close(1008)
                return
            await connection.send(json.dumps({"type": "error", "message": "Bot not found in registry"}))


@asynccontextmanager
async def audited(
    controller: Controller,
    folder: Path,
    *,
    live: str | None = None,
    settings: str | None = f"JWT_SECRET_KEY={SECRET}\n",
    samples: Sequence[Path] = (),
    has_rest: bool = True,
    missing_file: bool = False,
) -> AsyncIterator[Context]:
    """A run on `controller`, which has the token `live` and a configuration file of that text."""
    files = []
    if settings is not None:
        (folder / "chat.env").write_text(settings)
        files.append(str(folder / "chat.env"))
    if missing_file:
        files.append(str(folder / "missing.env"))
    audit = {"config_files": tuple(files), "sample_files": tuple(map(str, samples)), "log_within_s": 0.6}
    async with serve(controller.talk, "127.0.0.1", 0, process_request=controller.rest) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        target = target_at(f"http://127.0.0.1:{port}", audit, token=token() if live is None else live)
        replace = msgspec.structs.replace
        contract = replace(target.contract, rest_auth="bearer" if has_rest else "none")
        log = replace(target.profile.log, file=str(controller.log or ""))
        target = replace(target, contract=contract, profile=replace(target.profile, log=log))
        async with context_of(target, folder) as context:
            yield context
