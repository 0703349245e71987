"""The token in the address of a WebSocket, and whether the log keeps it."""

from __future__ import annotations

import asyncio

from checks.audit.common import audit, note
from checks.audit.log_source import the_log
from checks.audit.presented import Case, Route, routes_of, show
from checks.context import Context, until
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
from checks.probe.log import Lines
from checks.text import Clean, clean, one_line

SETTLE_S = 0.3
"""How long a log that has begun to tell of something may go on doing so."""


@audit(
    "API-06",
    "A token in an address is not written into the log",
    subject=Subject.JWT,
    severity=Severity.MAJOR,
    safety=Safety.ACTIVE,
    sends="one WebSocket handshake with a marked token that is none; one request where the log stays silent",
    why="Logs are read, copied and kept by many; a token in them signs its reader in.",
    fix='uvicorn --no-access-log, or a filter: logging.getLogger("uvicorn.error").setLevel(logging.WARNING)\n'
    "Log the path without its query; better, send the token in the first frame or a header.",
    reference="ASVS 14.2.1, ASVS 16.2.5, CWE-532",
)
async def token_is_not_logged(context: Context) -> Outcome:
    """A marked token goes into the address of a handshake; the log goes on, and the mark is not in it."""
    if Route.SOCKET not in routes_of(context):
        return not_applicable("By its contract the WebSocket takes no token in its address")
    log = await the_log(context)
    if isinstance(log, Outcome):
        return log
    word, place = f"gonogo-token-{context.nonce}", await log.mark()
    async with context.visitor(9) as visitor:
        shown = await show(context, visitor, Route.SOCKET, Case("a marked token", word))
        within_s = context.target.profile.audit.log_within_s

        async def look() -> Lines:
            return await log.since(place)

        seen, _ = await until(look, lambda lines: bool(lines.lines or lines.error), within_s / 2)
        if not seen.lines and not seen.error:
            path = f"/gonogo-{context.nonce}"
            await visitor.http.ask("GET", path, within_s=context.target.profile.walkthrough.timeout_s)
            seen, _ = await until(look, lambda lines: bool(lines.lines or lines.error), within_s / 2)
    if seen.lines:
        await asyncio.sleep(SETTLE_S)
        seen = await look()
    return _logged(context, log.name, word, seen, shown.evidence)


def _logged(context: Context, name: Clean, word: str, seen: Lines, handshake: Evidence) -> Outcome:
    expected = "the log goes on, and the marked token is not in it"
    if seen.error:
        return inconclusive(seen.reason, seen.error, expected=expected, evidence=(*seen.evidence, handshake))
    hits = seen.with_needle(word)
    lines = [f"{len(seen.lines)} new lines in {name}, {len(hits)} with the marked token"]
    lines += [f"{number or '?'}: {one_line(line, 300)}" for number, line in hits[:3]]
    evidence = [note(context, lines[0], lines, f"grep -nF '{word}' {name}", kind="log"), handshake]
    if hits:
        return failed(
            f"The token of a WebSocket's address stands in the log {name} (line {hits[0][0] or '?'})",
            observed=f"{len(hits)} of {len(seen.lines)} new lines hold it",
            expected=expected,
            evidence=evidence,
        )
    if not seen.lines:
        why = f"Nothing was written to {name} meanwhile: set [log] file to the log that the controller writes now"
        return inconclusive(Reason.CONTROL, why, expected=expected, evidence=evidence)
    return passed(
        f"The token of a WebSocket's address is not in the {len(seen.lines)} lines that {name} gained",
        observed=clean(lines[0]),
        expected=expected,
        evidence=evidence,
    )
