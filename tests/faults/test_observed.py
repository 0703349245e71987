"""A controller of the kind that was once reviewed by hand: its weaknesses are found in plain words and forbid a GO."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from checks.model import Area, Ceiling, Verdict
from checks.profile.read import load_target
from checks.review import Review
from console.demo.launch import DemoProcess

WEAKNESSES = {
    "ENC-01": "plain HTTP",
    "AUTH-03": "built-in default|well-known",
    "JWT-06": "dev-token",
    "RATE-04": "bot id|path",
    "DB-03": "one connection|a single connection",
}
"""Check -> what its sentence has to say."""
FAULTS = ("default-secret", "dev-token", "limit-per-path", "one-connection")


@pytest.mark.timeout(180)
async def test_the_known_weaknesses_are_all_found_and_forbid_a_go(tmp_path: Path) -> None:
    with DemoProcess.start(port=0, faults=FAULTS) as demo:
        review = Review.open(load_target(demo.profile), base=tmp_path / "state")
        try:
            summary = await review.run((Area.AUDIT,))
            found = {one.id: one for one in summary.results}
            for name, words in WEAKNESSES.items():
                assert found[name].verdict is Verdict.FAIL, f"{name}: {found[name].summary}"
                assert re.search(words, found[name].summary), f"{name}: {found[name].summary}"
            assert review.snapshot().judgement.ceiling is Ceiling.NO_GO
            report = review.write_reports(tmp_path).paths[1].read_text("utf-8")
        finally:
            review.close()
    assert "correctly? NO:" in report
    wrong = report.split("## What has to be put right")[1].split("\n## ")[0]
    assert set(WEAKNESSES) <= set(re.findall(r"### (\S+) ", wrong))
