"""How many connections to its database the target has, and how many sessions wait: by its metrics, or from outside."""

from __future__ import annotations

import asyncio
import math
import re
from dataclasses import dataclass

from checks.audit.database_source import application_role
from checks.context import Context
from checks.probe.sql import Table
from checks.probe.usage import UsageProbe
from checks.text import NOTHING, Clean, clean, one_line

METRICS_WITHIN_S = 0.8
METRICS_EVERY_S = 1.9
"""Each question costs more of a core than looking at ten processes."""
METRICS_SHARE = 0.05
"""A target that takes long for its metrics is asked for them less often: that share of the time goes into it."""
SESSIONS_EVERY_S = 2.0
"""Each question is a connection to the database of its own."""
SESSIONS_WITHIN_S = 0.8
MOST_METRICS_CHARS = 1 << 19
_SAMPLE = re.compile(r"^(?P<name>\w*pool\w*)(?:\{(?P<labels>[^}]*)\})?\s+(?P<value>[0-9.eE+]+)", re.MULTILINE)
_IN_USE = re.compile(r"(?<![a-z])(?:in_?use|checked_?out|active|used|busy|acquired)(?![a-z])", re.IGNORECASE)
_MOST = re.compile(r"(?<![a-z])max(?:imum)?(?![a-z])", re.IGNORECASE)
_SESSIONS = """
SELECT count(*) AS connections,
       count(*) FILTER (WHERE wait_event_type = 'Lock') AS waiting,
       count(*) FILTER (WHERE query = '<insufficient privilege>') AS hidden
FROM pg_stat_activity
WHERE datname = current_database() AND usename = :role AND pid <> pg_backend_pid()
"""


@dataclass(frozen=True, slots=True)
class Seen:
    """One look; None where it could not be seen."""

    in_use: int | None = None
    waiting: int | None = None
    most: int | None = None
    """Connections that the pool may open, where the metrics tell."""


class Connections:
    """Looks again and again; never raises. Its numbers may be `SESSIONS_EVERY_S` old."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._problems: dict[Clean, None] = {}
        self._token = ""
        self._metrics_at = self._sessions_at = -math.inf
        self._has_metrics = bool(context.target.contract.metrics)
        self._metrics = self._sessions = Seen()
        self._asking: asyncio.Task[Table] | None = None
        self._role: str | None = None
        self.source = NOTHING
        """Where the number of connections comes from; empty where it is not known."""

    @property
    def problems(self) -> tuple[Clean, ...]:
        """What could not be seen, and what would help."""
        return tuple(self._problems)

    async def look(self, probe: UsageProbe | None) -> Seen:
        """The newest numbers; `probe` looks at the target's processes."""
        if self._has_metrics:
            await self._ask_metrics()
        backend = self._context.sql.backend
        if backend == "postgresql":
            await self._ask_sessions()
        if self._metrics.in_use is not None:
            self.source = one_line(f"{self._context.target.contract.metrics} of the target", 100)
            return Seen(self._metrics.in_use, self._sessions.waiting, self._metrics.most)
        if self._has_metrics:
            return Seen(None, self._sessions.waiting)
        if backend == "postgresql":
            self.source = clean("pg_stat_activity")
            return self._sessions
        if backend == "sqlite" and probe is not None and (file := self._context.sql.file):
            count = await asyncio.to_thread(probe.holders, file)
            if count is None:
                self._note(
                    "The target's connections to its SQLite file may not be seen by this account: run gonogo as the "
                    "account of the service or as root"
                )
            self.source = clean("descriptors that the target has open on its database file")
            return Seen(count)
        if not backend:
            self._note(
                "No database is known: set [database] url in the profile, or the variable that url_env names"
            )
        return Seen()

    async def _ask_metrics(self) -> None:
        """Ask for the metrics where it is time; what does not come is not known, and asked for again."""
        now = asyncio.get_running_loop().time()
        if now < self._metrics_at:
            return
        path = self._context.target.contract.metrics
        answer = await self._context.http.ask("GET", path, within_s=METRICS_WITHIN_S, token=self._token)
        self._metrics_at = now + max(METRICS_EVERY_S, answer.elapsed_s / METRICS_SHARE)
        if answer.status in (401, 403) and not self._token and self._context.controller.token:
            self._token, self._metrics_at = self._context.controller.token, now
            return
        if answer.error or answer.status != 200:
            self._metrics = Seen()
            if answer.status is not None and answer.status != 200:
                self._has_metrics = False
                self._note(f"{path} was answered {answer.status}: correct [contract] metrics in the profile")
            return
        self._metrics = pool_of(answer.text[:MOST_METRICS_CHARS])
        if self._metrics.in_use is None:
            self._has_metrics = False
            self._note(
                f"{path} does not tell how many connections of the database pool are in use: add a gauge such as "
                'db_pool_connections{state="in_use"}'
            )

    async def _ask_sessions(self) -> None:
        """Ask the server for the sessions of the target's role; a question that hangs is not piled upon."""
        now = asyncio.get_running_loop().time()
        if self._asking is None:
            if now - self._sessions_at < SESSIONS_EVERY_S:
                return
            self._sessions_at = now
            if self._role is None:
                self._role = await application_role(self._context)
            self._asking = asyncio.create_task(self._context.sql.ask(_SESSIONS, role=self._role))
        await asyncio.wait({self._asking}, timeout=SESSIONS_WITHIN_S)
        if not self._asking.done():
            self._sessions = Seen()
            return
        asked, self._asking = self._asking, None
        self._sessions = Seen() if asked.cancelled() or asked.exception() else self._counted(asked.result())

    def _counted(self, answer: Table) -> Seen:
        if answer.error or not answer.rows:
            why = answer.error.sentence if answer.error else "no answer"
            self._note(f"The sessions of the target's database could not be counted: {why}")
            return Seen()
        row = answer.rows[0]
        if row["hidden"]:
            self._note(
                f"Sessions of {self._role} may not be looked at by the role of [database] url: "
                "GRANT pg_read_all_stats TO that role"
            )
        return Seen(int(row["connections"]), None if row["hidden"] else int(row["waiting"]))

    def _note(self, problem: str) -> None:
        self._problems.setdefault(clean(problem))


def pool_of(text: str) -> Seen:
    """Connections in use, and at most, of metrics in the Prometheus text format; several pools together."""
    in_use: float | None = None
    most: float | None = None
    for found in _SAMPLE.finditer(text):
        words = f"{found['name']} {found['labels'] or ''}"
        try:
            value = float(found["value"])
        except ValueError:
            continue
        if not math.isfinite(value) or not re.search(r"(?i)db|database|sql|connection|hikari", found["name"]):
            continue
        if _MOST.search(words):
            most = (most or 0) + value
        elif _IN_USE.search(words):
            in_use = (in_use or 0) + value
    return Seen(None if in_use is None else round(in_use), None, None if most is None else round(most))
