"""Checks are discovered, have what a reader needs, and name only needs that exist."""

from __future__ import annotations

import pytest

from checks.model import Area, Outcome, Safety, Severity, passed
from checks.registry import catalogue, check, with_needs


def test_the_walkthrough_has_its_fourteen_steps_in_order() -> None:
    assert [entry.id for entry in catalogue((Area.WALKTHROUGH,))] == [f"WALK-{n:02}" for n in range(1, 15)]


def test_every_check_says_what_it_sends_and_why_it_matters() -> None:
    for entry in catalogue():
        assert all((entry.title, entry.sends, entry.why, entry.hops or entry.fix)), entry.id
        assert set(entry.hops) <= {"ui", "controller", "bot", "database"}


def test_needs_are_earlier_checks() -> None:
    found = catalogue()
    order = {entry.id: place for place, entry in enumerate(found)}
    for entry in found:
        assert all(order[needed] < order[entry.id] for needed in entry.needs), entry.id


def test_a_step_brings_what_it_needs() -> None:
    assert [entry.id for entry in with_needs(["WALK-05"], catalogue())] == ["WALK-03", "WALK-04", "WALK-05"]


def test_an_id_is_given_once() -> None:
    catalogue()

    async def function(_: object) -> Outcome:
        return passed("")

    with pytest.raises(ValueError, match="WALK-01 is registered twice"):
        check(
            "WALK-01",
            "Again",
            area=Area.WALKTHROUGH,
            severity=Severity.MINOR,
            safety=Safety.READ_ONLY,
            sends="",
            why="",
        )(function)
