"""PostgreSQL: who may do what, who may sign in, where it listens, and whether slow statements are seen."""

from __future__ import annotations

import asyncio
from ipaddress import ip_address

from checks.audit.common import audit, leave_is_missing, listed, note
from checks.audit.database_source import (
    address_of,
    application_role,
    is_here,
    milliseconds,
    not_read,
    of_postgresql,
    role_settings,
    unread,
)
from checks.context import Context
from checks.model import Outcome, Reason, Safety, Severity, Subject, failed, inconclusive, passed
from checks.probe.host import look_at_port
from checks.probe.postgresql import can_require, login

FLAGS = ("rolsuper", "rolcreaterole", "rolcreatedb", "rolreplication", "rolbypassrls")
SERVER_ROLES = ("pg_execute_server_program", "pg_read_server_files", "pg_write_server_files")
SLOW_MS = 5000


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
    sends="one sign-in of the controller's role with a wrong password, one of our own that insists on clear text",
    why="Any account of the host, or of the network, is the owner of every message.",
    fix="pg_hba.conf: host all all 127.0.0.1/32 scram-sha-256   # never trust or password; then pg_ctl reload",
    reference="ASVS 13.2.3; CIS PostgreSQL 5.4",
)
async def wrong_password_is_refused(context: Context) -> Outcome:
    """The role does not get in with a wrong password, nor with its own one in clear text."""
    if problem := await of_postgresql(context):
        return problem
    if missing := leave_is_missing(context):
        return missing
    address = address_of(context)
    if not address.host or address.host.startswith("/"):
        return await _rules(context)
    role = await application_role(context)
    bad = await login(address, context.redactor, username=role, password=f"wrong-{context.nonce}")
    told = [f"{role} with a wrong password: {'accepted' if bad.is_accepted else bad.told}"]
    clear = None
    if address.password and can_require():
        who = address.username or ""
        clear = await login(
            address, context.redactor, username=who, password=address.password, require="password"
        )
        told.append(
            f"{who} with its password in clear text: {'accepted' if clear.is_accepted else clear.told}"
        )
    evidence = [note(context, f"sign-ins of {role}", told, kind="sql")]
    expected = "refused with a wrong password; the right one is never sent in clear text"
    if bad.is_accepted:
        return failed(
            f"The database lets {role} in with any password",
            observed="accepted",
            expected=expected,
            evidence=evidence,
        )
    error = bad.error or (clear.error if clear else None)
    if error:
        return unread(error.sentence, error.reason, evidence)
    if clear and clear.is_accepted:
        return failed(
            f"The database has {address.username} send its password in clear text",
            observed="accepted in clear text",
            expected=expected,
            evidence=evidence,
        )
    return passed("A wrong password is refused", observed=bad.told, expected=expected, evidence=evidence)


async def _rules(context: Context) -> Outcome:
    """On a socket the account of who asks may be the proof: there only the rules themselves tell."""
    found = await context.sql.ask(
        "SELECT line_number, type, database, user_name, auth_method, error FROM pg_hba_file_rules"
    )
    if found.error:
        why = (
            "The sign-in rules of PostgreSQL may not be read by the role of [database] url: "
            "GRANT pg_read_all_settings TO that role; GRANT SELECT ON pg_hba_file_rules, and EXECUTE ON FUNCTION "
            "pg_hba_file_rules TO that role"
        )
        return inconclusive(Reason.NO_RIGHT, why, evidence=[found.evidence])
    wrong = [one for one in found.rows if one["error"] or one["auth_method"] in ("trust", "password")]
    expected = "no line of pg_hba.conf with trust or password"
    if wrong:
        lines = [f"line {one['line_number']}: {one['error'] or one['auth_method']}" for one in wrong]
        return failed(
            f"pg_hba.conf lets in without a safe proof: {listed(lines)}",
            observed=listed(lines),
            expected=expected,
            evidence=[found.evidence],
        )
    return passed(
        f"None of {len(found.rows)} rules lets in without a safe proof",
        expected=expected,
        evidence=[found.evidence],
    )


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
        names = [name.strip() for name in told.split(",") if name.strip()]
        public = [name for name in names if name == "*" or _is_public(name)]
        if public:
            return failed(
                f"The database listens on {'all addresses' if '*' in public else listed(public)}",
                observed=told,
                expected=expected,
                evidence=[answer.evidence],
            )
        return passed(
            f"It is set to listen on {told}", observed=told, expected=expected, evidence=[answer.evidence]
        )
    view = await asyncio.to_thread(look_at_port, port)
    evidence = [note(context, f"Addresses of port {port}", view.addresses, f"ss -ltn 'sport = :{port}'")]
    if not view.addresses:
        if not host or host.startswith("/"):
            return passed(
                f"It listens on a socket alone: port {port} is closed", expected=expected, evidence=evidence
            )
        why = f"Port {port} of the database is not seen on this host: run gonogo where the database runs"
        return inconclusive(Reason.NO_RIGHT, why, evidence=evidence)
    public = [one for one in view.addresses if _is_public(one)]
    told = listed(view.addresses)
    if public:
        return failed(
            f"The database listens on {listed(public)}", observed=told, expected=expected, evidence=evidence
        )
    return passed(f"It listens on {told}", observed=told, expected=expected, evidence=evidence)


def _is_public(address: str) -> bool:
    """Whether strangers may reach it; a host name is not, for it is chosen."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    plain = getattr(parsed, "ipv4_mapped", None) or parsed
    return plain.is_unspecified or not plain.is_private


@audit(
    "DBS-04",
    "Passwords of the database are stored as SCRAM",
    subject=Subject.DATABASE,
    severity=Severity.MAJOR,
    safety=Safety.READ_ONLY,
    sends="reads the setting password_encryption as the role has it; one sign-in that insists on MD5",
    why="A stolen MD5 verifier is a password within hours, and lets in by itself.",
    fix="ALTER SYSTEM SET password_encryption = 'scram-sha-256'; SELECT pg_reload_conf();\n"
    "ALTER ROLE chat RESET password_encryption;   -- then set the password anew",
    reference="CIS PostgreSQL section 5",
)
async def passwords_are_scram(context: Context) -> Outcome:
    """A password that the role sets is stored as SCRAM, and the server does not ask for an MD5 proof of it."""
    if problem := await of_postgresql(context):
        return problem
    role = await application_role(context)
    settings = await role_settings(context, role, ("password_encryption",))
    if isinstance(settings, Outcome):
        return settings
    value, address = settings["password_encryption"], address_of(context)
    told = [f"password_encryption = {value} for {role}"]
    is_md5 = False
    if address.password and can_require():
        who = address.username or ""
        proof = await login(address, context.redactor, username=who, password=address.password, require="md5")
        is_md5 = proof.is_accepted
        told.append(f"{who} with an MD5 proof alone: {'accepted' if is_md5 else proof.told}")
    evidence = [note(context, told[0], told, "SHOW password_encryption", "sql")]
    expected = "password_encryption = scram-sha-256; no sign-in with MD5"
    if value != "scram-sha-256" or is_md5:
        return failed(
            f"{'The password' if is_md5 else 'A new password'} of {address.username if is_md5 else role} is stored as "
            f"{'md5' if is_md5 else value}",
            observed=told[0],
            expected=expected,
            evidence=evidence,
        )
    return passed("Passwords are stored as SCRAM", observed=told[0], expected=expected, evidence=evidence)


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
    role = await application_role(context)
    settings = await role_settings(context, role, ("log_min_duration_statement",))
    if isinstance(settings, Outcome):
        return settings
    # It is an extension that is there and was loaded when the server started, or the view answers with an error.
    counted = await context.sql.ask("SELECT count(*) FROM pg_stat_statements")
    limit = milliseconds(settings["log_min_duration_statement"])
    is_logged, is_counted = limit is not None and 0 <= limit <= SLOW_MS, counted.error is None
    observed = (
        f"log_min_duration_statement = {settings['log_min_duration_statement']} for {role}, "
        f"pg_stat_statements: {'yes' if is_counted else 'no'}"
    )
    evidence = [
        note(context, observed, [observed], "SHOW log_min_duration_statement", "sql"),
        *([counted.evidence] if is_counted else []),
    ]
    expected = f"a duration of at most {SLOW_MS} ms from which statements are logged, or pg_stat_statements"
    if is_logged or is_counted:
        return passed("Slow statements are seen", observed=observed, expected=expected, evidence=evidence)
    return failed(
        "Slow statements are neither logged nor counted",
        observed=observed,
        expected=expected,
        evidence=evidence,
    )
