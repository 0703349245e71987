"""What Prometheus' client libraries tell of their process, read from /proc; what cannot be read is left out."""

from __future__ import annotations

import contextlib
import os
import resource
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

PROC = Path("/proc")


@dataclass(frozen=True, slots=True)
class Single:
    """A metric of one sample."""

    name: str
    kind: str
    about: str
    value: float


def of_this_process() -> Iterator[Single]:
    """The `process_*` metrics, with the names and units that the exposition guidelines of Prometheus give."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        about = "Start time of the process since unix epoch in seconds."
        yield Single("process_start_time_seconds", "gauge", about, _started_at())
    with contextlib.suppress(OSError, ValueError, IndexError):
        pages = int((PROC / "self/statm").read_text("ascii").split()[1])
        size = pages * resource.getpagesize()
        yield Single("process_resident_memory_bytes", "gauge", "Resident memory size in bytes.", size)
    with contextlib.suppress(OSError):
        yield Single("process_open_fds", "gauge", "Number of open file descriptors.", open_descriptors())
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY:
        yield Single("process_max_fds", "gauge", "Maximum number of open file descriptors.", soft)
    about = "Total user and system CPU time spent in seconds."
    yield Single("process_cpu_seconds_total", "counter", about, time.process_time())


def open_descriptors() -> int:
    """How many descriptors this process has open. Raises OSError."""
    # Reading the folder is one of its own.
    return sum(1 for _ in (PROC / "self/fd").iterdir()) - 1


@cache
def _started_at() -> float:
    """By the kernel: the boot, and the ticks from there (proc(5), field 22 of stat)."""
    # The name of the program, in parentheses, may hold blanks.
    fields = (PROC / "self/stat").read_text("utf-8", "replace").rpartition(")")[2].split()
    ticks = int(fields[19])
    boot = next(
        (line for line in (PROC / "stat").read_text("ascii").splitlines() if line.startswith("btime ")), ""
    )
    return int(boot.split()[1]) + ticks / os.sysconf("SC_CLK_TCK")
