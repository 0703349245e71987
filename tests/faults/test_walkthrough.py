"""The walkthrough on the live demo: all green when it is healthy, and the right step red under each fault."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from checks.model import Area, Verdict
from checks.registry import catalogue
from checks.runner import RunSummary
from console.demo.faults import FAULTS, Fault
from console.demo.launch import DemoProcess
from tests.faults.matrix import ids, run_checks, told

STEPS = {check.id for check in catalogue((Area.WALKTHROUGH,))}
BROKEN = tuple(fault for fault in FAULTS if STEPS & set(fault.breaks))
AT_A_TIME = 3
"""A walkthrough mostly waits; more of them at once would be what is measured."""


async def test_a_healthy_target_passes_every_step_every_time(tmp_path: Path) -> None:
    with DemoProcess.start(port=0) as demo:
        for _ in range(3):
            summary = await run_checks(tmp_path, demo, area=Area.WALKTHROUGH)
            assert ids(summary, Verdict.PASS) == STEPS, told(summary.results)


@pytest.fixture(scope="module")
def walked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[RunSummary, int | None]]:
    """Fault -> the walkthrough under it, and the exit code of the target, None while it runs."""
    base = tmp_path_factory.mktemp("walked")
    found: dict[str, tuple[RunSummary, int | None]] = {}

    async def one(fault: Fault, turn: asyncio.Semaphore) -> None:
        async with turn:
            demo = await asyncio.to_thread(DemoProcess.start, port=0, faults=[fault.name])
            try:
                summary = await run_checks(base / fault.name, demo, area=Area.WALKTHROUGH)
                found[fault.name] = summary, demo.exit_code
            finally:
                await asyncio.to_thread(demo.stop)

    async def all_of_them() -> None:
        turn = asyncio.Semaphore(AT_A_TIME)
        await asyncio.gather(*(one(fault, turn) for fault in BROKEN))

    asyncio.run(all_of_them())
    return found


@pytest.mark.timeout(300)
@pytest.mark.parametrize("fault", BROKEN, ids=lambda fault: fault.name)
def test_each_fault_turns_the_step_that_it_breaks_red_and_no_other(
    fault: Fault, walked: dict[str, tuple[RunSummary, int | None]]
) -> None:
    summary, exit_code = walked[fault.name]
    assert exit_code is None, "the review ended the target"
    assert ids(summary, Verdict.FAIL) == STEPS & set(fault.breaks), told(summary.results)


def test_every_step_of_the_walkthrough_has_a_fault_that_breaks_it() -> None:
    assert {check_id for fault in FAULTS for check_id in fault.breaks} >= STEPS
