"""`gonogo-rules.yml`: recording and alerting rules, and `prometheus.yml`: what is scraped."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from checks.monitoring.export.common import (
    PROMETHEUS_SECRETS,
    ExportFile,
    as_yaml,
    header,
    period,
    watch_port,
)
from checks.monitoring.export.rules import Alerting, Recording, Writer
from checks.target import Target

RULES_FILE = "gonogo-rules.yml"
CONFIG_FILE = "prometheus.yml"
ALERTMANAGER = "127.0.0.1:9093"
SCRAPE_WITHIN_S = 2.0
"""As the watch's own scrapes."""
_DIFFERENCES = (
    "",
    "The alerts are gonogo's, by Prometheus' rules. What Prometheus cannot do as gonogo does:",
    "- a series that appears with a value is not counted from 0: the first errors after a restart may be missed;",
    "- an alert resolves when its data goes missing; its NoData alert fires instead;",
    "- nobody can acknowledge: rung 2, 3, ... of a ladder is the same alert with a longer `for`; silence it in",
    "  Alertmanager by the label `threshold`.",
)


def rules(target: Target) -> ExportFile:
    """The rules of every threshold that is on."""
    writer = Writer(target)
    age, watch_alerts = writer.about_watch()
    groups: list[dict[str, Any]] = [
        _group(target, "gonogo", [age], (writer.watchdog(), *watch_alerts)),
        *(_group(target, f"gonogo-{one.threshold.name}", one.recordings, one.alerts) for one in writer.all()),
    ]
    return ExportFile(RULES_FILE, header(target, *_DIFFERENCES) + as_yaml({"groups": groups}))


def _group(
    target: Target,
    name: str,
    recordings: tuple[Recording, ...] | list[Recording],
    alerts: tuple[Alerting, ...],
) -> dict[str, Any]:
    """Rules of a group are evaluated one after the other: an alert sees what was recorded just before."""
    return {
        "name": name,
        "interval": period(target.profile.monitoring.interval_s),
        "rules": [
            *({"record": one.record, "expr": one.expr} for one in recordings),
            *(_alert(one) for one in alerts),
        ],
    }


def _alert(one: Alerting) -> dict[str, Any]:
    found: dict[str, Any] = {"alert": one.alert, "expr": one.expr}
    if one.for_s:
        found["for"] = period(one.for_s)
    if one.keep_firing_s:
        found["keep_firing_for"] = period(one.keep_firing_s)
    return {**found, "labels": dict(one.labels), "annotations": dict(one.annotations)}


def config(target: Target) -> ExportFile:
    """What Prometheus scrapes: the target's metrics where it has some, and `gonogo watch`."""
    interval_s = target.profile.monitoring.interval_s
    jobs = Writer(target).jobs
    notes: list[str] = []
    scrapes = []
    if target.contract.metrics:
        scrapes.append(_target_scrape(target, jobs.target, notes))
    scrapes.append(
        {
            "job_name": jobs.watch,
            "static_configs": [{"targets": [f"127.0.0.1:{watch_port(target)}"]}],
        }
    )
    document = {
        "global": {
            "scrape_interval": period(interval_s),
            "scrape_timeout": period(min(SCRAPE_WITHIN_S, interval_s)),
            "evaluation_interval": period(interval_s),
        },
        "rule_files": [RULES_FILE],
        "alerting": {"alertmanagers": [{"static_configs": [{"targets": [ALERTMANAGER]}]}]},
        "scrape_configs": scrapes,
    }
    return ExportFile(CONFIG_FILE, header(target, *notes) + as_yaml(document), tuple(notes))


def _target_scrape(target: Target, job: str, notes: list[str]) -> dict[str, Any]:
    parts = urlsplit(target.url)
    host = f"[{target.host}]" if ":" in target.host else target.host
    scrape: dict[str, Any] = {
        "job_name": job,
        "scheme": parts.scheme,
        "metrics_path": parts.path.rstrip("/") + target.contract.metrics,
    }
    if parts.scheme == "https" and target.profile.target.ca_file:
        scrape["tls_config"] = {"ca_file": target.profile.target.ca_file}
    if target.contract.rest_auth == "bearer" and not _is_public(target):
        file = f"{PROMETHEUS_SECRETS}/{job}.token"
        scrape["authorization"] = {"credentials_file": file}
        notes.append(
            f"Put a token of the target that may read its metrics into {file}, for Prometheus alone (0400)."
        )
    scrape["static_configs"] = [{"targets": [f"{host}:{target.port}"]}]
    return scrape


def _is_public(target: Target) -> bool:
    path = target.contract.metrics
    return any(
        path == public or (public.endswith("/") and public != "/" and path.startswith(public))
        for public in target.contract.public
    )
