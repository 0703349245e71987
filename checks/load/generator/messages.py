"""The bytes of messages: everything but the number is made once, so that sending one only joins bytes."""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import urlsplit

from checks.load.wire import Exchange, Setup, User
from checks.profile.template import fill, fill_path

WORDS = "please answer this message as you would answer any other of its kind and length "
"""What messages are filled up with."""
_NUMBER = "\x02number\x03"
"""Stands in for the number while the rest is made; JSON and UTF-8 leave no other trace of it."""
_NUMBER_JSON = json.dumps(_NUMBER)[1:-1]


def beginning(marker: str, user: str, number: int | str) -> str:
    """What the message `number` of `user` begins with, and no other message of the run."""
    return f"{marker} {user} {number} "


def text_of(marker: str, user: str, number: str, size: int) -> str:
    """A message of `size` characters, or just long enough to tell it from all others."""
    start = beginning(marker, user, number)
    left = max(2, size - len(start))
    return start + (WORDS * (left // len(WORDS) + 1))[: left - 1].rstrip().ljust(left - 1, ".") + "."


class Composer:
    """Makes the messages of one user, as HTTP requests or as the text of WebSocket frames."""

    __slots__ = ("_body", "_head", "_limit", "_marker", "_parts", "_size", "_user")

    def __init__(
        self, setup: Setup, user: User, body: Mapping[str, str | int | bool], head: str | None
    ) -> None:
        """`head` is the request's lines up to the length of the body; None: there are none (WebSocket)."""
        self._marker, self._size = setup.marker, setup.message_bytes
        self._user = user
        self._body = dict(body)
        self._head = head
        self._limit = 0
        """The first number that has one digit more than the parts are made for."""
        self._parts: list[bytes] = []

    def message(self, number: int) -> bytes:
        """All bytes of message `number`."""
        if number >= self._limit:
            self._prepare(len(str(number)))
        return (b"%d" % number).join(self._parts)

    def _prepare(self, digits: int) -> None:
        self._limit = int(10**digits)
        # As long as the number itself, so that the length of the body is right for all numbers of so many digits.
        numberless = text_of(self._marker, self._user.name, "\x02" * digits, self._size)
        text = numberless.replace("\x02" * digits, _NUMBER)
        document = fill(self._body, {"bot_id": self._user.bot_id, "text": text})
        body = json.dumps(document) if document else ""
        if self._head is not None:
            size = len(body.replace(_NUMBER_JSON, "0" * digits).encode())
            length = f"Content-Length: {size}\r\n" if document else ""
            body = f"{self._head}{length}\r\n{body}"
        self._parts = body.encode().split(_NUMBER_JSON.encode())


def rest_head(setup: Setup, user: User) -> str:
    """The lines of a user's request, but for its length and the empty line. Raises ValueError for an unusable one."""
    exchange = setup.rest
    parts = urlsplit(setup.url)
    lines = [
        f"{exchange.method} {target_of(setup, exchange, user)} HTTP/1.1",
        f"Host: {parts.netloc.rpartition('@')[2]}",
        "User-Agent: gonogo",
        "Accept: application/json",
    ]
    if exchange.body:
        lines.append("Content-Type: application/json")
    elif exchange.method.upper() not in ("GET", "HEAD"):
        lines.append("Content-Length: 0")
    if user.token:
        lines.append(f"Authorization: Bearer {user.token}")
    if any(not line.isascii() or not line.isprintable() for line in lines):
        raise ValueError("the address or the token holds characters that no HTTP header may hold")
    return "\r\n".join(lines) + "\r\n"


def target_of(setup: Setup, exchange: Exchange, user: User) -> str:
    """Path and query of a user's requests, below the path of the base URL."""
    path = exchange.path if user.token or "{token}" not in exchange.path else exchange.path.partition("?")[0]
    filled = fill_path(path, {"bot_id": user.bot_id, "token": user.token})
    return urlsplit(setup.url).path.rstrip("/") + filled or "/"


def composer_of(setup: Setup, user: User, *, is_rest: bool) -> Composer:
    """What makes the messages of this user. Raises ValueError where they cannot be sent."""
    if is_rest:
        return Composer(setup, user, setup.rest.body, rest_head(setup, user))
    return Composer(setup, user, setup.websocket.body, None)
