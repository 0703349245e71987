"""Whether the target's database answers, and, of PostgreSQL, what the application's sessions do there."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

from checks.audit.database_source import HIDDEN, NO_DATABASE, POSTGRESQL, SQLITE, application_role
from checks.audit.settings import effective
from checks.context import Context
from checks.model import Reason
from checks.monitoring.model import Reading
from checks.monitoring.sources.asking import Notes, Question, fresh_s
from checks.monitoring.sources.counters import History, Rise
from checks.probe.activity import TRIVIAL, Activity, Statement, activity_of, slow_calls, statements_of
from checks.text import NOTHING, Clean, clean, one_line

ANSWER_WITHIN_S = 2.0
ANSWER_EVERY_S = 5.0
SESSIONS_EVERY_S = 2.0
STATEMENTS_EVERY_S = 30.0
LONGEST_PAUSE_S = 60.0
"""A database that hangs holds a thread for each question: it is asked less and less often."""
_TRIVIAL = {SQLITE: "SELECT count(*) AS answer FROM sqlite_master"}
"""SQLite opens its file late: nothing that does not read it tells whether it can be."""
ACTIVITY = clean("pg_stat_activity")
STATEMENTS = clean("pg_stat_statements and pg_stat_activity")
OWN_FAULTS = ("No module named", "password", "permission", "cannot be used", "this version reads")
"""What is wrong with gonogo's own access: whether the database answers the application is not known then."""
GONE = ("there is no database file", "does not exist")
"""What is wrong with the profile where it never answered, and with the database where it did."""


class DatabaseLooks:
    """Keeps the newest answers."""

    def __init__(
        self, context: Context, notes: Notes, *, mono: Callable[[], float], interval_s: float
    ) -> None:
        self.backend = context.sql.backend
        """`sqlite`, `postgresql` or another name; empty where no database is known."""
        self.answer = Question("database", self._answer, notes, every_s=ANSWER_EVERY_S)
        self.sessions = Question("database's sessions", self._sessions, notes, every_s=SESSIONS_EVERY_S)
        self.slow = History()
        """Slow queries that were seen while they ran, and those that the server's statistics tell."""
        self.pool_most: int | None = None
        """Connections that the target's pool may open; None where no setting tells."""
        self._context, self._mono = context, mono
        self._notes = notes
        self._fresh_s = fresh_s(interval_s)
        self._up: tuple[float, Reading] | None = None
        self._was_up = False
        self._role: str | None = None
        self._activity: Activity | Clean = clean("the database's sessions were not looked at yet")
        self._activity_s = -math.inf
        self._running: frozenset[str] = frozenset()
        self._statements: dict[str, Statement] | None = None
        self._statements_s = -math.inf
        self._counts = (0.0, 0.0)
        self._was_pool_sought = False
        # One question at a time: a session that is just asking would be taken for one of the application.
        self._asking = asyncio.Lock()

    @property
    def has_sessions(self) -> bool:
        """Whether the server tells what its sessions do."""
        return self.backend == POSTGRESQL

    def is_up(self) -> Reading:
        """1 where it answered within two seconds, 0 where it did not."""
        source = clean("a query of gonogo's own")
        if not self.backend:
            return Reading(None, applies=False)
        if self.answer.pending_s(self._mono()) >= ANSWER_WITHIN_S:
            late = f"{source}: it did not answer within {ANSWER_WITHIN_S:g} s"
            return Reading(0.0, source=clean(late))
        if self._up is None or self._mono() - self._up[0] > self._fresh_s + self.answer.every_s:
            return Reading(None, source=source, problem=self.answer.problem or clean("it was not asked yet"))
        return self._up[1]

    def activity(self) -> Activity | Clean:
        """The newest look at the sessions; else why there is none that stands."""
        if self._mono() - self._activity_s > self._fresh_s + SESSIONS_EVERY_S:
            is_old = isinstance(self._activity, Activity)
            return clean("the database's sessions could not be looked at") if is_old else self._problem()
        return self._activity

    def _problem(self) -> Clean:
        return self._activity if isinstance(self._activity, Clean) else NOTHING

    def slow_per_minute(self, window_s: float) -> tuple[float, Clean]:
        """Slow queries a minute over the window, and where that comes from."""
        rise: Rise = self.slow.rise(window_s, self._mono())
        if len(rise.values) < 2:
            return 0.0, ACTIVITY
        # The statistics count what ended, and looks what still runs: the greater of both, for both see most.
        most = max(rise.values)
        return Rise((most,), rise.span_s).per_minute(window_s), (
            ACTIVITY if self._statements is None else STATEMENTS
        )

    async def seek_pool(self) -> None:
        """Read once what the settings say of the pool."""
        if self._was_pool_sought:
            return
        self._was_pool_sought = True
        settings, total = await effective(self._context), 0
        for name in ("pool_size", "max_overflow"):
            declared = self._context.target.profile.audit.declared.get(name, "")
            given = settings.get(name)
            value = given.value.strip() if given is not None else declared.strip()
            if not value.isdecimal():
                return
            total += int(value[:6])
        workers = settings.get("workers")
        count = int(workers.value[:4]) if workers is not None and workers.value.isdecimal() else 1
        self.pool_most = total * max(count, 1) * self._context.target.profile.audit.instances or None

    async def _answer(self) -> None:
        async with self._asking:
            began_s = self._mono()
            found = await self._context.sql.ask(_TRIVIAL.get(self.backend, TRIVIAL))
        took_s, source = self._mono() - began_s, "a query of gonogo's own"
        if found.error is None and took_s < ANSWER_WITHIN_S:
            self._was_up, self.answer.every_s = True, ANSWER_EVERY_S
            self._up = self._mono(), Reading(1.0, source=clean(source))
            return
        if found.error is None:
            why = clean(f"it took {took_s:.1f} s to answer")
        else:
            why = found.error.sentence
            if found.error.reason is Reason.TIMEOUT:
                self.answer.every_s = min(2 * self.answer.every_s, LONGEST_PAUSE_S)
            is_ours = any(words in why for words in OWN_FAULTS) and not any(words in why for words in GONE)
            if is_ours or (any(words in why for words in GONE) and not self._was_up):
                self._up = self._mono(), Reading(None, source=clean(source), problem=one_line(why, 300))
                return
        self._up = self._mono(), Reading(0.0, source=one_line(f"{source}: {why}", 300))

    async def _sessions(self) -> None:
        await self.seek_pool()
        if not self.has_sessions:
            self.sessions.every_s = math.inf
            return
        if self._role is None:
            self._role = await application_role(self._context)
        async with self._asking:
            found = await activity_of(self._context.sql, self._role)
        if isinstance(found, Activity) and found.is_hidden:
            found = one_line(HIDDEN.format(role=self._role), 300)
        self._activity, self._activity_s = found, self._mono()
        if not isinstance(found, Activity):
            return
        # One that is still running was counted when it was seen first.
        seen = len(found.slow - self._running) if len(self.slow) else 0
        self._running = found.slow
        told = await self._told(self._role) if found.has_statements else 0
        self._counts = (self._counts[0] + seen, self._counts[1] + told)
        self.slow.add(self._activity_s, self._counts)

    async def _told(self, role: str) -> int:
        if self._mono() - self._statements_s < STATEMENTS_EVERY_S:
            return 0
        self._statements_s = self._mono()
        async with self._asking:
            found = await statements_of(self._context.sql, role)
        if isinstance(found, Clean):
            self._notes.add(f"The slow queries of pg_stat_statements could not be read: {found}")
            return 0
        before, self._statements = self._statements, dict(found)
        return 0 if before is None else slow_calls(before, found)


def no_pool(backend: str) -> Clean:
    """Why it is not known how much of the pool is in use."""
    if not backend:
        return clean(NO_DATABASE)
    return clean(
        "how many connections of the database pool are in use is not known: let the target tell it in its metrics, as "
        'db_pool_connections{state="in_use"} and {state="size"}'
    )
