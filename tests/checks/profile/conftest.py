"""A live service on this host, as `gonogo init` would meet it."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).with_name("service.py")
CANARY = "c4n4ry-Zq8vP2xW"
"""Stands in the service's environment and on its command line, and must stand nowhere else."""
PATHS: dict[str, Any] = {
    "/health": {"get": {}},
    "/": {"get": {}},
    "/api/auth/login": {"post": {}},
    "/api/bot/launch": {"post": {}},
    "/api/bot/stop/{id}": {"post": {}},
    "/api/bot/{bot_id}/task": {"post": {}},
    "/api/bots": {"get": {}},
    "/api/chat/history": {"get": {}},
}


@dataclass(frozen=True)
class Service:
    """A running service."""

    port: int
    pid: int
    folder: Path
    database: Path
    log: Path


def make_database(
    path: Path, *, columns: str = "id, bot_id, role, content, timestamp", wal: bool = False
) -> Path:
    """A SQLite file with a messages table and one row."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as connection:
        if wal:
            connection.execute("PRAGMA journal_mode=WAL")
        connection.execute(f"CREATE TABLE messages ({columns})")
        connection.commit()
    return path


def document(**changes: Any) -> str:
    """An OpenAPI document of the contract."""
    base = {"openapi": "3.1.0", "info": {"title": "Chat of the north", "version": "2.7"}, "paths": PATHS}
    return json.dumps(base | changes)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Service]]:
    """Start a service with a canary secret in its environment and on its command line."""
    running: list[subprocess.Popen[bytes]] = []

    def begin(openapi: str = "", *, opened: bool = True, environ: dict[str, str] | None = None) -> Service:
        folder = tmp_path / "service"
        database = make_database(folder / ".deia" / "chat_history.db")
        log, port_file = folder / "controller.log", folder / "port"
        used = database if opened else ":memory:"
        arguments = [sys.executable, str(SCRIPT), str(port_file), str(used)]
        arguments += ["--password", CANARY, f"--token={CANARY}", f"-p{CANARY}", f"admin:{CANARY}", CANARY]
        with log.open("ab") as output:
            process = subprocess.Popen(
                arguments,
                cwd=folder,
                stdout=output,
                stderr=output,
                env={
                    "PATH": os.environ["PATH"],
                    "JWT_SECRET_KEY": CANARY,
                    "SETTING": f"plain-{CANARY}",
                    "DATABASE_URL": f"postgresql://app:{CANARY}@db.example/chat",
                    "DOCUMENT": openapi,
                    **(environ or {}),
                },
            )
        running.append(process)
        deadline = time.monotonic() + 20
        while not port_file.exists():
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline
            time.sleep(0.02)
        return Service(int(port_file.read_text()), process.pid, folder, database, log)

    yield begin
    for process in running:
        process.kill()
        process.wait(10)
