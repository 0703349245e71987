"""The self-test: a check that lets its bad case through is told, recorded, and believed no longer."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from checks.fold import check_states
from checks.journal import Journal
from checks.model import Area, Kind, State, Verdict
from checks.registry import catalogue
from checks.signoff.policy import shipped_policy
from console.demo.faults import FAULTS, Fault
from console.selftest import HEALTHY, Proof, Trial, chosen, proofs, try_all, why_not_here
from tests.checks.builders import NOON, result

PAGE = next(fault for fault in FAULTS if fault.name == "page-missing")
LETS_THROUGH = Fault("page-missing", "breaks WALK-02 in truth", ("WALK-01",))


async def test_a_bad_case_that_is_let_through_is_found_on_real_demos() -> None:
    trials: list[Trial] = []
    among = [*PAGE.breaks, *LETS_THROUGH.breaks]
    await try_all([PAGE, LETS_THROUGH], among=among, database="", jobs=2, tell=trials.append)
    found = proofs(trials)
    assert found["WALK-02"] == Proof(flagged=["page-missing"])
    assert found["WALK-02"].word == "proved"
    assert found["WALK-01"].word == "UNTRUSTED"
    assert (
        found["WALK-01"]
        .doubts[0]
        .startswith("the self-test put the fault page-missing before it, and it said PASS: It answered")
    )


def test_a_good_case_that_is_refused_is_a_doubt_too() -> None:
    found = proofs(
        [Trial(HEALTHY, ("JWT-01",), {"JWT-01": "FAIL: it is weak"}), Trial("weak", ("JWT-01",), {})]
    )
    assert found["JWT-01"].word == "UNTRUSTED"
    assert found["JWT-01"].doubts == [
        "the self-test put the healthy case before it, and it said FAIL: it is weak"
    ]


def test_what_could_not_be_tried_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "getuid", lambda: 1000)
    assert why_not_here(Fault("a", "", (), needs_root=True), "") == "only root can switch it on"
    assert "--database" in why_not_here(Fault("a", "", (), only_on="postgresql"), "")
    assert why_not_here(Fault("a", "", (), only_on="postgresql"), "postgresql://x/y") == ""
    proof = proofs([Trial("a", ("HOST-01",), {}, "only root can switch it on")])["HOST-01"]
    assert (proof.word, proof.untried) == ("unproved", ["a (only root can switch it on)"])


def test_one_check_or_one_fault_can_be_put_to_the_test() -> None:
    assert chosen(["page-missing"], []) == [PAGE]
    assert {fault.name for fault in chosen([], ["WALK-02"])} >= {"page-missing", "part-missing"}
    assert len(chosen([], [])) == len(FAULTS)


@pytest.mark.parametrize(("doubt", "state"), [("", State.PASS), ("it let one through", State.INCONCLUSIVE)])
def test_the_pass_of_an_untrusted_check_does_not_count(tmp_path: Path, doubt: str, state: State) -> None:
    journal = Journal.open(tmp_path / "journal.db", review="r", actor="lead@host", clock=lambda: NOON)
    journal.append(Kind.RESULT, "WALK-01", result("WALK-01", Verdict.PASS).document())
    journal.append(Kind.RESULT, "WALK-02", result("WALK-02", Verdict.FAIL).document())
    for name in ("WALK-01", "WALK-02"):
        journal.append(Kind.SELF_TEST, name, {"doubt": doubt})
    checks, policy = catalogue((Area.WALKTHROUGH,)), shipped_policy()
    states = {one.id: one for one in check_states(journal.latest(), checks, policy.max_age, NOON)}
    journal.close()
    assert (states["WALK-01"].state, states["WALK-01"].doubt) == (state, doubt)
    assert states["WALK-02"].state is State.FAIL, "a failure stays one, whoever found it"
