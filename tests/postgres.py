"""A real PostgreSQL server for tests, where its programs are installed."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
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
def server(
    folder: Path,
    settings: Sequence[str] = ("fsync=off",),
    *,
    authentication: str = "scram-sha-256",
    addresses: str = "127.0.0.1",
    allowed: str = "",
) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A PostgreSQL server with its data in `folder`; its process and port.

    `allowed` is a further line of pg_hba.conf.
    """
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
            authentication,
            f"--pwfile={secret}",
            "--no-sync",
        ],
        check=True,
        capture_output=True,
        cwd=folder,
        timeout=60,
        **account,
    )
    if allowed:
        with (data / "pg_hba.conf").open("a") as file:
            file.write(allowed + "\n")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [
            *(PROGRAMS[-1].with_name("postgres"), "-D", data, "-h", addresses, "-p", str(port), "-k", folder),
            *(word for setting in settings for word in ("-c", setting)),
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


def outside_address() -> str:
    """An address of this host that is not loopback; empty where it has none."""
    for addresses in psutil.net_if_addrs().values():
        for one in addresses:
            if one.family == socket.AF_INET and not one.address.startswith("127."):
                return str(one.address)
    return ""


@contextmanager
def hardened(kinds: Iterable[str] = ()) -> Iterator[str]:
    """The URL of a database as production has it: an ordinary role `chat` with time-outs that owns it.

    `kinds` spoil that: `superuser` (the URL is the superuser's), `trust` (no password is asked for), `everywhere` (it
    listens on all addresses), `network` (it is reached in clear at an address of this host that is not loopback), or a
    setting of the server as in `fsync=off`.
    """
    import psycopg

    wanted = set(kinds)
    outside = outside_address() if "network" in wanted else ""
    host = outside or "127.0.0.1"
    settings = ["log_min_duration_statement=500", *sorted(kind for kind in wanted if "=" in kind)]
    addresses = "*" if "everywhere" in wanted else ",".join(dict.fromkeys(["127.0.0.1", host]))
    folder = Path(tempfile.mkdtemp(prefix="gonogo-postgres-"))
    try:
        with server(
            folder,
            settings,
            authentication="trust" if "trust" in wanted else "scram-sha-256",
            addresses=addresses,
            allowed=f"host all all {outside}/32 scram-sha-256" if outside else "",
        ) as (_, port):
            with psycopg.connect(url_of(port), autocommit=True) as connection:
                for statement in _ROLE:
                    connection.execute(statement)
            role = "demo" if "superuser" in wanted else "chat"
            tail = "?sslmode=disable" if outside else ""
            yield f"postgresql://{role}:{QUOTED}@{host}:{port}/chat{tail}"
    finally:
        shutil.rmtree(folder)


_ROLE = (
    f"CREATE ROLE chat LOGIN PASSWORD '{PASSWORD}'",
    "CREATE DATABASE chat OWNER chat STRATEGY file_copy",
    "ALTER DATABASE chat SET statement_timeout = '10s'",
    "ALTER DATABASE chat SET idle_in_transaction_session_timeout = '30s'",
)
