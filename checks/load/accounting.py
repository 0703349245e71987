"""Message by message: what was sent, answered and stored, and what the history gives back."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence

from checks.audit.database_source import quoted
from checks.context import Context
from checks.load.history import compared
from checks.load.ledger import Ledger, Message, parser
from checks.load.model import Accounting, Failure
from checks.load.wire import Done, User
from checks.probe.sql import Row
from checks.text import NOTHING, Clean, clean, one_line

MOST_ROWS = 1_000_000
PAGE_ROWS = 5_000
SETTLE_EVERY_S = 0.4
READ_WITHIN_S = 60.0
"""For all rows; each page has the database probe's own limit too."""
ANSWERED = frozenset(Failure) - {
    Failure.NO_REPLY,
    Failure.CLOSED,
    Failure.UNREACHABLE,
    Failure.UNSENT,
    Failure.DOUBLED,
}
"""Failures that are a reply: a message that was refused need not be stored."""


async def account(
    context: Context,
    *,
    users: Sequence[User],
    marker: str,
    done: Done,
    failures: Mapping[str, int] | None = None,
    was_stopped: bool = False,
) -> Accounting:
    """Compare what the generator sent with what the database and the history hold; never raises for what a target does.

    `failures` are those of the whole run by kind: without them, messages that were refused and such that never got a
    reply are told apart only where all are of one sort. Where it `was_stopped`, replies were not waited for, and what
    has none is not counted as lost.
    """
    ledger = Ledger.of(users, done.sent, done.unanswered)
    bots = tuple(dict.fromkeys(user.bot_id for user in users))
    unread = await _read_settled(context, marker, ledger, bots)
    history = await compared(context, marker, ledger, bots, is_stored_known=not unread)
    if unread:
        return Accounting(
            sent=ledger.sent,
            answered_ok=0 if done.is_cut else ledger.good,
            in_history=history.given,
            history_asked=history.asked,
            lost_in_history=0 if done.is_cut else history.gone,
            doubled=done.doubled,
            examples=tuple(filter(None, (history.told,))),
            problem=one_line(f"{unread}; only the history was compared", 300),
        )
    found = _Findings(marker, ledger)
    replies, unstored = await _replies(context, ledger, bots)
    lost = 0 if done.is_cut else found.count("answered, and not stored", ledger.missing())
    if not was_stopped:
        lost += _lost_in_silence(ledger, done, failures, found)
    doubled = found.count("stored more than once", ledger.twice())
    swapped = found.count("stored with another bot", ledger.crossed())
    if crossed := _crossed_over(done, failures):
        swapped += crossed
        found.examples.append(
            one_line(f"answered by another bot: {done.examples.get(Failure.WRONG_BOT, '')}")
        )
    if unstored is None:
        unstored = found.count("its reply is not stored", ledger.unanswered_in_store())
    if done.doubled:
        told = done.examples.get(Failure.DOUBLED, "a second reply came")
        found.examples.append(one_line(f"answered twice: {told}"))
    return Accounting(
        sent=ledger.sent,
        answered_ok=ledger.good,
        stored=ledger.stored,
        replies_stored=replies,
        in_history=history.given,
        history_asked=history.asked,
        lost=lost,
        lost_in_history=history.gone,
        doubled=doubled + done.doubled,
        swapped=swapped,
        unstored_replies=0 if done.is_cut else unstored,
        examples=tuple(filter(None, (*found.examples, history.told))),
        problem=clean("too many messages failed to be told apart one by one") if done.is_cut else NOTHING,
    )


class _Findings:
    """Counts what is wrong, and keeps the first of each kind as an example."""

    def __init__(self, marker: str, ledger: Ledger) -> None:
        self._marker, self._ledger = marker, ledger
        self.examples: list[Clean] = []

    def count(self, what: str, messages: Iterator[Message]) -> int:
        """How many there are."""
        first = next(messages, None)
        if first is None:
            return 0
        name, number = first
        bot_id = self._ledger.pages[name].bot_id
        self.examples.append(one_line(f"{what}: “{self._marker} {name} {number}” to {bot_id}"))
        return 1 + sum(1 for _ in messages)


def _lost_in_silence(ledger: Ledger, done: Done, failures: Mapping[str, int] | None, found: _Findings) -> int:
    """How many messages, at least, never got a reply and are not stored."""
    kinds = failures if failures is not None else dict.fromkeys(done.examples, 0)
    answered = [kind for kind in kinds if kind in ANSWERED]
    if done.is_cut or (answered and failures is None):
        return 0
    silent = sum(1 for _ in ledger.silent())
    # A message that was refused need not be stored: at most so many of them were.
    lost = max(0, silent - sum(kinds[kind] for kind in answered))
    if lost:
        found.count("never answered, and not stored", ledger.silent())
    return lost


def _crossed_over(done: Done, failures: Mapping[str, int] | None) -> int:
    """Replies of another bot, as far as they are known."""
    if failures is not None:
        return failures.get(Failure.WRONG_BOT, 0)
    return int(Failure.WRONG_BOT in done.examples)


async def _replies(context: Context, ledger: Ledger, bots: Sequence[str]) -> tuple[int | None, int | None]:
    """Stored replies, and answered commands without one; the second None where the ledger knows them one by one.

    A reply that does not quote its message can only be counted, bot by bot.
    """
    if _is_echo(context):
        return ledger.replies_stored, None
    contract = context.target.contract
    columns = contract.columns
    if not isinstance(ledger.first_id, int):
        return None, 0
    total = unstored = 0
    for bot_id in bots:
        answer = await context.sql.ask(
            f"SELECT count(*) AS n FROM {quoted(contract.table)}"  # noqa: S608 - quoted names
            f" WHERE {quoted(columns['bot_id'])} = :bot AND {quoted(columns['role'])} = :role"
            f" AND {quoted(columns['id'])} >= :first",
            bot=bot_id,
            role=contract.bot_role,
            first=ledger.first_id,
        )
        if answer.error:
            return None, 0
        rows = int(answer.value() or 0)
        total += rows
        unstored += max(0, ledger.good_and_stored_of(bot_id) - rows)
    return total, unstored


def _is_echo(context: Context) -> bool:
    return context.target.profile.walkthrough.reply == "echo"


class _Reader:
    """Reads the rows of a run into its ledger, page by page; what was read before is not read again."""

    def __init__(self, context: Context, marker: str, ledger: Ledger) -> None:
        self._context, self._marker, self._ledger = context, marker, ledger
        self._parsed = parser(marker)
        self._after: object | None = None
        self._rows = 0
        self._deadline = asyncio.get_running_loop().time() + READ_WITHIN_S

    async def read(self, bots: Sequence[str]) -> Clean:
        """Everything that came since the last time; why it could not be read, else empty."""
        while True:
            if asyncio.get_running_loop().time() > self._deadline:
                return clean(f"the rows of this run were not read within {READ_WITHIN_S:g} s")
            rows = await self._context.sql.marked(f"{self._marker} ", self._after, PAGE_ROWS, bot_ids=bots)
            if rows.error:
                return rows.error.sentence
            for row in rows.rows:
                self._take(row)
            self._rows += len(rows.rows)
            if self._rows > MOST_ROWS:
                return clean(f"more than {MOST_ROWS} rows of this run are stored")
            if rows.rows:
                self._after = rows.rows[-1].id
            if len(rows.rows) < PAGE_ROWS:
                return NOTHING

    async def again(self, bots: Sequence[str]) -> Clean:
        """Everything from the beginning: ids may become visible out of their order."""
        self._ledger.forget_rows()
        self._after, self._rows = None, 0
        return await self.read(bots)

    def _take(self, row: Row) -> None:
        message = self._parsed(row.text)
        is_command = row.role == self._context.target.contract.user_role
        if message is None:
            return
        if self._ledger.first_id is None:
            self._ledger.first_id = row.id
        # A reply that quotes messages as it likes tells nothing of one of them.
        if is_command or _is_echo(self._context):
            self._ledger.take(message, row.bot_id, is_command=is_command)


async def _read_settled(context: Context, marker: str, ledger: Ledger, bots: Sequence[str]) -> Clean:
    """Read until everything that was answered is there, or the time for it has passed; why not, else empty."""
    loop = asyncio.get_running_loop()
    settled_at = loop.time() + context.target.profile.walkthrough.stored_within_s
    reader = _Reader(context, marker, ledger)
    while True:
        if problem := await reader.read(bots):
            return problem
        if ledger.is_whole:
            return NOTHING
        if loop.time() >= settled_at:
            break
        await asyncio.sleep(SETTLE_EVERY_S)
    # What is missing may be stored with a bot that is none of the run's: all are searched, where that can be done.
    return (await reader.again(bots)) if await reader.again(()) else NOTHING
