"""What the checks of the database share: is it readable, who uses it, which table keeps the messages."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any

from checks.audit.settings import effective
from checks.context import Context
from checks.model import Evidence, Outcome, Reason, inconclusive, not_applicable
from checks.probe import postgresql
from checks.probe.postgresql import Address
from checks.probe.running import processes_of
from checks.probe.sql import Table
from checks.text import Clean, clean, one_line

NO_DATABASE = "No database is known: set [database] url in the profile, or the variable that url_env names"
IN_A_FILE = "The messages are in SQLite, a file: no database server is asked over a network"
ON_A_SERVER = "The messages are in PostgreSQL, on a server: there is no database file to look at"
SQLITE, POSTGRESQL = "sqlite", "postgresql"
DAMAGED = ("malformed", "not a database", "disk image")
"""How SQLite calls a file that is no database (any more)."""


@dataclass(slots=True)
class _Shared:
    """What one run found out about the database."""

    was_tried: bool = False
    problem: Outcome | None = None
    pids: tuple[int, ...] | None = None
    pids_problem: Clean = Clean("")  # noqa: RUF009
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


async def readable(context: Context) -> Outcome | None:
    """None where the database can be read; else the INCONCLUSIVE outcome that says why not, the same for every check.

    It is tried once a run, so that a database that hangs is waited for once.
    """
    shared = context.state(_Shared)
    async with shared.lock:
        if not shared.was_tried:
            shared.problem = await _tried(context)
            shared.was_tried = True
    return shared.problem


async def _tried(context: Context) -> Outcome | None:
    url = context.target.database_url
    if not url:
        return inconclusive(Reason.NO_SOURCE, NO_DATABASE)
    is_sqlite = context.sql.backend == SQLITE
    statement = "SELECT count(*) AS tables FROM sqlite_master" if is_sqlite else "SELECT 1 AS answer"
    answer = await context.sql.ask(statement)
    return not_read(answer) if answer.error else None


def not_read(answer: Table) -> Outcome:
    """The INCONCLUSIVE outcome of a query that was not answered."""
    assert answer.error
    return unread(answer.error.sentence, answer.error.reason, [answer.evidence])


def unread(sentence: str, reason: Reason, evidence: Sequence[Evidence] = ()) -> Outcome:
    """The INCONCLUSIVE outcome of a database that cannot be read, with a cure for the causes that have one."""
    told = one_line(sentence, 300)
    if "No module named" in told:
        told = clean(postgresql.NO_DRIVER)
    cures = {
        "permission denied": "grant the role of [database] url the right to read it",
        "password authentication failed": "correct the URL in the variable that [database] url_env names",
        "no password supplied": "put the URL with its password into the variable that [database] url_env names",
        "unable to open": "run gonogo as the account of the service",
        "is locked": "another process keeps it locked; try again when it has ended",
    }
    cure = next((f"; {what}" for words, what in cures.items() if words in told), "")
    return inconclusive(reason, told[0].upper() + told[1:] + cure, evidence=evidence)


def is_damaged(outcome: Outcome | None) -> bool:
    """Whether what kept the SQLite file from being read is damage of the file."""
    return outcome is not None and any(word in outcome.summary for word in DAMAGED)


async def of_postgresql(context: Context) -> Outcome | None:
    """None where there is a PostgreSQL that can be read; else NA or INCONCLUSIVE."""
    if context.sql.backend == SQLITE:
        return not_applicable(IN_A_FILE)
    return await readable(context)


async def of_sqlite(context: Context) -> Outcome | None:
    """None where there is a SQLite file that can be read; else NA or INCONCLUSIVE."""
    if context.sql.backend == POSTGRESQL:
        return not_applicable(ON_A_SERVER)
    return await readable(context)


def address_of(context: Context) -> Address:
    """The PostgreSQL of the target as the driver wants it. Call where there is one."""
    url = context.sql.url
    assert url
    query = {name: value if isinstance(value, str) else value[-1] for name, value in url.query.items()}
    password = None if url.password is None else str(url.password)
    return Address(url.host, url.port, url.database, url.username, password, query)


def is_here(host: str) -> bool:
    """Whether a database server at `host` is reached without a network: loopback or a socket of this host."""
    if not host or host.startswith("/") or host == "localhost":
        return True
    try:
        return ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


async def controller_pids(context: Context) -> tuple[tuple[int, ...], Clean]:
    """The pids of the controller's processes; none, and the sentence with the cure, where they cannot be seen."""
    shared = context.state(_Shared)
    if shared.pids is None:
        target = context.target
        if not target.is_local and not target.profile.process.pid:
            shared.pids = ()
            shared.pids_problem = clean(
                f"The controller runs on another host, {target.host}: run gonogo there to see its processes"
            )
        else:
            section = target.profile.process
            seen = await asyncio.to_thread(processes_of, section.port or target.port, section.pid)
            shared.pids = tuple(one.pid for one in seen.all)
            shared.pids_problem = seen.problem
    return shared.pids, shared.pids_problem


async def application_role(context: Context) -> str:
    """The role that the controller signs in with: that of its settings, else that of the profile's URL."""
    found = (await effective(context)).get("database_url")
    name = ""
    if found is not None and "@" in found.value:
        from urllib.parse import unquote, urlsplit

        try:
            name = unquote(urlsplit(found.value).username or "")
        except ValueError:
            name = ""
    return name or str(address_of(context).username or "")


def quoted(name: str) -> str:
    """An identifier, or several with dots between, for a statement."""
    return ".".join('"' + part.replace('"', '""').replace(":", "\\:") + '"' for part in name.split("."))


def row(answer: Table) -> Mapping[str, Any]:
    """The first row; empty where there is none."""
    return answer.rows[0] if answer.rows else {}
