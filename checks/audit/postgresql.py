"""PostgreSQL: who may do what, who may sign in, where it listens, and whether slow and stuck work is seen and ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from ipaddress import ip_address

from checks.audit.common import audit, listed, note
from checks.audit.database_source import (
    address_of,
    application_role,
    is_here,
    not_read,
    of_postgresql,
    unread,
)
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
from checks.probe.host import look_at_port
from checks.probe.postgresql import login, transaction

FLAGS = ("rolsuper", "rolcreaterole", "rolcreatedb", "rolreplication", "rolbypassrls")
SERVER_ROLES = ("pg_execute_server_program", "pg_read_server_files", "pg_write_server_files")
LONGEST_IDLE_S = 60
SETTINGS = (
    "SELECT name, setting FROM pg_settings WHERE name IN "
    "('statement_timeout', 'idle_in_transaction_session_timeout', 'log_min_duration_statement', 'password_encryption')"
)


async def _settings(context: Context) -> dict[str, str] | Outcome:
    """The settings of a session of the role, without what the probe itself sets; or why they are not known."""
    found = await transaction(address_of(context), [SETTINGS], context.redactor)
    if found.error:
        return unread(found.error.sentence, found.error.reason)
    return {str(name): str(value) for name, value in found.rows}


@audit(
    "DBS-01",
    "The controller's database role has no administrative power",
    subject=Subject.DATABASE,
    severity=Severity.BLOCKER,
    safety=Safety.READ_ONLY,
    sends="one query of the roles",
    why="Whoever takes over the controller takes over the whole database server.",
    fix="ALTER ROLE chat NOSUPERUSER NOCREATEROLE NOCREATEDB NOREPLICATION NOBYPASSRLS;\n"
    "REVOKE pg_execute_server_program, pg_read_server_files, pg_write_server_files FROM chat;",
    reference="ASVS 13.2.2; CIS PostgreSQL 4.3",
)
async def role_has_no_power(context: Context) -> Outcome:
    """Neither the role nor one that it belongs to is a superuser or may reach the server's files."""
    if problem := await of_postgresql(context):
        return problem
    role = await application_role(context)
    flags = ", ".join(FLAGS)
    found = await context.sql.ask(
        f"SELECT rolname, {flags} FROM pg_roles WHERE pg_has_role(:role, oid, 'member')",  # noqa: S608 - constants
        role=role,
    )
    if found.error:
        return not_read(found)
    wrong = [f"{row['rolname']}: {flag[3:]}" for row in found.rows for flag in FLAGS if row[flag]]
    wrong += [str(row["rolname"]) for row in found.rows if row["rolname"] in SERVER_ROLES]
    expected = "no superuser, createrole, createdb, replication, bypassrls, nor access to the server's files"
    if wrong:
        return failed(
            f"The role {role} has administrative power: {listed(wrong)}",
            observed=listed(wrong),
            expected=expected,
            evidence=[found.evidence],
        )
    return passed(
        f"The role {role} is an ordinary one",
        observed=f"{role} and {len(found.rows) - 1} inherited roles",
        expected=expected,
        evidence=[found.evidence],
    )


@audit(
    "DBS-02",
    "The database lets nobody in with a wrong password",
    subject=Subject.DATABASE,
    severity=Severity.BLOCKER,
    safety=Safety.ACTIVE,
    sends="one sign-in of the role with its password and one with a wrong one",
    why="Any account of the host, or of the network, is the owner of every message.",
    fix="pg_hba.conf: host all all 127.0.0.1/32 scram-sha-256   # never trust or password; then pg_ctl reload",
    reference="ASVS 13.2.3; CIS PostgreSQL 5.4",
)
async def wrong_password_is_refused(context: Context) -> Outcome:
    """The control signs in; the same with a wrong password is refused."""
    if problem := await of_postgresql(context):
        return problem
    address = address_of(context)
    if not address.password:
        return inconclusive(
            Reason.NO_SOURCE,
            "The password of the database is not known: put the URL with it into the variable that url_env names",
        )
    role = address.username or ""
    good = await login(address, context.redactor, username=role, password=address.password)
    bad = await login(address, context.redactor, username=role, password=f"wrong-{context.nonce}")
    told = [f"right password: {'accepted' if good.is_accepted else good.told}"]
    told.append(f"wrong password: {'accepted' if bad.is_accepted else bad.told}")
    evidence = [note(context, f"Sign-ins of {role}", told)]
    if good.error or bad.error or not good.is_accepted:
        why = (good.error or bad.error).sentence if good.error or bad.error else good.told  # type: ignore[union-attr]
        return inconclusive(Reason.CONTROL, f"The sign-in could not be tried: {why}", evidence=evidence)
    expected = "refused with a wrong password"
    if bad.is_accepted:
        return failed(
            f"The database lets {role} in with any password",
            observed="accepted",
            expected=expected,
            evidence=evidence,
        )
    return passed("A wrong password is refused", observed=bad.told, expected=expected, evidence=evidence)


@audit(
    "DBS-03",
    "The database listens only where it is needed",
    subject=Subject.DATABASE,
    severity=Severity.BLOCKER,
    safety=Safety.READ_ONLY,
    sends="looks at the addresses on which the database's port is open",
    why="The database is one mistake of the firewall away from everybody.",
    fix="postgresql.conf: listen_addresses = 'localhost'   # or the private address alone; then restart",
    reference="CIS PostgreSQL 5.2; ASVS 13.2.4",
)
async def listens_where_needed(context: Context) -> Outcome:
    """No address that is open to everybody."""
    if problem := await of_postgresql(context):
        return problem
    address = address_of(context)
    host, port = address.host or "", address.port or 5432
    expected = "loopback or private addresses alone"
    if not is_here(host):
        answer = await context.sql.ask("SELECT current_setting('listen_addresses') AS addresses")
        if answer.error:
            return not_read(answer)
        told = str(answer.value())
        if "*" in told or "0.0.0.0" in told or "::" in told.split(","):  # noqa: S104 - what is looked for
            return failed(
                f"The database listens on all addresses ({told})",
                observed=told,
                expected=expected,
                evidence=[answer.evidence],
            )
        return passed(
            "It listens where it is told", observed=told, expected=expected, evidence=[answer.evidence]
        )
    view = await asyncio.to_thread(look_at_port, port)
    evidence = [note(context, f"Addresses of port {port}", view.addresses, f"ss -ltn 'sport = :{port}'")]
    if not view.addresses:
        why = view.notes[0] if view.notes else f"port {port} is not seen on this host"
        return inconclusive(Reason.NO_RIGHT, f"{why}; run gonogo on the database's host", evidence=evidence)
    public = [one for one in view.addresses if not _is_private(one)]
    told = listed(view.addresses)
    if public:
        return failed(
            f"The database listens on {listed(public)}", observed=told, expected=expected, evidence=evidence
        )
    return passed(f"It listens on {told}", observed=told, expected=expected, evidence=evidence)


def _is_private(address: str) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    return parsed.is_private and not parsed.is_unspecified


@audit(
    "DBS-04",
    "Passwords of the database are stored as SCRAM",
    subject=Subject.DATABASE,
    severity=Severity.MAJOR,
    safety=Safety.READ_ONLY,
    sends="reads the setting password_encryption as the role has it",
    why="A stolen MD5 verifier is a password within hours, and lets in by itself.",
    fix="ALTER SYSTEM SET password_encryption = 'scram-sha-256'; SELECT pg_reload_conf();\n"
    "ALTER ROLE chat RESET password_encryption;   -- then set the password anew",
    reference="CIS PostgreSQL section 5",
)
async def passwords_are_scram(context: Context) -> Outcome:
    """A password that the role sets is stored as SCRAM."""
    return await _setting(
        context,
        "password_encryption",
        lambda value: value == "scram-sha-256",
        "scram-sha-256",
        "New passwords of the database are stored as {value}",
    )


@audit(
    "DBS-05",
    "Slow statements are seen",
    subject=Subject.DATABASE,
    severity=Severity.MINOR,
    safety=Safety.READ_ONLY,
    sends="reads log_min_duration_statement; looks for pg_stat_statements",
    why="Nobody finds out which query makes the users wait.",
    fix="ALTER SYSTEM SET log_min_duration_statement = '500ms'; SELECT pg_reload_conf();\n"
    "-- or CREATE EXTENSION pg_stat_statements;",
    reference="CIS PostgreSQL section 3; SRE book: monitoring distributed systems",
)
async def slow_statements_are_seen(context: Context) -> Outcome:
    """They are logged from some duration on, or counted."""
    if problem := await of_postgresql(context):
        return problem
    settings = await _settings(context)
    if isinstance(settings, Outcome):
        return settings
    counted = await context.sql.ask("SELECT extname FROM pg_extension WHERE extname = 'pg_stat_statements'")
    if counted.error:
        return not_read(counted)
    limit = settings.get("log_min_duration_statement", "-1")
    observed = (
        f"log_min_duration_statement = {limit} ms, pg_stat_statements: {'yes' if counted.rows else 'no'}"
    )
    evidence = [note(context, "How slow statements are seen", [observed], SETTINGS, "sql"), counted.evidence]
    expected = "a duration of at most 5000 ms from which statements are logged, or pg_stat_statements"
    if 0 <= int(limit) <= 5000 or counted.rows:
        return passed("Slow statements are seen", observed=observed, expected=expected, evidence=evidence)
    return failed(
        "Slow statements are neither logged nor counted",
        observed=observed,
        expected=expected,
        evidence=evidence,
    )


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
    """Both time-outs are set, and no transaction idles for a minute."""
    if problem := await of_postgresql(context):
        return problem
    settings = await _settings(context)
    if isinstance(settings, Outcome):
        return settings
    idle = await context.sql.ask(
        "SELECT count(*) AS stuck FROM pg_stat_activity WHERE datname = current_database() "
        "AND state LIKE 'idle in transaction%' AND now() - state_change > interval '60 s'"
    )
    if idle.error:
        return not_read(idle)
    names = ("statement_timeout", "idle_in_transaction_session_timeout")
    observed = ", ".join(f"{name} = {settings.get(name, '?')} ms" for name in names)
    evidence = [note(context, "Time-outs of the role", [observed], SETTINGS, "sql"), idle.evidence]
    expected = f"both time-outs set, no transaction idle for more than {LONGEST_IDLE_S} s"
    unset = [name for name in names if settings.get(name) in (None, "0")]
    if unset or idle.value():
        what = (
            f"{listed(unset)} is not set" if unset else f"{idle.value()} transactions idle for over a minute"
        )
        return failed(
            f"Nothing ends a stuck transaction: {what}",
            observed=observed,
            expected=expected,
            evidence=evidence,
        )
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
    """Away from this host, sslmode is verify-full and the sessions are encrypted."""
    if problem := await of_postgresql(context):
        return problem
    address = address_of(context)
    if is_here(address.host or ""):
        return not_applicable(
            f"The database is on this host ({address.host or 'a socket'}): no network is crossed"
        )
    mode = address.query.get("sslmode", "prefer")
    seen = await context.sql.ask(
        "SELECT count(*) AS sessions, count(*) FILTER (WHERE NOT s.ssl) AS clear FROM pg_stat_ssl s "
        "JOIN pg_stat_activity a USING (pid) WHERE a.usename = current_user"
    )
    if seen.error:
        return not_read(seen)
    clear = int(seen.rows[0]["clear"] or 0) if seen.rows else 0
    observed = f"sslmode={mode}, {clear} sessions in clear"
    expected = "sslmode=verify-full and no session in clear"
    if clear or mode != "verify-full":
        what = (
            f"{clear} sessions are in clear text"
            if clear
            else f"sslmode is {mode}: the server is not verified"
        )
        return failed(
            f"The database is reached over the network and {what}",
            observed=observed,
            expected=expected,
            evidence=[seen.evidence],
        )
    return passed("Encrypted and verified", observed=observed, expected=expected, evidence=[seen.evidence])


async def _setting(
    context: Context, name: str, is_good: Callable[[str], bool], expected: str, wrong: str
) -> Outcome:
    if problem := await of_postgresql(context):
        return problem
    settings = await _settings(context)
    if isinstance(settings, Outcome):
        return settings
    value = settings.get(name, "")
    evidence = [note(context, f"{name} = {value}", [f"{name} = {value}"], f"SHOW {name}", "sql")]
    observed = f"{name} = {value}"
    if is_good(value):
        return passed(f"{name} is {value}", observed=observed, expected=expected, evidence=evidence)
    return failed(wrong.format(value=value), observed=observed, expected=expected, evidence=evidence)
