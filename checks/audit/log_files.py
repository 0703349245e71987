"""The log as a file: structured, rotated, and closed to others."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from checks.audit.common import audit, listed, note
from checks.audit.log_records import Record, read_record
from checks.audit.log_source import the_log, unread
from checks.audit.settings import Effective, effective
from checks.context import Context
from checks.model import (
    Outcome,
    Reason,
    Safety,
    Severity,
    Subject,
    failed,
    inconclusive,
    not_applicable,
    passed,
)
from checks.probe.log import LogProbe, LogSource
from checks.probe.log_file import LogFile, logrotate_of, look_at_log_file
from checks.text import Clean, clean

RECORDS = 1000
PARSED = 0.99
FEWEST = 5
"""Fewer lines say nothing of how a log is written."""
FOR_OTHERS, FOR_GROUP_TO_WRITE = 0o006, 0o020
GROWTH = 1.1
"""A file may pass the size at which it rotates by one line."""


@audit(
    "LOG-03",
    "The log can be read by a program",
    subject=Subject.LOGGING,
    severity=Severity.MAJOR,
    safety=Safety.READ_ONLY,
    sends=f"reads the last {RECORDS} lines of the log",
    why="What happened cannot be searched, counted or put together from several hosts.",
    fix="One JSON object a line with time, level, event and request_id:\n"
    "pip install python-json-logger, or structlog with JSONRenderer()",
    reference="ASVS 16.2.2; ASVS 16.2.4",
)
async def log_is_structured(context: Context) -> Outcome:
    """At least 99 % of the lines are records with level and time; those of requests carry the request's id."""
    log = await the_log(context)
    if isinstance(log, Outcome):
        return log
    tail = await log.tail(RECORDS)
    if tail.error:
        return unread(tail)
    records = [read_record(line) for line in tail.lines if line.strip()]
    expected = (
        f"at least {PARSED:.0%} of the lines structured, with level and time; request records with an id"
    )
    if len(records) < FEWEST:
        why = f"Only {len(records)} lines are in {log.name}: how it is written cannot be told"
        return inconclusive(Reason.NO_SOURCE, why, expected=expected)
    shares = {
        "structured": _share(records, [one.is_structured for one in records]),
        "with a level": _share(records, [one.level is not None for one in records]),
        "with a time": _share(records, [one.time is not None for one in records]),
    }
    requests = [one for one in records if one.is_of_request]
    if requests:
        shares["of requests with an id"] = _share(requests, [bool(one.request_id) for one in requests])
    rows = [f"{share:.1%} {name}" for name, share in shares.items()]
    observed = f"{len(records)} lines: {', '.join(rows)}"
    evidence = [
        note(context, f"{log.name}: {observed}", rows, f"tail -n {RECORDS} {log.name} | jq -e .", "log")
    ]
    low = [name for name, share in shares.items() if share < PARSED]
    if low:
        return failed(
            f"{shares[low[0]]:.0%} of the lines are {low[0]} ({log.name})"
            if low[0] != "of requests with an id"
            else f"{shares[low[0]]:.0%} of the records of requests carry the request's id ({log.name})",
            observed=observed,
            expected=expected,
            evidence=evidence,
        )
    if not requests:
        why = f"No record of a request is in the last {len(records)} lines of {log.name}"
        return inconclusive(Reason.NO_SOURCE, why, observed=observed, expected=expected, evidence=evidence)
    return passed(
        f"{len(records)} lines of the log are records with level and time, those of requests with an id",
        observed=observed,
        expected=expected,
        evidence=evidence,
    )


def _share(records: Sequence[Record], are_so: Sequence[bool]) -> float:
    return sum(are_so) / len(records)


async def _file(context: Context) -> tuple[LogSource, LogFile | None] | Outcome:
    """The log and one look at its file; None for a log that is no file."""
    log = await the_log(context)
    if isinstance(log, Outcome):
        return log
    if not isinstance(log, LogProbe):
        return log, None
    try:
        return log, await asyncio.to_thread(look_at_log_file, log.path)
    except OSError as problem:
        why = f"The folder of the log {log.name} cannot be looked at: {problem.strerror}"
        return inconclusive(Reason.NO_RIGHT, why)


@audit(
    "LOG-04",
    "The log is rotated",
    subject=Subject.LOGGING,
    severity=Severity.MAJOR,
    safety=Safety.READ_ONLY,
    sends="looks for rotated files, the configuration of logrotate, and the effective settings of the log",
    why="The disk fills up, and the service stops.",
    fix="/etc/logrotate.d/chatbot:\n"
    "/var/log/chatbot/*.log { daily rotate 14 maxsize 50M compress missingok copytruncate }\n"
    "or in Python: RotatingFileHandler(path, maxBytes=50_000_000, backupCount=5)",
    reference="SRE book: monitoring distributed systems; 12-factor: logs",
)
async def log_is_rotated(context: Context) -> Outcome:
    """Something rotates the file: a journal behind it, logrotate, its own settings, or it was rotated before."""
    seen = await _file(context)
    if isinstance(seen, Outcome):
        return seen
    log, file = seen
    if file is None:
        return passed(f"The log is in {log.name}, which bounds itself", observed="systemd-journald")
    config = await asyncio.to_thread(logrotate_of, file.path)
    settings = await effective(context)
    by_itself, is_never = _own_rotation(settings)
    rotated = [path.name for path, _ in file.rotated]
    rows = [
        f"size: {file.size} bytes",
        f"rotated files: {listed(rotated) or 'none'}",
        f"logrotate: {config or 'not named there'}",
        f"own settings: {by_itself or is_never or 'none'}",
    ]
    evidence = [
        note(
            context,
            f"{log.name}: what rotates it",
            rows,
            f"ls -l {log.name}*; grep -r {log.name} /etc/logrotate*",
        )
    ]
    observed, expected = "; ".join(rows), "logrotate, rotation by the program itself, or a journal"
    too_big = _too_big(settings, file)
    if too_big and not config:
        return failed(too_big, observed=observed, expected=expected, evidence=evidence)
    ways = [f"logrotate ({config})"] if config else []
    if not is_never:
        ways += [by_itself] if by_itself else []
        ways += [f"{rotated[0]} is there"] if rotated else []
    if ways:
        return passed(
            f"The log is rotated: {ways[0]}", observed=observed, expected=expected, evidence=evidence
        )
    if not is_never and not settings.is_complete:
        return inconclusive(
            Reason.NO_SOURCE, settings.problems[0], observed=observed, expected=expected, evidence=evidence
        )
    why = f" ({is_never})" if is_never else ""
    return failed(f"Nothing rotates {log.name}{why}", observed=observed, expected=expected, evidence=evidence)


def _number(settings: Effective, name: str) -> tuple[int | None, Clean]:
    found = settings.get(name)
    text = found.value.strip() if found else ""
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None
    return number, clean(f"{name} = {number}, {found.source}") if found and number is not None else clean("")


def _own_rotation(settings: Effective) -> tuple[Clean, Clean]:
    """By which setting the program rotates its log; and by which it never does."""
    size, told = _number(settings, "log_max_bytes")
    backups, told_backups = _number(settings, "log_backups")
    nothing = clean("")
    if size == 0:
        return nothing, told
    if backups == 0:  # Python's handler does not rotate without a backup
        return nothing, told_backups
    return (told, nothing) if size else (nothing, nothing)


def _too_big(settings: Effective, file: LogFile) -> str:
    size, told = _number(settings, "log_max_bytes")
    if not size or file.size <= GROWTH * size + (1 << 20):
        return ""
    return f"{file.path} has {file.size} bytes: the declared rotation does not act ({told})"


@audit(
    "LOG-05",
    "Other accounts can neither read nor change the log",
    subject=Subject.LOGGING,
    severity=Severity.MINOR,
    safety=Safety.READ_ONLY,
    sends="looks at the permissions of the log's file, its rotated files and their folder",
    why="Any account of the host can follow what users do, or erase its traces.",
    fix="chmod 640 /var/log/chatbot/*.log && chmod 750 /var/log/chatbot\nIn the unit: UMask=0027",
    reference="ASVS 16.4.2; CIS Linux: permissions of log files",
)
async def log_is_closed(context: Context) -> Outcome:
    """No permission for others, none to write for the group, and a folder in which others can change nothing."""
    seen = await _file(context)
    if isinstance(seen, Outcome):
        return seen
    log, file = seen
    if file is None:
        return not_applicable(f"The log is in {log.name}, whose files are kept by systemd-journald")
    looks = [(file.path.name, file.mode), *((path.name, mode) for path, mode in file.rotated)]
    rows = [f"{mode:04o} {name}" for name, mode in looks] + [f"{file.folder_mode:04o} {file.path.parent}"]
    evidence = [
        note(context, f"permissions of {log.name}: {file.mode:04o}", rows, f"ls -la {file.path.parent}")
    ]
    expected = "nothing for others, no writing for the group; a folder that others cannot write to"
    problems = [f"{name} may be {why}" for name, mode in looks if (why := _too_open(mode))]
    if file.folder_mode & 0o002:
        problems.append(f"the folder {file.path.parent} may be written to by everybody")
    if problems:
        return failed(
            f"The log is open: {listed(problems, 2)}",
            observed=f"{file.mode:04o}, folder {file.folder_mode:04o}",
            expected=expected,
            evidence=evidence,
        )
    return passed(
        f"The log has mode {file.mode:04o}: other accounts are kept out",
        observed=f"{file.mode:04o}, folder {file.folder_mode:04o}",
        expected=expected,
        evidence=evidence,
    )


def _too_open(mode: int) -> str:
    if mode & 0o002:
        return "written by everybody"
    if mode & FOR_OTHERS:
        return "read by everybody"
    return "written by its group" if mode & FOR_GROUP_TO_WRITE else ""
