"""What a line of the step list says before, during and after a run."""

from __future__ import annotations

import pytest

from checks.fold import CheckState
from checks.model import Area, Severity, State, Verdict
from screens.picture import Progress
from screens.step_text import row
from tests.checks.builders import result


def state(found: State, verdict: Verdict | None) -> CheckState:
    """The state of the first step."""
    latest = result("WALK-01", verdict) if verdict else None
    return CheckState("WALK-01", "Controller is healthy", Area.WALKTHROUGH, Severity.BLOCKER, found, latest)


RUN = Progress(run="r", checks=("WALK-01", "WALK-02"))


@pytest.mark.parametrize(
    ("entry", "progress", "outcome", "title"),
    [
        (state(State.NOT_RUN, None), None, "NOT RUN", "Controller is healthy"),
        (state(State.NOT_RUN, None), RUN, "NOT RUN", "Controller is healthy"),
        (state(State.FAIL, Verdict.FAIL), None, "FAIL", "Controller is healthy"),
        (state(State.FAIL, Verdict.FAIL), RUN, "TO COME", "Controller is healthy (so far FAIL)"),
    ],
    ids=["never run", "to be run for the first time", "judged", "to be run again"],
)
def test_an_older_verdict_is_told_as_the_older_one(
    entry: CheckState, progress: Progress | None, outcome: str, title: str
) -> None:
    shown = row(entry, progress, now=1.0)
    assert (shown.outcome, shown.title) == (outcome, title)
