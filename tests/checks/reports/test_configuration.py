"""The report of the audit: what fails with its fix, what could not be read once, and nothing that was not measured."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from checks.model import Area, Kind, Reason, Severity, Subject, Verdict
from checks.registry import Check
from tests.checks.reports.reading import headings, tokens
from tests.checks.reports.scene import Scene, check
from tests.checks.reports.test_content import flat, lead_of, section
from tests.checks.reports.test_markdown import HOSTILE

UNREAD = "The environment of pid 12 may not be read: run gonogo as its account or root"


def one(check_id: str, subject: Subject, severity: Severity = Severity.BLOCKER) -> Check:
    """One check of the audit."""
    built = check(check_id, f"{check_id} holds", severity)
    return replace(
        built, area=Area.AUDIT, subject=subject, why="Tokens can be forged", fix=f"FIX={check_id}\nreload"
    )


@pytest.fixture
def audited(scene: Scene) -> Scene:
    """A review with four checks of two subjects, in the middle of a run."""
    scene.checks = (
        one("DB-01", Subject.DATABASE, Severity.MINOR),
        one("DB-02", Subject.DATABASE),
        one("JWT-01", Subject.JWT),
        one("JWT-02", Subject.JWT, Severity.MAJOR),
    )
    scene.start()
    return scene


def written(scene: Scene, tmp_path: Path) -> str:
    """The report of the audit."""
    return scene.write(tmp_path).paths[1].read_text("utf-8")


def test_what_fails_is_told_with_its_evidence_and_its_fix_the_heaviest_first(
    audited: Scene, tmp_path: Path
) -> None:
    audited.result("DB-01", Verdict.FAIL, summary="a minor thing is wrong")
    audited.result("DB-02")
    failure = audited.result(
        "JWT-01", Verdict.FAIL, summary="the secret is a well-known one", observed="9 bytes"
    )
    audited.result("JWT-02")
    report = written(audited, tmp_path)
    assert "correctly? NO:** 2 of 4 checks passed, 2 FAIL (1 blocker, 1 minor)." in lead_of(report)
    wrong = section(report, "What has to be put right")
    assert re.findall(r"### (\S+) ", wrong) == ["JWT-01", "DB-01"]
    assert (
        f"the secret is a well-known one. ([{failure.body['evidence'][0][:12]}]; entry {failure.seq})"
        in wrong
    )
    assert "Observed: 9 bytes." in wrong
    assert "Why it matters: Tokens can be forged." in wrong
    assert "```text\nFIX=JWT-01\nreload\n```" in report
    assert "FIX=JWT-02" not in report, "a check that passes needs no fix"
    assert re.findall(r"### (Database|JWT)\n", report) == ["Database", "JWT"]


def test_a_source_that_cannot_be_read_is_told_once(audited: Scene, tmp_path: Path) -> None:
    for name in ("DB-01", "DB-02", "JWT-01"):
        audited.result(name, Verdict.INCONCLUSIVE, reason=Reason.NO_RIGHT, summary=UNREAD)
    audited.result("JWT-02", Verdict.INCONCLUSIVE, reason=Reason.CONTROL, summary="the control did not trip")
    report = written(audited, tmp_path)
    assert "correctly? NOT DECIDABLE:** 0 of 4 checks passed, 4 INCONCLUSIVE." in lead_of(report)
    unread = section(report, "What could not be read")
    assert unread == f"- {UNREAD}. Checks that could not be judged without it: DB-01, DB-02, JWT-01."
    assert "JWT-02 JWT-02 holds (control): the control did not trip." in section(
        report, "What could not be judged"
    )


def test_what_does_not_apply_is_no_pass_and_no_hindrance(audited: Scene, tmp_path: Path) -> None:
    for name in ("DB-01", "DB-02", "JWT-01"):
        audited.result(name)
    audited.result(
        "JWT-02", Verdict.NA, reason=Reason.NOT_APPLICABLE, summary="The secret is symmetric", evidence=()
    )
    report = written(audited, tmp_path)
    assert "correctly? YES:** 3 of 4 checks passed, 1 NA." in lead_of(report)
    assert "JWT-02: The secret is symmetric." in section(report, "Subject by subject")
    assert section(report, "What has to be put right") == "No check failed."


def test_a_check_that_let_its_bad_case_through_is_not_believed(audited: Scene, tmp_path: Path) -> None:
    for entry in audited.checks:
        audited.result(entry.id)
    told = "the fault weak-secret was not flagged on this host"
    audited.journal.append(Kind.SELF_TEST, "JWT-01", {"doubt": told})
    audited.journal.append(Kind.SELF_TEST, "JWT-02", {"doubt": ""})
    report = written(audited, tmp_path)
    assert "correctly? NOT DECIDABLE:** 3 of 4 checks passed, 1 INCONCLUSIVE." in lead_of(report)
    assert f"JWT-01 JWT-01 holds (met): {told}." in section(report, "What could not be judged")
    assert f"JWT-01 JWT-01 holds: {told}." in section(report, "The last run")


def test_nothing_run_says_so(scene: Scene, tmp_path: Path) -> None:
    scene.checks = (one("JWT-01", Subject.JWT),)
    report = written(scene, tmp_path)
    assert "correctly? NOT DECIDABLE:** nothing was looked at." in lead_of(report)
    assert section(report, "What has to be put right") == "Nothing was looked at."


@pytest.mark.parametrize("text", HOSTILE)
def test_hostile_text_stays_text(audited: Scene, tmp_path: Path, text: str) -> None:
    audited.result("DB-01", Verdict.INCONCLUSIVE, reason=Reason.NO_SOURCE, summary=text, observed=text)
    audited.result("DB-02", Verdict.FAIL, summary=text, observed=text, expected=text)
    audited.result("JWT-01", Verdict.NA, reason=Reason.NOT_APPLICABLE, summary=text)
    audited.result("JWT-02", observed=text)
    audited.journal.append(Kind.SELF_TEST, "JWT-02", {"doubt": text})
    report = written(audited, tmp_path)
    some = tokens(report)
    assert not {token.type for token in some} & {"html_block", "html_inline", "image", "hr", "code_block"}
    assert not {token.type for token in some} & {"em_open", "s_open", "ordered_list_open"}
    assert headings(report)[-1] == "Evidence"
    assert flat(report)
