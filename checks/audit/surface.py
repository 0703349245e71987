"""The HTTP surface as it is set up: headers of the page and the API, versions told, cookies."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from checks.audit.common import audit, listed, note, signed_in
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
from checks.profile.template import fill_path
from checks.text import one_line

PAGE, LIST, NOTHING_THERE, SIGN_IN = "the page", "the list of bots", "a path that is not there", "the sign-in"
VISITOR, SIGN_IN_VISITOR = 10, 12
TELLING = ("server", "x-powered-by", "x-aspnet-version", "x-aspnetmvc-version", "x-generator", "via")
"""Headers in which servers and frameworks tell what they are."""
NUMBERED = re.compile(r"\d+\.\d+")
SOFTWARE = re.compile(
    r"\b(?:nginx|apache|tomcat|jetty|iis|uvicorn|gunicorn|hypercorn|daphne|starlette|fastapi|flask|django|werkzeug"
    r"|python|aiohttp|tornado|express|node|php|openssl|envoy|traefik|caddy|haproxy)[/ ]v?\d+(?:\.\d+)+",
    re.IGNORECASE,
)
NEXT_COOKIE = re.compile(r",\s*(?=[!#$%&'*+.^_`|~0-9A-Za-z-]+=)")
"""Where one cookie ends and the next begins in joined headers; the comma in `Expires=Wed, 21 Oct` is none."""


@dataclass(slots=True)
class _Looks:
    """The answers that several checks of one run judge."""

    answers: dict[str, Answer] = field(default_factory=dict)


def nothing_path(context: Context) -> str:
    """A path that nobody has made."""
    return f"/gonogo-{context.nonce}"


async def answer_of(context: Context, what: str) -> Answer | Outcome:
    """The answer of PAGE, LIST or NOTHING_THERE, asked once in a run; else the outcome that says why there is none."""
    looks = context.state(_Looks).answers
    if what not in looks:
        needs_token = what == LIST and context.target.contract.rest_auth == "bearer"
        if needs_token and (problem := await signed_in(context)):
            return problem
        operations = context.target.contract.operations
        names = {PAGE: "page", LIST: "bots"}
        path = fill_path(operations[names[what]].path, {}) if what in names else nothing_path(context)
        within_s = context.target.profile.walkthrough.timeout_s
        async with context.visitor(VISITOR) as visitor:
            token = context.controller.token if what == LIST else ""
            looks[what] = await visitor.http.ask("GET", path, within_s=within_s, token=token)
    answer = looks[what]
    problem = unusable(answer, what)
    if problem is None and what != NOTHING_THERE and not 200 <= (answer.status or 0) < 300:
        return inconclusive(
            Reason.PROTOCOL, f"{_begun(what)} was answered {answer.status}", evidence=(answer.evidence,)
        )
    return problem or answer


def unusable(answer: Answer, what: str) -> Outcome | None:
    """The INCONCLUSIVE outcome of an answer that tells nothing: none at all, or throttled."""
    if answer.error or answer.status is None:
        reason = answer.error.reason if answer.error else Reason.PROTOCOL
        why = answer.error.sentence if answer.error else "no answer"
        return inconclusive(
            reason, f"{_begun(what)} could not be looked at: {why}", evidence=(answer.evidence,)
        )
    if answer.status == 429:
        why = f"{_begun(what)} could not be looked at: the rate limiter refused it (429)"
        return inconclusive(Reason.THROTTLED, why, evidence=(answer.evidence,))
    return None


def _begun(what: str) -> str:
    """As the beginning of a sentence."""
    return what[:1].upper() + what[1:]


def is_nosniff(answer: Answer) -> bool:
    """Whether browsers are told not to guess what the answer is."""
    return answer.headers.get("x-content-type-options", "").strip().lower() == "nosniff"


def headers_note(
    context: Context, title: str, answers: dict[str, Answer], names: tuple[str, ...]
) -> Evidence:
    """Evidence of those headers of several answers."""
    lines = []
    for what, answer in answers.items():
        lines.append(f"{what}: {answer.status}")
        lines += [
            f"  {name}: {one_line(answer.headers[name], 300)}" for name in names if name in answer.headers
        ]
    return note(context, title, lines, f"curl -sS -I {context.target.url}/", "http")


@audit(
    "ENC-05",
    "The page carries the security headers",
    subject=Subject.HTTP,
    severity=Severity.MAJOR,
    safety=Safety.READ_ONLY,
    sends="one request for the page and one for a path that is not there",
    why="Browsers are left without their defences against foreign scripts, frames and guessed file types.",
    fix="Content-Security-Policy: default-src 'self'; frame-ancestors 'none'\n"
    "Referrer-Policy: no-referrer\nX-Content-Type-Options: nosniff",
    reference="ASVS 3.4.3, 3.4.4, 3.4.5, 3.4.6",
)
async def the_page_is_defended(context: Context) -> Outcome:
    """Content-Security-Policy with frame-ancestors, Referrer-Policy and nosniff on the page; nosniff on an error."""
    if "page" not in context.target.contract.operations:
        return not_applicable("The contract names no page: no browser is served")
    page = await answer_of(context, PAGE)
    if isinstance(page, Outcome):
        return page
    nothing = await answer_of(context, NOTHING_THERE)
    if isinstance(nothing, Outcome):
        return nothing
    policy = page.headers.get("content-security-policy", "").lower()
    directives = [part.split()[0] for part in policy.split(";") if part.split()]
    referrer = page.headers.get("referrer-policy", "").lower()
    missing = [
        what
        for what, is_there in (
            ("Content-Security-Policy", bool(directives)),
            ("frame-ancestors in Content-Security-Policy", not directives or "frame-ancestors" in directives),
            ("Referrer-Policy", bool(referrer) and "unsafe-url" not in referrer),
            ("X-Content-Type-Options: nosniff", is_nosniff(page)),
            ("X-Content-Type-Options: nosniff (on an error)", is_nosniff(nothing)),
        )
        if not is_there
    ]
    names = (
        "content-security-policy",
        "referrer-policy",
        "x-content-type-options",
        "x-frame-options",
        "content-type",
    )
    evidence = (
        headers_note(context, "Security headers of the page", {PAGE: page, NOTHING_THERE: nothing}, names),
    )
    expected = "Content-Security-Policy with frame-ancestors, Referrer-Policy, X-Content-Type-Options"
    if missing:
        what = f"The page is sent without {listed(missing)}"
        return failed(what, observed=f"missing: {', '.join(missing)}", expected=expected, evidence=evidence)
    return passed("The page carries all of them", observed=policy, expected=expected, evidence=evidence)


@audit(
    "HTTP-01",
    "API answers are JSON, not guessed at and not kept",
    subject=Subject.HTTP,
    severity=Severity.MAJOR,
    safety=Safety.READ_ONLY,
    sends="one request for the list of bots",
    why="An answer that a cache keeps, or a browser takes for a page, shows one user's data to another.",
    fix="Cache-Control: no-store\nX-Content-Type-Options: nosniff\nContent-Type: application/json",
    reference="ASVS 14.3.2, 4.1.1, 3.4.4",
)
async def api_answers_are_not_kept(context: Context) -> Outcome:
    """The list of bots is called JSON, with nosniff and no-store."""
    answer = await answer_of(context, LIST)
    if isinstance(answer, Outcome):
        return answer
    cache = answer.headers.get("cache-control", "").lower()
    words = [word.strip() for word in cache.split(",")]
    kind = answer.media_type
    wrong = [
        what
        for what, is_right in (
            (
                f"it is called {kind or 'nothing'}, not JSON",
                kind == "application/json" or kind.endswith("+json"),
            ),
            ("nosniff is missing", is_nosniff(answer)),
            (
                f"caches may keep it (Cache-Control: {cache or 'none'})",
                "no-store" in words and "public" not in words,
            ),
        )
        if not is_right
    ]
    names = ("content-type", "cache-control", "x-content-type-options")
    evidence = (headers_note(context, "Headers of the list of bots", {LIST: answer}, names),)
    observed = f"{kind}; {cache or 'no Cache-Control'}; {'nosniff' if is_nosniff(answer) else 'no nosniff'}"
    expected = "application/json; no-store; nosniff"
    if wrong:
        what = f"The list of bots: {listed(wrong)}"
        return failed(what, observed=observed, expected=expected, evidence=evidence)
    return passed(
        "The list of bots is JSON that nobody keeps", observed=observed, expected=expected, evidence=evidence
    )


@audit(
    "HTTP-05",
    "The versions of the software are not told",
    subject=Subject.HTTP,
    severity=Severity.MINOR,
    safety=Safety.READ_ONLY,
    sends="one request each for the page, the list of bots and a path that is not there",
    why="A version number tells an attacker which published weakness to try first.",
    fix="nginx: server_tokens off;   uvicorn: --no-server-header\nRemove X-Powered-By in the framework or proxy.",
    reference="ASVS 13.4.6",
)
async def versions_are_not_told(context: Context) -> Outcome:
    """No header names a product with a version number, and no error text does."""
    answers: dict[str, Answer] = {}
    whats = (
        [PAGE, LIST, NOTHING_THERE] if "page" in context.target.contract.operations else [LIST, NOTHING_THERE]
    )
    for what in whats:
        answer = await answer_of(context, what)
        if isinstance(answer, Outcome):
            return answer
        answers[what] = answer
    told = [
        f"{name}: {one_line(answer.headers[name], 60)} ({what})"
        for what, answer in answers.items()
        for name in TELLING
        if name in answer.headers
        and (
            NUMBERED.search(answer.headers[name].partition(" ")[2 if name == "via" else 0])
            or SOFTWARE.search(answer.headers[name])
        )
    ]
    body = SOFTWARE.search(answers[NOTHING_THERE].text[:20_000])
    if body:
        told.append(f"“{body[0]}” in the text of an error")
    evidence = (headers_note(context, "Headers that tell of the software", answers, TELLING),)
    expected = "no product with a version number"
    if told:
        what = f"The version is told: {told[0]}"
        return failed(what, observed="; ".join(told), expected=expected, evidence=evidence)
    what = "Neither headers nor an error tell a version"
    return passed(what, observed="none", expected=expected, evidence=evidence)


@audit(
    "HTTP-07",
    "Cookies are Secure, HttpOnly and SameSite",
    subject=Subject.HTTP,
    severity=Severity.MAJOR,
    safety=Safety.READ_ONLY,
    sends="one request each for the page, the list of bots and a path that is not there, and one sign-in",
    why="A cookie without these is read by scripts, sent in clear text, or used by other sites.",
    fix="Set-Cookie: NAME=...; Secure; HttpOnly; SameSite=Strict; Path=/",
    reference="ASVS 3.3.1, 3.3.2, 3.3.4",
)
async def cookies_are_guarded(context: Context) -> Outcome:
    """Every cookie that the page, the list, an error or the sign-in sets has all three attributes."""
    answers: dict[str, Answer] = {}
    whats = (
        [PAGE, LIST, NOTHING_THERE] if "page" in context.target.contract.operations else [LIST, NOTHING_THERE]
    )
    for what in whats:
        answer = await answer_of(context, what)
        if isinstance(answer, Outcome):
            return answer
        answers[what] = answer
    known = context.target.credentials
    if known.username and known.password and "login" in context.target.contract.operations:
        async with context.visitor(SIGN_IN_VISITOR) as visitor:
            reply = await visitor.controller.ask(
                "login", with_token=False, username=known.username, password=known.password
            )
        if problem := unusable(reply.answer, SIGN_IN):
            return problem
        if token := reply.field("token"):
            context.redactor.learn(token)
        answers[SIGN_IN] = reply.answer
    cookies = [
        (what, cookie)
        for what, answer in answers.items()
        for cookie in cookies_of(answer.headers.get("set-cookie", ""))
    ]
    where = ", ".join(answers)
    if not cookies:
        return not_applicable(f"No cookie is set by {where}")
    lines = [
        f"{what}: {name} {'lacks ' + ', '.join(lacks) if lacks else 'has all'}"
        for what, (name, lacks) in cookies
    ]
    evidence = (note(context, "Cookies that are set, without their values", lines, kind="http"),)
    expected = "Secure, HttpOnly and SameSite on each"
    if bare := [line for line, (_, (_, lacks)) in zip(lines, cookies, strict=True) if lacks]:
        what = f"A cookie is not guarded: {bare[0]}"
        return failed(what, observed="; ".join(lines), expected=expected, evidence=evidence)
    what = f"{len(cookies)} cookies, each with all three"
    return passed(what, observed="; ".join(lines), expected=expected, evidence=evidence)


def cookies_of(header: str) -> list[tuple[str, list[str]]]:
    """The name of each cookie in Set-Cookie headers joined by commas, and the attributes that it lacks."""
    found: list[tuple[str, list[str]]] = []
    for cookie in NEXT_COOKIE.split(header)[:50]:
        name, *attributes = (part.strip() for part in cookie.split(";"))
        if "=" not in name:
            continue
        # SameSite=None sends it along with requests of every other site.
        given = {part.partition("=")[0].strip().lower() for part in attributes if "none" not in part.lower()}
        lacks = [wanted for wanted in ("Secure", "HttpOnly", "SameSite") if wanted.lower() not in given]
        found.append((one_line(name.partition("=")[0], 40), lacks))
    return found
