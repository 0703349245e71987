"""Error answers: nothing of the program's inside, all of one shape, each with an id to ask for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from checks.audit.broken import Tried, broken_bodies, first_of, is_refused, throttled
from checks.audit.common import audit, leave_is_missing, note
from checks.audit.surface import SOFTWARE, TELLING
from checks.context import Context
from checks.model import Evidence, Outcome, Reason, Safety, Severity, Subject, failed, inconclusive, passed
from checks.probe.http import Answer
from checks.probe.websocket import WebSocketProbe
from checks.profile.template import fill_path
from checks.text import one_line
from checks.walkthrough.errors import INSIDE

VISITOR = 22
LEAKS: Mapping[str, re.Pattern[str]] = {
    "a stack trace": INSIDE,
    "a path of the host": re.compile(
        r"(?<![\w./:])/(?:home|usr|opt|srv|var|root|app|etc|site-packages)/[\w./-]+"
    ),
    "a path of the host ": re.compile(r"\b[A-Z]:\\\\?(?:Users|Windows|Program|inetpub)"),
    "a fragment of SQL": re.compile(
        r"\bSELECT\b.{1,200}\bFROM\b|\bINSERT INTO\b|\bUPDATE\b.{1,80}\bSET\b|SQLSTATE|sqlite3\.|psycopg"
        r"|syntax error at or near|unrecognized token|constraint failed",
        re.DOTALL,
    ),
    "a name of the program": re.compile(
        r"object has no attribute|<[\w.]+ object at 0x|NoneType|\b\w+(?:\.\w+)*\.\w*(?:Error|Exception)\b"
    ),
    "a library with its version": re.compile(SOFTWARE.pattern + r"|errors\.pydantic\.dev/\d", re.IGNORECASE),
}
"""What no error text for people holds."""
LEAKY = 'Traceback (most recent call last):\n  File "/srv/app/main.py", line 3, in task'
"""The matcher has to see that."""
BROKEN_FRAMES = ("{cut off", '{"type": "gonogo"}')
ID_HEADERS = (
    "x-request-id",
    "x-correlation-id",
    "request-id",
    "x-trace-id",
    "x-amzn-trace-id",
    "traceparent",
)
ID_FIELDS = ("request_id", "requestid", "trace_id", "traceid", "correlation_id", "error_id", "incident")


@dataclass(frozen=True, slots=True)
class Errors:
    """The error answers of one run."""

    answers: tuple[tuple[str, Answer], ...]
    """What was asked -> the answer over HTTP."""
    frames: tuple[tuple[str, str], ...]
    """What was sent -> the answer over the WebSocket."""
    unjudged: str
    """Why not all could be looked at; empty where they could."""


@dataclass(slots=True)
class _Kept:
    errors: Errors | None = None


async def errors_of(context: Context) -> Errors | Outcome:
    """Broken bodies, a path and a method that are not there, a broken frame: asked once in a run."""
    kept = context.state(_Kept)
    if kept.errors is not None:
        return kept.errors
    tried = await broken_bodies(context)
    if isinstance(tried, Outcome):
        return tried
    within_s = context.target.profile.walkthrough.timeout_s
    token, bots = context.controller.token, context.controller.operation("bots")
    below = bots.path.partition("?")[0].rpartition("/")[0]
    nothing = f"{below}/gonogo-{context.nonce}"
    answers = [
        (one.what, one.reply.answer) for one in tried if is_refused(context, one.reply) or _is_fault(one)
    ]
    unjudged = next((one.problem for one in tried if throttled(one.reply)), "")
    async with context.visitor(VISITOR) as visitor:
        for what, method, path in (
            ("a path that is not there", "GET", nothing),
            ("a method that is not there", "DELETE" if bots.method != "DELETE" else "PUT", bots.path),
        ):
            answer = await visitor.http.ask(method, path, within_s=within_s, token=token)
            if answer.status is None or answer.status == 429:
                unjudged = unjudged or (
                    answer.error.sentence if answer.error else "the rate limiter refused it"
                )
            elif answer.status >= 400:
                answers.append((what, answer))
    frames = await _broken_frames(context) if "ws" in context.target.contract.operations and token else ()
    kept.errors = Errors(tuple(answers), frames, unjudged)
    return kept.errors


async def _broken_frames(context: Context) -> tuple[tuple[str, str], ...]:
    target, path = context.target, context.controller.operation("ws").path
    probe = WebSocketProbe(
        target.url,
        context.redactor,
        ca_file=target.profile.target.ca_file,
        clock=context.now,
        meter=context.http.meter,
    )
    within_s = target.profile.walkthrough.timeout_s
    talk = await probe.converse(
        fill_path(path, {"token": context.controller.token}), BROKEN_FRAMES, within_s=within_s
    )
    return tuple((f"the frame {frame.sent}", frame.reply or "") for frame in talk.frames)


def _is_fault(tried: Tried) -> bool:
    return (tried.reply.answer.status or 0) >= 500


@audit(
    "ERR-01",
    "Error answers reveal nothing internal",
    subject=Subject.HTTP,
    severity=Severity.MAJOR,
    safety=Safety.ACTIVE,
    sends="broken bodies, a path and a method that are not there, two broken frames",
    why="Attackers get a map of the system for nothing.",
    fix="One handler for every exception: log it with its cause, and answer a text of your own and the request's id;\n"
    "FastAPI(debug=False); @app.exception_handler(Exception) ... JSONResponse({...}, 500)",
    reference="ASVS 16.5.1, 13.4.6, OWASP API8:2023",
)
async def errors_reveal_nothing(context: Context) -> Outcome:
    """No error holds a stack trace, a path, SQL, a name of the program or a library's version."""
    if missing := leave_is_missing(context):
        return missing
    if leak_in(LEAKY) != "a stack trace":
        return inconclusive(Reason.CONTROL, "The search for stack traces does not see one any more")
    errors = await errors_of(context)
    if isinstance(errors, Outcome):
        return errors
    problems: list[str] = []
    evidence: list[Evidence] = []
    for what, answer in errors.answers:
        headers = "\n".join(
            f"{name}: {value}" for name, value in answer.headers.items() if name not in TELLING
        )
        if leak := leak_in(answer.text) or leak_in(headers):
            problems.append(f"{what}: the answer shows {leak}")
            evidence.append(answer.evidence)
    for what, reply in errors.frames:
        if leak := leak_in(reply):
            problems.append(f"{what}: the answer shows {leak}")
    expected = "a text for people, without anything of the program's inside"
    seen = [_table(context, errors), *evidence[:2]]
    if problems:
        return failed(first_of(problems), observed="; ".join(problems), expected=expected, evidence=seen)
    if unjudged := _unjudged(errors, seen):
        return unjudged
    count = len(errors.answers) + len(errors.frames)
    return passed(
        f"None of {count} error answers shows anything of the inside",
        observed=f"{count} error answers",
        expected=expected,
        evidence=seen,
    )


@audit(
    "ERR-02",
    "Errors have one shape and an id",
    subject=Subject.HTTP,
    severity=Severity.MINOR,
    safety=Safety.ACTIVE,
    sends="the same as ERR-01, once in a run",
    why="Clients cannot tell what went wrong, and support cannot connect a complaint with its line in the log.",
    fix='Answer every error as {"success": false, "error": "...", "timestamp": "..."}, framework errors too,\n'
    "with the X-Request-ID that the log also has: asgi-correlation-id,\n"
    "or nginx: add_header X-Request-ID $request_id always;",
    reference="ASVS 16.2.1, RFC 9457",
)
async def errors_have_one_shape(context: Context) -> Outcome:
    """All error answers over HTTP are JSON with the same fields, and carry an id of the request."""
    if missing := leave_is_missing(context):
        return missing
    errors = await errors_of(context)
    if isinstance(errors, Outcome):
        return errors
    shapes: dict[str, str] = {}
    without_id = []
    for what, answer in errors.answers:
        shapes.setdefault(shape_of(answer), what)
        if not has_id(answer):
            without_id.append(what)
    problems = []
    if len(shapes) > 1:
        told = "; ".join(f"{shape} ({what})" for shape, what in shapes.items())
        problems.append(f"errors come in {len(shapes)} shapes: {told}")
    elif any(not shape.startswith("{") for shape in shapes):
        problems.append(f"errors are no JSON objects: {', '.join(shapes)}")
    if without_id:
        count = f"{len(without_id)} of {len(errors.answers)}"
        problems.append(f"{count} error answers carry no id of the request ({without_id[0]})")
    expected = "the same fields in each error, and X-Request-ID or a field with the id"
    seen = [_table(context, errors)]
    if problems:
        what = one_line(problems[0][0].upper() + problems[0][1:], 300)
        return failed(what, observed="; ".join(problems), expected=expected, evidence=seen)
    if unjudged := _unjudged(errors, seen):
        return unjudged
    shape = next(iter(shapes), "")
    return passed(
        f"All {len(errors.answers)} error answers have one shape and an id",
        observed=shape,
        expected=expected,
        evidence=seen,
    )


def _unjudged(errors: Errors, seen: list[Evidence]) -> Outcome | None:
    if errors.unjudged:
        why = f"Not every error could be looked at: {errors.unjudged}"
        return inconclusive(Reason.THROTTLED, why, evidence=seen)
    if not errors.answers:
        return inconclusive(
            Reason.BLOCKED, "None of the wrong requests was answered with an error", evidence=seen
        )
    return None


def _table(context: Context, errors: Errors) -> Evidence:
    lines = [f"{what}: {answer.status} {one_line(answer.text, 100)}" for what, answer in errors.answers]
    lines += [f"{what}: {one_line(reply, 100)}" for what, reply in errors.frames]
    return note(context, "Error answers", lines, kind="http")


def leak_in(text: str) -> str:
    """What of the program's inside stands in `text`; empty where nothing does."""
    return next((what.strip() for what, pattern in LEAKS.items() if pattern.search(text)), "")


def shape_of(answer: Answer) -> str:
    """The fields of an error with their kinds; the media type where it is no JSON object."""
    document = answer.json()
    if not isinstance(document, dict):
        return answer.media_type or "no content type"
    kinds = sorted(f"{name}: {type(value).__name__}" for name, value in document.items())
    return one_line("{" + ", ".join(kinds) + "}", 120)


def has_id(answer: Answer) -> bool:
    """Whether the answer carries something to find it by in the log."""
    if any(answer.headers.get(name, "").strip() for name in ID_HEADERS):
        return True
    document = answer.json()
    return isinstance(document, dict) and any(str(name).lower() in ID_FIELDS for name in document)
