"""What keeps the data: a fresh backup, and room on the disks."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from itertools import islice
from pathlib import Path

from checks.audit.common import audit, note
from checks.audit.database_source import NO_DATABASE, is_here, readable
from checks.audit.log_source import the_log
from checks.context import Context
from checks.model import Outcome, Reason, Safety, Severity, Subject, failed, inconclusive, passed
from checks.probe.host import is_sqlite
from checks.probe.log import LogProbe
from checks.probe.sessions import Space, folder_of_server, space_of
from checks.probe.sqlite import look_through
from checks.profile.database import network_address
from checks.text import Clean, clean, one_line

MOST_FILES = 10_000
UNFINISHED = (".part", ".tmp", "-wal", "-shm", "-journal")
"""How names of files end that are no backup (yet)."""
JOURNALS = Path("/var/log")
"""Where the journal of systemd is kept."""
LOOKED_THROUGH_WITHIN_S = 10.0


@audit(
    "OPS-02",
    "A recent backup of the database exists",
    subject=Subject.DATABASE,
    severity=Severity.BLOCKER,
    safety=Safety.READ_ONLY,
    sends="looks at the newest file of the declared backups",
    why="Without a backup every loss of data is for ever.",
    fix='[audit] backups = "/var/backups/chatbot" in the profile, and in cron, each night:\n'
    "sqlite3 chat.db \".backup '/var/backups/chatbot/chat.db'\"   # or pg_dump -Fc -f ...",
    reference="CIS PostgreSQL 7.3; SRE book: data integrity",
)
async def backup_is_fresh(context: Context) -> Outcome:
    """The newest declared file is young, not empty, and whole where it is SQLite."""
    audited = context.target.profile.audit
    if not audited.backups:
        return inconclusive(
            Reason.NO_SOURCE, "No backup is known: set [audit] backups in the profile to the folder with them"
        )
    place = Path(audited.backups)
    newest = await asyncio.to_thread(_newest, place)
    expected = f"a file in {place} that is at most {audited.backup_hours:g} h old, not empty and whole"
    if isinstance(newest, Clean):
        return inconclusive(Reason.NO_RIGHT, newest, expected=expected)
    if newest is None:
        return failed(f"There is no backup in {place}", observed="no file", expected=expected)
    path, size, age_h = newest
    told = f"{path.name}: {size} bytes, {age_h:.1f} h old"
    evidence = [
        note(context, f"Newest backup {path.name}", [f"{path}", told], f"ls -l --time-sort '{place}'")
    ]
    wrong = ""
    if age_h > audited.backup_hours:
        wrong = f"The newest backup is {age_h:.0f} h old"
    elif size == 0:
        wrong = f"The newest backup, {path.name}, is empty"
    elif await asyncio.to_thread(is_sqlite, path):
        found = await look_through(path, LOOKED_THROUGH_WITHIN_S, is_at_rest=True)
        table = context.target.contract.table.rpartition(".")[2]
        if found.findings:
            wrong = f"The newest backup, {path.name}, is damaged: {found.findings[0]}"
        elif not found.problem and table not in found.tables:
            wrong = f"The newest backup, {path.name}, holds no table {one_line(table, 60)}"
        elif found.problem:
            return inconclusive(Reason.NO_SOURCE, found.problem, expected=expected, evidence=evidence)
    if wrong:
        return failed(wrong, observed=told, expected=expected, evidence=evidence)
    return passed(
        f"The newest backup is {age_h:.1f} h old", observed=told, expected=expected, evidence=evidence
    )


def _newest(place: Path) -> tuple[Path, int, float] | Clean | None:
    """The newest file with its size in bytes and its age in hours; the sentence where it may not be looked at."""
    try:
        files = [place] if place.is_file() else islice(place.iterdir(), MOST_FILES)
        seen = [
            (path, path.stat()) for path in files if path.is_file() and not path.name.endswith(UNFINISHED)
        ]
    except FileNotFoundError:
        return None
    except OSError as problem:
        why = (problem.strerror or "it cannot be looked at").lower()
        return one_line(f"The backups in {place} cannot be looked at ({why}): run gonogo as root", 300)
    if not seen:
        return None
    path, found = max(seen, key=lambda pair: pair[1].st_mtime)
    return path, found.st_size, (time.time() - found.st_mtime) / 3600


@audit(
    "INF-04",
    "The disks of database and log have room",
    subject=Subject.DATABASE,
    severity=Severity.MAJOR,
    safety=Safety.READ_ONLY,
    sends="asks the file systems of database and log for their free space",
    why="A full disk stops every write: messages are lost and the service with them.",
    fix="df -h; df -i   # grow the volume, or clear it; [audit] disk_free_percent is what is held against it",
    reference="SRE book: monitoring distributed systems",
)
async def disks_have_room(context: Context) -> Outcome:
    """Bytes and inodes are free on every file system that the data is on."""
    need = context.target.profile.audit.disk_free_percent
    log = await _log_place(context)
    kept = await _database_place(context)
    places = [one for one in (kept, log) if isinstance(one, Path)]
    seen = await asyncio.to_thread(lambda: [space_of(path) for path in places])
    spaces = {one.device: one for one in seen if isinstance(one, Space)}
    unseen = [one for one in seen if not isinstance(one, Space)]
    lines = [
        f"{one.path}: {one.free_percent:.1f} % free ({one.free_bytes >> 20} MiB), inodes {one.inodes_percent:.1f} %"
        for one in spaces.values()
    ]
    evidence = [note(context, "Free space", [*lines, *unseen], "df -h; df -i")]
    expected = f"at least {need:g} % of the space and of the inodes free"
    short = [one for one in spaces.values() if min(one.free_percent, one.inodes_percent) < need]
    if short:
        least = min(short, key=lambda one: min(one.free_percent, one.inodes_percent))
        amount = min(least.free_percent, least.inodes_percent)
        return failed(
            f"Only {amount:.1f} % is free where {least.path} is",
            observed="; ".join(lines),
            expected=expected,
            evidence=evidence,
        )
    if unseen:
        return inconclusive(Reason.NO_RIGHT, unseen[0], expected=expected, evidence=evidence)
    for one in (kept, log):
        if isinstance(one, Outcome):
            return replace(one, expected=clean(expected), evidence=tuple(evidence))
    least_free = min(min(one.free_percent, one.inodes_percent) for one in spaces.values())
    return passed(
        f"At least {least_free:.0f} % is free where database and log are",
        observed="; ".join(lines),
        expected=expected,
        evidence=evidence,
    )


async def _database_place(context: Context) -> Path | Outcome:
    """A folder on the file system of the database; or why it is not known."""
    if context.sql.file is not None:
        return context.sql.file.parent
    address = network_address(context.target.database_url)
    if address is None:
        return await readable(context) or inconclusive(Reason.NO_SOURCE, NO_DATABASE)
    if not is_here(address[0]):
        why = f"The disk of the database is on another host, {one_line(address[0], 80)}: run gonogo there"
        return inconclusive(Reason.NO_SOURCE, why)
    folder = await asyncio.to_thread(folder_of_server, address[1])
    why = "The folder of PostgreSQL's data may not be seen by this account: run gonogo as root or postgres"
    return folder or inconclusive(Reason.NO_RIGHT, why)


async def _log_place(context: Context) -> Path | Outcome:
    """A folder on the file system of the log; or why it is not known."""
    log = await the_log(context)
    if isinstance(log, Outcome):
        return log
    return log.path.parent if isinstance(log, LogProbe) else JOURNALS
