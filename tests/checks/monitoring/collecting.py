"""A target whose answers a test decides, and a collector on it whose clock the test turns."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from checks.context import Context
from checks.monitoring.model import AlertSeverity, Reading, Threshold
from checks.monitoring.sources.collector import Collector
from checks.target import Operation, Target
from tests.checks.audit.answering import Asked, Said, Server, answering, said
from tests.checks.audit.contexts import context_of, target_at


@dataclass(slots=True)
class Turned:
    """A monotonic clock that stands until it is turned."""

    now_s: float = 5000.0

    def __call__(self) -> float:
        """Monotonic seconds."""
        return self.now_s


@dataclass(slots=True)
class Controlled:
    """The target: what it answers at each path, by status and body."""

    metrics: str | Said = "http_requests_total 0\n"
    health: Said = field(default_factory=Said)
    server: Server = field(default_factory=Server)

    async def answer(self, asked: Asked) -> Said:
        """Answer one request."""
        if asked.path == "/metrics":
            if isinstance(self.metrics, str):
                return Said(200, self.metrics.encode(), {"Content-Type": "text/plain; version=0.0.4"})
            return self.metrics
        return self.health if asked.path == "/health" else said({"success": False, "error": "no"}, 404)


def threshold(signal: str, name: str = "", **values: Any) -> Threshold:
    """A threshold on a signal, over a minute."""
    return Threshold(
        **{
            "name": name or signal,
            "title": signal,
            "signal": signal,
            "limit": 1.0,
            "severity": AlertSeverity.WARNING,
            "window_s": 60.0,
            **values,
        }
    )


def changed(
    target: Target, *, database: str = "", metrics: str = "", **sections: Mapping[str, Any]
) -> Target:
    """The target with a database, a path of metrics, and values of sections of its profile."""
    contract = msgspec.structs.replace(target.contract, metrics=metrics)
    profile = target.profile
    for name, values in sections.items():
        section = msgspec.structs.replace(getattr(profile, name), **values)
        profile = msgspec.structs.replace(profile, **{name: section})
    return msgspec.structs.replace(target, contract=contract, profile=profile, database_url=database)


def without(target: Target, operation: str) -> Target:
    """The target without an operation of its contract."""
    kept: dict[str, Operation] = {
        name: one for name, one in target.contract.operations.items() if name != operation
    }
    return msgspec.structs.replace(target, contract=msgspec.structs.replace(target.contract, operations=kept))


@dataclass(slots=True)
class Collecting:
    """A collector with its clock and its target."""

    collector: Collector
    context: Context
    clock: Turned
    target: Controlled

    async def look(self, after_s: float = 5.0) -> Mapping[str, Reading]:
        """Turn the clock, and look."""
        self.clock.now_s += after_s
        return await self.collector.look()


@asynccontextmanager
async def collecting(
    folder: Path,
    signals: Sequence[str | Threshold],
    *,
    metrics: str = "/metrics",
    database: str = "",
    token: str = "a.good.token",
    **sections: Mapping[str, Any],
) -> AsyncIterator[Collecting]:
    """A collector of these signals on a target of this process."""
    controlled = Controlled()
    async with answering(controlled.answer) as server:
        controlled.server = server
        target = changed(target_at(server.url, token=token), database=database, metrics=metrics, **sections)
        async with context_of(target, folder) as context:
            clock = Turned()
            wanted = [one if isinstance(one, Threshold) else threshold(one) for one in signals]
            collector = Collector(context, wanted, mono=clock)
            try:
                yield Collecting(collector, context, clock, controlled)
            finally:
                await collector.close()
