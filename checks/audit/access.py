"""Who may do what: nothing without a token, and with one no more than was meant."""

from __future__ import annotations

import base64
import json
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from checks.audit.broken import first_of, is_refused, marked, throttled
from checks.audit.common import a_bot, audit, leave_is_missing, listed, note, signed_in
from checks.audit.routes import DIGITS, Route, described, own_routes, without_public
from checks.context import Context, Visitor
from checks.controller import Reply
from checks.launches import Bot
from checks.model import Evidence, Outcome, Reason, Safety, Severity, Subject, failed, inconclusive, passed
from checks.probe.http import Answer
from checks.profile.template import pick
from checks.text import one_line
from checks.walkthrough.walk import bot_id

STRANGER, USER, FIELDS_VISITOR = 27, 29, 26
NOBODY = 66
MAX_ROUTES = 20
RANDOM_TOKENS = 2
"""So many of the routes are also asked with a random token; the checks of JWT try better ones."""
FORGED_ID = 987_654_321
FORGED_TIME = "1999-01-01T00:00:00"
CREDENTIAL = re.compile(
    r"passw|passphrase|secret|(?:^|_)(?:pwd|salt)(?:$|_)|^hash$|private_?key|api_?key", re.IGNORECASE
)
MAX_DEPTH = 6


@dataclass(frozen=True, slots=True)
class Asked:
    """One route as a stranger asked for it."""

    route: Route
    answer: Answer
    same_with_token: bool = False
    """Whether it is answered just so with a token too: nobody asked who it was."""

    @property
    def is_refused(self) -> bool:
        """Whether the stranger was told to sign in."""
        return self.answer.status in (401, 403)

    @property
    def is_open(self) -> bool:
        """Whether the stranger was served like a user."""
        status = self.answer.status or 0
        return 200 <= status < 300 or (not self.is_refused and self.same_with_token)


@audit(
    "AUTH-01",
    "Nothing but the public paths is answered without a token",
    subject=Subject.HTTP,
    severity=Severity.BLOCKER,
    safety=Safety.ACTIVE,
    sends="one request without a token for each operation, with ids of bots that do not exist; two with a random token",
    why="Strangers can drive bots, and read what others said to them.",
    fix="Check the token for all routes in one place: FastAPI(dependencies=[Depends(current_user)]);\n"
    "Meant for everybody: list the path in [contract] public of the profile.",
    reference="ASVS 8.3.1, OWASP API2:2023, API5:2023",
)
async def strangers_are_refused(context: Context) -> Outcome:
    """Every operation outside of the public paths refuses a stranger with 401 or 403."""
    if missing := leave_is_missing(context):
        return missing
    is_signed_in = await signed_in(context) is None
    routes, where = await described(context)
    if not routes:
        routes, where = own_routes(context), "the contract"
    routes = without_public(context, routes)[:MAX_ROUTES]
    if not routes:
        return inconclusive(Reason.NO_SOURCE, "There is no list of operations: set [contract] description")
    async with context.visitor(STRANGER) as stranger, context.visitor(USER) as user:
        asked: list[Asked] = []
        for route in routes:
            asked.append(await _ask(context, route, stranger, user if is_signed_in else None))
            if asked[-1].answer.status is None:
                break  # whoever does not answer one will hardly answer the next
        made_up = [
            Asked(route, await _answer(context, route, stranger, secrets.token_urlsafe(24)))
            for route in [one.route for one in asked if one.is_refused][:RANDOM_TOKENS]
        ]
        control = await user.controller.ask("bots") if is_signed_in else None
    return _judged(context, asked, made_up, control, where)


def _judged(
    context: Context, asked: list[Asked], made_up: list[Asked], control: Reply | None, where: str
) -> Outcome:
    lines = [f"{one.route.name}: {one.answer.status}" for one in asked]
    lines += [f"{one.route.name} with a random token: {one.answer.status}" for one in made_up]
    title = f"Operations of {where} without a token"
    evidence = [note(context, title, lines, f"curl -sS -i {context.target.url}{asked[0].route.path}", "http")]
    observed, expected = "; ".join(lines), "401 or 403 for each operation that is not public"
    everyone = [*asked, *made_up]
    if silent := [one for one in everyone if one.answer.status in (None, 429)]:
        error = silent[0].answer.error
        why = error.sentence if error else "the rate limiter refused it (429)"
        reason = error.reason if error else Reason.THROTTLED
        return inconclusive(reason, f"{silent[0].route.name} could not be judged: {why}", evidence=evidence)
    if is_open := [one for one in everyone if one.is_open]:
        evidence.append(is_open[0].answer.evidence)
        count = f"{len({one.route for one in is_open})} of {len(asked)} operations answer without a token"
        names = listed([one.route.name for one in is_open], 3)
        who = (
            "Anybody can drive bots"
            if any(one.route.is_driving for one in is_open)
            else "Strangers are served"
        )
        if all(one in made_up for one in is_open):
            who, count = "A random token is believed", f"{len(is_open)} operations answer with one"
        return failed(f"{who}: {count} ({names})", observed=observed, expected=expected, evidence=evidence)
    if control is not None and control.answer.status in (401, 403):
        why = f"Even with a token the list of bots is refused: {control.problem}"
        return inconclusive(Reason.CONTROL, why, evidence=[*evidence, *control.seen[-1:]])
    early = [one.route.name for one in asked if not one.is_refused]
    if early and control is None:
        why = f"{listed(early)} was refused for another reason than the missing token; nobody is signed in to compare"
        return inconclusive(Reason.NO_SOURCE, why, observed=observed, expected=expected, evidence=evidence)
    told = f"; before they ask who it is, {listed(early)} say what is wrong" if early else ""
    return passed(
        f"All {len(asked)} operations of {where} refuse a stranger{told}",
        observed=observed,
        expected=expected,
        evidence=evidence,
    )


async def _ask(context: Context, route: Route, stranger: Visitor, user: Visitor | None) -> Asked:
    answer = await _answer(context, route, stranger, "")
    asked = Asked(route, answer)
    if user is None or asked.is_refused or asked.is_open or answer.status in (None, 429):
        return asked
    other = await _answer(context, route, user, context.controller.token)
    is_same = other.status == answer.status and _core(other) == _core(answer)
    return Asked(route, answer, same_with_token=is_same)


async def _answer(context: Context, route: Route, visitor: Visitor, token: str) -> Answer:
    return await visitor.http.ask(
        route.method,
        route.path,
        within_s=context.target.profile.walkthrough.timeout_s,
        json_body=route.body,
        token=token,
    )


def _core(answer: Answer) -> str:
    """The body but for numbers: times and ids differ between two answers that are otherwise the same."""
    return DIGITS.sub("", answer.text)


@audit(
    "API-04",
    "Only the fields that are meant are taken and answered",
    subject=Subject.HTTP,
    severity=Severity.MAJOR,
    safety=Safety.ACTIVE,
    sends="one sign-in and one command to its own bot with further fields: role, owner, id, time, another bot",
    why="Users promote themselves, or write in the name of others; and answers give away what is stored of them.",
    fix="Take single fields by name, never whole bodies (setattr, **body), and refuse others:\n"
    'model_config = ConfigDict(extra="forbid"); answer through a model of its own (response_model).',
    reference="ASVS 15.3.1, 15.3.3, OWASP API3:2023",
)
async def only_meant_fields_count(context: Context) -> Outcome:
    """Further fields change nothing in the answer, the token or the stored row; no answer names a credential."""
    if missing := leave_is_missing(context):
        return missing
    bot = await a_bot(context)
    if isinstance(bot, Outcome):
        return bot
    mark = marked(context, "fields")
    async with context.visitor(FIELDS_VISITOR) as visitor:
        sign_in = await _sign_in(context, visitor, mark)
        sent = await visitor.controller.ask(
            "send",
            bot_id=bot.bot_id,
            raw_body=json.dumps(_with_more(context, bot, mark)).encode(),
        )
    replies = {"the command": sent} | ({"the sign-in": sign_in} if sign_in else {})
    evidence = [piece for reply in replies.values() for piece in reply.seen[-1:]]
    for name, reply in replies.items():
        if throttled(reply) or not (reply.ok or is_refused(context, reply)):
            return inconclusive(reply.reason, f"{name} was not answered: {reply.problem}", evidence=evidence)
    problems: list[str] = []
    for name, reply in replies.items():
        if reply.ok:
            problems += [f"{name} answers the field {key}" for key in credential_names(reply.document)]
    if sign_in and sign_in.ok and mark in _said(sign_in):
        problems.append("the sign-in takes the role that was asked for")
    looked = "the command was refused"
    if sent.ok:
        named = sent.field("bot_id")
        if named and named != bot.bot_id:
            problems.append(f"the command was given to {one_line(named, 40)}, the bot of its further field")
        wrong, looked, seen = await _stored(context, bot, mark)
        problems += wrong
        evidence += seen
    expected = "further fields ignored or refused, and no credential in an answer"
    if problems:
        return failed(first_of(problems), observed="; ".join(problems), expected=expected, evidence=evidence)
    told = " and ".join(
        f"{name} was {'refused' if not reply.ok else 'as ever'}" for name, reply in replies.items()
    )
    return passed(
        f"Further fields give nothing: {looked}", observed=told, expected=expected, evidence=evidence
    )


async def _sign_in(context: Context, visitor: Visitor, mark: str) -> Reply | None:
    known = context.target.credentials
    if not (known.username and known.password and "login" in context.target.contract.operations):
        return None
    operation = context.controller.operation("login")
    values = {"{username}": known.username, "{password}": known.password}
    body = {key: values.get(str(text), text) for key, text in (operation.body or {}).items()}
    more = {"role": mark, "roles": [mark], "scope": mark, "owner": mark, "id": FORGED_ID, "is_admin": True}
    reply = await visitor.controller.ask(
        "login", with_token=False, raw_body=json.dumps({**more, **body}).encode()
    )
    if token := reply.field("token"):
        context.redactor.learn(token)
    return reply


def _said(reply: Reply) -> str:
    """Everything that a sign-in answered, and the claims of its token, as text for a search."""
    parts = reply.field("token").split(".")
    claims = ""
    if len(parts) == 3:
        try:
            claims = base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)).decode(
                "utf-8", "replace"
            )
        except ValueError:
            claims = ""
    return reply.answer.text + claims


def _with_more(context: Context, bot: Bot, mark: str) -> Mapping[str, object]:
    """The body of a command with further fields, named as columns and privileges are."""
    columns, roles = context.target.contract.columns, context.target.contract
    more: dict[str, object] = {
        "owner": mark,
        "is_admin": True,
        "role": roles.bot_role,
        columns.get("id", "id"): FORGED_ID,
        columns.get("time", "timestamp"): FORGED_TIME,
        columns.get("bot_id", "bot_id"): bot_id(context, NOBODY),
        columns.get("role", "role"): roles.bot_role,
    }
    values = {"{text}": mark, "{bot_id}": bot.bot_id}
    body = {
        key: values.get(str(text), text)
        for key, text in (context.controller.operation("send").body or {}).items()
    }
    return {**more, **body}


async def _stored(context: Context, bot: Bot, mark: str) -> tuple[list[str], str, tuple[Evidence, ...]]:
    """What of the further fields is in the row of the command; and the words for where was looked."""
    contract = context.target.contract
    rows = await context.sql.messages(bot.bot_id)
    if rows.error is None:
        own = [row for row in rows.rows if row.text == mark]
        problems = []
        if any(row.role == contract.bot_role for row in own):
            problems.append(f"a command is stored as said by the {contract.bot_role}, by its further field")
        if any(str(row.id) == str(FORGED_ID) or str(row.time).startswith("1999") for row in own):
            problems.append("a command is stored with the id or time of its further field")
        other = await context.sql.messages(bot_id(context, NOBODY))
        if any(row.text == mark for row in other.rows):
            problems.append("a command is stored for another bot, by its further field")
        return problems, "the stored row holds none of them", (rows.evidence,) if problems else ()
    reply = await context.controller.ask("history", bot_id=bot.bot_id, limit="100")
    names = contract.operations["history"].reply
    found = reply.fields.get("messages")
    messages = found if isinstance(found, list) else []
    forged = any(
        pick(one, names.get("text", "text")) == mark
        and pick(one, names.get("role", "role")) == contract.bot_role
        for one in messages
    )
    problems = (
        [f"a command is stored as said by the {contract.bot_role}, by its further field"] if forged else []
    )
    return problems, "the history shows none of them", reply.seen[-1:]


def credential_names(document: object) -> list[str]:
    """The names of fields of an answer that are called like a stored credential."""
    return sorted({name for name in _names(document, 0) if CREDENTIAL.search(name)})[:5]


def _names(document: object, depth: int) -> Iterator[str]:
    if depth > MAX_DEPTH:
        return
    if isinstance(document, dict):
        yield from (str(name) for name in document)
    inner: Iterable[object] = (
        document.values() if isinstance(document, dict) else document if isinstance(document, list) else ()
    )
    for value in inner:
        yield from _names(value, depth + 1)
