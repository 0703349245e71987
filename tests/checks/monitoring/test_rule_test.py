"""Every threshold that ships fires, resolves, stays quiet and misses data as it says."""

from __future__ import annotations

from dataclasses import replace

import pytest

from checks.monitoring.model import AlertSeverity, Comparison, Threshold
from checks.monitoring.rule_test import RuleTest, around, try_rule, try_rules
from checks.monitoring.signals import SIGNALS
from checks.monitoring.thresholds.shipped import shipped


@pytest.mark.parametrize("interval_s", [1.0, 5.0])
def test_every_shipped_threshold_does_what_it_says(interval_s: float) -> None:
    found = try_rules(shipped().values(), interval_s)
    assert set(found) == set(shipped())
    assert {name: test.problem for name, test in found.items() if test.problem} == {}


def test_the_error_rate_of_the_mission_is_one_per_cent_and_not_less() -> None:
    found = try_rule(shipped()["error-rate"], 5.0)
    assert (found.allowed, found.breaking) == (1.0, 1.01)
    assert (found.fired_after_s, found.quiet_fired, found.few_fired) == (60.0, False, False)


@pytest.mark.parametrize("comparison", list(Comparison))
def test_each_comparison_has_values_on_both_sides(comparison: Comparison) -> None:
    threshold = Threshold("x", "X", "host-memory", 80.0, AlertSeverity.WARNING, comparison)
    beyond, within = around(threshold)
    assert comparison.holds(beyond, 80.0)
    assert not comparison.holds(within, 80.0)


def test_a_threshold_that_cannot_fire_is_told() -> None:
    broken = replace(shipped()["error-rate"], limit=float("inf"))
    assert "does not fire" in try_rule(broken, 5.0).problem


def test_it_reads_back_what_it_wrote() -> None:
    found = try_rule(shipped()["restarts"], 5.0)
    assert RuleTest.from_document(found.document()) == found


def test_every_threshold_names_a_signal_and_every_signal_is_watched() -> None:
    assert {one.signal for one in shipped().values()} | {"target-cpu"} == set(SIGNALS)
    for one in shipped().values():
        assert set(one.inhibited_by) <= set(shipped()) - {one.name}
        assert one.origin
        assert one.why
        assert one.runbook
