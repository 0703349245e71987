"""The walkthrough on the live demo: all green when it is healthy, and the right step red under each fault."""

from __future__ import annotations

from pathlib import Path

import pytest

from checks.model import Area, Verdict
from checks.profile.read import load_target
from checks.registry import catalogue
from checks.review import Review
from checks.runner import RunSummary
from console.demo.faults import FAULTS, Fault
from console.demo.launch import DemoProcess


async def walked(base: Path, demo: DemoProcess) -> RunSummary:
    """One walkthrough of `demo`, recorded below `base`."""
    review = Review.open(load_target(demo.profile), base=base)
    try:
        return await review.run((Area.WALKTHROUGH,))
    finally:
        review.close()


def verdicts(summary: RunSummary, verdict: Verdict) -> set[str]:
    """The ids of the checks with that verdict."""
    return {result.id for result in summary.results if result.verdict is verdict}


async def test_a_healthy_target_passes_every_step_every_time(tmp_path: Path) -> None:
    expected = {check.id for check in catalogue((Area.WALKTHROUGH,))}
    with DemoProcess.start(port=0) as demo:
        for _ in range(3):
            summary = await walked(tmp_path, demo)
            told = [f"{result.id} {result.summary}" for result in summary.results]
            assert verdicts(summary, Verdict.PASS) == expected, told


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
async def test_each_fault_turns_the_step_that_it_breaks_red_and_no_other(
    fault: Fault, tmp_path: Path
) -> None:
    with DemoProcess.start(port=0, faults=[fault.name]) as demo:
        summary = await walked(tmp_path, demo)
        assert demo.exit_code is None, "the review ended the target"
    told = [f"{result.id} {result.verdict} {result.summary}" for result in summary.results]
    assert verdicts(summary, Verdict.FAIL) == set(fault.breaks), told


def test_every_step_of_the_walkthrough_has_a_fault_that_breaks_it() -> None:
    broken = {check_id for fault in FAULTS for check_id in fault.breaks}
    assert {check.id for check in catalogue((Area.WALKTHROUGH,))} <= broken
