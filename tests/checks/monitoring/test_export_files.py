"""Alertmanager's configuration, the dashboard, the unit, and how files are written: real programs read them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from checks.model import ReviewError
from checks.monitoring.export.common import MARK, ExportFile
from checks.monitoring.export.writing import EXPORTS, exported, write
from checks.profile.read import target_for_url
from checks.target import Target
from tests.checks.monitoring.exporting import ran, target_of

SECRET = "s3cr3t-T0ken"


def alertmanager(folder: Path, **environ: str) -> dict[str, Any]:
    """The configuration, which real amtool takes."""
    (path,) = write(exported(target_of(folder, **environ), ("alertmanager",)), folder)
    code, said = ran("amtool", "check-config", path)
    assert code == 0, said
    assert SECRET not in path.read_text("utf-8")
    found: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    return found


def receiver(folder: Path, url: str) -> dict[str, Any]:
    """How `on-call` is told whose channel is at `url`."""
    found = alertmanager(folder, TEST_ON_CALL=url)["receivers"]
    return next(one for one in found if one["name"] == "contact-on-call")


def goes_to(folder: Path, **labels: str) -> str:
    """Where real amtool sends an alert."""
    told = [f"{name}={value}" for name, value in labels.items()]
    config = f"--config.file={folder / 'alertmanager.yml'}"
    return ran("amtool", "config", "routes", "test", config, *told)[1].split()[-1]  # after a warning


def test_alerts_climb_the_ladder_of_the_profile(tmp_path: Path) -> None:
    config = alertmanager(tmp_path)
    of = {"threshold": "error-rate", "alertname": "ErrorRate"}
    assert goes_to(tmp_path, severity="critical", rung="1", **of) == "contact-on-call"
    assert goes_to(tmp_path, severity="critical", rung="2", **of) == "contact-lead"
    assert goes_to(tmp_path, severity="warning", rung="0", **of) == "nobody"
    assert goes_to(tmp_path, severity="warning", rung="1", **of) == "contact-on-call"
    assert goes_to(tmp_path, severity="none", alertname="Watchdog") == "nobody"
    # What is not gonogo's is not lost.
    assert goes_to(tmp_path, alertname="Other") == "contact-on-call"
    assert config["route"]["repeat_interval"] == "4h"


def test_consequences_are_inhibited_as_in_the_profile(tmp_path: Path) -> None:
    target = target_of(tmp_path)
    rules = alertmanager(tmp_path)["inhibit_rules"]
    pairs = set()
    for rule in rules[1:]:
        (cause,), (consequences,) = rule["source_matchers"], rule["target_matchers"]
        for name in consequences.partition("=~")[2].strip('"').split("|"):
            pairs.add((cause.partition("=")[2].strip('"'), name))
    assert pairs == {(cause, one.name) for one in target.thresholds for cause in one.inhibited_by}


@pytest.mark.parametrize(
    ("url", "kind", "key"),
    [
        (f"slack://{SECRET}/b/c", "slack_configs", "api_url_file"),
        (f"discord://1/{SECRET}", "slack_configs", "api_url_file"),
        (f"pagerduty://{SECRET}@{SECRET}", "pagerduty_configs", "routing_key_file"),
        (f"opsgenie://{SECRET}", "opsgenie_configs", "api_key_file"),
        (
            f"mailtos://ops:{SECRET}@mail.example?to=oncall@mail.example",
            "email_configs",
            "auth_password_file",
        ),
        (f"json://ops:{SECRET}@127.0.0.1:9999/x?token={SECRET}", "webhook_configs", "url"),
        (f"jsons://hooks.example/{SECRET}", "webhook_configs", "url"),
        (f"tgram://{SECRET}/1", "webhook_configs", "url"),
        (f"mailto://{SECRET}", "webhook_configs", "url"),
        (f"json://[{SECRET}", "webhook_configs", "url"),
        ("", "webhook_configs", "url"),
    ],
)
def test_each_channel_becomes_a_receiver_without_its_secret(
    tmp_path: Path, url: str, kind: str, key: str
) -> None:
    found = receiver(tmp_path, url)
    assert set(found) == {"name", kind}
    (settings,) = found[kind]
    assert key in settings
    assert settings["send_resolved"] is True


def test_a_webhook_on_this_host_is_told_where_it_is(tmp_path: Path) -> None:
    (settings,) = receiver(tmp_path, f"json://ops:{SECRET}@127.0.0.1:9999/on-call")["webhook_configs"]
    assert settings["url"] == "http://127.0.0.1:9999/on-call"
    assert settings["http_config"]["basic_auth"]["password_file"].startswith("/etc/alertmanager/")


def test_what_has_to_be_added_is_told(tmp_path: Path) -> None:
    files = exported(target_of(tmp_path, TEST_ON_CALL=f"slack://{SECRET}/b/c"), ("alertmanager",))
    told = " ".join(files[0].notes)
    assert "TEST_ON_CALL" in told and "TEST_LEAD is not set here" in told
    assert SECRET not in told


def test_nobody_to_tell_is_said(tmp_path: Path) -> None:
    target = target_of(tmp_path, '[target]\nurl = "http://127.0.0.1:8000"\n')
    (file,) = exported(target, ("alertmanager",))
    assert "Nobody is told" in file.notes[-1]
    path = write([file], tmp_path)[0]
    assert ran("amtool", "check-config", path)[0] == 0


def test_the_dashboard_has_a_panel_for_each_threshold_over_what_is_recorded(tmp_path: Path) -> None:
    target = target_of(tmp_path)
    files = {one.name: one.text for one in exported(target, ("grafana", "prometheus"))}
    dashboard = json.loads(files["gonogo-dashboard.json"])
    recorded = {
        rule["record"]
        for group in yaml.safe_load(files["gonogo-rules.yml"])["groups"]
        for rule in group["rules"]
        if "record" in rule
    }
    panels = [one for one in dashboard["panels"] if one["type"] == "timeseries"]
    assert [one["title"] for one in panels] == [one.title for one in target.thresholds]
    for panel, threshold in zip(panels, target.thresholds, strict=True):
        assert {one["expr"] for one in panel["targets"]} <= recorded
        steps = panel["fieldConfig"]["defaults"]["thresholds"]["steps"]
        assert steps[1]["value"] == threshold.limit
        assert [one["color"] for one in steps] == (
            ["green", "red"] if threshold.comparison.value == ">" else ["red", "green"]
        )
    assert len({one["id"] for one in dashboard["panels"]}) == len(dashboard["panels"])
    taken = [(one["gridPos"]["x"], one["gridPos"]["y"]) for one in dashboard["panels"]]
    assert len(set(taken)) == len(taken)
    assert len(dashboard["uid"]) <= 40


def test_the_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    folder = tmp_path / 'a "b" 100%'
    folder.mkdir()
    (path,) = write(exported(target_of(folder), ("systemd",)), tmp_path)
    code, said = ran("systemd-analyze", "verify", path)
    # A program that is not installed where it would be is no fault of the unit.
    wrong = [line for line in said.splitlines() if "gonogo-watch" in line and "not executable" not in line]
    assert wrong == [], code
    text = path.read_text("utf-8")
    assert f'--profile "{tmp_path}/a \\"b\\" 100%%/gonogo.toml" watch --metrics-port 9464' in text
    for line in (
        "Type=exec",
        "Restart=always",
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "StateDirectory=gonogo",
    ):
        assert f"\n{line}\n" in text


def test_a_unit_needs_a_profile_that_stays() -> None:
    with pytest.raises(ReviewError, match="gonogo init"):
        exported(target_for_url("http://127.0.0.1:8000", {}), ("systemd",))


def everything(folder: Path) -> Target:
    """A target with a channel whose URL is a secret, a password in its database URL and a user's password."""
    people = '[contacts.on-call]\nurl_env = "U"\n[escalation]\ncritical = ["on-call"]\n'
    text = f'[target]\nurl = "http://127.0.0.1:8000"\n{people}'
    return target_of(
        folder,
        text,
        U=f"jsons://u:{SECRET}@h.example/{SECRET}",
        GONOGO_USERNAME="ada",
        GONOGO_PASSWORD=SECRET,
        GONOGO_TOKEN=SECRET,
        GONOGO_DATABASE_URL=f"postgresql://a:{SECRET}@localhost/x",
    )


def test_no_export_holds_a_secret_and_each_is_the_same_again(tmp_path: Path) -> None:
    first, again = exported(everything(tmp_path)), exported(everything(tmp_path))
    assert first == again
    assert len(first) == 6
    for file in first:
        assert SECRET not in file.text
        assert not any(SECRET in note for note in file.notes)


def test_files_of_somebody_else_are_kept_and_nothing_is_written(tmp_path: Path) -> None:
    own = tmp_path / "out" / "prometheus.yml"
    own.parent.mkdir()
    own.write_text("# mine\n", "utf-8")
    files = exported(everything(tmp_path))
    with pytest.raises(ReviewError, match=r"prometheus\.yml was not written by an export"):
        write(files, own.parent)
    assert [path.name for path in own.parent.iterdir()] == ["prometheus.yml"]
    assert own.read_text("utf-8") == "# mine\n"
    write(files, own.parent, is_forced=True)
    assert MARK in own.read_text("utf-8")


def test_an_export_is_written_again_over_itself(tmp_path: Path) -> None:
    files = exported(everything(tmp_path))
    first = write(files, tmp_path / "deep" / "out")
    assert write(files, tmp_path / "deep" / "out") == first
    assert sorted(path.name for path in first[0].parent.iterdir()) == sorted(one.name for one in files)
    assert len(first) == sum(map(len, EXPORTS.values()))


def test_a_folder_that_cannot_be_written_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ReviewError, match="cannot be written to"):
        write([ExportFile("a.yml", MARK)], tmp_path / "file" / "out")
