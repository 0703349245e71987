"""A run judges every check, records before it announces, and ends cleanly however it is ended."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from checks.context import Context
from checks.events import CheckFinished, CheckStarted, Choice, Event, Gate, Go, open_gate
from checks.journal import Journal
from checks.model import (
    Area,
    Entry,
    Evidence,
    Kind,
    Outcome,
    Reason,
    Result,
    ReviewError,
    Safety,
    Severity,
    Verdict,
    failed,
    inconclusive,
    passed,
    utc_now,
)
from checks.profile.read import target_for_url
from checks.registry import Check
from checks.runner import Run, RunSummary
from tests.checks.builders import evidence, open_journal

SECRET = "canary-password"
Function = Callable[[Context], Awaitable[Outcome]]


def step(id: str, function: Function, *, needs: tuple[str, ...] = ()) -> Check:  # noqa: A002
    """A check that is no part of the register."""
    return Check(
        id, f"Step {id}", Area.WALKTHROUGH, Severity.BLOCKER, Safety.ACTIVE, "", "", "", needs, (), function
    )


def answering(outcome: Outcome) -> Function:
    """A check function with a fixed answer."""

    async def function(_: Context) -> Outcome:
        return outcome

    return function


async def hanging(_: Context) -> Outcome:
    """Never ends by itself."""
    await asyncio.Event().wait()
    raise AssertionError


async def broken(_: Context) -> Outcome:
    """A check with a fault of its own."""
    raise KeyError("secret-looking detail")


class Bench:
    """A journal, what was announced, and a run over some checks."""

    def __init__(self, folder: Path, checks: Sequence[Check], gate: Gate = open_gate) -> None:
        self.journal: Journal = open_journal(folder / "journal.db")
        self.events: list[Event] = []
        self.started = {check.id: asyncio.Event() for check in checks}
        self.run = Run(
            id="run-1",
            nonce="0123456789ab",
            target=target_for_url("http://127.0.0.1:1", {}),
            checks=checks,
            append=self.journal.append,
            announce=self.announce,
            gate=gate,
            clock=utc_now,
            guard_file=folder / "guard-run-1.json",
        )

    def announce(self, event: Event) -> None:
        """Remember an event; a finished check must be in the journal by then."""
        if isinstance(event, CheckFinished):
            last = self.journal.entries(kinds=(Kind.RESULT,))[-1]
            assert Result.from_document(last.body) == event.result
        if isinstance(event, CheckStarted):
            self.started[event.id].set()
        self.events.append(event)

    async def go(self) -> RunSummary:
        """Run to the end and close the journal."""
        try:
            return await self.run.go()
        finally:
            self.journal.close()


async def test_each_check_is_judged_in_order_and_recorded_with_its_evidence(tmp_path: Path) -> None:
    seen = evidence()
    bench = Bench(
        tmp_path,
        [
            step("A", answering(passed("fine", evidence=[seen]))),
            step("B", answering(failed("bad", observed="1", expected="2"))),
            step("C", answering(inconclusive(Reason.NO_SOURCE, "unknown"))),
        ],
    )
    summary = await bench.go()
    assert [(result.id, result.verdict) for result in summary.results] == [
        ("A", Verdict.PASS),
        ("B", Verdict.FAIL),
        ("C", Verdict.INCONCLUSIVE),
    ]
    journal = open_journal(tmp_path / "journal.db")
    assert [entry.body["id"] for entry in journal.entries()] == ["A", "B", "C"]
    assert journal.evidence([seen.id]) == {seen.id: seen}
    journal.close()


async def test_a_check_that_breaks_is_inconclusive_and_the_run_goes_on(tmp_path: Path) -> None:
    summary = await Bench(tmp_path, [step("A", broken), step("B", answering(passed("fine")))]).go()
    first, second = summary.results
    assert (first.verdict, first.reason) == (Verdict.INCONCLUSIVE, Reason.CHECK_ERROR)
    assert "KeyError at test_runner.py" in first.summary
    assert "secret-looking" not in first.summary
    assert second.verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("needed", "is_blocked"),
    [
        (passed("fine"), False),
        (failed("bad"), True),
        (inconclusive(Reason.TIMEOUT, "late"), True),
        (inconclusive(Reason.NO_RIGHT, "the process cannot be seen from here"), False),
        (inconclusive(Reason.NO_SOURCE, "no database"), False),
    ],
)
async def test_a_check_without_what_it_needs_is_blocked_never_passed(
    tmp_path: Path, needed: Outcome, is_blocked: bool
) -> None:
    checks = [step("A", answering(needed)), step("B", answering(passed("fine")), needs=("A",))]
    summary = await Bench(tmp_path, checks).go()
    last = summary.results[-1]
    assert (last.reason is Reason.BLOCKED) is is_blocked
    assert (last.verdict is Verdict.PASS) is not is_blocked


async def test_stop_makes_the_running_check_inconclusive_and_runs_no_other(tmp_path: Path) -> None:
    bench = Bench(
        tmp_path,
        [step("A", answering(passed("fine"))), step("B", hanging), step("C", answering(passed("fine")))],
    )
    going = asyncio.create_task(bench.go())
    await asyncio.wait_for(bench.started["B"].wait(), 5)
    bench.run.stop("stopped by the lead")
    summary = await asyncio.wait_for(going, 5)
    assert summary.interrupted == "stopped by the lead"
    assert [(result.id, result.reason) for result in summary.results] == [
        ("A", Reason.MET),
        ("B", Reason.INTERRUPTED),
    ]


async def test_stop_before_the_start_runs_nothing(tmp_path: Path) -> None:
    bench = Bench(tmp_path, [step("A", hanging)])
    bench.run.stop("SIGTERM", is_urgent=True)
    summary = await asyncio.wait_for(bench.go(), 5)
    assert (summary.results, summary.interrupted) == ((), "SIGTERM")


async def test_a_cancelled_run_still_records_what_was_interrupted(tmp_path: Path) -> None:
    bench = Bench(tmp_path, [step("A", hanging)])
    going = asyncio.create_task(bench.go())
    await asyncio.wait_for(bench.started["A"].wait(), 5)
    going.cancel()
    summary = await asyncio.wait_for(going, 5)
    assert summary.results[0].reason is Reason.INTERRUPTED


class Script:
    """A gate that answers from a list and remembers what it was asked."""

    def __init__(self, *answers: Go) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[str, Verdict | None]] = []

    async def __call__(self, check: Check, result: Result | None) -> Go:
        """The next answer."""
        self.asked.append((check.id, result.verdict if result else None))
        return self.answers.pop(0)


async def test_stepwise_waits_before_each_check_and_after_each_that_did_not_pass(tmp_path: Path) -> None:
    outcomes = [failed("bad"), passed("fine")]

    async def better(_: Context) -> Outcome:
        return outcomes.pop(0)

    script = Script(Go(Choice.GO), Go(Choice.RETRY), Go(Choice.SKIP, "no bot here"), Go(Choice.STOP))
    bench = Bench(tmp_path, [step("A", better), step("B", hanging), step("C", hanging)], script)
    summary = await asyncio.wait_for(bench.go(), 5)
    assert script.asked == [("A", None), ("A", Verdict.FAIL), ("B", None), ("C", None)]
    first, second = summary.results
    assert (first.verdict, first.attempt) == (Verdict.PASS, 2)
    assert (second.reason, second.summary) == (Reason.SKIPPED, "Skipped by the lead: no bot here")
    assert summary.interrupted == "stopped by the lead"
    journal = open_journal(tmp_path / "journal.db")
    assert [(e.subject, e.body["attempt"]) for e in journal.entries()] == [("A", 1), ("A", 2), ("B", 1)]
    journal.close()


async def test_a_failed_step_can_be_skipped_with_a_reason(tmp_path: Path) -> None:
    script = Script(Go(Choice.GO), Go(Choice.SKIP, "known and accepted"))
    bench = Bench(tmp_path, [step("A", answering(failed("bad")))], script)
    summary = await asyncio.wait_for(bench.go(), 5)
    assert summary.results[0].reason is Reason.SKIPPED
    journal = open_journal(tmp_path / "journal.db")
    assert [entry.body["verdict"] for entry in journal.entries()] == ["FAIL", "INCONCLUSIVE"]
    journal.close()


async def test_a_journal_that_cannot_be_written_ends_the_run_with_its_sentence(tmp_path: Path) -> None:
    bench = Bench(tmp_path, [step("A", answering(passed("fine"))), step("B", answering(passed("fine")))])

    def full(kind: Kind, subject: str, body: Mapping[str, Any], evidence: Sequence[Evidence] = ()) -> Entry:
        raise ReviewError("the disk is full")

    bench.run.append = full
    with pytest.raises(ReviewError, match="the disk is full"):
        await bench.go()
    assert not any(isinstance(event, CheckFinished) for event in bench.events)


async def test_no_sentence_of_a_check_carries_a_secret_into_the_record(tmp_path: Path) -> None:
    told = f"it said {SECRET} and %63anary and Bearer abcdef.ghijkl"
    seen = evidence(title=told, body=told)
    outcome = failed(told, observed=told, expected=told, evidence=[seen])
    bench = Bench(tmp_path, [step("A", answering(outcome))])
    bench.run.target = target_for_url("http://127.0.0.1:1", {"GONOGO_PASSWORD": SECRET})
    (result,) = (await bench.go()).results
    assert "***" in result.summary
    written = await asyncio.to_thread(lambda: [file.read_bytes() for file in tmp_path.iterdir()])
    assert not any(SECRET.encode() in raw or b"abcdef.ghijkl" in raw for raw in written)
    journal = open_journal(tmp_path / "journal.db")
    assert journal.evidence(result.evidence).keys() == set(result.evidence)
    journal.close()
