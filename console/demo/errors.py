"""What the demo controller answers when it refuses, and what its starter is told when it cannot start."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from datetime import UTC, datetime


class DemoError(Exception):
    """The demo target cannot be started; the text is one sentence for the person who started it."""


class ApiError(Exception):
    """A refusal: an HTTP status and a text for people."""

    def __init__(self, status: int, text: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(text)
        self.status = status
        self.text = text
        self.headers = dict(headers or {})


def now_text() -> str:
    """This moment in UTC, ISO 8601 with microseconds and zone."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def refusal(text: str) -> dict[str, object]:
    """The JSON body of a refusal."""
    return {"success": False, "error": text, "timestamp": now_text()}


def told(problem: Exception, text: str, faults: frozenset[str]) -> str:
    """The text that a caller is told of `problem`: for people, without the inside of the program."""
    if "inside-shown" in faults:
        return text + "\n" + "".join(traceback.format_exception(problem))
    return text
