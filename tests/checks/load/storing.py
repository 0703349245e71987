"""A target that stores messages in a database and gives a history of its own making."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from checks.context import Context
from checks.load.model import Channel
from checks.load.wire import Done, User
from tests.checks.audit.answering import Asked, Said, answering, said
from tests.checks.audit.contexts import context_of, target_at

MARKER = "gonogo load 3f9a"
BOTS = ("BOT-1", "BOT-2")
USERS = tuple(
    User(name=name, channel=Channel.WEBSOCKET, bot_id=bot)
    for name, bot in (("u0001", "BOT-1"), ("u0002", "BOT-2"))
)
SENT = {"u0001": 3, "u0002": 3}
TABLE = (
    "CREATE TABLE IF NOT EXISTS messages"
    " (id INTEGER PRIMARY KEY, bot_id TEXT, role TEXT, content TEXT, timestamp TEXT)"
)
Row = tuple[str, str, str]
"""Bot, role and text."""


def text(user: str, number: int) -> str:
    """A message as the generator sends it."""
    return f"{MARKER} {user} {number} please answer this message."


def exchange(user: User, number: int) -> list[Row]:
    """A command and its reply as they are stored."""
    command = text(user.name, number)
    return [
        (user.bot_id, "user", command),
        (user.bot_id, "assistant", f"{user.bot_id} heard: {command}"),
    ]


def everything() -> list[Row]:
    """All rows of a run in which all is well."""
    return [row for number in (1, 2, 3) for user in USERS for row in exchange(user, number)]


def done(**values: Any) -> Done:
    """What the generator reported: everything was answered."""
    return Done(**{"sent": SENT, "unanswered": {}, "examples": {}, **values})


@dataclass(slots=True)
class Stored:
    """The rows of the database, and of the history where that differs."""

    rows: list[Row] = field(default_factory=everything)
    history: list[Row] | None = None
    most: int = 1000
    """The greatest limit that the history takes."""
    page: int = 10_000
    """What it gives at most, whatever the limit."""
    limits: list[int] = field(default_factory=list)
    """What it was asked for."""
    is_gone: bool = False
    """Whether it hangs up instead of answering."""

    async def answer(self, asked: Asked) -> Said:
        """The history of one bot."""
        if self.is_gone:
            raise ConnectionResetError
        query = parse_qs(urlsplit(asked.path).query)
        limit = int(query["limit"][0])
        self.limits.append(limit)
        if limit > self.most:
            return said({"success": False, "error": "limit too high"}, 422)
        rows = self.rows if self.history is None else self.history
        own = [row for row in rows if row[0] == query["bot_id"][0]][-min(limit, self.page) :]
        messages = [{"role": role, "content": content} for _, role, content in own]
        return said({"success": True, "messages": messages})


def insert(path: Path, rows: Iterable[Row]) -> None:
    """Store rows in a SQLite file."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(TABLE)
        connection.executemany(
            "INSERT INTO messages (bot_id, role, content, timestamp) VALUES (?, ?, ?, '')", rows
        )
        connection.commit()


def _begin(path: Path, rows: Iterable[Row]) -> None:
    for file in path.parent.glob(f"{path.name}*"):
        file.unlink()
    insert(path, rows)


@asynccontextmanager
async def storing(
    folder: Path,
    stored: Stored,
    *,
    reply: str = "echo",
    url: str | None = None,
    earlier: Sequence[Row] = (),
    within_s: float = 0.05,
) -> AsyncIterator[Context]:
    """A context on a target with these rows, all of which should be there after `within_s` seconds.

    `url` names another database, empty: none.
    """
    path = folder / "chat.db"
    if url is None:
        _begin(path, [*earlier, *stored.rows])
    async with answering(stored.answer) as server:
        target = target_at(server.url)
        walkthrough = msgspec.structs.replace(
            target.profile.walkthrough, reply=reply, stored_within_s=within_s, timeout_s=3.0
        )
        profile = msgspec.structs.replace(target.profile, walkthrough=walkthrough)
        target = msgspec.structs.replace(
            target, profile=profile, database_url=f"sqlite:///{path}" if url is None else url
        )
        async with context_of(target, folder) as context:
            yield context
