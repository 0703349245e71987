"""Lines of a log read as records: JSON, logfmt or plain words; level, time, request id, source and cause."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

LEVELS = {
    "TRACE": 0, "DEBUG": 10, "INFO": 20, "NOTICE": 25, "WARN": 30, "WARNING": 30, "ERR": 40, "ERROR": 40,
    "CRIT": 50, "CRITICAL": 50, "FATAL": 50, "ALERT": 50, "EMERG": 50, "EXCEPTION": 40,
}  # fmt: skip
"""Words of programs and of syslog -> the numbers of Python's logging."""
WARNING = 30
_LEVEL_NAMES = ("level", "levelname", "severity", "lvl", "log.level", "loglevel")
_TIME_NAMES = ("time", "timestamp", "ts", "@timestamp", "datetime", "asctime", "t", "date")
_ID_NAMES: tuple[str, ...] = (
    "request_id",
    "requestid",
    "req_id",
    "x_request_id",
    "x-request-id",
    "correlation_id",
    "correlationid",
)
_ID_NAMES += ("trace_id", "traceid", "trace.id", "request.id")
_CAUSE_NAMES: tuple[str, ...] = (
    "cause",
    "error",
    "err",
    "exception",
    "exc",
    "exc_info",
    "reason",
    "detail",
    "traceback",
    "stack",
)
_CAUSE_NAMES += ("stack_trace", "error.message", "problem", "why")
MOST_CHARS = 4096
_PAIR = re.compile(r'([A-Za-z_@][\w.@-]*)=("(?:[^"\\]|\\.)*"|[^\s"]*)')
_WORD = re.compile(r"\b(" + "|".join(LEVELS) + r")\b(?!\w)")
_ISO = re.compile(
    r"\b(\d{4}-\d\d-\d\d)[T ](\d\d:\d\d:\d\d)([.,]\d{1,9})?\s?(Z\b|UTC\b|[+-]\d\d:?\d\d\b)?", re.IGNORECASE
)
_APACHE = re.compile(r"\[(\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d [+-]\d{4})\]")
_EXCEPTION = re.compile(r"\b[A-Za-z_]\w*(?:Error|Exception)\b")
_REQUEST = re.compile(r"\b(?:GET|HEAD|POST|PUT|PATCH|DELETE|OPTIONS)\s+/")
SHORTEST_CAUSE = 6


@dataclass(frozen=True, slots=True)
class Record:
    """One line of a log."""

    text: str
    fields: Mapping[str, object]
    """What a structured line names, names in lower case; empty for plain words."""
    level: int | None
    """As in Python's logging; None where it names none."""
    level_name: str
    time: datetime | None
    """Aware where it says its zone, else naive; None where it carries no time."""

    @property
    def is_structured(self) -> bool:
        """Whether a program can read its fields."""
        return bool(self.fields)

    @property
    def request_id(self) -> str:
        """The id of the request that it is about; empty where it names none."""
        return _named(self.fields, _ID_NAMES)

    @property
    def is_of_request(self) -> bool:
        """Whether it records a request: a method and a path."""
        if self.fields:
            has_path = any(name in self.fields for name in ("path", "url", "uri", "request_path", "route"))
            return has_path and any(name in self.fields for name in ("method", "status", "status_code"))
        return bool(_REQUEST.search(self.text))

    def tells_cause(self, told: str) -> bool:
        """Whether it says why something failed; `told` is what the client was told."""
        given = _named(self.fields, _CAUSE_NAMES)
        if len(given) >= SHORTEST_CAUSE or _EXCEPTION.search(self.text):
            return True
        return len(told) >= SHORTEST_CAUSE and told in self.text


def read_record(line: str) -> Record:
    """The record that `line` is."""
    fields = _fields(line)
    if fields:
        level_name = _named(fields, _LEVEL_NAMES)
        stamp = next((fields[name] for name in _TIME_NAMES if name in fields), None)
        return Record(line, fields, _level(level_name), level_name.upper(), _time(stamp))
    found = _WORD.search(line[:200])
    name = found[1] if found else ""
    return Record(line, {}, LEVELS.get(name), name, _time(line[:200]))


def _fields(line: str) -> dict[str, object]:
    text = line.strip()
    if text.startswith("{"):
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            return {}
        return (
            {str(name).lower(): value for name, value in document.items()}
            if isinstance(document, dict)
            else {}
        )
    text = text[:MOST_CHARS]  # the pattern's time grows with the square of a word's length
    pairs = _PAIR.findall(text)
    rest = _PAIR.sub("", text).split()
    # logfmt: nothing, or at most a time and a level, stands outside of the pairs.
    if len(pairs) < 3 or len(rest) > 2:
        return {}
    return {name.lower(): value.strip('"') for name, value in pairs}


def _named(fields: Mapping[str, object], names: tuple[str, ...]) -> str:
    for name in names:
        value = fields.get(name)
        if isinstance(value, int) and not isinstance(value, bool):
            return str(value)
        if value and isinstance(value, str):
            return value
        if value and isinstance(value, dict | list):
            return json.dumps(value, default=str)
    return ""


def _level(name: str) -> int | None:
    # Some programs write the number itself: of Python's logging, or of pino (which begins at 10, too).
    return int(name) if name.isascii() and name.isdigit() and len(name) < 4 else LEVELS.get(name.upper())


def _time(value: object) -> datetime | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        try:
            seconds = float(value) / (
                1e9 if value > 1e17 else 1e6 if value > 1e14 else 1e3 if value > 1e11 else 1
            )
            return datetime.fromtimestamp(seconds, UTC) if seconds > 1e8 else None
        except (ValueError, OverflowError, OSError):
            return None
    if not isinstance(value, str):
        return None
    try:
        if found := _ISO.search(value):
            zone = (found[4] or "").upper().replace("UTC", "+00:00").replace("Z", "+00:00")
            fraction = (found[3] or "").replace(",", ".")[:7]
            return datetime.fromisoformat(f"{found[1]}T{found[2]}{fraction}{zone}")
        if apache := _APACHE.search(value):
            return datetime.strptime(apache[1], "%d/%b/%Y:%H:%M:%S %z")
    except ValueError:
        return None
    return None
