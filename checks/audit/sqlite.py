"""SQLite: is the file whole and closed to others, are there several connections, are locks waited for."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass

from checks.audit.common import a_bot, audit, leave_is_missing, listed, note
from checks.audit.database_source import is_damaged, of_sqlite
from checks.context import Context, until
from checks.controller import Reply
from checks.model import Outcome, Reason, Safety, Severity, Subject, failed, inconclusive, passed
from checks.probe.files import access_of
from checks.probe.sqlite import WriteLock, look_through

WITHIN_S = 10.0
AHEAD_S = 0.15
"""How long the command has to reach the database before the history is asked for."""
LOCKED_S = 1.0
MARK_PLACE = "locked"


@dataclass(frozen=True, slots=True)
class _Locked:
    """What happened while another writer had the file."""

    reply: Reply
    """To a command that was sent meanwhile."""
    took_s: float
    held_s: float
    history: Reply
    """To a request for the history that came while the command waited."""
    history_s: float
    was_waiting: bool
    """Whether the command still waited when the history was answered."""
    is_stored: bool | None
    """Whether the command is in the database; None where that cannot be read."""


@dataclass(slots=True)
class _Shared:
    """The lock is taken once a run."""

    seen: _Locked | Outcome | None = None


async def _locked(context: Context) -> _Locked | Outcome:
    """Take the file for a second, send a command and then ask for the history; or why that cannot be done."""
    shared = context.state(_Shared)
    if shared.seen is None:
        shared.seen = await _locking(context)
    return shared.seen


async def _locking(context: Context) -> _Locked | Outcome:
    if problem := await of_sqlite(context):
        return problem
    if missing := leave_is_missing(context):
        return missing
    bot = await a_bot(context)
    if isinstance(bot, Outcome):
        return bot
    path = context.sql.file
    assert path
    text = f"gonogo {context.nonce} {MARK_PLACE}: please repeat this line"
    within_s = context.target.profile.walkthrough.reply_within_s + LOCKED_S
    async with context.visitor(80) as visitor, WriteLock(path, LOCKED_S) as lock:
        if lock.problem:
            why = f"The file could not be locked ({lock.problem}): run gonogo as the account of the service"
            return inconclusive(Reason.NO_RIGHT, why)
        began = time.monotonic()
        sending = asyncio.create_task(
            context.controller.ask(
                "send", within_s=within_s, bot_id=bot.bot_id, text=text, is_patient=False, is_typical=False
            )
        )
        await asyncio.sleep(AHEAD_S)
        asked = time.monotonic()
        history = await visitor.controller.ask(
            "history", bot_id=bot.bot_id, limit="5", is_patient=False, is_typical=False
        )
        history_s, was_waiting = time.monotonic() - asked, not sending.done()
        reply = await sending
        took_s = time.monotonic() - began
    is_stored = await _is_stored(context, bot.bot_id, text) if reply.ok else False
    return _Locked(reply, took_s, lock.held_s, history, history_s, was_waiting, is_stored)


async def _is_stored(context: Context, bot_id: str, text: str) -> bool | None:
    """Whether a row of the bot holds `text`, within [walkthrough] stored_within_s."""
    rows, _ = await until(
        lambda: context.sql.messages(bot_id),
        lambda seen: seen.error is not None or any(text in one.text for one in seen.rows),
        context.target.profile.walkthrough.stored_within_s,
    )
    return None if rows.error else any(text in one.text for one in rows.rows)


@audit(
    "DB-03",
    "The controller can use more than one connection to its SQLite file",
    subject=Subject.DATABASE,
    severity=Severity.MAJOR,
    safety=Safety.DISRUPTIVE,
    sends="takes the right to write to the file for one second, sends one marked command and reads a history meanwhile",
    why="With one connection every reader waits for every other one, and one slow query stops all users.",
    fix="create_engine(url, pool_size=8, max_overflow=8)   # QueuePool in place of StaticPool or one shared connection",
    reference="SQLite: write-ahead logging; SRE book: handling overload",
)
async def has_several_connections(context: Context) -> Outcome:
    """While a command waits for the file, a history is read all the same."""
    seen = await _locked(context)
    if isinstance(seen, Outcome):
        return seen
    expected = "a history is answered while a command waits for the file"
    evidence = [*seen.reply.seen, *seen.history.seen]
    observed = f"the history took {seen.history_s:.2f} s, the command {seen.took_s:.2f} s"
    # Answered before the file was free again: it cannot have waited for that.
    was_quick = AHEAD_S + seen.history_s < seen.held_s - AHEAD_S / 2
    if seen.was_waiting and seen.history.ok and was_quick:
        return passed(
            "A history was read while a command waited for the file",
            observed=observed,
            expected=expected,
            evidence=evidence,
        )
    if seen.took_s < LOCKED_S / 2 or was_quick:
        why = "the command did not wait for the file" if seen.history.ok else seen.history.problem
        return inconclusive(
            Reason.CONTROL, f"It could not be seen: {why}", expected=expected, evidence=evidence
        )
    return failed(
        "All requests share a single connection to the SQLite file: a history waited for the command before it",
        observed=observed,
        expected=expected,
        evidence=evidence,
    )


@audit(
    "DB-04",
    "The SQLite file is whole",
    subject=Subject.DATABASE,
    severity=Severity.BLOCKER,
    safety=Safety.READ_ONLY,
    sends="PRAGMA quick_check on a connection that can write nothing",
    why="A damaged file loses messages now, and everything at some later moment.",
    fix="sqlite3 chat.db .recover | sqlite3 whole.db   # then find out what damaged it",
    reference="SQLite: PRAGMA quick_check",
)
async def is_whole(context: Context) -> Outcome:
    """SQLite's own check finds nothing."""
    problem = await of_sqlite(context)
    if problem and not is_damaged(problem):
        return problem
    path = context.sql.file
    assert path
    found = await look_through(path, WITHIN_S)
    lines: list[str] = [*found.findings, *([found.problem] if found.problem else [])] or ["ok"]
    evidence = [
        note(
            context,
            f"quick_check of {path}",
            lines,
            f"sqlite3 -readonly '{path}' 'PRAGMA quick_check'",
            "sql",
        )
    ]
    if found.findings:
        return failed(
            f"The file is damaged: {listed(found.findings, 1)}",
            observed=listed(found.findings, 2),
            expected="ok",
            evidence=evidence,
        )
    if found.problem:
        return inconclusive(Reason.NO_SOURCE, found.problem, expected="ok", evidence=evidence)
    return passed("SQLite finds nothing wrong with it", observed="ok", expected="ok", evidence=evidence)


@audit(
    "DB-05",
    "Only the service may read the SQLite file",
    subject=Subject.DATABASE,
    severity=Severity.MAJOR,
    safety=Safety.READ_ONLY,
    sends="looks at the modes of the file, of the files beside it and of its folder",
    why="Whoever has an account on the host can read every conversation, or write into it.",
    fix="chmod 600 chat.db chat.db-wal chat.db-shm && chmod 700 .   # and UMask=0077 in the service's unit",
    reference="ASVS 14.2.4",
)
async def is_closed_to_others(context: Context) -> Outcome:
    """Neither the file, its journal nor its folder is open to everybody."""
    if problem := await of_sqlite(context):
        return problem
    path = context.sql.file
    assert path
    names = [path, *(path.with_name(path.name + tail) for tail in ("-wal", "-shm", "-journal"))]
    seen = [one for one in await asyncio.to_thread(lambda: [access_of(name) for name in names]) if one]
    folder = await asyncio.to_thread(access_of, path.parent)
    lines = [f"{one.mode:04o}  {one.path}" for one in (*seen, *([folder] if folder else []))]
    evidence = [note(context, "Modes of the database's files", lines, f"stat -c '%a %n' '{path}'*")]
    if not seen:
        why = f"{path} may not be looked at: run gonogo as the account of the service"
        return inconclusive(Reason.NO_RIGHT, why, evidence=evidence)
    wrong = [f"{one.path.name} ({one.mode:04o})" for one in seen if one.mode & 0o007]
    if folder and folder.mode & 0o002 and not folder.mode & 0o1000:
        wrong.append(f"its folder ({folder.mode:04o})")
    expected = "nobody but the service's account and group"
    if wrong:
        return failed(
            f"Open to everybody on this host: {listed(wrong)}",
            observed=listed(wrong),
            expected=expected,
            evidence=evidence,
        )
    return passed("Only the service may read it", observed=lines[0], expected=expected, evidence=evidence)


@audit(
    "DB-06",
    "A lock on the SQLite file is waited for",
    subject=Subject.DATABASE,
    severity=Severity.MAJOR,
    safety=Safety.DISRUPTIVE,
    sends="takes the right to write to the file for one second, and sends one marked command meanwhile",
    why="A backup or another writer makes users' messages fail at once where a moment's patience would do.",
    fix='create_engine(url, connect_args={"timeout": 5})   # or PRAGMA busy_timeout = 5000 on each connection',
    reference="SQLite: PRAGMA busy_timeout",
)
async def lock_is_waited_for(context: Context) -> Outcome:
    """A command that comes while another writer has the file is answered once it is free."""
    seen = await _locked(context)
    if isinstance(seen, Outcome):
        return seen
    reply = seen.reply
    expected = "the command is answered once the file is free again, and is stored"
    if reply.ok and not seen.is_stored:
        took = f"answered after {seen.took_s:.1f} s, the file was locked for {seen.held_s:.1f} s"
        if seen.is_stored is None or seen.took_s < LOCKED_S / 2:
            why = "It could not be seen: the command did not wait for this file, and no row of it holds the command"
            return inconclusive(Reason.CONTROL, why, observed=took, expected=expected, evidence=reply.seen)
        return failed(
            "A command that met a locked file was answered as a success, but it is not stored",
            observed=took,
            expected=expected,
            evidence=reply.seen,
        )
    if reply.ok:
        return passed(
            "A command that met a locked file was answered and stored",
            observed=f"answered after {seen.took_s:.1f} s, the file was locked for {seen.held_s:.1f} s",
            expected=expected,
            evidence=reply.seen,
        )
    if reply.reason in (Reason.UNREACHABLE, Reason.THROTTLED):
        return inconclusive(reply.reason, f"The command was not judged: {reply.problem}", evidence=reply.seen)
    return failed(
        f"A command failed while another writer had the file: {reply.problem}",
        observed=f"failed after {seen.took_s:.1f} s",
        expected=expected,
        evidence=reply.seen,
    )
