"""What the target and the host use, once a second, on the time axis of the load."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable
from dataclasses import fields

from checks.audit.settings import effective
from checks.context import Context
from checks.load.connections import Connections, Seen
from checks.load.model import Sample
from checks.probe.running import processes_of
from checks.probe.usage import HostProbe, HostUsage, OwnCpu, Usage, UsageProbe
from checks.text import Clean, clean

AS_ITS_ACCOUNT = "run gonogo as the account of the service or as root"
LOOK_WITHIN_S = 1.0
SOUGHT_AGAIN_S = 5.0
"""After that long a target whose process is gone is looked for again: it may have been restarted."""


class Sampler:
    """Takes a `Sample` when it is asked for one; never raises, and None stands for what cannot be seen."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._host, self._own = HostProbe(), OwnCpu()
        self._connections = Connections(context)
        self._probe: UsageProbe | None = None
        self._sought_at = -math.inf
        self._was_seen = False
        self._may_use = math.inf
        self._problems: dict[Clean, None] = {}
        self._looking: asyncio.Task[tuple[Usage | None, HostUsage]] | None = None
        self.pool_size: int | None = None
        """Database connections that the target may open at most: pool and overflow; None where that is not known."""

    @property
    def problems(self) -> tuple[Clean, ...]:
        """What could not be seen, once each, and what would help; without full stops."""
        return (*self._problems, *self._connections.problems)

    @property
    def connections_from(self) -> Clean:
        """Where the number of database connections comes from, as `/metrics of the target`; else empty."""
        return self._connections.source

    async def sample(self) -> Sample:
        """What is used now. Takes a second at most; the rates of the first one are None."""
        usage, host = await self._look()
        connections = await self._connected()
        self.pool_size = self.pool_size or connections.most
        own = self._own.look()
        if usage is None:
            return Sample(
                host_cpu_percent=host.cpu_percent,
                host_memory_percent=host.memory_percent,
                memory_pressure=host.memory_pressure,
                database_connections=connections.in_use,
                database_waiting=connections.waiting,
                console_cpu_percent=own,
            )
        used = usage.memory_bytes if usage.pss_bytes is None else usage.pss_bytes
        is_bounded = used is not None and math.isfinite(self._may_use) and self._may_use > 0
        return Sample(
            cpu_percent=usage.cpu_percent,
            memory_bytes=usage.memory_bytes,
            pss_bytes=usage.pss_bytes,
            memory_percent=round(100 * (used or 0) / self._may_use, 2) if is_bounded else None,
            descriptors=usage.descriptors,
            threads=usage.threads,
            switches_per_s=usage.switches_per_s,
            processes=usage.processes,
            host_cpu_percent=host.cpu_percent,
            host_memory_percent=host.memory_percent,
            memory_pressure=host.memory_pressure,
            database_connections=connections.in_use,
            database_waiting=connections.waiting,
            console_cpu_percent=own,
        )

    async def _look(self) -> tuple[Usage | None, HostUsage]:
        """One look in a thread; a look that hangs is not piled upon."""
        nothing = None, HostUsage(None, None, None)
        if self._looking is None:
            self._looking = asyncio.create_task(self._seen())
        await asyncio.wait({self._looking}, timeout=LOOK_WITHIN_S)
        if not self._looking.done():
            return nothing
        looked, self._looking = self._looking, None
        if not looked.cancelled() and (problem := looked.exception()):
            self._note(f"The target's processes could not be looked at: {type(problem).__name__}")
            return nothing
        return nothing if looked.cancelled() else looked.result()

    async def _connected(self) -> Seen:
        try:
            return await self._connections.look(self._probe)
        except Exception as problem:  # noqa: BLE001 - a figure less must not end a load run
            self._note(f"The target's database connections could not be counted: {type(problem).__name__}")
            return Seen()

    async def _seen(self) -> tuple[Usage | None, HostUsage]:
        now = asyncio.get_running_loop().time()
        if self._probe is None and now - self._sought_at >= SOUGHT_AGAIN_S:
            self._sought_at = now
            await self._seek()
        usage = await asyncio.to_thread(self._probe.look) if self._probe else None
        if self._probe and usage is None:
            self._probe = None
        self._was_seen = self._was_seen or usage is not None
        self._note_hidden()
        return usage, await asyncio.to_thread(self._host.look)

    async def _seek(self) -> None:
        """Find the controller, and how many connections it may open."""
        target = self._context.target
        section = target.profile.process
        if not target.is_local and not section.pid:
            self._note(
                f"The target runs on another host, {target.host}: run gonogo there to see what it uses"
            )
        else:
            # One that is not the process of the profile any more was restarted.
            pid = 0 if self._was_seen else section.pid
            found = await asyncio.to_thread(processes_of, section.port or target.port, pid)
            if found.problem:
                self._note(found.problem)
            else:
                await asyncio.to_thread(self._begin, [one.pid for one in found.all])
        if self.pool_size is None:
            self.pool_size = await self._declared()

    def _begin(self, pids: list[int]) -> None:
        probe = UsageProbe(pids)
        if name := probe.proxy():
            self._note(
                f"Process {pids[0]} is {name}, which only passes requests on: give the controller's own in "
                "[process] pid to see what it uses"
            )
            return
        self._may_use = probe.may_use_bytes()
        self._probe = probe

    async def _declared(self) -> int | None:
        """Pool and overflow of the settings that are in force; None where they are not known."""
        settings, total = await effective(self._context), 0
        for name in ("pool_size", "max_overflow"):
            given = settings.get(name)
            if given is None or not given.value.strip().isdecimal():
                return None
            total += int(given.value)
        return total or None

    def _note_hidden(self) -> None:
        if self._probe and self._probe.is_pss_hidden:
            self._note(
                "The target's proportional memory (PSS) may not be read, so that memory which its processes share "
                f"is counted for each: {AS_ITS_ACCOUNT}"
            )
        if self._probe and self._probe.are_descriptors_hidden:
            self._note(f"The target's open descriptors may not be counted by this account: {AS_ITS_ACCOUNT}")

    def _note(self, problem: str) -> None:
        self._problems.setdefault(clean(problem))


def peak(samples: Iterable[Sample]) -> Sample:
    """The greatest value of each figure; None where none was seen."""
    every = list(samples)
    found: dict[str, float | int | None] = {}
    for one in fields(Sample):
        seen = [value for sample in every if (value := getattr(sample, one.name)) is not None]
        found[one.name] = max(seen, default=None)
    return Sample(**found)  # type: ignore[arg-type]
