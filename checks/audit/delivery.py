"""How answers are delivered: compressed, on connections that are kept, and not again where the browser has them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from checks.audit.common import audit, listed, note
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
from checks.probe.http import Answer
from checks.probe.keepalive import KeepAliveProbe, Kept
from checks.text import one_line
from checks.walkthrough.reach import parts

WORTH_BYTES = 1024
"""What is shorter fits into a packet or two as it is."""
MAX_PARTS = 2
PACKED = {"gzip", "br", "zstd", "deflate"}
TEXT = re.compile(r"text/|javascript|json|svg|xml")
MAX_AGE = re.compile(r"max-age=0*[1-9]")
HEADERS = (
    "content-type",
    "content-encoding",
    "content-length",
    "cache-control",
    "etag",
    "last-modified",
    "vary",
)


@dataclass(slots=True)
class Delivery:
    """The page and the first of its parts, fetched once in a run by a client that takes gzip."""

    answers: dict[str, Answer] | None = None
    """Path -> answer; the page first."""
    page: str = field(default="/")
    kept: Kept | None = None
    """What became of a connection that was asked twice."""


async def _delivered(context: Context) -> Delivery | Outcome:
    """What the page consists of, or the outcome that says why that is not known."""
    state = context.state(Delivery)
    if "page" not in context.target.contract.operations:
        return not_applicable("The contract names no page")
    if state.answers is None:
        state.page = context.controller.operation("page").path
        page = await _fetch(context, state.page)
        if page.error or page.status != 200:
            why = page.error.sentence if page.error else f"it answered {page.status}"
            reason = page.error.reason if page.error else Reason.REFUSED
            return inconclusive(reason, f"The page is not served: {why}", evidence=[page.evidence])
        state.answers = {state.page: page}
        for path in parts(page.text, state.page)[:MAX_PARTS]:
            state.answers[path] = await _fetch(context, path)
    return state


async def connection(context: Context) -> Kept:
    """Ask for health twice on one connection, once in a run; good answers are among the timed ones of the run."""
    state = context.state(Delivery)
    if state.kept is None:
        probe = KeepAliveProbe(
            context.target.url,
            context.redactor,
            ca_file=context.target.profile.target.ca_file,
            clock=context.now,
            meter=context.http.meter,
        )
        patience_s = context.target.profile.walkthrough.timeout_s
        state.kept = await probe.ask_twice(context.controller.operation("health").path, within_s=patience_s)
        known = context.http.meter.latencies_s.setdefault("health", [])
        answers = zip(state.kept.statuses, state.kept.seconds, strict=False)
        known += [seconds for status, seconds in answers if status == 200]
    return state.kept


async def _fetch(context: Context, path: str) -> Answer:
    patience_s = context.target.profile.walkthrough.timeout_s
    return await context.http.ask("GET", path, within_s=patience_s, headers={"accept-encoding": "gzip"})


def _shown(context: Context, answers: dict[str, Answer], title: str) -> Evidence:
    lines: list[str] = []
    for path, answer in answers.items():
        lines.append(f"GET {path} → {answer.status}, {len(answer.body)} bytes")
        lines += [
            f"  {name}: {one_line(answer.headers[name], 120)}" for name in HEADERS if name in answer.headers
        ]
    return note(context, title, lines, f"curl -sSI -H 'Accept-Encoding: gzip' {context.target.url}/")


@audit(
    "RESP-05",
    "Page, scripts and style sheets are compressed",
    subject=Subject.PERFORMANCE,
    severity=Severity.MINOR,
    safety=Safety.READ_ONLY,
    sends=f"one GET of the page and of {MAX_PARTS} of its parts, by a client that takes gzip",
    why="Text shrinks to a third; on a slow line the page is there in a third of the time.",
    fix="nginx: gzip on; gzip_types text/css application/javascript;\n"
    "Starlette, for page and static files alone: Middleware(GZipMiddleware, minimum_size=1024)",
    reference="RFC 9110 section 8.4",
)
async def text_is_compressed(context: Context) -> Outcome:
    """Every text of more than a kibibyte among page and parts comes compressed to a client that takes it so."""
    found = await _delivered(context)
    if isinstance(found, Outcome):
        return found
    answers = found.answers or {}
    worth = {
        path: answer
        for path, answer in answers.items()
        if answer.status == 200 and len(answer.body) > WORTH_BYTES and TEXT.search(answer.media_type)
    }
    expected = f"Content-Encoding for every text of more than {WORTH_BYTES} bytes"
    if not worth:
        return not_applicable(f"Page and parts are no texts of more than {WORTH_BYTES} bytes")
    plain = [
        path
        for path, one in worth.items()
        if one.headers.get("content-encoding", "").strip().lower() not in PACKED
    ]
    seen = [_shown(context, worth, f"{len(worth) - len(plain)} of {len(worth)} texts came compressed")]
    if plain:
        size = sum(len(worth[path].body) for path in plain)
        what = f"Sent uncompressed to a client that takes gzip: {listed(plain)} ({size} bytes)"
        return failed(what, observed=f"{len(plain)} uncompressed", expected=expected, evidence=seen)
    return passed(f"All {len(worth)} texts of the page came compressed", expected=expected, evidence=seen)


@audit(
    "RESP-06",
    "Connections are kept open between requests",
    subject=Subject.PERFORMANCE,
    severity=Severity.MINOR,
    safety=Safety.READ_ONLY,
    sends="two health requests on one connection",
    why="A new connection for each request costs two to four journeys of the line, and the host a handshake.",
    fix="uvicorn --timeout-keep-alive 75; nginx to the controller: proxy_http_version 1.1; "
    'proxy_set_header Connection "";',
    reference="RFC 9112 section 9.3",
)
async def connections_are_kept(context: Context) -> Outcome:
    """A second request is answered on the connection of the first."""
    kept = await connection(context)
    expected = "two answers on one connection"
    if len(kept.statuses) == 2:
        what = "The second request was answered on the connection of the first"
        return passed(what, observed="kept", expected=expected, evidence=[kept.evidence])
    if kept.how:
        what = f"The connection is not kept: {kept.how}"
        return failed(what, observed=kept.how, expected=expected, evidence=[kept.evidence])
    why = kept.error.sentence if kept.error else "nothing was answered"
    reason = kept.error.reason if kept.error else Reason.PROTOCOL
    return inconclusive(reason, f"Not judged: {why}", expected=expected, evidence=[kept.evidence])


@audit(
    "RESP-07",
    "Static files are not sent again to who has them",
    subject=Subject.PERFORMANCE,
    severity=Severity.MINOR,
    safety=Safety.READ_ONLY,
    sends="one GET of a script or style sheet with the validator that it came with",
    why="Every load of the page transfers every file again.",
    fix="Serve them with ETag or Last-Modified and Cache-Control: no-cache, or with max-age under names that change:\n"
    'app.mount("/static", StaticFiles(directory="static"))',
    reference="RFC 9111, RFC 9110 section 13",
)
async def static_files_are_cacheable(context: Context) -> Outcome:
    """A static file may be kept for a time, or is answered 304 to who has it already."""
    found = await _delivered(context)
    if isinstance(found, Outcome):
        return found
    answers = found.answers or {}
    files = {path: one for path, one in answers.items() if path != found.page and one.status == 200}
    if not files:
        return not_applicable("The page names no scripts or style sheets of its own")
    path, answer = next(iter(files.items()))
    seen = [_shown(context, {path: answer}, f"{path} as it came")]
    rule = answer.headers.get("cache-control", "").lower()
    expected = "max-age, or 304 to a client that has the file"
    if "no-store" in rule:
        what = f"{path} must not be kept at all (Cache-Control: {one_line(rule, 60)})"
        return failed(what, observed=one_line(rule, 60), expected=expected, evidence=seen)
    if MAX_AGE.search(rule):
        return passed(
            f"{path} may be kept ({one_line(rule, 60)})", observed=rule, expected=expected, evidence=seen
        )
    given = {
        sent: answer.headers[name]
        for name, sent in (("etag", "if-none-match"), ("last-modified", "if-modified-since"))
        if name in answer.headers
    }
    if not given:
        what = f"{path} comes without max-age, ETag and Last-Modified"
        return failed(what, observed="no validator", expected=expected, evidence=seen)
    patience_s = context.target.profile.walkthrough.timeout_s
    again = await context.http.ask(
        "GET", path, within_s=patience_s, headers={"accept-encoding": "gzip", **given}
    )
    seen.append(again.evidence)
    if again.error or again.status is None:
        why = again.error.sentence if again.error else "no answer"
        return inconclusive(Reason.UNREACHABLE, f"{path}: {why}", expected=expected, evidence=seen[:1])
    if again.status != 304:
        what = f"{path} is sent again ({again.status}) to a client that has it"
        return failed(what, observed=again.status, expected=expected, evidence=seen[:1])
    return passed(
        f"{path} is answered 304 to a client that has it", observed=304, expected=expected, evidence=seen
    )
