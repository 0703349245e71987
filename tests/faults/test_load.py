"""Load on the live demo: all scenarios pass when it is healthy, each fault is found by the criterion it breaks."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future, ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from checks.fold import Snapshot
from checks.model import Area, Verdict
from checks.registry import catalogue
from checks.runner import RunSummary
from console.demo.faults import FAULTS
from console.demo.launch import DemoProcess
from tests.faults.loads import load_of, run_load
from tests.faults.matrix import ids, told

CHECKS = tuple(check.id for check in catalogue((Area.LOAD,)))
AT_A_TIME = 3
"""Each of them loads a demo: more at once would be what is measured."""
USERS, RATE, CAPACITY, SOAK = "LOAD-01", "LOAD-03", "LOAD-04", "LOAD-05"
NAMES = {
    USERS: "users-10",
    "LOAD-02": "users-100",
    RATE: "rate-1000",
    CAPACITY: "capacity",
    SOAK: "soak",
}
CASES = {
    "healthy": (USERS, "LOAD-02", RATE),
    "healthy, too": (CAPACITY, SOAK),
    "stall": (RATE,),
    "slow-database": ("LOAD-02", RATE, CAPACITY),
    "pool-of-one": (USERS,),
    "leak": (SOAK,),
    "every-50th-lost": (USERS, RATE, CAPACITY),
    "every-50th-doubled": (USERS,),
    "every-50th-swapped": (USERS,),
    "every-50th-failed": (USERS,),
    "limiter-too-low": (USERS, RATE),
}
"""Fault, or that there is none -> the checks that are run."""
FOUND_BY = {
    "stall": ("p95", "stands still"),
    "slow-database": ("p95", "95 % of the replies took"),
    "pool-of-one": ("pool", "connections of the database pool"),
    "leak": ("leak", "an hour"),
    "every-50th-lost": ("lost", "messages were lost"),
    "every-50th-doubled": ("doubled", "twice"),
    "every-50th-swapped": ("swapped", "crossed over"),
    "every-50th-failed": ("errors", "messages failed"),
}
"""Fault -> the criterion that it breaks, and words of its sentence."""


def loaded(base: Path, fault: str) -> tuple[RunSummary, Snapshot]:
    """The load runs under one fault, in a process of their own."""
    faults = [] if fault.startswith("healthy") else [fault]
    with DemoProcess.start(port=0, faults=faults, tls=True) as demo:
        return asyncio.run(run_load(demo, base / fault, CASES[fault]))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Future[tuple[RunSummary, Snapshot]]]:
    """Fault -> its runs; the longest are begun first."""
    base = tmp_path_factory.mktemp("load")
    with ProcessPoolExecutor(AT_A_TIME, mp_context=get_context("spawn")) as pool:
        order = sorted(CASES, key=lambda fault: -len(CASES[fault]))
        found = {fault: pool.submit(loaded, base, fault) for fault in order}
        for run in found.values():
            run.exception()
    return found


Runs = dict[str, Future[tuple[RunSummary, Snapshot]]]


@pytest.mark.timeout(400)
def test_every_scenario_passes_on_a_healthy_target(runs: Runs) -> None:
    passed = set()
    for name in ("healthy", "healthy, too"):
        summary, snapshot = runs[name].result()
        assert ids(summary, Verdict.PASS) == set(CASES[name]), told(summary.results)
        passed |= set(CASES[name])
    assert passed == set(CHECKS)
    capacity = load_of(snapshot, "capacity").capacity
    assert capacity is not None
    assert capacity.safe_per_s == 45
    load = load_of(runs["healthy"].result()[1], "users-10")
    assert load.accounting.stored == load.accounting.in_history == load.sent == load.ok > 0
    assert load.peak.memory_bytes
    assert load.peak.cpu_percent
    assert load.peak.processes == 1 + load.scenario.bots


@pytest.mark.timeout(400)
@pytest.mark.parametrize("fault", FOUND_BY)
def test_each_fault_is_found_by_the_criterion_that_it_breaks(fault: str, runs: Runs) -> None:
    summary, snapshot = runs[fault].result()
    assert ids(summary, Verdict.FAIL) == set(CASES[fault]), told(summary.results)
    broken = next(entry for entry in FAULTS if entry.name == fault)
    assert set(CASES[fault]) <= set(broken.breaks)
    criterion, words = FOUND_BY[fault]
    for check in CASES[fault]:
        if check == CAPACITY:
            continue
        load = load_of(snapshot, NAMES[check])
        sentences = {one.name: one.sentence for one in load.criteria if one.verdict is Verdict.FAIL}
        assert words in sentences.get(criterion, ""), sentences


@pytest.mark.timeout(400)
def test_where_the_limiter_acts_nothing_is_said_of_the_target(runs: Runs) -> None:
    summary, snapshot = runs["limiter-too-low"].result()
    assert ids(summary, Verdict.INCONCLUSIVE) == {USERS, RATE}, told(summary.results)
    for name in (NAMES[USERS], NAMES[RATE]):
        judged = {one.name: one for one in load_of(snapshot, name).criteria}
        assert judged["limiter"].verdict is Verdict.INCONCLUSIVE
        assert "the rate limiter is what was measured" in judged["limiter"].sentence
        assert judged["p95"].verdict is not Verdict.PASS


@pytest.mark.timeout(400)
def test_a_capacity_below_the_peak_is_a_failure_with_its_figure(runs: Runs) -> None:
    summary, snapshot = runs["slow-database"].result()
    capacity = load_of(snapshot, "capacity").capacity
    assert capacity is not None
    assert capacity.safe_per_s is not None
    assert 9 <= capacity.safe_per_s <= 12.5, "two commits of 40 ms a message: 12.5 a second"
    assert next(one for one in summary.results if one.id == CAPACITY).verdict is Verdict.FAIL


def test_every_load_check_has_a_fault_that_breaks_it() -> None:
    assert set(CHECKS) - {check for fault in FAULTS for check in fault.breaks} == set()
