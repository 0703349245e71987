"""Passwords as the database keeps them: told by the beginning that names the hash, which alone is read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from checks.audit.common import audit, listed, note
from checks.audit.database_source import not_read, readable
from checks.context import Context
from checks.model import (
    Evidence,
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
from checks.probe.sql import Table

NAMES = (
    "password",
    "passwd",
    "pwd",
    "password_hash",
    "passwordhash",
    "hashed_password",
    "pass_hash",
    "pw_hash",
)
PLAIN_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
MAX_COLUMNS, MAX_ROWS = 5, 5000
SHORT = 32
"""A shorter text may be a password itself: its length is not told."""
LEAST_BCRYPT, LEAST_PBKDF2 = 10, 600_000
"""OWASP Password Storage Cheat Sheet: cost of bcrypt, and iterations of PBKDF2 with SHA-256."""
COLUMNS = {
    "sqlite": "SELECT m.name AS table_name, c.name AS column_name FROM sqlite_master m, pragma_table_info(m.name) c"
    " WHERE m.type = 'table' AND lower(c.name) IN ({names})",
    "postgresql": "SELECT table_schema, table_name, column_name FROM information_schema.columns"
    " WHERE table_schema NOT IN ('pg_catalog', 'information_schema') AND lower(column_name) IN ({names})",
}
"""Backend -> where columns are called like a stored password."""
SCHEMES = {
    "argon2": ("$argon2%", ""),
    "bcrypt": ("$2_$__$%", "substr({column}, 5, 2)"),
    "bcrypt ": ("bcrypt%$2_$__$%", ""),
    "scrypt": ("scrypt%$%$%", ""),
    "scrypt ": ("$scrypt$%", ""),
    "pbkdf2": ("pbkdf2_sha256$%$%", "substr({column}, 15, 7)"),
    "pbkdf2 ": ("pbkdf2:sha256:%$%", "substr({column}, 15, 7)"),
    "pbkdf2  ": ("$pbkdf2-sha256$%$%", "substr({column}, 16, 7)"),
    "argon2 ": ("argon2$argon2%", ""),
}
"""Hash -> how its stored form begins (SQL LIKE), and what tells its cost."""
SLOW = ("argon2", "bcrypt", "scrypt", "pbkdf2")


@dataclass(frozen=True, slots=True)
class Kept:
    """Passwords of one kind in one column."""

    where: str
    scheme: str
    """`argon2`, `bcrypt`, ...; else how long the text is."""
    cost: str
    count: int

    @property
    def weakness(self) -> str:
        """Why it is not slow enough; empty where it is."""
        are = "1 password is" if self.count == 1 else f"{self.count} passwords are"
        if self.scheme not in SLOW:
            return f"{are} no slow hash, but {self.scheme}"
        cost = int(found[0]) if (found := re.match(r"\d+", self.cost)) else 0
        if self.scheme == "bcrypt" and self.cost and cost < LEAST_BCRYPT:
            return f"{are} bcrypt of cost {cost} (at least {LEAST_BCRYPT})"
        if self.scheme == "pbkdf2" and cost < LEAST_PBKDF2:
            return f"{are} PBKDF2 with {cost} iterations (at least {LEAST_PBKDF2})"
        return ""

    def line(self) -> str:
        """For a table."""
        return f"{self.where}: {self.count} × {self.scheme} {self.cost}".strip()


@audit(
    "AUTH-09",
    "Stored passwords use a slow hash",
    subject=Subject.DATABASE,
    severity=Severity.MAJOR,
    safety=Safety.READ_ONLY,
    sends="a look for columns of passwords, and a count of the hashes in them by their beginning; no hash is read",
    why="A copied table becomes a list of passwords.",
    fix="argon2-cffi: PasswordHasher().hash(password)\n"
    "or hashlib.scrypt(password, salt=os.urandom(16), n=2**14, r=8, p=1)\n"
    "Hash again at the next sign-in of each user, and delete the old value.",
    reference="ASVS 11.4.2",
)
async def passwords_are_hashed_slowly(context: Context) -> Outcome:
    """Every stored password is Argon2, scrypt, bcrypt (cost 10) or PBKDF2 (600 000 iterations)."""
    if unreadable := await readable(context):
        return unreadable
    names = ", ".join(f"'{name}'" for name in NAMES)
    statement = COLUMNS.get(context.sql.backend, COLUMNS["sqlite"]).format(names=names)
    columns = await context.sql.ask(statement)
    if columns.error:
        return not_read(columns)
    if not columns.rows:
        what = "No table of the database has a column of passwords: users are not kept in it, or elsewhere"
        return not_applicable(what, evidence=(columns.evidence,))
    kept: list[Kept] = []
    seen: list[Evidence] = [columns.evidence]
    for row in columns.rows[:MAX_COLUMNS]:
        parts = [str(part) for part in row.values()]
        where = ".".join(parts)
        if not all(PLAIN_NAME.fullmatch(part) for part in parts):
            return inconclusive(
                Reason.PROTOCOL, "A column of passwords has a name that was not asked", evidence=seen
            )
        table = await context.sql.ask(counting(parts))
        seen.append(table.evidence)
        if table.error:
            why = f"The passwords in {where} may not be counted: grant SELECT on it to the account of the profile"
            return inconclusive(Reason.NO_RIGHT, why, evidence=seen)
        kept += _kept(where, table)
    if not kept:
        return not_applicable("No password is stored in the database", evidence=seen)
    lines = [one.line() for one in kept]
    seen.append(note(context, "Stored passwords by kind", lines))
    expected = f"Argon2, scrypt, bcrypt of cost {LEAST_BCRYPT}, or PBKDF2 with {LEAST_PBKDF2} iterations"
    if weak := [one for one in kept if one.weakness]:
        what = f"{weak[0].where}: {listed([one.weakness for one in weak], 2)}"
        return failed(what, observed="; ".join(lines), expected=expected, evidence=seen)
    count = sum(one.count for one in kept)
    what = (
        f"All {count} stored passwords use a slow hash"
        if count > 1
        else "The stored password uses a slow hash"
    )
    return passed(what, observed="; ".join(lines), expected=expected, evidence=seen)


def counting(parts: list[str]) -> str:
    """The query that counts the values of schema, table and column by their kind, without answering any of them."""
    *table, column = (f'"{part}"' for part in parts)
    kinds = " ".join(
        f"WHEN {column} LIKE '{like}' THEN '{scheme.strip()}'" for scheme, (like, _) in SCHEMES.items()
    )
    costs = " ".join(
        f"WHEN {column} LIKE '{like}' THEN {cost.format(column=column)}"
        for like, cost in SCHEMES.values()
        if cost
    )
    short = f"WHEN length({column}) < {SHORT} THEN 'a short text'"
    other = f"{short} ELSE 'a text of ' || length({column}) || ' characters'"
    # The names are plain ones of the catalogue.
    values = f"SELECT CAST({column} AS TEXT) AS {column} FROM {'.'.join(table)} WHERE {column} IS NOT NULL"  # noqa: S608
    scheme, cost = f"CASE {kinds} {other} END AS scheme", f"CASE {costs} ELSE '' END AS cost"
    kept = f"({values} LIMIT {MAX_ROWS}) AS kept"
    return f"SELECT {scheme}, {cost}, count(*) AS number FROM {kept} GROUP BY 1, 2 ORDER BY 3 DESC LIMIT 20"  # noqa: S608


def _kept(where: str, table: Table) -> list[Kept]:
    rows: tuple[Mapping[str, object], ...] = table.rows
    return [
        Kept(where, str(row["scheme"]), str(row["cost"]).strip("$"), int(str(row["number"]))) for row in rows
    ]
