"""One virtual user: its connection and the one message that it may have under way."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

from checks.load.generator.messages import composer_of
from checks.load.generator.pacing import thinks
from checks.load.model import Channel, Failure
from checks.load.wire import Done, Setup, User

if TYPE_CHECKING:
    from checks.load.generator.books import LegBook

FREE, OPENING, WAITING = 0, 1, 2
"""States: no message under way; its connection is being opened for one; a reply is awaited."""
MOST_UNANSWERED = 100_000
"""Numbers of unanswered messages that are kept, of all users together."""
_now = time.monotonic_ns


class Link(Protocol):
    """An open connection."""

    def send(self, message: bytes) -> None:
        """Send one message; its reply, or the end of the connection, is told to the client."""

    def drop(self) -> None:
        """End the connection at once; nothing is told any more."""

    def close(self) -> None:
        """End the connection as its protocol wants it."""


class Office(Protocol):
    """What a client needs of the engine."""

    def open_link(self, client: Client) -> None:
        """Open a connection; `opened` or `unreachable` follows."""

    def ended(self, client: Client, book: LegBook, now: int) -> None:
        """A message has ended: the client is free."""

    def saw(self, kind: Failure, seen: str) -> None:
        """Keep an example."""

    def doubled(self, client: Client, seen: str) -> None:
        """A second reply came."""

    def is_room(self) -> bool:
        """Whether one more unanswered number can be kept; counted."""


class Client:
    """A user. Times are nanoseconds of the monotonic clock."""

    __slots__ = (
        "_began",
        "_book",
        "_due",
        "_message",
        "_office",
        "bot_id",
        "has_trouble",
        "is_rest",
        "is_thinking",
        "link",
        "name",
        "number",
        "place",
        "sent_at",
        "state",
        "think",
        "turn",
        "unanswered",
        "user",
    )

    def __init__(self, place: int, user: User, setup: Setup, office: Office) -> None:
        """Raises ValueError where its messages cannot be sent."""
        self.place, self.user, self.name, self.bot_id = place, user, user.name, user.bot_id
        self.is_rest = user.channel is Channel.REST
        self.link: Link | None = None
        self.state = FREE
        self.number = 0
        """Of the last message that was written."""
        self.sent_at = 0
        """When it was written, or its connection begun to be opened."""
        self.unanswered: list[int] = []
        self.has_trouble = False
        """Whether the last message ended without any reply."""
        self.is_thinking = False
        self.turn = 0
        """Counts its thinks, so that one that was called off is known."""
        self.think: Callable[[], int] = thinks(
            setup.seed, place, setup.think_min_s, setup.think_max_s
        ).__next__
        self._office = office
        self._message = composer_of(setup, user, is_rest=self.is_rest).message
        self._book: LegBook | None = None
        self._due = self._began = 0

    def send(self, book: LegBook, due: int, now: int) -> None:
        """Send the next message, which was due at `due` in the leg of `book`."""
        self._book, self._due, self._began = book, due, now
        self.sent_at = now
        link = self.link
        if link is None:
            self.state = OPENING
            self._office.open_link(self)
            return
        self.state = WAITING
        self.number = number = self.number + 1
        book.sent += 1
        link.send(self._message(number))

    def opened(self, link: Link) -> None:
        """The connection is there."""
        self.link = link
        if self.state == OPENING and self._book is not None:
            self.state = WAITING
            self.sent_at = _now()
            self.number += 1
            self._book.sent += 1
            link.send(self._message(self.number))

    def answered(self) -> None:
        """The good reply came, whole."""
        now, book = _now(), self._book
        assert book is not None
        self.state = FREE
        book.ok += 1
        book.answered += 1
        book.latency.append((now - self._due) // 1000)
        book.service.append((now - self._began) // 1000)
        book.live -= 1
        self._office.ended(self, book, now)

    def failed(self, kind: Failure, seen: str, *, is_reply: bool) -> None:
        """The message under way failed; without one, nothing happens. `is_reply`: something whole came for it."""
        if self.state == FREE:
            return
        now, book = _now(), self._book
        assert book is not None
        was_sent, self.state = self.state == WAITING, FREE
        book.fail(kind)
        self._office.saw(kind, seen)
        self.has_trouble = not is_reply
        if is_reply:
            book.answered += 1
            book.latency.append((now - self._due) // 1000)
            book.service.append((now - self._began) // 1000)
        else:
            book.silent.append((now - self._due) // 1000)
            book.silent_service.append((now - self._began) // 1000)
        if was_sent and self._office.is_room():
            self.unanswered.append(self.number)
        book.live -= 1
        self._office.ended(self, book, now)

    def doubled(self, seen: str) -> None:
        """A reply came that nothing was sent for, or that answers a message that ended before."""
        self._office.doubled(self, seen)

    @property
    def book(self) -> LegBook | None:
        """Of the last message."""
        return self._book

    def lost(self, link: Link, why: str) -> None:
        """The connection ended by itself. The next message opens another one."""
        if self.link is not link:
            return
        self.link = None
        self.failed(Failure.CLOSED, why, is_reply=False)

    def broke(self, kind: Failure, seen: str, *, is_reply: bool) -> None:
        """What came cannot be gone on with: drop the connection, and count it for the message under way."""
        self.drop()
        self.failed(kind, seen, is_reply=is_reply)

    def drop(self) -> None:
        """End the connection at once."""
        link, self.link = self.link, None
        if link is not None:
            link.drop()


def done_of(clients: Sequence[Client], examples: dict[str, str], *, doubled: int, is_cut: bool) -> Done:
    """The last report."""
    return Done(
        sent={client.name: client.number for client in clients},
        unanswered={client.name: client.unanswered for client in clients if client.unanswered},
        examples=examples,
        doubled=doubled,
        is_cut=is_cut,
    )
