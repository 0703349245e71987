"""Web pages of other origins: neither the API nor the WebSocket is theirs to use."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from checks.audit.common import audit, listed, note, signed_in
from checks.audit.surface import unusable
from checks.context import Context
from checks.model import Outcome, Reason, Safety, Severity, Subject, failed, inconclusive, passed
from checks.probe.http import Answer, HttpProbe
from checks.probe.websocket import Conversation
from checks.text import one_line
from checks.walkthrough.walk import bot_id, command

VISITOR = 11
PLACE = 41
"""The number of the bot that nobody has launched among the bots of a run."""


@dataclass(frozen=True, slots=True)
class _Case:
    name: str
    origin: str
    is_preflight: bool = False


def own_origin(context: Context) -> str:
    """The origin of the pages that may use the API: [audit] origin, else the target's own."""
    parts = urlsplit(context.target.url)
    return context.target.profile.audit.origin.rstrip("/") or f"{parts.scheme}://{parts.netloc}"


def _foreign(context: Context) -> str:
    return f"https://gonogo-{context.nonce}.example"


def _look_alike(context: Context) -> str:
    parts = urlsplit(own_origin(context))
    host = (parts.hostname or "localhost").replace(":", "-")
    return f"{parts.scheme}://{host}.gonogo-{context.nonce}.example"


@audit(
    "API-03",
    "Pages of foreign origins cannot use the API (CORS)",
    subject=Subject.HTTP,
    severity=Severity.BLOCKER,
    safety=Safety.READ_ONLY,
    sends="four to six requests for the list of bots with an Origin header, one of them a preflight",
    why="Any web page that a user visits can act with that user's session, and read the answers.",
    fix="List the origins: CORSMiddleware(allow_origins=['https://chat.example'], allow_credentials=True)\n"
    "Never '*' or a pattern without ^ and $; no CORS at all where only the own page uses the API.",
    reference="ASVS 3.4.2, 3.5.2",
)
async def foreign_origins_get_nothing(context: Context) -> Outcome:
    """Foreign, null and look-alike origins get no Access-Control-Allow-Origin; a declared one does."""
    if context.target.contract.rest_auth == "bearer" and (problem := await signed_in(context)):
        return problem
    foreign = _foreign(context)
    cases = [
        _Case("foreign", foreign),
        _Case("null", "null"),
        _Case("look-alike", _look_alike(context)),
        _Case("foreign, preflight", foreign, is_preflight=True),
    ]
    declared = context.target.profile.audit.origin.rstrip("/")
    own = [_Case("declared", declared), _Case("declared, preflight", declared, True)] if declared else []
    lines: list[str] = []
    problems: list[str] = []
    async with context.visitor(VISITOR) as visitor:
        for case in (*cases, *own):
            answer = await _asked(context, visitor.http, case)
            if problem := unusable(answer, "the list of bots"):
                return problem
            allowed = answer.headers.get("access-control-allow-origin", "").strip()
            with_login = answer.headers.get("access-control-allow-credentials", "").strip().lower() == "true"
            shown = f"{one_line(allowed, 80) or 'nothing'}{' with credentials' if with_login else ''}"
            lines.append(f"{case.name} ({case.origin}): {answer.status}, allowed: {shown}")
            is_let_in = allowed == "*" or (bool(allowed) and allowed.lower() == case.origin.lower())
            if case in own and not is_let_in:
                problems.append(f"the declared origin {declared} is not allowed")
            elif case not in own and is_let_in:
                problems.append(f"{case.name} origin is allowed ({shown})")
    path = context.target.contract.operations["bots"].path
    evidence = (
        note(
            context,
            "Origins and what they are allowed",
            lines,
            f"curl -sS -i -H 'Origin: {foreign}' {context.target.url}{path}",
            "http",
        ),
    )
    observed, expected = "; ".join(lines), "no Access-Control-Allow-Origin for any but the declared origin"
    if problems:
        what = f"CORS is not right: {listed(problems, 2)}"
        return failed(what, observed=observed, expected=expected, evidence=evidence)
    what = "Foreign, null and look-alike origins are allowed nothing"
    return passed(what, observed=observed, expected=expected, evidence=evidence)


async def _asked(context: Context, http: HttpProbe, case: _Case) -> Answer:
    headers = {"Origin": case.origin}
    path = context.target.contract.operations["bots"].path
    within_s = context.target.profile.walkthrough.timeout_s
    if case.is_preflight:
        headers |= {"Access-Control-Request-Method": "GET", "Access-Control-Request-Headers": "authorization"}
        return await http.ask("OPTIONS", path, within_s=within_s, headers=headers)
    return await http.ask("GET", path, within_s=within_s, headers=headers, token=context.controller.token)


@audit(
    "HTTP-02",
    "The WebSocket refuses foreign origins",
    subject=Subject.HTTP,
    severity=Severity.BLOCKER,
    safety=Safety.ACTIVE,
    sends="three WebSocket handshakes with an Origin header; where a foreign one opens, a marked query to no bot",
    why="Browsers ask no leave for a WebSocket: any page could talk to the bots from a user's browser.",
    fix="Compare the Origin header of the handshake with a list of your own, and refuse with 403:\n"
    "if websocket.headers.get('origin') not in ALLOWED: await websocket.close(1008)",
    reference="ASVS 4.4.2, RFC 6455 10.2",
)
async def the_websocket_refuses_foreign_origins(context: Context) -> Outcome:
    """A handshake with the own origin opens, one with a foreign or null origin does not."""
    if problem := await signed_in(context):
        return problem
    own = own_origin(context)
    control = await _opened(context, own)
    if not control.opened:
        why = control.error.sentence if control.error else "it did not open"
        return inconclusive(
            Reason.CONTROL,
            f"The WebSocket does not open with its own origin {own} either: {why}",
            evidence=(control.evidence,),
        )
    lines, let_in, unclear = [f"own ({own}): opened"], "", None
    for name, origin in (("foreign", _foreign(context)), ("null", "null")):
        talk = await _opened(context, origin)
        is_open = talk.opened and await _is_answered(context, origin)
        refusal = talk.error.sentence if talk.error else "opened, and closed before an answer"
        lines.append(f"{name} ({origin}): {'opened' if is_open else refusal}")
        let_in = let_in or (name if is_open else "")
        if not talk.opened and talk.status is None:
            unclear = unclear or talk
    evidence = (note(context, "Origins at the WebSocket", lines, kind="websocket"),)
    observed, expected = "; ".join(lines), "the own origin opens, others are refused"
    if let_in:
        what = f"The WebSocket opens for a page of a {let_in} origin"
        return failed(what, observed=observed, expected=expected, evidence=evidence)
    if unclear is not None and unclear.error:
        why = f"A foreign origin was not clearly refused: {unclear.error.sentence}"
        return inconclusive(
            unclear.error.reason, why, observed=observed, expected=expected, evidence=evidence
        )
    what = "The WebSocket opens for its own origin alone"
    return passed(what, observed=observed, expected=expected, evidence=evidence)


async def _opened(context: Context, origin: str) -> Conversation:
    within_s = context.target.profile.walkthrough.timeout_s
    return await context.controller.converse([], within_s=within_s, headers={"Origin": origin})


async def _is_answered(context: Context, origin: str) -> bool:
    """Whether a socket that opened also talks: some servers can refuse only after the handshake."""
    talk = await context.controller.converse(
        [(bot_id(context, PLACE), command(context, "origin"))],
        within_s=context.target.profile.walkthrough.timeout_s,
        headers={"Origin": origin},
    )
    is_refused = talk.close_code in (1008, 3000, 4001, 4003, 4401, 4403)
    return any(frame.reply is not None for frame in talk.frames) or (talk.opened and not is_refused)
