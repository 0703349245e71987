"""Nothing but TLS: HSTS, no plain HTTP beside it, and the WebSocket over it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from checks.audit.common import audit, note, signed_in
from checks.audit.tls import tls_probe
from checks.context import Context
from checks.controller import Controller
from checks.model import Outcome, Reason, Safety, Severity, Subject, failed, inconclusive, passed
from checks.probe.http import HttpProbe
from checks.probe.tls import Taken
from checks.probe.websocket import WebSocketProbe
from checks.text import one_line

HSTS_AGE_S = 31_536_000
"""A year: ASVS 3.4.1 asks for it, and so does the browsers' list of hosts that are only asked over TLS."""
HTTPS_PORT, HTTP_PORT = 443, 80
MAX_AGE = re.compile(r'(?:^|;)\s*max-age\s*=\s*"?(\d{1,12})"?\s*(?=;|$|,)', re.IGNORECASE)


@asynccontextmanager
async def over_tls(context: Context) -> AsyncIterator[tuple[HttpProbe, Controller]]:
    """The probes of the address that clients use: the run's own, or those of [audit] tls_url."""
    target, tls_url = context.target, context.target.profile.audit.tls_url.rstrip("/")
    if not tls_url or tls_url == target.url:
        yield context.http, context.controller
        return
    ca_file, meter = target.profile.target.ca_file, context.http.meter
    async with HttpProbe(tls_url, context.redactor, ca_file=ca_file, clock=context.now, meter=meter) as http:
        sockets = WebSocketProbe(tls_url, context.redactor, ca_file=ca_file, clock=context.now, meter=meter)
        controller = Controller(target, http, sockets, context.redactor)
        controller.token = context.controller.token
        yield http, controller


@audit(
    "TLS-05",
    "Browsers are told to use only TLS (HSTS)",
    subject=Subject.TLS,
    severity=Severity.MAJOR,
    safety=Safety.READ_ONLY,
    sends="one request for the health and one for the page",
    why="Without it the first request of a visit can be caught in clear text and kept there.",
    fix='nginx: add_header Strict-Transport-Security "max-age=31536000" always;\n'
    "Or send the same header with every answer of the application.",
    reference="ASVS 3.4.1, RFC 6797",
    needs=("ENC-01",),
)
async def browsers_are_told(context: Context) -> Outcome:
    """Health and page carry Strict-Transport-Security of at least a year."""
    operations, within_s = context.target.contract.operations, context.target.profile.walkthrough.timeout_s
    paths = dict.fromkeys(operations[name].path for name in ("page", "health") if name in operations)
    told: list[str] = []
    expected = f"Strict-Transport-Security: max-age={HSTS_AGE_S} or more"
    problem = ""
    async with over_tls(context) as (http, _):
        for path in paths:
            answer = await http.ask("GET", path, within_s=within_s)
            if answer.error or answer.status is None or answer.status == 429:
                why = answer.error.sentence if answer.error else "the rate limiter refused it (429)"
                reason = answer.error.reason if answer.error else Reason.THROTTLED
                return inconclusive(
                    reason, f"{path} could not be looked at: {why}", evidence=(answer.evidence,)
                )
            header = answer.headers.get("strict-transport-security", "")
            told.append(f"{path}: {one_line(header, 80) or 'no such header'}")
            problem = problem or _hsts_problem(path, header)
    observed = "; ".join(told)
    where = context.target.profile.audit.tls_url or context.target.url
    evidence = (note(context, "Strict-Transport-Security", told, f"curl -sS -I {where}", "http"),)
    if problem:
        return failed(problem, observed=observed, expected=expected, evidence=evidence)
    what = "Strict-Transport-Security is sent for a year or more"
    return passed(what, observed=observed, expected=expected, evidence=evidence)


def _hsts_problem(path: str, header: str) -> str:
    if not header:
        return f"{path} is answered without Strict-Transport-Security"
    found = MAX_AGE.search(header)
    if found is None:
        return f"{path} is answered with a Strict-Transport-Security that says no max-age"
    seconds = int(found[1])
    if seconds < HSTS_AGE_S:
        return f"{path} asks for TLS for {seconds // 86400} days only (max-age={seconds})"
    return ""


@audit(
    "TLS-06",
    "Plain HTTP is refused or redirected to TLS",
    subject=Subject.TLS,
    severity=Severity.BLOCKER,
    safety=Safety.READ_ONLY,
    sends="one request in clear text to the port of TLS, and one to port 80 where TLS is on 443",
    why="A client with an old address sends its password and its token in clear text.",
    fix="nginx: server { listen 80; return 301 https://$host$request_uri; }\n"
    "Let nothing else listen in clear text: uvicorn --host 127.0.0.1 behind the proxy.",
    reference="ASVS 12.2.1, 4.1.2",
    needs=("ENC-01",),
)
async def plain_http_is_refused(context: Context) -> Outcome:
    """No answer of the controller comes back in clear text."""
    probe = tls_probe(context)
    if isinstance(probe, Outcome):
        return probe
    path = context.target.contract.operations["health"].path
    looks = [await probe.plain(path)]
    if probe.endpoint.port == HTTPS_PORT:
        looks.append(await probe.plain(path, port=HTTP_PORT))
    evidence = (
        probe.evidence(
            f"{probe.endpoint}: plain HTTP",
            [look.sentence for look in looks],
            f"curl -sS -i http://{probe.endpoint}{path}",
        ),
    )
    observed, expected = "; ".join(look.sentence for look in looks), "refused, or redirected to https"
    if served := [look for look in looks if look.is_served]:
        what = f"The API is served without TLS: {served[0].sentence}"
        return failed(what, observed=observed, expected=expected, evidence=evidence)
    if looks[0].taken in (Taken.SILENT, Taken.UNREACHABLE):
        # A port that takes the bytes and says nothing has not served them.
        reason = Reason.TIMEOUT if looks[0].taken is Taken.SILENT else Reason.UNREACHABLE
        told = f"Plain HTTP could not be looked at: {looks[0].sentence}"
        return inconclusive(reason, told, observed=observed, expected=expected, evidence=evidence)
    what = "Plain HTTP is refused" if not looks[-1].status else "Plain HTTP is refused or redirected"
    return passed(what, observed=observed, expected=expected, evidence=evidence)


@audit(
    "TLS-07",
    "The WebSocket is spoken over TLS alone",
    subject=Subject.TLS,
    severity=Severity.BLOCKER,
    safety=Safety.READ_ONLY,
    sends="one WebSocket handshake over TLS and one in clear text",
    why="The conversation is what the WebSocket carries, and the token is in its address.",
    fix="Open it as wss:// and let the proxy pass it on: proxy_set_header Upgrade $http_upgrade;\n"
    'proxy_set_header Connection "upgrade"; and serve no ws:// beside it.',
    reference="ASVS 4.4.1, 12.2.1",
    needs=("ENC-01",),
)
async def the_websocket_is_over_tls(context: Context) -> Outcome:
    """A wss handshake succeeds, and one in clear text on the same port does not."""
    probe = tls_probe(context)
    if isinstance(probe, Outcome):
        return probe
    if problem := await signed_in(context):
        return problem
    within_s = context.target.profile.walkthrough.timeout_s
    async with over_tls(context) as (_, controller):
        talk = await controller.converse([], within_s=within_s)
    plain = await probe.plain(
        context.target.contract.operations["ws"].path.partition("?")[0], is_upgrade=True
    )
    clear = probe.evidence(f"{probe.endpoint}: WebSocket in clear text", [plain.sentence])
    evidence = (talk.evidence, clear)
    secure = "wss opened" if talk.opened else f"wss: {talk.error.sentence if talk.error else 'not opened'}"
    observed, expected = f"{secure}; ws: {plain.sentence}", "wss opens, ws is refused"
    if plain.taken is Taken.ACCEPTED and (plain.status == 101 or plain.status in (401, 403)):
        what = f"The WebSocket answers without TLS: {plain.sentence}"
        return failed(what, observed=observed, expected=expected, evidence=evidence)
    if not talk.opened:
        reason = talk.error.reason if talk.error else Reason.PROTOCOL
        why = f"The WebSocket could not be opened over TLS: {talk.error.sentence if talk.error else ''}"
        return inconclusive(reason, why, observed=observed, expected=expected, evidence=evidence)
    if plain.taken in (Taken.SILENT, Taken.UNREACHABLE):
        reason = Reason.TIMEOUT if plain.taken is Taken.SILENT else Reason.UNREACHABLE
        why = f"A WebSocket in clear text could not be tried: {plain.sentence}"
        return inconclusive(reason, why, observed=observed, expected=expected, evidence=evidence)
    what = "The WebSocket opens over TLS, and is refused in clear text"
    return passed(what, observed=observed, expected=expected, evidence=evidence)
