"""A look at the live host: who listens on a port, and what that process has open. With `process.py` the only
importer of psutil.

Everything is bounded, and what may not be seen is told as a note. Of environment variables only the names leave
this module, and the address of a database where it carries no password.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TypeVar

import psutil

from checks.probe.command import shown_command
from checks.probe.redaction import Redactor
from checks.text import NOTHING, Clean, clean, one_line

T = TypeVar("T")


MAX_PROCESSES = 16
MAX_FILES = 500
MAX_VARIABLES = 200
SQLITE_HEADER = b"SQLite format 3\0"
"""https://www.sqlite.org/fileformat.html, section 1.3."""
SQLITE_SUFFIXES = (".db", ".sqlite", ".sqlite3", ".db3")
_SIBLING = re.compile(r"-(?:wal|shm|journal)$")
_LOG_SUFFIXES = (".log", ".jsonl", ".out", ".err")
_SERVICES = {5432: "PostgreSQL", 6432: "PgBouncer", 3306: "MySQL", 6379: "Redis"}
"""Well-known ports of what a controller may store in."""
_PROXIES = frozenset({"docker-proxy", "rootlessport", "nginx", "haproxy", "caddy", "envoy", "traefik"})
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_SECRET_NAME = re.compile(r"(?i)pass|(?<!^)(?<!^OLD)pwd|secret|token|jwt|key|credential|auth|dsn|salt|cookie")
_DATABASE_NAME = re.compile(r"(?i)(?:database|db|sql\w*|postgres\w*|pg)_?(?:url|uri|dsn)$")
_USER_INFO = re.compile(r"://[^@]*:[^@]*@")


@dataclass(frozen=True, slots=True)
class Service:
    """The process behind a port, and its workers, as far as this account may see them."""

    pid: int
    workers: int
    """How many further processes hold the same socket."""
    parent: Clean
    """`pid 1 (systemd)`; empty where it is not known."""
    command_line: Clean
    """With every value masked that could be a secret."""
    folder: Path | None
    """Working directory."""
    account: Clean
    started: datetime | None
    variables: tuple[Clean, ...]
    """Names of its environment variables; never their values."""
    database_urls: Mapping[str, str] = field(repr=False)
    """Name of a variable -> database URL without a password."""
    hidden_urls: tuple[Clean, ...]
    """Names of variables whose database URL carries a password."""
    databases: tuple[Path, ...]
    """Open SQLite files."""
    logs: tuple[Path, ...]
    """Log files that it opened itself, then the files that its standard error and output go to."""
    output: Clean
    """Where its standard error goes when that is no file: `a pipe`, `a socket`, `nowhere`."""
    peers: tuple[Clean, ...]
    """Well-known services that it is connected to: `PostgreSQL at 10.0.0.3:5432`."""


@dataclass(frozen=True, slots=True)
class HostView:
    """Who listens on one port of this host."""

    port: int
    addresses: tuple[str, ...]
    """Addresses on which the port is open; empty where nobody listens (or another network namespace does)."""
    service: Service | None
    """None where the process may not be seen."""
    notes: tuple[Clean, ...]
    """What could not be seen, each with what to do."""


def look_at_port(port: int) -> HostView:
    """Look at who listens on TCP `port` and at what that process shows."""
    notes: list[Clean] = []
    try:
        sockets = psutil.net_connections("tcp")
    except psutil.Error:
        notes.append(clean("no permission to list the sockets of this host; run as root"))
        return HostView(port, (), None, tuple(notes))
    listening = [one for one in sockets if one.status == psutil.CONN_LISTEN and one.laddr]
    addresses = tuple(sorted({one.laddr.ip for one in listening if one.laddr and one.laddr.port == port}))
    pids = sorted({one.pid for one in listening if one.pid and one.laddr and one.laddr.port == port})
    if addresses and not pids:
        notes.append(
            clean(f"no permission to see which process listens on port {port}; run as its account or root")
        )
    service = _Look(notes).service(pids[:MAX_PROCESSES]) if pids else None
    return HostView(port, addresses, service, tuple(dict.fromkeys(notes)))


@dataclass(frozen=True, slots=True)
class _Opened:
    """One open file of a process."""

    path: Path
    descriptor: int
    is_written: bool


class _Look:
    """One look at the processes of one service; what may not be seen is noted."""

    def __init__(self, notes: list[Clean]) -> None:
        self._notes = notes
        self._redactor = Redactor()

    def service(self, pids: Sequence[int]) -> Service | None:
        """The service that the processes `pids`, which share a listening socket, make up."""
        processes = [found for pid in pids if (found := self._process(pid))]
        if not processes:
            return None
        main = _eldest(processes)
        environment = self._ask(main, "environment variables", main.environ) or {}
        for name, value in environment.items():
            if _SECRET_NAME.search(name):
                self._redactor.learn(value)
        arguments = self._ask(main, "command line", main.cmdline) or []
        folder = self._ask(main, "working directory", main.cwd) or ""
        created = self._ask(main, "start", main.create_time) or 0.0
        self._note_proxy(main)
        urls, hidden = self._database_urls(environment)
        own = self._files(main)
        others = [file for process in processes if process is not main for file in self._files(process)]
        names = [Clean(name) for name in sorted(environment) if _VARIABLE.fullmatch(name)]
        return Service(
            pid=main.pid,
            workers=len(processes) - 1,
            parent=self._parent(main),
            command_line=shown_command(arguments, self._redactor),
            folder=Path(folder) if folder else None,
            account=one_line(self._ask(main, "account", main.username) or ""),
            started=datetime.fromtimestamp(created, UTC) if created else None,
            variables=tuple(names[:MAX_VARIABLES]),
            database_urls=urls,
            hidden_urls=hidden,
            databases=_databases(file.path for file in (*own, *others)),
            logs=_logs(own, others),
            output=_output(main),
            peers=self._peers(processes),
        )

    def _process(self, pid: int) -> psutil.Process | None:
        try:
            return psutil.Process(pid)
        except psutil.NoSuchProcess:
            self._notes.append(clean(f"pid {pid} ended while it was looked at; try again"))
            return None

    def _ask(self, process: psutil.Process, what: str, question: Callable[[], T]) -> T | None:
        try:
            return question()
        except (psutil.AccessDenied, PermissionError):
            why = f"no permission to see the {what} of pid {process.pid}; run as its account or root"
        except (psutil.Error, OSError):
            why = f"pid {process.pid} ended while it was looked at; try again"
        self._notes.append(clean(f"{why}"))
        return None

    def _parent(self, process: psutil.Process) -> Clean:
        try:
            parent = process.parent()
            return one_line(f"pid {parent.pid} ({parent.name()})", 60) if parent else NOTHING
        except psutil.Error:
            return NOTHING

    def _note_proxy(self, process: psutil.Process) -> None:
        name = self._ask(process, "name", process.name)
        if name in _PROXIES:
            self._notes.append(
                clean(
                    f"pid {process.pid} is {name}, which only passes requests on; look at the controller "
                    "where it runs (in its container, or on the port behind the proxy)"
                )
            )

    def _database_urls(self, environment: Mapping[str, str]) -> tuple[dict[str, str], tuple[Clean, ...]]:
        named = {
            name: value
            for name, value in environment.items()
            if _VARIABLE.fullmatch(name) and _DATABASE_NAME.search(name) and "://" in value
        }
        # Without what the variable's own name made the redactor learn: here the value itself is asked about.
        pattern = Redactor()
        shown = {
            name: value
            for name, value in named.items()
            if not _USER_INFO.search(value) and pattern.redact(value) == value and value.isprintable()
        }
        return shown, tuple(Clean(name) for name in sorted(named.keys() - shown.keys()))

    def _files(self, process: psutil.Process) -> list[_Opened]:
        opened = self._ask(process, "open files", process.open_files) or []
        return [_Opened(Path(file.path), file.fd, file.mode != "r") for file in opened[:MAX_FILES]]

    def _peers(self, processes: Iterable[psutil.Process]) -> tuple[Clean, ...]:
        found = set()
        for process in processes:
            for one in self._ask(process, "connections", partial(process.net_connections, "tcp")) or ():
                if one.raddr and one.status == psutil.CONN_ESTABLISHED and one.raddr.port in _SERVICES:
                    found.add(f"{_SERVICES[one.raddr.port]} at {one.raddr.ip}:{one.raddr.port}")
        return tuple(Clean(peer) for peer in sorted(found))


def is_sqlite(path: Path) -> bool:
    """Whether `path` begins as a SQLite file does; False where it may not be read."""
    try:
        with path.open("rb") as file:
            return file.read(len(SQLITE_HEADER)) == SQLITE_HEADER
    except OSError:
        return False


def _eldest(processes: Sequence[psutil.Process]) -> psutil.Process:
    """The process whose parent is none of the others: a server's workers inherit its socket."""
    pids = {process.pid for process in processes}

    def parent(process: psutil.Process) -> int:
        try:
            return process.ppid()
        except psutil.Error:
            return 0

    return next((process for process in processes if parent(process) not in pids), processes[0])


def _databases(paths: Iterable[Path]) -> tuple[Path, ...]:
    found: dict[Path, None] = {}
    for path in paths:
        main = path.with_name(_SIBLING.sub("", path.name))
        if (main != path and main.is_file()) or main.suffix in SQLITE_SUFFIXES or is_sqlite(main):
            found[main] = None
    return tuple(found)


def _logs(main: Sequence[_Opened], others: Sequence[_Opened]) -> tuple[Path, ...]:
    """Log files that it opened itself, then where its standard error and output go; access logs last."""
    redirected = {file.path: 3 - file.descriptor for file in main if file.descriptor in (1, 2)}
    own = [file.path for file in (*main, *others) if file.is_written and file.path.suffix in _LOG_SUFFIXES]
    ranks = dict.fromkeys(own, 0) | redirected
    return tuple(sorted(ranks, key=lambda path: 3 if "access" in path.name else ranks[path]))


def _output(process: psutil.Process) -> Clean:
    try:
        target = str(Path(f"/proc/{process.pid}/fd/2").readlink())
    except OSError:
        return NOTHING
    words = {"pipe:": "a pipe", "socket:": "a socket", "/dev/null": "nowhere", "/dev/pts": "a terminal"}
    return next((Clean(word) for start, word in words.items() if target.startswith(start)), NOTHING)
