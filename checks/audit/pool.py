"""The pool of database connections: does it fit the server and the load, and is waiting for it bounded."""

from __future__ import annotations

import math
from dataclasses import dataclass

from checks.audit.common import audit, note
from checks.audit.database_source import (
    POSTGRESQL,
    SQLITE,
    application_role,
    not_read,
    readable,
    row,
)
from checks.audit.settings import Effective, Found, effective, not_known
from checks.context import Context
from checks.model import Evidence, Outcome, Reason, Safety, Severity, Subject, failed, inconclusive, passed
from checks.text import one_line

MOST_OF_SERVER = 0.8
LONGEST_WAIT_S = 30.0


async def _number(context: Context, found: Effective, name: str) -> tuple[float, Found] | Outcome:
    """A setting of the pool; else the INCONCLUSIVE outcome that says how it would be known."""
    given = found.get(name)
    if given is None:
        if not found.is_complete:
            return not_known(found)
        keys = context.target.contract.settings.get(name, (name,))
        why = (
            f"The setting {name} of the database pool is given nowhere: set {keys[0]}, or name the file that gives it "
            "in [audit] config_files"
        )
        return inconclusive(Reason.NO_SOURCE, why)
    try:
        value = float(given.value)
    except ValueError:
        value = math.nan
    if math.isnan(value):
        shown = one_line(given.shown(context), 40)
        return failed(
            f"The setting {name} of the database pool is no number: “{shown}” ({given.source})",
            observed=shown,
            expected="a number",
        )
    return value, given


@dataclass(frozen=True, slots=True)
class _Server:
    """What a PostgreSQL has room for."""

    room: int
    """Connections that an ordinary role can have."""
    others: int
    """Sessions of other roles and databases."""
    of_role: int
    """Connections that the role may have; -1: as many as there are."""
    evidence: Evidence


async def _server(context: Context) -> _Server | Outcome:
    role = await application_role(context)
    answer = await context.sql.ask(
        "SELECT current_setting('max_connections')::int AS most,"
        " current_setting('superuser_reserved_connections')::int"
        " + coalesce(current_setting('reserved_connections', true)::int, 0) AS reserved,"
        " (SELECT count(*) FROM pg_stat_activity WHERE usename IS NOT NULL AND pid <> pg_backend_pid()"
        " AND NOT (usename = :role AND datname = current_database())) AS others,"
        " coalesce((SELECT rolconnlimit FROM pg_roles WHERE rolname = :role), -1) AS of_role",
        role=role,
    )
    if answer.error:
        return not_read(answer)
    seen = row(answer)
    return _Server(
        int(seen["most"]) - int(seen["reserved"]), int(seen["others"]), int(seen["of_role"]), answer.evidence
    )


@audit(
    "DBO-01",
    "The pool of connections fits the load and the server",
    subject=Subject.DATABASE,
    severity=Severity.BLOCKER,
    safety=Safety.READ_ONLY,
    sends="one read-only query for the server's limits; reads the effective settings",
    why="Too few connections: requests queue and time out. Too many: the server refuses connections at the peak.",
    fix="DB_POOL_SIZE and DB_MAX_OVERFLOW so that instances x workers x (size + overflow) is at least the declared\n"
    "concurrency ([audit] concurrency) and at most 80 % of max_connections; postgresql.conf: max_connections = 200",
    reference="ASVS 13.1.2, 13.2.6; Little's law; SRE book: handling overload",
)
async def pool_fits(context: Context) -> Outcome:
    """Enough connections for the declared concurrency, and at most 80 % of those that the server has.

    Little's law: connections needed = arrival rate x time that each is held. A request holds at most one and no longer
    than it lasts, and arrival rate x duration is the concurrency: that many are enough.
    """
    if problem := await readable(context):
        return problem
    found = await effective(context)
    size = await _number(context, found, "pool_size")
    if isinstance(size, Outcome):
        return size
    overflow = await _number(context, found, "max_overflow")
    if isinstance(overflow, Outcome):
        return overflow
    declared, settings = context.target.profile.audit, [size[1], overflow[1]]
    workers = found.get("workers")
    is_count = workers is not None and workers.value.isascii() and workers.value.isdigit()
    # Where it is not set, the processes that share the port tell: one of several only starts the others.
    processes = max(int(workers.value[:6]) if workers and is_count else len(found.processes) - 1, 1)
    most = declared.instances * processes * (size[0] + max(overflow[0], 0.0))
    each = f"({size[0]:g} + {overflow[0]:g})"
    sum_told = f"{declared.instances} instances x {processes} workers x {each} = {most:g} connections"
    lines = [sum_told, *(f"{one.name} = {one.shown(context)}  ({one.source})" for one in settings)]
    lines.append(
        f"needed at most: {declared.concurrency} ([audit] concurrency, one connection for each request)"
    )
    wrong = []
    if overflow[0] < 0:  # as SQLAlchemy reads it
        wrong.append("max_overflow is negative: the pool has no bound")
    if most < declared.concurrency:
        wrong.append(f"{most:g} connections for {declared.concurrency} requests at a time are too few")
    evidence: list[Evidence] = []
    if context.sql.backend == POSTGRESQL:
        server = await _server(context)
        if isinstance(server, Outcome):
            return server
        evidence.append(server.evidence)
        used = most + server.others
        lines.append(
            f"{most:g} + {server.others} others = {used:g} of {server.room} that the server gives to ordinary roles "
            f"({100 * used / max(server.room, 1):.0f} %)"
        )
        if used > MOST_OF_SERVER * server.room:
            wrong.append(f"{used:g} connections are more than 80 % of the server's {server.room}")
        if 0 <= server.of_role < most:
            wrong.append(f"the role may have only {server.of_role} connections")
    evidence.append(note(context, "arithmetic of the pool", lines))
    expected = f"at least {declared.concurrency}; with the others at most 80 % of what the server gives"
    if wrong:
        return failed(
            f"The pool does not fit: {'; '.join(wrong)}",
            observed="\n".join(lines),
            expected=expected,
            evidence=evidence,
        )
    return passed(
        f"{most:g} connections at most, for {declared.concurrency} requests at a time",
        observed="\n".join(lines),
        expected=expected,
        evidence=evidence,
    )


@audit(
    "DB-02",
    "Waiting for a database connection is bounded, and old connections are replaced",
    subject=Subject.DATABASE,
    severity=Severity.MAJOR,
    safety=Safety.READ_ONLY,
    sends="reads the effective settings of the pool",
    why="When the database is slow, requests pile up behind the pool; a connection that a firewall cut fails for a user.",  # noqa: E501
    fix="DB_POOL_TIMEOUT=5 (seconds, at most 30) and, on a network, DB_POOL_RECYCLE=1800 with pool_pre_ping=True",
    reference="ASVS 13.1.3; SRE book: handling overload",
)
async def waits_are_bounded(context: Context) -> Outcome:
    """The pool's time-out is set and at most 30 s; connections over a network are recycled."""
    if not context.sql.backend and (problem := await readable(context)):
        return problem
    found = await effective(context)
    timeout = await _number(context, found, "pool_timeout_s")
    if isinstance(timeout, Outcome):
        return timeout
    settings, wrong = [timeout[1]], []
    if not 0 < timeout[0] <= LONGEST_WAIT_S:
        wrong.append(f"a request may wait {timeout[0]:g} s for a connection ({timeout[1].source})")
    is_server = context.sql.backend != SQLITE
    if is_server:
        recycle = await _number(context, found, "pool_recycle_s")
        if isinstance(recycle, Outcome):
            return recycle
        settings.append(recycle[1])
        if not 0 < recycle[0] < math.inf:
            wrong.append(f"connections are never replaced ({recycle[1].source})")
    lines = [f"{one.name} = {one.shown(context)}  ({one.source})" for one in settings]
    expected = f"time-out over 0 and at most {LONGEST_WAIT_S:g} s" + (
        "; recycling over 0 s" if is_server else ""
    )
    seen = [note(context, "settings of the pool", lines)]
    if wrong:
        return failed(
            f"The pool: {' and '.join(wrong)}",
            observed="\n".join(lines),
            expected=expected,
            evidence=seen,
        )
    where = "connections are replaced in time" if is_server else "a file needs no recycling"
    return passed(
        f"A request waits at most {timeout[0]:g} s for a connection; {where}",
        observed="\n".join(lines),
        expected=expected,
        evidence=seen,
    )
