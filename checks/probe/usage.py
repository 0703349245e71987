"""What processes and their host use, look after look: CPU, memory, descriptors, threads, switches. By psutil.

Light enough for one look a second: some 0.1 ms of CPU for each process, and rarely what costs more.
"""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

from checks.probe.family import group_memory_bytes
from checks.probe.running import PROXIES

MEMBERS_EVERY_S = 5.0
"""How often new descendants are looked for: the kernel is asked about every process of the host for it."""
PSS_EVERY_S = 10.0
PSS_SHARE = 0.002
"""Of the time may be spent on PSS: the kernel walks every page for it, and holds up the process meanwhile."""
LEAST_SPAN_S = 0.2
"""Rates over less than that would be chance."""
MOST_MEMBERS = 300


@dataclass(frozen=True, slots=True)
class Usage:
    """What some processes used since the last look; None where it may not be seen."""

    cpu_percent: float | None
    """Per cent of one core."""
    memory_bytes: int | None
    """RSS: what processes share counts for each of them."""
    pss_bytes: int | None
    """PSS: what they share counts once. Up to some seconds old."""
    descriptors: int | None
    threads: int
    switches_per_s: float | None
    processes: int


@dataclass(frozen=True, slots=True)
class HostUsage:
    """What the whole host used; None where it may not be seen."""

    cpu_percent: float | None
    """Of all cores: 100 is all of them."""
    memory_percent: float | None
    memory_pressure: float | None
    """`some avg10` of /proc/pressure/memory; None for a kernel without PSI."""


@dataclass(frozen=True, slots=True)
class _Counters:
    """What one process has used since its start."""

    cpu_s: float
    switches: int


class UsageProbe:
    """Looks at the same processes, and at what they started, again and again.

    Every method blocks; `look` may be called from any thread, one at a time.
    """

    def __init__(self, roots: Iterable[int], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._roots = [found for pid in roots if (found := _process(pid))]
        self._members: list[psutil.Process] = []
        self._members_at = -math.inf
        self._before: dict[psutil.Process, _Counters] = {}
        self._before_at = -math.inf
        self._rates: tuple[float | None, float | None] = None, None
        self._pss: int | None = None
        self._memory_then = 0
        self._pss_due_at = -math.inf
        self.is_pss_hidden = False
        """Whether PSS may not be read by this account."""
        self.are_descriptors_hidden = False

    def look(self) -> Usage | None:
        """The processes together; None where the ones that were named are gone."""
        now = self._clock()
        members = self._alive(now)
        if not members:
            return None
        counters: dict[psutil.Process, _Counters] = {}
        memory = threads = seen = 0
        descriptors: int | None = 0
        for process in members:
            try:
                with process.oneshot():
                    times, changed = process.cpu_times(), process.num_ctx_switches()
                    memory += process.memory_info().rss
                    threads += process.num_threads()
            except (psutil.Error, OSError):
                continue
            seen += 1
            counters[process] = _Counters(times.user + times.system, changed.voluntary + changed.involuntary)
            opened = _descriptors(process)
            descriptors = None if opened is None or descriptors is None else descriptors + opened
        if not seen:
            return None
        cpu, switches = self._since_last(now, counters)
        self.are_descriptors_hidden = descriptors is None
        pss = self._proportional(now, members, memory)
        return Usage(cpu, memory, pss, descriptors, threads, switches, seen)

    def _alive(self, now: float) -> list[psutil.Process]:
        """The members that are there; new ones are found every `MEMBERS_EVERY_S`."""
        self._roots = [one for one in self._roots if _is_there(one)]
        if now - self._members_at >= MEMBERS_EVERY_S or any(one not in self._members for one in self._roots):
            self._members_at = now
            # The objects that are known already: psutil keeps in them what it need not ask again.
            known = {one: one for one in self._members}
            found = {one: known.get(one, one) for root in self._roots for one in (root, *_children(root))}
            self._members = list(found.values())[:MOST_MEMBERS]
        return [one for one in self._members if one in self._roots or _is_there(one)] if self._roots else []

    def _since_last(
        self, now: float, counters: dict[psutil.Process, _Counters]
    ) -> tuple[float | None, float | None]:
        """CPU per cent and switches a second; of a process that is new, everything since its start."""
        span_s = now - self._before_at
        if span_s < LEAST_SPAN_S:
            return self._rates
        if self._before:
            nothing = _Counters(0.0, 0)
            cpu_s = switches = 0.0
            for process, one in counters.items():
                before = self._before.get(process)
                if before is None and process.create_time() < time.time() - span_s - 1:
                    continue  # it is older than the last look, but was not seen then
                before = before or nothing
                cpu_s += max(0.0, one.cpu_s - before.cpu_s)
                switches += max(0, one.switches - before.switches)
            self._rates = round(100 * cpu_s / span_s, 1), round(switches / span_s, 1)
        self._before, self._before_at = counters, now
        return self._rates

    def _proportional(self, now: float, members: Iterable[psutil.Process], memory: int) -> int | None:
        """PSS; between two looks at it what came or went of RSS is counted to it, for a leak must not wait."""
        if now < self._pss_due_at:
            return None if self._pss is None else max(0, self._pss + memory - self._memory_then)
        began = time.perf_counter()
        self._pss, self._memory_then = _pss(one.pid for one in members), memory
        took_s = time.perf_counter() - began
        self._pss_due_at = now + max(PSS_EVERY_S, took_s / PSS_SHARE)
        self.is_pss_hidden = self._pss is None
        return self._pss

    def may_use_bytes(self) -> float:
        """Memory that they may use: the limit of their control group where that is lower, else all of the host's."""
        total = float(psutil.virtual_memory().total)
        return min([total, *(group_memory_bytes(one.pid) for one in self._roots)])

    def proxy(self) -> str:
        """The name of the first process where that only passes requests on to a controller elsewhere; else empty."""
        try:
            name = self._roots[0].name() if self._roots else ""
        except (psutil.Error, OSError):
            return ""
        return name if name in PROXIES else ""

    def holders(self, path: Path) -> int | None:
        """How often they have the file `path` open; None where that may not be seen."""
        try:
            wanted = path.stat()
        except OSError:
            return None
        count = 0
        for process in self._members:
            folder = Path(f"/proc/{process.pid}/fd")
            try:
                entries = os.listdir(folder)  # noqa: PTH208 - names alone, a hundred a second
            except FileNotFoundError:
                continue
            except OSError:
                return None
            count += sum(_is_same(folder / entry, wanted) for entry in entries)
        return count


class HostProbe:
    """Looks at the whole host again and again. Blocks."""

    def __init__(self) -> None:
        self._before: tuple[float, float] | None = None
        self._percent: float | None = None
        self._lock = threading.Lock()

    def look(self) -> HostUsage:
        """The host since the last look."""
        with self._lock:
            return HostUsage(self._cpu_percent(), _memory_percent(), _pressure())

    def _cpu_percent(self) -> float | None:
        try:
            times = psutil.cpu_times()
        except (psutil.Error, OSError, ValueError):
            return None
        # Guests are counted within user and nice; waiting for a disk leaves the core to others.
        idle = times.idle + getattr(times, "iowait", 0.0)
        total = sum(times) - getattr(times, "guest", 0.0) - getattr(times, "guest_nice", 0.0)
        if self._before and (passed := total - self._before[0]) > LEAST_SPAN_S:
            share = 1 - max(0.0, idle - self._before[1]) / passed
            self._percent = round(100 * min(1.0, max(0.0, share)), 1)
        if self._before is None or total - self._before[0] > LEAST_SPAN_S:
            self._before = total, idle
        return self._percent


class OwnCpu:
    """The CPU of this process without those that it started, in per cent of one core."""

    def __init__(self) -> None:
        self._at, self._used_s = time.monotonic(), time.process_time()

    def look(self) -> float | None:
        """Since the last look; None where that is too short ago."""
        now, used_s = time.monotonic(), time.process_time()
        span_s = now - self._at
        if span_s < LEAST_SPAN_S:
            return None
        percent = 100 * (used_s - self._used_s) / span_s
        self._at, self._used_s = now, used_s
        return round(percent, 1)


def _process(pid: int) -> psutil.Process | None:
    try:
        return psutil.Process(pid)
    except (psutil.Error, ValueError, OverflowError):
        return None


def _is_there(process: psutil.Process) -> bool:
    """Whether that very process still runs; a zombie does not."""
    try:
        return bool(process.is_running()) and process.status() != psutil.STATUS_ZOMBIE
    except (psutil.Error, OSError):
        return False


def _children(process: psutil.Process) -> list[psutil.Process]:
    try:
        return process.children(recursive=True)
    except (psutil.Error, OSError):
        return []


def _descriptors(process: psutil.Process) -> int | None:
    try:
        return int(process.num_fds())
    except psutil.NoSuchProcess:
        return 0
    except (psutil.Error, OSError):
        return None


def _pss(pids: Iterable[int]) -> int | None:
    """Of these processes together, in bytes; None where that of one of them may not be read."""
    total = 0
    for pid in pids:
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text("ascii", "replace")
        except (FileNotFoundError, ProcessLookupError):
            if Path(f"/proc/{pid}").exists():
                return None  # a kernel before 4.14 does not sum it up
            continue
        except OSError:
            return None
        total += next(
            (int(line.split()[1]) << 10 for line in text.splitlines() if line.startswith("Pss:")), 0
        )
    return total or None


def _memory_percent() -> float | None:
    try:
        return float(psutil.virtual_memory().percent)
    except (psutil.Error, OSError, ValueError):
        return None


def _pressure(path: Path = Path("/proc/pressure/memory")) -> float | None:
    """https://docs.kernel.org/accounting/psi.html"""
    try:
        first = path.read_text("ascii", "replace").splitlines()[0]
        return float(first.partition("avg10=")[2].split()[0])
    except (OSError, IndexError, ValueError):
        return None


def _is_same(path: Path, wanted: os.stat_result) -> bool:
    try:
        seen = path.stat()
    except OSError:
        return False
    return (seen.st_dev, seen.st_ino) == (wanted.st_dev, wanted.st_ino)
