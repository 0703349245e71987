"""The register of checks: one decorator, filled by importing the area packages.

A new check is one decorated coroutine function in a module below `checks/walkthrough/` or `checks/audit/`, a new load
run one table in `checks/load/scenarios/scenarios.toml`; it is then discovered, listed, run, shown and reported without
another edit.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from checks.model import Area, Outcome, Safety, Severity, Subject

if TYPE_CHECKING:
    from checks.context import Context

PACKAGES: dict[Area, str] = {
    Area.WALKTHROUGH: "checks.walkthrough",
    Area.AUDIT: "checks.audit",
    Area.LOAD: "checks.load.scenarios",
    Area.MONITORING: "checks.monitoring.judging",
}
"""Where each area's checks live; an area without a package has no checks yet."""


@dataclass(frozen=True, slots=True)
class Check:
    """Something verifiable, with a stable id."""

    id: str
    title: str
    area: Area
    severity: Severity
    safety: Safety
    sends: str
    """What it will send to the target or read from it, in one sentence."""
    why: str
    """What a failure means for the question."""
    reference: str
    needs: tuple[str, ...]
    """Ids of checks of the same run that must pass first; else this one is INCONCLUSIVE (`blocked`)."""
    hops: tuple[str, ...]
    """The parts of the path UI -> controller -> bot -> database that it crosses."""
    function: Callable[[Context], Awaitable[Outcome]]
    subject: Subject = Subject.NONE
    """The group that it belongs to within its area."""
    fix: str = ""
    """What to do about a failure: a setting or command to paste, in one or more lines."""
    within_s: float = 0.0
    """After so many seconds it is given up as INCONCLUSIVE; 0: it bounds itself."""
    is_by_name: bool = False
    """Whether it is run only where it is asked for by its id: it takes an hour, or more."""
    scenario: str = ""
    """Name of the load scenario that it judges; empty for every other check."""

    def document(self) -> dict[str, object]:
        """The check as `gonogo checks --json` prints it."""
        return {
            "id": self.id,
            "title": self.title,
            "area": self.area.value,
            "severity": self.severity.value,
            "safety": self.safety.value,
            "sends": self.sends,
            "why": self.why,
            "reference": self.reference,
            "needs": list(self.needs),
            "subject": self.subject.value,
            "fix": self.fix,
        }


_CHECKS: dict[str, Check] = {}


def check(
    id: str,  # noqa: A002
    title: str,
    *,
    area: Area,
    severity: Severity,
    safety: Safety,
    sends: str,
    why: str,
    reference: str = "",
    needs: tuple[str, ...] = (),
    hops: tuple[str, ...] = (),
    subject: Subject = Subject.NONE,
    fix: str = "",
    within_s: float = 0.0,
    is_by_name: bool = False,
    scenario: str = "",
) -> Callable[[Callable[[Context], Awaitable[Outcome]]], Callable[[Context], Awaitable[Outcome]]]:
    """Register the decorated coroutine function. Raises ValueError when the id is taken."""

    def register(
        function: Callable[[Context], Awaitable[Outcome]],
    ) -> Callable[[Context], Awaitable[Outcome]]:
        if id in _CHECKS:
            raise ValueError(f"check {id} is registered twice")
        _CHECKS[id] = Check(
            *(id, title, area, severity, safety, sends, why, reference, needs, hops, function),
            subject=subject,
            fix=fix,
            within_s=within_s,
            is_by_name=is_by_name,
            scenario=scenario,
        )
        return function

    return register


def catalogue(areas: Iterable[Area] = tuple(PACKAGES)) -> tuple[Check, ...]:
    """Every check of `areas`, discovered, in the order of the areas, their subjects and their ids."""
    wanted = list(areas)
    for area in wanted:
        if package := PACKAGES.get(area):
            for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
                importlib.import_module(module.name)
    order = {area: place for place, area in enumerate(Area)}
    subjects = list(Subject)
    return tuple(
        sorted(
            (entry for entry in _CHECKS.values() if entry.area in wanted),
            key=lambda entry: (order[entry.area], subjects.index(entry.subject), entry.id),
        )
    )


def with_needs(wanted: Iterable[str], known: Iterable[Check]) -> tuple[Check, ...]:
    """The checks named by `wanted` with everything that they need, in catalogue order."""
    by_id = {entry.id: entry for entry in known}
    chosen: set[str] = set()

    def choose(check_id: str) -> None:
        if check_id not in chosen:
            chosen.add(check_id)
            for needed in by_id[check_id].needs:
                choose(needed)

    for check_id in wanted:
        choose(check_id)
    return tuple(entry for entry in by_id.values() if entry.id in chosen)
