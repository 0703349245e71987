"""The self-test: every check is put before its good case and its bad ones, on the host where it will be relied upon.

A good case is the healthy demo, a bad one the demo with a fault switched on. Whoever lets a bad case through has
not shown anything by letting the target through.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from checks.model import Area, Reason, Result, Verdict
from checks.profile.read import load_target
from checks.review import Review
from console.demo.faults import FAULTS, Fault
from console.demo.launch import DemoError, DemoProcess

HEALTHY = "healthy"
GOOD = (Verdict.PASS, Verdict.NA)


@dataclass(frozen=True, slots=True)
class Trial:
    """One case as the checks saw it."""

    name: str
    """The fault's, or `healthy`."""
    wanted: tuple[str, ...]
    """The checks that were to flag it; of the healthy case, those that were to let it through."""
    wrong: dict[str, str]
    """Check -> what it said instead."""
    skipped: str = ""
    """Why it could not be tried here; empty where it was."""


@dataclass(slots=True)
class Proof:
    """What the cases amount to for one check."""

    flagged: list[str] = field(default_factory=list)
    """Bad cases that it flagged."""
    untried: list[str] = field(default_factory=list)
    doubts: list[str] = field(default_factory=list)
    """In one sentence each, why it is not to be trusted here."""

    @property
    def word(self) -> str:
        """`proved`, `UNTRUSTED`, or `unproved` where no bad case could be tried."""
        return "UNTRUSTED" if self.doubts else "proved" if self.flagged else "unproved"

    def document(self) -> dict[str, object]:
        """What the journal keeps."""
        return {"doubt": "; ".join(self.doubts), "flagged": self.flagged, "untried": self.untried}


def chosen(names: Iterable[str], checks: Iterable[str]) -> list[Fault]:
    """The faults with these names, or that break these checks; all of them where neither is given."""
    names, checks = set(names), set(checks)
    every = not names and not checks
    return [fault for fault in FAULTS if every or fault.name in names or checks & set(fault.breaks)]


def why_not_here(fault: Fault, database: str) -> str:
    """Why this fault cannot be switched on here; empty where it can."""
    if fault.needs_root and os.getuid() != 0:
        return "only root can switch it on"
    if fault.only_on == "postgresql" and not database:
        return "it needs a PostgreSQL: give --database URL of an empty one"
    return ""


async def try_all(
    faults: Sequence[Fault],
    *,
    among: Collection[str],
    database: str,
    jobs: int,
    tell: Callable[[Trial], None],
) -> list[Trial]:
    """Try the healthy case and each of `faults`, `jobs` at a time, with the checks that are `among` those named.

    Raises DemoError where no demo can be started.
    """
    cases = {fault: tuple(check for check in fault.breaks if check in among) for fault in faults}
    broken = tuple(dict.fromkeys(check for checks in cases.values() for check in checks))
    turn = asyncio.Semaphore(jobs)

    async def one(fault: Fault | None) -> Trial:
        async with turn:
            trial = await _try(fault, cases[fault] if fault else broken, database)
            tell(trial)
            return trial

    # The healthy case alone and first: where it fails, the rest says nothing.
    healthy = await one(None)
    return [healthy, *await asyncio.gather(*(one(fault) for fault in faults))]


async def _try(fault: Fault | None, wanted: tuple[str, ...], database: str) -> Trial:
    name = fault.name if fault else HEALTHY
    if fault and (why := why_not_here(fault, database)):
        return Trial(name, wanted, {}, why)
    url = database if fault and fault.only_on == "postgresql" else ""
    with tempfile.TemporaryDirectory(prefix="gonogo-selftest-") as folder:
        demo = await asyncio.to_thread(
            DemoProcess.start, port=0, faults=[fault.name] if fault else [], tls=True, database=url
        )
        try:
            results = await _judged(Path(folder), demo, wanted)
        finally:
            await asyncio.to_thread(demo.stop)
    is_right = _is_flagged if fault else _is_let_through
    wrong = {check: _told(results.get(check)) for check in wanted if not is_right(results.get(check))}
    return Trial(name, wanted, wrong)


async def _judged(base: Path, demo: DemoProcess, checks: Sequence[str]) -> dict[str, Result]:
    review = Review.open(load_target(demo.profile), base=base)
    try:
        summary = await review.run(checks=checks)
    finally:
        review.close()
    return {result.id: result for result in summary.results}


def _is_flagged(result: Result | None) -> bool:
    return result is not None and result.verdict is Verdict.FAIL


def _is_let_through(result: Result | None) -> bool:
    """What wants a drill of people, or a load run, cannot have it here: that it says so is right."""
    if result is None:
        return False
    wants_people = result.area is Area.MONITORING and result.reason is Reason.NO_SOURCE
    return result.verdict in GOOD or (result.verdict is Verdict.INCONCLUSIVE and wants_people)


def _told(result: Result | None) -> str:
    return f"{result.verdict}: {result.summary}" if result else "it was not run"


def proofs(trials: Iterable[Trial]) -> dict[str, Proof]:
    """Check -> what the trials amount to for it."""
    found: dict[str, Proof] = {}
    for trial in trials:
        for check in trial.wanted:
            proof = found.setdefault(check, Proof())
            if trial.skipped:
                proof.untried.append(f"{trial.name} ({trial.skipped})")
            elif check in trial.wrong:
                case = "the healthy case" if trial.name == HEALTHY else f"the fault {trial.name}"
                proof.doubts.append(f"the self-test put {case} before it, and it said {trial.wrong[check]}")
            elif trial.name != HEALTHY:
                proof.flagged.append(trial.name)
    return found


__all__ = ["DemoError", "Proof", "Trial", "chosen", "proofs", "try_all"]
