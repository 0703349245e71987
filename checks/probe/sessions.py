"""Connections of processes to a server, and where a server of this host keeps its data. With psutil."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

from checks.text import Clean, clean, one_line


@dataclass(frozen=True, slots=True)
class Space:
    """The free space of the file system that a path is on."""

    path: Path
    free_percent: float
    """Of what an ordinary account can use."""
    free_bytes: int
    inodes_percent: float
    """100 where the file system does not count them."""
    device: int


def local_ports(pids: Iterable[int], port: int) -> frozenset[int] | None:
    """The local ends of the connections that `pids` have to a server's `port`; None where they may not be seen."""
    found: set[int] = set()
    for pid in pids:
        try:
            connections = psutil.Process(pid).net_connections("tcp")
        except (psutil.Error, OSError):
            return None
        found |= {
            one.laddr.port
            for one in connections
            if one.raddr and one.raddr.port == port and one.status == psutil.CONN_ESTABLISHED
        }
    return frozenset(found)


def folder_of_server(port: int) -> Path | None:
    """The working folder of who listens on `port` of this host: PostgreSQL's is its data. None where it is not seen."""
    try:
        pids = {
            one.pid
            for one in psutil.net_connections("tcp")
            if one.status == psutil.CONN_LISTEN and one.laddr and one.laddr.port == port and one.pid
        }
        folders = {Path(psutil.Process(pid).cwd()) for pid in pids}
    except (psutil.Error, OSError):
        return None
    return next((folder for folder in sorted(folders) if _is_there(folder / "PG_VERSION")), None)


def space_of(path: Path) -> Space | Clean:
    """The free space where `path` is, or the sentence that says why it is not known. Blocks."""
    try:
        seen, device = os.statvfs(path), path.stat().st_dev
    except PermissionError:
        return clean(
            f"{one_line(path)} may not be looked at by this account: run gonogo as that of the service"
        )
    except (OSError, ValueError) as problem:
        why = (getattr(problem, "strerror", "") or "it cannot be looked at").lower()
        return clean(f"{one_line(path)} cannot be looked at ({why}): correct the profile")
    # As df(1) counts: what is kept for root is neither free nor used.
    usable = seen.f_blocks - seen.f_bfree + seen.f_bavail
    free = 100 * seen.f_bavail / usable if usable else 0.0
    inodes = 100 * seen.f_favail / seen.f_files if seen.f_files else 100.0
    return Space(path, free, seen.f_bavail * seen.f_frsize, inodes, device)


def _is_there(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:
        return False
