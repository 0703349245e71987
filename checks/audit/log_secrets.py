"""LOG-02: the log is searched for what must not stand there; only places are told, never what was found."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from checks.audit.common import a_bot, audit, listed, note, signed_in
from checks.audit.log_source import find, the_log, unread
from checks.audit.logs import PLACE, made_up_password
from checks.context import Context
from checks.model import (
    Outcome,
    Reason,
    Safety,
    Severity,
    Subject,
    failed,
    inconclusive,
    passed,
)
from checks.probe.log import Lines
from checks.probe.redaction import SHORTEST, spellings
from checks.walkthrough.walk import command

TAIL_LINES = 2000
SETTLE_S = 1.0
"""How long is waited for the last of our own requests to be logged."""
MAX_HITS = 40
TOKEN, PASSWORD, TEXT = "token of this run", "password", "text of a message"
SECRETS = (TOKEN, PASSWORD, TEXT)
_MASKED = r"(?!\*|<|\[|\{|x{3}|\.{3}|null\b|none\b|true\b|false\b|redacted|masked|filtered|hidden)"
PATTERNS: Mapping[str, re.Pattern[str]] = {
    "token (JWT)": re.compile(r"\beyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{6,}"),
    "authorization header": re.compile(
        rf"(?i)authorization\\?[\"']?\s*[:=,]\s*\\?[\"']?(?:bearer|basic|token)\s+{_MASKED}[A-Za-z0-9._~+/=-]{{6,}}"
    ),
    "connection string with a password": re.compile(
        rf"(?i)\b[a-z][a-z0-9+.-]{{1,20}}://[^/\s:@\"']{{0,64}}:{_MASKED}[^/\s@\"']{{2,}}@"
    ),
    "password or secret by name": re.compile(
        r"(?i)(?<![A-Za-z])(?:password|passwd|passphrase|pwd|secret|secret[_-]?key|api[_-]?key|access[_-]?token)"
        rf"\\?[\"']?\s?[:=]\s?\\?[\"']?{_MASKED}[^\s\"',;&{{}}\\]{{4,}}"
    ),
    "private key": re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----"),
    "API key": re.compile(r"\b(?:AKIA[0-9A-Z]{16}|sk-[A-Za-z0-9_-]{20,}|gh[pousr]_[A-Za-z0-9]{30,})"),
}
"""What secrets look like, whoever's they are."""
_FIXTURES: Mapping[str, tuple[str, str]] = {
    "token (JWT)": ("GET /ws?token=eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.c2lnbmF0dXJl", "token eyJ expired"),
    "authorization header": (
        '{"headers": {"Authorization": "Bearer 0123456789abcdef"}}',
        "authorization: Bearer ***",
    ),
    "connection string with a password": (
        "connecting to postgresql://chat:s3cretpw@db:5432/chat",
        "connecting to postgresql://chat:***@db:5432/chat",
    ),
    "password or secret by name": ('{"password": "s3cretpw"}', "password=*** secret: [REDACTED]"),
    "private key": ("-----BEGIN RSA PRIVATE KEY-----", "-----BEGIN PUBLIC KEY-----"),
    "API key": ("key sk-0123456789abcdefghijklmnop", "task sk-1"),
}
"""A line that each pattern must find, and one that it must not."""


@dataclass(frozen=True, slots=True)
class Hit:
    """A place in the log that holds what it must not."""

    what: str
    line: int
    """Number in the file; 0 where that is not known."""


class Scanner:
    """Searches lines for named secrets in every spelling, and for what secrets look like."""

    def __init__(self, secrets: Mapping[str, Iterable[str]]) -> None:
        """`secrets`: what it is called -> the values."""
        self._words = {
            name: sorted({word for value in values if len(value) >= SHORTEST for word in spellings(value)})
            for name, values in secrets.items()
        }

    def scan(self, look: Lines) -> list[Hit]:
        """Every hit, at most one a line and kind."""
        found = []
        for place, line in enumerate(look.lines):
            number = look.first + place if look.first else 0
            found += [Hit(what, number) for what in self.kinds(line)]
        return found

    def kinds(self, line: str) -> list[str]:
        """What `line` holds."""
        named = [name for name, words in self._words.items() if any(word in line for word in words)]
        return named + [name for name, pattern in PATTERNS.items() if pattern.search(line)]


def blind_spot() -> str:
    """The first pattern or spelling that the scanner misses, or takes harmless text for; empty where it works."""
    for name, (bad, good) in _FIXTURES.items():
        if not PATTERNS[name].search(bad):
            return f"{name} is not found"
        if PATTERNS[name].search(good):
            return f"{name} is found where there is none"
    canary = 'canary "ä/+&= text'
    scanner = Scanner({"canary": [canary]})
    missed = [word for word in spellings(canary) if "canary" not in scanner.kinds(f"before {word} after")]
    return "a spelling is not found" if missed or scanner.kinds("before canary after") else ""


@audit(
    "LOG-02",
    "No token, password or message is in the log",
    subject=Subject.LOGGING,
    severity=Severity.BLOCKER,
    safety=Safety.ACTIVE,
    sends="one sign-in with a made-up password, a marked command to a marked bot over REST and over the WebSocket",
    why="Whoever reads the log can sign in as others and read what they said.",
    fix="Log the path without its query, no request bodies, no Authorization header.\n"
    'logging.getLogger("uvicorn.access").addFilter(...) or --no-access-log: uvicorn logs /ws?token=... in clear',
    reference="ASVS 16.2.5; ASVS 14.2.4",
)
async def no_secrets_are_logged(context: Context) -> Outcome:
    """Nothing of this run's secrets and texts, and nothing that looks like a secret, is in the log's newest part."""
    log = await the_log(context)
    if isinstance(log, Outcome):
        return log
    if spot := blind_spot():
        return inconclusive(Reason.CONTROL, f"The search itself does not work: {spot}")
    if problem := await signed_in(context):
        return problem
    mark = await log.mark()
    no_bot = await _speak(context)
    await find(context, _last_request(context), mark, SETTLE_S)
    new, tail = await log.since(mark), await log.tail(TAIL_LINES)
    if new.error or tail.error:
        return unread(new if new.error else tail)
    scanner = Scanner(_secrets(context))
    found = await asyncio.to_thread(lambda: {*scanner.scan(new), *scanner.scan(tail)})
    hits = sorted(found, key=lambda hit: (hit.line, hit.what))
    rows = [f"{log.name}, line {hit.line or '?'}: {hit.what}" for hit in hits[:MAX_HITS]]
    evidence = [
        note(
            context,
            f"{len(tail.lines)} lines of {log.name}: {len(hits)} places with what must not be there",
            rows or [f"searched for: {', '.join((*SECRETS, *PATTERNS))}"],
            kind="log",
        )
    ]
    expected = "none of this run's secrets and texts, and nothing that looks like a secret"
    if hits:
        kinds = list(dict.fromkeys(hit.what for hit in hits))
        return failed(
            f"The log holds what it must not: {listed(kinds)} ({log.name}, line {hits[0].line or '?'})",
            observed=f"{len(hits)} places: {listed(kinds)}",
            expected=expected,
            evidence=evidence,
        )
    if no_bot is not None:
        return no_bot
    return passed(
        f"Nothing secret is in the newest {len(tail.lines)} lines of the log",
        observed="no hit; the search found each of its own fixtures",
        expected=expected,
        evidence=evidence,
    )


async def _speak(context: Context) -> Outcome | None:
    """Do what a careless controller logs in clear; None, or why there was no bot to talk to."""
    bot = await a_bot(context)
    async with context.visitor(PLACE + 2) as visitor:
        if not isinstance(bot, Outcome):
            within_s = context.target.profile.walkthrough.reply_within_s
            texts = [(bot.bot_id, command(context, "log-socket"))]
            await visitor.controller.ask("send", bot_id=bot.bot_id, text=command(context, "log-rest"))
            await visitor.controller.converse(texts, within_s=within_s)
        await visitor.controller.ask(
            "login",
            with_token=False,
            username=f"gonogo-{context.nonce}-nobody",
            password=made_up_password(context, "log"),
            headers={"X-Request-ID": _last_request(context)},
            is_patient=False,
        )
    return bot if isinstance(bot, Outcome) else None


def _last_request(context: Context) -> str:
    return f"{context.nonce}-log-secrets"


def _secrets(context: Context) -> dict[str, list[str]]:
    known = context.target.credentials
    tokens = [context.controller.token, known.token]
    passwords = [known.password, *(made_up_password(context, place) for place in ("log", "sign-in"))]
    # What every marked command of a run begins with.
    return {TOKEN: tokens, PASSWORD: passwords, TEXT: [f"gonogo {context.nonce} "]}
