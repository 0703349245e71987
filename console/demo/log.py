"""The structured log: one JSON object a line, in UTC, in a file that rotates. Never a token, never a message.

Whatever is logged while a request is answered carries that request's id.
"""

from __future__ import annotations

import json
import logging
import os
from contextvars import ContextVar
from datetime import UTC, datetime
from io import TextIOWrapper
from logging.handlers import RotatingFileHandler
from pathlib import Path

MAX_PATH_CHARS = 200
LOGGERS = ("console.demo", "uvicorn.error", "asyncio")
logger = logging.getLogger("console.demo")
request_id: ContextVar[str] = ContextVar("request_id", default="")
"""Id of the request that is being answered; empty outside of one."""


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON; what `extra={"fields": {...}}` gives stands beside it."""

    def __init__(self, faults: frozenset[str] = frozenset()) -> None:
        super().__init__()
        self._faults = faults

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        created = datetime.fromtimestamp(record.created, UTC)
        if "log-time-without-zone" in self._faults:
            created = created.replace(tzinfo=None)
        line: dict[str, object] = {
            "time": created.isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "event": record.getMessage(),
        }
        if asked := request_id.get():
            line["request_id"] = asked
        fields = getattr(record, "fields", None)
        if isinstance(fields, dict):
            line.update(fields)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        if "log-plain" in self._faults:
            return " ".join(str(value).replace("\n", " | ") for value in line.values())
        return json.dumps(line, ensure_ascii=False, default=str)


class PrivateFileHandler(RotatingFileHandler):
    """A file that rotates and that its owner alone may read."""

    def __init__(self, path: Path, max_bytes: int, backups: int, mode: int = 0o600) -> None:
        self._mode = mode
        self.error_lines = 0
        """Lines of level ERROR or above."""
        super().__init__(path, maxBytes=max_bytes, backupCount=backups, encoding="utf-8")

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        super().emit(record)
        self.error_lines += record.levelno >= logging.ERROR

    def _open(self) -> TextIOWrapper:
        descriptor = os.open(self.baseFilename, os.O_WRONLY | os.O_CREAT | os.O_APPEND, self._mode)
        os.fchmod(descriptor, self._mode)
        return os.fdopen(descriptor, "a", encoding=self.encoding)


def open_log(path: Path, max_bytes: int, backups: int, faults: frozenset[str]) -> logging.Handler:
    """Send the controller's log, and the server's warnings, to `path`; the caller closes the handler.

    It rotates at `max_bytes` and keeps that many `backups`; 0 of either: it never rotates.
    """
    mode = 0o644 if "log-world-readable" in faults else 0o600
    handler = PrivateFileHandler(path, max_bytes, backups, mode)
    handler.setFormatter(JsonFormatter(faults))
    logger.setLevel(logging.INFO)
    # At INFO the server writes the path of each WebSocket with its token.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
    for name in LOGGERS:
        logging.getLogger(name).addHandler(handler)
        logging.getLogger(name).propagate = False
    return handler


def close_log(handler: logging.Handler) -> None:
    """Undo `open_log`."""
    for name in LOGGERS:
        logging.getLogger(name).removeHandler(handler)
        logging.getLogger(name).propagate = True
    handler.close()


def error_lines() -> int:
    """How many lines of level ERROR or above were written since the log was opened."""
    return sum(handler.error_lines for handler in logger.handlers if isinstance(handler, PrivateFileHandler))


def event(text: str, level: int = logging.INFO, problem: Exception | None = None, **fields: object) -> None:
    """Write one line, with the stack trace of `problem` where there is one."""
    logger.log(level, text, extra={"fields": fields}, exc_info=problem)
