"""The host: rights, limits, ports, clock and supervision of the controller's processes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from checks.audit.common import a_bot, audit, listed, note
from checks.audit.settings import ELSEWHERE
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
from checks.probe.clock import look_at_clock
from checks.probe.family import (
    AS_ITS_ACCOUNT,
    Family,
    Listener,
    Member,
    listeners,
    look_at_family,
    may_list,
)
from checks.probe.supervision import look_at_supervision
from checks.profile.database import sqlite_path
from checks.text import Clean, one_line

POSTGRES_PORT = 5432
CLOCKS_WITHIN_S = 2.0
DATE_STEP_S = 1.0
"""An HTTP Date counts whole seconds, and may be kept for one."""


@dataclass(slots=True)
class _Seen:
    """What the checks of one run need only once."""

    family: Family | None = None


async def family_of(context: Context) -> Family | Outcome:
    """The controller's processes; else the INCONCLUSIVE outcome that says what would help."""
    if not context.target.is_local:
        return inconclusive(Reason.NO_SOURCE, ELSEWHERE.format(host=context.target.host))
    seen = context.state(_Seen)
    if seen.family is None:
        section = context.target.profile.process
        port = section.port or context.target.port
        seen.family = await asyncio.to_thread(look_at_family, port, section.pid)
    if not seen.family.members:
        reason = Reason.NO_RIGHT if seen.family.is_forbidden else Reason.NO_SOURCE
        return inconclusive(reason, seen.family.problem)
    return seen.family


async def _with_bot(context: Context) -> tuple[Family | Outcome, Outcome | None]:
    """The family with a bot in it, looked at anew; and why there is no bot, where there is none."""
    first = await family_of(context)
    if isinstance(first, Outcome) or any(member.is_bot for member in first.members):
        return first, None
    bot = await a_bot(context)
    if isinstance(bot, Outcome):
        return first, bot
    context.state(_Seen).family = None
    return await family_of(context), None


def unseen(what: str) -> Outcome:
    return inconclusive(
        Reason.NO_RIGHT, f"The {what} of the controller may not be seen by this account: {AS_ITS_ACCOUNT}"
    )


def _table(context: Context, family: Family) -> Evidence:
    rows = [
        f"pid {one.pid} {one.name or '?'} ({'bot' if one.is_bot else 'controller'}): "
        f"{one.account or 'account unknown'}, uid {'unknown' if one.uid is None else one.uid}"
        + (f", {', '.join(one.rights)}" if one.rights else "")
        for one in family.members
    ]
    pids = ",".join(str(one.pid) for one in family.members[:40])
    title = f"{len(rows)} processes of the controller"
    return note(context, title, rows, f"ps -o pid,user,uid,args -p {pids}", "process")


@audit(
    "INF-01",
    "Controller and bots run without the rights of root",
    subject=Subject.HOST,
    severity=Severity.BLOCKER,
    safety=Safety.ACTIVE,
    sends="launches one marked bot where none runs; looks at the accounts of the controller's processes",
    why="One flaw in the controller or a bot gives away the whole machine.",
    fix="useradd --system --shell /usr/sbin/nologin chatbot\n"
    "In the unit: User=chatbot, NoNewPrivileges=yes, CapabilityBoundingSet= (empty)\n"
    "In a Dockerfile: USER chatbot",
    reference="ASVS 13.2.2; CIS Linux: service accounts",
)
async def runs_without_root(context: Context) -> Outcome:
    """No process of the controller has user id 0 or a capability that amounts to it."""
    family, no_bot = await _with_bot(context)
    if isinstance(family, Outcome):
        return family
    expected = "no process with user id 0, none with an administrative capability"
    evidence = [_table(context, family)]
    hidden = [one for one in family.members if one.uid is None]
    wrong = [(one, why) for one in family.members if (why := _too_many_rights(one))]
    if wrong:
        kinds = " and ".join(
            word
            for word, is_bot in (("the controller", False), ("bots", True))
            if any(one.is_bot is is_bot for one, _ in wrong)
        )
        return failed(
            f"{kinds[0].upper()}{kinds[1:]}: {wrong[0][1]} (pid {wrong[0][0].pid})",
            observed=listed([f"pid {one.pid}: {why}" for one, why in wrong]),
            expected=expected,
            evidence=evidence,
        )
    if hidden:
        return unseen("accounts")
    if no_bot is not None:
        return no_bot
    accounts = listed(sorted({one.account for one in family.members}))
    return passed(
        f"Controller and {len(family.members) - 1} further processes run as {accounts}",
        observed=f"{accounts}; no administrative capability",
        expected=expected,
        evidence=evidence,
    )


def _too_many_rights(member: Member) -> str:
    if member.uid == 0:
        return "it runs as root"
    return f"it has {', '.join(member.rights)}" if member.rights else ""


@audit(
    "INF-02",
    "Only needed ports are open to other hosts",
    subject=Subject.HOST,
    severity=Severity.BLOCKER,
    safety=Safety.ACTIVE,
    sends="launches one marked bot where none runs; looks at the open ports of controller, bots and database",
    why="A bot's or the database's own port is a door past sign-in, rate limits and TLS.",
    fix="Let bots and database listen on 127.0.0.1 (postgresql.conf: listen_addresses = 'localhost').\n"
    'A port that has to be open: [audit] ports = ["9100"] in the profile.',
    reference="CIS Linux: network services; OWASP API8:2023",
)
async def only_needed_ports(context: Context) -> Outcome:
    """Every port on a public address is the target's own or named in the profile."""
    family, no_bot = await _with_bot(context)
    if isinstance(family, Outcome):
        return family
    allowed = {
        str(context.target.port),
        str(context.target.profile.process.port),
        *context.target.profile.audit.ports,
    }
    pids = [one.pid for one in family.members]
    found = await asyncio.to_thread(listeners, pids, _local_database(context.target.database_url))
    can_see = await asyncio.to_thread(lambda: all(may_list(pid) for pid in pids))
    expected = f"no port open to other hosts besides {', '.join(sorted(allowed - {'0'}))}"
    if found is None:
        return unseen("open ports")
    evidence = [_ports(context, found)]
    wrong = [one for one in found if one.is_public and str(one.port) not in allowed]
    if wrong:
        one = wrong[0]
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        return failed(
            f"Port {one.port} of {_owner(one, family)} is open on {one.address}, for other hosts too{more}",
            observed=listed([f"{one.address}:{one.port} ({_owner(one, family)})" for one in wrong]),
            expected=expected,
            evidence=evidence,
        )
    if not can_see:
        return unseen("open ports")
    if no_bot is not None:
        return no_bot
    public = sum(one.is_public for one in found)
    return passed(
        f"{len(found)} ports are open, {public or 'none'} of them to other hosts, and no unnamed one",
        observed=listed([f"{one.address}:{one.port}" for one in found]),
        expected=expected,
        evidence=evidence,
    )


def _local_database(url: str) -> int:
    """The port of a database server on this host; 0 where the database is a file, elsewhere or not known."""
    if not url or sqlite_path(url) is not None:
        return 0
    try:
        parts = urlsplit(url)
        is_local = parts.hostname in (None, "localhost", "127.0.0.1", "::1")
        return (parts.port or POSTGRES_PORT) if is_local else 0
    except ValueError:
        return 0


def _owner(one: Listener, family: Family) -> str:
    known = {member.pid: member for member in family.members}
    if one.pid in known:
        return f"{'a bot' if known[one.pid].is_bot else 'the controller'} (pid {one.pid})"
    return f"the database ({one.name or 'process unknown'})"


def _ports(context: Context, found: Sequence[Listener]) -> Evidence:
    rows = [
        f"{one.address}:{one.port} pid {one.pid or 'unknown'} {one.name}"
        f" {'open to other hosts' if one.is_public else 'this host alone'}"
        for one in found
    ]
    return note(context, f"{len(rows)} open TCP ports", rows, "ss -ltnp", "process")


@audit(
    "INF-06",
    "The clocks agree",
    subject=Subject.HOST,
    severity=Severity.MAJOR,
    safety=Safety.READ_ONLY,
    sends="one request for the health; asks this host's kernel for the state of its clock",
    why="Tokens expire at the wrong time, and logs and evidence cannot be put in order.",
    fix="apt-get install chrony && systemctl enable --now chrony\ntimedatectl show -p NTPSynchronized",
    reference="ASVS 16.2.2",
)
async def clocks_agree(context: Context) -> Outcome:
    """The Date of an answer is this host's time; a time service that is seen to run has set the clock."""
    before = context.now()
    reply = await context.controller.ask("health", with_token=False)
    after = context.now()
    expected = f"the target's time within {CLOCKS_WITHIN_S:g} s of this host's, kept by a time service"
    told = reply.answer.headers.get("date", "")
    moments = {"Date": _http_date(told), "timestamp": _zoned(reply.document)}
    known = {name: moment for name, moment in moments.items() if moment is not None}
    if not known:
        why = (
            reply.problem
            if reply.answer.error
            else "the answer carries neither Date nor a timestamp with a zone"
        )
        reason = reply.reason if reply.answer.error else Reason.NO_SOURCE
        return inconclusive(
            reason, f"The target's time is not known: {why}", expected=expected, evidence=reply.seen
        )
    clock = await asyncio.to_thread(look_at_clock)
    offs_s = {
        name: _off_s(moment, before, after, DATE_STEP_S if name == "Date" else 0.0)
        for name, moment in known.items()
    }
    parts = [f"{name} {off_s:+.1f} s" for name, off_s in offs_s.items()]
    kernel = {True: "synchronised", False: "not synchronised", None: "not to be asked"}[clock.is_synchronised]
    parts += [f"this host's kernel: {kernel}", f"time service: {listed(clock.services) or 'none seen here'}"]
    evidence = (*reply.seen, note(context, "clocks: " + "; ".join(parts), parts, "date -u; timedatectl"))
    observed = "; ".join(parts)
    worst = max(offs_s, key=lambda name: abs(offs_s[name]))
    if abs(offs_s[worst]) > CLOCKS_WITHIN_S:
        side = "ahead of" if offs_s[worst] > 0 else "behind"
        return failed(
            f"The target's clock is {abs(offs_s[worst]):.0f} s {side} this host's ({worst} of its answer)",
            observed=observed,
            expected=expected,
            evidence=evidence,
        )
    if clock.services and clock.is_synchronised is False:
        return failed(
            f"{listed(clock.services)} runs, but has not synchronised this host's clock",
            observed=observed,
            expected=expected,
            evidence=evidence,
        )
    doubt = "; no time service is seen here (in a container it is the host's)" if not clock.services else ""
    return passed(
        f"The target's time is this host's{doubt}", observed=observed, expected=expected, evidence=evidence
    )


def _http_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _zoned(document: object) -> datetime | None:
    """The time that the answer carries in `timestamp`; None without a zone: then it is not known which time it is."""
    text = document.get("timestamp") if isinstance(document, dict) else None
    try:
        moment = datetime.fromisoformat(text) if isinstance(text, str) else None
    except ValueError:
        return None
    return moment if moment and moment.tzinfo else None


def _off_s(moment: datetime, before: datetime, after: datetime, step_s: float) -> float:
    """Seconds that `moment` lies outside of the time between question and answer; `step_s`: how coarse it is."""
    early, late = (before - moment).total_seconds() - step_s, (moment - after).total_seconds()
    return late if late > 0 else -early if early > 0 else 0.0


@audit(
    "OPS-05",
    "The controller is started again when it ends",
    subject=Subject.HOST,
    severity=Severity.MAJOR,
    safety=Safety.READ_ONLY,
    sends="looks at the parents and the control group of the controller's process, and asks systemd for its unit",
    why="A crash or a reboot at night is an outage until morning.",
    fix="In the unit: Restart=on-failure, then systemctl enable --now UNIT\n"
    "In a container: docker run --restart unless-stopped",
    reference="12-factor: disposability; AWS ORR: resilience",
)
async def restart_is_supervised(context: Context) -> Outcome:
    """A supervisor that starts it again runs the controller."""
    family = await family_of(context)
    if isinstance(family, Outcome):
        return family
    pid = family.main.pid
    seen = await asyncio.to_thread(look_at_supervision, pid)
    rows: list[Clean] = [*seen.chain, seen.told]
    command = (
        f"systemctl status {pid}" if not seen.unit else f"systemctl show {seen.unit} -p Restart,UnitFileState"
    )
    evidence = [note(context, f"pid {pid}: {seen.told}", rows, command, "process")]
    expected = "a unit with Restart=, supervisord, runit, s6 or the like, or a container that is restarted"
    observed = one_line(" ← ".join(seen.chain), 200)
    if seen.kind == "ends-with-starter":
        return not_applicable(seen.told, observed=observed, expected=expected, evidence=evidence)
    if seen.kind == "supervised":
        return passed(seen.told, observed=observed, expected=expected, evidence=evidence)
    if seen.kind == "container":
        return inconclusive(
            Reason.NO_SOURCE,
            f"{seen.told}, whose restart policy cannot be seen from here: "
            "docker inspect -f '{{.HostConfig.RestartPolicy.Name}}' CONTAINER",
            observed=observed,
            expected=expected,
            evidence=evidence,
        )
    if seen.kind == "unseen":
        return inconclusive(Reason.NO_RIGHT, seen.told) if seen.told else unseen("parents")
    return failed(seen.told, observed=observed, expected=expected, evidence=evidence)
