"""What a service was started with is read where this account may, and told with the cure where it may not."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import psutil
import pytest

from checks.probe.running import descendants, look, processes_of

SERVICE = """
import socket, subprocess, sys
listener = socket.create_server(("127.0.0.1", 0))
child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()", "BOT-1"], stdin=subprocess.PIPE)
print(listener.getsockname()[1], flush=True)
sys.stdin.read()
child.kill()
"""


@pytest.fixture(scope="module")
def service() -> Iterator[tuple[int, int]]:
    """A service with one child: its pid and port."""
    command = [sys.executable, "-c", SERVICE, "--workers", "2"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, env={"MARK": "canary", "PATH": os.environ["PATH"]}, **pipes) as process:  # type: ignore[call-overload]
        yield process.pid, int(process.stdout.readline())
        process.stdin.close()


def test_whoever_listens_is_found_with_environment_and_command_line(service: tuple[int, int]) -> None:
    pid, port = service
    for found in (processes_of(port), processes_of(port, pid)):
        (one,) = found.all
        assert not found.problem
        assert (one.pid, one.owner, one.problems) == (pid, os.geteuid(), ())
        assert one.environment
        assert one.environment["MARK"] == "canary"
        assert one.arguments
        assert one.arguments[-2:] == ("--workers", "2")
        assert "canary" not in repr(one)


def test_what_descends_from_it_is_found(service: tuple[int, int]) -> None:
    (child,) = descendants([service[0]])
    assert child.arguments
    assert child.arguments[-1] == "BOT-1"


def test_a_port_where_nobody_listens_and_a_wrong_pid_are_told(service: tuple[int, int]) -> None:
    pid, port = service
    (child,) = descendants([pid])
    assert "No process of this host listens on port 1:" in processes_of(1).problem
    assert f"Process {child.pid} is not the one that listens" in processes_of(port, child.pid).problem
    assert "There is no process 4194399" in processes_of(1, 4194399).problem
    assert look(4194399) is None


def test_what_may_not_be_read_is_told_once_each(
    service: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: psutil.Process) -> None:
        raise psutil.AccessDenied(self.pid)

    monkeypatch.setattr(psutil.Process, "environ", refuse)
    (one,) = processes_of(service[1], service[0]).all
    assert one.environment is None
    assert one.arguments
    (problem,) = one.problems
    assert problem.startswith(
        f"The environment of process {service[0]} may not be read by this account: run gonogo"
    )


def test_sockets_of_others_are_not_taken_for_none(
    service: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = [one._replace(pid=None) for one in psutil.net_connections("tcp")]
    monkeypatch.setattr(psutil, "net_connections", lambda kind: seen)
    found = processes_of(service[1])
    assert found.all == ()
    assert "may not be seen by this account" in found.problem
    assert "[process] pid" in found.problem
