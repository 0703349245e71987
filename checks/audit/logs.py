"""Error logging, end to end: what fails is in the log with its cause and time, and so are refused sign-ins."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from checks.audit.common import audit, listed, signed_in
from checks.audit.log_records import WARNING, Record, read_record
from checks.audit.log_source import find, the_log, unread
from checks.context import Context, Visitor
from checks.controller import Reply
from checks.model import (
    Evidence,
    Outcome,
    Reason,
    Safety,
    Severity,
    Subject,
    failed,
    inconclusive,
    passed,
)
from checks.probe.log import LogSource, Mark
from checks.text import Clean
from checks.walkthrough.walk import bot_id, command

PLACE = 30
"""The first of the numbers by which clients and bots of these checks are told from others of a run."""
CLOCKS_WITHIN_S = 2.0
AGAIN_WITHIN_S = 0.2
"""How long is looked for a record after others of the same moment have come."""
_RESULT = re.compile(r"(?i)refus|denied|fail|invalid|unauthori[sz]ed|reject|wrong|not allowed|\b40[13]\b")
_SIGN_IN = re.compile(r"(?i)sign|log-?in|auth")
_ADDRESS = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b|(?<![\w:])(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}(?![\w:])")


@dataclass(frozen=True, slots=True)
class Provoked:
    """One request that was made to fail, and what the log has of it."""

    name: str
    told: Clean
    """What the client was told."""
    problem: str
    """Why it says nothing of the log; empty where it failed as it was meant to."""
    reason: Reason
    records: tuple[Record, ...]
    first: int
    """Number of the first record's line; 0 where that is not known."""
    evidence: tuple[Evidence, ...]


@dataclass(slots=True)
class _Shared:
    """What the checks of one run need only once."""

    provoked: list[Provoked] = field(default_factory=list)
    never: int = 0
    """Lines with the nonce that was never sent."""
    control: tuple[Evidence, ...] = ()


async def provoked(context: Context, log: LogSource) -> _Shared | Outcome:
    """Make three requests fail, once a run, and look for each in the log."""
    shared = context.state(_Shared)
    if shared.provoked:
        return shared
    if problem := await signed_in(context):
        return problem
    mark = await log.mark()
    async with context.visitor(PLACE) as visitor:
        for place, (name, raw) in enumerate(CASES, PLACE + 1):
            shared.provoked.append(await _provoke(context, visitor, mark, name, place, raw))
    never = await find(context, f"{context.nonce}-never-sent", mark, 0.0)
    shared.never, shared.control = len(never.lines), never.evidence
    return shared


CASES = (
    ("a command to an unknown bot", None),
    ("a body that is not JSON", b'{"command": "cut o'),
    ("a text with half a character", b'{"command": "gonogo \\ud800"}'),
)
"""Requests that cannot succeed, for a bot that does not exist: nothing is stored of them."""


async def _provoke(
    context: Context, visitor: Visitor, mark: Mark, name: str, place: int, raw: bytes | None
) -> Provoked:
    request, bot = f"{context.nonce}-log-{place}", bot_id(context, place)
    is_first = not context.state(_Shared).provoked
    reply = await visitor.controller.ask(
        "send",
        bot_id=bot,
        text=command(context, "log") if raw is None else "",
        raw_body=raw,
        headers={"X-Request-ID": request},
    )
    if reply.ok or reply.reason in (Reason.UNREACHABLE, Reason.THROTTLED, Reason.TIMEOUT):
        why = "it was answered as a success" if reply.ok else str(reply.problem)
        reason = Reason.BLOCKED if reply.ok else reply.reason
        return Provoked(name, reply.told, why, reason, (), 0, reply.seen)
    # Some controllers log the path alone: the bot's id tells the request as well.
    limit_s = None if is_first or _were_found(context) else AGAIN_WITHIN_S
    seen = await find(context, request, mark, limit_s)
    if not seen.lines and not seen.error:
        seen = await find(context, bot, mark, AGAIN_WITHIN_S)
    records = tuple(read_record(line) for line in seen.lines)
    return Provoked(name, reply.told, "", reply.reason, records, seen.first, (*reply.seen, *seen.evidence))


def _were_found(context: Context) -> bool:
    return any(one.records for one in context.state(_Shared).provoked)


@audit(
    "LOG-01",
    "What fails is in the log",
    subject=Subject.LOGGING,
    severity=Severity.BLOCKER,
    safety=Safety.ACTIVE,
    sends="three wrong requests for a marked bot that does not exist, each with a marked X-Request-ID",
    why="Failures in production are invisible.",
    fix="Log each request that is refused or fails at WARNING or ERROR: X-Request-ID, path, status, cause.\n"
    "With uvicorn: access_log=False, and a middleware that logs (console/demo/edge.py is one)",
    reference="ASVS 16.2.1; ASVS 16.3.4",
)
async def errors_are_logged(context: Context) -> Outcome:
    """Each provoked failure is found as WARNING or worse; a nonce that was never sent is not found."""
    log = await the_log(context)
    if isinstance(log, Outcome):
        return log
    shared = await provoked(context, log)
    if isinstance(shared, Outcome):
        return shared
    within_s = context.target.profile.audit.log_within_s
    expected = f"each of them in {log.name} within {within_s:g} s at WARNING or ERROR"
    judged = [one for one in shared.provoked if not one.problem]
    evidence = [seen for one in shared.provoked for seen in one.evidence][:6] + list(shared.control)
    if shared.never:
        return inconclusive(
            Reason.CONTROL,
            "A nonce that was never sent was found in the log: what is found there proves nothing",
            expected=expected,
            evidence=evidence,
        )
    observed = "; ".join(f"{one.name}: {_how_logged(one)}" for one in shared.provoked)
    missing = [one for one in judged if not one.records]
    quiet = [one for one in judged if one.records and not _is_loud(one)]
    if missing:
        more = f" (nor {len(missing) - 1} more)" if len(missing) > 1 else ""
        summary = f"{missing[0].name} failed, and is not in {log.name} within {within_s:g} s{more}"
        return failed(_capital(summary), observed=observed, expected=expected, evidence=evidence)
    if quiet:
        name = quiet[0].records[0].level_name
        level = f"as {name}" if name else "without a level"
        summary = f"{quiet[0].name} failed, and is in {log.name} only {level}"
        return failed(_capital(summary), observed=observed, expected=expected, evidence=evidence)
    if not judged:
        one = shared.provoked[0]
        return inconclusive(
            one.reason,
            _capital(f"{one.name} did not fail as it should: {one.problem}"),
            expected=expected,
            evidence=evidence,
        )
    return passed(
        f"{len(judged)} failed requests are in the log as failures, one that never was is not",
        observed=observed,
        expected=expected,
        evidence=evidence,
    )


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _is_loud(one: Provoked) -> bool:
    return any(record.level is not None and record.level >= WARNING for record in one.records)


def _how_logged(one: Provoked) -> str:
    if one.problem:
        return one.problem
    if not one.records:
        return "not found"
    names = ", ".join(dict.fromkeys(record.level_name or "no level" for record in one.records))
    return f"{names}, line {one.first or '?'}"


@audit(
    "LOG-12",
    "The log tells the cause of an error",
    subject=Subject.LOGGING,
    severity=Severity.MAJOR,
    safety=Safety.ACTIVE,
    sends="nothing besides the wrong requests of LOG-01",
    why="The client is rightly told little: without the cause in the log nobody can find out what went wrong.",
    fix='logger.warning("request", extra={"request_id": ..., "cause": str(problem)})\n'
    'logger.error("request failed", exc_info=True) for what was not expected',
    reference="ASVS 16.3.4; ASVS 16.5.1",
    needs=("LOG-01",),
)
async def causes_are_logged(context: Context) -> Outcome:
    """Each provoked failure has a record with an exception, a cause, or at least what the client was told."""
    log = await the_log(context)
    if isinstance(log, Outcome):
        return log
    shared = await provoked(context, log)
    if isinstance(shared, Outcome):
        return shared
    judged = [one for one in shared.provoked if not one.problem and one.records]
    evidence = [one.evidence[-1] for one in judged]
    expected = "an exception, a cause or the text that the client was told, in a record of the same request"
    silent = [one for one in judged if not any(record.tells_cause(one.told) for record in one.records)]
    if silent:
        return failed(
            _capital(
                f"{silent[0].name} failed, and the log does not say why (line {silent[0].first or '?'})"
            ),
            observed=f"no cause: {listed([one.name for one in silent])}",
            expected=expected,
            evidence=evidence,
        )
    if not judged:
        return inconclusive(Reason.NO_SOURCE, "No failed request was found in the log", expected=expected)
    return passed(
        f"The log says why each of {len(judged)} requests failed",
        observed=listed([one.name for one in judged]),
        expected=expected,
        evidence=evidence,
    )


@audit(
    "LOG-11",
    "Times in the log are right and say their zone",
    subject=Subject.LOGGING,
    severity=Severity.MAJOR,
    safety=Safety.ACTIVE,
    sends="one request for the health with a marked X-Request-ID",
    why="Logs of several hosts cannot be put in order, and twice a year an hour is there twice.",
    fix='datetime.now(UTC).isoformat() in the formatter of the log; a plain Formatter: datefmt="%Y-%m-%dT%H:%M:%S%z"',
    reference="ASVS 16.2.2",
)
async def times_are_right(context: Context) -> Outcome:
    """The record of a request carries a zone, and lies within 2 s of this host's clock."""
    log = await the_log(context)
    if isinstance(log, Outcome):
        return log
    request, mark, before = f"{context.nonce}-log-time", await log.mark(), context.now()
    reply = await context.controller.ask("health", headers={"X-Request-ID": request}, with_token=False)
    seen = await find(context, request, mark)
    if seen.error:
        return unread(seen)
    lines = seen.lines or (await log.since(mark)).lines
    after = context.now()
    expected = f"a time with its zone, within {CLOCKS_WITHIN_S:g} s of this host's clock"
    if not lines:
        why = "Nothing was logged while a request was made: whether its times are right cannot be told"
        return inconclusive(Reason.NO_SOURCE, why, expected=expected, evidence=reply.seen)
    record = read_record(lines[-1])
    evidence = (*reply.seen, *seen.evidence)
    problem = _wrong_time(record.time, before, after)
    observed = record.time.isoformat() if record.time else "no time"
    if problem:
        return failed(
            f"{problem} ({log.name}, line {seen.first or '?'})",
            observed=observed,
            expected=expected,
            evidence=evidence,
        )
    return passed(
        "Times in the log say their zone and agree with this host's clock",
        observed=observed,
        expected=expected,
        evidence=evidence,
    )


def _wrong_time(moment: datetime | None, before: datetime, after: datetime) -> str:
    if moment is None:
        return "A record of the log carries no time"
    if moment.tzinfo is None:
        return "Times in the log do not say their zone"
    early, late = (before - moment).total_seconds(), (moment - after).total_seconds()
    if max(early, late) > CLOCKS_WITHIN_S:
        return f"Times in the log are {max(early, late):.0f} s {'behind' if early > late else 'ahead'}"
    return ""


@audit(
    "LOG-13",
    "A refused sign-in is in the log",
    subject=Subject.LOGGING,
    severity=Severity.MAJOR,
    safety=Safety.ACTIVE,
    sends="one sign-in of a made-up user with a made-up password",
    why="Nobody notices that passwords are being guessed, or can tell afterwards from where.",
    fix='logger.warning("sign-in refused", extra={"client": request.client.host, "request_id": ...})\n'
    "Never the password",
    reference="ASVS 16.3.1; ASVS 16.3.2; OWASP A09:2021",
)
async def refused_sign_in_is_logged(context: Context) -> Outcome:
    """The record says that it was refused and from where."""
    log = await the_log(context)
    if isinstance(log, Outcome):
        return log
    user, request = f"gonogo-{context.nonce}-nobody", f"{context.nonce}-log-sign-in"
    password = made_up_password(context, "sign-in")
    mark = await log.mark()
    async with context.visitor(PLACE + 1) as visitor:
        reply = await visitor.controller.ask(
            "login",
            with_token=False,
            username=user,
            password=password,
            headers={"X-Request-ID": request},
            is_patient=False,
        )
        address = visitor.address
    expected = "a record of the sign-in with its result and the address that it came from"
    if reply.ok or reply.reason is not Reason.REFUSED:
        return _not_refused(reply, expected)
    seen = await find(context, request, mark)
    lines = seen.lines
    if not lines and not seen.error:
        seen = await find(context, user, mark, AGAIN_WITHIN_S)
        lines = seen.lines
    if not lines and not seen.error:  # a program that logs neither: then any new line about a sign-in will do
        lines = tuple(line for line in (await log.since(mark)).lines if _SIGN_IN.search(line))
    if seen.error:
        return unread(seen)
    evidence = (*reply.seen, *seen.evidence)
    if problem := _lacks(lines, address):
        return failed(
            f"A refused sign-in {problem}",
            observed=f"{len(lines)} records",
            expected=expected,
            evidence=evidence,
        )
    return passed(
        "The log tells of a refused sign-in, and from where it came",
        observed=f"{len(lines)} records, line {seen.first or '?'}",
        expected=expected,
        evidence=evidence,
    )


def made_up_password(context: Context, place: str) -> str:
    """A password that nobody has, kept out of all evidence from now on."""
    password = f"Gonogo-{context.nonce}-{place}-1"
    context.redactor.learn(password)
    return password


def _lacks(lines: Sequence[str], address: str) -> str:
    """What the log lacks of it; empty where nothing."""
    about = [line for line in lines if _SIGN_IN.search(line)]
    if not about:
        return "is not in the log"
    told = [line for line in about if _RESULT.search(line)]
    if not told:
        return "is in the log without its result"
    if not any(address in line if address else _ADDRESS.search(line) for line in told):
        return "is in the log without the address that it came from"
    return ""


def _not_refused(reply: Reply, expected: str) -> Outcome:
    why = reply.problem or "it was accepted"
    return inconclusive(
        Reason.BLOCKED if reply.ok else reply.reason,
        f"A sign-in of a made-up user was not refused as such: {why}",
        expected=expected,
        evidence=reply.seen,
    )
