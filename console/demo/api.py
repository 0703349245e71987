"""The REST operations of the controller."""

from __future__ import annotations

import asyncio
import base64
import logging
import math
import os
import time
from functools import partial
from typing import Any

from console.demo import careless
from console.demo.auth import hash_password, is_password
from console.demo.bots import BOT_ID, BOT_TYPES, MAX_ID_CHARS, Bot
from console.demo.chat import REST, USER
from console.demo.controller import Controller
from console.demo.errors import ApiError
from console.demo.log import event
from console.demo.operations import Call, Operation, client_of, json_object, text_of
from console.demo.settings import PASSWORD_MIN_CHARS

USERNAME_MIN_CHARS, USERNAME_MAX_CHARS, PASSWORD_MAX_CHARS = 3, 64, 256
HISTORY_DEFAULT, HISTORY_MAX = 100, 1000
HANG_S = 30.0
"""The fault launch-hangs: how long the answer is held back."""
BLOCKED_S = 0.4
"""The fault loop-blocked: how long one sign-in stops everything."""
NOBODY = "$".join(["scrypt", *(base64.b64encode(os.urandom(size)).decode() for size in (16, 32))])
"""A hash that no password has: an unknown user takes as long to refuse as a known one."""


async def login(controller: Controller, call: Call) -> dict[str, object]:
    """Sign in: a token for the right password."""
    fields = await call.fields()
    username, password = text_of(fields, "username"), text_of(fields, "password")
    if len(username) > USERNAME_MAX_CHARS or len(password) > PASSWORD_MAX_CHARS:
        raise ApiError(401, "Invalid username or password")
    user = await asyncio.to_thread(controller.store.find_user, username)
    if "loop-blocked" in controller.faults:
        _hash_here(password)
    is_right = await asyncio.to_thread(is_password, password, user.password_hash if user else NOBODY)
    if "any-password" in controller.faults:
        is_right = True
    if "sign-in-broken" in controller.faults:
        is_right = False
    if "sign-in-crashes" in controller.faults and not is_right:
        raise ApiError(500, "Internal error")
    if user is None or not is_right:
        if "password-logged" in controller.faults:
            event("password checked", password=password)
        if "sign-ins-not-logged" not in controller.faults:
            client = client_of(call.request)
            # A name that nobody has may be a password in the wrong field: it is left out.
            name = user.username if user else ""
            event("sign-in refused", logging.WARNING, known=user is not None, user=name, client=client)
        raise ApiError(401, "Invalid username or password")
    token = controller.tokens.issue(user.id, user.username)
    given: dict[str, Any] = {"issued": token} if "token-logged" in controller.faults else {}
    event("sign-in", user=user.username, client=client_of(call.request), **given)
    return {"token": token, "user": {"id": user.id, "username": user.username}}


async def register(controller: Controller, call: Call) -> dict[str, object]:
    """Add a user."""
    fields = await call.fields()
    username, password = text_of(fields, "username").strip(), text_of(fields, "password")
    if len(username) < USERNAME_MIN_CHARS:
        raise ApiError(400, f"Username must be at least {USERNAME_MIN_CHARS} characters")
    if len(username) > USERNAME_MAX_CHARS or not username.isprintable():
        raise ApiError(400, f"Username must be at most {USERNAME_MAX_CHARS} printable characters")
    if not PASSWORD_MIN_CHARS <= len(password) <= PASSWORD_MAX_CHARS:
        limits = f"at least {PASSWORD_MIN_CHARS} and at most {PASSWORD_MAX_CHARS} characters"
        raise ApiError(400, f"Password must be {limits}")
    hashed = await asyncio.to_thread(hash_password, password, controller.faults)
    if not await asyncio.to_thread(controller.store.add_user, username, hashed):
        raise ApiError(409, "User already exists")
    event("user registered", user=username)
    return {"message": f"User {username} registered"}


async def launch(controller: Controller, call: Call) -> dict[str, object]:
    """Launch a bot; answered once its port is open."""
    fields = await call.fields()
    bot_id, bot_type = (
        text_of(fields, "bot_id").strip(),
        text_of(fields, "bot_type", "claude").strip().lower(),
    )
    if not bot_id:
        raise ApiError(400, "Bot ID cannot be empty")
    if len(bot_id) > MAX_ID_CHARS:
        raise ApiError(400, f"Bot ID too long (max {MAX_ID_CHARS} chars)")
    if not BOT_ID.fullmatch(bot_id):
        raise ApiError(400, "Invalid bot ID format. Use BOT- and three digits or more, as in BOT-001")
    if "shell-launch" in controller.faults:
        await careless.shell(controller.settings.data, f"echo {text_of(fields, 'bot_type', '')}")
    if bot_type not in BOT_TYPES:
        raise ApiError(400, f"Invalid bot_type. Must be one of: {', '.join(BOT_TYPES)}")
    if "launch-hangs" in controller.faults:
        await _wait(controller.ending, HANG_S)
        raise ApiError(503, f"Failed to spawn bot process for {bot_id}")
    if "launch-pretended" in controller.faults:
        text = f"Bot {bot_id} is running"
        return {"bot_id": bot_id, "bot_type": bot_type, "pid": os.getpid(), "message": text}
    bot = await controller.bots.launch(bot_id, bot_type)
    event("bot launched", bot_id=bot_id, bot_type=bot_type, pid=bot.process.pid, port=bot.port)
    if "bot-dies" in controller.faults:
        call.after = partial(controller.bots.lose, bot)
    return {
        "bot_id": bot_id,
        "bot_type": bot_type,
        "port": bot.port,
        "pid": bot.process.pid,
        "message": f"Bot {bot_id} is running",
    }


async def stop(controller: Controller, call: Call) -> dict[str, object]:
    """Stop a bot; answered once its process has ended."""
    bot_id = call.path("bot_id")
    await controller.bots.stop(bot_id)
    event("bot stopped", bot_id=bot_id)
    return {"bot_id": bot_id, "message": f"Bot {bot_id} was stopped"}


async def task(controller: Controller, call: Call) -> dict[str, object]:
    """Say something to a bot; answered with its reply, once both are stored."""
    bot_id, raw, role = call.path("bot_id"), await call.body(), USER
    try:
        fields = json_object(raw)
        command = text_of(fields, "command").strip()
        if "mass-assignment" in controller.faults:
            role = text_of(fields, "role", USER)
    except ApiError:
        if "malformed-accepted" not in controller.faults:
            raise
        command = raw.decode("utf-8", "replace").replace("\0", "")
    if not command:
        raise ApiError(400, "command cannot be empty")
    reply = await controller.chat.say(bot_id, command, REST, role)
    bot = controller.bots.find(bot_id)
    return {
        "bot_id": _another_id(controller, bot_id) if "reply-misaddressed" in controller.faults else bot_id,
        "bot_type": bot.bot_type if bot else "",
        "response": reply,
        "raw_response": {"content": reply},
    }


async def bots(controller: Controller, call: Call) -> dict[str, object]:
    """List the bots."""
    del call
    known = controller.bots.all()
    if "list-empties" in controller.faults and not all(bot.is_alive for bot in known):
        known = []
    return {"bots": {bot.bot_id: _entry(bot, controller.bots.status(bot)) for bot in known}}


async def status(controller: Controller, call: Call) -> dict[str, object]:
    """List the bots with what each says that it is doing."""
    del call
    known = controller.bots.all()
    looks = await asyncio.gather(*(controller.bots.look(bot) for bot in known))
    return {
        "bots": {
            bot.bot_id: {**_entry(bot, word), "current_task": doing}
            for bot, (word, doing) in zip(known, looks, strict=True)
        }
    }


async def history(controller: Controller, call: Call) -> dict[str, object]:
    """The newest messages of a bot, oldest first."""
    query = call.request.query_params
    bot_id = query.get("bot_id", "")
    if not bot_id:
        raise ApiError(400, "bot_id parameter required")
    limit = query.get("limit", str(HISTORY_DEFAULT))
    most = math.inf if "no-page-limit" in controller.faults else HISTORY_MAX
    if not (limit.isascii() and limit.isdigit() and len(limit) < 40 and 1 <= int(limit) <= most):
        raise ApiError(422, f"limit must be a whole number from 1 to {HISTORY_MAX}")
    if "history-limit-ignored" in controller.faults:
        limit = str(HISTORY_MAX)
    messages = await controller.chat.history(text_of({"bot_id": bot_id}, "bot_id"), int(limit))
    return {"bot_id": bot_id, "messages": messages, "count": len(messages)}


def _hash_here(password: str) -> None:
    """The fault loop-blocked: a hash so slow as it should never be on the loop."""
    ends_at = time.monotonic() + BLOCKED_S
    while time.monotonic() < ends_at:
        is_password(password, NOBODY)


def _entry(bot: Bot, word: str) -> dict[str, object]:
    return {"status": word, "port": bot.port, "registered_at": bot.registered_at}


def _another_id(controller: Controller, bot_id: str) -> str:
    others = [bot.bot_id for bot in controller.bots.all() if bot.bot_id != bot_id]
    return others[0] if others else f"{bot_id}0"


async def _wait(ending: asyncio.Event, within_s: float) -> None:
    try:
        async with asyncio.timeout(within_s):
            await ending.wait()
    except TimeoutError:
        return


CREDENTIALS = {"username": True, "password": True}
OPERATIONS: tuple[Operation, ...] = (
    Operation(
        *("login", "POST", "/api/auth/login", "Sign in", login),
        takes=CREDENTIALS,
        refuses=(401,),
        is_open=True,
    ),
    Operation(
        *("register", "POST", "/api/auth/register", "Add a user", register),
        takes=CREDENTIALS,
        refuses=(400, 409),
        is_open=True,
    ),
    Operation(
        *("launch", "POST", "/api/bot/launch", "Launch a bot", launch),
        takes={"bot_id": True, "bot_type": False},
        refuses=(400, 409, 503),
    ),
    Operation("stop", "POST", "/api/bot/stop/{bot_id}", "Stop a bot", stop, refuses=(404,)),
    Operation(
        *("task", "POST", "/api/bot/{bot_id}/task", "Say something to a bot", task),
        takes={"command": True},
        refuses=(400, 404, 413, 502, 503, 504),
    ),
    Operation("bots", "GET", "/api/bots", "List the bots", bots),
    Operation("status", "GET", "/api/bots/status", "List the bots with what they are doing", status),
    Operation(
        *("history", "GET", "/api/chat/history", "The newest messages of a bot", history),
        asks={"bot_id": ("string", True), "limit": ("integer", False)},
        refuses=(400, 422),
    ),
)
"""Every REST operation."""
