"""Who is told of which alert, and when; pure, so that a restart works the same messages out again.

A message's id says what it is about: the alert's episode, the word, the rung and the contact. Whatever was worked out
before is known by its id and not made a second time. What a target said stands in messages as inert text: no chat may
take it for a mention or a tag.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from checks.monitoring.model import (
    Acknowledgement,
    Alert,
    AlertKind,
    AlertSeverity,
    AlertState,
    Comparison,
    Delivery,
    Message,
    Rung,
    Silence,
    Threshold,
    Told,
)
from checks.monitoring.signals import SIGNALS
from checks.text import Clean, clean, duration, one_line

MOST_TITLE = 99
"""Characters of a title: what a phone shows of it while it is locked, and a short message carries."""
MOST_PROBLEM = 200
_INERT = str.maketrans({"@": "(at)", "<": "‹", ">": "›"})
"""Slack, Discord and Telegram act on these: mentions that call a whole channel, links, tags."""

_COMPARED = {
    Comparison.ABOVE: "above",
    Comparison.AT_LEAST: "at or above",
    Comparison.BELOW: "below",
    Comparison.AT_MOST: "at or below",
}
"""In words: `>` is a quotation to a chat, and `<` begins a tag."""


@dataclass(frozen=True, slots=True)
class Situation:
    """One alert that fires, or was just resolved, with what people did about it."""

    threshold: Threshold
    alert: Alert
    acknowledged: Acknowledgement | None
    silence: Silence | None
    inhibitor: str
    """Name of the firing threshold of which this is a consequence; empty where there is none."""

    @property
    def is_quiet(self) -> bool:
        """Whether nobody more is told that it fires, for as long as it stays so."""
        return bool(self.acknowledged or self.silence or self.inhibitor)


def inhibitor(threshold: Threshold, firing: Collection[str]) -> str:
    """The first of the firing thresholds whose consequence `threshold` is; empty where none fires."""
    return next((name for name in threshold.inhibited_by if name in firing and name != threshold.name), "")


def due(
    situations: Iterable[Situation],
    ladders: Mapping[AlertSeverity, tuple[Rung, ...]],
    sent: Mapping[str, Message],
    now: datetime,
    reminder_s: float,
    name: str,
) -> tuple[Message, ...]:
    """The messages that are due and not among `sent` (by id), in the order in which they are to be sent.

    `name` is the target's. A ladder without rungs tells nobody.
    """
    found: dict[str, Message] = {}
    for one in situations:
        if one.alert.state is AlertState.RESOLVED:
            made = _over(one, sent, now, name)
        elif one.alert.is_firing and not one.is_quiet and not _is_end_of_drill(one, sent):
            ladder = ladders.get(one.threshold.severity, ())
            made = [
                *_rungs(one, ladder, sent, now, name),
                *_reminders(one, ladder, sent, now, reminder_s, name),
            ]
        else:
            made = []
        for message in made:
            if message.id not in sent:
                found.setdefault(message.id, message)
    return tuple(found.values())


def next_rung(
    situation: Situation, ladder: tuple[Rung, ...], sent: Mapping[str, Message], now: datetime
) -> tuple[str, float] | None:
    """The contact that is told next if nobody acknowledges, and in how many seconds; None where nobody is."""
    if not situation.alert.is_firing or situation.is_quiet or _is_end_of_drill(situation, sent):
        return None
    for place, rung in enumerate(ladder):
        if _firing_id(situation.alert, place, rung.contact) not in sent:
            return rung.contact, max(0.0, rung.after_s - _fired_for_s(situation.alert, now))
    return None


def told_value(threshold: Threshold, value: float | None) -> str:
    """A value of the threshold's signal with its unit, as a message has it: `2.4 %`, `yes`, `no value`."""
    if value is None:
        return "no value"
    unit = SIGNALS[threshold.signal].unit if threshold.signal in SIGNALS else ""
    if unit == "up":
        return "yes" if value >= 1 else "no"
    return f"{value:.4g} {unit}".strip()


def _rungs(
    one: Situation, ladder: tuple[Rung, ...], sent: Mapping[str, Message], now: datetime, name: str
) -> list[Message]:
    fired_for_s = _fired_for_s(one.alert, now)
    return [
        _firing(
            one, _firing_id(one.alert, place, rung.contact), rung.contact, now, name, _because(rung, place)
        )
        for place, rung in enumerate(ladder)
        if fired_for_s >= rung.after_s and _firing_id(one.alert, place, rung.contact) not in sent
    ]


def _reminders(
    one: Situation,
    ladder: tuple[Rung, ...],
    sent: Mapping[str, Message],
    now: datetime,
    reminder_s: float,
    name: str,
) -> list[Message]:
    """Numbered by how long it fires, so that a watch that stood still for days makes one and not all of them."""
    number = int(_fired_for_s(one.alert, now) // reminder_s) if reminder_s > 0 else 0
    if number < 1:
        return []
    made = []
    for place, rung in enumerate(ladder):
        first = _firing_id(one.alert, place, rung.contact)
        before = [message for key, message in sent.items() if key == first or key.startswith(f"{first}:")]
        # What has not arrived yet needs no reminder behind it.
        is_under_way = any(message.delivery in (Delivery.DUE, Delivery.FAILED) for message in before)
        if not before or is_under_way:
            continue
        if (now - max(message.at for message in before)).total_seconds() < reminder_s:
            continue
        because = "This is a reminder: it still fires, and nobody has acknowledged it."
        made.append(_firing(one, f"{first}:{number}", rung.contact, now, name, because))
    return made


def _over(one: Situation, sent: Mapping[str, Message], now: datetime, name: str) -> list[Message]:
    """To each who was told that it fires, even where it was silenced meanwhile: whoever was woken is told."""
    alert = one.alert
    told = {
        message.contact: None
        for message in sent.values()
        if message.alert == alert.id
        and message.told is Told.FIRING
        and message.delivery is not Delivery.GIVEN_UP
    }
    made = []
    for contact in told:
        identity = f"{alert.id}:{Told.RESOLVED.value}:{contact}"
        made.append(
            Message(identity, alert.id, Told.RESOLVED, contact, _title(one, name), _over_body(one, name), now)
        )
    return made


def _firing(one: Situation, identity: str, contact: str, now: datetime, name: str, because: str) -> Message:
    body = _firing_body(one, now, name, because)
    return Message(identity, one.alert.id, Told.FIRING, contact, _title(one, name), body, now)


def _firing_id(alert: Alert, place: int, contact: str) -> str:
    return f"{alert.id}:{Told.FIRING.value}:{place}:{contact}"


def _fired_for_s(alert: Alert, now: datetime) -> float:
    """Seconds, never less than 0: a clock that was set back must not keep the first rung from being told."""
    return max(0.0, (now - alert.fired_at).total_seconds()) if alert.fired_at else 0.0


def _is_end_of_drill(one: Situation, sent: Mapping[str, Message]) -> bool:
    """Whether it only fires on (`keep_firing_s`) after a drill: the value is within the real limit.

    A value that breaks the real limit is told like any other, drill or not.
    """
    value = one.alert.value
    if one.alert.kind is not AlertKind.LIMIT or value is None:
        return False
    if one.threshold.comparison.holds(value, one.threshold.limit):
        return False
    return any(message.told is Told.DRILL and message.alert == one.alert.id for message in sent.values())


# Words


def _title(one: Situation, name: str) -> Clean:
    """`FIRING critical: Error rate 2.4 % (limit 1 %), Port 8000`; `NO DATA` in its place where nobody knows."""
    threshold, alert = one.threshold, one.alert
    is_over = alert.state is AlertState.RESOLVED
    head = f"{'RESOLVED' if is_over else 'FIRING'} {threshold.severity.value}: "
    if alert.kind is AlertKind.NO_DATA:
        text = f"{_inert(threshold.title, 50)}: {'there is data again' if is_over else 'NO DATA'}"
    else:
        value = told_value(threshold, alert.value)
        is_up = _is_up(threshold)
        text = f"{_inert(threshold.title, 50)}{':' if is_up else ''} {value}"
        if not is_up:
            text += f" (limit {told_value(threshold, threshold.limit)})"
    place = _inert(name, 40)
    whole = f"{head}{text}, {place}" if place else head + text
    return one_line(whole if len(whole) <= MOST_TITLE else head + text, MOST_TITLE)


def _firing_body(one: Situation, now: datetime, name: str, because: str) -> Clean:
    threshold, alert = one.threshold, one.alert
    lines = []
    if alert.kind is AlertKind.NO_DATA:
        lines.append("Nobody knows how it stands: no value could be read. It may be broken unseen.")
        if alert.problem:
            lines.append(f"Why: {_inert(alert.problem, MOST_PROBLEM)}.")
    elif threshold.why:
        lines.append(_inert(threshold.why, 300))
    if because:
        lines.append(because)
    lines += _facts(one, name)
    if alert.fired_at:
        lines.append(
            f"Firing since {alert.fired_at:%Y-%m-%d %H:%M:%S}Z, for {_span(_fired_for_s(alert, now))}."
        )
    if threshold.runbook:
        lines.append(f"Runbook: {_inert(threshold.runbook, 300)}")
    lines.append("To acknowledge: in gonogo, tab 4, choose it and press a.")
    return clean("\n".join(lines))


def _over_body(one: Situation, name: str) -> Clean:
    alert = one.alert
    if alert.kind is AlertKind.NO_DATA:
        lines = ["Values are read again. Whether they are good, its own limit tells."]
    else:
        lines = ["It is over: the limit is kept again."]
    lines += _facts(one, name)
    if alert.fired_at and alert.resolved_at:
        lasted = _span(max(0.0, (alert.resolved_at - alert.fired_at).total_seconds()))
        lines.append(f"From {alert.fired_at:%Y-%m-%d %H:%M:%S}Z to {alert.resolved_at:%H:%M:%S}Z, {lasted}.")
    if one.acknowledged:
        lines.append(f"Taken on by {_inert(one.acknowledged.actor, 100)}.")
    return clean("\n".join(lines))


def _facts(one: Situation, name: str) -> list[str]:
    threshold = one.threshold
    lines = [f"System: {_inert(name, 100)}"] if name else []
    if one.alert.kind is AlertKind.NO_DATA:
        return lines
    title = _inert(threshold.title, 100)
    if _is_up(threshold):
        return [*lines, f"{title}: {told_value(threshold, one.alert.value)}"]
    limit = f"{_COMPARED[threshold.comparison]} {told_value(threshold, threshold.limit)}"
    return [*lines, f"{title}: {told_value(threshold, one.alert.value)}; bad is {limit}"]


def _because(rung: Rung, place: int) -> str:
    if not place:
        return ""
    return f"You are told because nobody acknowledged it within {_span(rung.after_s)}."


def _is_up(threshold: Threshold) -> bool:
    return threshold.signal in SIGNALS and SIGNALS[threshold.signal].unit == "up"


def _span(seconds: float) -> str:
    """Without `<`, by which `duration` tells what is very short."""
    return "less than 1 s" if seconds < 1 else duration(seconds).removesuffix(" 0 s")


def _inert(text: object, limit: int) -> str:
    return one_line(one_line(text, limit).translate(_INERT), limit)
