"""The PostgreSQL probe: several statements in one read-only transaction, and logins that should be refused.

The only importer of psycopg, which is an extra of this package and is imported when it is needed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from checks.model import Reason
from checks.probe.http import TransportError
from checks.probe.redaction import Redactor
from checks.text import NOTHING, Clean, clean, one_line

TIMEOUT_S = 5
MAX_ROWS = 500
NO_DRIVER = "PostgreSQL cannot be read without its driver: pip install 'gonogo[postgres]'"
CAN_REQUIRE = 160_000
"""The first version of libpq that can be told which kinds of sign-in to accept (`require_auth`)."""


@dataclass(frozen=True, slots=True)
class Address:
    """A database and who signs in to it, as a URL names them."""

    host: str | None
    port: int | None
    database: str | None
    username: str | None
    password: str | None = field(repr=False)
    query: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Further parameters of libpq."""


@dataclass(frozen=True, slots=True)
class Rows:
    """What the last statement of a transaction answered."""

    rows: tuple[tuple[Any, ...], ...]
    error: TransportError | None


@dataclass(frozen=True, slots=True)
class Login:
    """How one attempt to sign in went."""

    is_accepted: bool
    told: Clean
    """What the server said of a refusal."""
    error: TransportError | None
    """Why it could not be tried; None where the server decided."""


async def transaction(address: Address, statements: Sequence[str], redactor: Redactor) -> Rows:
    """The rows of the last of `statements`, run in one transaction that can write nothing and is rolled back.

    The session's own settings are those of its role, but for a statement time-out that comes after the first one.
    """
    rows, told, error = await _bounded(_transaction, address, statements)
    if told and error is None:
        what = one_line(redactor.redact(told), 300)
        error = TransportError(Reason.NO_SOURCE, clean(f"the database could not be read: {what}"))
    return Rows(tuple(rows), error)


async def login(
    address: Address, redactor: Redactor, *, username: str, password: str, require: str = ""
) -> Login:
    """Try to sign in, and leave at once; with `require` the server has to ask for the password in one of those ways."""
    asked = replace(address, username=username, password=password)
    accepted, told, error = await _bounded(_login, asked, require)
    return Login(bool(accepted), one_line(redactor.redact(told), 200), error)


def can_require() -> bool:
    """Whether the driver can insist on a kind of sign-in."""
    try:
        from psycopg import pq
    except ImportError:
        return False
    return pq.version() >= CAN_REQUIRE


async def _bounded(question: Any, *given: Any) -> tuple[Any, str, TransportError | None]:
    """The answer of a blocking `question`, and what the driver said; given up after `2 * TIMEOUT_S` seconds."""
    try:
        async with asyncio.timeout(2 * TIMEOUT_S):
            found, told = await asyncio.to_thread(question, *given)
    except TimeoutError:
        why = f"the database did not answer within {2 * TIMEOUT_S} s"
        return (), NOTHING, TransportError(Reason.TIMEOUT, clean(why))
    except ImportError:
        return (), NOTHING, TransportError(Reason.NO_SOURCE, clean(NO_DRIVER))
    return found, told, None


def _connected(address: Address, **more: Any) -> Any:
    import psycopg

    query = {name: value for name, value in address.query.items() if name != "options"}
    known = {"host": address.host, "port": address.port, "dbname": address.database}
    who = {"user": address.username, "password": address.password}
    given = {**query, **known, **who, "connect_timeout": TIMEOUT_S, "options": "", **more}
    return psycopg.connect(
        **{name: value for name, value in given.items() if value is not None}, autocommit=True
    )


def _transaction(address: Address, statements: Sequence[str]) -> tuple[list[tuple[Any, ...]], str]:
    import psycopg

    try:
        with _connected(address, cursor_factory=psycopg.ClientCursor) as connection:
            rows: list[tuple[Any, ...]] = []
            connection.execute("BEGIN READ ONLY")
            for place, statement in enumerate(statements):
                cursor = connection.execute(statement)
                rows = cursor.fetchmany(MAX_ROWS) if cursor.description else []
                if place == 0:
                    connection.execute(f"SET LOCAL statement_timeout = {TIMEOUT_S * 1000}")
            connection.execute("ROLLBACK")
            return rows, ""
    except (psycopg.Error, ValueError, OSError) as problem:
        return [], str(problem) or type(problem).__name__


def _login(address: Address, require: str) -> tuple[bool, str]:
    import psycopg

    try:
        with _connected(address, **({"require_auth": require} if require else {})):
            return True, ""
    except psycopg.errors.ConnectionTimeout as problem:
        raise TimeoutError from problem
    except (psycopg.Error, ValueError, OSError) as problem:
        return False, str(problem) or type(problem).__name__
