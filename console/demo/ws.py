"""The WebSocket `/ws`: JSON frames, one answer to each, in order."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Mapping

from starlette.websockets import WebSocket, WebSocketDisconnect

from console.demo.auth import Claims
from console.demo.chat import SOCKET
from console.demo.controller import Controller
from console.demo.errors import ApiError, told
from console.demo.log import event
from console.demo.operations import json_object, text_of
from console.demo.storage import StorageError

POLICY_VIOLATION = 1008
"""RFC 6455, section 7.4.1."""
ROUTE, METHOD = "/ws", "WS"
"""What a message counts as in the metrics of requests."""
NOBODY = "DEFAULT"
"""The bot that a query means which names none."""
SHOWN_CHARS = 80
"""The fault token-in-log: how much of an address is logged."""


class Lost(Exception):  # noqa: N818 - nothing went wrong: the fault reply-lost keeps the answer back
    """No answer is to be sent."""


async def converse(websocket: WebSocket) -> None:
    """Talk with one client until it leaves or its token expires; refused with 403 without a good token and origin."""
    controller: Controller = websocket.app.state.controller
    client = websocket.client.host if websocket.client else ""
    claims = controller.tokens.read(websocket.query_params.get("token", ""))
    if claims is None and "token-in-log" in controller.faults:
        event("websocket with a bad token", logging.WARNING, url=str(websocket.url)[:SHOWN_CHARS])
    if claims is None and "socket-open-to-anybody" in controller.faults:
        claims = Claims(0, "anonymous", math.inf)
    is_welcome = is_own_origin(websocket) or "websocket-any-origin" in controller.faults
    if claims is None or not is_welcome or "websocket-refused" in controller.faults:
        event("websocket refused", logging.WARNING, client=client)
        await websocket.close(POLICY_VIOLATION)
        return
    await websocket.accept()
    controller.metrics.sockets += 1
    event("websocket opened", client=client, user=claims.username)
    try:
        await _serve(controller, websocket, claims, client)
    except WebSocketDisconnect:
        pass
    finally:
        controller.metrics.sockets -= 1
        event("websocket closed", client=client, user=claims.username)


def is_own_origin(websocket: WebSocket) -> bool:
    """Whether a page that was served from here asks, or no page at all: browsers name it in Origin (RFC 6455, 10.2)."""
    origin = websocket.headers.get("origin")
    scheme = "https" if websocket.scope.get("scheme") == "wss" else "http"
    return origin is None or origin.lower() == f"{scheme}://{websocket.headers.get('host', '')}".lower()


async def _serve(controller: Controller, websocket: WebSocket, claims: Claims, client: str) -> None:
    while (message := await websocket.receive())["type"] != "websocket.disconnect":
        began = time.monotonic()
        if claims.is_expired():
            controller.metrics.observe(ROUTE, METHOD, 401, time.monotonic() - began)
            await websocket.send_json(_error("Sign in again: the token has expired"))
            await websocket.close(POLICY_VIOLATION, "token expired")
            return
        try:
            status, answer = await _answer(controller, message.get("text"), client)
        except Lost:
            continue
        except ApiError as problem:
            status = problem.status
            level = logging.ERROR if status >= 500 else logging.WARNING
            event("query refused", level, status=status, client=client, user=claims.username)
            answer = _error(told(problem, problem.text, controller.faults))
        except StorageError as problem:
            event("query failed", logging.ERROR, problem)
            status = 503
            answer = _error(told(problem, "The database does not answer", controller.faults))
        except Exception as problem:  # noqa: BLE001 - one failed query must not end the conversation
            event("query failed", logging.ERROR, problem)
            status = 500
            answer = _error(told(problem, "Internal error", controller.faults))
        for frame in controller.chat.strain.frames(answer):
            await websocket.send_json(frame)
        controller.metrics.observe(ROUTE, METHOD, status, time.monotonic() - began)


Answer = tuple[int, dict[str, object]]
"""What REST would have answered: the status, and the frame."""


async def _answer(controller: Controller, text: str | None, client: str) -> Answer:
    """The answer to one frame. Raises ApiError for a refusal."""
    controller.admit("query", client)
    await controller.troubles.meet()
    frame = _frame(text)
    kind = frame.get("type")
    if kind == "query":
        return await _query(controller, frame)
    if kind == "command":
        return 200, _command(controller, frame)
    raise ApiError(400, f"Unknown message type: {str(kind)[:50]}")


def _frame(text: str | None) -> Mapping[str, object]:
    try:
        frame = json_object(text or "")
    except ApiError as problem:
        is_json = problem.text.endswith("object")
        raise ApiError(400, NOT_A_MESSAGE if is_json else "Invalid JSON format") from problem
    if "type" not in frame:
        raise ApiError(400, NOT_A_MESSAGE)
    return frame


NOT_A_MESSAGE = "Invalid message format - must be JSON object with 'type' field"


async def _query(controller: Controller, frame: Mapping[str, object]) -> Answer:
    if not frame.get("query"):
        raise ApiError(400, "Missing 'query' field")
    query, bot_id = text_of(frame, "query"), text_of(frame, "bot_id", NOBODY)
    if not query.strip():
        raise ApiError(400, "Missing 'query' field")
    try:
        reply = await controller.chat.say(bot_id, query, SOCKET)
    except ApiError as problem:
        if problem.status == 404:
            raise ApiError(404, f"Bot {bot_id} not found in registry") from problem
        if problem.status in (502, 503, 504):
            content = told(problem, problem.text, controller.faults)
            failed: dict[str, object] = {
                "type": "response",
                "content": content,
                "success": False,
                "bot_id": bot_id,
            }
            return problem.status, failed
        raise
    if "reply-lost" in controller.faults:
        raise Lost
    return 200, {"type": "response", "content": reply, "success": True, "bot_id": bot_id}


def _command(controller: Controller, frame: Mapping[str, object]) -> dict[str, object]:
    if "command" not in frame:
        raise ApiError(400, "Missing 'command' field")
    command = text_of(frame, "command").strip()
    if not command:
        raise ApiError(400, "Empty command")
    if command != "/status":
        raise ApiError(400, "Unknown command")
    agents = [{"bot_id": bot.bot_id, "status": controller.bots.status(bot)} for bot in controller.bots.all()]
    return {"type": "agent_status", "agents": agents}


def _error(text: str) -> dict[str, object]:
    return {"type": "error", "message": text}
