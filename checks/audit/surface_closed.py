"""What should not be there for strangers: documentation, debug pages, internal files, unused methods."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from checks.audit.common import audit, leave_is_missing, listed, note
from checks.audit.surface import NOTHING_THERE, answer_of, nothing_path, unusable
from checks.context import Context
from checks.model import Evidence, Outcome, Safety, Severity, Subject, failed, passed
from checks.probe.http import Answer

VISITOR, METHOD_VISITOR = 13, 14
DOCUMENTATION = ("/docs", "/redoc")
INTERNAL = ("/debug", "/console", "/.env", "/.git/config", "/actuator", "/server-status", "/metrics")
CHANGING = re.compile(rb"[0-9a-f]{4,}|\d+", re.IGNORECASE)
"""Times and ids, which differ between two answers that are otherwise the same."""
COMPARED_BYTES = 1 << 16


def is_public(answer: Answer, path: str, twin: Answer, twin_path: str) -> bool:
    """Whether `path` was served, and is not what every path is answered with."""
    if not 200 <= (answer.status or 0) < 300:
        return False
    return not (answer.status == twin.status and _core(answer, path) == _core(twin, twin_path))


def _core(answer: Answer, path: str) -> bytes:
    body = answer.body[:COMPARED_BYTES].replace(path.encode(), b"").replace(path.strip("/").encode(), b"")
    return CHANGING.sub(b"", body)


async def _public(context: Context, paths: Iterable[str]) -> tuple[list[str], Evidence] | Outcome:
    """Those of `paths` that a stranger is served, and the table of what came back; no body is kept."""
    twin = await answer_of(context, NOTHING_THERE)
    if isinstance(twin, Outcome):
        return twin
    within_s = context.target.profile.walkthrough.timeout_s
    public: list[str] = []
    lines = [_line(nothing_path(context), twin)]
    async with context.visitor(VISITOR) as visitor:
        for path in paths:
            answer = await visitor.http.ask("GET", path, within_s=within_s)
            if problem := unusable(answer, path):
                return problem
            lines.append(_line(path, answer))
            if is_public(answer, path, twin, nothing_path(context)):
                public.append(path)
    first = public[0] if public else next(iter(paths), "/")
    command = f"curl -sS -i {context.target.url}{first}"
    return public, note(context, "Asked for without a token", lines, command, "http")


def _line(path: str, answer: Answer) -> str:
    return f"GET {path}: {answer.status}, {answer.media_type or 'no type'}, {len(answer.body)} bytes"


def _is_declared(context: Context, path: str) -> bool:
    contract = context.target.contract
    is_below = any(one.endswith("/") and len(one) > 1 and path.startswith(one) for one in contract.public)
    return path in contract.public or path == contract.metrics or is_below


@audit(
    "HTTP-03",
    "The API documentation is closed",
    subject=Subject.HTTP,
    severity=Severity.MINOR,
    safety=Safety.READ_ONLY,
    sends="three requests without a token, and one for a path that is not there",
    why="It is a map of every operation and field, for everybody.",
    fix="FastAPI(docs_url=None, redoc_url=None, openapi_url=None), or put them behind the sign-in;\n"
    "nginx: location ~ ^/(docs|redoc|openapi.json) { deny all; }\n"
    "Meant for everybody: list the paths in [contract] public of the profile.",
    reference="ASVS 13.4.5",
)
async def documentation_is_closed(context: Context) -> Outcome:
    """Neither documentation pages nor the API's description are served to a stranger, unless declared public."""
    described = context.target.contract.description
    wanted = dict.fromkeys([*DOCUMENTATION, *([described] if described else [])])
    paths = [path for path in wanted if not _is_declared(context, path)]
    found = await _public(context, paths)
    if isinstance(found, Outcome):
        return found
    public, evidence = found
    expected = f"{', '.join(paths)} refused without a token"
    if public:
        what = f"Served to everybody: {listed(public)}"
        return failed(what, observed=", ".join(public), expected=expected, evidence=(evidence,))
    what = "No documentation is served to a stranger"
    return passed(what, observed="none served", expected=expected, evidence=(evidence,))


@audit(
    "HTTP-04",
    "Debug and internal pages are not public",
    subject=Subject.HTTP,
    severity=Severity.BLOCKER,
    safety=Safety.READ_ONLY,
    sends="at most eight requests without a token for the usual debug, internal and version-control paths",
    why="They give away settings, secrets and code, or run commands for anybody.",
    fix="Switch debug off, and serve no hidden files: nginx: location ~ /\\. { deny all; }\n"
    "Metrics meant for everybody: name the path in [contract] metrics or public of the profile.",
    reference="ASVS 13.4.1, 13.4.2, 13.4.5, OWASP API8:2023",
)
async def internal_pages_are_not_public(context: Context) -> Outcome:
    """None of the usual internal paths is served to a stranger, unless declared public."""
    paths = [path for path in INTERNAL if not _is_declared(context, path)]
    found = await _public(context, paths)
    if isinstance(found, Outcome):
        return found
    public, evidence = found
    expected = f"{', '.join(paths)} not served"
    if public:
        what = f"Served to everybody: {listed(public)}"
        return failed(what, observed=", ".join(public), expected=expected, evidence=(evidence,))
    what = "None of the usual internal pages is served to a stranger"
    return passed(what, observed="none served", expected=expected, evidence=(evidence,))


@audit(
    "HTTP-06",
    "Unused methods are refused",
    subject=Subject.HTTP,
    severity=Severity.MINOR,
    safety=Safety.ACTIVE,
    sends="one TRACE of the root and one PUT of a marked path that is not there; what it made is deleted again",
    why="TRACE shows what proxies added to a request; a PUT that is taken lets strangers leave files.",
    fix="Apache: TraceEnable off;   nginx: limit_except GET POST { deny all; }",
    reference="ASVS 13.4.4, 4.1.4",
)
async def unused_methods_are_refused(context: Context) -> Outcome:
    """TRACE and PUT are not answered as a success."""
    if missing := leave_is_missing(context):
        return missing
    twin = await answer_of(context, NOTHING_THERE)
    if isinstance(twin, Outcome):
        return twin
    within_s, marked = context.target.profile.walkthrough.timeout_s, nothing_path(context)
    answers: dict[str, Answer] = {}
    async with context.visitor(METHOD_VISITOR) as visitor:
        answers["TRACE /"] = await visitor.http.ask("TRACE", "/", within_s=within_s)
        answers[f"PUT {marked}"] = await visitor.http.ask(
            "PUT", marked, within_s=within_s, json_body={"marked": context.nonce}
        )
        for name, answer in answers.items():
            if problem := unusable(answer, name):
                return problem
        taken = _taken(answers, twin)
        if any(name.startswith("PUT") for name in taken):
            await visitor.http.ask("DELETE", marked, within_s=within_s)
    lines = [f"{name}: {answer.status}" for name, answer in answers.items()]
    evidence = (note(context, "Methods that nothing needs", lines, f"curl -X TRACE {context.target.url}/"),)
    observed, expected = "; ".join(lines), "each refused (405 or another 4xx, 501)"
    if taken:
        what = f"Answered as a success: {listed(taken)}"
        return failed(what, observed=observed, expected=expected, evidence=evidence)
    return passed("TRACE and PUT are refused", observed=observed, expected=expected, evidence=evidence)


def _taken(answers: Mapping[str, Answer], twin: Answer) -> list[str]:
    """The requests that succeeded; a page that answers everything alike takes no PUT by that."""
    return [
        name
        for name, answer in answers.items()
        if 200 <= (answer.status or 0) < 300
        and not (name.startswith("PUT") and answer.status == twin.status and answer.body == twin.body)
    ]
