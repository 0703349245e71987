"""Every criterion at its borders; and a generator that was too slow passes nothing, whatever was measured."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.load.criteria import Measured, health, own_lag_s, verdict
from checks.load.model import (
    Accounting,
    Arrival,
    Criteria,
    Criterion,
    Failure,
    GeneratorHealth,
    Part,
    Sample,
)
from checks.model import Verdict
from checks.text import Clean, clean
from tests.checks.load.runs import histogram, judged, measured, scenario, second

PASS, FAIL, INCONCLUSIVE, NA = Verdict.PASS, Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.NA
ORDER = [
    "generator",
    "limiter",
    "p95",
    "p99",
    "errors",
    "windows",
    "lost",
    "history",
    "doubled",
    "swapped",
    "replies",
    "memory",
    "pool",
    "complete",
]
STARVED = histogram([0.0001] * 980 + [0.020] * 20)
OPEN = scenario(arrival=Arrival.CONSTANT, rate_per_s=50.0)


def test_a_healthy_hold_passes_everything_in_order() -> None:
    found = judged(measured(pool_size=10))
    assert list(found) == ORDER
    assert {one.verdict for one in found.values()} == {PASS}
    assert verdict(found.values()) is PASS


def test_sentences_are_one_line_without_a_full_stop_and_say_the_limit() -> None:
    everything = scenario(criteria=Criteria(host_cpu_percent=50, leak_percent_per_hour=5))
    for found in (measured(), measured(n=5), measured(lag=STARVED), measured(accounting=Accounting())):
        for one in judged(found, everything).values():
            assert one.sentence and "\n" not in one.sentence and not one.sentence.endswith(".")
            assert len(one.sentence) <= 200
            assert one.limit
            assert all(isinstance(text, Clean) for text in (one.sentence, one.observed, one.limit))


@pytest.mark.parametrize(
    ("found", "expected"),
    [
        ([PASS, NA], PASS),
        ([PASS, INCONCLUSIVE, NA], INCONCLUSIVE),
        ([INCONCLUSIVE, FAIL, PASS], FAIL),
        ([NA], INCONCLUSIVE),
        ([], INCONCLUSIVE),
    ],
)
def test_the_verdict_is_the_worst(found: list[Verdict], expected: Verdict) -> None:
    text = clean("x")
    assert verdict(Criterion("x", "x", one, text, text, text) for one in found) is expected


def test_a_limit_of_zero_leaves_a_criterion_out() -> None:
    none = Criteria(p95_s=0, p99_s=0, error_percent=0, memory_percent=0, pool_percent=0, throttled_percent=0)
    found = judged(measured(), scenario(criteria=none))
    assert list(found) == ["generator", "lost", "history", "doubled", "swapped", "replies", "complete"]


# The generator


@pytest.mark.parametrize(
    ("generator", "expected"),
    [
        ({"lag": histogram([0.010] * 500)}, PASS),
        ({"lag": histogram([0.0001] * 990 + [0.5] * 10)}, PASS),
        ({"lag": histogram([0.0001] * 989 + [0.0101] * 11)}, INCONCLUSIVE),
        ({"seconds": tuple(second(at, generator_cpu_percent=85.0) for at in range(30))}, PASS),
        ({"seconds": tuple(second(at, generator_cpu_percent=85.2) for at in range(30))}, INCONCLUSIVE),
        (
            {
                "seconds": tuple(
                    second(at, generator_cpu_percent=90.0 if 9 < at < 15 else 5.0) for at in range(30)
                )
            },
            INCONCLUSIVE,
        ),
        (
            {
                "seconds": tuple(
                    second(at, generator_cpu_percent=99.0 if at == 9 else 5.0) for at in range(30)
                )
            },
            PASS,
        ),
        ({"generator": GeneratorHealth()}, INCONCLUSIVE),
    ],
)
def test_the_generator_has_to_keep_up(generator: dict[str, Any], expected: Verdict) -> None:
    found = judged(measured(**generator))
    assert found["generator"].verdict is expected
    others = {found[name].verdict for name in ("p95", "p99", "errors", "windows")}
    assert others == {expected}
    if expected is INCONCLUSIVE:
        assert "generator too slow" in found["generator"].sentence
        assert "generator too slow" in found["p95"].sentence


def test_waiting_for_a_reply_is_not_the_generators_fault() -> None:
    # 1500 messages, of which 300 waited up to a second until the target freed a connection.
    lag = histogram([0.0001] * 1200 + [0.5] * 300)
    assert health(lag, ()).problem
    told = health(lag, (), waited=300)
    assert not told.problem
    assert own_lag_s(lag, 300) == pytest.approx(0.0001)
    assert judged(measured(generator=told))["generator"].verdict is PASS
    late = histogram([0.020] * 1200 + [0.5] * 300)
    assert judged(measured(generator=health(late, (), waited=300)))["generator"].verdict is INCONCLUSIVE


seconds = st.lists(
    st.builds(
        second,
        st.integers(0, 50),
        part=st.sampled_from(Part),
        ok=st.integers(0, 300),
        failed=st.integers(0, 50),
        throttled=st.integers(0, 50),
        answered=st.integers(0, 300),
        p50_s=st.none() | st.floats(0, 20),
        p95_s=st.none() | st.floats(0, 20),
        max_s=st.none() | st.floats(0, 20),
        generator_cpu_percent=st.floats(0, 100),
        sample=st.builds(
            Sample,
            memory_percent=st.none() | st.floats(0, 100),
            memory_bytes=st.none() | st.integers(0, 1 << 40),
            database_connections=st.none() | st.integers(0, 50),
        ),
    ),
    max_size=25,
)
everything = st.fixed_dictionaries(
    {
        "latency": st.lists(st.floats(0, 20), max_size=100).map(histogram),
        "service": st.lists(st.floats(0, 20), max_size=100).map(histogram),
        "due": st.integers(0, 3000),
        "sent": st.integers(0, 3000),
        "answered": st.integers(0, 3000),
        "ok": st.integers(0, 3000),
        "failures": st.dictionaries(st.sampled_from(Failure), st.integers(0, 3000)),
        "seconds": seconds.map(tuple),
        "accounting": st.builds(
            Accounting,
            sent=st.integers(0, 99),
            stored=st.none() | st.integers(0, 99),
            in_history=st.none() | st.integers(0, 99),
            replies_stored=st.none() | st.integers(0, 99),
            lost=st.integers(0, 2),
            doubled=st.integers(0, 2),
            problem=st.sampled_from([clean(""), clean("the database was locked")]),
        ),
        "pool_size": st.none() | st.integers(0, 30),
        "stopped": st.sampled_from(["", "the lead stopped it"]),
    }
)
plans = st.builds(
    scenario,
    arrival=st.sampled_from(Arrival),
    window_s=st.sampled_from([0.0, 1.0, 5.0]),
    criteria=st.builds(
        Criteria,
        p95_s=st.sampled_from([0.0, 1.0]),
        error_percent=st.sampled_from([0.0, 1.0, 100.0]),
        host_cpu_percent=st.sampled_from([0.0, 50.0]),
        leak_percent_per_hour=st.sampled_from([0.0, 5.0]),
        throttled_percent=st.sampled_from([0.0, 1.0]),
    ),
)
slow = st.one_of(
    st.builds(lambda late: health(histogram([0.0] * 50 + [late]), ()), st.floats(0.0101, 60)),
    st.builds(
        lambda cpu: replace(health(histogram([0.0] * 50), ()), worst_cpu_percent=cpu), st.floats(85.01, 100)
    ),
    st.builds(lambda cpu: replace(health(histogram([0.0] * 50), ()), cpu_percent=cpu), st.floats(85.01, 100)),
    st.just(GeneratorHealth(problem=clean("it ended by itself"))),
)


@given(everything, plans, slow)
def test_a_starved_generator_never_passes(
    values: dict[str, Any], plan: Any, generator: GeneratorHealth
) -> None:
    found = judged(Measured(**values, generator=generator), plan)
    assert found["generator"].verdict is INCONCLUSIVE
    assert verdict(found.values()) is not PASS
    for name in ("p95", "p99", "windows"):
        assert name not in found or found[name].verdict in (INCONCLUSIVE, NA)
    if (errors := found.get("errors")) is not None:
        assert errors.verdict is not PASS


@given(everything, plans)
def test_losses_fail_whatever_else_was_measured(values: dict[str, Any], plan: Any) -> None:
    for generator in (health(histogram([0.0001]), ()), health(STARVED, ())):
        found = judged(Measured(**values, generator=generator), plan)
        for name in ("lost", "doubled"):
            counted = getattr(values["accounting"], name)
            assert (found[name].verdict is FAIL) == bool(
                counted or (name == "doubled" and values["failures"].get(Failure.DOUBLED))
            )
        if values["accounting"].lost:
            assert verdict(found.values()) is FAIL
        if values["stopped"]:
            assert found["complete"].verdict is INCONCLUSIVE
            assert verdict(found.values()) is not PASS


@given(st.integers(1, 400), st.floats(0.01, 3))
def test_no_pass_without_a_bound_that_keeps_the_limit(n: int, worst_s: float) -> None:
    found = judged(measured(n=n, latency=histogram([0.01] * (n - 1) + [worst_s])))
    assert (found["p99"].verdict is PASS) <= (n >= 368)
    assert (found["p95"].verdict is PASS) <= (n >= 72)
    assert (found["errors"].verdict is PASS) == (n >= 381)


# Unsent messages: too few connections, and yet a target that is slow by itself is told


def test_unsent_messages_of_an_open_run_are_the_generators_bound() -> None:
    late = histogram([0.01] * 1400 + [5.0] * 100)
    short = measured(latency=late, service=histogram([0.01] * 1490), failures={Failure.UNSENT: 10}, sent=1490)
    found = judged(short, OPEN)
    assert found["generator"].verdict is INCONCLUSIVE
    assert "10 messages were due and not sent" in found["generator"].sentence
    assert "more users" in found["generator"].sentence
    assert found["p95"].verdict is INCONCLUSIVE
    assert found["errors"].verdict is INCONCLUSIVE
    slow = replace(short, service=late)
    assert judged(slow, OPEN)["p95"].verdict is FAIL
    assert "from the real send alone" in judged(slow, OPEN)["p95"].sentence


def test_a_target_that_never_answers_fails_though_most_was_never_sent() -> None:
    dead = measured(
        latency=histogram([10.0] * 1500),
        service=histogram([10.0] * 60),
        sent=60,
        ok=0,
        failures={Failure.NO_REPLY: 60, Failure.UNSENT: 1440},
    )
    found = judged(dead, OPEN)
    assert (found["p95"].verdict, found["errors"].verdict) == (FAIL, FAIL)
    assert verdict(found.values()) is FAIL


# The limiter


@pytest.mark.parametrize(
    ("throttled", "expected"), [(0, PASS), (15, PASS), (16, INCONCLUSIVE), (1500, INCONCLUSIVE)]
)
def test_the_limiter_is_named_where_it_was_measured(throttled: int, expected: Verdict) -> None:
    found = judged(measured(failures={Failure.THROTTLED: throttled}, ok=1500 - throttled))
    assert found["limiter"].verdict is expected
    if expected is INCONCLUSIVE:
        assert "the rate limiter is what was measured" in found["limiter"].sentence
        assert {found[name].verdict for name in ("p95", "p99", "errors")} == {INCONCLUSIVE}


def test_what_was_let_in_and_failed_is_an_error_in_spite_of_the_limiter() -> None:
    found = judged(measured(failures={Failure.THROTTLED: 500, Failure.SERVER_ERROR: 100}, ok=900))
    assert found["limiter"].verdict is INCONCLUSIVE
    assert found["errors"].verdict is FAIL
    assert "100 of 1000 messages" in found["errors"].sentence


def test_nothing_sent_is_no_pass() -> None:
    found = judged(measured(n=0, latency=histogram([]), lag=histogram([]), seconds=(second(0),)))
    for name in ("generator", "limiter", "p95", "p99", "errors"):
        assert found[name].verdict is INCONCLUSIVE


def test_a_stopped_run_is_no_pass_and_says_why() -> None:
    found = judged(measured(stopped="the target's health failed 3 times in a row"))
    assert found["complete"].verdict is INCONCLUSIVE
    assert "health failed" in found["complete"].sentence
    assert verdict(found.values()) is INCONCLUSIVE


def test_text_from_outside_is_cleaned() -> None:
    found = judged(
        measured(
            stopped="\x1b[31mred",
            unseen=("\x1b]0;title\x07",),
            seconds=(second(0, sample=Sample()),),
            accounting=replace(measured().accounting, lost=1, examples=(clean("\x1b[2J"),)),
        )
    )
    for one in found.values():
        assert not set("\x1b\x07\n") & set(one.sentence)
