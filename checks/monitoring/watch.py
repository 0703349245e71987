"""The watch of one target: look, judge, write down, tell. It depends on no screen and survives what it watches.

One look: wishes that people left are taken, readings collected, each threshold judged (`alerts.step`), each change
journalled, messages made (`escalation.due`) and handed to the outbox, the board written for whoever follows.
"""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from checks.context import Context
from checks.journal import Journal
from checks.model import ReviewError
from checks.monitoring import files
from checks.monitoring.actions import (
    Acknowledge,
    Action,
    AnswerDrill,
    BeginDrill,
    Edit,
    EndSilence,
    SilenceFor,
    TryContact,
)
from checks.monitoring.alerts import MISSED_LOOKS, Moment, Watched, step
from checks.monitoring.board import Board, Drill, LadderRung
from checks.monitoring.drill import hidden
from checks.monitoring.drilling import Running
from checks.monitoring.escalation import Situation, due, inhibitor, next_rung
from checks.monitoring.model import (
    Alert,
    AlertKind,
    AlertState,
    Message,
    Reading,
    Row,
    Threshold,
    Told,
)
from checks.monitoring.outbox import Outbox
from checks.monitoring.people import People
from checks.monitoring.record import KEPT_MESSAGES, Known, Record, known
from checks.monitoring.sources.collector import Collector
from checks.target import Target
from checks.text import clean, one_line

HISTORY = 120
"""Points of each threshold's history: ten minutes at a look every five seconds."""
SHARE_EVERY_S = 5.0
"""Others can follow that often; what changes an alert is shared at once."""
SHOWN_MESSAGES = 40
CLOCK_SET_S = 2.0
"""A wall clock that went by so much more or less than the monotonic one was set."""


class Watch:
    """Holds the watch's journal. Everything happens on one event loop; `mono` and `clock` may be turned by tests."""

    def __init__(
        self,
        context: Context,
        journal: Journal,
        folder: Path,
        *,
        standing: Callable[[], Reading],
        clock: Callable[[], datetime],
        mono: Callable[[], float],
        who: str,
    ) -> None:
        target = context.target
        self._target: Target = target
        self._folder = folder
        self._clock, self._mono = clock, mono
        self._who = one_line(f"{who}, process {os.getpid()}", 100)
        self._record = Record(journal)
        now = clock()
        past: Known = known(journal.latest(), now)
        self._people = People(target.thresholds, past, self._record)
        self._sent: dict[str, Message] = past.messages
        self._drill: Running | None = None
        self._last_drill: Drill | None = max(past.drills.values(), key=lambda one: one.began_at, default=None)
        moment = Moment(now, mono())
        self._watched = {
            one.name: Watched.resumed(
                past.alert(one.name, AlertKind.LIMIT),
                past.alert(one.name, AlertKind.NO_DATA),
                moment,
                one.window_s,
            )
            for one in self._people.thresholds
        }
        self._readings: Mapping[str, Reading] = {}
        self._history: dict[str, deque[tuple[float, float | None]]] = {
            one.name: deque(maxlen=HISTORY) for one in self._people.thresholds
        }
        self._before: Moment | None = None
        self._began_at = now
        self._looks = 0
        self._shared: tuple[object, ...] = ()
        self._shared_s = -math.inf
        self._outbox = Outbox(target.contacts, self._keep, waiting=past.undelivered, clock=clock, mono=mono)
        own = {"notifier-failures": self._undelivered, "go-standing": standing}
        self._collector = Collector(context, self._people.thresholds, own=own, mono=mono)
        if self._last_drill is not None and not self._last_drill.is_over:
            self._last_drill = replace(self._last_drill, problem=clean("the watch ended before it was over"))
            self._record.drill(self._last_drill)
        self._record.told("began", looks_every_s=target.profile.monitoring.interval_s, who=self._who)

    @property
    def interval_s(self) -> float:
        """Seconds from one look to the next."""
        return self._target.profile.monitoring.interval_s

    @property
    def is_telling(self) -> bool:
        """Whether messages are under way, so that answers should be asked for soon."""
        return bool(self._outbox.waiting)

    async def tend(self) -> None:
        """Collect the answers of channels, between two looks."""
        await self._outbox.tend()

    async def look(self) -> Board:
        """One look."""
        now = Moment(self._clock(), self._mono())
        self._record.retry()
        self._notice_time(now)
        for action, actor in files.taken_wishes(self._folder, now.at):
            self._try(action, actor)
        self._readings = await self._collector.look()
        now = Moment(self._clock(), self._mono())
        self._judge(now)
        await self._tell(now)
        self._before = now
        self._looks += 1
        board = self.board()
        states = tuple((row.state, row.acknowledged, row.silence) for row in board.rows)
        if states == self._shared and now.mono_s - self._shared_s < SHARE_EVERY_S:
            return board
        self._shared, self._shared_s = states, now.mono_s
        try:
            files.write_board(self._folder, board)
        except OSError as problem:
            why = (problem.strerror or type(problem).__name__).lower()
            board = replace(board, problem=clean(f"The board cannot be written for others to follow: {why}"))
        return board

    def _notice_time(self, now: Moment) -> None:
        if self._before is None:
            return
        passed_s = now.mono_s - self._before.mono_s
        set_by_s = (now.at - self._before.at).total_seconds() - passed_s
        if abs(set_by_s) > CLOCK_SET_S:
            self._record.told("clock-set", by_s=round(set_by_s, 1))
        if passed_s > MISSED_LOOKS * self.interval_s:
            self._record.told("missed", seconds=round(passed_s, 1))

    def _judge(self, now: Moment) -> None:
        for threshold in self._judged():
            reading = self._readings.get(threshold.name, Reading(None, problem=clean("it was not looked at")))
            watched, changed = step(threshold, self._watched[threshold.name], reading, now, self.interval_s)
            self._watched[threshold.name] = watched
            self._history[threshold.name].append(
                (now.mono_s, None if reading.is_missing or not reading.applies else reading.value)
            )
            for alert in changed:
                self._record.alert(alert, threshold, reading)

    def _judged(self) -> tuple[Threshold, ...]:
        """The thresholds, the one that is being drilled with its limit moved."""
        moved = self._drill.judged if self._drill else None
        return tuple(moved if moved and moved.name == one.name else one for one in self._people.thresholds)

    async def _tell(self, now: Moment) -> None:
        situations = [
            one for one in self._situations(now.at) if not (self._drill and self._drill.concerns(one.alert))
        ]
        for message in due(
            situations,
            self._target.ladders,
            self._sent,
            now.at,
            self._target.profile.monitoring.reminder_s,
            self._target.title,
        ):
            self._put(message)
        self._go_on_with_drill(now)
        await self._outbox.tend()
        self._forget(now.at)

    def _put(self, message: Message) -> None:
        self._sent.setdefault(message.id, hidden(message))
        self._outbox.put(message)

    def _keep(self, message: Message) -> None:
        """A message's delivery changed. A drill's code is in the message that is sent, and nowhere else."""
        self._sent[message.id] = hidden(message)
        self._record.message(hidden(message))

    def _situations(self, now: datetime) -> list[Situation]:
        firing = self._firing()
        found = []
        for threshold in self._people.thresholds:
            watched = self._watched[threshold.name]
            for alert in (watched.limit.alert, watched.no_data.alert):
                if alert.state in (AlertState.FIRING, AlertState.RESOLVED):
                    found.append(
                        Situation(
                            threshold,
                            alert,
                            self._people.acknowledged(alert),
                            self._people.silence_of(threshold.name, now),
                            inhibitor(threshold, firing),
                        )
                    )
        return found

    def _firing(self) -> set[str]:
        return {
            name
            for name, watched in self._watched.items()
            if watched.limit.alert.is_firing or watched.no_data.alert.is_firing
        }

    def _forget(self, now: datetime) -> None:
        """What is over and old, so that a watch of months needs no more memory than one of a day."""
        episodes = {alert.id for watched in self._watched.values() for alert in _alerts(watched) if alert.id}
        if len(self._sent) > 4 * SHOWN_MESSAGES:
            self._sent = {
                key: one
                for key, one in self._sent.items()
                if one.alert in episodes or now - one.at < KEPT_MESSAGES / 24
            }
        self._people.forget(now, episodes)

    def _undelivered(self) -> Reading:
        """The reading of `notifier-failures`."""
        if not any(contact.url for contact in self._target.contacts.values()):
            return Reading(None, applies=False)
        return Reading(float(self._outbox.failures), source=clean("the watch's outbox"))

    # What people do

    def do(self, action: Action, actor: str) -> None:
        """Do what a person asked for. Raises ReviewError with the sentence that says why not."""
        now = self._clock()
        match action:
            case Acknowledge():
                watched = self._watched[self._people.known(action.threshold).name]
                self._people.acknowledge(action, _alerts(watched), actor, now)
            case SilenceFor():
                self._people.silence(action, actor, now)
            case EndSilence():
                self._people.end_silence(action.silence, now)
            case Edit():
                self._people.edit(action, actor, now)
                self._collector.watch(self._people.thresholds)
            case TryContact():
                self._try_contact(action, actor, now)
            case BeginDrill():
                self._begin_drill(action, now)
            case AnswerDrill():
                if self._drill is None:
                    raise ReviewError("No drill is under way; d begins one.")
                told = self._drill.answer(action.code, actor, now)
                self._record.drill(self._drill.drill)
                if told:
                    raise ReviewError(told)

    def _try(self, action: Action, actor: str) -> None:
        try:
            self.do(action, actor)
        except ReviewError as problem:
            self._record.told("refused", by=actor, why=str(problem))

    def _try_contact(self, action: TryContact, actor: str, now: datetime) -> None:
        contact = self._target.contacts.get(action.contact)
        if contact is None:
            raise ReviewError(
                f"There is no contact {one_line(action.contact, 40)}: add [contacts.NAME] to the profile."
            )
        identity = f"test@{now:%Y%m%dT%H%M%S%f}:{contact.name}"
        title = clean(f"TEST from gonogo: {self._target.title}")
        body = clean(f"A test message, sent by {actor} at {now:%Y-%m-%d %H:%M:%S}Z. Nothing has to be done.")
        self._put(Message(identity, "test", Told.TEST, contact.name, title, body, now))

    # Drills

    def _begin_drill(self, action: BeginDrill, now: datetime) -> None:
        threshold = self._people.known(action.threshold)
        if self._drill is not None:
            raise ReviewError("A drill is under way already; type its code, or wait for its end.")
        if any(alert.is_firing for alert in _alerts(self._watched[threshold.name])):
            raise ReviewError("It fires already: a drill would not be told from the real alert.")
        reading = self._readings.get(threshold.name, Reading(None))
        self._drill = Running.begin(
            threshold, reading, action.rung, self._target.ladders[threshold.severity], now
        )
        self._record.drill(self._drill.drill)

    def _go_on_with_drill(self, now: Moment) -> None:
        running = self._drill
        if running is None:
            return
        before = running.drill
        alert = self._watched[running.judged.name].limit.alert
        if message := running.go_on(alert, self._sent, now.at, self._target.title):
            self._put(message)
        if running.drill != before:
            self._record.drill(running.drill)
            self._last_drill = running.drill
        if running.drill.is_over:
            if message := running.go_on(alert, self._sent, now.at, self._target.title):
                self._put(message)
            self._drill = None

    # What is shown

    def board(self) -> Board:
        """Everything that is known at this moment."""
        now, mono_s = self._clock(), self._mono()
        firing = self._firing()
        messages = tuple(sorted(self._sent.values(), key=lambda one: one.at, reverse=True))
        return Board(
            at=now,
            rows=tuple(self._row(one, now, mono_s, firing) for one in self._judged()),
            ladder=self._ladder(messages),
            messages=messages[:SHOWN_MESSAGES],
            silences=self._people.silences,
            drill=self._drill.drill if self._drill else self._last_drill,
            began_at=self._began_at,
            looks=self._looks,
            interval_s=self.interval_s,
            watcher=self._who,
            is_own=True,
            problem=self._record.problem,
        )

    def _row(self, threshold: Threshold, now: datetime, mono_s: float, firing: set[str]) -> Row:
        watched = self._watched[threshold.name]
        alert = watched.no_data.alert if watched.no_data.alert.is_firing else watched.limit.alert
        silence, above = self._people.silence_of(threshold.name, now), inhibitor(threshold, firing)
        acknowledged = self._people.acknowledged(alert)
        contact, in_s = "", None
        if alert.is_firing:
            situation = Situation(threshold, alert, acknowledged, silence, above)
            found = next_rung(situation, self._target.ladders[threshold.severity], self._sent, now)
            contact, in_s = found or ("", None)
        return Row(
            threshold=threshold,
            reading=self._readings.get(threshold.name, Reading(None, problem=clean("not looked at yet"))),
            limit=watched.limit.alert,
            no_data=watched.no_data.alert,
            history=tuple((mono_s - at_s, value) for at_s, value in self._history[threshold.name]),
            silence=silence,
            inhibitor=above,
            acknowledged=acknowledged,
            next_contact=contact,
            next_in_s=in_s,
            edited_by=self._people.edited_by(threshold.name),
        )

    def _ladder(self, messages: tuple[Message, ...]) -> tuple[LadderRung, ...]:
        found = []
        for severity, rungs in self._target.ladders.items():
            for rung in rungs:
                contact = self._target.contacts[rung.contact]
                last = next((one for one in messages if one.contact == contact.name), None)
                found.append(
                    LadderRung(
                        severity,
                        contact.name,
                        contact.person,
                        contact.channel,
                        rung.after_s,
                        contact.url_env,
                        last,
                    )
                )
        return tuple(found)

    async def close(self) -> None:
        """Stop watching: what is undelivered is kept for the next watch."""
        try:
            await self._collector.close()
            await self._outbox.close()
            self._record.told("ended", looks=self._looks)
        finally:
            self._record.close()


def _alerts(watched: Watched) -> tuple[Alert, Alert]:
    return watched.limit.alert, watched.no_data.alert
