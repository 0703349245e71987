"""The demo on PostgreSQL, with a real server that this module starts for itself."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.demo.client import history, launch, say, settings
from tests.demo.serving import served

PROGRAMS = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
PASSWORD = "canary-p@ss:word/1"
QUOTED = "canary-p%40ss%3Aword%2F1"

pytestmark = [
    pytest.mark.postgres,
    pytest.mark.skipif(not PROGRAMS, reason="needs PostgreSQL's initdb and postgres"),
]


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


@pytest.fixture
def postgres() -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """A fresh server."""
    # The folders of pytest are closed to the account that runs the server.
    folder = Path(tempfile.mkdtemp(prefix="gonogo-postgres-"))
    try:
        with server(folder) as started:
            yield started
    finally:
        shutil.rmtree(folder)


def test_messages_are_kept_in_postgresql_and_its_password_stays_out_of_sight(
    postgres: tuple[subprocess.Popen[bytes], int],
) -> None:
    process, port = postgres
    url = f"postgresql://demo:{QUOTED}@127.0.0.1:{port}/postgres"
    with served("--port", "0", "--database", url) as demo:
        folder = Path(demo.info["profile"]).parent
        known = settings(folder / "credentials.env")
        body = {"username": known["DEMO_USERNAME"], "password": known["DEMO_PASSWORD"]}
        token = httpx.post(f"{demo.url}/api/auth/login", json=body).json()["token"]
        with httpx.Client(base_url=demo.url, headers={"Authorization": f"Bearer {token}"}) as client:
            launch(client, "BOT-001")
            reply = say(client, "BOT-001", "hello 世界").json()["response"]
            expected = [("user", "hello 世界"), ("assistant", reply)]
            assert [
                (message["role"], message["content"]) for message in history(client, "BOT-001")
            ] == expected
            query = "SELECT role, content FROM messages ORDER BY id"
            with psycopg.connect(url) as connection:
                assert connection.execute(query).fetchall() == expected
            process.send_signal(signal.SIGINT)  # ends its sessions too
            process.wait(20)
            assert httpx.get(f"{demo.url}/health/db").status_code == 503
            lost = say(client, "BOT-001", "anybody there?")
            assert (lost.status_code, lost.json()["error"]) == (503, "The database does not answer")
        public = f"postgresql://demo@127.0.0.1:{port}/postgres"
        assert demo.info["database"] == public
        assert tomllib.loads(Path(demo.info["profile"]).read_text("utf-8"))["database"]["url"] == public
        assert known["DEMO_DATABASE_URL"] == url
        for path in (demo.info["profile"], demo.info["log"]):
            text = Path(path).read_text("utf-8")
            assert PASSWORD not in text
            assert QUOTED not in text
