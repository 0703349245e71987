"""Text that would be run as SQL: it must stay text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from checks.audit.broken import first_of, throttled, well_formed
from checks.audit.common import a_bot, audit, leave_is_missing, note
from checks.audit.inputs import HISTORY_LIMIT, first_difference, stored_texts
from checks.context import Context, Visitor
from checks.controller import Reply
from checks.launches import Bot
from checks.model import Outcome, Reason, Safety, Severity, Subject, failed, inconclusive, passed
from checks.profile.template import pick

VISITOR, DELAY_VISITOR = 23, 24
LEAST_DELAY_S = 0.3
SLEEP_S = 0.8
PAIRS, MORE_PAIRS = 2, 1
COUNTED = 4_000_000
"""So many rows take SQLite about a second, and no memory."""
SQL_ERROR = re.compile(
    r"syntax error|unrecognized token|unterminated|unclosed quotation|sqlite3?\.|psycopg|sqlalchemy"
    r"|near \\?\"|SQLSTATE|SQL syntax|no such column",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Variant:
    """How one value of the history's bot id was answered."""

    name: str
    value: str
    reply: Reply
    texts: tuple[str, ...]

    def line(self) -> str:
        """For a table."""
        took_ms = self.reply.answer.elapsed_s * 1e3
        return f"{self.name}: {self.reply.answer.status}, {len(self.texts)} messages, {took_ms:.0f} ms"


@audit(
    "INP-02",
    "Text cannot alter SQL",
    subject=Subject.HTTP,
    severity=Severity.BLOCKER,
    safety=Safety.ACTIVE,
    sends="one command full of quotes to its own bot; about nine looks at the history with SQL in the bot id, none of "
    "which would change anything",
    why="One message can read or destroy the whole history.",
    fix='Bind every value: connection.execute(text("… WHERE bot_id = :bot_id"), {"bot_id": bot_id});\n'
    "never put it into the statement with an f-string, % or +.",
    reference="ASVS 1.2.4",
)
async def text_cannot_alter_sql(context: Context) -> Outcome:
    """True and false conditions answer alike, no quote breaks anything, nothing sleeps, and quotes are kept."""
    if missing := leave_is_missing(context):
        return missing
    good = await well_formed(context)
    if isinstance(good, Outcome):
        return good
    bot = await a_bot(context)
    if isinstance(bot, Outcome):
        return bot
    text, _ = good
    async with context.visitor(VISITOR) as visitor, context.visitor(DELAY_VISITOR) as other:
        plain = await _variant(context, visitor, "the id itself", bot.bot_id)
        if not plain.texts:
            why = f"The history shows nothing of {bot.bot_id}: {plain.reply.problem or 'it is empty'}"
            reason = plain.reply.reason if throttled(plain.reply) else Reason.CONTROL
            return inconclusive(reason, why, evidence=plain.reply.seen)
        looks = [
            await _variant(context, visitor, name, bot.bot_id + tail)
            for name, tail in (
                ("a quote", "'"),
                ("a true condition", "' AND '1'='1"),
                ("a false condition", "' AND '1'='2"),
                ("the rest as a comment", "' -- "),
            )
        ]
        pairs, delayed = await _delays(context, other, bot)
    looks += delayed
    lines = [look.line() for look in (plain, *looks)]
    seen = [note(context, "The history with SQL in the bot id", lines, kind="http"), *plain.reply.seen[-1:]]
    if silent := next((look for look in looks if throttled(look.reply)), None):
        why = f"The history was not answered: {silent.reply.problem}"
        return inconclusive(silent.reply.reason, why, evidence=seen)
    problems = _altered(plain, looks) + _slept(pairs)
    stored = await stored_texts(context, bot, plain.reply)
    if changed := first_difference(text, stored, text.partition(":")[0]):
        problems.append(f"a command with quotes was stored changed: {changed}")
    expected = (
        "true and false conditions answered alike, no error of SQL, no delay, quotes stored as they were sent"
    )
    if problems:
        broken = next((look for look in looks if look.name in problems[0]), looks[0])
        return failed(
            first_of(problems),
            observed="; ".join(problems),
            expected=expected,
            evidence=[*seen, *broken.reply.seen[-1:]],
        )
    if text not in stored:
        return inconclusive(
            Reason.BLOCKED,
            "The command with quotes is neither in the history nor in the database",
            evidence=seen,
        )
    return passed(
        "SQL in the bot id and in a command stayed text",
        observed=f"{'; '.join(lines)}; quotes stored as they were sent",
        expected=expected,
        evidence=seen,
    )


async def _variant(context: Context, visitor: Visitor, name: str, value: str) -> Variant:
    reply = await visitor.controller.ask("history", is_typical=False, bot_id=value, limit=HISTORY_LIMIT)
    names = context.controller.operation("history").reply
    found = reply.fields.get("messages") if reply.ok else None
    texts = tuple(
        str(pick(message, names.get("text", "text")))
        for message in (found if isinstance(found, list) else ())
    )
    return Variant(name, value, reply, texts)


def delaying(backend: str, bot: str, *, is_harmless: bool) -> str:
    """A bot id that makes a database that runs it wait; its twin of the same length does not."""
    if backend == "postgresql":
        doing = f"SELECT 1 FROM pg_sleep({0 if is_harmless else SLEEP_S:.1f})"  # noqa: S608 - to be refused
    else:
        most = 1 if is_harmless else COUNTED
        rows = f"SELECT 1 UNION ALL SELECT x+1 FROM c WHERE x<{most:0{len(str(COUNTED))}d}"  # noqa: S608
        doing = f"WITH RECURSIVE c(x) AS ({rows}) SELECT count(*) FROM c"  # noqa: S608
    return f"{bot}' AND ({doing})>0 AND '1'='1"


async def _delays(
    context: Context, visitor: Visitor, bot: Bot
) -> tuple[list[tuple[float, float]], list[Variant]]:
    """Seconds of (the delaying id, its harmless twin), in turn; a suspicion is looked at once more."""
    pairs: list[tuple[float, float]] = []
    looks: list[Variant] = []
    for place in range(PAIRS + MORE_PAIRS):
        is_told = place >= PAIRS and median_difference(pairs) < LEAST_DELAY_S
        if is_told or any(look.reply.answer.status is None for look in looks):
            break
        pair = [
            await _variant(
                context,
                visitor,
                name,
                delaying(context.sql.backend, bot.bot_id, is_harmless=is_harmless),
            )
            for name, is_harmless in (("a long wait", False), ("its harmless twin", True))
        ]
        looks += pair
        pairs.append((pair[0].reply.answer.elapsed_s, pair[1].reply.answer.elapsed_s))
    return pairs, looks


def median_difference(pairs: Sequence[tuple[float, float]]) -> float:
    """By how many seconds the first of a pair is slower than the second, in the middle."""
    return median(slow - quick for slow, quick in pairs)


def _slept(pairs: Sequence[tuple[float, float]]) -> list[str]:
    slower_s = median_difference(pairs)
    return (
        [f"a long wait in the history's bot_id took {slower_s:.1f} s longer"]
        if slower_s >= LEAST_DELAY_S
        else []
    )


def _altered(plain: Variant, looks: Sequence[Variant]) -> list[str]:
    problems = []
    by_name = {look.name: look for look in looks}
    true, false = by_name["a true condition"], by_name["a false condition"]
    if true.texts != false.texts:
        counts = f"{len(true.texts)} and {len(false.texts)} messages"
        problems.append(
            f"a true condition in the history's bot_id and a false one are answered differently ({counts})"
        )
    comment = by_name["the rest as a comment"]
    if comment.texts and comment.texts[: len(plain.texts)] == plain.texts and not false.texts:
        problems.append("the history's bot_id with the rest as a comment is answered like the id itself")
    for look in by_name.values():
        status = look.reply.answer.status
        if status is not None and status >= 500:
            problems.append(
                f"{look.name} in the history's bot_id is answered as a fault of the server ({status})"
            )
        elif SQL_ERROR.search(look.reply.told):
            problems.append(f"{look.name} in the history's bot_id is answered with an error of SQL")
    return problems
