"""One drill under way: it follows the real alert and the real message from the breach to the word of its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import checks.monitoring.drill as rules
from checks.monitoring.board import Drill
from checks.monitoring.model import (
    Alert,
    AlertKind,
    AlertState,
    Delivery,
    Message,
    Reading,
    Rung,
    Threshold,
    Told,
)
from checks.text import clean, one_line

FIRES_WITHIN_S = 120.0
"""So much longer than its own time the rule may take to fire."""


class Running:
    """Goes on at each look; what it has come to is `drill`."""

    def __init__(self, drill: Drill, threshold: Threshold, moved: Threshold, code: str) -> None:
        self.drill = drill
        self._plain = threshold
        self._moved = moved
        self._code = code
        self._alert = ""
        self._began_wait: datetime | None = None

    @classmethod
    def begin(
        cls, threshold: Threshold, reading: Reading, rung: int, ladder: Sequence[Rung], now: datetime
    ) -> Running:
        """Move the limit beyond the present value. Raises ReviewError where that cannot be, with the reason."""
        drill, moved, code = rules.begin(threshold, reading, rung, ladder, now)
        return cls(drill, threshold, moved, code)

    @property
    def judged(self) -> Threshold:
        """The threshold as it is to be judged: with its limit moved until the code is typed back."""
        is_moved = self.drill.answered_at is None and not self.drill.problem
        return self._moved if is_moved else self._plain

    def concerns(self, alert: Alert) -> bool:
        """Whether the alert is the drill's own: nobody else is told of it."""
        return alert.threshold == self._plain.name and alert.kind is AlertKind.LIMIT

    def answer(self, code: str, actor: str, now: datetime) -> str:
        """Take the code that somebody typed; what to tell them where it is not the one, empty where it is.

        Raises ReviewError where no code has been sent yet.
        """
        self.drill = rules.answered(self.drill, code, self._code, actor, now)
        if self.drill.answered_at is not None:
            return ""
        return self.drill.problem or "That is not the code of this drill; ask for it again."

    def go_on(self, alert: Alert, sent: Mapping[str, Message], now: datetime, name: str) -> Message | None:
        """One look: what became of the alert and of the messages; the next message where one is due."""
        if self.drill.problem:
            return self._called_off(sent, now, name)
        if self.drill.is_over:
            return None
        if self.drill.fired_at is None:
            return self._until_fired(alert, now, name)
        if self.drill.told_at is None:
            self._until_told(sent, now)
        if self.drill.answered_at is None:
            self.drill = rules.timed_out(self.drill, now)
            return None
        return self._until_over(alert, sent, now, name)

    def _until_fired(self, alert: Alert, now: datetime, name: str) -> Message | None:
        if alert.state is AlertState.FIRING and alert.fired_at:
            self._alert = alert.id
            self.drill = replace(self.drill, fired_at=alert.fired_at)
            text = (
                f"This is a drill: {self._plain.title} was made to fire. Nothing is broken. The code is {self._code}. "
                "Read it to whoever is at gonogo, who types it there (tab 4, key c)."
            )
            return self._message(
                "drill", Told.DRILL, f"DRILL {self._code}: {self._plain.title}, {name}", text, now
            )
        limit = timedelta(seconds=self._moved.for_s + FIRES_WITHIN_S)
        if now - self.drill.began_at > limit:
            self._fail("the rule did not fire in its time: the value changed, or went missing")
        return None

    def _until_told(self, sent: Mapping[str, Message], now: datetime) -> None:
        message = sent.get(self._id("drill"))
        if message is None:
            return
        if message.delivery is Delivery.SENT:
            self.drill = replace(self.drill, told_at=now)
        elif message.delivery is Delivery.GIVEN_UP:
            self._fail(f"the channel of {self.drill.contact} did not take the message: {message.answer}")

    def _until_over(
        self, alert: Alert, sent: Mapping[str, Message], now: datetime, name: str
    ) -> Message | None:
        ended = sent.get(self._id("over"))
        if ended is None:
            if alert.state is AlertState.FIRING:
                return None
            title = f"DRILL over: {self._plain.title}, {name}"
            text = f"The drill is over; {self.drill.answered_by} typed the code. The alert is resolved."
            return self._message("over", Told.RESOLVED, title, text, now)
        if ended.delivery is Delivery.SENT:
            self.drill = replace(self.drill, resolved_at=now)
        elif ended.delivery is Delivery.GIVEN_UP:
            self._fail(
                f"the channel of {self.drill.contact} did not take the word of its end: {ended.answer}"
            )
        return None

    def _called_off(self, sent: Mapping[str, Message], now: datetime, name: str) -> Message | None:
        """Whoever has an open message of a drill that came to nothing is told that it is over."""
        if self._id("drill") not in sent or self._id("over") in sent:
            return None
        text = f"The drill came to nothing: {self.drill.problem}. Nothing has to be done."
        return self._message("over", Told.RESOLVED, f"DRILL over: {self._plain.title}, {name}", text, now)

    def _fail(self, why: str) -> None:
        self.drill = replace(self.drill, problem=clean(why))

    def _id(self, word: str) -> str:
        return f"drill-{self.drill.id}:{word}:{self.drill.contact}"

    def _message(self, word: str, told: Told, title: str, body: str, now: datetime) -> Message:
        return Message(
            self._id(word), self._alert, told, self.drill.contact, one_line(title, 100), clean(body), now
        )
