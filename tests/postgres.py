"""A real PostgreSQL server for tests, where its programs are installed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
PASSWORD = "canary-p@ss:word/1"
QUOTED = "canary-p%40ss%3Aword%2F1"

MARKS = [
    pytest.mark.postgres,
    pytest.mark.skipif(not PROGRAMS, reason="needs PostgreSQL's initdb and postgres"),
]
"""For the modules whose tests need it."""


def _account() -> dict[str, Any]:
    """The server refuses to be run by root."""
    return {} if os.getuid() else {"user": "nobody", "group": "nogroup", "extra_groups": []}


@contextmanager
def server(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A PostgreSQL server with its data in `folder`; its process and port."""
    account = _account()
    if account:
        shutil.chown(folder, account["user"], account["group"])
    secret = folder / "password"
    secret.write_text(PASSWORD)
    secret.chmod(0o644)
    data = folder / "data"
    subprocess.run(
        [
            str(PROGRAMS[-1]),
            "-D",
            str(data),
            "-U",
            "demo",
            "-A",
            "scram-sha-256",
            f"--pwfile={secret}",
            "--no-sync",
        ],
        check=True,
        capture_output=True,
        cwd=folder,
        timeout=60,
        **account,
    )
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [
            *(PROGRAMS[-1].with_name("postgres"), "-D", data, "-h", "127.0.0.1", "-p", str(port)),
            *("-k", folder, "-c", "fsync=off"),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=folder,
        **account,
    )
    with process:
        try:
            ready = [str(PROGRAMS[-1].with_name("pg_isready")), "-h", "127.0.0.1", "-p", str(port), "-t", "1"]
            while subprocess.run(ready, capture_output=True).returncode:  # pytest-timeout bounds it
                assert process.poll() is None
            yield process, port
        finally:
            process.send_signal(signal.SIGINT)


@contextmanager
def fresh() -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A fresh server; its process and port."""
    # The folders of pytest are closed to the account that runs the server.
    folder = Path(tempfile.mkdtemp(prefix="gonogo-postgres-"))
    try:
        with server(folder) as started:
            yield started
    finally:
        shutil.rmtree(folder)


def url_of(port: int) -> str:
    """The server's URL with its password."""
    return f"postgresql://demo:{QUOTED}@127.0.0.1:{port}/postgres"
