"""What the history operation gives back of a run, held against what is stored: the newest ones at least, in order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from checks.context import Context
from checks.controller import Reply
from checks.load.ledger import Ledger, parser
from checks.model import Reason
from checks.profile.template import pick
from checks.text import NOTHING, Clean, one_line

MOST_ASKED = 10_000
LIMITS = (1000, 500, 200, 100, 50)
"""Tried one after the other where the target does not give as many as are wanted."""
SPARE = 10
SMALLEST_PAGE = 50


@dataclass(slots=True)
class Compared:
    """All bots together."""

    given: int | None = None
    """Commands of the run that came back; None where the history was not given."""
    asked: int | None = None
    """Commands that should have come: all, or of a page of the newest as many as it holds."""
    gone: int = 0
    """Commands among the newest that should have come back, and did not."""
    told: Clean = NOTHING
    """What is wrong with it, in one line."""


async def compared(
    context: Context, marker: str, ledger: Ledger, bots: Sequence[str], *, is_stored_known: bool
) -> Compared:
    """Ask for each bot's history and compare; where the stored rows are not known, with the number of good replies."""
    if not context.controller.operation("history").path:
        return Compared()
    found = Compared(0, 0)
    for bot_id in bots:
        expected = list(ledger.order.get(bot_id, ()))
        count = len(expected) if is_stored_known else ledger.good_of(bot_id)
        if not count:
            continue
        reply, limit = await _asked(context, bot_id, 2 * count + SPARE)
        messages = reply.fields.get("messages")
        if not reply.ok or not isinstance(messages, list):
            why = reply.problem or "it is no list of messages"
            return Compared(told=one_line(f"the history of {bot_id} was not given: {why}"))
        given = _commands(context, marker, ledger, messages)
        found.given = (found.given or 0) + len(given)
        is_page = len(messages) >= limit or (len(messages) >= SMALLEST_PAGE and not len(messages) % 10)
        found.asked = (found.asked or 0) + (min(count, len(given)) if is_page and given else count)
        if is_stored_known:
            gone = missing_of(expected, given, is_page=is_page)
        else:
            gone = 0 if is_page and given else max(0, count - len(set(given)))
        found.gone += gone
        if gone and not found.told:
            found.told = one_line(f"the history of {bot_id} lacks {gone} of its {count} commands")
        elif is_stored_known and not found.told and not in_order(expected, given):
            found.told = one_line(f"the history of {bot_id} gives its messages in another order")
    return found


async def _asked(context: Context, bot_id: str, wanted: int) -> tuple[Reply, int]:
    """The history with as many messages as the target gives: it may refuse a limit, or answer more than is read."""
    limits = [min(wanted, MOST_ASKED), *(limit for limit in LIMITS if limit < wanted)]
    for limit in limits:
        reply = await context.controller.ask("history", bot_id=bot_id, limit=str(limit), is_typical=False)
        is_too_much = reply.answer.status in (400, 413, 422) or reply.reason is Reason.PROTOCOL
        if reply.ok or not is_too_much:
            break
    return reply, limit


def _commands(context: Context, marker: str, ledger: Ledger, messages: Sequence[object]) -> list[int]:
    names, parsed = context.controller.operation("history").reply, parser(marker)
    role_at, text_at = names.get("role", "role"), names.get("text", "content")
    found = []
    for message in messages:
        if pick(message, role_at) == context.target.contract.user_role:
            about = parsed(str(pick(message, text_at) or ""))
            if about is not None:
                found.append(ledger.key(about))
    return found


def missing_of(expected: Sequence[int], given: Sequence[int], *, is_page: bool) -> int:
    """How many of `expected` (oldest first) were not `given`; of a page of the newest alone, as many as it holds."""
    if is_page and given:
        expected = expected[-len(given) :]
    return (Counter(expected) - Counter(given)).total()


def in_order(expected: Sequence[int], given: Sequence[int]) -> bool:
    """Whether those of `expected` that were given come in the same order."""
    there, wanted = set(given), set(expected)
    return [one for one in expected if one in there] == [one for one in given if one in wanted]
