"""`gonogo selftest` and what `gonogo checks` says of the bad cases."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from checks.journal import Journal
from checks.model import Kind
from tests.commands.gonogo import Gonogo


@pytest.fixture
def gonogo(tmp_path: Path) -> Gonogo:
    """The command in a folder of its own."""
    return Gonogo(tmp_path)


def test_a_check_is_proved_on_this_host_and_recorded(gonogo: Gonogo) -> None:
    done = gonogo("selftest", "--fault", "unhealthy")
    assert done.code == 0, done.out + done.err
    assert "right      unhealthy: WALK-01" in done.out
    assert "1 checks: 1 proved, 0 UNTRUSTED, 0 unproved" in done.out
    (path,) = gonogo.state.glob("reviews/*/journal.db")
    journal = Journal.open(path, review=path.parent.name, actor="test", read_only=True)
    (entry,) = journal.entries(kinds=(Kind.SELF_TEST,))
    journal.close()
    assert (entry.subject, entry.body) == (
        "WALK-01",
        {"doubt": "", "flagged": ["unhealthy"], "untried": []},
    )


def test_what_there_is_not_is_told_in_a_sentence(gonogo: Gonogo) -> None:
    assert "There is no check 'NO-1'" in gonogo("selftest", "--check", "NO-1").err
    assert "There is no fault 'no'" in gonogo("selftest", "--fault", "no").err


def test_every_check_is_listed_with_a_bad_case_that_proves_it(gonogo: Gonogo) -> None:
    listed = json.loads(gonogo("checks", "--json").out)
    # A drill that came to nothing, and a load run that wakes people, are no faults of a target.
    unproved = {one["id"] for one in listed if not one["faults"]}
    assert unproved == {"MON-06", "MON-08"}, "tests/checks/monitoring/test_judging.py proves these"
    audit = [one for one in listed if one["area"] == "audit"]
    assert len(audit) >= 50
    assert all(one["subject"] and one["fix"] and one["why"] and one["sends"] for one in audit)
