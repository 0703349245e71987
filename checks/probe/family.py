"""The controller with its workers and bots as the kernel knows them: accounts, rights, limits and open ports.

Reads what Linux shows of each process; what may not be seen is None, never a guess.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import psutil

from checks.probe.running import processes_of
from checks.text import NOTHING, Clean, clean, one_line

MAX_MEMBERS = 200
ADMINISTRATIVE = {
    0: "CAP_CHOWN",
    1: "CAP_DAC_OVERRIDE",
    2: "CAP_DAC_READ_SEARCH",
    6: "CAP_SETGID",
    7: "CAP_SETUID",
    12: "CAP_NET_ADMIN",
    16: "CAP_SYS_MODULE",
    17: "CAP_SYS_RAWIO",
    19: "CAP_SYS_PTRACE",
    21: "CAP_SYS_ADMIN",
}
"""Capabilities that amount to the rights of root: <linux/capability.h>."""
UNLIMITED_BYTES = 1 << 60
"""A control group's limit above this is none: version 1 writes the largest number that it knows."""


@dataclass(frozen=True, slots=True)
class Member:
    """One process of the controller's family."""

    pid: int
    name: Clean
    is_bot: bool
    """Whether it was started by the controller, and does not hold its socket."""
    uid: int | None
    """Effective user id; None where it may not be seen."""
    account: Clean
    rights: tuple[str, ...]
    """Names of its `ADMINISTRATIVE` capabilities."""
    started_at: float
    """Seconds since the epoch."""


@dataclass(frozen=True, slots=True)
class Family:
    """Who listens on the controller's port, and what that process started."""

    members: tuple[Member, ...]
    """The controller first; empty where it may not be seen."""
    problem: Clean = NOTHING
    """Why there are none, as a sentence without a full stop."""
    is_forbidden: bool = False
    """Whether more rights would help."""

    @property
    def main(self) -> Member:
        """The controller. Raises IndexError where there are no members."""
        return self.members[0]


@dataclass(frozen=True, slots=True)
class Limits:
    """Soft limits of one process; `math.inf` for one that is not set."""

    open_files: float
    memory_bytes: float
    """Of its address space."""
    core_bytes: float
    in_use: int | None
    """Open descriptors; None where they may not be counted."""


@dataclass(frozen=True, slots=True)
class Listener:
    """One open TCP port."""

    pid: int | None
    name: Clean
    address: str
    port: int

    @property
    def is_public(self) -> bool:
        """Whether it can be reached from another host."""
        ip = ip_address(self.address.partition("%")[0])
        mapped = getattr(ip, "ipv4_mapped", None)
        return not (mapped or ip).is_loopback


def look_at_family(port: int, pid: int = 0) -> Family:
    """The family of process `pid`; 0: of whoever listens on `port` of this host."""
    service = processes_of(port, pid)
    if not service.all:
        return Family((), service.problem, is_forbidden="may not be seen" in service.problem)
    main_pid = service.all[0].pid
    try:
        main = psutil.Process(main_pid)
        holders = {
            one.pid or 0
            for one in psutil.net_connections("tcp")
            if one.status == psutil.CONN_LISTEN and one.laddr and one.laddr.port == port
        }
        workers = [psutil.Process(one.pid) for one in service.all[1:]]
        children = main.children(recursive=True)[:MAX_MEMBERS]
    except psutil.AccessDenied:
        why = f"The processes of this host may not be seen by this account: {AS_ITS_ACCOUNT}"
        return Family((), clean(why), is_forbidden=True)
    except psutil.Error:
        return Family((), clean(f"Process {main_pid} ended while it was looked at: start the audit again"))
    processes = {one.pid: one for one in (main, *workers, *children)}
    members = (_member(one, is_bot=one.pid not in holders and one != main) for one in processes.values())
    return Family(tuple(member for member in members if member))


AS_ITS_ACCOUNT = "run gonogo as the account of the service or as root"


def _member(process: psutil.Process, *, is_bot: bool) -> Member | None:
    try:
        with process.oneshot():
            name, uid, created = process.name(), process.uids().effective, process.create_time()
            account = process.username()
    except psutil.NoSuchProcess:
        return None
    except (psutil.Error, KeyError):
        return Member(process.pid, NOTHING, is_bot, None, NOTHING, (), 0.0)
    return Member(
        process.pid, one_line(name, 40), is_bot, uid, one_line(account, 40), _rights(process.pid), created
    )


def _rights(pid: int) -> tuple[str, ...]:
    for line in _lines(Path(f"/proc/{pid}/status")):
        if line.startswith("CapEff:"):
            mask = int(line.split()[1], 16)
            return tuple(name for bit, name in ADMINISTRATIVE.items() if mask >> bit & 1)
    return ()


def limits_of(pid: int) -> Limits | None:
    """The limits of process `pid`; None where they may not be read."""
    values: dict[str, float] = {}
    for line in _lines(Path(f"/proc/{pid}/limits")):
        name, numbers = line[:26].strip(), line[26:].split()
        if numbers and (numbers[0] == "unlimited" or numbers[0].isdigit()):
            values[name] = math.inf if numbers[0] == "unlimited" else float(numbers[0])
    try:
        in_use = psutil.Process(pid).num_fds()
    except psutil.Error:
        in_use = None
    try:
        return Limits(
            values["Max open files"], values["Max address space"], values["Max core file size"], in_use
        )
    except KeyError:
        return None


def group_memory_bytes(
    pid: int, *, proc: Path = Path("/proc"), groups: Path = Path("/sys/fs/cgroup")
) -> float:
    """The memory limit of the control group of `pid` and of those around it, in bytes; `math.inf` for none."""
    bounds = [math.inf]
    for line in _lines(proc / str(pid) / "cgroup"):
        _, controllers, path = line.split(":", 2)
        if controllers in ("", "memory"):
            root = groups / "memory" if controllers else groups
            file = "memory.limit_in_bytes" if controllers else "memory.max"
            place = root / path.strip().lstrip("/")
            for folder in (place, *place.parents):
                if folder == root.parent:
                    break
                bounds += [float(text) for text in _lines(folder / file) if text.isdigit()]
    smallest = min(bounds)
    return smallest if smallest < UNLIMITED_BYTES else math.inf


def is_own_descendant(pid: int) -> bool:
    """Whether process `pid` was started by this one, directly or not: then their control group is the same."""
    try:
        return psutil.Process().pid in {one.pid for one in psutil.Process(pid).parents()}
    except psutil.Error:
        return False


def listeners(pids: Iterable[int], port: int = 0) -> tuple[Listener, ...] | None:
    """Open TCP ports of the processes `pids`, and whoever listens on `port`; None where they may not be listed."""
    wanted = set(pids)
    try:
        connections = psutil.net_connections("tcp")
    except psutil.Error:
        return None
    found = {
        (one.pid, one.laddr.ip, one.laddr.port)
        for one in connections
        if one.status == psutil.CONN_LISTEN
        and one.laddr
        and (one.pid in wanted or (port and one.laddr.port == port))
    }
    return tuple(
        Listener(pid, _name(pid), address, number)
        for pid, address, number in sorted(found, key=lambda one: (one[2], one[1], one[0] or 0))
    )


def may_list(pid: int) -> bool:
    """Whether the open files, and so the ports, of process `pid` may be seen."""
    try:
        psutil.Process(pid).num_fds()
    except psutil.Error:
        return False
    return True


def _name(pid: int | None) -> Clean:
    try:
        return one_line(psutil.Process(pid).name(), 40) if pid else NOTHING
    except psutil.Error:
        return NOTHING


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8", "replace").splitlines()
    except OSError:
        return []
