"""Turns a live target into one reading per threshold, look after look."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence

from checks.context import Context
from checks.monitoring.model import Reading, Threshold
from checks.monitoring.sources.asking import Notes, waited
from checks.monitoring.sources.readings import Readings
from checks.text import Clean, clean

NOTHING_OF_ITS_OWN: Mapping[str, Callable[[], Reading]] = {}


class Collector:
    """Looks when it is asked to, within some 2.5 s, and never raises; its memory is bounded whatever the windows."""

    def __init__(
        self,
        context: Context,
        thresholds: Sequence[Threshold],
        *,
        own: Mapping[str, Callable[[], Reading]] = NOTHING_OF_ITS_OWN,
        mono: Callable[[], float] = time.monotonic,
    ) -> None:
        """`own`: name of a signal -> what the watch itself knows of it. `mono` tells monotonic seconds."""
        self._own = own
        self._mono = mono
        self._notes = Notes()
        interval_s = context.target.profile.monitoring.interval_s
        self._readings = Readings(context, self._notes, mono=mono, interval_s=interval_s)
        self._thresholds: tuple[Threshold, ...] = ()
        self._needed: frozenset[str] = frozenset()
        self.watch(thresholds)

    def watch(self, thresholds: Sequence[Threshold]) -> None:
        """Look for these thresholds from the next look on; what was seen so far is kept."""
        self._thresholds = tuple(thresholds)
        methods = [self._method(one.signal) for one in thresholds if one.is_on]
        self._needed = frozenset(
            name for method in methods if method is not None for name in method.__dict__.get("questions", ())
        )
        self._readings.watch(max((one.window_s for one in thresholds), default=0.0))

    @property
    def problems(self) -> tuple[Clean, ...]:
        """What could not be seen, and what would help, once each; without full stops."""
        return self._notes.all

    async def look(self) -> Mapping[str, Reading]:
        """The name of each threshold -> its reading."""
        self._readings.begin(self._needed, self._mono())
        await waited(self._readings.questions)
        return {one.name: self._reading(one) for one in self._thresholds}

    def _reading(self, threshold: Threshold) -> Reading:
        if not threshold.is_on:
            return Reading(None, applies=False)
        try:
            if (own := self._own.get(threshold.signal)) is not None:
                return own()
            if (method := self._method(threshold.signal)) is not None:
                found: Reading = method(threshold)
                return found
        except Exception as problem:  # noqa: BLE001 - one reading less must not end a watch
            told = clean(f"{threshold.signal} could not be worked out: {type(problem).__name__}")
            self._notes.add(told)
            return Reading(None, problem=told)
        return Reading(None, problem=clean(f"nothing here measures {threshold.signal}"))

    def _method(self, signal: str) -> Callable[[Threshold], Reading] | None:
        """The method of `Readings` that is called as the signal is."""
        method = getattr(self._readings, signal.replace("-", "_"), None)
        return method if method is not None and "questions" in getattr(method, "__dict__", {}) else None

    async def close(self) -> None:
        """Wait for nothing any more."""
        await asyncio.gather(*(one.close() for one in self._readings.questions))
