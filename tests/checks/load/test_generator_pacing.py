"""When messages are due: tables, and what holds for every leg."""

from __future__ import annotations

import itertools
import statistics

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from checks.load.generator.pacing import (
    NS,
    SLACK_NS,
    Ceiling,
    changes,
    count,
    moment_of,
    send_times,
    thinks,
    users_at,
)
from checks.load.model import Arrival, Part
from checks.load.wire import Leg


def leg(seconds: float, begin: float, end: float, arrival: Arrival = Arrival.CONSTANT) -> Leg:
    return Leg(part=Part.HOLD, seconds=seconds, arrival=arrival, rate_from=begin, rate_to=end)


def users(seconds: float, begin: int, end: int) -> Leg:
    return Leg(part=Part.RAMP, seconds=seconds, arrival=Arrival.CLOSED, users_from=begin, users_to=end)


@pytest.mark.parametrize(
    ("seconds", "begin", "end", "expected"),
    [
        (30, 17, 17, 510),
        (30, 500, 500, 15_000),
        (60, 1000 / 60, 1000 / 60, 1000),
        (5, 0, 17, 43),
        (2, 17, 0, 17),
        (10, 5, 15, 100),
        (1, 0.4, 0.4, 0),
        (1, 0.5, 0.5, 1),
        (0, 100, 100, 0),
        (10, -5, -5, 0),
    ],
)
def test_the_number_of_messages_is_the_integral_of_the_rate(
    seconds: float, begin: float, end: float, expected: int
) -> None:
    for arrival in (Arrival.CONSTANT, Arrival.POISSON):
        one = leg(seconds, begin, end, arrival)
        assert count(one) == len(list(send_times(one, seed=1))) == expected


def test_the_hard_ceiling_bounds_both_ends_of_a_leg() -> None:
    assert count(leg(10, 0, 1000), most_per_s=100) == 500
    assert len(list(send_times(leg(10, 1000, 1000), seed=1, most_per_s=20))) == 200


def test_a_constant_rate_is_even_and_does_not_drift() -> None:
    times = list(send_times(leg(30, 17, 17), seed=1))
    assert [round(time * 17 / NS, 6) for time in times] == [place + 0.5 for place in range(510)]
    gaps = [after - before for before, after in itertools.pairwise(times)]
    assert max(gaps) - min(gaps) <= 1


def test_a_ramp_sends_where_its_integral_says() -> None:
    times = list(send_times(leg(10, 0, 20), seed=1))
    # The integral of 2 t is t^2: message i is due where it reaches i + 1/2.
    assert [round((time / NS) ** 2, 3) for time in times] == [place + 0.5 for place in range(100)]
    down = list(send_times(leg(10, 20, 0), seed=1))
    assert [10 * NS - time for time in reversed(down)] == pytest.approx(times, abs=2000)


def test_random_arrivals_are_random_and_the_same_for_the_same_seed() -> None:
    one = leg(20, 200, 200, Arrival.POISSON)
    times = list(send_times(one, seed=7))
    assert times == list(send_times(one, seed=7)) != list(send_times(one, seed=8))
    gaps = [after - before for before, after in itertools.pairwise(times)]
    # The gaps of a Poisson process vary as much as their mean; 4000 of them to about 3 %.
    assert 0.9 < statistics.pstdev(gaps) / statistics.mean(gaps) < 1.1


def test_random_arrivals_follow_a_ramp() -> None:
    times = list(send_times(leg(10, 0, 400, Arrival.POISSON), seed=3))
    first_half = sum(time < 5 * NS for time in times)
    assert 0.2 < first_half / len(times) < 0.3  # a quarter of the integral


@settings(max_examples=60, deadline=None)
@given(
    st.floats(0.1, 20),
    st.floats(0, 200),
    st.floats(0, 200),
    st.sampled_from([Arrival.CONSTANT, Arrival.POISSON]),
    st.integers(0, 1 << 40),
)
def test_every_moment_is_within_its_leg_and_in_order(
    seconds: float, begin: float, end: float, arrival: Arrival, seed: int
) -> None:
    one = leg(seconds, begin, end, arrival)
    times = list(send_times(one, seed=seed))
    assert times == sorted(times)
    assert len(times) == count(one)
    assert all(0 <= time <= seconds * NS for time in times)


@settings(max_examples=60, deadline=None)
@given(st.floats(0, 1), st.floats(0, 1e5), st.floats(0, 1e5))
def test_a_moment_is_where_the_integral_has_its_share(share: float, begin: float, end: float) -> None:
    if begin + end < 1e-3:
        return
    at = moment_of(share, begin, end)
    passed = begin * at + (end - begin) * at * at / 2
    assert passed == pytest.approx(share * (begin + end) / 2, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize(
    ("begin", "end", "expected"),
    [(0, 4, [0, 1, 2, 3, 4]), (4, 0, [4, 3, 2, 1, 0]), (3, 3, [3, 3, 3, 3, 3]), (0, 0, [0, 0, 0, 0, 0])],
)
def test_users_come_and_go_evenly(begin: int, end: int, expected: list[int]) -> None:
    one = users(4, begin, end)
    assert [users_at(one, second * NS) for second in range(5)] == expected
    assert [now for _, now in changes(one)] == [value for value in expected[1:] if begin != end]
    assert [offset for offset, _ in changes(one)] == (
        [int((k + 0.5) * NS) for k in range(4)] if begin != end else []
    )


def test_changes_and_the_number_at_a_moment_agree() -> None:
    one = users(7, 3, 40)
    for offset, number in changes(one):
        assert users_at(one, offset + 1000) == number
        assert users_at(one, offset - 1000) == number - 1


def test_thinks_are_within_bounds_and_of_their_user() -> None:
    first = list(itertools.islice(thinks(5, 0, 1.0, 3.0), 200))
    assert first == list(itertools.islice(thinks(5, 0, 1.0, 3.0), 200))
    assert first != list(itertools.islice(thinks(5, 1, 1.0, 3.0), 200))
    assert all(NS <= think <= 3 * NS for think in first)
    assert 1.8 * NS < statistics.mean(first) < 2.2 * NS


def test_the_ceiling_holds_on_average_and_forgives_jitter() -> None:
    ceiling = Ceiling(100)
    assert sum(ceiling.admits(moment * 1_000_000) for moment in range(10_000)) in range(1000, 1007)
    even = Ceiling(100)
    assert all(even.admits(k * 10_000_000 - (k % 2) * 9_000_000) for k in range(1, 500))
    flood = Ceiling(10)
    admitted = sum(flood.admits(0) for _ in range(100))
    assert admitted == SLACK_NS // (NS // 10) + 1
    assert not flood.admits(flood.next_at - 1)
    assert flood.admits(flood.next_at)
