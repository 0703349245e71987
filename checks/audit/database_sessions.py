"""The sessions of PostgreSQL: what ends those that are stuck, and what others can read of them on the way."""

from __future__ import annotations

from urllib.parse import parse_qs

from checks.audit.common import audit, listed, note
from checks.audit.database_source import (
    HIDDEN,
    address_of,
    application_role,
    controller_url,
    is_here,
    milliseconds,
    not_read,
    of_postgresql,
    role_settings,
    row,
)
from checks.audit.settings import effective
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
from checks.text import one_line

LONGEST_IDLE_S = 60
TIMEOUTS = ("statement_timeout", "idle_in_transaction_session_timeout")


@audit(
    "DBO-05",
    "Stuck transactions are ended",
    subject=Subject.DATABASE,
    severity=Severity.MAJOR,
    safety=Safety.READ_ONLY,
    sends="reads the time-outs as the role has them, and looks for transactions that idle",
    why="One forgotten transaction blocks the writes of everybody until somebody finds it.",
    fix="ALTER ROLE chat SET idle_in_transaction_session_timeout = '30s';\nALTER ROLE chat SET statement_timeout = '10s';",  # noqa: E501
    reference="ASVS 13.1.3; PostgreSQL manual: client settings",
)
async def stuck_transactions_end(context: Context) -> Outcome:
    """Both time-outs are set for the controller's role, and no transaction idles for a minute."""
    if problem := await of_postgresql(context):
        return problem
    role = await application_role(context)
    settings = await role_settings(context, role, TIMEOUTS)
    if isinstance(settings, Outcome):
        return settings
    idle = await context.sql.ask(
        "SELECT count(*) FILTER (WHERE state LIKE 'idle in transaction%'"
        " AND now() - state_change > make_interval(secs => :longest)) AS stuck,"
        " count(*) FILTER (WHERE state IS NULL) AS hidden"
        " FROM pg_stat_activity WHERE datname = current_database() AND usename = :role",
        longest=LONGEST_IDLE_S,
        role=role,
    )
    if idle.error:
        return not_read(idle)
    stuck, hidden = int(row(idle)["stuck"]), int(row(idle)["hidden"])
    observed = ", ".join(f"{name} = {settings[name]}" for name in TIMEOUTS) + f"; {stuck} stuck"
    shows = "; ".join(f"SHOW {name}" for name in TIMEOUTS)
    evidence = [note(context, f"time-outs of {role}", [observed], shows, "sql"), idle.evidence]
    expected = f"both time-outs set, no transaction idle for more than {LONGEST_IDLE_S} s"
    unset = [name for name in TIMEOUTS if not milliseconds(settings[name])]
    if unset or stuck:
        some = f"{stuck} transactions have been idle for over {LONGEST_IDLE_S} s"
        return failed(
            f"Nothing ends a stuck transaction of {role}: {listed(unset)} is not set" if unset else some,
            observed=observed,
            expected=expected,
            evidence=evidence,
        )
    if hidden:
        return inconclusive(Reason.NO_RIGHT, HIDDEN.format(role=one_line(role, 60)), evidence=evidence)
    return passed("Both time-outs are set", observed=observed, expected=expected, evidence=evidence)


@audit(
    "ENC-04",
    "The database is reached over TLS with a verified server",
    subject=Subject.DATABASE,
    severity=Severity.BLOCKER,
    safety=Safety.READ_ONLY,
    sends="asks whether the sessions of the controller's role are encrypted; reads sslmode",
    why="The password of the database and every message can be read along the way.",
    fix="DATABASE_URL=postgresql://chat@db.example/chat?sslmode=verify-full&sslrootcert=/etc/ssl/db-ca.pem",
    reference="ASVS 12.3.1; CIS PostgreSQL 6.8",
)
async def is_reached_over_tls(context: Context) -> Outcome:
    """Away from this host, the controller's sslmode is verify-full and its sessions are encrypted."""
    if problem := await of_postgresql(context):
        return problem
    address, parts = address_of(context), await controller_url(context)
    host = (parts.hostname if parts else None) or address.host or ""
    if is_here(host):
        where = one_line(host, 60) or "a socket"
        return not_applicable(f"The database is on the controller's host ({where}): no network is crossed")
    role = await application_role(context)
    seen = await context.sql.ask(
        "SELECT count(*) AS sessions, count(*) FILTER (WHERE NOT s.ssl) AS clear,"
        " count(*) FILTER (WHERE s.ssl IS NULL) AS hidden"
        " FROM pg_stat_activity a LEFT JOIN pg_stat_ssl s USING (pid)"
        " WHERE a.usename = :role AND a.datname = current_database() AND a.pid <> pg_backend_pid()",
        role=role,
    )
    if seen.error:
        return not_read(seen)
    counts = {name: int(value) for name, value in row(seen).items()}
    given = (await effective(context)).get("PGSSLMODE")
    of_url = parse_qs(parts.query).get("sslmode", [""])[-1] if parts else address.query.get("sslmode", "")
    mode = one_line(of_url or (given.value if given else "") or "prefer", 20)  # libpq's default
    observed = f"sslmode={mode}; of {counts['sessions']} sessions of {role} {counts['clear']} in clear"
    expected = "sslmode=verify-full and no session in clear"
    if counts["clear"] or mode != "verify-full":
        what = f"sessions in clear text: {counts['clear']} of {counts['sessions']}"
        return failed(
            "The database is reached over the network, and "
            + (what if counts["clear"] else f"its server is not verified (sslmode is {mode})"),
            observed=observed,
            expected=expected,
            evidence=[seen.evidence],
        )
    if counts["hidden"] or not counts["sessions"]:
        return inconclusive(Reason.NO_RIGHT, HIDDEN.format(role=one_line(role, 60)), evidence=[seen.evidence])
    return passed("Encrypted and verified", observed=observed, expected=expected, evidence=[seen.evidence])
