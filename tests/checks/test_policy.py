"""The decision follows from the evidence alone: no evidence, no pass, and nobody can go above the ceiling."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import pytest

from checks.fold import age, interruptions, last_decision, leftovers
from checks.model import Area, Ceiling, Entry, Kind, Result, Severity, Verdict
from checks.registry import Check
from checks.signoff.policy import Policy, allows, decide, shipped_policy
from tests.checks.builders import NOON, result, walkthrough

ONLY_WALKTHROUGH = Policy((Area.WALKTHROUGH,), shipped_policy().max_age, "")


def entry(seq: int, kind: Kind, subject: str, at: datetime = NOON, **body: object) -> Entry:
    """One entry as the fold reads it."""
    return Entry(seq, at, kind, subject, "lead@host", body, "", "")


def recorded(results: Sequence[Result]) -> list[Entry]:
    """The entries of `results`."""
    return [
        Entry(seq, found.started_at, Kind.RESULT, found.id, "lead@host", found.document(), "", "")
        for seq, found in enumerate(results, 1)
    ]


def all_passed(**verdicts: Verdict) -> list[Result]:
    """A pass for each check of the walkthrough, but for those named as `WALK_04=...`."""
    return [
        result(check.id, verdicts.get(check.id.replace("-", "_"), Verdict.PASS), severity=check.severity)
        for check in walkthrough()
    ]


def of(severity: Severity) -> Check:
    """Some check of that weight."""
    return next(check for check in walkthrough() if check.severity is severity)


def test_without_any_evidence_nothing_is_decidable() -> None:
    judgement = decide([], walkthrough(), shipped_policy(), NOON)
    assert judgement.ceiling is Ceiling.NOT_DECIDABLE
    assert [reason.partition(":")[0] for reason in judgement.reasons] == [area.value for area in Area]


def test_a_whole_walkthrough_alone_is_not_enough() -> None:
    judgement = decide(recorded(all_passed()), walkthrough(), shipped_policy(), NOON)
    assert judgement.ceiling is Ceiling.NOT_DECIDABLE
    assert not any(reason.startswith("walkthrough") for reason in judgement.reasons)


def test_everything_passed_allows_go() -> None:
    judgement = decide(recorded(all_passed()), walkthrough(), ONLY_WALKTHROUGH, NOON)
    assert judgement.ceiling is Ceiling.GO


@pytest.mark.parametrize("severity", [Severity.BLOCKER, Severity.MAJOR])
def test_a_failure_forbids_go_and_is_the_first_reason(severity: Severity) -> None:
    check = of(severity)
    results = all_passed(**{check.id.replace("-", "_"): Verdict.FAIL})
    judgement = decide(recorded(results), walkthrough(), ONLY_WALKTHROUGH, NOON)
    assert judgement.ceiling is Ceiling.NO_GO
    assert judgement.reasons[0].startswith(check.id)


def test_a_failed_blocker_is_a_no_go_even_where_evidence_is_missing() -> None:
    check = of(Severity.BLOCKER)
    judgement = decide(recorded([result(check.id, Verdict.FAIL)]), walkthrough(), shipped_policy(), NOON)
    assert judgement.ceiling is Ceiling.NO_GO


@pytest.mark.parametrize("severity", [Severity.BLOCKER, Severity.MAJOR])
def test_what_could_not_be_judged_is_never_a_pass(severity: Severity) -> None:
    check = of(severity)
    results = all_passed(**{check.id.replace("-", "_"): Verdict.INCONCLUSIVE})
    judgement = decide(recorded(results), walkthrough(), ONLY_WALKTHROUGH, NOON)
    assert judgement.ceiling is Ceiling.NOT_DECIDABLE
    assert judgement.reasons[0].startswith(check.id)


def test_a_pass_grows_stale_and_a_failure_does_not() -> None:
    limit = ONLY_WALKTHROUGH.max_age[Area.WALKTHROUGH]
    passes, failure = recorded(all_passed()), of(Severity.BLOCKER)
    just, over = NOON + limit, NOON + limit + timedelta(seconds=1)
    assert decide(passes, walkthrough(), ONLY_WALKTHROUGH, just).ceiling is Ceiling.GO
    assert decide(passes, walkthrough(), ONLY_WALKTHROUGH, over).ceiling is Ceiling.NOT_DECIDABLE
    failures = recorded(all_passed(**{failure.id.replace("-", "_"): Verdict.FAIL}))
    assert decide(failures, walkthrough(), ONLY_WALKTHROUGH, over + limit).ceiling is Ceiling.NO_GO


def test_the_latest_result_counts() -> None:
    check = of(Severity.BLOCKER)
    entries = recorded([*all_passed(**{check.id.replace("-", "_"): Verdict.FAIL}), result(check.id)])
    assert decide(entries, walkthrough(), ONLY_WALKTHROUGH, NOON).ceiling is Ceiling.GO


@pytest.mark.parametrize(
    ("ceiling", "allowed"),
    [
        (Ceiling.GO, {Ceiling.GO, Ceiling.CONDITIONAL, Ceiling.NO_GO}),
        (Ceiling.CONDITIONAL, {Ceiling.CONDITIONAL, Ceiling.NO_GO}),
        (Ceiling.NOT_DECIDABLE, {Ceiling.NO_GO}),
        (Ceiling.NO_GO, {Ceiling.NO_GO}),
    ],
)
def test_a_person_may_be_stricter_and_never_laxer(ceiling: Ceiling, allowed: set[Ceiling]) -> None:
    assert {wanted for wanted in Ceiling if allows(ceiling, wanted)} == allowed


def test_an_interrupted_run_is_told_until_a_complete_one_follows() -> None:
    entries = [
        entry(1, Kind.RUN_STARTED, "one"),
        entry(2, Kind.RUN_FINISHED, "one", interrupted="SIGTERM"),
        entry(3, Kind.RUN_STARTED, "two"),
    ]
    assert [sentence.split()[-1] for sentence in interruptions(entries)] == ["SIGTERM.", "recorded."]
    entries += [entry(4, Kind.RUN_STARTED, "three"), entry(5, Kind.RUN_FINISHED, "three", interrupted="")]
    assert interruptions(entries) == ()


def test_the_decision_in_force_is_the_last_one() -> None:
    entries = [
        entry(1, Kind.DECISION, "r", decision="NO-GO", ceiling="NO-GO", because="a"),
        entry(2, Kind.DECISION, "r", decision="CONDITIONAL GO", ceiling="GO", because="b"),
    ]
    found = last_decision(entries)
    assert found
    assert (found.decision, found.seq, found.actor) == (Ceiling.CONDITIONAL, 2, "lead@host")
    assert last_decision([]) is None


def test_rows_left_behind_are_told_by_bot() -> None:
    rows = [{"bot_id": "BOT-900000001", "rows": 4}, {"bot_id": "BOT-900000002", "rows": None}]
    found = leftovers([entry(1, Kind.LEFTOVER, "run", bots=rows)])
    assert [(left.bot_id, left.rows) for left in found] == [("BOT-900000001", 4), ("BOT-900000002", None)]


@pytest.mark.parametrize(
    ("seconds", "told"), [(-5, "0 s"), (8, "8 s"), (125, "2 min"), (7260, "2 h 1 min"), (273600, "3 d 4 h")]
)
def test_ages_are_told_in_words(seconds: int, told: str) -> None:
    assert age(NOON, NOON + timedelta(seconds=seconds)) == told


@pytest.mark.parametrize(
    ("verdicts", "ceiling"),
    [
        ([Verdict.FAIL, Verdict.INCONCLUSIVE], Ceiling.NO_GO),
        ([Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.INCONCLUSIVE], Ceiling.NO_GO),
        ([Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE], Ceiling.NO_GO),
        ([Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS], Ceiling.GO),
        ([Verdict.FAIL, Verdict.PASS, Verdict.INCONCLUSIVE], Ceiling.NOT_DECIDABLE),
        ([Verdict.INCONCLUSIVE, Verdict.FAIL], Ceiling.NO_GO),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_only_a_pass_heals_a_failure(verdicts: list[Verdict], ceiling: Ceiling) -> None:
    check = of(Severity.BLOCKER)
    others = [found for found in all_passed() if found.id != check.id]
    judged = [result(check.id, verdict, run=f"run-{place}") for place, verdict in enumerate(verdicts)]
    assert decide(recorded([*others, *judged]), walkthrough(), ONLY_WALKTHROUGH, NOON).ceiling is ceiling
