"""The load scenarios with what a profile replaces in them: single values, typed and within their ceilings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, replace
from enum import StrEnum
from typing import Any, get_type_hints

from checks.load.model import Arrival, Criteria, Scenario
from checks.load.scenarios.shipped import shipped
from checks.profile.lines import KeyPath
from checks.profile.source import Source, read_table, read_value
from checks.target import LoadSection, Profile

FIXED = ("name", "is_capacity", "is_soak")
"""What a scenario is; a profile does not change it."""
RANGES: Mapping[str, tuple[float, float]] = {
    "users": (1, 2000),
    "rate_per_s": (0.05, 20_000),
    "most_rate_per_s": (0.05, 20_000),
    "think_min_s": (0, 600),
    "think_max_s": (0, 600),
    "ramp_s": (0, 3600),
    "hold_s": (1, 172_800),
    "ramp_down_s": (0, 3600),
    "bots": (1, 32),
    "message_bytes": (64, 8192),
    "reply_within_s": (0.1, 120),
    "window_s": (2, 600),
    "step_s": (2, 600),
    "confirm_s": (2, 3600),
    "p95_s": (0.001, 120),
    "p99_s": (0.001, 120),
    "error_percent": (0, 100),
    "memory_percent": (1, 100),
    "host_cpu_percent": (0, 100),
    "pool_percent": (1, 100),
    "leak_percent_per_hour": (0, 1000),
    "throttled_percent": (0, 100),
}
"""Key -> least and most."""
LIMITS: Mapping[str, tuple[float, float]] = {
    "peak_per_min": (0.1, 1_200_000),
    "most_per_s": (0.1, 20_000),
    "most_users": (1, 2000),
    "most_s": (5, 172_800),
    "core": (-1, 4095),
}
"""The same for [load]."""


def scenarios_of(profile: Profile, source: Source) -> dict[str, Scenario]:
    """Every scenario by name, with the values of [scenarios.NAME]. Raises ProfileError."""
    _check_limits(profile.load, source)
    found = {name: entry.scenario for name, entry in shipped().items()}
    for name, raw in profile.scenarios.items():
        path = ("scenarios", name)
        if name not in found:
            raise source.unknown(path, found)
        found[name] = _replaced(found[name], read_table(raw, path, source), path, source)
    return found


def _replaced(scenario: Scenario, table: dict[str, object], path: KeyPath, source: Source) -> Scenario:
    changes = _values(Scenario, table, path, source)
    if "criteria" in table:
        where = (*path, "criteria")
        criteria = _values(Criteria, read_table(table["criteria"], where, source), where, source)
        changes["criteria"] = replace(scenario.criteria, **criteria)
    changed = replace(scenario, **changes)
    if changed.think_min_s > changed.think_max_s:
        raise source.error((*path, "think_min_s"), "is longer than think_max_s: give less")
    if changed.arrival is not Arrival.CLOSED and not changed.rate_per_s:
        raise source.error((*path, "rate_per_s"), "is missing: an open scenario needs messages a second")
    if changed.is_capacity and changed.most_rate_per_s <= changed.rate_per_s:
        raise source.error((*path, "most_rate_per_s"), "is not above rate_per_s: give more")
    return changed


def _values(kind: type[Any], table: dict[str, object], path: KeyPath, source: Source) -> dict[str, Any]:
    hints = get_type_hints(kind)
    known = [entry.name for entry in fields(kind) if entry.name not in FIXED]
    found: dict[str, Any] = {}
    for name, raw in table.items():
        where = (*path, name)
        if name not in known:
            raise source.unknown(where, known)
        if name == "criteria":
            continue
        if isinstance(hints[name], type) and issubclass(hints[name], StrEnum):
            words = [word.value for word in hints[name]]
            if raw not in words:
                raise source.error(where, f"is not a word known here: give {' or '.join(map(repr, words))}")
            found[name] = hints[name](raw)
            continue
        value = found[name] = read_value(hints[name], raw, where, source)
        if name in RANGES:
            _check_range(value, RANGES[name], where, source)
    return found


def _check_limits(section: LoadSection, source: Source) -> None:
    for name, bounds in LIMITS.items():
        _check_range(getattr(section, name), bounds, ("load", name), source)


def _check_range(value: float, bounds: tuple[float, float], path: KeyPath, source: Source) -> None:
    least, most = bounds
    if not math.isfinite(value) or not least <= value <= most:
        raise source.error(path, f"is out of range: give a number from {least:g} to {most:g}")
