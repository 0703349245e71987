"""What the demo controller answers when it refuses."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime


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
