"""Messages on their way: written down before anything is done with them, tried until the channel takes them, sent once.

The sending itself is done by a process of its own (`checks/monitoring/sending.py`), which is started with the first
message and ends when there is none: a channel that hangs, or a plugin that crashes, never stops the watch.

What cannot be ruled out: a message whose answer was never seen (somebody ended the watch or the process at that moment,
or the channel answered too late) may have arrived. It is sent again, and says in its text that it may be a repetition.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path

from checks.monitoring.drill import hidden
from checks.monitoring.model import Contact, Delivery, Message, Told
from checks.monitoring.sending import (
    AT_ONCE,
    LIMIT_S,
    MOST_ANSWER,
    Answer,
    Job,
    environment,
    line,
    read_answer,
)
from checks.text import clean, one_line

ROOT = Path(__file__).resolve().parents[2]
AGAIN_AFTER_S = (5.0, 15.0, 60.0, 300.0)
"""After the first, second, ... failure; the last goes on."""
GIVEN_UP_AFTER = timedelta(hours=24)
HANGS_AFTER_S = LIMIT_S + 10.0
"""The process answers each job within its own limit; one that does not is stopped."""
RESTART_EVERY_S = 3.0
IDLE_S = 60.0
"""So long without a message, and the process ends: it holds 60 MB."""
CLOSE_WITHIN_S = 3.0
"""So long answers are waited for at the end."""
CLOSE_LOOKS_EVERY_S = 0.02
PIECE_BYTES = 1 << 16
KNOWN_IDS = 10_000
"""Of messages that are done with: so many ids are remembered, to not send one again."""
REPEATED = "(This may be a repetition: whether it was sent before is not known.)"


class Notifier:
    """One process that sends: `start` once, `give` jobs, read `answers`; `stop` at any moment; `closed` last."""

    def __init__(self) -> None:
        self.answers: deque[Answer] = deque()
        self._process: asyncio.subprocess.Process | None = None
        self._descriptor = -1
        """Stands for this process and no later one of the same id; -1 where the system has none."""
        self._listening: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int:
        """Its process id; 0 before it was started."""
        return self._process.pid if self._process else 0

    @property
    def has_ended(self) -> bool:
        """Whether nothing more comes from it: all of its answers are there."""
        return self._listening is not None and self._listening.done()

    async def start(self) -> None:
        """Raises OSError where no process can be started."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "checks.monitoring.sending",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            cwd=ROOT,
            env=environment(os.environ),
            start_new_session=True,
        )
        self._process = process
        with contextlib.suppress(OSError, AttributeError):
            self._descriptor = os.pidfd_open(process.pid)
        self._listening = asyncio.create_task(self._listen(process))

    def give(self, job: Job) -> None:
        """Hand a job over. One that is gone takes none, which is seen by its end."""
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError, RuntimeError):
                self._process.stdin.write(line(job))

    def stop(self) -> None:
        """End it now."""
        if self._process is None or self.has_ended:
            return
        with contextlib.suppress(ProcessLookupError):
            # Not by the process object: it would collect the exit status that its watcher waits for.
            if self._descriptor >= 0:
                signal.pidfd_send_signal(self._descriptor, signal.SIGKILL)
            else:
                os.kill(self._process.pid, signal.SIGKILL)

    async def closed(self) -> None:
        """Stop it, and release what it held."""
        self.stop()
        if self._listening is not None:
            await asyncio.gather(self._listening, return_exceptions=True)
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        try:
            while raw := await process.stdout.readline():
                with contextlib.suppress(ValueError, KeyError, TypeError):
                    self.answers.append(read_answer(raw))
        except (OSError, ValueError):  # a line without an end is no answer
            self.stop()
        while await process.stdout.read(PIECE_BYTES):
            pass  # what is unread would keep the pipe, and with it the end of the process, waiting
        if process.stdin is not None:
            process.stdin.close()
        await process.wait()


@dataclass(slots=True)
class _Waiting:
    """One message that is not done with."""

    message: Message
    due_s: float
    """Monotonic: when it is tried next."""
    handed_s: float | None = None
    """Monotonic: when it was given to the process; None while it is not there."""
    has_failed: bool = False
    """Whether its channel refused it at least once."""
    is_of_past: bool = False
    """Whether an earlier watch left it."""


class Outbox:
    """The messages of one watch; everything happens on its event loop, and nothing waits for a channel."""

    def __init__(
        self,
        contacts: Mapping[str, Contact],
        record: Callable[[Message], None],
        *,
        waiting: Iterable[Message] = (),
        clock: Callable[[], datetime],
        mono: Callable[[], float],
    ) -> None:
        """`waiting` is what an earlier watch left undone; `record` writes a message down, before the next step."""
        self._contacts = contacts
        self._record = record
        self._clock, self._mono = clock, mono
        self._waiting: dict[str, _Waiting] = {
            one.id: _Waiting(one, mono(), has_failed=one.delivery is Delivery.FAILED, is_of_past=True)
            for one in waiting
            if one.delivery in (Delivery.DUE, Delivery.FAILED)
        }
        self._done: OrderedDict[str, None] = OrderedDict()
        self._notifier: Notifier | None = None
        self._is_stopping = False
        self._started_s = -RESTART_EVERY_S
        self._used_s = 0.0

    @property
    def waiting(self) -> tuple[Message, ...]:
        """What was not taken yet, the oldest first."""
        return tuple(_shown(one.message) for one in self._waiting.values())

    @property
    def failures(self) -> int:
        """How many of them a channel has refused so far."""
        return sum(one.has_failed for one in self._waiting.values())

    @property
    def pid(self) -> int:
        """The id of the process that sends; 0 while there is none."""
        return self._notifier.pid if self._notifier else 0

    def put(self, *messages: Message) -> None:
        """Take messages on: each is written down as due. One whose id is known is ignored."""
        for message in messages:
            if message.id not in self._waiting and message.id not in self._done:
                self._waiting[message.id] = _Waiting(message, self._mono())
                self._record(_shown(message))

    async def tend(self) -> None:
        """Take the answers that are there, and hand over what is due. Waits for no channel."""
        now_s = self._mono()
        self._take_answers(now_s)
        await self._look_after_process(now_s)
        self._drop_hopeless()
        if ready := self._ready(now_s):
            notifier = await self._started(ready, now_s)
            if notifier is not None:
                for one in ready:
                    self._hand(one, notifier, now_s)
        elif self._notifier and not self._is_busy and now_s - self._used_s >= IDLE_S:
            self._stop()

    async def close(self) -> None:
        """Wait a little for the answers that are under way, then end the process. The rest is for the next watch."""
        loop = asyncio.get_running_loop()
        until = loop.time() + CLOSE_WITHIN_S
        try:
            while self._notifier and self._is_busy and not self._notifier.has_ended and loop.time() < until:
                await asyncio.sleep(CLOSE_LOOKS_EVERY_S)
                self._take_answers(self._mono())
        finally:
            if self._notifier is not None:
                await self._notifier.closed()
                self._take_answers(self._mono())
                self._notifier = None

    # The process

    @property
    def _is_busy(self) -> bool:
        return any(one.handed_s is not None for one in self._waiting.values())

    async def _started(self, ready: list[_Waiting], now_s: float) -> Notifier | None:
        """The process; None where none runs yet: one that ended a moment ago is not started in a loop."""
        if self._notifier is not None:
            return None if self._is_stopping else self._notifier
        if now_s - self._started_s < RESTART_EVERY_S:
            return None
        self._started_s = now_s
        notifier = Notifier()
        try:
            await notifier.start()
        except OSError as problem:
            why = (problem.strerror or type(problem).__name__).lower()
            for one in ready:
                one.message = replace(one.message, attempts=one.message.attempts + 1)
                self._failed(one, f"No process can be started to send it: {why}", now_s)
            return None
        self._notifier, self._is_stopping = notifier, False
        return notifier

    async def _look_after_process(self, now_s: float) -> None:
        notifier = self._notifier
        if notifier is None:
            return
        if notifier.has_ended:
            self._take_answers(now_s)
            await notifier.closed()
            self._notifier = None
            for one in [one for one in self._waiting.values() if one.handed_s is not None]:
                self._failed(
                    one, "The process that sends ended before the channel answered", now_s, is_unsure=True
                )
        elif any(
            one.handed_s is not None and now_s - one.handed_s > HANGS_AFTER_S
            for one in self._waiting.values()
        ):
            self._stop()

    def _stop(self) -> None:
        """Its end is seen at a later look."""
        if self._notifier is not None and not self._is_stopping:
            self._is_stopping = True
            self._notifier.stop()

    # The messages

    def _ready(self, now_s: float) -> list[_Waiting]:
        """What is to be handed over: one to a contact at a time, so that a channel that hangs holds up no other.

        What an alert has to say to a contact goes in its order. What was never tried goes first.
        """
        places = AT_ONCE - sum(one.handed_s is not None for one in self._waiting.values())
        taken = {one.message.contact for one in self._waiting.values() if one.handed_s is not None}
        ready = [one for one in self._first_of_each() if one.handed_s is None and one.due_s <= now_s]
        found: list[_Waiting] = []
        for one in sorted(ready, key=lambda each: each.message.attempts):
            if len(found) < places and one.message.contact not in taken:
                taken.add(one.message.contact)
                found.append(one)
        return found

    def _first_of_each(self) -> Iterator[_Waiting]:
        seen: set[tuple[str, str]] = set()
        for one in self._waiting.values():
            key = (one.message.alert, one.message.contact)
            if one.message.told is Told.TEST:  # a test waits for no other
                yield one
            elif key not in seen:
                seen.add(key)
                yield one

    def _hand(self, one: _Waiting, notifier: Notifier, now_s: float) -> None:
        message = one.message
        if one.is_of_past and message.delivery is Delivery.DUE and message.attempts:
            message = _repeated(message)
        one.message = replace(message, delivery=Delivery.DUE, attempts=message.attempts + 1)
        one.is_of_past = False
        one.handed_s = self._used_s = now_s
        self._record(_shown(one.message))
        url = self._contacts[message.contact].url
        notifier.give(Job(message.id, url, message.title, one.message.body))

    def _take_answers(self, now_s: float) -> None:
        while self._notifier is not None and self._notifier.answers:
            answer = self._notifier.answers.popleft()
            one = self._waiting.get(answer.id)
            if one is None or one.handed_s is None:
                continue
            one.message = replace(one.message, took_s=answer.took_s)
            self._used_s = now_s
            if answer.ok:
                self._end(one, Delivery.SENT, answer.answer)
            elif answer.is_final:
                variable = self._contacts[one.message.contact].url_env
                self._end(one, Delivery.GIVEN_UP, f"{variable} cannot be used: {answer.answer}")
            else:
                self._failed(one, answer.answer, now_s, is_unsure=answer.is_unsure)

    def _failed(self, one: _Waiting, why: str, now_s: float, *, is_unsure: bool = False) -> None:
        message = _repeated(one.message) if is_unsure else one.message
        one.message, one.handed_s, one.has_failed = message, None, True
        # The clock alone would give up at once where it was set.
        is_tried = message.attempts > len(AGAIN_AFTER_S)
        if is_tried and self._clock() - message.at >= GIVEN_UP_AFTER:
            self._end(one, Delivery.GIVEN_UP, why)
            return
        one.due_s = now_s + AGAIN_AFTER_S[min(max(message.attempts, 1), len(AGAIN_AFTER_S)) - 1]
        one.message = replace(message, delivery=Delivery.FAILED, answer=one_line(why, MOST_ANSWER))
        self._record(_shown(one.message))

    def _drop_hopeless(self) -> None:
        """What no further try can deliver: it is given up at once, with the reason."""
        for one in list(self._waiting.values()):
            if one.handed_s is None and (why := self._hopeless(one)):
                self._end(one, Delivery.GIVEN_UP, why)

    def _hopeless(self, one: _Waiting) -> str:
        contact = self._contacts.get(one.message.contact)
        if contact is None:
            return f"There is no contact {one.message.contact} any more: it was taken out of the profile"
        if not contact.url:
            return (
                f"{contact.url_env or 'its url_env'} is not set: put the address of {contact.name}'s channel "
                "(an Apprise URL) into it and start the watch again"
            )
        if one.is_of_past and one.message.told is Told.DRILL:
            return "The watch ended before it was sent; its drill is over"
        return ""

    def _end(self, one: _Waiting, delivery: Delivery, answer: str) -> None:
        message = replace(one.message, delivery=delivery, answer=one_line(answer, MOST_ANSWER))
        del self._waiting[message.id]
        self._done[message.id] = None
        if len(self._done) > KNOWN_IDS:
            self._done.popitem(last=False)
        self._record(_shown(message))


def _shown(message: Message) -> Message:
    """As it is written down and shown: the code of a drill is for the one who is told alone."""
    return hidden(message) if message.told is Told.DRILL else message


def _repeated(message: Message) -> Message:
    if message.body.endswith(REPEATED):
        return message
    return replace(message, body=clean(f"{message.body}\n{REPEATED}"))
