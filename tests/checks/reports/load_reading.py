"""Reads the load report as a person would: a section, a scenario, a row."""

from __future__ import annotations

import re

from checks.reports.facts import gather
from checks.reports.load import load_test
from tests.checks.reports.loads import RATE, USERS_10, USERS_100, capacity_run, load_run, record
from tests.checks.reports.scene import POLICY, Scene
from tests.checks.reports.test_content import flat

SECTIONS = [
    "The scenarios",
    "Scenario by scenario",
    "Capacity limits",
    "What these numbers do not show",
    "How to repeat it",
    "The record",
    "Evidence",
]


def written(scene: Scene) -> str:
    """The report of the load runs, as it stands now."""
    facts = gather(scene.journal, scene.snapshot(), policy=POLICY.digest, now=scene.now)
    return load_test(facts).text


def scenario(report: str, check: str) -> str:
    """What is told of one scenario, flat."""
    return flat(re.split(r"\n##+ (?!#)", report.split(f"\n### {check} ", 1)[1].replace("\n####", "\n§"))[0])


def row(report: str, check: str, table: int = 0) -> list[str]:
    """The cells of a scenario in one of the two tables at the beginning."""
    lines = [line for line in report.split("\n") if line.startswith(f"| {check} ")]
    return [cell.strip() for cell in lines[table].strip("|").split("|")]


def everything_passes(scene: Scene) -> None:
    """All scenarios but the soak are run, and pass."""
    for run in (load_run(USERS_10), load_run(USERS_100), load_run(RATE), capacity_run()):
        record(scene, run)
    scene.end()
