"""What the load report tells of one run: clocks, capacity, what was sent, and every figure from the journal."""

from __future__ import annotations

import re
from dataclasses import replace

from checks.load.model import (
    Accounting,
    Bounded,
    Capacity,
    Difference,
    GeneratorHealth,
    Latencies,
    Part,
    Sample,
)
from checks.model import Verdict
from checks.reports import load_tables
from checks.text import clean
from tests.checks.reports.load_reading import row, scenario, written
from tests.checks.reports.loads import (
    RATE,
    SOAK,
    STEPS,
    USERS_10,
    USERS_100,
    capacity_run,
    criterion,
    later,
    load_run,
    open_rate,
    record,
    second,
)
from tests.checks.reports.scene import Scene
from tests.checks.reports.test_content import flat, lead_of, section


def test_both_clocks_stand_side_by_side_and_their_difference_is_explained(loaded: Scene) -> None:
    record(loaded, open_rate())
    record(loaded, load_run(USERS_10))
    report = written(loaded)
    stalled = scenario(report, "LOAD-03")
    assert re.search(r"\| p95 +\| 752 ms \(710 to 790 ms\) +\| 4\.7 ms +\|", stalled)
    assert "a tool that starts its clock at the real send would have reported 4.7 ms." in stalled
    assert "The two agree, as they do in a closed model" in scenario(report, "LOAD-01")


def test_capacity_is_told_with_its_steps_and_its_law(loaded: Scene) -> None:
    record(loaded, capacity_run())
    limits = section(written(loaded), "Capacity limits")
    assert "Safe, confirmed by a hold: 67/s." in limits
    assert "Degraded, the lowest rate at which a criterion broke: 84/s." in limits
    assert "or more than half failed: 101/s." in limits
    assert "Declared peak: 16.7/s (1000 messages a minute); headroom 4.0 times." in limits
    assert re.search(
        r"\| step +\| 101/s \| 83\.2/s \| 61\.5 +\| 1\.94 s \| 2\.81 s \| 0\.20 % \| 99 % \| broken: p95",
        limits,
    )
    assert "| confirmation |" in limits
    assert "γ = 21.3/s" in limits
    assert "Its error is 3.4 %" in limits
    assert "at 47 messages under way at once" in limits


def test_where_nothing_was_confirmed_there_is_no_figure(loaded: Scene) -> None:
    why = "the confirming hold at 67/s broke p95"
    found = replace(
        Capacity(problem=clean(why), peak_per_s=16.7, broke_first="generator"),
        steps=STEPS,
    )
    told = criterion("capacity", Verdict.INCONCLUSIVE, "no figure", "at least 1.5", why)
    record(loaded, capacity_run(verdict=Verdict.INCONCLUSIVE, capacity=found, criteria=(told,)))
    report = written(loaded)
    assert f"Capacity: no safe rate is known: {why}." in lead_of(report)
    limits = section(report, "Capacity limits")
    assert f"**No figure can be given.** Why there is none: {why}." in limits
    assert "Safe, confirmed by a hold: no figure." in limits
    assert "the load generator: it was at its own limit, and the target may carry more" in limits
    assert "No scalability law was fitted" in limits


def test_only_what_is_more_than_noise_is_called_better_or_worse(loaded: Scene) -> None:
    first = load_run(USERS_10, started_at=later(-60))
    entry = record(loaded, first)
    loaded.start()
    differences = (
        Difference("p95", 0.1, 0.2, 0.02),
        Difference("p99", 0.5, 0.48, 0.1),
        Difference("throughput", 4.0, 5.0, 0.2),
        Difference("memory", 210.0, 230.0, 11.0),
    )
    record(loaded, load_run(USERS_10, run="run-2", before=differences, before_id=first.id))
    told = scenario(written(loaded), "LOAD-01")
    assert f"The run before (entry {entry.seq}) started at 2026-03-01 11:00:00 UTC." in told
    assert re.search(r"\| p95 +\| 100 ms \| 200 ms \| ±20 ms +\| worse +\|", told)
    assert "within the noise" in told
    assert re.search(r"\| throughput +\| 4/s +\| 5/s +\| ±0\.2/s \| better +\|", told)
    assert re.search(r"\| memory +\| 210 MiB \| 230 MiB \| ±11 MiB \| worse +\|", told)


def test_what_was_sent_can_be_repeated(loaded: Scene) -> None:
    record(loaded, load_run(USERS_100))
    record(loaded, load_run(RATE))
    record(loaded, capacity_run())
    report = written(loaded)
    closed = scenario(report, "LOAD-02")
    assert (
        "Closed model: each of 100 users sends, waits for the reply, thinks for 1 to 3 s, and sends again."
        in closed
    )
    assert "Sent over WebSockets to 4 bots, 120 bytes a message; a reply may take 10 s." in closed
    assert "Ramp 10 s, hold 60 s, ramp down 3 s." in closed
    assert "`00ff00ff00f1abcd`; seed of texts, pauses and arrivals: 16711935; 60 connections" in closed
    assert "from 127.1.80.1 to 127.1.80.60." in closed
    assert "1902 due, 1901 sent, 1900 answered, 1899 of them with a good reply" in closed
    opened = scenario(report, "LOAD-03")
    assert "Open model: 16.67 messages a second (1000 a minute) at random distances (Poisson)" in opened
    assert "Open model in rising steps: from 20 messages a second up to 300 at most, 6 s each" in scenario(
        report, "LOAD-04"
    )
    repeat = section(report, "How to repeat it")
    assert "gonogo run load" in repeat
    assert "gonogo run --check LOAD-02" in repeat


def test_what_was_not_kept_of_a_run_is_left_out_and_not_made_up(loaded: Scene) -> None:
    record(loaded, load_run(USERS_10, seed=None, clients=0, addresses=clean("")))
    told = scenario(written(loaded), "LOAD-01")
    assert "every text that it sent: `00ff00ff00f1abcd`." in told


def test_what_could_not_be_seen_is_told(loaded: Scene) -> None:
    blind = [second(place, sample=Sample()) for place in range(9)]
    run = load_run(
        USERS_10,
        peak=Sample(),
        accounting=Accounting(1901, 1899, problem=clean("the database refused the connection")),
        latency=Latencies(),
        service=Latencies(),
        p95=Bounded(0.0),
        p99=Bounded(0.0),
    )
    record(loaded, run, blind)
    report = written(loaded)
    told = scenario(report, "LOAD-01")
    assert "It could not be counted: the database refused the connection." in told
    assert re.search(r"\| stored +\| not seen +\|", told)
    assert "Memory of the target (MiB): nothing was seen." in told
    assert "(target: not seen)" in told
    assert "There are too few replies to compare the two." in told
    assert row(report, "LOAD-01")[4:] == ["–"] * 4
    assert row(report, "LOAD-01", 1)[2:] == ["–"] * 4
    assert (
        "The target's processes could not be seen in LOAD-01: its CPU and memory are not known."
        in section(report, "What these numbers do not show")
    )


def test_the_host_that_generator_and_target_share_is_told(loaded: Scene) -> None:
    record(loaded, load_run(USERS_10))
    record(loaded, load_run(USERS_100, notes=(clean("All users shared one account"), clean("No PSS"))))
    hidden = section(written(loaded), "What these numbers do not show")
    assert "it took up to 38 % of one core over five seconds, and gonogo itself up to 6 %" in hidden
    assert "loopback: no delay, no loss" in hidden
    assert "All users shared one account (LOAD-01, LOAD-02)." in hidden
    assert "No PSS (LOAD-02)." in hidden
    assert "LOAD-04 Capacity was not run" in hidden


def test_a_soak_of_two_hours_is_drawn_in_as_many_rows_as_a_minute() -> None:
    run = load_run(SOAK)
    minute, hours = (
        list(load_tables.charts(run, [second(place, part=Part.HOLD) for place in range(count)]))
        for count in (60, 7200)
    )
    assert len(minute) == len(hours) == 5
    for short, long in zip(minute, hours, strict=True):
        assert abs(len(long.split("\n")) - len(short.split("\n"))) <= 1
    assert any("a column is the worst of up to 86 s" in drawing for drawing in hours)


def test_a_run_without_seconds_has_no_charts(loaded: Scene) -> None:
    record(loaded, load_run(USERS_10), [])
    report = written(loaded)
    assert "The journal holds no second of it." in scenario(report, "LOAD-01")
    assert "┤" not in report


def test_every_figure_comes_from_the_run(loaded: Scene) -> None:
    latency = Latencies(54321, 0.107, 0.1011, 0.1022, 0.1033, 0.1044, 0.1055, 0.1066)
    run = load_run(
        USERS_10,
        latency=latency,
        p95=Bounded(0.103, 0.101, 0.105),
        p99=Bounded(0.104, 0.102, 0.108),
        service=Latencies(54322, 0.207, 0.201, 0.202, 0.203, 0.204, 0.205, 0.206),
        errors=Bounded(7.77, 7.11, 8.22),
        throughput_per_s=77.7,
        due=60001,
        sent=60002,
        answered=60003,
        ok=60004,
        throttled=60005,
        duration_s=61.11,
        accounting=Accounting(70001, 70002, 70003, 70004, 70005, 70006, 70007, 70008, 70009, 70010, 70011),
        generator=GeneratorHealth(
            Latencies(9, p50_s=0.0011, p99_s=0.0022, max_s=0.0033), 81.0, 82.0, 80001, clean("too slow")
        ),
        peak=Sample(
            83.0, 301 << 20, 302 << 20, 8.4, 80002, 80003, 80004.0, 80005, 85.0, 86.0, 8.7, 80006, 80007, 88.0
        ),
    )
    record(loaded, run)
    report = flat(written(loaded))
    for figure in (
        *("54321", "54322", "7.77 % (7.11 to 8.22 %)", "77.7/s", "61.11 s"),
        *("101 ms", "102 ms", "103 ms (101 to 105 ms)", "104 ms (102 to 108 ms)", "106 ms", "107 ms"),
        *("201 ms", "202 ms", "203 ms", "204 ms", "205 ms", "206 ms", "207 ms"),
        *(str(60001 + place) for place in range(5)),
        *(str(70001 + place) for place in range(11)),
        *(str(80001 + place) for place in range(7)),
        *("1.1 ms", "2.2 ms", "3.3 ms", "81 %", "82 %", "83 %", "85 %", "86 %", "88 %", "8.4 %", "8.7 %"),
        *("301 MiB", "302 MiB"),
    ):
        assert figure in report, figure
