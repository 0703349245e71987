"""The watch's own metrics: what is known has a series, what is missing or does not apply has none."""

from __future__ import annotations

import subprocess
import urllib.request
from dataclasses import replace

from checks.model import utc_now
from checks.monitoring.board import Board
from checks.monitoring.export.own import exposition
from checks.monitoring.model import Alert, AlertKind, AlertState, Reading, Row
from checks.monitoring.serve import CONTENT_TYPE, MetricsServer
from checks.monitoring.sources.exposition import Exposition, Selector
from checks.monitoring.thresholds.shipped import shipped
from checks.text import clean
from tests.checks.monitoring.exporting import program

FIRING = AlertState.FIRING


def row(name: str, reading: Reading, *, is_on: bool = True, state: AlertState = AlertState.INACTIVE) -> Row:
    """A row of a shipped threshold."""
    threshold = replace(shipped()[name], is_on=is_on)
    return Row(threshold, reading, Alert(name, AlertKind.LIMIT, state), Alert(name, AlertKind.NO_DATA))


def board(*rows: Row) -> Board:
    """A board with these rows."""
    return Board(at=utc_now(), rows=rows, looks=7, interval_s=5.0, watcher=clean('a"\\b\nc@host'))


def read(text: str, *selectors: str) -> list[list[float]]:
    """The values of selectors, as the sources read them."""
    scrape = Exposition({one: Selector.read(one) for one in selectors}).read(text)
    return [[sample.value for sample in scrape.samples.get(one, ())] for one in selectors]


def test_a_reading_has_its_value_events_and_short_value() -> None:
    text = exposition(board(row("burn-fast", Reading(3.5, 200.0, 1.25))))
    assert read(
        text,
        'gonogo_reading{threshold="burn-fast",signal="budget-burn",unit="x"}',
        'gonogo_reading_events{threshold="burn-fast"}',
        'gonogo_reading_short{threshold="burn-fast"}',
        'gonogo_reading_missing{threshold="burn-fast"}',
        'gonogo_limit{threshold="burn-fast"}',
        "gonogo_watch_looks_total",
    ) == [[3.5], [200], [1.25], [0], [14.4], [7]]


def test_what_is_missing_does_not_apply_or_is_off_has_no_value() -> None:
    missing = row("error-rate", Reading(None, problem=clean("no answer")))
    absent = row("certificate", Reading(None, applies=False))
    off = row("host-cpu", Reading(5.0), is_on=False)
    text = exposition(board(missing, absent, off))
    assert read(text, "gonogo_reading") == [[]]
    assert read(text, 'gonogo_reading_missing{threshold="error-rate"}') == [[1]]
    assert read(text, 'gonogo_reading_missing{threshold!="error-rate"}') == [[]]


def test_a_value_that_is_no_number_counts_as_missing() -> None:
    text = exposition(board(row("error-rate", Reading(float("nan")))))
    assert read(text, "gonogo_reading", "gonogo_reading_missing") == [[], [1]]


def test_alerts_tell_their_state() -> None:
    text = exposition(board(row("host-memory", Reading(90.0), state=FIRING)))
    of = 'gonogo_alert{threshold="host-memory",kind="limit",state='
    assert read(text, f'{of}"firing"}}', f'{of}"pending"}}') == [[1], [0]]


def test_prometheus_takes_it_without_a_complaint() -> None:
    text = exposition(board(row("error-rate", Reading(1.0, 30.0))))
    done = subprocess.run(
        [program("promtool"), "check", "metrics"],
        input=text,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_it_is_served_on_loopback() -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with MetricsServer(0) as server:
        server.tell(board(row("error-rate", Reading(1.0, 30.0))))
        with opener.open(f"http://127.0.0.1:{server.port}/metrics", timeout=10) as answer:
            assert answer.headers["Content-Type"] == CONTENT_TYPE
            assert b'gonogo_reading{signal="error-rate",threshold="error-rate",unit="%"} 1.0' in answer.read()
