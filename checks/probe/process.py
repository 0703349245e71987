"""The process probe: is it born, does it listen, is it gone. With `host.py` the only importer of psutil."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shlex
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

import psutil

from checks.model import Evidence, utc_now
from checks.probe.redaction import Redactor
from checks.text import Clean, clean, one_line

REAPERS = frozenset({"systemd", "init", "tini", "dumb-init", "docker-init", "catatonit", "supervisord"})
"""Who adopts processes that outlived their parent."""
START_TOLERANCE_S = 1.0
"""The kernel's clock for process starts is not quite the clock of records."""


@dataclass(frozen=True, slots=True)
class Identity:
    """A process that cannot be mistaken for a later one with the same pid."""

    pid: int
    created: float
    """Seconds since the epoch, by the kernel."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One look at one process."""

    identity: Identity | None
    """None where no such process is alive (a zombie counts as gone)."""
    command_line: Clean
    """Redacted; empty where it may not be read."""
    listening: bool
    """Whether its port accepts connections, and is not seen to belong to another process."""
    evidence: Evidence


def _carries(arguments: Iterable[str], word: str) -> bool:
    return any(word in re.split(r"[\s=,]", part) for part in arguments)


def _descends(process: psutil.Process, controllers: set[int]) -> bool:
    """Whether the process may be the target's: it outlived its parent, or descends from the controller.

    Where the controller is gone or may not be seen, whatever has no terminal may be.
    """
    try:
        if process.ppid() <= 1 or process.parent() is None:
            return True
        if not controllers:
            return process.terminal() is None
        parents = process.parents()
        return any(parent.pid in controllers for parent in parents) or parents[0].name() in REAPERS
    except psutil.Error:
        return False


class ProcessProbe:
    """Looks at processes and ports of this host."""

    def __init__(
        self,
        redactor: Redactor,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        """`port` is the controller's: bots descend from whoever listens there; 0 where that is not known."""
        self._redactor = redactor
        self._host = host
        self._port = port
        self._clock = clock

    async def look(self, pid: int | None, port: int | None) -> Seen:
        """Look at process `pid` and at whether `port` accepts a connection; either may be unknown."""
        at = self._clock()
        identity, command_line, state = self._process(pid)
        listening = await self.accepts(port) if port else False
        is_own = self._owns(identity, port) if identity and port and listening else None
        who = f"pid {pid}: {state}" if pid else "pid unknown"
        what = f"port {port}: {'accepts connections' if listening else 'closed'}" if port else "port unknown"
        if is_own is False:
            listening, what = False, f"port {port}: belongs to another process"
        commands = (
            f"ps -o pid,ppid,lstart,stat,args -p {pid}" if pid else "",
            f"ss -ltnp 'sport = :{port}'" if port else "",
        )
        lines = [who, *([f"command line: {command_line}"] if command_line else []), what]
        evidence = Evidence(
            kind="process",
            title=one_line(f"{who}; {what}"),
            body=clean("\n".join(lines)),
            command=clean("; ".join(filter(None, commands))),
            captured_at=at,
        )
        return Seen(identity, command_line, listening, evidence)

    def _process(self, pid: int | None) -> tuple[Identity | None, Clean, str]:
        nothing = Clean("")
        if not pid or pid < 0:
            return None, nothing, "no such process"
        try:
            process = psutil.Process(pid)
            state, created = process.status(), process.create_time()
        except psutil.NoSuchProcess:
            return None, nothing, "no such process"
        except psutil.Error as problem:
            return None, nothing, f"cannot be looked at ({type(problem).__name__})"
        if state in (psutil.STATUS_ZOMBIE, psutil.STATUS_DEAD):
            return None, nothing, f"ended ({state})"
        try:
            command_line = one_line(self._redactor.redact(shlex.join(process.cmdline())), 500)
        except psutil.Error:
            command_line = nothing
        return Identity(pid, created), command_line, f"alive ({state})"

    def find(self, word: str, since_s: float) -> int | None:
        """The pid of the oldest process of the target, started at or after `since_s` (epoch), that carries `word`.

        An operator's own `grep` for the word is none of the target's: it descends from a shell.
        """
        found: list[tuple[float, int]] = []
        controllers = self._listeners()
        for process in psutil.process_iter(["cmdline", "create_time"]):
            arguments = process.info["cmdline"] or []
            created = process.info["create_time"] or 0.0
            is_young = created >= since_s - START_TOLERANCE_S
            if is_young and _carries(arguments, word) and _descends(process, controllers):
                found.append((created, process.pid))
        return min(found)[1] if found else None

    def carries(self, identity: Identity, word: str) -> bool | None:
        """Whether the command line of that very process carries `word`; None where it may not be read."""
        try:
            return self.is_alive(identity) and _carries(psutil.Process(identity.pid).cmdline(), word)
        except psutil.NoSuchProcess:
            return False
        except psutil.Error:
            return None

    def children(self, identity: Identity) -> list[Identity]:
        """Every process that descends from that very process at this moment."""
        try:
            found = psutil.Process(identity.pid).children(recursive=True) if self.is_alive(identity) else []
        except psutil.Error:
            return []
        return [child for child in (self.identity(process.pid) for process in found) if child]

    def port_of(self, identity: Identity) -> int | None:
        """A port that that process listens on; None where it listens on none, or that may not be seen."""
        try:
            connections = psutil.Process(identity.pid).net_connections("tcp")
        except psutil.Error:
            return None
        return min((one.laddr.port for one in connections if one.status == psutil.CONN_LISTEN), default=None)

    def _listeners(self) -> set[int]:
        if not self._port:
            return set()
        try:
            connections = psutil.net_connections("tcp")
        except psutil.Error:
            return set()
        return {
            one.pid
            for one in connections
            if one.status == psutil.CONN_LISTEN and one.laddr and one.laddr.port == self._port and one.pid
        }

    def _owns(self, identity: Identity, port: int) -> bool | None:
        """Whether that process, or a child of it, listens on `port`; None where that may not be seen."""
        try:
            process = psutil.Process(identity.pid)
            family = [process, *process.children(recursive=True)]
            return any(
                connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
                for member in family
                for connection in member.net_connections("tcp")
            )
        except psutil.Error:
            return None

    def identity(self, pid: int | None) -> Identity | None:
        """The identity of process `pid`; None where no such process is alive."""
        return self._process(pid)[0]

    async def accepts(self, port: int) -> bool:
        """Whether a connection to `port` of the target's host is accepted within a second."""
        try:
            async with asyncio.timeout(1.0):
                _, writer = await asyncio.open_connection(self._host, port)
        except (OSError, TimeoutError):
            return False
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
        return True

    def is_alive(self, identity: Identity) -> bool:
        """Whether that very process is still alive."""
        found, _, _ = self._process(identity.pid)
        return found == identity

    def end(self, identity: Identity, *, force: bool) -> str:
        """Send SIGKILL (`force`) or SIGTERM to that very process; empty, or why it was not done."""
        if not self.is_alive(identity):
            return "it had already ended"
        try:
            process = psutil.Process(identity.pid)
            if force:
                process.kill()
            else:
                process.terminate()
        except psutil.AccessDenied:
            return "no permission: run gonogo as the account of the service"
        except psutil.NoSuchProcess:
            return "it had already ended"
        return ""
