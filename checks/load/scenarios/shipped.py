"""The scenarios as they ship: one table of `scenarios.toml` each, with the words of its check."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import msgspec

from checks.load.model import Scenario
from checks.model import Severity

WORDS = ("id", "severity", "why", "fix", "reference", "statement")


@dataclass(frozen=True, slots=True)
class Shipped:
    """One scenario and how its check is called."""

    scenario: Scenario
    id: str
    severity: Severity
    why: str
    fix: str
    reference: str
    statement: str
    """What is true when it passes: the title of its check."""


@cache
def shipped() -> Mapping[str, Shipped]:
    """Scenario name -> scenario, in the order of the file."""
    document = tomllib.loads(files("checks.load.scenarios").joinpath("scenarios.toml").read_text("utf-8"))
    found: dict[str, Shipped] = {}
    for name, table in document.items():
        words = {key: str(table.pop(key)) for key in WORDS}
        scenario = msgspec.convert({"name": name, **table}, Scenario)
        found[name] = Shipped(
            scenario,
            words["id"],
            Severity(words["severity"]),
            words["why"],
            words["fix"],
            words["reference"],
            words["statement"],
        )
    return found
