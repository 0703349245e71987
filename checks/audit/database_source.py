"""What the checks of the database share: is it readable, who uses it, which table keeps the messages."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from checks.audit.settings import effective
from checks.context import Context
from checks.model import Evidence, Outcome, Reason, inconclusive, not_applicable
from checks.probe import postgresql
from checks.probe.postgresql import Address, transaction
from checks.probe.running import processes_of
from checks.probe.sql import Table
from checks.text import Clean, clean, one_line

NO_DATABASE = "No database is known: set [database] url in the profile, or the variable that url_env names"
IN_A_FILE = "The messages are in SQLite, a file: no database server is asked over a network"
HIDDEN = "Sessions of {role} may not be looked at by the role of [database] url: GRANT pg_read_all_stats TO that role"
UNKNOWN = "What {name} is for {role} is not known: let [database] url sign in as that role"
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


async def controller_url(context: Context) -> SplitResult | None:
    """The database URL that the controller is set to, in parts; None where it is not known."""
    found = (await effective(context)).get("database_url")
    if found is None or "://" not in found.value:
        return None
    try:
        parts = urlsplit(found.value)
        _ = parts.port  # raises where it is no number
    except ValueError:
        return None
    return parts


async def application_role(context: Context) -> str:
    """The role that the controller signs in with: that of its settings, else that of the profile's URL."""
    parts = await controller_url(context)
    name = unquote(parts.username or "") if parts else ""
    return name or str(address_of(context).username or "")


async def role_settings(context: Context, role: str, names: Sequence[str]) -> dict[str, str] | Outcome:
    """What a new session of `role` starts with: setting -> value; for our own role in the server's unit (ms).

    Else the INCONCLUSIVE outcome that says why it cannot be known.
    """
    address = address_of(context)
    wanted = ", ".join(f"'{name}'" for name in names)
    statement = f"SELECT name, setting, source FROM pg_settings WHERE name IN ({wanted})"  # noqa: S608 - our own names
    answer = await transaction(address, [statement], context.redactor)
    if answer.error:
        return unread(answer.error.sentence, answer.error.reason)
    is_own = role == address.username
    found = {
        str(name): str(value)
        for name, value, source in answer.rows
        if is_own or source not in ("user", "database user")
    }
    if is_own:
        return found
    given = await context.sql.ask(
        "SELECT one FROM pg_db_role_setting s JOIN pg_roles r ON r.oid = s.setrole"
        " CROSS JOIN unnest(s.setconfig) AS one WHERE r.rolname = :role AND s.setdatabase IN"
        " (0, (SELECT oid FROM pg_database WHERE datname = current_database())) ORDER BY s.setdatabase",
        role=role,
    )
    if given.error:
        return not_read(given)
    pairs = (str(one["one"]).partition("=") for one in given.rows)
    found |= {name: value for name, _, value in pairs if name in names}
    missing = [name for name in names if name not in found]
    if missing:
        return inconclusive(Reason.NO_SOURCE, UNKNOWN.format(name=missing[0], role=one_line(role, 60)))
    return found


_UNITS_MS = {"": 1.0, "us": 0.001, "ms": 1.0, "s": 1e3, "min": 6e4, "h": 3.6e6, "d": 8.64e7}


def milliseconds(value: str) -> float | None:
    """A duration as PostgreSQL writes it (`10s`, `500`), in milliseconds; None for what is none."""
    found = re.fullmatch(r"\s*(-?\d+(?:\.\d+)?)\s*(us|ms|s|min|h|d)?\s*", value)
    return float(found[1]) * _UNITS_MS[found[2] or ""] if found else None


def quoted(name: str) -> str:
    """An identifier, or several with dots between, for a statement."""
    return ".".join('"' + part.replace('"', '""').replace(":", "\\:") + '"' for part in name.split("."))


def row(answer: Table) -> Mapping[str, Any]:
    """The first row; empty where there is none."""
    return answer.rows[0] if answer.rows else {}
