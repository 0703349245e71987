"""The audit on the live demo: all well when it is healthy, and the right checks red under each fault.

Faults are switched on several at a time, since each audit takes seconds. What each breaks is seen all the same: no
two in a batch break the same check, the whole batch must fail exactly what its faults break, and on the second
database the batches are others.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

from checks.model import Area, Verdict
from checks.registry import catalogue
from checks.runner import RunSummary
from console.demo.faults import FAULTS, Fault
from console.demo.launch import DemoProcess
from tests.faults.matrix import database, ids, run_checks, told
from tests.postgres import PROGRAMS

CATALOGUE = catalogue((Area.AUDIT,))
CHECKS = {check.id for check in CATALOGUE}
IN_A_BATCH, AT_A_TIME = 12, 3
MOST_REQUESTS, WITHIN_S = 300, 60.0


def possible(fault: Fault, backend: str) -> bool:
    """Whether the fault breaks something of the audit, and can be switched on here."""
    is_here = fault.only_on in ("", backend) and not (fault.needs_root and os.getuid() != 0)
    return is_here and bool(CHECKS & set(fault.breaks))


def hidden_by(fault: Fault) -> set[str]:
    """The checks that cannot be judged while the fault is on: what it masks, and what needs one that it breaks."""
    broken, hidden = set(fault.breaks), set(fault.masks)
    for _ in range(3):  # needs of needs of needs are deep enough
        hidden |= {check.id for check in CATALOGUE if (broken | hidden) & set(check.needs)}
    return hidden


def go_together(one: Fault, other: Fault) -> bool:
    """Whether each still breaks its own checks, and nobody else's, while the other one is on."""
    if one.is_alone or other.is_alone:
        return False
    broken, others = set(one.breaks), set(other.breaks)
    return not (broken & others or broken & hidden_by(other) or others & hidden_by(one))


def batches(faults: Iterable[Fault]) -> list[tuple[Fault, ...]]:
    """Groups of faults that can be switched on together: none breaks what another one does."""
    found: list[list[Fault]] = []
    for fault in faults:
        for batch in found:
            if len(batch) < IN_A_BATCH and all(go_together(fault, other) for other in batch):
                batch.append(fault)
                break
        else:
            found.append([fault])
    return [tuple(batch) for batch in found]


def on(backend: str) -> list[tuple[Fault, ...]]:
    """The batches for one database; none of them is a batch of the other one."""
    faults = [fault for fault in FAULTS if possible(fault, backend)]
    return batches(faults if backend == "sqlite" else [*faults[::2], *reversed(faults[1::2])])


def audited(base: Path, batch: Sequence[Fault], backend: str) -> RunSummary:
    """One audit of a demo with TLS and these faults; in a process of its own, so that none slows another's clock."""
    names, servers = [fault.name for fault in batch], [fault.server for fault in batch]
    with (
        database(is_postgres=backend == "postgresql", servers=servers) as url,
        DemoProcess.start(port=0, faults=names, tls=True, database=url) as demo,
    ):
        return asyncio.run(run_checks(base, demo))


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def backend(request: pytest.FixtureRequest) -> str:
    """The database that the demo keeps its messages in."""
    name = str(request.param)
    if name == "postgresql" and not PROGRAMS:
        pytest.skip("needs PostgreSQL's initdb and postgres")
    return name


@pytest.fixture(scope="module")
def audits(backend: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, RunSummary]:
    """The healthy audit, and one of each batch by the names of its faults."""
    base = tmp_path_factory.mktemp(backend)
    # The slow ones stand at the end of the list: begun first, they do not keep all others waiting.
    every = reversed(((), *on(backend)))
    with ProcessPoolExecutor(AT_A_TIME, mp_context=get_context("spawn")) as pool:
        runs = {
            " ".join(fault.name for fault in batch): pool.submit(audited, base / str(place), batch, backend)
            for place, batch in enumerate(every)
        }
        return {names: run.result() for names, run in runs.items()}


@pytest.mark.timeout(400)
def test_a_healthy_target_passes_every_check_or_the_check_does_not_apply(
    audits: dict[str, RunSummary],
) -> None:
    summary = audits[""]
    good = ids(summary, Verdict.PASS) | ids(summary, Verdict.NA)
    assert good == CHECKS, told([one for one in summary.results if one.id not in good])
    assert sum(one.duration_s for one in summary.results) < WITHIN_S
    assert 0 < summary.requests <= MOST_REQUESTS


@pytest.mark.timeout(400)
def test_each_fault_turns_what_it_breaks_red_and_nothing_else(
    audits: dict[str, RunSummary], backend: str
) -> None:
    wrong = []
    for batch in on(backend):
        names = " ".join(fault.name for fault in batch)
        expected = CHECKS & {check for fault in batch for check in fault.breaks}
        failed = ids(audits[names], Verdict.FAIL)
        if failed != expected:
            odd = [one for one in audits[names].results if one.id in failed ^ expected]
            wrong.append(f"{names}: {told(odd)}")
    assert not wrong, "\n".join(wrong)


def test_every_check_of_the_audit_has_a_fault_that_breaks_it() -> None:
    assert CHECKS - {check for fault in FAULTS for check in fault.breaks} == set()
