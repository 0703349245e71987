"""The database itself: is it the one in use, does its table keep what it is given, is the history found by an index."""

from __future__ import annotations

import asyncio
from pathlib import Path

from checks.audit.common import audit, listed, note
from checks.audit.database_source import (
    HIDDEN,
    SQLITE,
    address_of,
    application_role,
    controller_pids,
    is_here,
    not_read,
    quoted,
    readable,
    row,
    unread,
)
from checks.audit.settings import effective
from checks.context import Context
from checks.model import Outcome, Reason, Safety, Severity, Subject, failed, inconclusive, passed
from checks.probe.host import look_at_port
from checks.probe.postgresql import transaction
from checks.probe.sessions import local_ports
from checks.profile.database import sqlite_path
from checks.text import clean, one_line

LARGE_ROWS = 100_000
"""From here on a query is planned for what is there; a short table is read as a whole even with an index."""
NOBODY = "BOT-000000000"


@audit(
    "DB-01",
    "The database of the profile is the one that the controller uses",
    subject=Subject.DATABASE,
    severity=Severity.BLOCKER,
    safety=Safety.READ_ONLY,
    sends="one read-only query; looks at the open files and connections of the controller",
    why="Everything said of rows, rights and backups would be said of another database.",
    fix='[database] url = "sqlite:////var/lib/chatbot/chat.db" (the file that `lsof -p PID` shows)\n'
    'or url = "postgresql://ROLE@HOST/NAME" of the controller\'s DATABASE_URL',
    reference="SRE book: data integrity",
)
async def is_the_one_in_use(context: Context) -> Outcome:
    """The file is open in the controller's process, or its connections are sessions of this database."""
    if problem := await readable(context):
        return problem
    if context.sql.backend == SQLITE:
        return await _file_in_use(context)
    return await _sessions_in_use(context)


async def _file_in_use(context: Context) -> Outcome:
    path = context.sql.file
    assert path
    expected = f"the controller's process has {path} open"
    pids, problem = await controller_pids(context)
    opened: list[Path] = []
    if pids:
        section = context.target.profile.process
        view = await asyncio.to_thread(look_at_port, section.port or context.target.port)
        opened = list(view.service.databases) if view.service else []
        hidden = [one for one in view.notes if "open files" in one]
        if not opened and hidden:
            problem = one_line(hidden[0][0].upper() + hidden[0][1:], 300)
    seen = [
        note(
            context,
            f"{len(opened)} SQLite files are open",
            map(str, opened),
            f"lsof -p {listed([str(p) for p in pids])}",
        )
    ]
    if any(_is_same(path, other) for other in opened):
        return passed(
            f"The controller has {path.name} open, and it can be read",
            observed=path,
            expected=expected,
            evidence=seen,
        )
    setting = (await effective(context)).get("database_url")
    told = sqlite_path(setting.value) if setting else None
    if setting and told and told.is_absolute() and _is_same(path, told):
        return passed(
            f"The controller is set to use {path.name} ({setting.source}), and it can be read",
            observed=told,
            expected=f"the controller is set to use {path}",
            evidence=seen,
        )
    other = opened[0] if opened else told if told and told.is_absolute() else None
    if other:
        how = "has" if opened else "is set to use"
        return failed(
            f"The controller {how} {one_line(other, 120)}{' open' if opened else ''}, "
            f"not the file of the profile, {path}",
            observed=other,
            expected=expected,
            evidence=seen,
        )
    if problem:
        return inconclusive(Reason.NO_RIGHT, problem, expected=expected, evidence=seen)
    why = "The controller has no SQLite file open at this moment, and none of its settings names one: set it in DATABASE_URL"  # noqa: E501
    return inconclusive(Reason.NO_SOURCE, why, expected=expected, evidence=seen)


def _is_same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return False


async def _sessions_in_use(context: Context) -> Outcome:
    """The local ends of the controller's connections are the remote ends of this database's sessions."""
    address = address_of(context)
    pids, problem = await controller_pids(context)
    if not pids:
        return inconclusive(Reason.NO_RIGHT if "may not" in problem else Reason.NO_SOURCE, problem)
    answer = await context.sql.ask(
        "SELECT usename, client_port FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    if answer.error:
        return not_read(answer)
    expected = "the controller's connections are sessions of this database"
    role = await application_role(context)
    sessions = [one for one in answer.rows if one["usename"] == role]
    ports = {one["client_port"] for one in sessions if one["client_port"]}
    own = await asyncio.to_thread(local_ports, pids, address.port or 5432)
    seen = [answer.evidence]
    if own is None:
        why = "The connections of the controller may not be seen by this account: run gonogo as the account of the service or root"  # noqa: E501
        return inconclusive(Reason.NO_RIGHT, why, expected=expected, evidence=seen)
    if own & ports or (sessions and ports == {-1} and is_here(address.host or "")):
        return passed(
            f"{len(own & ports) or len(sessions)} sessions of this database are the controller's, as {role}",
            observed=f"{len(own)} connections of the controller, {len(sessions)} sessions of {role}",
            expected=expected,
            evidence=seen,
        )
    if sessions and not ports:
        return inconclusive(
            Reason.NO_RIGHT, HIDDEN.format(role=one_line(role, 60)), expected=expected, evidence=seen
        )
    if own:
        return failed(
            f"The controller is connected to port {address.port or 5432}, but not to this database as {role}",
            observed=f"{len(own)} connections of the controller, none a session of {address.database}",
            expected=expected,
            evidence=seen,
        )
    why = "The controller has no connection to a database server at this moment: send it a command and try again"
    return inconclusive(Reason.NO_SOURCE, why, expected=expected, evidence=seen)


@audit(
    "DB-07",
    "The table of messages has a key and accepts no message without bot, role and text",
    subject=Subject.DATABASE,
    severity=Severity.MAJOR,
    safety=Safety.READ_ONLY,
    sends="one read-only query for the columns of the table",
    why="Rows without a key or a bot can neither be told apart nor found again: history cannot be trusted.",
    fix="PostgreSQL: ALTER TABLE messages ADD PRIMARY KEY (id); ALTER TABLE messages ALTER content SET NOT NULL;\n"
    "SQLite: CREATE TABLE messages_new (id INTEGER PRIMARY KEY, bot_id TEXT NOT NULL, ...); INSERT INTO ... SELECT; rename",  # noqa: E501
    reference="ASVS 2.3.3; SRE book: data integrity",
)
async def table_has_constraints(context: Context) -> Outcome:
    """The id is the primary key; bot, role and text are not-null."""
    if problem := await readable(context):
        return problem
    contract = context.target.contract
    if context.sql.backend == SQLITE:
        answer = await context.sql.ask(
            'SELECT name, "notnull" AS is_required, pk AS is_key FROM pragma_table_info(:name)',
            name=contract.table.rpartition(".")[2],
        )
    else:
        answer = await context.sql.ask(
            "SELECT a.attname AS name, a.attnotnull AS is_required, coalesce(i.indisprimary, false) AS is_key"
            " FROM pg_attribute a LEFT JOIN pg_index i"
            " ON i.indrelid = a.attrelid AND i.indisprimary AND a.attnum = ANY (i.indkey)"
            " WHERE a.attrelid = to_regclass(:name) AND a.attnum > 0 AND NOT a.attisdropped",
            name=quoted(contract.table).replace("\\:", ":"),
        )
    if answer.error:
        return not_read(answer)
    if not answer.rows:
        why = f"There is no table {one_line(contract.table, 60)} in the database: correct [database] table in the profile"  # noqa: E501
        return inconclusive(Reason.NO_SOURCE, why, evidence=[answer.evidence])
    found = {str(one["name"]): one for one in answer.rows}
    wanted = {ours: contract.columns.get(ours, ours) for ours in ("id", "bot_id", "role", "text")}
    missing = [theirs for theirs in wanted.values() if theirs not in found]
    if missing:
        why = f"The table has no column {one_line(missing[0], 60)}: correct [database] columns in the profile"
        return inconclusive(Reason.NO_SOURCE, why, evidence=[answer.evidence])
    wrong = [] if found[wanted["id"]]["is_key"] else [f"{wanted['id']} is not the primary key"]
    wrong += [
        f"{name} may be NULL"
        for ours, name in wanted.items()
        if ours != "id" and not found[name]["is_required"]
    ]
    expected = f"{wanted['id']} is the primary key; {', '.join(list(wanted.values())[1:])} are NOT NULL"
    if wrong:
        return failed(
            f"Table {contract.table}: {listed(wrong)}",
            observed=listed(wrong),
            expected=expected,
            evidence=[answer.evidence],
        )
    return passed(
        f"Table {contract.table} has a key and refuses incomplete messages",
        observed=expected,
        expected=expected,
        evidence=[answer.evidence],
    )


@audit(
    "DBO-02",
    "The history is found by an index",
    subject=Subject.DATABASE,
    severity=Severity.MAJOR,
    safety=Safety.READ_ONLY,
    sends="asks the database how it would search the messages of one bot",
    why="Without one every look at a conversation reads all messages of all bots: slower with every day.",
    fix="CREATE INDEX CONCURRENTLY idx_messages_bot_id_id ON messages (bot_id, id);   (SQLite: without CONCURRENTLY)",
    reference="SRE book: service level objectives",
)
async def history_uses_an_index(context: Context) -> Outcome:
    """The plan of the history query searches by the bot's id."""
    if problem := await readable(context):
        return problem
    return await (_plan_of_sqlite(context) if context.sql.backend == SQLITE else _plan_of_postgresql(context))


async def _plan_of_sqlite(context: Context) -> Outcome:
    table, column = _names(context)
    answer = await context.sql.ask(
        f"EXPLAIN QUERY PLAN SELECT * FROM {_ticked(table)}"  # noqa: S608 - quoted
        f" WHERE {_ticked(column['bot_id'])} = :bot_id ORDER BY {_ticked(column['id'])} DESC LIMIT 100",
        bot_id=NOBODY,
    )
    if answer.error:
        return not_read(answer)
    plan = [str(one.get("detail", "")) for one in answer.rows]
    is_good = any("SEARCH" in step and "INDEX" in step and f"({column['bot_id']}=?" in step for step in plan)
    expected = f"SEARCH {table} USING INDEX … ({column['bot_id']}=?)"
    if is_good:
        return passed(
            "The history of a bot is found by an index",
            observed=listed(plan),
            expected=expected,
            evidence=[answer.evidence],
        )
    return failed(
        f"The history of a bot reads the whole table {table}: no index begins with {column['bot_id']}",
        observed=listed(plan),
        expected=expected,
        evidence=[answer.evidence],
    )


async def _plan_of_postgresql(context: Context) -> Outcome:
    """A short table is never worth an index to the planner: there it is asked with sequential scans switched off."""
    table, column = _names(context)
    name, bot = _plain(table), _plain(column["bot_id"])
    size = await context.sql.ask(
        "SELECT greatest(reltuples, 0) AS rows FROM pg_class WHERE oid = to_regclass(:name)", name=name
    )
    if size.error:
        return not_read(size)
    rows = float(row(size).get("rows", 0))
    is_large = rows > LARGE_ROWS
    tail = f" ORDER BY {_plain(column['id'])} DESC LIMIT 100" if is_large else ""
    statement = f"EXPLAIN SELECT * FROM {name} WHERE {bot} = '{NOBODY}'{tail}"  # noqa: S608 - quoted
    before = [] if is_large else ["SET LOCAL enable_seqscan = off"]
    answer = await transaction(address_of(context), [*before, statement], context.redactor)
    if answer.error:
        return unread(answer.error.sentence, answer.error.reason)
    plan = [clean(str(line[0])) for line in answer.rows]
    seen = [
        note(
            context,
            f"plan of the history, about {rows:.0f} rows",
            plan,
            "; ".join([*before, statement]),
            "sql",
        )
    ]
    conditions = [line for line in plan if "Index Cond:" in line and column["bot_id"] in line]
    expected = f"an index condition on {column['bot_id']}"
    if conditions:
        return passed(
            "The history of a bot is found by an index",
            observed=conditions[0].strip(),
            expected=expected,
            evidence=seen,
        )
    return failed(
        f"The history of a bot reads the whole table {table}: "
        + ("the planner uses no index" if is_large else f"no index begins with {column['bot_id']}"),
        observed=plan[0] if plan else "no plan",
        expected=expected,
        evidence=seen,
    )


def _names(context: Context) -> tuple[str, dict[str, str]]:
    contract = context.target.contract
    return contract.table, {ours: contract.columns.get(ours, ours) for ours in ("id", "bot_id")}


def _ticked(name: str) -> str:
    """The quoted identifier for SQLite, which takes "a name" that it does not know for a text."""
    return ".".join("`" + part.replace("`", "``").replace(":", "\\:") + "`" for part in name.split("."))


def _plain(name: str) -> str:
    """The quoted identifier for the driver, which knows no `:name`."""
    return quoted(name).replace("\\:", ":")


@audit(
    "DBO-03",
    "A committed message survives a power cut",
    subject=Subject.DATABASE,
    severity=Severity.BLOCKER,
    safety=Safety.READ_ONLY,
    sends="one read-only query for the settings of the journal",
    why="Messages that were confirmed to the user are gone after a power cut, or the whole database is.",
    fix="postgresql.conf: fsync = on, full_page_writes = on, synchronous_commit = on; then SELECT pg_reload_conf();\n"
    "ALTER ROLE chat RESET synchronous_commit;\n"
    "SQLite, once: PRAGMA journal_mode = WAL; in each connection: PRAGMA synchronous = NORMAL (or FULL)",
    reference="CIS PostgreSQL section 6; SRE book: data integrity",
)
async def commits_are_durable(context: Context) -> Outcome:
    """PostgreSQL: fsync, full_page_writes and synchronous_commit are on. SQLite: there is a write-ahead journal."""
    if problem := await readable(context):
        return problem
    if context.sql.backend == SQLITE:
        answer = await context.sql.ask("PRAGMA journal_mode")
        if answer.error:
            return not_read(answer)
        mode = str(answer.value()).lower()
        observed, expected = f"journal_mode {mode}", "journal_mode wal"
        if mode != "wal":
            return failed(
                f"SQLite keeps no write-ahead journal (journal_mode is {one_line(mode, 20)}): readers and a writer stop each other",  # noqa: E501
                observed=observed,
                expected=expected,
                evidence=[answer.evidence],
            )
        return passed(
            "SQLite keeps a write-ahead journal",
            observed=observed,
            expected=expected,
            evidence=[answer.evidence],
        )
    role = await application_role(context)
    answer = await context.sql.ask(
        "SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'full_page_writes')"
        " UNION ALL SELECT 'synchronous_commit', coalesce((SELECT split_part(one, '=', 2)"
        " FROM pg_db_role_setting s LEFT JOIN pg_roles r ON r.oid = s.setrole CROSS JOIN unnest(s.setconfig) AS one"
        " WHERE one LIKE 'synchronous_commit=%' AND (r.rolname = :role OR s.setrole = 0)"
        " AND (s.setdatabase = 0 OR s.setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database()))"
        " ORDER BY s.setrole = 0, s.setdatabase = 0 LIMIT 1),"
        " (SELECT setting FROM pg_settings WHERE name = 'synchronous_commit'))",
        role=role,
    )
    if answer.error:
        return not_read(answer)
    values = {str(one["name"]): str(one["setting"]) for one in answer.rows}
    wrong = [
        f"{name} = {value}" for name, value in values.items() if value in ("off", "local", "0", "false", "no")
    ]
    expected = "fsync, full_page_writes and synchronous_commit are on"
    observed = ", ".join(f"{name} = {value}" for name, value in values.items())
    if wrong:
        return failed(
            f"PostgreSQL does not wait for the disk: {listed(wrong)}",
            observed=observed,
            expected=expected,
            evidence=[answer.evidence],
        )
    return passed(
        "PostgreSQL waits for the disk", observed=observed, expected=expected, evidence=[answer.evidence]
    )
