"""What goes in as text: refused where it is broken, kept as it is where it is not, and never more than text."""

from __future__ import annotations

from collections.abc import Iterable

from checks.audit.broken import (
    HUGE,
    Tried,
    broken_bodies,
    first_of,
    is_refused,
    marked,
    throttled,
    well_formed,
)
from checks.audit.common import a_bot, audit, leave_is_missing, note
from checks.context import Context
from checks.controller import Reply
from checks.launches import Bot
from checks.model import Evidence, Outcome, Reason, Safety, Severity, Subject, failed, inconclusive, passed
from checks.profile.template import pick

VISITOR = 22
HISTORY_LIMIT = "100"
FORGED = frozenset({"true", "null", "none", "nan", "", str(HUGE), "1e+30"})
"""What a database may hold where a value that is no text was taken for one."""
SCRIPTS = {
    "markup": "<b onmouseover=alert(1)>bold</b> &amp; <script>alert(1)</script>",
    "a script link": "[here](javascript:alert(1))",
    "writing that turns round": "abc \u202eטקסט\u202c עברית العربية",
    "an emoji of several parts": "\U0001f469\u200d\U0001f680 \U0001f3f3\ufe0f",
    "combining marks": "Zo\u0308e a\u0301\u0323",
    "line ends": "one\r\ntwo\nthree\rfour\tfive",
}
"""Parts of one text -> what each is."""


@audit(
    "INP-01",
    "Commands and launches are checked on the server",
    subject=Subject.HTTP,
    severity=Severity.MAJOR,
    safety=Safety.ACTIVE,
    sends="ten broken bodies for a launch, ten for a command to its own bot, and one good command",
    why="Malformed traffic reaches bots and the database, and crashes what does not expect it.",
    fix="Describe each body and refuse what does not fit with 422 before anything is done, as in pydantic:\n"
    "class Task(BaseModel): model_config = ConfigDict(strict=True); command: constr(min_length=1)",
    reference="ASVS 2.2.1, 2.2.2",
)
async def bodies_are_checked(context: Context) -> Outcome:
    """Every broken body is refused with 4xx within a second, and none of it is stored; a good one is accepted."""
    if missing := leave_is_missing(context):
        return missing
    good = await well_formed(context)
    if isinstance(good, Outcome):
        return good
    tried = await broken_bodies(context)
    if isinstance(tried, Outcome):
        return tried
    bot = await a_bot(context)
    if isinstance(bot, Outcome):
        return bot
    stored, looked, seen = await _stored_marks(context, bot)
    lines = [one.line() for one in tried]
    evidence = [note(context, f"{len(tried)} broken bodies", lines, kind="http"), *seen]
    expected = "each refused with 4xx within 1 s, none stored, and a good one accepted"
    wrong = [one for one in tried if one.problem and one.is_judged]
    if wrong or stored:
        problems = [f"{one.what}: it {one.problem}" for one in wrong]
        problems += [f"{stored} of the broken commands are in the database"] if stored else []
        evidence += [piece for one in wrong[:2] for piece in one.reply.seen[-1:]]
        return failed(first_of(problems), observed="; ".join(problems), expected=expected, evidence=evidence)
    if unjudged := _unjudged(tried, evidence):
        return unjudged
    observed = f"{len(tried)} of {len(tried)} refused; {looked}"
    return passed(
        f"All {len(tried)} broken bodies were refused; {looked}",
        observed=observed,
        expected=expected,
        evidence=evidence,
    )


def _unjudged(tried: Iterable[Tried], evidence: Iterable[Evidence]) -> Outcome | None:
    unjudged = [one for one in tried if not one.is_judged]
    if not unjudged:
        return None
    why = f"{unjudged[0].what} could not be judged: {unjudged[0].problem}"
    return inconclusive(unjudged[0].reply.reason, why, evidence=tuple(evidence))


async def _stored_marks(context: Context, bot: Bot) -> tuple[int, str, tuple[Evidence, ...]]:
    """How many rows of the bot hold something of a broken body, and the words for where was looked."""
    rows = await context.sql.messages(bot.bot_id)
    if rows.error:
        return 0, "the database was not looked at", ()
    mark = marked(context, "broken")
    found = sum(mark in row.text or row.text.strip().lower() in FORGED for row in rows.rows)
    return found, "none is in the database", (rows.evidence,) if found else ()


@audit(
    "INP-05",
    "Text comes back as it was sent, in any script",
    subject=Subject.HTTP,
    severity=Severity.MAJOR,
    safety=Safety.ACTIVE,
    sends="two commands to its own bot: markup, several scripts and line ends; one with a NUL; one look at the history",
    why="Stored markup runs in other people's browsers, and text that was changed is not what the user said.",
    fix="Store text as it came, and encode it where it is shown (textContent, or the template's escaping);\n"
    "refuse what cannot be stored, such as NUL, with 422.",
    reference="ASVS 1.2.1, 1.3.5, 3.2.2",
)
async def text_comes_back(context: Context) -> Outcome:
    """What was accepted is stored and answered character by character; what cannot be is refused."""
    if missing := leave_is_missing(context):
        return missing
    bot = await a_bot(context)
    if isinstance(bot, Outcome):
        return bot
    texts = {
        "scripts": marked(context, "scripts: ") + " | ".join(SCRIPTS.values()) + " end",
        "a NUL": marked(context, "nothing: a\0b end"),
    }
    replies: dict[str, Reply] = {}
    async with context.visitor(VISITOR) as visitor:
        within_s = context.target.profile.walkthrough.reply_within_s
        for name, text in texts.items():
            replies[name] = await visitor.controller.ask(
                "send", within_s=within_s, bot_id=bot.bot_id, text=text
            )
        history = await visitor.controller.ask("history", bot_id=bot.bot_id, limit=HISTORY_LIMIT)
    evidence = [piece for reply in (*replies.values(), history) for piece in reply.seen[-1:]]
    for name, reply in replies.items():
        if throttled(reply) or not (reply.ok or reply.answer.status):
            why = f"The text with {name} could not be sent: {reply.problem}"
            return inconclusive(reply.reason, why, evidence=evidence)
    if not history.ok:
        return inconclusive(
            history.reason, f"The history could not be read: {history.problem}", evidence=evidence
        )
    stored = await stored_texts(context, bot, history)
    problems = [
        problem for name in texts if (problem := _changed(context, texts[name], replies[name], stored))
    ]
    expected = "refused with 4xx, or stored and answered as it was sent"
    if problems:
        return failed(first_of(problems), observed="; ".join(problems), expected=expected, evidence=evidence)
    kept = [name for name, reply in replies.items() if reply.ok]
    if any(texts[name] not in stored for name in kept):
        return inconclusive(
            Reason.BLOCKED, "The text is neither in the history nor in the database", evidence=evidence
        )
    what = {True: "came back as it was sent", False: "was refused"}
    observed = "; ".join(f"{name}: {what[reply.ok]}" for name, reply in replies.items())
    return passed(
        "Text came back as it was sent" if kept else "Such text is refused",
        observed=observed,
        expected=expected,
        evidence=evidence,
    )


async def stored_texts(context: Context, bot: Bot, history: Reply) -> list[str]:
    """What the database, else the history, holds of what the bot was told; and what the history answered."""
    names = context.controller.operation("history").reply
    messages = history.fields.get("messages")
    answered = [
        str(pick(message, names.get("text", "text")))
        for message in (messages if isinstance(messages, list) else ())
        if pick(message, names.get("role", "role")) == context.target.contract.user_role
    ]
    rows = await context.sql.messages(bot.bot_id)
    return answered + [row.text for row in rows.rows if row.role == context.target.contract.user_role]


def first_difference(text: str, stored: Iterable[str], mark: str) -> str:
    """What became of `text` among those that carry `mark`; empty where nothing did, or it is not there at all."""
    for other in stored:
        if mark in other and other != text:
            place = next(
                (at for at, pair in enumerate(zip(text, other, strict=False)) if pair[0] != pair[1]),
                min(len(text), len(other)),
            )
            return f"{text[place : place + 12]!a} became {other[place : place + 12]!a}"
    return ""


def _changed(context: Context, text: str, reply: Reply, stored: list[str]) -> str:
    mark = text.partition(":")[0]
    if not reply.ok and not is_refused(context, reply):
        return f"a text with {'a NUL' if chr(0) in text else 'several scripts'}: {reply.problem}"
    difference = first_difference(text, stored, mark)
    return f"a text came back changed: {difference}" if difference else ""
