"""The checks of monitoring: let through as the demo is watched, and each red where it is watched carelessly."""

from __future__ import annotations

from pathlib import Path

import pytest

from checks.model import Area, Reason, Verdict
from checks.registry import catalogue
from console.demo.faults.watched import FAULTS
from console.demo.launch import DemoProcess
from tests.faults.matrix import ids, run_checks, told

BY_PEOPLE = {"MON-06", "MON-07"}
"""They want a drill, which a person answers: `tests/checks/monitoring/test_judging.py`."""
BY_LOAD = {"MON-08"}
"""It wants a recorded load run: the same."""


async def test_the_healthy_demo_is_watched_well(tmp_path: Path) -> None:
    with DemoProcess.start(port=0, tls=True) as demo:
        summary = await run_checks(tmp_path, demo, area=Area.MONITORING)
    every = {check.id for check in catalogue((Area.MONITORING,))}
    assert ids(summary, Verdict.PASS) == every - BY_PEOPLE - BY_LOAD, told(summary.results)
    open_ones = [one for one in summary.results if one.verdict is Verdict.INCONCLUSIVE]
    assert {one.id for one in open_ones} == BY_PEOPLE | BY_LOAD
    assert {one.reason for one in open_ones} == {Reason.NO_SOURCE}


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_each_carelessness_turns_its_check_red(tmp_path: Path, fault: object) -> None:
    assert isinstance(fault, type(FAULTS[0]))
    with DemoProcess.start(port=0, faults=[fault.name], tls=True) as demo:
        summary = await run_checks(tmp_path, demo, area=Area.MONITORING)
    assert ids(summary, Verdict.FAIL) == set(fault.breaks), told(summary.results)


def test_every_check_has_a_fault_or_needs_people_or_load() -> None:
    broken = {check for fault in FAULTS for check in fault.breaks}
    assert {check.id for check in catalogue((Area.MONITORING,))} - broken <= BY_PEOPLE | BY_LOAD


async def test_a_demo_without_metrics_is_watched_by_probes_and_says_so(tmp_path: Path) -> None:
    with DemoProcess.start(port=0, tls=True, faults=["metrics-down"]) as demo:
        summary = await run_checks(tmp_path, demo, checks=("MON-01", "MON-02"))
    assert ids(summary, Verdict.PASS) == set(), told(summary.results)
    assert ids(summary, Verdict.INCONCLUSIVE) == {"MON-01", "MON-02"}
