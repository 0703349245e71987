"""What the demo writes for whoever reviews it: a profile of itself, and the credentials beside it."""

from __future__ import annotations

import importlib.metadata
import json
import os
from collections.abc import Mapping

from sqlalchemy.engine import make_url

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

NAME = "Demo chatbot controller"
Value = str | int | float


def version() -> str:
    """The version of the program that the demo is part of."""
    try:
        return importlib.metadata.version("gonogo")
    except importlib.metadata.PackageNotFoundError:
        return "0"


def write_profile(settings: Settings, url: str, port: int, store: Store) -> None:
    """Write the profile and the file of credentials that it names, for their owner alone."""
    credentials = {USERNAME: settings.username, PASSWORD: settings.password}
    if store.url.password:
        credentials[URL_VARIABLE] = settings.database_url
    lines = "".join(f"{name}={value}\n" for name, value in credentials.items())
    write_private(settings.data / CREDENTIALS_FILE, lines)
    write_private(settings.data / PROFILE_FILE, _profile(settings, url, port, store))


def _profile(settings: Settings, url: str, port: int, store: Store) -> str:
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
        "database": {"url": without_password(make_url(settings.database_url)), "url_env": URL_VARIABLE},
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
        "review": {"id": "demo"},
        "contract": {"rest_auth": "bearer", "max_command_bytes": MAX_COMMAND_BYTES},
    }
    head = "# Written by the demo target for itself, at each start."
    return "\n\n".join([head, *(_section(name, values) for name, values in sections.items())]) + "\n"


def _section(name: str, values: Mapping[str, Value]) -> str:
    # A JSON string is a TOML basic string.
    return "\n".join(
        [f"[{name}]", *(f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in values.items())]
    )
