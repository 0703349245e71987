"""The structured log: one JSON object a line, in UTC, in a file that rotates. Never a token, never a message."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime
from logging.handlers import RotatingFileHandler
from pathlib import Path

MAX_BYTES, BACKUPS = 5_000_000, 3
MAX_PATH_CHARS = 200
LOGGERS = ("console.demo", "uvicorn.error", "asyncio")
logger = logging.getLogger("console.demo")


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON; what `extra={"fields": {...}}` gives stands beside it."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "event": record.getMessage(),
        }
        fields = getattr(record, "fields", None)
        if isinstance(fields, dict):
            line.update(fields)
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False, default=str)


def open_log(path: Path) -> logging.Handler:
    """Send the controller's log, and the server's warnings, to `path`; the caller closes the handler."""
    handler = RotatingFileHandler(path, maxBytes=MAX_BYTES, backupCount=BACKUPS, encoding="utf-8")
    handler.setFormatter(JsonFormatter())
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


def event(text: str, level: int = logging.INFO, problem: Exception | None = None, **fields: object) -> None:
    """Write one line, with the stack trace of `problem` where there is one."""
    logger.log(level, text, extra={"fields": fields}, exc_info=problem)
