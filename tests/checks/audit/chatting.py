"""A whole little controller on loopback that does everything right, unless a test has it answer otherwise."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import msgspec

from checks.context import Context
from checks.launches import Bot
from checks.walkthrough.walk import Walk
from tests.checks.audit.answering import Asked, Said, Server, answering, said
from tests.checks.audit.contexts import context_of, target_at

BOT = "BOT-900000001"
TOKEN = "a.good.token"
Answer = Callable[[Asked], Awaitable[Said | None]]
SHAPES = (
    ("login", r"/api/auth/login"),
    ("launch", r"/api/bot/launch"),
    ("stop", r"/api/bot/stop/(?P<id>[^/]+)"),
    ("send", r"/api/bot/(?P<id>[^/]+)/task"),
    ("bots", r"/api/bots"),
    ("status", r"/api/bots/status"),
    ("history", r"/api/chat/history"),
    ("openapi", r"/openapi.json"),
    ("health", r"/health"),
)
METHODS = {"login": "POST", "launch": "POST", "stop": "POST", "send": "POST"}


def refused(status: int, why: str = "It is wrong") -> Said:
    """A refusal."""
    return said({"success": False, "error": why}, status, X_Request_ID="r-1")


@dataclass
class Chatting:
    """The controller; `odd` answers in place of it where it returns something."""

    odd: Answer | None = None
    description: object = None
    messages: dict[str, list[str]] = field(default_factory=dict)

    async def answer(self, asked: Asked) -> Said:
        """One answer."""
        if self.odd and (odd := await self.odd(asked)):
            return odd
        parts = urlsplit(asked.path)
        matches = ((name, re.fullmatch(shape, parts.path)) for name, shape in SHAPES)
        name, found = next(((name, match) for name, match in matches if match), ("", None))
        if found is None:
            return refused(404)
        if asked.method != METHODS.get(name, "GET"):
            return refused(405)
        if name not in ("login", "health") and asked.headers.get("authorization") != f"Bearer {TOKEN}":
            return refused(401)
        if (
            asked.method == "POST"
            and name != "stop"
            and asked.headers.get("content-type") != "application/json"
        ):
            return refused(415)
        query = parse_qs(parts.query)
        return self._done(name, unquote(found.groupdict().get("id") or ""), asked, query)

    def _done(self, name: str, bot: str, asked: Asked, query: dict[str, list[str]]) -> Said:
        try:
            fields = json.loads(asked.body or b"{}")
        except ValueError:
            return refused(400)
        if name == "openapi":
            return said(self.description) if self.description else refused(404)
        if name == "send":
            return self._sent(bot, fields)
        if name == "history":
            limit = query["limit"][0]
            if len(limit) > 4:
                return refused(422)
            kept = [{"role": "user", "content": text} for text in self.messages.get(query["bot_id"][0], ())]
            return said({"success": True, "messages": kept})
        if name in ("launch", "stop"):
            return refused(422 if name == "launch" else 404)
        return said({"success": True, "bots": {}})

    def _sent(self, bot: str, fields: Any) -> Said:
        text = fields.get("command") if isinstance(fields, dict) else None
        if not isinstance(text, str) or not text or "\0" in text:
            return refused(422)
        if len(text) > 1000:
            return refused(413, "Too long")
        if bot != BOT:
            return refused(404, f"Bot {bot} not found")
        self.messages.setdefault(bot, []).append(text)
        return said({"success": True, "bot_id": bot, "response": "heard"})


@asynccontextmanager
async def chatting(
    folder: Path,
    odd: Answer | None = None,
    *,
    description: object = None,
    token: str = TOKEN,
    **contract: Any,
) -> AsyncIterator[tuple[Context, Server]]:
    """The context of a run on such a controller, with a bot that runs; `contract` replaces values of the contract."""
    async with answering(Chatting(odd, description).answer) as server:
        target = target_at(server.url, token=token)
        changed = msgspec.structs.replace(target.contract, **{"rest_auth": "bearer", **contract})
        async with context_of(msgspec.structs.replace(target, contract=changed), folder) as context:
            context.state(Walk).first = Bot(BOT)
            yield context, server


def only(part: str, answer: Callable[[Asked], Said | None]) -> Answer:
    """Answers requests whose path contains `part`, and leaves the others."""

    async def odd(asked: Asked) -> Said | None:
        return answer(asked) if part in asked.path else None

    return odd
