"""The engine: legs one after the other, messages at their moments, users by callbacks; no task for any message.

One alarm at absolute moments drives everything; between two moments nothing runs but the callbacks of connections.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from collections import deque
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

from checks.load.generator.books import FOLD_EVERY, Books, LegBook
from checks.load.generator.client import FREE, MOST_UNANSWERED, OPENING, WAITING, Client, done_of
from checks.load.generator.connecting import Connector
from checks.load.generator.dialing import CannotStart
from checks.load.generator.judging import Examples
from checks.load.generator.pacing import NS, Ceiling, changes, send_times
from checks.load.generator.timer import NEVER, alarm
from checks.load.model import Arrival, Failure
from checks.load.wire import Finish, Halt, Leg, Ready, Report, Setup

AT_ONCE = 256
"""Messages that are sent before connections are looked after again, however late the schedule is."""
PAUSE_NS = 100_000_000
"""Least time that a user without think time waits after a message that nothing answered."""
_LEG, _SECOND, _USERS, _SEND, _SWEEP = range(5)
"""What goes first of what is due at the same moment."""
_now = time.monotonic_ns
Call = Callable[[Any, int], None]


class Engine:
    """Sends what legs ask for and reports it. `prepare`, then `take` orders until `is_done`."""

    def __init__(self, setup: Setup, report: Callable[[Report], None]) -> None:
        """Raises CannotStart."""
        self._setup, self._report = setup, report
        self._examples = Examples([user.token for user in setup.users])
        self._connector = Connector(setup, self._examples)
        users = setup.users[: setup.most_connections]
        if not users:
            raise CannotStart("There are no users to send as")
        try:
            self.clients = [Client(place, user, setup, self) for place, user in enumerate(users)]
        except ValueError as problem:
            raise CannotStart(f"No message can be made: {problem}") from problem
        self.is_done = asyncio.Event()
        self._alarm = alarm(asyncio.get_running_loop(), self._fire)
        self._armed = NEVER
        self._heap: list[tuple[int, int, int, Call, Any]] = []
        self._order = count()
        self._books = Books()
        self._book: LegBook | None = None
        """Of the leg under way."""
        self._legs: deque[Leg] = deque()
        self._times: Iterator[int] = iter(())
        self._next_due = NEVER
        self._idle: deque[Client] = deque()
        self._backlog: deque[tuple[int, LegBook]] = deque()
        """Messages that are due and wait for a connection: (when they were due, leg)."""
        self._is_closed = False
        """Whether the last leg was one of the closed model."""
        self._users = self._users_told = 0
        self._within = int(setup.reply_within_s * NS)
        self._is_prompt = setup.think_max_s <= 0
        self._ceiling, self._is_release_set = Ceiling(setup.most_per_s), False
        self._is_held = False
        """Whether the next leg waits for a second to begin."""
        self._is_ready = self._is_finishing = self._is_draining = self._is_halted = False
        self._doubled = self._unanswered = 0

    async def prepare(self) -> Ready:
        """Connect all users at the pace that is set. Raises CannotStart where none can be."""
        return await self._connector.connect(self.clients)

    def begin(self) -> None:
        """Go on with the orders that have come."""
        self._is_ready = True
        self._push(_now(), _SWEEP, self._sweep, None)
        self._go_on(_now())

    def take(self, order: Leg | Finish | Halt) -> None:
        """Follow an order."""
        if isinstance(order, Halt):
            self.halt(order.drain_s)
            return
        if isinstance(order, Finish):
            self._is_finishing = True
        elif not self._is_finishing and not self._is_halted:
            self._legs.append(order)
        if self._is_ready and self._book is None and not self._is_held:
            self._go_on(_now())

    def halt(self, drain_s: float) -> None:
        """Send nothing more; wait so long for replies. A second time, nothing changes."""
        if self._is_halted:
            return
        self._is_halted = self._is_finishing = True
        self._legs.clear()
        if self._book is not None:
            self._book.over(max(_now(), self._book.start + 1))
        self._stop_sending()
        self._give_up_backlog()
        if self._is_ready:
            self._drain(drain_s)

    def close(self) -> None:
        """Close all connections."""
        self._alarm.close()
        self._connector.close()
        for client in self.clients:
            if client.link is not None:
                client.link.close()

    # What clients ask for (`Office`).

    def open_link(self, client: Client) -> None:
        """As in `Office`."""
        self._connector.open(client)

    def saw(self, kind: Failure, seen: str) -> None:
        """As in `Office`."""
        self._examples.see(kind, seen)

    def doubled(self, client: Client, seen: str) -> None:
        """As in `Office`."""
        self._doubled += 1
        self._examples.see(Failure.DOUBLED, seen)
        book = client.book if client.book in self._books.legs else self._book
        if book is not None:
            book.fail(Failure.DOUBLED)

    def is_room(self) -> bool:
        """As in `Office`."""
        self._unanswered += 1
        return self._unanswered <= MOST_UNANSWERED and not self._setup.is_plain

    def ended(self, client: Client, book: LegBook, now: int) -> None:
        """As in `Office`: give the client its next message, or let it think or rest."""
        if len(book.latency) >= FOLD_EVERY:
            self._books.fold(book)
        if self._is_closed:
            if client.place < self._users:
                self._think(client, now)
        elif self._backlog:
            self._release(client, now)
        else:
            self._idle.append(client)
        if not book.live and book.is_over:
            self._tell_finished()

    # Legs and seconds.

    def _go_on(self, now: int) -> None:
        """Begin the next leg, or the end.

        A leg that comes after a pause begins with a second, so that no second holds messages of two legs.
        """
        if self._legs and self._books.places:
            if not self._is_held:
                self._is_held = True
                self._push(self._books.next_whole(now), _USERS, self._begin_held, None)
        elif self._legs:
            self._begin_leg(self._legs.popleft(), now)
        elif self._is_finishing:
            self._drain(self._setup.drain_s)

    def _begin_held(self, _: None, moment: int) -> None:
        self._is_held = False
        if self._book is None:
            if self._legs:
                self._begin_leg(self._legs.popleft(), moment)
            else:
                self._go_on(moment)

    def _begin_leg(self, leg: Leg, start: int) -> None:
        self._book = book = self._books.open(leg, start)
        if not book.place:
            self._books.begin_schedule(start)
            self._push(start + NS, _SECOND, self._second_over, None)
        self._push(book.end, _LEG, self._leg_over, book)
        self._is_closed = leg.arrival is Arrival.CLOSED
        if self._is_closed:
            self._give_up_backlog()
            self._idle.clear()
            for offset, users in changes(leg):
                self._push(start + offset, _USERS, self._change_users, (book, users))
            self._set_users(leg.users_from, start)
            return
        self._users = self._users_told = 0
        self._idle = deque(client for client in self.clients if client.state == FREE)
        offsets = send_times(leg, seed=self._setup.seed + book.place, most_per_s=self._setup.most_per_s)
        self._times = map(start.__add__, offsets)
        self._next_due = next(self._times, NEVER)
        self._wake(self._next_due)

    def _leg_over(self, book: LegBook, moment: int) -> None:
        if self._book is not book:
            return
        book.over(moment)
        if self._legs:
            self._begin_leg(self._legs.popleft(), moment)
        else:
            self._stop_sending()
            self._go_on(moment)
        self._tell_finished()

    def _stop_sending(self) -> None:
        self._book = None
        self._users = 0
        self._times, self._next_due = iter(()), NEVER

    def _second_over(self, _: None, moment: int) -> None:
        self._tell_second(moment)
        self._books.next_second(_now(), self._book)
        self._push(moment + NS, _SECOND, self._second_over, None)

    def _tell_second(self, moment: int) -> None:
        in_flight = sum(client.state != FREE for client in self.clients)
        if tick := self._books.tick(moment, users=self._users_told, in_flight=in_flight):
            self._report(tick)

    def _tell_finished(self) -> None:
        for report in self._books.finished():
            self._report(report)
        if self._is_draining and not self._books.legs and not self.is_done.is_set():
            self._tell_second(_now())
            is_cut = self._unanswered > MOST_UNANSWERED
            self._report(done_of(self.clients, self._examples.kept, doubled=self._doubled, is_cut=is_cut))
            self.is_done.set()

    def _drain(self, within_s: float) -> None:
        """Wait for replies, and no longer than that."""
        self._is_draining = True
        self._push(_now() + int(within_s * NS), _LEG, self._drained, None)
        self._tell_finished()

    def _drained(self, _: None, moment: int) -> None:
        del moment  # those that end a run ask for no time
        self._give_up_backlog()
        for client in self.clients:
            if client.state == OPENING:
                client.failed(Failure.UNREACHABLE, "no connection was made until the end", is_reply=False)
            elif client.state == WAITING:
                client.broke(Failure.NO_REPLY, "nothing came until the end", is_reply=False)

    # The open model.

    def _is_due(self, due: int, now: int) -> None:
        book = self._book
        assert book is not None
        book.due += 1
        book.live += 1
        book.lag.append((now - due) // 1000)
        idle = self._idle
        if idle and not self._backlog and self._may_send(now):
            idle.popleft().send(book, due, now)
            return
        if not idle:
            book.waited += 1
        self._backlog.append((due, book))

    def _release(self, client: Client, now: int) -> None:
        """Give a free client the message that has waited longest."""
        backlog = self._backlog
        while backlog:
            due, book = backlog[0]
            if now - due > self._within:
                self._unsent(now)
            elif self._may_send(now):
                backlog.popleft()
                client.send(book, due, now)
                return
            else:
                break
        self._idle.append(client)

    def _release_more(self, _: None, moment: int) -> None:
        """The hard ceiling allows more."""
        self._is_release_set, before = False, -1
        while self._idle and self._backlog and len(self._backlog) != before:
            before = len(self._backlog)
            self._release(self._idle.popleft(), max(_now(), moment))

    def _may_send(self, now: int) -> bool:
        """Whether the hard ceiling allows one more message now; if not, those that wait are seen to when it does."""
        if self._ceiling.admits(now):
            return True
        if not self._is_closed and not self._is_release_set:
            self._is_release_set = True
            self._push(self._ceiling.next_at, _SEND, self._release_more, None)
        return False

    def _unsent(self, now: int) -> None:
        due, book = self._backlog.popleft()
        book.fail(Failure.UNSENT)
        self._examples.see(Failure.UNSENT, "no connection was free in time")
        book.silent.append((now - due) // 1000)
        book.live -= 1

    def _give_up_backlog(self) -> None:
        now = _now()
        while self._backlog:
            self._unsent(now)
        self._tell_finished()

    # The closed model.

    def _change_users(self, change: tuple[LegBook, int], moment: int) -> None:
        book, users = change
        if self._book is book:
            self._set_users(users, moment)

    def _set_users(self, users: int, moment: int) -> None:
        self._users = self._users_told = users
        for client in self.clients[:users]:
            if client.state == FREE and not client.is_thinking:
                self._send_closed(client, moment)

    def _think(self, client: Client, now: int) -> None:
        if self._is_prompt and not client.has_trouble:
            if self._book is not None and now < self._book.end:
                self._send_closed(client, now)
            return
        self._come_back(client, now + max(client.think(), PAUSE_NS if client.has_trouble else 0))

    def _come_back(self, client: Client, moment: int) -> None:
        client.has_trouble = False
        client.is_thinking = True
        client.turn += 1
        self._push(moment, _SEND, self._thought, (client, client.turn))

    def _thought(self, who: tuple[Client, int], moment: int) -> None:
        client, turn = who
        if client.turn != turn or not client.is_thinking:
            return
        client.is_thinking = False
        if client.place < self._users and client.state == FREE:
            self._send_closed(client, moment)

    def _send_closed(self, client: Client, due: int) -> None:
        book, now = self._book, _now()
        assert book is not None
        if not self._may_send(now):
            self._come_back(client, self._ceiling.next_at)
            return
        book.due += 1
        book.live += 1
        book.lag.append((now - due) // 1000)
        client.send(book, now, now)

    # Moments.

    def _fire(self) -> None:
        """Do what is due, in the order of its moments."""
        self._armed = 0
        heap, left = self._heap, AT_ONCE
        while True:
            due, event = self._next_due, heap[0][0] if heap else NEVER
            now = _now()
            if due < event:
                if due > now or not left:
                    break
                left -= 1
                self._next_due = next(self._times, NEVER)
                self._is_due(due, now)
            elif event <= now and event < NEVER:
                _moment, _rank, _place, call, argument = heapq.heappop(heap)
                call(argument, event)
            else:
                break
        self._armed = NEVER
        self._wake(min(self._next_due, heap[0][0] if heap else NEVER))

    def _push(self, moment: int, rank: int, call: Call, argument: Any) -> None:
        heapq.heappush(self._heap, (moment, rank, next(self._order), call, argument))
        self._wake(moment)

    def _wake(self, moment: int) -> None:
        if moment < self._armed:
            self._armed = moment
            self._alarm.set(moment)

    def _sweep(self, _: None, moment: int) -> None:
        """Give up on replies, and on messages that wait, after their time."""
        now = _now()
        before = now - self._within
        for client in self.clients:
            if client.state == WAITING and client.sent_at < before:
                seen = f"nothing came within {self._setup.reply_within_s:g} s"
                client.broke(Failure.NO_REPLY, seen, is_reply=False)
        while self._backlog and self._backlog[0][0] < before:
            self._unsent(now)
        self._tell_finished()
        every = min(0.25, max(0.02, self._setup.reply_within_s / 20))
        self._push(max(moment, now) + int(every * NS), _SWEEP, self._sweep, None)
