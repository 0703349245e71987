"""What the demo writes for whoever reviews it: a profile of itself, and the credentials beside it."""

from __future__ import annotations

import importlib.metadata
import json
import os
from collections.abc import Mapping
from urllib.parse import quote

from sqlalchemy.engine import make_url

from console.demo.backup import FOLDER
from console.demo.connecting import pool_under
from console.demo.faults.watched import THRESHOLDS as CARELESS
from console.demo.limits import LIMITS
from console.demo.settings import (
    CREDENTIALS_FILE,
    MAX_COMMAND_BYTES,
    PASSWORD,
    PROFILE_FILE,
    USERNAME,
    Settings,
    write_private,
)
from console.demo.storage import URL_VARIABLE, Store, without_password

Value = str | int | float | list[str]
NAME = "Demo chatbot controller"
CONTRACT_NAMES = {"task": "send", "query": "ws_send"}
"""What the contract calls our operations, where it is another name."""
PUBLIC = ["/", "/health", "/health/db", "/metrics", "/static/", "/api/auth/login", "/api/auth/register"]
"""What everybody may ask for without a token."""
CONTACTS = {"on-call": ("DEMO_NOTIFY_ON_CALL", "On call"), "lead": ("DEMO_NOTIFY_LEAD", "Lead")}
"""Contact -> the variable with the URL of its channel, and who reads it."""
THRESHOLDS: dict[str, Mapping[str, Value]] = {
    "error-rate": {"window_s": 30.0, "for_s": 10.0, "keep_firing_s": 10.0, "least_events": 10},
    "response-time": {"window_s": 30.0, "for_s": 10.0, "keep_firing_s": 10.0, "least_events": 10},
    "target-up": {"for_s": 10.0, "no_data_s": 20.0},
    "websocket-up": {"for_s": 10.0, "no_data_s": 40.0},
    "restarts": {"window_s": 60.0},
    "database-up": {"for_s": 10.0, "no_data_s": 30.0},
    "pool-use": {"for_s": 10.0},
    "pool-waiting": {"for_s": 10.0},
    "slow-queries": {"window_s": 30.0, "for_s": 10.0},
    "target-memory": {"for_s": 10.0},
    # The host is not its own.
    "disk-use": {"limit": 95.0},
    "descriptors": {"for_s": 10.0},
    "log-errors": {"window_s": 30.0, "for_s": 10.0},
    "burn-fast": {"window_s": 60.0, "short_window_s": 15.0, "least_events": 20},
    "burn-slow": {"window_s": 120.0, "short_window_s": 30.0, "least_events": 40},
    "notifier": {"for_s": 10.0},
}
"""Threshold -> its values: what takes minutes elsewhere is to be seen in a demo, firing and over again."""
INTERVAL_S = 2.0
PEAK = 10
"""Requests that it is meant to have under way at the same time."""
DISK_FREE_PERCENT = 5.0
"""It keeps little, and the host is not its own."""
SCENARIOS: dict[str, Mapping[str, Value]] = {
    "users-10": {"think_min_s": 0.2, "think_max_s": 0.6, "ramp_s": 2.0, "hold_s": 20.0, "ramp_down_s": 1.0},
    "users-100": {"ramp_s": 5.0, "hold_s": 15.0, "ramp_down_s": 1.0},
    "rate-1000": {"ramp_s": 2.0, "hold_s": 30.0},
    "capacity": {"step_s": 4.0, "confirm_s": 8.0, "most_rate_per_s": 100.0},
    "soak": {"think_min_s": 0.2, "think_max_s": 0.6, "ramp_s": 40.0, "hold_s": 300.0},
}
"""Load scenario -> its values: the same load as ever, held shorter, for nobody waits an hour for a demo."""
P95_S = 0.4
"""What the demo declares of its replies under load; it is far below."""


def version() -> str:
    """The version of the program that the demo is part of."""
    try:
        return importlib.metadata.version("gonogo")
    except importlib.metadata.PackageNotFoundError:
        return "0"


def write_profile(settings: Settings, url: str, port: int, store: Store, pager_port: int) -> None:
    """Write the profile and the file of credentials that it names, for their owner alone."""
    credentials = {USERNAME: settings.username, PASSWORD: settings.password}
    if store.url.password:
        credentials[URL_VARIABLE] = settings.database_url
    for contact, (variable, _) in CONTACTS.items():
        credentials[variable] = f"json://127.0.0.1:{pager_port}/{contact}"
    lines = "".join(f"{name}={value}\n" for name, value in credentials.items())
    write_private(settings.data / CREDENTIALS_FILE, lines)
    write_private(settings.data / PROFILE_FILE, _profile(settings, url, port, store, pager_port))


def _profile(settings: Settings, url: str, port: int, store: Store, pager_port: int) -> str:
    pool = pool_under(settings.faults)
    target: dict[str, Value] = {"url": url, "name": NAME, "version": version(), "contract": "port8000"}
    if settings.is_tls:
        target["ca_file"] = str(settings.ca_file)
    sections: dict[str, Mapping[str, Value]] = {
        "target": target,
        # Variables of its own: those that are set for another target must not be tried on this one.
        "credentials": {
            "username_env": USERNAME,
            "password_env": PASSWORD,
            "token_env": "DEMO_TOKEN",
            "file": str(settings.data / CREDENTIALS_FILE),
        },
        "database": {"url": _database(settings, store), "url_env": URL_VARIABLE},
        "process": {"port": port, "pid": os.getpid()},
        "log": {"file": str(settings.log)},
        "walkthrough": {
            "bot_type": "claude",
            "launch_within_s": 5.0,
            "reply_within_s": 3.0,
            "stored_within_s": 2.0,
            "stop_within_s": 5.0,
            "down_within_s": 5.0,
            "timeout_s": 5.0,
            "reply": "echo",
        },
        "audit": {
            "config_files": [
                str(file) for file in (settings.env_file, settings.config_file, settings.log_config_file)
            ],
            "sample_files": [str(settings.sample_file)],
            "concurrency": PEAK,
            "backups": str(settings.data / FOLDER),
            "disk_free_percent": 99.0 if "disk-short" in settings.faults else DISK_FREE_PERCENT,
        },
        "audit.declared": {
            "workers": "1",
            "pool_size": str(pool.size),
            "max_overflow": str(pool.max_overflow),
            "pool_timeout_s": str(pool.timeout_s),
            "token_lifetime_s": "3600",
        },
        "review": {"id": "demo"},
        "monitoring": _monitoring(settings),
        "escalation": {
            "critical": ["on-call"] if "ladder-of-one" in settings.faults else ["on-call", "lead 2m"],
            "warning": ["on-call"],
        },
        "contract": {
            "rest_auth": "bearer",
            "max_command_bytes": MAX_COMMAND_BYTES,
            "public": PUBLIC,
            "metrics": "/metrics",
        },
    }
    for contact, (variable, person) in CONTACTS.items():
        read_at = f"{person} (the pager: http://127.0.0.1:{pager_port}/)"
        sections[f"contacts.{contact}"] = {"person": read_at, "url_env": variable}
    thresholds = dict(THRESHOLDS)
    for fault, (name, values) in CARELESS.items():
        if fault in settings.faults:
            thresholds[name] = {**thresholds.get(name, {}), **values}
    for threshold, wanted in thresholds.items():
        sections[f"thresholds.{threshold}"] = wanted
    for operation, limit in LIMITS.items():
        is_declared = not ("limit-undeclared" in settings.faults and operation == "login")
        declared = f"{limit.calls}/{limit.per_s:g}" if is_declared else ""
        sections[f"operations.{CONTRACT_NAMES.get(operation, operation)}"] = {"limit": declared}
    for scenario, values in SCENARIOS.items():
        sections[f"scenarios.{scenario}"] = values
        sections[f"scenarios.{scenario}.criteria"] = {"p95_s": P95_S}
    head = "# Written by the demo target for itself, at each start."
    return "\n\n".join([head, *(_section(name, values) for name, values in sections.items())]) + "\n"


def _monitoring(settings: Settings) -> Mapping[str, Value]:
    if "runbooks-missing" not in settings.faults:
        return {"interval_s": INTERVAL_S}
    empty = settings.data / "runbooks"
    empty.mkdir(exist_ok=True)
    return {"interval_s": INTERVAL_S, "runbooks": str(empty)}


def _database(settings: Settings, store: Store) -> str:
    if "other-database" in settings.faults:
        copy = settings.data / "chat_history_before.db"
        store.copy(copy)
        return f"sqlite:///{quote(str(copy))}"
    return without_password(make_url(settings.database_url))


def _section(name: str, values: Mapping[str, Value]) -> str:
    # A JSON string is a TOML basic string.
    return "\n".join(
        [f"[{name}]", *(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items())]
    )
