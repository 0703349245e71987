"""The exported rules: real promtool takes them, and their generated tests fail where a rule is not right."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from checks.monitoring.export.common import number, period
from checks.monitoring.export.rules import selected
from checks.monitoring.export.series import example
from checks.monitoring.export.writing import exported, write
from checks.monitoring.sources.exposition import Selector
from checks.target import Target
from tests.checks.monitoring.exporting import PROFILE, ran, target_of

RULES, TESTS = "gonogo-rules.yml", "gonogo-rules-test.yml"
SHORT = """
[monitoring]
interval_s = 30.0
[escalation]
critical = ["on-call", "lead 2m"]
warning = ["on-call 1m"]
"""
"""Coarse looks: promtool evaluates every rule at each."""
HOSTILE = """
[thresholds.host-memory]
title = "Memory {{ $value }} \\"of\\" {{ .Labels }}"
why = "It's: {{ bad }} # not a comment, 100 % $x"
origin = "- [a]: {b}"
"""


def quick(folder: Path, more: str = "") -> Target:
    """A target whose rules are tried quickly."""
    return target_of(folder, PROFILE.partition("[escalation]")[0] + SHORT + more)


def rules_of(target: Target, folder: Path) -> dict[str, dict[str, Any]]:
    """The first rule of each alert."""
    write(exported(target, ("prometheus",)), folder)
    found: dict[str, dict[str, Any]] = {}
    for group in yaml.safe_load((folder / RULES).read_text("utf-8"))["groups"]:
        for rule in group["rules"]:
            if "alert" in rule:
                found.setdefault(rule["alert"], rule)
    return found


def tried(folder: Path) -> tuple[int, str]:
    """What promtool says of the generated tests."""
    return ran("promtool", "test", "rules", TESTS, folder=folder)


@pytest.mark.parametrize("metrics", ["/metrics", ""], ids=["metrics", "watch-alone"])
def test_promtool_takes_the_rules_and_they_pass_their_tests(tmp_path: Path, metrics: str) -> None:
    text = (PROFILE.partition("[escalation]")[0] + SHORT + HOSTILE).replace('"/metrics"', f'"{metrics}"')
    rules_of(target_of(tmp_path, text), tmp_path)
    for arguments in (
        ("check", "rules", RULES),
        ("check", "config", "prometheus.yml"),
        ("test", "rules", TESTS),
    ):
        code, said = ran("promtool", *arguments, folder=tmp_path)
        assert (code, "FAILED" in said) == (0, False), said[:3000]


WRONG = (
    {
        "ErrorRate": ("gonogo:error_rate:percent5m > 1 ", "gonogo:error_rate:percent5m > 1.01 "),
        "ResponseTime": ("gonogo:response_time:seconds5m > 1 ", "gonogo:response_time:seconds5m > 1.01 "),
        "TargetUp": ("gonogo:target_up:up < 1", "gonogo:target_up:up < 0"),
        "SlowQueries": ("gonogo:slow_queries:per_minute5m > 5", "gonogo:slow_queries:per_minute5m > 5.1"),
        "HostCpu": ("    for: 10m\n", "    for: 11m\n"),
        "DiskUse": ("      threshold: disk-use\n", "      threshold: disk\n"),
        "TargetMemory": ("The service is about to be killed", "The service will be killed"),
        "HostMemory": ("gonogo:host_memory:percent > 80", "gonogo:host_memory:percent > 81"),
        "BurnFast": ("gonogo:burn_fast:burn5m > 14.4", "gonogo:burn_fast:burn5m > 14.5"),
        "Certificate": ("gonogo:certificate:days < 14", "gonogo:certificate:days > 14"),
        "Watchdog": ("expr: vector(1)", "expr: vector(1) > 1"),
        "GonogoWatchDown": (
            "expr: absent(gonogo:watch:age_seconds <= 90)",
            "expr: absent(gonogo:watch:age_seconds)",
        ),
    },
    {
        "ErrorRate": ("gonogo:error_rate:percent5m > 1 ", "gonogo:error_rate:percent5m >= 1 "),
        "ResponseTime": ("gonogo:response_time:seconds5m > 1 ", "gonogo:response_time:seconds5m >= 1 "),
        "HostCpu": ("    for: 10m\n", "    for: 9m\n"),
        "BurnFast": ("gonogo:burn_fast:events1h >= 100", "gonogo:burn_fast:events1h >= 100000000"),
        "BurnSlow": (" and gonogo:burn_slow:events6h >= 200", ""),
        "HostMemoryNoData": ('threshold="host-memory"}) == 1', 'threshold="host-memory"}) == 0'),
        "DiskUseNoData": ('threshold="disk-use"}) == 1 or', 'threshold="disk"}) == 1 or'),
        "CertificateNoData": (
            'threshold="certificate"}) == 1 or absent(',
            'threshold="certificate"}) == 1 or (',
        ),
    },
)
"""Alert -> what is right in its rule, and what would be wrong."""


@pytest.mark.parametrize("wrong", WRONG, ids=("first", "second"))
def test_the_generated_tests_find_each_rule_that_is_wrong(
    tmp_path: Path, wrong: Mapping[str, tuple[str, str]]
) -> None:
    rules_of(quick(tmp_path), tmp_path)
    text = (tmp_path / RULES).read_text("utf-8")
    for right, instead in wrong.values():
        assert right in text
        text = text.replace(right, instead, 1)
    (tmp_path / RULES).write_text(text, "utf-8")
    code, said = tried(tmp_path)
    assert code == 1
    assert set(re.findall(r"alertname: (\w+), time:", said)) == set(wrong), said[:3000]


def test_each_alert_is_tried_in_both_directions(tmp_path: Path) -> None:
    names = set(rules_of(quick(tmp_path), tmp_path))
    fired: set[str] = set()
    quiet: set[str] = set()
    for group in yaml.safe_load((tmp_path / TESTS).read_text("utf-8"))["tests"]:
        for test in group["alert_rule_test"]:
            (fired if test["exp_alerts"] else quiet).add(test["alertname"])
    assert fired == names
    assert quiet == names - {"Watchdog"}


def test_a_threshold_that_is_off_has_no_rule(tmp_path: Path) -> None:
    found = rules_of(quick(tmp_path, "[thresholds.host-cpu]\nis_on = false\n"), tmp_path)
    assert "HostMemory" in found
    assert not any(name.startswith("HostCpu") for name in found)


def test_what_the_profile_says_is_in_the_rules(tmp_path: Path) -> None:
    more = """
[monitoring]
runbooks = "https://wiki.example/run/"
availability_percent = 99.9
[thresholds.error-rate]
limit = 2.5
window_s = 90.0
for_s = 1.5
keep_firing_s = 0.0
[contract.metric]
requests = "http_requests_total"
errors = "http_failures_total"
[thresholds.queue]
title = "Queue"
signal = "pool-waiting"
limit = 3.0
severity = "warning"
"""
    found = rules_of(target_of(tmp_path, PROFILE + more), tmp_path)
    rule = found["ErrorRate"]
    assert rule["expr"] == "gonogo:error_rate:percent1m30s > 2.5 and gonogo:error_rate:events1m30s >= 20"
    assert (rule["for"], "keep_firing_for" in rule) == ("1s500ms", False)
    assert rule["annotations"]["runbook_url"] == "https://wiki.example/run/error-rate.md"
    assert found["Queue"]["labels"]["severity"] == "warning"
    text = (tmp_path / RULES).read_text("utf-8")
    assert 'increase(http_failures_total{job="chat"}[1m30s])' in text
    assert " / 0.001, 1e-06)" in text
    assert ran("promtool", "check", "rules", RULES, folder=tmp_path)[0] == 0


def test_a_ladder_is_climbed_by_longer_rules(tmp_path: Path) -> None:
    write(exported(target_of(tmp_path), ("prometheus",)), tmp_path)
    groups = yaml.safe_load((tmp_path / RULES).read_text("utf-8"))["groups"]
    rules = [
        rule for group in groups for rule in group["rules"] if rule.get("alert") in ("ErrorRate", "HostCpu")
    ]
    assert [(rule["alert"], rule["for"], rule["labels"]["rung"]) for rule in rules] == [
        ("ErrorRate", "1m", "1"),
        ("ErrorRate", "6m", "2"),
        # Nobody is told at once, so the alert itself is for nobody.
        ("HostCpu", "10m", "0"),
        ("HostCpu", "11m", "1"),
    ]


def test_the_target_is_scraped_as_the_watch_does(tmp_path: Path) -> None:
    write(exported(target_of(tmp_path), ("prometheus",)), tmp_path)
    config = yaml.safe_load((tmp_path / "prometheus.yml").read_text("utf-8"))
    target, watch = config["scrape_configs"]
    assert config["global"]["scrape_interval"] == "5s"
    assert target["metrics_path"] == "/base/metrics"
    assert (target["scheme"], target["tls_config"]) == ("https", {"ca_file": str(tmp_path / "ca.pem")})
    assert target["static_configs"] == [{"targets": ["chat.example:8443"]}]
    assert "authorization" not in target
    assert watch["static_configs"] == [{"targets": ["127.0.0.1:9464"]}]


def test_a_token_is_named_by_its_file_where_one_is_needed(tmp_path: Path) -> None:
    text = PROFILE.replace("[contract]", '[contract]\nrest_auth = "bearer"')
    files = {one.name: one for one in exported(target_of(tmp_path, text), ("prometheus",))}
    config = yaml.safe_load(files["prometheus.yml"].text)
    file = config["scrape_configs"][0]["authorization"]["credentials_file"]
    assert file in files["prometheus.yml"].notes[0]


@pytest.mark.parametrize(
    ("selector", "wanted"),
    [
        ("a_total", 'a_total{job="j"}'),
        ("a_total{}", 'a_total{job="j"}'),
        (' a_total { x = "1" , } ', 'a_total{job="j",x = "1"}'),
        ('a{x=~"5..",y!="}{"}', 'a{job="j",x=~"5..",y!="}{"}'),
    ],
)
def test_a_selector_is_kept_to_one_job(selector: str, wanted: str) -> None:
    assert selected(selector, "j") == wanted
    assert Selector.read(wanted).name == Selector.read(selector).name


@pytest.mark.parametrize(
    ("selector", "without"),
    [
        ('a{status=~"5.."}', ""),
        ("a", 'a{status=~"5.."}'),
        ('a{status=~"5..",route!="/health"}', 'a{route=""}'),
        ('a{kind="x",status!~"2..|3.."}', ""),
    ],
)
def test_an_example_of_a_selector_is_one(selector: str, without: str) -> None:
    key = example(selector, without)
    assert key is not None
    assert Selector.read(selector).takes(key)
    assert not without or not Selector.read(without).takes(key)


def test_no_example_is_told_where_none_is_found() -> None:
    assert example('a{x=~"[a-f0-9]{32}"}') is None
    assert example("a", "a") is None


def test_an_odd_selector_is_tried_by_the_watch_instead(tmp_path: Path) -> None:
    more = "[contract.metric]\nrequests = 'r{x=~\"[a-f0-9]{32}\"}'\nerrors = 'e{x=~\"[a-f0-9]{32}\"}'\n"
    rules_of(quick(tmp_path, more), tmp_path)
    code, said = tried(tmp_path)
    assert code == 0, said[:3000]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (0.2, "200ms"), (90, "1m30s"), (3600, "1h"), (86_400, "24h"), (1.5, "1s500ms")],
)
def test_periods(seconds: float, text: str) -> None:
    assert period(seconds) == text


@pytest.mark.parametrize("value", [0.0, 1.0, 14.4, 1e-7, 0.1 + 0.2, 1e18, -3.0])
def test_numbers_read_back_as_they_were(value: float) -> None:
    assert math.isclose(float(number(value)), value, rel_tol=0, abs_tol=0)
