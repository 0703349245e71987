"""The report of the load runs: the answer first, every figure from the journal, nothing left out in silence."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta

import pytest

from checks.load.model import (
    Accounting,
    Capacity,
    Difference,
    Failure,
    FailureCount,
    GeneratorHealth,
    Latencies,
)
from checks.load.records import document
from checks.model import Kind, Reason, Verdict
from checks.reports.markdown import lines_of
from checks.text import clean
from tests.checks.reports.load_reading import SECTIONS, everything_passes, row, scenario, written
from tests.checks.reports.loads import (
    CAPACITY,
    RATE,
    STEPS,
    USERS_10,
    criterion,
    failing,
    load_run,
    open_rate,
    record,
    second,
)
from tests.checks.reports.reading import headings, tokens
from tests.checks.reports.scene import Scene
from tests.checks.reports.test_content import flat, lead_of, section
from tests.checks.reports.test_markdown import HOSTILE


def test_nothing_run_is_told_of_every_scenario(loaded: Scene) -> None:
    report = written(loaded)
    assert "**Does it carry the load? NOT DECIDABLE:** no load was put on it." in lead_of(report)
    assert headings(report) == SECTIONS
    for check in ("LOAD-01", "LOAD-02", "LOAD-03", "LOAD-04", "LOAD-05"):
        assert row(report, check) == [check, "NOT RUN", *["–"] * 6]
        assert f"- {check} " in lead_of(report).replace(": **NOT RUN**", "")
    assert "No load run has come to figures" in section(report, "The scenarios")
    assert "how far the system is from its limit is not known" in section(report, "Capacity limits")
    hidden = section(report, "What these numbers do not show")
    assert "LOAD-01 10 concurrent users was not run: it was never run." in hidden
    assert "No soak was run" in hidden
    assert "┤" not in report


def test_a_review_without_checks_of_load_tells_the_scenarios_too(scene: Scene) -> None:
    report = written(scene)
    assert row(report, "users-100")[1] == "NOT RUN"


def test_when_all_pass_it_carries_the_load_and_says_how_far(loaded: Scene) -> None:
    everything_passes(loaded)
    report = written(loaded)
    assert (
        "**Does it carry the load? YES:** 4 of 5 scenarios passed, 1 NOT RUN. Capacity: 67/s is confirmed as safe, "
        "4.0 times the declared peak of 16.7/s." in lead_of(report)
    )
    assert (
        "- LOAD-05 An hour under load: **NOT RUN**. It is only run when it is asked for by name."
        in lead_of(report)
    )
    assert headings(report) == SECTIONS
    assert "LOAD-01 10 concurrent users: **PASS**. All 2 criteria that apply were kept" in lead_of(report)
    assert "It ended early" not in report


def test_a_failure_is_told_in_words_with_what_decided_it(loaded: Scene) -> None:
    everything_passes(loaded)
    loaded.start()
    entry = record(loaded, failing(run="run-2"))
    report = written(loaded)
    assert "carry the load? NO:** 3 of 5 scenarios passed, 1 FAIL, 1 NOT RUN." in lead_of(report)
    assert (
        "LOAD-02 100 concurrent users: **FAIL**. 95 % of the replies took up to 1.31 s (at least 1.28 s), limit 1 s "
        "(1 more criterion failed)." in lead_of(report)
    )
    assert row(report, "LOAD-02") == [
        *("LOAD-02", "FAIL", "100 users", "28.3/s", "141 ms", "1.31 s (1.28 to 1.37 s)", "2.20 s", "3.10 s")
    ]
    assert row(report, "LOAD-02", 1) == [
        *("LOAD-02", "0.53 % (0.28 to 1.00 %)", "2", "0 / 0", "96 %", "219 MiB (3.1 %)")
    ]
    told = scenario(report, "LOAD-02")
    assert re.search(r"\| Criterion lost +\| FAIL +\| 2 +\| 0 +\|", told)
    assert "Criterion lost: 2 messages were answered as a success and are not stored." in told
    assert "7 × no-reply (no reply in time), for example: u017 17: no reply within 10 s." in told
    assert "Not every message came through: 2 lost." in told
    assert "lost: gonogo load 00ff 0017 hello." in told
    assert f"its result in entry {entry.seq}." in told


def test_what_the_limiter_refused_is_no_pass(loaded: Scene) -> None:
    sentence = (
        "5.0 % of the messages were refused by the rate limiter, limit 1 %: the limiter is what was measured"
    )
    run = load_run(
        RATE,
        verdict=Verdict.INCONCLUSIVE,
        criteria=(
            criterion("generator"),
            criterion("limiter", Verdict.INCONCLUSIVE, "5.0 %", "at most 1 %", sentence),
            criterion(
                "p95", Verdict.INCONCLUSIVE, "12 ms", "1 s", "p95 was 12 ms, but the limiter was measured"
            ),
        ),
        throttled=95,
        failures=(FailureCount(Failure.THROTTLED, 95, clean("u001 4: 429 Too Many Requests")),),
    )
    record(loaded, run)
    report = written(loaded)
    assert "carry the load? NOT DECIDABLE:** 0 of 5 scenarios passed, 1 INCONCLUSIVE, 4 NOT RUN." in lead_of(
        report
    )
    assert f"{sentence} (1 more criterion could not be judged)." in lead_of(report)
    told = scenario(report, "LOAD-03")
    assert "95 refused by the rate limiter." in told
    assert "95 × throttled (refused by the rate limiter), for example: u001 4: 429 Too Many Requests." in told


def test_a_generator_that_was_too_slow_is_not_believed(loaded: Scene) -> None:
    why = "99 % of the messages were sent up to 31 ms late, limit 10 ms"
    health = GeneratorHealth(Latencies(900, p99_s=0.031, max_s=0.05), 97.0, 99.0, 40, clean(why))
    run = open_rate(
        verdict=Verdict.INCONCLUSIVE,
        criteria=(criterion("generator", Verdict.INCONCLUSIVE, "31 ms", "10 ms", why),),
        generator=health,
    )
    record(loaded, run)
    told = scenario(written(loaded), "LOAD-03")
    assert f"**The generator's figures cannot be trusted:** {why}." in told
    assert "97 % (busiest five seconds 99 %)" in told
    assert "40 messages" in told
    assert "the generator was itself too slow, so this says nothing of the target" in told
    assert "the target was still busy" not in told


def test_a_run_that_was_stopped_says_why_and_by_whom(loaded: Scene) -> None:
    run = load_run(
        RATE,
        verdict=Verdict.INCONCLUSIVE,
        stopped=clean("the memory of the host passed 90 %"),
        criteria=(criterion("complete", Verdict.INCONCLUSIVE, "31 s", "65 s"),),
    )
    record(loaded, run, [second(place) for place in range(31)])
    loaded.end("stopped by Mary")
    report = written(loaded)
    assert "**INCONCLUSIVE**. It was stopped early: the memory of the host passed 90 %." in lead_of(report)
    assert (
        "**It ended early:** the memory of the host passed 90 %. The run of which it was a part ended so: stopped by "
        "Mary. It was run by `mary@ops`." in scenario(report, "LOAD-03")
    )
    assert "ended early; its figures are those of the part that was run." in section(
        report, "What these numbers do not show"
    )


def test_a_failure_is_not_hidden_by_a_later_run_that_was_stopped(loaded: Scene) -> None:
    record(loaded, failing())
    loaded.end()
    loaded.start()
    stopped = load_run(
        run="run-2", verdict=Verdict.INCONCLUSIVE, stopped=clean("the run was stopped"), criteria=()
    )
    entry = record(loaded, stopped)
    report = written(loaded)
    assert row(report, "LOAD-02")[1] == "FAIL"
    assert row(report, "LOAD-02")[4] == "141 ms", "the figures are those of the run that counts"
    told = scenario(report, "LOAD-02")
    assert f"(entry {entry.seq}) was INCONCLUSIVE: it was stopped early: the run was stopped." in told
    assert "It does not count in the place of the result above." in told


def test_no_load_sent_is_told_and_an_older_pass_does_not_stand_in(loaded: Scene) -> None:
    record(loaded, load_run(USERS_10))
    loaded.start()
    loaded.result(
        "LOAD-01",
        Verdict.INCONCLUSIVE,
        reason=Reason.UNREACHABLE,
        summary="No load was sent: the controller is not healthy before it",
    )
    report = written(loaded)
    assert row(report, "LOAD-01") == ["LOAD-01", "INCONCLUSIVE", *["–"] * 6]
    told = scenario(report, "LOAD-01")
    assert "No load was sent: the controller is not healthy before it." in told
    assert "It does not count in the place of the result above." in told


def test_seconds_without_an_end_are_told(loaded: Scene) -> None:
    seqs = [
        loaded.journal.append(Kind.LOAD_SECOND, "run-1/users-100", document(second(place))).seq
        for place in range(7)
    ]
    report = written(loaded)
    assert row(report, "LOAD-02")[1] == "NOT RUN"
    assert (
        f"was not run: a run of it was cut off after 7 seconds and never judged (entry {seqs[-1]})."
        in flat(report)
    )
    assert (
        f"**A run was cut off** after 7 seconds (entry {seqs[0]} to entry {seqs[-1]}); it was never judged"
        in scenario(report, "LOAD-02")
    )


def test_of_a_run_that_was_tried_again_the_last_seconds_are_drawn(loaded: Scene) -> None:
    for place in range(40):
        loaded.journal.append(Kind.LOAD_SECOND, "run-1/users-10", document(second(place)))
    record(loaded, load_run(USERS_10), [second(place) for place in range(12)])
    told = scenario(written(loaded), "LOAD-01")
    assert "; 12 seconds from entry" in told
    assert "cut off" not in told


def test_an_old_result_is_stale_with_its_figures(loaded: Scene) -> None:
    record(loaded, load_run(USERS_10))
    loaded.now += timedelta(days=400)
    report = written(loaded)
    assert row(report, "LOAD-01")[:3] == ["LOAD-01", "STALE", "10 users"]
    assert "Its result (PASS) is 400 d 0 h old." in lead_of(report)


def test_text_reads_at_80_columns_and_tables_at_110(loaded: Scene) -> None:
    everything_passes(loaded)
    loaded.start()
    record(loaded, failing(run="run-2"))
    for line, is_code in lines_of(written(loaded)):
        longest = 110 if line.startswith("|") or is_code else 80
        assert len(line) <= longest or len(max(line.split(), key=len)) > 60, line


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(loaded: Scene, text: str) -> None:
    told = clean(text)
    hostile = criterion("p95", Verdict.FAIL, text, text, text)
    run = load_run(
        replace(CAPACITY, title=text),
        verdict=Verdict.FAIL,
        nonce=text,
        criteria=(replace(hostile, title=text, name=text),),
        failures=(FailureCount(Failure.NO_REPLY, 1, told),),
        accounting=Accounting(1, 1, 1, 1, 1, lost=1, examples=(told,), problem=told),
        generator=GeneratorHealth(problem=told),
        capacity=Capacity(
            sentence=told,
            problem=told,
            broke_first=text,
            steps=tuple(replace(one, broke=text) for one in STEPS),
        ),
        before=(Difference(text, 1, 2, 0.1),),
        stopped=told,
        notes=(told,),
        addresses=told,
    )
    record(loaded, run, [second(0, label=text), second(1, label=text)])
    stopped = load_run(USERS_10, verdict=Verdict.INCONCLUSIVE, stopped=told, criteria=(hostile,))
    record(loaded, stopped, [])
    loaded.end(text)
    report = written(loaded)
    some = tokens(report)
    assert not {token.type for token in some} & {"html_block", "html_inline", "image", "hr", "code_block"}
    assert not {token.type for token in some} & {"em_open", "s_open", "ordered_list_open"}
    assert {str(token.attrs["href"]).partition("-")[0] for token in some if token.type == "link_open"} <= {
        "#evidence"
    }
    assert headings(report) == SECTIONS


def test_control_characters_of_a_journal_never_reach_the_report(loaded: Scene) -> None:
    run = load_run(replace(USERS_10, title="ten\x1b[31m users\x07"))
    record(loaded, run, [second(0, label="\x1b]0;owned\x07")])
    report = written(loaded)
    assert all(line.isprintable() for line in report.split("\n"))
