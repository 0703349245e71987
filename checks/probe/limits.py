"""How much CPU a process may use: the cores that it may run on, and the quota of its control group."""

from __future__ import annotations

import math
import os
from pathlib import Path

import psutil


def cores_of(pid: int, *, proc: Path = Path("/proc"), groups: Path = Path("/sys/fs/cgroup")) -> float:
    """Cores that process `pid` may use at most, as a number that may be broken; all of the host's where none is less.

    https://docs.kernel.org/admin-guide/cgroup-v2.html (cpu.max), and cpu.cfs_quota_us of version 1.
    """
    return max(min(_allowed(pid), _quota(pid, proc, groups)), 0.01)


def _allowed(pid: int) -> float:
    try:
        return float(len(psutil.Process(pid).cpu_affinity()))
    except (psutil.Error, OSError, AttributeError, ValueError):
        return float(os.cpu_count() or 1)


def _quota(pid: int, proc: Path, groups: Path) -> float:
    quotas = [math.inf]
    for line in _text(proc / str(pid) / "cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and "cpu" not in controllers.split(","):
            continue
        root = groups / "cpu" if controllers else groups
        place = root / path.strip().lstrip("/")
        for folder in (place, *place.parents):
            if folder == root.parent:
                break
            quotas.append(_quota_v1(folder) if controllers else _quota_v2(folder))
    return min(quotas)


def _quota_v2(folder: Path) -> float:
    words = _text(folder / "cpu.max").split()
    return _share(words[0], words[1]) if len(words) == 2 else math.inf


def _quota_v1(folder: Path) -> float:
    return _share(_text(folder / "cpu.cfs_quota_us").strip(), _text(folder / "cpu.cfs_period_us").strip())


def _share(quota: str, period: str) -> float:
    if not (quota.isdecimal() and period.isdecimal() and int(period)):
        return math.inf
    return int(quota) / int(period)


def _text(path: Path) -> str:
    try:
        return path.read_text("ascii", "replace")
    except OSError:
        return ""
