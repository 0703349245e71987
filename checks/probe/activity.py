"""What the sessions of a role do in PostgreSQL at the moment, and which of its queries were slow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from checks.probe.sql import SqlProbe
from checks.text import Clean

SLOW_S = 1.0
TRIVIAL = "SELECT 1 AS answer /* gonogo */"
"""Asked to see whether the server answers; by the remark gonogo's own sessions are told from the application's."""
_ACTIVITY = """
/* gonogo */ SELECT count(*) FILTER (WHERE state <> 'idle') AS in_use,
       count(*) FILTER (WHERE wait_event_type = 'Lock') AS waiting,
       count(*) FILTER (WHERE query = '<insufficient privilege>') AS hidden,
       array_agg(pid || '/' || extract(epoch FROM query_start)::text)
           FILTER (WHERE state = 'active' AND now() - query_start > make_interval(secs => :slow_s)) AS slow,
       to_regclass('pg_stat_statements') IS NOT NULL AS has_statements
FROM pg_stat_activity
WHERE datname = current_database() AND usename = :role AND query NOT LIKE '%/* gonogo */%'
"""
_STATEMENTS = """
/* gonogo */ SELECT queryid::text AS query, sum(calls) AS calls, sum(total_exec_time) AS total_ms,
       max(max_exec_time) AS longest_ms
FROM pg_stat_statements
WHERE userid = (SELECT oid FROM pg_roles WHERE rolname = :role)
  AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
  AND max_exec_time > 1000 * :slow_s AND queryid IS NOT NULL
GROUP BY queryid ORDER BY sum(total_exec_time) DESC
"""


@dataclass(frozen=True, slots=True)
class Activity:
    """One look at the sessions of a role in one database."""

    in_use: int
    """Sessions that are not idle."""
    waiting: int
    """Sessions that wait for a lock."""
    is_hidden: bool
    """Whether their state may not be looked at by this account."""
    slow: frozenset[str]
    """Queries that have run for longer than `SLOW_S`: each the same word at every look at it."""
    has_statements: bool
    """Whether the extension pg_stat_statements is there."""


@dataclass(frozen=True, slots=True)
class Statement:
    """What pg_stat_statements has of one query that was slow at least once."""

    calls: int
    total_ms: float
    longest_ms: float


async def activity_of(sql: SqlProbe, role: str) -> Activity | Clean:
    """The sessions of `role` in the probe's PostgreSQL; else why they cannot be seen."""
    found = await sql.ask(_ACTIVITY, role=role, slow_s=SLOW_S)
    if found.error or not found.rows:
        return found.error.sentence if found.error else Clean("no answer")
    row = found.rows[0]
    return Activity(
        int(row["in_use"]),
        int(row["waiting"]),
        bool(row["hidden"]),
        frozenset(row["slow"] or ()),
        bool(row["has_statements"]),
    )


async def statements_of(sql: SqlProbe, role: str) -> Mapping[str, Statement] | Clean:
    """Query id -> what is known of it, of those that were slow at least once; else why that cannot be seen."""
    found = await sql.ask(_STATEMENTS, role=role, slow_s=SLOW_S)
    if found.error:
        return found.error.sentence
    return {
        str(row["query"]): Statement(int(row["calls"]), float(row["total_ms"]), float(row["longest_ms"]))
        for row in found.rows
    }


def slow_calls(before: Mapping[str, Statement], after: Mapping[str, Statement]) -> int:
    """How many calls between two looks were slow, as far as sums tell: all of a query whose mean was, else the one
    that was the longest so far."""
    count = 0
    for query, one in after.items():
        old = before.get(query)
        if old is None or one.calls < old.calls:
            count += 1
            continue
        calls, took_ms = one.calls - old.calls, one.total_ms - old.total_ms
        if calls and took_ms > 1000 * SLOW_S * calls:
            count += calls
        elif calls and one.longest_ms > old.longest_ms:
            count += 1
    return count
