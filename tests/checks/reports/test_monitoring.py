"""The report of monitoring: every figure is one of the journal's, nothing is claimed that was not tried."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from checks.model import Area, Kind, Severity, Subject, Verdict
from checks.monitoring.board import Drill, threshold_document
from checks.monitoring.model import Alert, AlertKind, AlertState, Delivery, Message, Told
from checks.monitoring.rule_test import try_rules
from checks.monitoring.signals import SIGNALS
from checks.monitoring.thresholds.shipped import shipped
from checks.text import clean
from tests.checks.reports.reading import headings, tokens
from tests.checks.reports.scene import NOON, Scene, check
from tests.checks.reports.test_content import flat
from tests.checks.reports.test_markdown import HOSTILE


def body(**more: Any) -> dict[str, Any]:
    """What the checks of monitoring rest on, as the journal has it."""
    firing = Alert("error-rate", AlertKind.LIMIT, AlertState.RESOLVED, NOON, NOON, NOON, NOON, 2.4)
    drill = Drill(
        "d1",
        "error-rate",
        "on-call",
        NOON,
        NOON + timedelta(seconds=61),
        NOON + timedelta(seconds=63),
        NOON + timedelta(seconds=127),
        NOON + timedelta(seconds=130),
        clean("ada@ops"),
    )
    message = Message(
        "m1",
        firing.id,
        Told.FIRING,
        "on-call",
        clean("FIRING"),
        clean("x"),
        NOON,
        Delivery.SENT,
        1,
        clean("200 OK"),
    )
    return {
        "thresholds": [
            threshold_document(one) | {"unit": SIGNALS[one.signal].unit, "edited": ""}
            for one in shipped().values()
        ],
        "readings": {
            "error-rate": {
                "value": 0.25,
                "events": 400,
                "source": "/metrics",
                "problem": "",
                "applies": True,
            },
            "certificate": {"value": None, "events": None, "source": "", "problem": "", "applies": False},
        },
        "tests": [test.document() for test in try_rules(shipped().values(), 5.0).values()],
        "fired": [{"alert": firing.document(), "value": 2.4, "limit": 1.0, "seq": 7}],
        "drills": [drill.document()],
        "messages": [message.document()],
        "contacts": [
            {"name": "on-call", "person": "Ada", "channel": "json", "url_env": "ADA"},
            {"name": "lead", "person": "", "channel": "", "url_env": "GRACE"},
        ],
        "ladders": {
            "critical": [{"contact": "on-call", "after_s": 0.0}, {"contact": "lead", "after_s": 300.0}],
            "warning": [],
        },
        "interval_s": 5.0,
        "availability_percent": 99.5,
        "watch_head": 12,
        **more,
    }


@pytest.fixture
def watched(scene: Scene) -> Scene:
    """A review with two checks of monitoring, in the middle of a run."""
    plain = check("MON-01", "Error rate above 1 % raises an alert")
    scene.checks = (
        replace(plain, area=Area.MONITORING, subject=Subject.WATCHING),
        replace(plain, id="MON-06", area=Area.MONITORING, subject=Subject.TELLING, severity=Severity.BLOCKER),
    )
    scene.start()
    return scene


def written(scene: Scene, tmp_path: Path) -> str:
    """The report of monitoring."""
    return next(
        path.read_text("utf-8") for path in scene.write(tmp_path).paths if path.name == "MONITORING-SETUP.md"
    )


def row(report: str, heading: str, name: str) -> list[str]:
    """The cells of the row that begins with `name` below a heading."""
    part = report.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    line = next(line for line in part.split("\n") if line.startswith(f"| `{name}`"))
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_each_threshold_is_told_with_its_limit_and_its_value(watched: Scene, tmp_path: Path) -> None:
    watched.journal.append(Kind.MONITORED, "monitored", body())
    watched.result("MON-01")
    watched.end()
    report = written(watched, tmp_path)
    assert row(report, "Thresholds", "error-rate")[1:6] == ["> 1 %", "5 min", "1 min", "critical", "0.25 %"]
    assert row(report, "Thresholds", "certificate")[5] == "does not apply here"
    assert row(report, "Thresholds", "host-memory")[5] == "NO DATA"
    for one in shipped().values():
        assert f"| `{one.name}`" in report


def test_the_proof_is_that_of_the_rules(watched: Scene, tmp_path: Path) -> None:
    watched.journal.append(Kind.MONITORED, "monitored", body())
    watched.end()
    report = written(watched, tmp_path)
    cells = row(report, "Proof that each alert fires", "error-rate")
    assert cells[1:6] == ["1.01", "1 min", "1 min", "1: quiet", "2 min"]
    assert cells[6:] == ["2026-03-01 12:00:00 UTC", "as it says"]
    assert row(report, "Proof that each alert fires", "restarts")[6] == "–"


def test_ladder_and_drill_are_told_with_their_times(watched: Scene, tmp_path: Path) -> None:
    watched.journal.append(Kind.MONITORED, "monitored", body())
    watched.end()
    report = written(watched, tmp_path)
    assert "not set: GRACE" in report
    assert "**Nobody.**" in report
    drills = flat(report.split("\n## Drills\n", 1)[1].split("\n## ", 1)[0])
    for told in ("| 61 s ", "| 63 s ", "| 127 s ", "| 130 s ", "ada@ops", "on-call (rung 1)"):
        assert told in drills
    messages = report.split("\n## Messages\n", 1)[1].split("\n## ", 1)[0]
    assert re.search(r"\| `on-call` +\| 1 +\| 1 +\| 0 ", messages)


def test_without_a_run_nothing_is_filled_in(watched: Scene, tmp_path: Path) -> None:
    report = written(watched, tmp_path)
    assert "reach somebody? NOT DECIDABLE:** nothing was looked at" in flat(report)
    assert "nothing below is filled in" in flat(report)
    assert "## Thresholds" not in report
    assert "gonogo export all" in report


def test_what_is_open_comes_first(watched: Scene, tmp_path: Path) -> None:
    watched.result("MON-01", Verdict.FAIL, summary="Error rate is told at 5 % only")
    watched.result("MON-06", Verdict.INCONCLUSIVE, summary="No drill has been made")
    watched.journal.append(Kind.MONITORED, "monitored", body(drills=[], messages=[]))
    watched.end()
    report = written(watched, tmp_path)
    still_open = flat(report.split("\n## What is still open\n", 1)[1].split("\n## ", 1)[0])
    assert "Error rate is told at 5 % only" in still_open
    assert "No drill has been made" in still_open
    assert "None was made: whether an alert reaches a person is not known." in flat(report)
    assert "No message was sent yet." in report


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_inert(watched: Scene, tmp_path: Path, text: str) -> None:
    plain = written(watched, tmp_path / "plain")
    found = body()
    found["readings"]["error-rate"]["source"] = text
    found["contacts"][0]["person"] = text
    found["drills"][0]["answered_by"] = text
    found["messages"][0] |= {"title": text, "answer": text}
    watched.journal.append(Kind.MONITORED, "monitored", found)
    watched.result("MON-01", summary=text, observed=text)
    watched.end()
    report = written(watched, tmp_path)
    some = tokens(report)
    assert not {token.type for token in some} & {"html_block", "html_inline", "image", "hr", "code_block"}
    assert not {token.type for token in some} & {"s_open", "ordered_list_open"}
    assert set(headings(plain)) <= set(headings(report))
    assert len(headings(report)) <= len(headings(plain)) + 9
