"""One method per signal: from what the sources have seen to a reading.

A new signal is one entry in `checks/monitoring/signals.py` and one method of the same name (with underscores) here.
`needs` says which questions have to be asked for it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TypeVar

from checks.audit.database_source import NO_DATABASE
from checks.context import Context
from checks.monitoring.model import Reading, Threshold
from checks.monitoring.sources.asking import Notes, Question
from checks.monitoring.sources.certificate import CertificateAge
from checks.monitoring.sources.counters import histogram_quantile
from checks.monitoring.sources.database import ACTIVITY, DatabaseLooks, no_pool
from checks.monitoring.sources.log_lines import LogLines
from checks.monitoring.sources.machine import AS_ITS_ACCOUNT, MachineLooks
from checks.monitoring.sources.probing import OWN_PROBES, Probing
from checks.monitoring.sources.scraping import Scraping
from checks.monitoring.sources.signing import Signing
from checks.probe.activity import Activity
from checks.text import NOTHING, Clean, clean

QUANTILE = 0.95
NOT_THERE = Reading(None, applies=False)
Method = TypeVar("Method", bound=Callable[..., Reading])
HOST, PROCESSES = clean("this host"), clean("the target's processes")
FIRST = clean("it is known from the second look on")


def needs(*questions: str) -> Callable[[Method], Method]:
    """Which of `Readings.questions` a signal is answered by."""

    def mark(method: Method) -> Method:
        method.__dict__["questions"] = questions
        return method

    return mark


class Readings:
    """The sources of one target, and a method per signal."""

    def __init__(
        self, context: Context, notes: Notes, *, mono: Callable[[], float], interval_s: float
    ) -> None:
        signing = Signing(context, notes, mono=mono)
        self._context = context
        self._metrics = Scraping(context, signing, notes, mono=mono, interval_s=interval_s)
        self._probes = Probing(context, signing, notes, mono=mono, interval_s=interval_s)
        self._database = DatabaseLooks(context, notes, mono=mono, interval_s=interval_s)
        self._machine = MachineLooks(context, notes, mono=mono, interval_s=interval_s)
        self._log = LogLines(context, notes, mono=mono, interval_s=interval_s)
        self._certificate = CertificateAge(context, notes, mono=mono)
        self._asked: Mapping[str, tuple[Question, Callable[[], bool]]] = {
            "metrics": (self._metrics.question, lambda: bool(self._metrics.path)),
            "health": (self._probes.health, lambda: self._probes.has_health),
            "socket": (
                self._probes.socket,
                lambda: self._probes.has_socket and not self._probes.socket_needs,
            ),
            "database": (self._database.answer, lambda: bool(self._database.backend)),
            "sessions": (self._database.sessions, self._are_sessions_wanted),
            "machine": (self._machine.question, lambda: True),
            "log": (self._log.question, lambda: True),
            "certificate": (self._certificate.question, lambda: self._certificate.endpoint is not None),
        }

    @property
    def questions(self) -> tuple[Question, ...]:
        """Everything that can be asked."""
        return tuple(question for question, _ in self._asked.values())

    def begin(self, names: frozenset[str], now_s: float) -> None:
        """Ask what the signals need, where there is something to ask and it is time."""
        for name in names:
            question, is_wanted = self._asked[name]
            if is_wanted():
                question.begin(now_s)

    def watch(self, horizon_s: float) -> None:
        """Windows of up to `horizon_s` are asked for."""
        self._metrics.watch(horizon_s)
        for one in (self._probes.outcomes, self._database.slow, self._log.errors, self._machine.replaced):
            one.horizon_s = max(one.horizon_s, horizon_s)

    def _are_sessions_wanted(self) -> bool:
        """Whether the metrics do not tell what the database's sessions would."""
        told = ("pool_in_use", "pool_size", "pool_waiting", "slow_queries")
        return (self._metrics.is_absent or self._metrics.was_good) and not self._metrics.has(*told)

    def _told(self, *names: str, besides: str = "") -> Clean | None:
        """None where the metrics do not tell these and something else is to be asked; empty where they stand.

        Else why they do not stand any more.
        """
        metrics = self._metrics
        if metrics.has(*names):
            return metrics.missing(*names, besides=besides)
        if metrics.is_absent:
            return None
        if not metrics.was_good:
            return metrics.failure or metrics.question.problem or clean(f"{metrics.path} was not read yet")
        is_spoilt = any(metrics.is_spoilt(name) for name in names)
        return metrics.missing(*names) if is_spoilt else None

    # The target's answers

    @needs("metrics", "health", "socket")
    def error_rate(self, threshold: Threshold) -> Reading:
        """100 * errors / requests, in per cent."""
        return self._share(threshold, 100.0, 1.0)

    @needs("metrics", "health", "socket")
    def budget_burn(self, threshold: Threshold) -> Reading:
        """The share of errors by the share that the objective allows."""
        allowed = (100.0 - self._context.target.profile.monitoring.availability_percent) / 100.0
        return self._share(threshold, 1.0, allowed)

    def _share(self, threshold: Threshold, factor: float, by: float) -> Reading:
        told = self._told("requests", besides="errors")
        if told:
            return Reading(None, source=self._metrics.source, problem=told)
        source = OWN_PROBES if told is None else self._metrics.source

        def counted(window_s: float) -> tuple[float, float]:
            if told is None:
                return self._probes.counted(window_s)
            return self._metrics.rise("requests", window_s).value, self._metrics.rise(
                "errors", window_s
            ).value

        def share(requests: float, errors: float) -> float:
            # A counter of errors may be told a moment after the one of requests.
            return factor * min(errors, requests) / requests / by if requests else 0.0

        requests, errors = counted(threshold.window_s)
        short = share(*counted(threshold.short_window_s)) if threshold.short_window_s else None
        return Reading(share(requests, errors), requests, short, source)

    @needs("metrics", "health", "socket")
    def response_time(self, threshold: Threshold) -> Reading:
        """The 95th percentile in seconds."""
        told = self._told("duration")
        if told:
            return Reading(None, source=self._metrics.source, problem=told)

        def quantile(window_s: float) -> tuple[float, float]:
            if told is None:
                return self._probes.p95_s(window_s)
            rise = self._metrics.rise("duration", window_s)
            buckets = list(zip(self._metrics.tallies["duration"].bounds_s, rise.values, strict=False))
            events = max((count for _, count in buckets), default=0.0)
            return (histogram_quantile(QUANTILE, buckets) if events else 0.0), events

        value, events = quantile(threshold.window_s)
        short = quantile(threshold.short_window_s)[0] if threshold.short_window_s else None
        source = OWN_PROBES if told is None else self._metrics.source
        if math.isnan(value):
            why = 'the histogram has no bucket le="+Inf", or none besides it: correct the metric duration'
            return Reading(None, events, source=source, problem=clean(why))
        return Reading(value, events, short, source)

    @needs("health")
    def target_up(self, threshold: Threshold) -> Reading:
        """1 where the health operation is answered as healthy."""
        return self._probes.newest("health") if self._probes.has_health else NOT_THERE

    @needs("socket")
    def websocket_up(self, threshold: Threshold) -> Reading:
        """1 where a handshake succeeds."""
        if not self._probes.has_socket:
            return NOT_THERE
        if missing := self._probes.socket_needs:
            return Reading(None, problem=missing, applies=False)
        return self._probes.newest("socket")

    @needs("certificate")
    def certificate_days(self, threshold: Threshold) -> Reading:
        """Days until the certificate ends."""
        return self._certificate.reading()

    # The database

    @needs("database")
    def database_up(self, threshold: Threshold) -> Reading:
        """1 where a trivial query is answered."""
        return self._database.is_up()

    @needs("metrics", "sessions")
    def pool_use(self, threshold: Threshold) -> Reading:
        """Connections in use, in per cent of those that there may be."""
        told = self._told("pool_in_use", "pool_size")
        if told is not None:
            source = self._metrics.source
            size = self._metrics.gauge("pool_size") if not told else 0.0
            if told or not size:
                why = told or clean(
                    "the pool is told to have room for no connection: correct the metric pool_size"
                )
                return Reading(None, source=source, problem=why)
            return Reading(100.0 * self._metrics.gauge("pool_in_use") / size, source=source)
        if not self._database.has_sessions:
            # Without a server between them, only the target itself knows; there may be no pool at all.
            is_named = self._database.pool_most is not None
            problem = no_pool(self._database.backend) if is_named else NOTHING
            return Reading(None, problem=problem, applies=is_named)
        activity = self._database.activity()
        if not isinstance(activity, Activity):
            return Reading(None, source=ACTIVITY, problem=activity)
        if self._database.pool_most is None:
            unknown = "how large the database pool is is not known: set pool_size and max_overflow in [audit.declared]"
            return Reading(None, source=ACTIVITY, problem=clean(unknown))
        return Reading(100.0 * activity.in_use / self._database.pool_most, source=ACTIVITY)

    @needs("metrics", "sessions")
    def pool_waiting(self, threshold: Threshold) -> Reading:
        """Requests that wait for a connection, or sessions that wait for a lock."""
        told = self._told("pool_waiting")
        if told is not None:
            value = None if told else self._metrics.gauge("pool_waiting")
            return Reading(value, source=self._metrics.source, problem=told)
        if not self._database.has_sessions:
            return NOT_THERE
        activity = self._database.activity()
        if not isinstance(activity, Activity):
            return Reading(None, source=ACTIVITY, problem=activity)
        return Reading(float(activity.waiting), source=ACTIVITY)

    @needs("metrics", "sessions")
    def slow_queries(self, threshold: Threshold) -> Reading:
        """Slow queries a minute."""
        told = self._told("slow_queries")
        if told is not None:
            rise = self._metrics.rise("slow_queries", threshold.window_s)
            value = None if told else rise.per_minute(threshold.window_s)
            return Reading(value, source=self._metrics.source, problem=told)
        if not self._database.has_sessions:
            return NOT_THERE
        activity = self._database.activity()
        if not isinstance(activity, Activity):
            return Reading(None, source=ACTIVITY, problem=activity)
        value, source = self._database.slow_per_minute(threshold.window_s)
        return Reading(value, source=source)

    # The host and the processes

    @needs("machine")
    def host_memory(self, threshold: Threshold) -> Reading:
        """Memory in use of all of the host, in per cent."""
        seen = self._machine.newest
        return self._of_host(seen.host.memory_percent if seen else None, NOTHING)

    @needs("machine")
    def host_cpu(self, threshold: Threshold) -> Reading:
        """CPU in use of all cores, in per cent, since the last look."""
        seen = self._machine.newest
        return self._of_host(seen.host.cpu_percent if seen else None, FIRST if seen else NOTHING)

    def _of_host(self, value: float | None, why: Clean) -> Reading:
        if self._machine.elsewhere:
            return Reading(None, problem=self._machine.elsewhere, applies=False)
        problem = why or self._machine.question.problem or clean("this host could not be looked at in time")
        return Reading(value, source=HOST, problem=problem if value is None else NOTHING)

    @needs("machine")
    def target_memory(self, threshold: Threshold) -> Reading:
        """Memory of the processes, in per cent of what they may use."""
        seen, limit = self._machine.newest, self._machine.may_use_bytes
        used = None
        if seen and seen.usage:
            used = seen.usage.memory_bytes if seen.usage.pss_bytes is None else seen.usage.pss_bytes
        is_bounded = used is not None and math.isfinite(limit) and limit > 0
        return self._of_target(100.0 * (used or 0) / limit if is_bounded else None, NOTHING)

    @needs("machine")
    def target_cpu(self, threshold: Threshold) -> Reading:
        """CPU of the processes, in per cent of the cores that they may use."""
        seen = self._machine.newest
        percent = seen.usage.cpu_percent if seen and seen.usage else None
        value = None if percent is None else percent / self._machine.cores
        return self._of_target(value, FIRST if seen and seen.usage else NOTHING)

    @needs("machine")
    def descriptors(self, threshold: Threshold) -> Reading:
        """Open descriptors, in per cent of the soft limit."""
        seen = self._machine.newest
        hidden = f"the target's descriptors may not be counted by this account: {AS_ITS_ACCOUNT}"
        value = seen.descriptors_percent if seen else None
        return self._of_target(value, clean(hidden) if seen and seen.usage else NOTHING)

    def _of_target(self, value: float | None, why: Clean) -> Reading:
        machine = self._machine
        if machine.elsewhere:
            return Reading(None, problem=machine.elsewhere, applies=False)
        if value is not None:
            return Reading(value, source=PROCESSES)
        problem = why or machine.problem or machine.question.problem
        return Reading(
            None, source=PROCESSES, problem=problem or clean("the target's process is not seen at the moment")
        )

    @needs("machine")
    def disk_use(self, threshold: Threshold) -> Reading:
        """The fullest file system of database and log, in per cent."""
        machine, seen = self._machine, self._machine.newest
        if machine.elsewhere:
            return Reading(None, problem=machine.elsewhere, applies=False)
        if seen and not machine.has_places:
            return Reading(None, applies=False, problem=clean(f"{NO_DATABASE}, or [log] file"))
        if seen is None or seen.disk_percent is None or machine.disk_problem:
            problem = (
                machine.disk_problem or machine.question.problem or clean("it was not looked at in time")
            )
            return Reading(None, source=HOST, problem=problem)
        return Reading(seen.disk_percent, source=clean(f"the file system of {seen.disk}"))

    @needs("metrics", "machine")
    def restarts(self, threshold: Threshold) -> Reading:
        """How often the process was replaced within the window."""
        machine, metrics = self._machine, self._metrics
        if machine.is_seen:
            if machine.newest is None:
                return self._of_target(None, NOTHING)
            return Reading(machine.replacements(threshold.window_s).value, source=PROCESSES)
        told = self._told("start_time")
        if told is not None:
            value = metrics.changed("start_time", threshold.window_s)
            return Reading(None if told else value, source=metrics.source, problem=told)
        return self._of_target(None, NOTHING)

    # The log

    @needs("log", "metrics")
    def log_errors(self, threshold: Threshold) -> Reading:
        """Lines of level ERROR or above, a minute."""
        if self._log.is_known:
            problem = self._log.missing()
            value = None if problem else self._log.rise(threshold.window_s).per_minute(threshold.window_s)
            return Reading(value, source=self._log.name, problem=problem)
        told = self._told("log_errors")
        if told is None:
            return NOT_THERE
        rise = self._metrics.rise("log_errors", threshold.window_s)
        value = None if told else rise.per_minute(threshold.window_s)
        return Reading(value, source=self._metrics.source, problem=told)
