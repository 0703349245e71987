"""The walkthrough of a target that keeps its messages in PostgreSQL."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from checks.model import Area, Verdict
from checks.profile.read import load_target
from checks.review import Review
from tests.demo.serving import served
from tests.postgres import MARKS, PASSWORD, QUOTED, fresh, url_of

pytestmark = MARKS


@pytest.mark.parametrize(("faults", "failing"), [((), set()), (("--fault", "reply-not-stored"), {"WALK-08"})])
async def test_rows_are_read_from_postgresql(
    tmp_path: Path, faults: tuple[str, ...], failing: set[str]
) -> None:
    with fresh() as (_, port), served("--port", "0", "--database", url_of(port), *faults) as demo:
        target = load_target(Path(demo.info["profile"]))
        assert target.database_url.startswith("postgresql")
        review = Review.open(target, base=tmp_path)
        summary = await review.run((Area.WALKTHROUGH,))
        ids = [identity for result in summary.results for identity in result.evidence]
        told = json.dumps([seen.document() for seen in review.evidence(ids).values()])
        review.close()
    assert {result.id for result in summary.results if result.verdict is not Verdict.PASS} == failing
    assert f"postgresql://demo:***@127.0.0.1:{port}/postgres" in told
    assert PASSWORD not in told
    assert QUOTED not in told
