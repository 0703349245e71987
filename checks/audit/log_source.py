"""Where the controller's log is: the profile's file, else what its process writes to, else its unit's journal."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path

from checks.context import Context
from checks.model import Evidence, Outcome, Reason, inconclusive
from checks.probe import log as probe
from checks.probe.host import look_at_port
from checks.probe.journald import JournalProbe, unit_of
from checks.probe.log import Lines, LogProbe, LogSource, Mark
from checks.text import clean

NO_LOG = "No log is known: set [log] file in the profile"


@dataclass(slots=True)
class _Known:
    """What one run found out about the log."""

    source: LogSource | None = None
    began: Mark | None = None
    problem: Outcome | None = None


async def the_log(context: Context) -> LogSource | Outcome:
    """The controller's log, readable when this returns; else the INCONCLUSIVE outcome that says what would help.

    `await source.mark()` before something is done, `await find(context, needle, mark)` after it.
    """
    known = context.state(_Known)
    if known.problem is not None:
        return known.problem
    if known.source is None:
        source = await _source(context)
        if source is None:
            known.problem = inconclusive(Reason.NO_SOURCE, NO_LOG)
            return known.problem
        look = await source.tail(1)
        if look.error:
            known.problem = unread(look)
            return known.problem
        known.source, known.began = source, await source.mark()
    return known.source


async def find(context: Context, needle: str, mark: Mark, within_s: float | None = None) -> Lines:
    """The lines of `the_log` since `mark` that contain `needle`, as soon as there are any, within
    [audit] log_within_s; empty where there are none. Call `the_log` first."""
    source = context.state(_Known).source
    if source is None:
        return Lines(error=clean(NO_LOG), reason=Reason.NO_SOURCE)
    limit_s = context.target.profile.audit.log_within_s if within_s is None else within_s
    return await probe.find(source, needle, mark, limit_s, context.redactor, context.now)


def unread(look: Lines) -> Outcome:
    """The INCONCLUSIVE outcome of a look at the log that failed."""
    return inconclusive(look.reason, look.error, evidence=look.evidence)


async def _source(context: Context) -> LogSource | None:
    named = context.target.profile.log.file
    if named:
        return LogProbe(Path(named), context.redactor, context.now)
    if not context.target.is_local:
        return None
    port = context.target.profile.process.port or context.target.port
    view = await asyncio.to_thread(look_at_port, port)
    if view.service is None:
        return None
    if view.service.logs:
        return LogProbe(view.service.logs[0], context.redactor, context.now)
    unit = await asyncio.to_thread(unit_of, view.service.pid)
    return JournalProbe(unit, context.redactor, context.now) if unit else None


def evidence_of(*looks: Lines) -> tuple[Evidence, ...]:
    """The evidence of several looks, one after the other."""
    return tuple(seen for look in looks for seen in look.evidence)
