"""The messages of one run, one by one: which are stored, how often, with whom, and in which order."""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from checks.load.wire import User

MOST_TIMES = 255
NUMBER_BITS = 32
Message = tuple[str, int]
"""User and number."""


def parser(marker: str) -> Callable[[str], Message | None]:
    """What finds user and number in a text that begins with, or quotes, `{marker} {user} {number}`."""
    find = re.compile(re.escape(marker) + r" (\S{1,64}) (\d{1,9})(?!\d)").search

    def parsed(text: str) -> Message | None:
        found = find(text)
        return (found[1], int(found[2])) if found else None

    return parsed


@dataclass(slots=True)
class Page:
    """What is known of one user's messages: a byte each, number 1 first."""

    bot_id: str
    sent: int
    place: int
    commands: bytearray
    """How often each is stored."""
    replies: bytearray
    is_bad: bytearray
    """1 for those that were sent and got no good reply."""
    is_crossed: bytearray
    """1 for those of which a command or reply is stored with another bot."""


@dataclass(slots=True)
class Ledger:
    """A byte or two for each message that was sent; rows are taken in the order of their ids."""

    pages: dict[str, Page] = field(default_factory=dict)
    order: dict[str, array[int]] = field(default_factory=dict)
    """Bot -> its stored commands in their order, as `key` makes them."""
    strangers: int = 0
    """Rows with the run's marker that were never sent."""
    first_id: object | None = None

    @classmethod
    def of(
        cls, users: Sequence[User], sent: Mapping[str, int], unanswered: Mapping[str, Sequence[int]]
    ) -> Ledger:
        """An empty one for what was sent."""
        ledger = cls()
        for place, user in enumerate(users):
            count = max(0, sent.get(user.name, 0))
            page = Page(user.bot_id, count, place, *(bytearray(count) for _ in range(4)))
            for number in unanswered.get(user.name, ()):
                if 1 <= number <= count:
                    page.is_bad[number - 1] = 1
            ledger.pages[user.name] = page
        return ledger

    def forget_rows(self) -> None:
        """Begin again with what is stored."""
        for page in self.pages.values():
            page.commands, page.replies, page.is_crossed = (bytearray(page.sent) for _ in range(3))
        self.order, self.strangers, self.first_id = {}, 0, None

    def take(self, message: Message, bot_id: str, *, is_command: bool) -> None:
        """One stored row."""
        name, number = message
        page = self.pages.get(name)
        if page is None or not 1 <= number <= page.sent:
            self.strangers += 1
            return
        rows = page.commands if is_command else page.replies
        rows[number - 1] = min(MOST_TIMES, rows[number - 1] + 1)
        if bot_id != page.bot_id:
            page.is_crossed[number - 1] = 1
        if is_command:
            self.order.setdefault(bot_id, array("q")).append(self.key(message))

    def key(self, message: Message) -> int:
        """A message as one number; -1 for one of no user of this run."""
        page = self.pages.get(message[0])
        return -1 if page is None else (page.place << NUMBER_BITS) + message[1]

    @property
    def sent(self) -> int:
        """Messages that were sent."""
        return sum(page.sent for page in self.pages.values())

    @property
    def good(self) -> int:
        """Messages that got a good reply."""
        return self.sent - sum(page.is_bad.count(1) for page in self.pages.values())

    @property
    def stored(self) -> int:
        """Messages whose command is stored."""
        return sum(page.sent - page.commands.count(0) for page in self.pages.values())

    @property
    def replies_stored(self) -> int:
        """Messages of which a reply is stored."""
        return sum(page.sent - page.replies.count(0) for page in self.pages.values())

    @property
    def is_whole(self) -> bool:
        """Whether every message that got a good reply is stored."""
        return not any(_has(page.commands, page.is_bad, 0, 0) for page in self.pages.values())

    def missing(self) -> Iterator[Message]:
        """Good replies whose command is not stored."""
        return self._where(lambda page, place: not page.commands[place] and not page.is_bad[place])

    def silent(self) -> Iterator[Message]:
        """Messages without a good reply whose command is not stored."""
        return self._where(lambda page, place: not page.commands[place] and bool(page.is_bad[place]))

    def twice(self) -> Iterator[Message]:
        """Messages whose command, or whose reply, is stored more than once."""
        return self._where(lambda page, place: page.commands[place] > 1 or page.replies[place] > 1)

    def crossed(self) -> Iterator[Message]:
        """Messages that are stored with another bot."""
        return self._where(lambda page, place: bool(page.is_crossed[place]))

    def unanswered_in_store(self) -> Iterator[Message]:
        """Good replies whose command is stored, and the reply is not."""
        return self._where(
            lambda page, place: (
                bool(page.commands[place]) and not page.is_bad[place] and not page.replies[place]
            )
        )

    def good_of(self, bot_id: str) -> int:
        """How many messages of this bot got a good reply."""
        return sum(page.sent - page.is_bad.count(1) for page in self.pages.values() if page.bot_id == bot_id)

    def good_and_stored_of(self, bot_id: str) -> int:
        """How many of these are stored."""
        return sum(
            bool(times) and not bad
            for page in self.pages.values()
            if page.bot_id == bot_id
            for times, bad in zip(page.commands, page.is_bad, strict=True)
        )

    def _where(self, is_so: Callable[[Page, int], bool]) -> Iterator[Message]:
        for name, page in self.pages.items():
            for place in range(page.sent):
                if is_so(page, place):
                    yield name, place + 1


def _has(rows: bytearray, marks: bytearray, row: int, mark: int) -> bool:
    """Whether a message has both values."""
    at = rows.find(row)
    while at >= 0:
        if marks[at] == mark:
            return True
        at = rows.find(row, at + 1)
    return False
