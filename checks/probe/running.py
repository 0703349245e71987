"""What a running service was started with: the environment and the command line of its processes, by psutil.

Values leave this module, for they are judged in memory: its callers show none that may be a secret.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TypeVar

import psutil

from checks.text import NOTHING, Clean, clean, one_line

T = TypeVar("T")
MAX_PROCESSES = 16
MAX_VARIABLES = 2_000
PROXIES = frozenset({"docker-proxy", "rootlessport", "nginx", "haproxy", "caddy", "envoy", "traefik"})
"""Who listens on a port for a controller that has another one, or another network."""


@dataclass(frozen=True, slots=True)
class Running:
    """One process, as far as this account may see it."""

    pid: int
    account: Clean
    owner: int | None
    """Number of the account that it runs as; None where that may not be seen."""
    folder: Path | None
    """Working directory."""
    environment: dict[str, str] | None = field(repr=False)
    """As it was started with; None where it may not be read."""
    arguments: tuple[str, ...] | None = field(repr=False)
    """Its command line; None where it may not be read."""
    problems: tuple[Clean, ...] = ()
    """What may not be seen: one sentence each, with the cure, without a full stop."""


@dataclass(frozen=True, slots=True)
class Processes:
    """The processes of one service."""

    all: tuple[Running, ...]
    """The main process first, then its workers."""
    problem: Clean = NOTHING
    """Why there is none to look at; empty where there is one."""


def processes_of(port: int, pid: int = 0) -> Processes:
    """Process `pid` (0: whoever listens on TCP `port` of this host) and the workers that share its socket. Blocks."""
    try:
        listening = {
            one.pid
            for one in psutil.net_connections("tcp")
            if one.status == psutil.CONN_LISTEN and one.laddr and one.laddr.port == port
        }
    except (psutil.Error, OSError):
        listening = {None}
    pids = sorted(one for one in listening if one)
    if pid:
        if pids and not any(pid == one or pid in _parents(one) for one in pids) and not _is_proxy(pids[0]):
            why = (
                f"Process {pid} is not the one that listens on port {port} ({pids[0]}): correct [process] pid"
            )
            return Processes((), clean(why))
        pids = [pid, *(one for one in pids if one != pid and pid in _parents(one))]
    elif not pids:
        why = (
            f"The process that listens on port {port} may not be seen by this account: run gonogo as the account of "
            "the service or as root, or give its pid in [process] pid"
            if listening
            else f"No process of this host listens on port {port}: give the controller's in [process] pid or port"
        )
        return Processes((), clean(why))
    else:
        pids.sort(key=lambda one: (any(parent in pids for parent in _parents(one)), one))
    seen = [found for one in pids[:MAX_PROCESSES] if (found := look(one))]
    if not seen:
        return Processes((), clean(f"There is no process {pids[0]}: correct [process] pid in the profile"))
    return Processes(tuple(seen))


def look(pid: int) -> Running | None:
    """Process `pid`; None where there is none. Blocks."""
    try:
        process = psutil.Process(pid)
    except (psutil.Error, ValueError, OverflowError):
        return None
    problems: list[Clean] = []
    account = one_line(_asked(process.username) or "", 60)
    others = f"as {account} or " if account and account != "root" else "" if account else "as its account or "
    cure = f"run gonogo {others}as root"

    def ask(what: str, question: Callable[[], T]) -> T | None:
        try:
            return question()
        except psutil.NoSuchProcess:
            problems.append(clean(f"Process {pid} ended while it was looked at: start the audit again"))
        except (psutil.Error, OSError):
            problems.append(clean(f"The {what} of process {pid} may not be read by this account: {cure}"))
        return None

    environment = ask("environment", process.environ)
    arguments = ask("command line", process.cmdline)
    owner, folder = _asked(process.uids), _asked(process.cwd)
    if not environment and not arguments and _asked(process.status) in (None, psutil.STATUS_ZOMBIE):
        return None
    return Running(
        pid=pid,
        account=account,
        owner=owner.effective if owner else None,
        folder=Path(folder) if folder else None,
        environment=None if environment is None else dict(list(environment.items())[:MAX_VARIABLES]),
        arguments=None if arguments is None else tuple(arguments),
        problems=tuple(dict.fromkeys(problems)),
    )


def descendants(pids: Sequence[int]) -> list[Running]:
    """The processes that descend from any of `pids`, at most `MAX_PROCESSES`. Blocks."""
    found: dict[int, None] = {}
    for pid in pids:
        for child in _asked(partial(_children, pid)) or ():
            found[child.pid] = None
    own = set(pids)
    return [seen for pid in list(found)[:MAX_PROCESSES] if pid not in own and (seen := look(pid))]


def _is_proxy(pid: int) -> bool:
    return _asked(lambda: psutil.Process(pid).name()) in PROXIES


def _children(pid: int) -> list[psutil.Process]:
    return psutil.Process(pid).children(recursive=True)


def _parents(pid: int) -> set[int]:
    return {parent.pid for parent in _asked(lambda: psutil.Process(pid).parents()) or ()}


def _asked(question: Callable[[], T]) -> T | None:
    """The answer; None where it may not be had."""
    try:
        return question()
    except (psutil.Error, OSError):
        return None
