"""What the host and the target's processes use: one look in a thread for every threshold on them."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from checks.audit.database_source import is_here
from checks.context import Context
from checks.monitoring.sources.asking import Notes, Question, fresh_s
from checks.monitoring.sources.counters import History, Rise
from checks.probe.family import limits_of
from checks.probe.limits import cores_of
from checks.probe.process import Identity
from checks.probe.running import processes_of
from checks.probe.sessions import folder_of_server, space_of
from checks.probe.usage import HostProbe, HostUsage, Usage, UsageProbe
from checks.text import NOTHING, Clean, clean

AS_ITS_ACCOUNT = "run gonogo as the account of the service or as root"
SOUGHT_AGAIN_S = 5.0
LOOK_EVERY_S = 1.9
"""Memory and CPU are no different after one second; each look costs a tenth of a per cent of a core."""
PLACES_EVERY_S = 60.0
POSTGRESQL_PORT = 5432


@dataclass(frozen=True, slots=True)
class Machine:
    """One look; None where something may not be seen."""

    host: HostUsage
    usage: Usage | None = None
    """None where the controller's process is not there, or may not be seen."""
    descriptors_percent: float | None = None
    """Of the process that is nearest to its limit."""
    disk_percent: float | None = None
    """Of the fullest file system."""
    disk: Clean = NOTHING
    """Where that is."""


class MachineLooks:
    """Keeps the newest look, and counts how often the controller's process was replaced."""

    def __init__(
        self, context: Context, notes: Notes, *, mono: Callable[[], float], interval_s: float
    ) -> None:
        self.question = Question("host", self._look, notes, every_s=LOOK_EVERY_S)
        self.replaced = History()
        self.is_local = context.target.is_local or bool(context.target.profile.process.pid)
        """Whether the target runs on this host, as far as its address or the profile tell."""
        self.may_use_bytes = math.inf
        self.cores = 1.0
        self.problem: Clean = NOTHING
        """Why the controller's process is not seen; empty where it is."""
        self.disk_problem: Clean = NOTHING
        self._context, self._notes, self._mono = context, notes, mono
        self._fresh_s = fresh_s(interval_s)
        self._host = HostProbe()
        self._host.look()  # the rates of the first look are since now
        self._probe: UsageProbe | None = None
        self._pids: tuple[int, ...] = ()
        self._identity: Identity | None = None
        self._count = 0.0
        self._sought_s = self._places_s = self._seen_s = -math.inf
        self._places: tuple[Path, ...] = ()
        self._newest: Machine | None = None

    @property
    def elsewhere(self) -> Clean:
        """That, and what would help, where the target runs on another host; else empty."""
        host = self._context.target.host
        why = f"the target runs on another host, {host}: run gonogo there to see what it uses"
        return NOTHING if self.is_local else clean(why)

    @property
    def newest(self) -> Machine | None:
        """The newest look; None where it is too old."""
        return self._newest if self._mono() - self._seen_s <= self._fresh_s else None

    @property
    def has_places(self) -> bool:
        """Whether a database file or a log file of this host is known."""
        return bool(self._places)

    @property
    def is_seen(self) -> bool:
        """Whether the controller's process was ever seen."""
        return self._identity is not None

    def replacements(self, window_s: float) -> Rise:
        """How often the process was replaced within a window."""
        return self.replaced.rise(window_s, self._mono())

    async def _look(self) -> None:
        self._newest = await asyncio.to_thread(self._seen)
        self._seen_s = self._mono()
        if self._identity is not None:
            self.replaced.add(self._seen_s, (self._count,))

    def _seen(self) -> Machine:
        host = self._host.look()
        usage = self._used() if self.is_local else None
        disk_percent, disk = self._disk() if self.is_local else (None, NOTHING)
        return Machine(host, usage, self._descriptors() if usage else None, disk_percent, disk)

    def _used(self) -> Usage | None:
        usage = self._probe.look() if self._probe else None
        if usage is None:
            self._probe = None
            if self._mono() - self._sought_s >= min(SOUGHT_AGAIN_S, self._fresh_s):
                self._sought_s = self._mono()
                self._seek()
                usage = self._probe.look() if self._probe else None
        return usage

    def _seek(self) -> None:
        """Find the controller; another process than the last time is a restart."""
        section, target = self._context.target.profile.process, self._context.target
        # One that is not the process of the profile any more was restarted.
        pid = 0 if self._identity is not None else section.pid
        found = processes_of(section.port or target.port, pid)
        if found.problem and pid:
            again = processes_of(section.port or target.port)
            found = found if again.problem else again
        self.problem = found.problem
        if found.problem:
            return
        pids = [one.pid for one in found.all]
        probe = UsageProbe(pids)
        if name := probe.proxy():
            self.problem = clean(
                f"Process {pids[0]} is {name}, which only passes requests on: give the controller's own in "
                "[process] pid to see what it uses"
            )
            return
        identity = self._context.processes.identity(pids[0])
        if identity is None:
            return
        if self._identity is not None and identity != self._identity:
            self._count += 1
        self._identity, self._pids, self._probe = identity, tuple(pids), probe
        self.may_use_bytes, self.cores = probe.may_use_bytes(), cores_of(pids[0])

    def _descriptors(self) -> float | None:
        """Per cent of the soft limit, of the process that is nearest to its own."""
        shares = []
        for pid in self._pids:
            limits = limits_of(pid)
            if limits is None:
                continue
            if limits.in_use is None:
                self._notes.add(f"The target's descriptors may not be counted: {AS_ITS_ACCOUNT}")
                return None
            shares.append(100.0 * limits.in_use / limits.open_files if limits.open_files else 100.0)
        return max(shares, default=None)

    def _disk(self) -> tuple[float | None, Clean]:
        if self._mono() - self._places_s >= PLACES_EVERY_S:
            self._places_s = self._mono()
            self._places = self._found_places()
        fullest: tuple[float | None, Clean] = None, NOTHING
        self.disk_problem = NOTHING
        for place in self._places:
            space = space_of(place)
            if isinstance(space, str):
                self.disk_problem = space
            elif fullest[0] is None or 100.0 - space.free_percent > fullest[0]:
                fullest = 100.0 - space.free_percent, clean(space.path)
        return fullest

    def _found_places(self) -> tuple[Path, ...]:
        """The folders of the database and of the log on this host."""
        found = []
        sql = self._context.sql
        if file := sql.file:
            found.append(file.parent)
        elif sql.backend == "postgresql" and (url := sql.url) and is_here(url.host or ""):
            folder = folder_of_server(url.port or POSTGRESQL_PORT)
            found += [folder] if folder else []
        if log := self._context.target.profile.log.file:
            found.append(Path(log).absolute().parent)
        return tuple(dict.fromkeys(found))
