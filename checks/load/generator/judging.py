"""Whether what came back is the reply to the message that was sent."""

from __future__ import annotations

import re
from collections.abc import Sequence
from urllib.parse import quote

import msgspec

from checks.load.generator.messages import beginning
from checks.load.model import Failure
from checks.load.wire import Exchange, Setup
from checks.profile.template import pick
from checks.text import one_line

LIMITER = re.compile(
    # Not "too many clients already", which is what a database says.
    r"rate.?limit|too many(?! (?:clients|connections|open))|slow down|throttl|\b429\b",
    re.IGNORECASE,
)
"""How a rate limiter says that it refuses."""
EXAMPLE_CHARS = 200
LOOKED_AT_CHARS = 4000
Judgement = tuple[Failure, str] | None
"""None is a good reply; else the kind of failure and what was seen, as it came."""
_decode = msgspec.json.decode


class Judge:
    """Judges the replies over one channel."""

    __slots__ = (
        "_bot",
        "_errors",
        "_is_echo",
        "_is_plain",
        "_kind",
        "_kinds",
        "_marker",
        "_needs_json",
        "_success",
        "_text",
    )

    def __init__(self, setup: Setup, exchange: Exchange) -> None:
        self._success, self._errors = exchange.success, exchange.errors
        self._kind, self._kinds = exchange.kind, frozenset(exchange.answer_kinds)
        self._text, self._bot = exchange.text, exchange.bot
        self._marker = setup.marker
        self._is_echo, self._is_plain = setup.is_echo and bool(exchange.text), setup.is_plain
        self._needs_json = bool(self._success or self._text or self._bot)

    def rest(self, status: int, body: bytes | bytearray, user: str, bot_id: str, number: int) -> Judgement:
        """An HTTP answer to message `number` of `user`."""
        if not 200 <= status < 300:
            return _refused(status), f"HTTP {status}: {shown(body)}"
        if not self._needs_json:
            return None
        try:
            document = _decode(body)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return Failure.PROTOCOL, f"HTTP {status} with what is no JSON: {shown(body)}"
        return self._document(document, body, user, bot_id, number)

    def frame(self, data: bytes | bytearray, user: str, bot_id: str, number: int) -> Judgement | bool:
        """A WebSocket message; False where it is of no kind that answers, True where it answers an older message."""
        try:
            document = _decode(data)
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return Failure.PROTOCOL, f"a frame that is no JSON: {shown(data)}"
        kind = pick(document, self._kind) if self._kind else None
        if self._kind and self._kinds and (not isinstance(kind, str) or kind not in self._kinds):
            return False
        if kind == "error":
            return self._error(document, data)
        if self._is_echo and not self._is_plain and self._is_older(document, user, number):
            return True
        return self._document(document, data, user, bot_id, number)

    def _document(
        self, document: object, raw: bytes | bytearray, user: str, bot_id: str, number: int
    ) -> Judgement:
        success = self._success
        if success:
            good = (
                document.get(success, not self._is_plain)
                if isinstance(document, dict)
                else not self._is_plain
            )
            if good is not True:
                return self._error(document, raw)
        if self._is_plain:
            return None
        if self._bot:
            bot = pick(document, self._bot)
            if bot is not None and bot != bot_id:
                return Failure.WRONG_BOT, f"asked {bot_id}, and the reply is of {bot}: {shown(raw)}"
        if self._text:
            text = pick(document, self._text)
            if not isinstance(text, str):
                return Failure.PROTOCOL, f"a reply without “{self._text}”: {shown(raw)}"
            if self._is_echo and beginning(self._marker, user, number) not in text:
                return (
                    Failure.WRONG_MESSAGE,
                    f"sent “{beginning(self._marker, user, number)}…”, got: {shown(raw)}",
                )
        return None

    def _error(self, document: object, raw: bytes | bytearray) -> Judgement:
        told = " ".join(
            str(value) for name in (*self._errors, self._text) if name and (value := pick(document, name))
        )
        return (Failure.THROTTLED if LIMITER.search(told[:LOOKED_AT_CHARS]) else Failure.REFUSED), shown(raw)

    def _is_older(self, document: object, user: str, number: int) -> bool:
        """Whether the reply is to an earlier message of this user."""
        text = pick(document, self._text)
        start = f"{self._marker} {user} "
        if not isinstance(text, str) or (at := text.find(start)) < 0:
            return False
        digits = text[at + len(start) : at + len(start) + 20].partition(" ")[0]
        return digits.isascii() and digits.isdigit() and int(digits) < number


def _refused(status: int) -> Failure:
    if status == 429:
        return Failure.THROTTLED
    return Failure.SERVER_ERROR if status >= 500 else Failure.REFUSED


def shown(raw: bytes | bytearray) -> str:
    """The beginning of what came, as text; not yet clean."""
    return raw[:LOOKED_AT_CHARS].decode("utf-8", "replace")


class Examples:
    """One example of each kind of failure: clean, bounded, and without a token."""

    __slots__ = ("_tokens", "kept")

    def __init__(self, tokens: Sequence[str]) -> None:
        found = {one for token in tokens if token for one in (token, quote(token, safe=""))}
        self._tokens = sorted(found, key=len, reverse=True)
        self.kept: dict[str, str] = {}

    def see(self, kind: Failure, seen: str) -> None:
        """Keep it where it is the first of its kind."""
        if kind not in self.kept:
            self.kept[kind] = self.clean(seen)

    def clean(self, seen: str) -> str:
        """One line that may be shown."""
        for token in self._tokens:
            seen = seen.replace(token, "***")
        # What was seen is cut somewhere, perhaps within a token: its end is never shown. The wire takes `str` alone.
        return str(one_line(seen[: 4 * EXAMPLE_CHARS], EXAMPLE_CHARS))
