"""The log of a systemd unit, read from the journal with `journalctl`; bounded, and only where it may be read."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from checks.model import Evidence, Reason, utc_now
from checks.probe.log import MAX_LINE_CHARS, MAX_SINCE_BYTES, Lines, Mark
from checks.probe.redaction import Redactor
from checks.text import Clean, clean, one_line

WITHIN_S = 5.0
MAX_LINES = 20_000
LEVELS = ("CRITICAL", "CRITICAL", "CRITICAL", "ERROR", "WARNING", "INFO", "INFO", "DEBUG")
"""The journal's PRIORITY, which is syslog's severity (RFC 5424, section 6.2.1), in the words of most programs."""
_UNIT = re.compile(r"/([A-Za-z0-9:_.@\\-]{1,200}\.service)(?:/|$)")


def unit_of(pid: int) -> str:
    """The systemd service that process `pid` belongs to, by its control group; empty where it belongs to none."""
    try:
        text = Path(f"/proc/{pid}/cgroup").read_text("utf-8", "replace")
    except OSError:
        return ""
    # An interactive session's own manager (user@1000.service) is not what runs the controller.
    found = [name for name in _UNIT.findall(text) if not name.startswith("user@")]
    return found[-1] if found else ""


class JournalProbe:
    """Reads the journal of one unit."""

    def __init__(
        self,
        unit: str,
        redactor: Redactor,
        clock: Callable[[], datetime] = utc_now,
        program: str = "journalctl",
    ) -> None:
        """`program` is the reader of the journal, by name or path."""
        self._unit = unit
        self._redactor = redactor
        self._clock = clock
        self._program = program

    @property
    def name(self) -> Clean:
        """What it is called in a sentence."""
        return one_line(f"the journal of {self._unit}")

    async def mark(self) -> Mark:
        """This moment."""
        return Mark(self._clock())

    async def since(self, mark: Mark) -> Lines:
        """What the unit logged since `mark`."""
        moment = f"@{mark.at.timestamp():.6f}"
        return await asyncio.to_thread(self._read, ("--since", moment, "--lines", str(MAX_LINES)))

    async def tail(self, lines: int) -> Lines:
        """The last `lines` lines."""
        return await asyncio.to_thread(self._read, ("--lines", str(min(lines, MAX_LINES))))

    def _read(self, options: Sequence[str]) -> Lines:
        program = shutil.which(self._program)
        if program is None:
            return self._unread("there is no journalctl on this host", Reason.NO_SOURCE)
        command = [program, "--unit", self._unit, "--output", "json", "--no-pager", "--quiet", *options]
        try:
            done = subprocess.run(command, capture_output=True, timeout=WITHIN_S, stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            return self._unread(f"journalctl did not end within {WITHIN_S:g} s", Reason.NO_SOURCE)
        except OSError as problem:
            return self._unread(f"journalctl cannot be started: {problem.strerror}", Reason.NO_SOURCE)
        if done.returncode:
            said = one_line(self._redactor.redact(done.stderr.decode("utf-8", "replace")), 120)
            return self._unread(said or f"journalctl ended with {done.returncode}", Reason.NO_RIGHT)
        raw = done.stdout[-MAX_SINCE_BYTES:].decode("utf-8", "replace").split("\n")
        lines = [line for record in raw if (line := _line(record))]
        if not lines and b"not seeing messages" in done.stderr:
            return self._unread("no permission to see other accounts' messages", Reason.NO_RIGHT)
        return Lines(tuple(lines), was_cut=len(done.stdout) > MAX_SINCE_BYTES)

    def _unread(self, why: str, reason: Reason) -> Lines:
        cure = (
            "run gonogo as root or as a member of the group systemd-journal, or set [log] file in the profile"
        )
        sentence = one_line(f"The journal of {self._unit} cannot be read ({why}): {cure}", 300)
        seen = Evidence(
            "log",
            one_line(f"{self.name}: not read"),
            clean(sentence),
            clean(f"journalctl -u {self._unit} -n 20"),
            self._clock(),
        )
        return Lines(error=sentence, reason=reason, evidence=(seen,))


def _line(record: str) -> str:
    """One entry of the journal as the controller's own line, with the journal's time and level where it has none."""
    try:
        entry = json.loads(record)
    except (ValueError, RecursionError):
        return ""
    if not isinstance(entry, dict) or not isinstance(entry.get("MESSAGE"), str):
        return ""
    message = entry["MESSAGE"][:MAX_LINE_CHARS]
    time, level = _time(entry), _level(entry)
    try:
        fields = json.loads(message)
    except (ValueError, RecursionError):
        return f"{time} {level} {message}"
    if not isinstance(fields, dict):
        return f"{time} {level} {message}"
    return json.dumps({"time": time, "level": level, **fields}, ensure_ascii=False)


def _time(entry: Mapping[str, object]) -> str:
    value = entry.get("__REALTIME_TIMESTAMP")
    if not isinstance(value, str) or not value.isdigit() or len(value) > 17:
        return "-"
    return datetime.fromtimestamp(int(value) / 1e6, UTC).isoformat(timespec="milliseconds")


def _level(entry: Mapping[str, object]) -> str:
    value = entry.get("PRIORITY")
    is_known = isinstance(value, str) and value.isdigit() and int(value[:3]) < len(LEVELS)
    return LEVELS[int(str(value))] if is_known else "INFO"
