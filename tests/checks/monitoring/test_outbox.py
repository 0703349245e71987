"""Messages through the real process to a real webhook: none is lost, and none arrives twice without saying so."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

import pytest

from checks.monitoring import outbox as under_test
from checks.monitoring.model import Contact, Delivery, Message, Told
from checks.monitoring.outbox import AGAIN_AFTER_S, GIVEN_UP_AFTER, HANGS_AFTER_S, IDLE_S, REPEATED, Outbox
from checks.text import clean
from tests.checks.monitoring.watched import Webhook
from tests.checks.servers import Talk, listening

T0 = datetime(2026, 11, 24, 22, 0, tzinfo=UTC)
TOKEN = "s3cr3t-T0ken"
WITHIN_S = 60.0


@dataclass(slots=True)
class Clock:
    """Both clocks of an outbox: they stand still until the test turns them, however slow the machine is."""

    ahead_s: float = 0.0

    def mono(self) -> float:
        return self.ahead_s

    def now(self) -> datetime:
        return T0 + timedelta(seconds=self.ahead_s)


@dataclass(slots=True)
class Journal:
    """What was recorded, in order."""

    entries: list[Message] = field(default_factory=list)

    def of(self, identity: str) -> list[tuple[Delivery, int]]:
        return [(one.delivery, one.attempts) for one in self.entries if one.id == identity]

    def failed(self, identity: str, attempts: int) -> Callable[[], bool]:
        return lambda: self.of(identity)[-1] == (Delivery.FAILED, attempts)

    def last(self, identity: str) -> Message:
        return next(one for one in reversed(self.entries) if one.id == identity)

    def undelivered(self) -> list[Message]:
        """What a watch that starts again reads back."""
        newest = {one.id: Message.from_document(one.document()) for one in self.entries}
        return [one for one in newest.values() if one.delivery in (Delivery.DUE, Delivery.FAILED)]


def contact(name: str, port: int, more: str = "") -> Contact:
    return Contact(
        name, name.title(), f"TEST_{name.upper()}", f"json://127.0.0.1:{port}/{TOKEN}/{name}{more}"
    )


def message(
    identity: str,
    to: str = "ada",
    *,
    told: Told = Told.FIRING,
    alert: str = "",
    title: str = "",
    at: datetime = T0,
) -> Message:
    return Message(
        identity, alert or identity, told, to, clean(title or f"title {identity}"), clean("It fails."), at
    )


@asynccontextmanager
async def outbox(
    contacts: list[Contact],
    journal: Journal,
    clock: Clock | None = None,
    *,
    waiting: list[Message] | None = None,
) -> AsyncIterator[Outbox]:
    clock = clock or Clock()
    one = Outbox(
        {each.name: each for each in contacts},
        journal.entries.append,
        waiting=waiting or (),
        clock=clock.now,
        mono=clock.mono,
    )
    try:
        yield one
    finally:
        await one.close()


async def until(one: Outbox, is_so: Callable[[], bool], told: Callable[[], object] = lambda: "") -> None:
    """Tend as a watch does until something is so."""
    deadline = time.monotonic() + WITHIN_S
    while not is_so():
        assert time.monotonic() < deadline, told()
        await one.tend()
        await asyncio.sleep(0.01)


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def titles(webhook: Webhook) -> list[str]:
    return [text.partition("\n")[0] for _, text in webhook.got]


async def test_each_step_is_written_down_and_the_message_arrives() -> None:
    webhook, journal = Webhook(), Journal()
    async with listening(webhook.talk) as port, outbox([contact("ada", port)], journal) as one:
        one.put(message("m"))
        assert journal.of("m") == [(Delivery.DUE, 0)]
        assert one.pid == 0  # nothing was done before it was written down
        assert [waiting.id for waiting in one.waiting] == ["m"]
        await until(one, lambda: not one.waiting)
    assert journal.of("m") == [(Delivery.DUE, 0), (Delivery.DUE, 1), (Delivery.SENT, 1)]
    assert webhook.got == [("ada", "title m\nIt fails.")]
    assert journal.last("m").answer == "Sent JSON POST notification."
    assert one.failures == 0


async def test_a_known_message_is_not_sent_again() -> None:
    webhook, journal = Webhook(), Journal()
    async with listening(webhook.talk) as port, outbox([contact("ada", port)], journal) as one:
        one.put(message("m"), message("m"))
        one.put(message("m"))
        await until(one, lambda: not one.waiting)
        one.put(message("m"))
        assert one.waiting == ()
        one.put(message("n"))
        await until(one, lambda: not one.waiting)
    assert titles(webhook) == ["title m", "title n"]


async def test_a_channel_that_is_down_is_tried_later_and_later_and_gets_the_message_once() -> None:
    webhook, journal, clock, port = Webhook(), Journal(), Clock(), free_port()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await webhook.talk(reader, writer)
        writer.close()

    async with outbox([contact("ada", port)], journal, clock) as one:
        one.put(message("m"))
        for attempt, wait_s in enumerate((*AGAIN_AFTER_S, AGAIN_AFTER_S[-1]), start=1):
            await until(one, journal.failed("m", attempt), lambda: journal.entries)
            assert one.failures == 1
            clock.ahead_s += wait_s - 2
            await one.tend()
            assert journal.of("m")[-1] == (Delivery.FAILED, attempt)  # not before its time
            clock.ahead_s += 2
        assert "Connection refused" in journal.last("m").answer
        server = await asyncio.start_server(talk, "127.0.0.1", port)
        async with server:
            await until(one, lambda: not one.waiting)
            clock.ahead_s += 600
            await one.tend()
        await server.wait_closed()
    assert titles(webhook) == ["title m"]
    assert REPEATED not in webhook.got[0][1]  # that nobody took it before is known
    assert one.failures == 0


async def test_a_channel_that_answers_500_gets_the_message_when_it_answers_200() -> None:
    webhook, journal, clock = Webhook(status="500 Internal Server Error"), Journal(), Clock()
    async with listening(webhook.talk) as port, outbox([contact("ada", port)], journal, clock) as one:
        one.put(message("m"))
        await until(one, lambda: one.failures == 1)
        assert "error=500" in journal.last("m").answer
        webhook.status = "200 OK"
        clock.ahead_s += AGAIN_AFTER_S[0]
        await until(one, lambda: not one.waiting)
    assert titles(webhook) == ["title m"]


async def test_failures_are_counted_while_they_are_tried_again_too() -> None:
    """The threshold on them must not see a good value in between."""
    webhook, journal, clock, is_asked, may_end = (
        Webhook(),
        Journal(),
        Clock(),
        asyncio.Event(),
        asyncio.Event(),
    )
    webhook.status = "500 no"

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if journal.of("m")[-1][1] > 1:
            is_asked.set()
            await may_end.wait()
        await webhook.talk(reader, writer)

    async with listening(hang) as port, outbox([contact("ada", port)], journal, clock) as one:
        one.put(message("m"))
        await until(one, lambda: one.failures == 1)
        clock.ahead_s += AGAIN_AFTER_S[0]
        await until(one, is_asked.is_set)
        assert journal.of("m")[-1] == (Delivery.DUE, 2)
        assert one.failures == 1
        webhook.status = "200 OK"
        may_end.set()
        await until(one, lambda: not one.waiting)
        assert one.failures == 0


async def test_it_is_given_up_after_a_day_of_trying_and_not_by_a_clock_that_was_set() -> None:
    journal, clock, port = Journal(), Clock(), free_port()
    async with outbox([contact("ada", port)], journal, clock) as one:
        one.put(message("m", at=T0 - 2 * GIVEN_UP_AFTER))
        for attempt in range(1, len(AGAIN_AFTER_S) + 1):
            await until(one, journal.failed("m", attempt))
            clock.ahead_s += AGAIN_AFTER_S[-1]
        await until(one, lambda: not one.waiting)
    assert journal.last("m").delivery is Delivery.GIVEN_UP
    assert "Connection refused" in journal.last("m").answer


async def test_a_slow_channel_holds_up_nobody() -> None:
    """The slow one is let go only after the other contact has got everything."""
    webhook, journal, may_end = Webhook(), Journal(), asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await may_end.wait()
        await webhook.talk(reader, writer)

    async with (
        listening(webhook.talk) as port,
        listening(slow) as other,
        outbox([contact("ada", port), contact("slow", other)], journal) as one,
    ):
        one.put(*(message(f"s{n}", "slow") for n in range(5)))
        one.put(*(message(f"a{n}") for n in range(5)))
        await until(one, lambda: len(webhook.got) == 5, lambda: journal.entries)
        await until(one, lambda: len(one.waiting) == 5)
        assert {to for to, _ in webhook.got} == {"ada"}
        may_end.set()
        await until(one, lambda: not one.waiting)
    assert titles(webhook) == [*(f"title a{n}" for n in range(5)), *(f"title s{n}" for n in range(5))]


async def test_what_an_alert_has_to_say_arrives_in_its_order() -> None:
    webhook, journal, clock = Webhook(status="503 no"), Journal(), Clock()
    async with listening(webhook.talk) as port, outbox([contact("ada", port)], journal, clock) as one:
        one.put(message("fire", alert="e"))
        await until(one, lambda: one.failures == 1)
        one.put(message("over", alert="e", told=Told.RESOLVED), message("test", told=Told.TEST, alert="test"))
        webhook.status = "200 OK"
        await until(
            one, lambda: len(one.waiting) == 2
        )  # the test went ahead; the end waits for its beginning
        await one.tend()
        assert journal.of("over") == [(Delivery.DUE, 0)]
        clock.ahead_s += AGAIN_AFTER_S[0]
        await until(one, lambda: not one.waiting)
    assert titles(webhook) == ["title test", "title fire", "title over"]


async def test_a_process_that_is_killed_is_started_again_and_the_message_says_that_it_may_be_a_repetition() -> (
    None
):
    webhook, journal, clock, is_asked = Webhook(), Journal(), Clock(), asyncio.Event()
    hangs = [True]

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if hangs[0]:
            is_asked.set()
            await asyncio.sleep(WITHIN_S)
        await webhook.talk(reader, writer)

    async with listening(hang) as port, outbox([contact("ada", port, "?rto=600")], journal, clock) as one:
        one.put(message("m"))
        await until(one, is_asked.is_set)
        first = one.pid
        os.kill(first, signal.SIGKILL)
        hangs[0] = False
        await until(one, lambda: journal.of("m")[-1] == (Delivery.FAILED, 1), lambda: journal.entries)
        assert "ended before the channel answered" in journal.last("m").answer
        clock.ahead_s += AGAIN_AFTER_S[0]
        await until(one, lambda: not one.waiting)
        assert one.pid not in (0, first)
    assert webhook.got == [("ada", f"title m\nIt fails.\n{REPEATED}")]


async def test_a_process_that_stands_still_is_replaced() -> None:
    webhook, journal, clock = Webhook(), Journal(), Clock()
    async with listening(webhook.talk) as port, outbox([contact("ada", port)], journal, clock) as one:
        one.put(message("m"))
        await until(one, lambda: not one.waiting)
        first = one.pid
        os.kill(first, signal.SIGSTOP)
        one.put(message("n"))
        await until(one, lambda: journal.of("n")[-1] == (Delivery.DUE, 1))
        clock.ahead_s += HANGS_AFTER_S + 1
        await until(one, lambda: journal.of("n")[-1] == (Delivery.FAILED, 1), lambda: journal.entries)
        clock.ahead_s += AGAIN_AFTER_S[0]
        await until(one, lambda: not one.waiting)
        assert one.pid not in (0, first)
    assert titles(webhook) == ["title m", "title n"]


async def test_a_process_that_cannot_be_started_is_told_and_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    webhook, journal, clock = Webhook(), Journal(), Clock()
    async with listening(webhook.talk) as port, outbox([contact("ada", port)], journal, clock) as one:
        with monkeypatch.context() as patch:
            patch.setattr(sys, "executable", "/nonexistent/python")
            one.put(message("m"))
            await until(one, lambda: one.failures == 1)
        assert journal.last("m").answer == "No process can be started to send it: no such file or directory"
        clock.ahead_s += AGAIN_AFTER_S[0]
        await until(one, lambda: not one.waiting)
    assert REPEATED not in webhook.got[0][1]


async def test_a_process_without_work_ends_and_is_started_for_the_next_message() -> None:
    webhook, journal, clock = Webhook(), Journal(), Clock()
    async with listening(webhook.talk) as port, outbox([contact("ada", port)], journal, clock) as one:
        one.put(message("m"))
        await until(one, lambda: not one.waiting)
        first = one.pid
        clock.ahead_s += IDLE_S
        await until(one, lambda: one.pid == 0)
        with pytest.raises(ProcessLookupError):
            os.kill(first, 0)
        one.put(message("n"))
        await until(one, lambda: not one.waiting)
    assert titles(webhook) == ["title m", "title n"]


async def test_a_contact_without_an_address_is_given_up_with_the_name_of_the_variable() -> None:
    journal = Journal()
    async with outbox([Contact("lead", "Grace", "TEST_LEAD")], journal) as one:
        one.put(message("m", "lead"), message("n", "gone"))
        await one.tend()
        assert one.waiting == ()
        assert one.pid == 0
    assert [state for state, _ in journal.of("m")] == [Delivery.DUE, Delivery.GIVEN_UP]
    assert journal.last("m").answer.startswith("TEST_LEAD is not set")
    assert "There is no contact gone any more" in journal.last("n").answer


async def test_an_address_that_is_none_is_given_up_with_the_name_of_the_variable_and_without_the_address() -> (
    None
):
    journal = Journal()
    async with outbox([Contact("lead", "Grace", "TEST_LEAD", f"nosuch://{TOKEN}/x")], journal) as one:
        one.put(message("m", "lead"))
        await until(one, lambda: not one.waiting)
    assert journal.last("m").delivery is Delivery.GIVEN_UP
    assert journal.last("m").answer.startswith("TEST_LEAD cannot be used: Apprise cannot read it")
    assert TOKEN not in str(journal.entries)


async def test_hostile_text_arrives_as_text_and_no_secret_is_written_down() -> None:
    webhook, journal, port = Webhook(), Journal(), free_port()
    hostile = '{"a":1}\\n"quoted" \x1b[31m @everyone <b>x</b> \u202e :smile: %s {0}'
    contacts = [contact("ada", port)]
    async with listening(webhook.talk) as up, outbox([*contacts, contact("eve", up)], journal) as one:
        one.put(message("m", "eve", title=hostile), message("n", "ada", title=hostile))
        await until(one, lambda: len(one.waiting) == 1 and one.failures == 1)
    assert titles(webhook) == [str(clean(hostile))]
    assert TOKEN not in str(journal.entries)
    assert all(entry.answer == clean(entry.answer) for entry in journal.entries)


async def test_what_was_due_at_a_restart_is_sent_once() -> None:
    webhook, journal = Webhook(), Journal()
    async with listening(webhook.talk) as port:
        contacts = [contact("ada", port)]
        async with outbox(contacts, journal) as first:
            first.put(message("done"))
            await until(first, lambda: not first.waiting)
            first.put(message("m"), message("n", alert="m", told=Told.RESOLVED))  # and the watch ends
        left = journal.undelivered()
        assert [one.id for one in left] == ["m", "n"]
        async with outbox(contacts, journal, waiting=left) as second:
            second.put(message("m"))  # worked out again
            await until(second, lambda: not second.waiting)
        async with outbox(contacts, journal, waiting=journal.undelivered()) as third:
            await third.tend()
            assert third.waiting == ()
    assert titles(webhook) == ["title done", "title m", "title n"]
    assert not [text for _, text in webhook.got if REPEATED in text]


async def test_what_was_under_way_at_a_crash_is_sent_again_and_says_so_once() -> None:
    webhook, journal = Webhook(), Journal()
    crashed = replace(message("m"), attempts=1)  # handed over; no answer was ever written down
    refused = replace(message("n"), attempts=1, delivery=Delivery.FAILED, answer=clean("error=500"))
    async with listening(webhook.talk) as port:
        contacts = [contact("ada", port)]
        async with outbox(contacts, journal, waiting=[crashed, refused]) as one:
            assert one.failures == 1
            await until(one, lambda: not one.waiting)
        again = [replace(crashed, body=journal.last("m").body, attempts=2)]
        async with outbox(contacts, Journal(), waiting=again) as two:
            await until(two, lambda: not two.waiting)
    assert [text.count(REPEATED) for _, text in webhook.got] == [1, 0, 1]
    assert journal.of("m") == [(Delivery.DUE, 2), (Delivery.SENT, 2)]


async def test_an_answer_that_is_under_way_at_the_end_is_waited_for() -> None:
    webhook, journal, is_asked = Webhook(), Journal(), asyncio.Event()

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        is_asked.set()
        await webhook.talk(reader, writer)

    async with listening(slow) as port:
        async with outbox([contact("ada", port)], journal) as one:
            one.put(message("m"))
            await until(one, is_asked.is_set)
        assert journal.last("m").delivery is Delivery.SENT
    assert titles(webhook) == ["title m"]


async def test_a_channel_that_hangs_does_not_hold_up_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_test, "CLOSE_WITHIN_S", 0.1)
    journal, is_asked = Journal(), asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        is_asked.set()
        await asyncio.sleep(WITHIN_S * 10)

    talk: Talk = hang
    async with listening(talk) as port, outbox([contact("ada", port, "?rto=600")], journal) as one:
        one.put(message("m"))
        await until(one, is_asked.is_set)
        pid = one.pid
        async with asyncio.timeout(WITHIN_S):
            await one.close()
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        await one.close()  # twice does no harm
    assert [one.id for one in journal.undelivered()] == ["m"]
    assert journal.last("m").attempts == 1


async def test_the_code_of_a_drill_arrives_and_is_not_written_down_nor_sent_by_a_later_watch() -> None:
    webhook, journal = Webhook(), Journal()
    drill = replace(
        message("d", told=Told.DRILL, title="DRILL ABC234: Error rate"), body=clean("The code is ABC234.")
    )
    async with listening(webhook.talk) as port:
        contacts = [contact("ada", port)]
        async with outbox(contacts, journal) as one:
            one.put(drill)
            assert "ABC234" not in str(one.waiting)
            await until(one, lambda: not one.waiting)
        assert webhook.got == [("ada", "DRILL ABC234: Error rate\nThe code is ABC234.")]
        assert "ABC234" not in str([entry.document() for entry in journal.entries])
        later = Journal()
        async with outbox(contacts, later, waiting=[journal.entries[0]]) as two:
            await two.tend()
    assert later.last("d").delivery is Delivery.GIVEN_UP
    assert len(webhook.got) == 1


async def test_an_answer_in_doubt_is_sent_again_with_a_word_of_it() -> None:
    """The channel took the message and was cut off before it could say so."""
    webhook, journal, clock, asked = Webhook(), Journal(), Clock(), list[bytes]()

    async def cut_once(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if not asked:
            asked.append(await reader.readuntil(b"\r\n\r\n"))
            return
        await webhook.talk(reader, writer)

    async with listening(cut_once) as port, outbox([contact("ada", port)], journal, clock) as one:
        one.put(message("m"))
        await until(one, lambda: one.failures == 1)
        clock.ahead_s += AGAIN_AFTER_S[0]
        await until(one, lambda: not one.waiting)
    assert webhook.got == [("ada", f"title m\nIt fails.\n{REPEATED}")]
