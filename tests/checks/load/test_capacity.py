"""The search finds a known capacity within 5 %, names what broke, and never invents a figure."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.load.capacity import MOST_CONFIRMATIONS, MOST_LONG, Search, Step, longest_s
from checks.load.model import Arrival, CapacityStep, Criteria, Scenario
from checks.load.steps import BISECTION, CONFIRMATION, UNCLEAR
from tests.checks.load.simulated import Server, search

SEEDS = range(8)


def plan(**values: Any) -> Scenario:
    """The shipped search, with a ceiling that nothing reaches."""
    settings: dict[str, Any] = {"rate_per_s": 20.0, "most_rate_per_s": 2000.0}
    return Scenario(
        "capacity", "Capacity", arrival=Arrival.CONSTANT, is_capacity=True, users=300, **(settings | values)
    )


def server(seed: int, per_s: float, **values: Any) -> Server:
    rng = random.Random(seed)
    return Server(per_s, rng=rng, now=rng.uniform(0, 20), **values)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("per_s", [100.0, 233.0])
def test_the_capacity_of_m_d_1_is_found(per_s: float, seed: int) -> None:
    sent: list[Step] = []
    found = search(server(seed, per_s), plan(), is_random=True, watch=sent.append)
    assert found.safe_per_s is not None and found.degraded_per_s is not None
    assert found.safe_per_s == pytest.approx(per_s, rel=0.05)
    assert found.degraded_per_s > found.safe_per_s
    assert found.broke_first in ("p95", "backlog")
    assert found.headroom == pytest.approx(found.safe_per_s / 17)
    assert not found.problem
    assert sum(step.seconds for step in sent) <= longest_s(plan())


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("per_s", [60.0, 200.0])
def test_an_even_load_finds_it_too(per_s: float, seed: int) -> None:
    found = search(server(seed, per_s), plan(), is_random=False)
    assert found.safe_per_s == pytest.approx(per_s, rel=0.05)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("per_s", "p95_s"), [(100.0, 1.0), (200.0, 1.0), (200.0, 2.0)])
def test_a_server_that_stands_still_is_worth_what_it_does_between(
    per_s: float, p95_s: float, seed: int
) -> None:
    # One second in five: at every rate that it can carry some wait up to a second, and a short step may end in one.
    stalled = server(seed, per_s, frozen_s=1.0)
    sent: list[Step] = []
    found = search(stalled, plan(criteria=Criteria(p95_s=p95_s)), is_random=False, watch=sent.append)
    assert stalled.capacity == 0.8 * per_s
    assert found.safe_per_s == pytest.approx(stalled.capacity, rel=0.05)
    assert sum(step.seconds for step in sent) <= longest_s(plan())


def test_the_steps_tell_how_it_was_found() -> None:
    found = search(server(1, 200), plan(), is_random=False)
    kinds = [step.kind for step in found.steps]
    assert kinds == sorted(kinds, key=["step", BISECTION, CONFIRMATION].index)
    rates = [step.rate_per_s for step in found.steps if step.kind == "step"]
    assert rates[:4] == [20, 30, 45, 67.5]
    assert rates[-1] == rates[-2]
    assert found.steps[-1].kind == CONFIRMATION
    assert found.steps[-1].rate_per_s == found.safe_per_s
    assert found.breaking_per_s == pytest.approx(227.8, abs=0.1)
    assert found.sentence == (
        "safe to 201/s (p95 74 ms, limit 1.00 s), degrades at 206/s by backlog, breaks at 228/s, declared peak "
        "17/s: headroom 12x"
    )
    assert found.scalability is not None


def test_a_latency_that_is_long_and_steady_is_no_backlog() -> None:
    found = search(server(2, 200, base_s=0.4), plan(), is_random=True)
    assert found.safe_per_s == pytest.approx(200, rel=0.05)


def test_the_ceiling_is_named_where_nothing_broke() -> None:
    found = search(server(3, 5000), plan(most_rate_per_s=100.0), is_random=False)
    assert (found.safe_per_s, found.broke_first, found.degraded_per_s) == (100, "ceiling", None)
    assert found.sentence.startswith("safe to at least 100/s, the ceiling of the scenario")


def test_a_target_below_the_first_rate_is_searched_downwards() -> None:
    found = search(server(4, 9), plan(), is_random=False)
    assert found.safe_per_s == pytest.approx(9, rel=0.05)


def test_a_target_that_carries_nothing_has_no_figure() -> None:
    found = search(server(5, 0.5), plan(), is_random=False)
    assert found.safe_per_s is None
    assert "breaks by p95" in found.problem
    assert found.sentence.startswith("no figure: even ")


def test_errors_break_a_step() -> None:
    found = search(server(6, 1000, error_rate=0.2), plan(), is_random=False)
    assert found.safe_per_s is None
    assert "errors" in found.problem


def test_the_limiter_ends_the_search_without_a_figure() -> None:
    found = search(server(7, 1000, throttled_above=50), plan(), is_random=False)
    assert (found.safe_per_s, found.headroom, found.broke_first) == (None, None, "limiter")
    assert found.steps[-1].rate_per_s == found.steps[-2].rate_per_s == 67.5
    assert "the rate limiter is what was measured at 68/s; a short step at 45/s was carried" in found.sentence


# The state machine by itself: answers that no server need give


def drive(answer: Callable[[Step, int], str], scenario: Scenario | None = None) -> tuple[Search, list[Step]]:
    found, asked = Search(scenario or plan()), list[Step]()
    while (step := found.next()) is not None:
        assert len(asked) < 200
        broke = answer(step, len(asked))
        asked.append(step)
        found.learn(
            CapacityStep(step.rate_per_s, step.rate_per_s, 0.1, 0.2, 0.0, not broke, broke, kind=step.kind)
        )
    return found, asked


def test_one_broken_step_is_noise_until_it_is_repeated() -> None:
    _, asked = drive(lambda step, place: "p95" if place == 2 or step.rate_per_s > 100 else "")
    rates = [step.rate_per_s for step in asked]
    assert rates[:6] == [20, 30, 45, 45, 67.5, 101.25]


@pytest.mark.parametrize("culprit", ["generator", "limiter"])
def test_what_is_not_the_targets_is_repeated_once_and_ends_the_search(culprit: str) -> None:
    found, asked = drive(lambda step, place: culprit if step.rate_per_s > 40 else "")
    assert [step.rate_per_s for step in asked] == [20, 30, 45, 45]
    result = found.result(17)
    assert (result.safe_per_s, result.broke_first) == (None, culprit)
    assert result.problem
    once, asked = drive(lambda step, place: culprit if place == 1 else "p95" if step.rate_per_s > 90 else "")
    assert once.result(17).safe_per_s is not None


def test_a_generator_that_gives_up_in_the_confirming_hold_leaves_no_figure() -> None:
    found, _ = drive(
        lambda step, _: "generator" if step.kind == CONFIRMATION else "p95" if step.rate_per_s > 90 else ""
    )
    assert found.result(17).safe_per_s is None
    assert found.result(17).broke_first == "generator"


def test_a_hold_that_fails_steps_down_and_three_leave_no_figure() -> None:
    def breaks(step: Step, _: int) -> str:
        return "errors" if step.kind == CONFIRMATION else "p95" if step.rate_per_s > 90 else ""

    found, asked = drive(breaks)
    holds = [step for step in asked if step.kind == CONFIRMATION]
    assert len(holds) == MOST_CONFIRMATIONS
    assert all(0.94 < after.rate_per_s / before.rate_per_s < 0.98 for before, after in pairwise(holds))
    assert all(step.seconds == 20 and step.is_final for step in holds)
    result = found.result(17)
    assert (result.safe_per_s, result.headroom) == (None, None)
    assert "was not kept up for 20 s: errors" in result.problem
    twice, _ = drive(lambda step, place: breaks(step, place) if step.rate_per_s > 87 else "")
    confirmed = twice.result(17)
    assert confirmed.safe_per_s is not None and confirmed.safe_per_s <= 87
    assert confirmed.degraded_per_s is not None
    assert confirmed.degraded_per_s / confirmed.safe_per_s < 1.06


def test_an_open_step_is_repeated_for_longer_before_it_counts() -> None:
    def answer(step: Step, _: int) -> str:
        if step.rate_per_s > 90:
            return "p95"
        return UNCLEAR if step.rate_per_s > 50 and not step.is_final else ""

    found, asked = drive(answer)
    assert found.result(17).safe_per_s == pytest.approx(90, rel=0.04)
    for before, after in pairwise(asked):
        if before.kind == BISECTION and before.rate_per_s <= 90 and not before.is_final:
            assert (after.rate_per_s, after.seconds, after.is_final) == (before.rate_per_s, 20, True)


def test_an_open_step_that_the_longer_one_breaks_sends_the_search_further_down() -> None:
    def answer(step: Step, _: int) -> str:
        if step.rate_per_s > 100:
            return "p95"
        return "" if step.rate_per_s <= 52 else "backlog" if step.is_final else UNCLEAR

    found, asked = drive(answer)
    result = found.result(17)
    assert result.safe_per_s == pytest.approx(52, rel=0.05)
    assert sum(step.seconds for step in asked) <= longest_s(plan())


@given(st.data())
def test_whatever_comes_the_search_ends_in_time_and_never_invents(data: st.DataObject) -> None:
    answers = st.sampled_from(["", "", "p95", "backlog", "errors", UNCLEAR, "generator", "limiter"])
    scenario = plan(rate_per_s=data.draw(st.floats(0, 400)), most_rate_per_s=data.draw(st.floats(0, 2000)))

    def answer(step: Step, _: int) -> str:
        assert 0 < step.rate_per_s <= scenario.most_rate_per_s
        broke = data.draw(answers)
        return "" if broke == UNCLEAR and step.is_final else broke

    found, asked = drive(answer, scenario)
    assert sum(step.seconds for step in asked) <= longest_s(scenario) + 1e-6
    assert sum(step.seconds == scenario.confirm_s for step in asked) <= MOST_LONG + MOST_CONFIRMATIONS
    result = found.result(17)
    assert (result.safe_per_s is None) == bool(result.problem)
    if result.safe_per_s is not None:
        last = result.steps[-1]
        assert (last.kind, last.is_good, last.rate_per_s) == (CONFIRMATION, True, result.safe_per_s)
        assert result.degraded_per_s is None or result.degraded_per_s > result.safe_per_s
    assert found.next() is None


def test_a_search_that_was_stopped_has_no_figure() -> None:
    found, _ = drive(lambda step, _: "p95" if step.rate_per_s > 90 else "")
    assert found.result(17).safe_per_s is not None
    stopped = found.result(17, stopped="the lead stopped it")
    assert (stopped.safe_per_s, stopped.problem) == (None, "the search was stopped: the lead stopped it")
    early = Search(plan()).result(17)
    assert early.problem == "the search had not come to its end"
    assert Search(plan(rate_per_s=0.0)).next() is None
    assert drive(lambda step, _: "p95" if step.rate_per_s > 90 else "")[0].result().headroom is None
