"""The look at the live host: a real process, its database and log, and never its secrets."""

from __future__ import annotations

import os
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest

from checks.probe.host import look_at_port
from checks.profile.contract import built_in
from checks.profile.discover import discover
from checks.profile.read import load_target
from checks.profile.storage import chat_database, peek
from checks.profile.write import render, write_new
from console.cli import run_command
from tests.checks.profile.conftest import CANARY, Service, document, make_database

Start = Callable[..., Service]
CONTRACT = built_in()["port8000"]


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        number: int = taken.getsockname()[1]
    return number


def denied(*_: object, **__: object) -> Any:
    """What psutil does where this account has no right."""
    raise psutil.AccessDenied


def test_a_live_service_becomes_a_profile(start: Start, tmp_path: Path) -> None:
    service = start(
        document(
            components={"securitySchemes": {"b": {"type": "http", "scheme": "bearer"}}}, security=[{"b": []}]
        )
    )
    discovery = discover(service.port)
    write_new(tmp_path / "gonogo.toml", render(discovery))
    target = load_target(tmp_path / "gonogo.toml", {})
    assert target.url == f"http://127.0.0.1:{service.port}"
    assert target.title == "Chat of the north 2.7"
    assert target.database_url == f"sqlite:///{service.database}"
    assert target.profile.log.file == str(service.log)
    assert target.contract.rest_auth == "bearer"
    assert [line.partition(":")[0] for line in discovery.missing] == ["a user to sign in as"]
    told = "\n".join(discovery.found)
    for fact in (
        f"pid {service.pid}",
        "service.py",
        str(service.folder),
        "JWT_SECRET_KEY",
        f"pid {os.getpid()} (",
    ):
        assert fact in told


def test_a_secret_of_the_process_is_nowhere_in_what_is_told_or_written(
    start: Start, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    service = start(document())
    assert CANARY in Path(f"/proc/{service.pid}/cmdline").read_text()
    assert CANARY in Path(f"/proc/{service.pid}/environ").read_text()
    out = tmp_path / "gonogo.toml"
    assert run_command(["init", "--port", str(service.port), "--out", str(out)]) == 0
    printed = capsys.readouterr()
    assert str(service.database) in printed.out
    for text in (printed.out, printed.err, out.read_text(), repr(discover(service.port))):
        assert CANARY not in text
    assert out.stat().st_mode & 0o777 == 0o600


def test_a_database_that_is_not_open_is_found_below_the_working_folder(start: Start) -> None:
    service = start(document(), opened=False)
    discovery = discover(service.port)
    assert discovery.values["database", "url"] == str(service.database)
    assert f"database {service.database} with the table messages" in discovery.found


def test_a_database_url_without_a_password_is_taken_over(start: Start) -> None:
    service = start(document(), opened=False, environ={"DATABASE_URL": "postgresql://app@db.example/chat"})
    service.database.unlink()
    discovery = discover(service.port)
    assert discovery.values["database", "url"] == "postgresql://app@db.example/chat"


def test_a_database_url_with_a_password_is_named_and_not_taken_over(start: Start) -> None:
    service = start(document(), opened=False)
    service.database.unlink()
    discovery = discover(service.port)
    assert ("database", "url") not in discovery.values
    assert any("DATABASE_URL carries a password" in sentence for sentence in discovery.missing)


@pytest.mark.parametrize("password", ["p", "p/a", "p@b", "p:c", "", "%40"])
def test_no_spelling_of_a_password_in_a_url_is_taken_for_none(start: Start, password: str) -> None:
    service = start(document(), opened=False, environ={"CHAT_DB_URL": f"postgresql://app:{password}@h/d"})
    service.database.unlink()
    assert ("database", "url") not in discover(service.port).values


def test_nobody_listens(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    port, out = free_port(), tmp_path / "gonogo.toml"
    assert run_command(["init", "--port", str(port), "--out", str(out)]) == 0
    assert f"nobody listens on port {port}" in capsys.readouterr().out
    assert load_target(out, {}).url == f"http://127.0.0.1:{port}"


def test_without_permission_to_see_the_process(
    start: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = start(document())
    real = psutil.net_connections
    monkeypatch.setattr(
        psutil, "net_connections", lambda kind: [one._replace(pid=None) for one in real(kind)]
    )
    discovery = discover(service.port)
    assert (
        f"no permission to see which process listens on port {service.port}; run as its account or root"
        in discovery.missing
    )
    assert any("set [database] url and [log] file" in sentence for sentence in discovery.missing)
    assert discovery.values["target", "name"] == "Chat of the north"
    write_new(tmp_path / "gonogo.toml", render(discovery))
    assert load_target(tmp_path / "gonogo.toml", {}).database_url == ""


def test_each_thing_that_may_not_be_seen_is_told_with_the_pid(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = start(document())
    for name in ("open_files", "environ", "cwd", "cmdline", "net_connections"):
        monkeypatch.setattr(psutil.Process, name, denied)
    view = look_at_port(service.port)
    assert view.service and view.service.pid == service.pid
    for what in ("open files", "environment variables", "working directory", "command line", "connections"):
        assert (
            f"no permission to see the {what} of pid {service.pid}; run as its account or root" in view.notes
        )


def test_sockets_that_may_not_be_listed_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "net_connections", denied)
    assert look_at_port(8000).notes == ("no permission to list the sockets of this host; run as root",)


def test_an_ended_process_is_told(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    service = start(document())

    def gone(*_: object) -> Any:
        raise psutil.NoSuchProcess(service.pid)

    monkeypatch.setattr(psutil.Process, "open_files", gone)
    assert any("ended while it was looked at" in note for note in look_at_port(service.port).notes)


def test_the_newest_database_with_all_columns_is_chosen(tmp_path: Path) -> None:
    old = make_database(tmp_path / "a" / "old.db")
    new = make_database(tmp_path / "b" / "c" / "new.sqlite")
    make_database(tmp_path / "b" / "other.db", columns="id, body")
    make_database(tmp_path / "1" / "2" / "3" / "4" / "deep.db")
    os.utime(old, (1, 1))
    (tmp_path / "text.db").write_text("no database")
    found, _ = chat_database([], tmp_path, CONTRACT)
    assert found and found.path == new
    new.unlink()
    found, _ = chat_database([], tmp_path, CONTRACT)
    assert found and found.path == old
    old.unlink()
    found, looked = chat_database([], tmp_path, CONTRACT)
    assert found is None
    assert [(one.path.name, one.lacking) for one in looked] == [
        ("other.db", ("bot_id", "content", "role", "timestamp"))
    ]


def test_an_open_database_goes_before_a_newer_one_nearby(tmp_path: Path) -> None:
    opened = make_database(tmp_path / "x" / "used.db")
    os.utime(opened, (1, 1))
    make_database(tmp_path / "y" / "copy.db")
    found, _ = chat_database([opened], tmp_path, CONTRACT)
    assert found and found.path == opened


def test_a_database_in_wal_mode_is_read_without_leaving_files(tmp_path: Path) -> None:
    path = make_database(tmp_path / "chat.db", wal=True)
    before = {file.name: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
    assert peek(path, CONTRACT).is_chat
    assert (
        {file.name: file.stat().st_mtime_ns for file in tmp_path.iterdir()}
        == before
        == {"chat.db": before["chat.db"]}
    )


def test_what_is_in_the_write_ahead_log_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE messages (id, bot_id, role, content, timestamp)")
        connection.commit()
        assert peek(path, CONTRACT).is_chat


def test_a_broken_database_is_told(tmp_path: Path) -> None:
    path = tmp_path / "chat.db"
    path.write_bytes(b"SQLite format 3\0" + b"\1" * 200)
    assert "could not be read" in peek(path, CONTRACT).problem


def test_a_log_that_the_service_opened_itself_goes_before_redirected_output(tmp_path: Path) -> None:
    code = (
        "import socket, sys, pathlib; logs = [open(sys.argv[1] + name, 'a') for name in ('/access.log', '/app.log')];"
        "s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1], flush=True); sys.stdin.read()"
    )
    with (
        (tmp_path / "stderr.log").open("ab") as errors,
        subprocess.Popen(
            [sys.executable, "-c", code, str(tmp_path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={"SECRET_TOKEN": str(tmp_path), "PWD": sys.executable},
        ) as process,
    ):
        assert process.stdout
        port = int(process.stdout.readline())
        view = look_at_port(port)
        process.communicate()
    assert view.service
    assert [path.name for path in view.service.logs] == ["app.log", "stderr.log", "access.log"]
    assert view.service.command_line == f"{sys.executable} -c *** ***"
