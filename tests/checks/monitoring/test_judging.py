"""What wants people or a load run: drills, ladders and replays, judged from what the journals have."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from checks.load.model import LoadRun, Second
from checks.load.records import document
from checks.model import Kind, Reason, Result, Verdict, utc_now
from checks.monitoring.board import Drill
from checks.monitoring.judging.common import Wanted
from checks.monitoring.judging.common import judged as judged_limits
from checks.monitoring.judging.gathering import Gathered, Past
from checks.monitoring.model import Comparison, Reading, Threshold
from checks.monitoring.record import Record, open_journal
from checks.monitoring.rule_test import try_rules
from checks.monitoring.thresholds.shipped import shipped
from checks.profile.read import load_target
from checks.review import Review
from checks.text import clean
from console.demo.launch import DemoProcess
from tests.checks.reports.loads import load_run, second


@pytest.fixture(scope="module")
def demo() -> Iterator[DemoProcess]:
    """One healthy demo for all of them."""
    with DemoProcess.start(port=0, tls=True) as running:
        yield running


def drill(**more: object) -> Drill:
    """A drill that went well, of now."""
    began = utc_now() - timedelta(minutes=3)

    def after(seconds: float) -> datetime:
        return began + timedelta(seconds=seconds)

    found = Drill(
        "d1", "error-rate", "on-call", began, after(10), after(12), after(70), after(75), clean("ada@ops")
    )
    return replace(found, **more)  # type: ignore[arg-type]


async def judged(
    demo: DemoProcess,
    base: Path,
    check: str,
    drills: Sequence[Drill] = (),
    loads: Sequence[tuple[LoadRun, Sequence[Second]]] = (),
) -> Result:
    """What one check says where the journals have these drills and load runs."""
    review = Review.open(load_target(demo.profile), base=base)
    try:
        if drills:
            record = Record(open_journal(review.folder, actor="ada@ops", clock=utc_now))
            for one in drills:
                record.drill(one)
            record.close()
        for run, seconds in loads:
            for each in seconds:
                review._journal.append(Kind.LOAD_SECOND, run.id, document(each))
            review._journal.append(Kind.LOAD_RUN, run.scenario.name, document(run))
        summary = await review.run(checks=(check,))
    finally:
        review.close()
    return next(result for result in summary.results if result.id == check)


async def test_a_drill_that_came_back_passes_with_its_times(demo: DemoProcess, tmp_path: Path) -> None:
    result = await judged(demo, tmp_path, "MON-06", [drill()])
    assert result.verdict is Verdict.PASS
    assert "noticed after 70 s by ada@ops" in result.summary


@pytest.mark.parametrize(
    ("drills", "verdict", "told"),
    [
        ((), Verdict.INCONCLUSIVE, "No drill has been made"),
        ((drill(rung=1),), Verdict.INCONCLUSIVE, "No drill has been made"),
        ((drill(answered_at=None, resolved_at=None),), Verdict.INCONCLUSIVE, "is not over"),
        ((drill(resolved_at=None),), Verdict.INCONCLUSIVE, "is not over"),
        ((drill(problem=clean("nobody typed the code back")),), Verdict.FAIL, "nobody typed the code back"),
        ((drill(answered_at=utc_now() + timedelta(minutes=5)),), Verdict.FAIL, "was answered after 4"),
        ((drill(), drill(id="d2", problem=clean("three wrong codes"))), Verdict.FAIL, "three wrong codes"),
    ],
    ids=["none", "of another rung", "unanswered", "end untold", "failed", "late", "the newest counts"],
)
async def test_a_drill_that_shows_nothing_never_passes(
    demo: DemoProcess, tmp_path: Path, drills: Sequence[Drill], verdict: Verdict, told: str
) -> None:
    result = await judged(demo, tmp_path, "MON-06", drills)
    assert (result.verdict, told in result.summary) == (verdict, True), result.summary


async def test_the_second_level_wants_a_drill_of_its_own(demo: DemoProcess, tmp_path: Path) -> None:
    result = await judged(demo, tmp_path / "a", "MON-07", [drill()])
    assert (result.verdict, result.reason) == (Verdict.INCONCLUSIVE, Reason.NO_SOURCE)
    result = await judged(demo, tmp_path / "b", "MON-07", [drill(rung=1, contact="lead")])
    assert result.verdict is Verdict.PASS
    assert "reached lead" in result.summary


async def test_a_second_level_that_was_told_too_late_fails(demo: DemoProcess, tmp_path: Path) -> None:
    one = drill(rung=1, contact="lead")
    assert one.fired_at is not None
    late = replace(
        one,
        told_at=one.fired_at + timedelta(seconds=400),
        answered_at=one.fired_at + timedelta(seconds=420),
        resolved_at=one.fired_at + timedelta(seconds=430),
    )
    result = await judged(demo, tmp_path, "MON-07", [late])
    assert result.verdict is Verdict.FAIL
    assert "was told 400 s after the alert, 120 s was declared" in result.summary


def gathered_of(*thresholds: Threshold, reading: Reading) -> Gathered:
    """What the checks rest on, where every threshold has this reading."""
    readings = {one.name: reading for one in thresholds}
    return Gathered(thresholds, {}, (readings,), try_rules(thresholds, 5.0), Past())


LIVE = Reading(0.0, 100.0, 0.0, clean("/metrics"))
ERRORS = shipped()["error-rate"]


@pytest.mark.parametrize(
    ("threshold", "reading", "verdict", "told"),
    [
        (ERRORS, LIVE, Verdict.PASS, "Watched, tested and live"),
        (
            ERRORS,
            replace(LIVE, applies=False, value=None),
            Verdict.INCONCLUSIVE,
            "Nothing of it can be seen here",
        ),
        (ERRORS, Reading(None), Verdict.INCONCLUSIVE, "has no value"),
        (ERRORS, replace(LIVE, events=0.0), Verdict.INCONCLUSIVE, "rests on no request"),
        (replace(ERRORS, limit=1.5), LIVE, Verdict.FAIL, "at 1.5 % only"),
        (replace(ERRORS, for_s=301.0), LIVE, Verdict.FAIL, "after 301 s only"),
        (replace(ERRORS, comparison=Comparison.BELOW), LIVE, Verdict.FAIL, "the wrong side"),
        (replace(ERRORS, window_s=3600.0), LIVE, Verdict.FAIL, "computed over 3600 s"),
        (replace(ERRORS, least_events=5000), LIVE, Verdict.FAIL, "asks for 5000 events"),
        (replace(ERRORS, is_on=False), LIVE, Verdict.FAIL, "is not watched"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_only_a_limit_that_is_strict_tried_and_live_passes(
    threshold: Threshold, reading: Reading, verdict: Verdict, told: str
) -> None:
    found = gathered_of(threshold, reading=reading)
    context: Any = SimpleNamespace(now=utc_now)
    outcome = judged_limits(found, [Wanted("error-rate", 1.0, needs_events=True)], context)
    assert (outcome.verdict, told in outcome.summary) == (verdict, True), outcome.summary


def hold(seconds: int, **more: object) -> list[Second]:
    """So many seconds of load that are alike."""
    return [second(at, **more) for at in range(seconds)]


async def test_rules_that_are_quiet_under_the_declared_load_pass(demo: DemoProcess, tmp_path: Path) -> None:
    result = await judged(demo, tmp_path, "MON-08", loads=[(load_run(), hold(90))])
    assert result.verdict is Verdict.PASS, result.summary
    assert "replayed over users-100; 0 alerts would have fired" in result.summary


async def test_a_rule_that_wakes_people_for_a_load_that_passed_fails(
    demo: DemoProcess, tmp_path: Path
) -> None:
    noisy = hold(90, ok=15, failed=2)
    result = await judged(demo, tmp_path, "MON-08", loads=[(load_run(), noisy)])
    assert result.verdict is Verdict.FAIL
    assert "error-rate in users-100" in result.summary


async def test_a_rule_that_fires_over_a_load_that_failed_is_right(demo: DemoProcess, tmp_path: Path) -> None:
    bad = load_run(verdict=Verdict.FAIL)
    result = await judged(demo, tmp_path, "MON-08", loads=[(bad, hold(90, ok=15, failed=2))])
    assert result.verdict is Verdict.PASS
    assert " 0 alerts would have fired" not in result.summary


async def test_without_a_load_run_the_rules_are_not_proved(demo: DemoProcess, tmp_path: Path) -> None:
    result = await judged(demo, tmp_path, "MON-08")
    assert (result.verdict, result.reason) == (Verdict.INCONCLUSIVE, Reason.NO_SOURCE)
