"""Targets for the exports, and the real programs that read them."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import certifi
import pytest

from checks.profile.read import load_target
from checks.target import Target

PROFILE = """
[target]
url = "https://chat.example:8443/base"
name = "Chat"
ca_file = "ca.pem"

[contract]
metrics = "/metrics"

[contacts.on-call]
url_env = "TEST_ON_CALL"
[contacts.lead]
url_env = "TEST_LEAD"

[escalation]
critical = ["on-call", "lead 5m"]
warning = ["on-call 1m"]
"""


def target_of(folder: Path, text: str = PROFILE, **environ: str) -> Target:
    """The target of a profile written into `folder`."""
    path = folder / "gonogo.toml"
    path.write_text(text, "utf-8")
    shutil.copy(certifi.where(), folder / "ca.pem")
    return load_target(path, environ)


def program(name: str) -> str:
    """Where a program is; without it the test is skipped, and fails on the build server, which installs them."""
    found = shutil.which(name)
    if found is None:
        if os.environ.get("CI") and name != "systemd-analyze":  # a container has no systemd
            pytest.fail(f"{name} is not installed")
        pytest.skip(f"needs {name}")
    return found


def ran(name: str, *arguments: object, folder: Path | None = None) -> tuple[int, str]:
    """The exit code of a program, and what it said."""
    done = subprocess.run(
        [program(name), *map(str, arguments)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=100,
        check=False,
    )
    return done.returncode, done.stdout
