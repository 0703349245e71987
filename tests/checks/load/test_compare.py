"""Two runs side by side: what changed, and what is noise."""

from __future__ import annotations

from dataclasses import replace

import pytest

from checks.load.compare import differences
from checks.load.model import Arrival, Bounded, Capacity, Criteria, Difference, Latencies, LoadRun, Sample
from tests.checks.load.runs import load_run, scenario


def found(now: LoadRun, before: LoadRun) -> dict[str, Difference]:
    return {one.name: one for one in differences(now, before)}


def test_the_same_run_twice_has_no_real_difference() -> None:
    told = found(load_run(), load_run())
    assert set(told) == {"p95", "p99", "throughput", "errors", "memory"}
    assert not any(one.is_real for one in told.values())
    assert told["p95"].noise == pytest.approx(0.002)


@pytest.mark.parametrize(
    ("name", "changed"),
    [
        ("p95", {"p95": Bounded(0.2, 0.19, 0.21)}),
        ("p99", {"p99": Bounded(0.3, 0.28, 0.32)}),
        ("throughput", {"throughput_per_s": 20.0}),
        ("errors", {"errors": Bounded(5.0, 4.0, 6.0)}),
        ("memory", {"peak": Sample(memory_bytes=120 << 20)}),
    ],
)
def test_a_change_beyond_the_intervals_is_real(name: str, changed: dict[str, object]) -> None:
    told = found(replace(load_run(), **changed), load_run())  # type: ignore[arg-type]
    assert {one for one, entry in told.items() if entry.is_real} == {name}
    back = found(load_run(), replace(load_run(), **changed))  # type: ignore[arg-type]
    assert (back[name].now, back[name].before) == (told[name].before, told[name].now)


def test_a_change_within_the_intervals_is_noise() -> None:
    wide = load_run(p95=Bounded(0.110, 0.08, 0.15))
    assert not found(wide, load_run())["p95"].is_real


@pytest.mark.parametrize(
    "other",
    [
        scenario(users=20),
        scenario(arrival=Arrival.POISSON),
        replace(scenario(), name="users-100"),
        scenario(hold_s=60.0),
    ],
)
def test_another_load_is_not_compared(other: object) -> None:
    assert differences(replace(load_run(), scenario=other), load_run()) == ()  # type: ignore[arg-type]


def test_other_limits_and_words_are_the_same_load() -> None:
    other = replace(scenario(criteria=Criteria(p95_s=0.5)), title="Ten users")
    assert found(load_run(scenario=other), load_run())


def test_what_one_of_them_lacks_is_left_out() -> None:
    bare = load_run(p95=Bounded(0.1), p99=Bounded(0.1, 0.05), peak=Sample())
    assert set(found(bare, load_run())) == {"throughput", "errors"}
    assert "p95" not in found(load_run(latency=Latencies()), load_run())


def test_capacity_is_compared_where_both_found_one() -> None:
    before, now = (load_run(capacity=Capacity(safe_per_s=rate)) for rate in (100.0, 80.0))
    assert found(now, before)["capacity"].is_real
    assert not found(load_run(capacity=Capacity(safe_per_s=95.0)), before)["capacity"].is_real
    assert "capacity" not in found(load_run(capacity=Capacity()), before)


def test_memory_is_pss_where_it_could_be_read() -> None:
    seen = load_run(peak=Sample(memory_bytes=100 << 20, pss_bytes=50 << 20))
    assert found(seen, load_run())["memory"].now == 50
