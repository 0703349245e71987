"""What the checks of monitoring share within a run: thresholds, live readings, rule tests, the past of the watch.

It is gathered once and written to the review's journal, so that the report rests on what was there at that moment.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from checks.context import Context
from checks.journal import Journal
from checks.load.model import LoadRun, Second
from checks.load.records import load_run, second
from checks.model import Entry, Kind
from checks.monitoring.board import Drill, threshold_document
from checks.monitoring.model import Alert, Delivery, Message, Reading, Threshold
from checks.monitoring.record import FOLDER, in_force, known
from checks.monitoring.rule_test import RuleTest, try_rules
from checks.monitoring.signals import SIGNALS
from checks.monitoring.sources.collector import Collector
from checks.text import NOTHING, Clean, clean

LOOKS, BETWEEN_S = 3, 1.0
ASKED = 5
"""Requests of our own between two looks, so that there is traffic to see."""
MOST_FIRED = 500


@dataclass(frozen=True, slots=True)
class Fired:
    """One time that an alert fired, as the watch's journal has it."""

    alert: Alert
    value: float | None
    limit: float
    seq: int

    def document(self) -> dict[str, Any]:
        """The fields as JSON values."""
        return {"alert": self.alert.document(), "value": self.value, "limit": self.limit, "seq": self.seq}


@dataclass(frozen=True, slots=True)
class Past:
    """What the watch's journal says of the time before; empty where nobody has watched yet."""

    fired: tuple[Fired, ...] = ()
    """The newest last; an alert that is over has `resolved_at`."""
    drills: tuple[Drill, ...] = ()
    messages: tuple[Message, ...] = ()
    problem: Clean = NOTHING
    head: int = 0
    """Number of the newest entry."""


@dataclass(frozen=True, slots=True)
class Gathered:
    """Everything that the checks rest on."""

    thresholds: tuple[Threshold, ...]
    edited: Mapping[str, Clean]
    """Threshold -> who changed it at the console, and when."""
    readings: tuple[Mapping[str, Reading], ...]
    """One look after the other."""
    tests: Mapping[str, RuleTest]
    past: Past

    def named(self, name: str) -> Threshold | None:
        """One threshold; None where the profile has none of that name."""
        return next((one for one in self.thresholds if one.name == name), None)

    def newest(self, name: str) -> Reading:
        """The last reading of a threshold."""
        return self.readings[-1].get(name, Reading(None, problem=clean("it was not looked at")))


@dataclass(slots=True)
class _Shared:
    """The one gathering of a run."""

    work: asyncio.Task[Gathered] | None = None


async def gathered(context: Context) -> Gathered:
    """What this run gathers, once."""
    shared = context.state(_Shared)
    if shared.work is None:
        shared.work = asyncio.create_task(_gather(context))
    return await asyncio.shield(shared.work)


async def _gather(context: Context) -> Gathered:
    entries = await asyncio.to_thread(watched_entries, context)
    edits = known(_newest(entries), context.now()).edits
    thresholds = in_force(context.target.thresholds, edits)
    readings = await _looked(context, thresholds)
    found = Gathered(
        thresholds=thresholds,
        edited={name: who for name, (_, who) in edits.items()},
        readings=readings,
        tests=try_rules(thresholds, context.target.profile.monitoring.interval_s),
        past=past_of(entries),
    )
    context.record(Kind.MONITORED, "monitored", document(found, context))
    return found


async def _looked(context: Context, thresholds: tuple[Threshold, ...]) -> tuple[Mapping[str, Reading], ...]:
    """A few looks with a little traffic between them. What only a watch knows does not apply here."""
    nothing = Reading(None, applies=False)
    own = {"notifier-failures": lambda: nothing, "go-standing": lambda: nothing}
    collector = Collector(context, thresholds, own=own)
    found = []
    try:
        for place in range(LOOKS):
            found.append(await collector.look())
            if place < LOOKS - 1:
                for _ in range(ASKED):
                    await context.controller.ask("health", is_patient=False, is_typical=False)
                await asyncio.sleep(BETWEEN_S)
    finally:
        await collector.close()
    return tuple(found)


def watched_entries(context: Context) -> list[Entry]:
    """Every entry of the watch's journal; none where nobody has watched this target yet.

    Raises GonogoError where it was altered or cannot be read.
    """
    path = context.folder / FOLDER / "journal.db"
    if not path.is_file():
        return []
    journal = Journal.open(path, review=f"{context.folder.name}-watch", actor="", read_only=True)
    try:
        return journal.entries(
            kinds=[
                Kind.ALERT,
                Kind.MESSAGE,
                Kind.THRESHOLD,
                Kind.DRILL,
                Kind.SILENCED,
                Kind.ACKNOWLEDGED,
            ]
        )
    finally:
        journal.close()


def past_of(entries: Iterable[Entry]) -> Past:
    """Fold the entries of a watch's journal into what fired, was told and was drilled."""
    fired: dict[str, Fired] = {}
    messages: dict[str, Message] = {}
    drills: dict[str, Drill] = {}
    head = 0
    for entry in entries:
        head = entry.seq
        if entry.kind is Kind.ALERT:
            alert = Alert.from_document(entry.body["alert"])
            if alert.id:
                before = fired.get(alert.id)
                value = before.value if before else entry.body["value"]
                fired[alert.id] = Fired(
                    alert, value, entry.body["limit"], before.seq if before else entry.seq
                )
        elif entry.kind is Kind.MESSAGE:
            messages[entry.subject] = Message.from_document(entry.body)
        elif entry.kind is Kind.DRILL:
            drills[entry.subject] = Drill.from_document(entry.body)
    return Past(
        tuple(fired.values())[-MOST_FIRED:],
        tuple(drills.values()),
        tuple(messages.values())[-MOST_FIRED:],
        head=head,
    )


def recorded_loads(context: Context) -> list[tuple[LoadRun, list[Second]]]:
    """The newest judged load run of each scenario with its seconds. Raises GonogoError."""
    path = context.folder / "journal.db"
    if not path.is_file():
        return []
    journal = Journal.open(path, review=context.folder.name, actor="", read_only=True)
    try:
        runs = {entry.subject: load_run(entry.body) for entry in journal.entries(kinds=[Kind.LOAD_RUN])}
        wanted = {run.id for run in runs.values()}
        seconds: dict[str, list[Second]] = {}
        for entry in journal.entries(kinds=[Kind.LOAD_SECOND]):
            if entry.subject in wanted:
                seconds.setdefault(entry.subject, []).append(second(entry.body))
    finally:
        journal.close()
    return [(run, seconds.get(run.id, [])) for run in runs.values()]


def document(found: Gathered, context: Context) -> dict[str, Any]:
    """Everything that the report tells, as JSON values."""
    target = context.target
    return {
        "thresholds": [
            threshold_document(one)
            | {"unit": SIGNALS[one.signal].unit, "edited": found.edited.get(one.name, "")}
            for one in found.thresholds
        ],
        "readings": {name: _reading(found.newest(name)) for name in found.readings[-1]},
        "tests": [test.document() for test in found.tests.values()],
        "fired": [one.document() for one in found.past.fired],
        "drills": [drill.document() for drill in found.past.drills],
        "messages": [
            message.document() for message in found.past.messages if message.delivery is not Delivery.DUE
        ],
        "contacts": [
            {"name": one.name, "person": one.person, "channel": one.channel, "url_env": one.url_env}
            for one in target.contacts.values()
        ],
        "ladders": {
            severity.value: [{"contact": rung.contact, "after_s": rung.after_s} for rung in rungs]
            for severity, rungs in target.ladders.items()
        },
        "interval_s": target.profile.monitoring.interval_s,
        "availability_percent": target.profile.monitoring.availability_percent,
        "watch_head": found.past.head,
    }


def _reading(reading: Reading) -> dict[str, Any]:
    return {
        "value": reading.value,
        "events": reading.events,
        "source": reading.source,
        "problem": reading.problem,
        "applies": reading.applies,
    }


def _newest(entries: Iterable[Entry]) -> list[Entry]:
    newest = {(entry.kind, entry.subject): entry for entry in entries}
    return sorted(newest.values(), key=lambda entry: entry.seq)
