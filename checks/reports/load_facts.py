"""What the journal holds of load: each judged run with its seconds, and seconds that were never judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from checks.load.model import LoadRun, Second
from checks.load.records import load_run, second
from checks.model import Entry
from checks.text import Clean, clean


@dataclass(frozen=True, slots=True)
class LoadFacts:
    """One load run with the numbers of its entries."""

    seq: int
    """Of the entry with what it found."""
    run: LoadRun
    seconds: tuple[Second, ...]
    """In order, as they were journalled while it ran."""
    first_seq: int
    """Of its first second; 0 where it has none."""
    actor: Clean
    ended_at: datetime


@dataclass(frozen=True, slots=True)
class Unjudged:
    """Seconds of a load run that never came to its end."""

    scenario: Clean
    seconds: int
    first_seq: int
    last_seq: int


@dataclass(frozen=True, slots=True)
class Loads:
    """Every load run of a review, oldest first."""

    judged: tuple[LoadFacts, ...] = ()
    unjudged: tuple[Unjudged, ...] = ()

    def of(self, scenario: str) -> tuple[LoadFacts, ...]:
        """The judged runs of one scenario, oldest first."""
        return tuple(one for one in self.judged if one.run.scenario.name == scenario)

    def cut_off(self, scenario: str) -> tuple[Unjudged, ...]:
        """The runs of one scenario that were never judged, oldest first."""
        return tuple(one for one in self.unjudged if one.scenario == scenario)


def loads(runs: Sequence[Entry], seconds: Sequence[Entry]) -> Loads:
    """Fold the entries LOAD_RUN and LOAD_SECOND, both in order. Raises ValueError where one cannot be read.

    A run that is tried again has the same id: its seconds are those behind the try before, from the last start on.
    """
    waiting: dict[str, list[Entry]] = {}
    for entry in seconds:
        waiting.setdefault(entry.subject, []).append(entry)
    judged = []
    for entry in runs:
        run = load_run(entry.body)
        left = waiting.get(run.id, [])
        own = _last_start([one for one in left if one.seq < entry.seq])
        waiting[run.id] = [one for one in left if one.seq > entry.seq]
        judged.append(
            LoadFacts(
                seq=entry.seq,
                run=run,
                seconds=tuple(second(one.body) for one in own),
                first_seq=own[0].seq if own else 0,
                actor=clean(entry.actor),
                ended_at=entry.at,
            )
        )
    unjudged = [
        Unjudged(clean(name.rpartition("/")[2]), len(own), own[0].seq, own[-1].seq)
        for name, left in waiting.items()
        if (own := _last_start(left))
    ]
    return Loads(tuple(judged), tuple(sorted(unjudged, key=lambda one: one.first_seq)))


def _last_start(entries: Sequence[Entry]) -> list[Entry]:
    """The entries from the last one on whose second does not follow the one before."""
    found: list[Entry] = []
    for entry in entries:
        if found and int(entry.body["at_s"]) <= int(found[-1].body["at_s"]):
            found = []
        found.append(entry)
    return found
