"""The target's metrics: one scrape a look, read once for every threshold."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping

from checks.context import Context
from checks.monitoring.sources.asking import Notes, Question, fresh_s
from checks.monitoring.sources.counters import Changes, Rise, Tally
from checks.monitoring.sources.exposition import Exposition, Scrape, Selector
from checks.monitoring.sources.signing import Signing
from checks.probe.http import Answer
from checks.text import NOTHING, Clean, clean, one_line

SCRAPE_WITHIN_S = 2.0
TALLIED = ("requests", "errors", "duration", "slow_queries", "log_errors")
"""Counters, and the buckets of a histogram."""
GAUGES = ("pool_in_use", "pool_size", "pool_waiting")
CHANGING = ("start_time",)
READ_IN_LOOP_CHARS = 1 << 16
"""Longer answers are taken apart in a thread."""
ACCEPTED = "text/plain;version=0.0.4,text/plain;q=0.5"


class Scraping:
    """Keeps what the metrics told; nothing of it is a value while no scrape was good for too long."""

    def __init__(
        self,
        context: Context,
        signing: Signing,
        notes: Notes,
        *,
        mono: Callable[[], float],
        interval_s: float,
    ) -> None:
        contract = context.target.contract
        self.path = contract.metrics
        self.source = one_line(f"{self.path} of the target", 100)
        self.question = Question("metrics", self._scrape, notes)
        self.tallies = {name: Tally() for name in TALLIED}
        self.changes = {name: Changes() for name in CHANGING}
        self.is_absent = not self.path
        """Whether there are no metrics: none are named, or they were never there when asked for."""
        self.failure: Clean = NOTHING
        """Why the last scrape was not good; empty where it was."""
        self._context, self._signing, self._notes = context, signing, notes
        self._mono = mono
        self._fresh_s = fresh_s(interval_s)
        self._gauges: dict[str, float] = {}
        self._seen_s: dict[str, float] = {}
        self._spoilt: frozenset[str] = frozenset()
        self._token = ""
        self._good_s = -math.inf
        self._exposition = Exposition(self._selectors(contract.metric))

    def _selectors(self, given: Mapping[str, str]) -> dict[str, Selector]:
        found = {}
        for name in (*TALLIED, *GAUGES, *CHANGING):
            if text := given.get(name, ""):
                try:
                    found[name] = Selector.read(text)
                except ValueError as problem:
                    told = self._context.redactor.redact(str(problem))
                    self._notes.add(one_line(f"[contract] metric {name} cannot be used: {told}", 300))
        return found

    def watch(self, horizon_s: float) -> None:
        """Windows of up to `horizon_s` are asked for from now on."""
        histories = [one.history for one in self.tallies.values()]
        for history in (*histories, *(one.history for one in self.changes.values())):
            history.horizon_s = max(history.horizon_s, horizon_s)

    def has(self, *names: str) -> bool:
        """Whether the target tells, or has told, all of these metrics."""
        return all(name in self._seen_s for name in names)

    def missing(self, *names: str, besides: str = "") -> Clean:
        """Why the newest values of these metrics do not stand any more; empty where they do.

        The metric `besides` need not be there, but where it is it must be usable.
        """
        now_s = self._mono()
        if now_s - self._good_s > self._fresh_s:
            return self.failure or clean(f"{self.path} was not read yet")
        is_told = besides in self._seen_s or besides in self._spoilt
        for name in (*names, besides) if is_told else names:
            if now_s - self._seen_s.get(name, -math.inf) > self._fresh_s:
                if name in self._spoilt:
                    return clean(f"{self.path} tells no usable value of the metric {name}: NaN or negative")
                return clean(
                    f"{self.path} does not tell the metric {name} any more: correct [contract] metric in the profile"
                )
        return NOTHING

    def is_spoilt(self, name: str) -> bool:
        """Whether the newest good scrape told values of a metric that are no counts."""
        return name in self._spoilt

    def changed(self, name: str, window_s: float) -> float:
        """How often the value of a gauge changed over a window."""
        return self.changes[name].history.rise(window_s, self._mono()).value

    @property
    def was_good(self) -> bool:
        """Whether any scrape was."""
        return self._good_s > -math.inf

    def rise(self, name: str, window_s: float) -> Rise:
        """The increase of a counter over a window."""
        return self.tallies[name].rise(window_s, self._mono())

    def gauge(self, name: str) -> float:
        """The newest value of a gauge, of all its series. Raises KeyError where it was not told."""
        return self._gauges[name]

    async def _scrape(self) -> None:
        answer = await self._answer()
        if answer.status in (404, 405, 410, 401, 403) and not self.was_good and not answer.error:
            self.is_absent = True
            self._notes.add(
                f"{self.path} was answered {answer.status}, so that gonogo's own probes are what is watched: correct "
                "[contract] metrics in the profile"
            )
            self.question.every_s = 60.0
            return
        failure = self._refused(answer)
        if not failure:
            try:
                text = answer.text
                if len(text) > READ_IN_LOOP_CHARS:
                    self._take(await asyncio.to_thread(self._exposition.read, text))
                else:
                    self._take(self._exposition.read(text))
            except ValueError as problem:
                said = self._context.redactor.redact(str(problem))
                failure = one_line(f"{self.path} cannot be read: {said}", 300)
        self.failure = failure

    async def _answer(self) -> Answer:
        ask, headers = self._context.http.ask, {"accept": ACCEPTED}
        answer = await ask("GET", self.path, within_s=SCRAPE_WITHIN_S, token=self._token, headers=headers)
        if answer.status in (401, 403) and (token := await self._signing.token(self._token)):
            self._token = token
            answer = await ask("GET", self.path, within_s=SCRAPE_WITHIN_S, token=token, headers=headers)
        if self._token and answer.status == 200:
            self._signing.accepted()
        return answer

    def _refused(self, answer: Answer) -> Clean:
        if answer.error:
            return one_line(f"{self.path} was not read: {answer.error.sentence}", 300)
        if answer.status != 200:
            return clean(f"{self.path} was answered {answer.status}")
        return NOTHING

    def _take(self, scrape: Scrape) -> None:
        now_s = self._mono()
        self.is_absent, self.question.every_s = False, 0.0
        self._good_s = now_s
        self._spoilt = frozenset(scrape.spoilt)
        for name, samples in scrape.samples.items():
            if name in scrape.spoilt:
                self._notes.add(
                    f"{self.path} tells values of the metric {name} that are no counts (NaN, infinite or negative): "
                    "they are left out"
                )
            if name not in scrape.declared or (name in scrape.spoilt and not samples):
                continue
            if name in GAUGES and not samples:
                continue  # a gauge without a value is not known
            self._seen_s[name] = now_s
            if name in self.tallies:
                try:
                    self.tallies[name].take(now_s, samples)
                except ValueError as problem:
                    self._notes.add(f"The metric {name} is not counted completely: {problem}")
            elif name in self.changes:
                self.changes[name].take(now_s, samples)
            else:
                self._gauges[name] = math.fsum(one.value for one in samples)
