"""Load from the command line: it stops with gonogo, however gonogo ends, and what was measured until then is kept."""

from __future__ import annotations

import re
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from checks.journal import Journal
from checks.journal_verify import verify_file
from checks.model import Kind
from console.demo.launch import DemoProcess
from tests.commands.gonogo import Gonogo

LONG = """
[scenarios.users-10]
think_min_s = 0.05
think_max_s = 0.15
ramp_s = 0.5
hold_s = 60.0
"""
ANSWERED = re.compile(r'chat_messages_total\{channel="websocket"\} (\d+)')


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[DemoProcess]:
    with DemoProcess.start(port=0, data=tmp_path / "demo") as demo:
        text, mark, _ = demo.profile.read_text("utf-8").partition("[scenarios.")
        assert mark
        (tmp_path / "gonogo.toml").write_text(text + LONG, "utf-8")
        yield demo


@pytest.fixture
def gonogo(tmp_path: Path) -> Gonogo:
    return Gonogo(tmp_path)


def answered(demo: DemoProcess) -> int:
    """Messages that the demo has answered, by its own count."""
    with urllib.request.urlopen(f"{demo.url}/metrics", timeout=5) as answer:
        found = ANSWERED.search(answer.read().decode())
    return int(found[1]) if found else 0


def generators_of(pid: int) -> list[psutil.Process]:
    """The load generators of one gonogo."""
    return [one for one in psutil.Process(pid).children() if "checks.load.generator" in one.cmdline()]


def wait_for_end(process: psutil.Process, within_s: float) -> None:
    """Wait until it is gone, or dead and not yet collected by whoever inherited it."""
    deadline = time.monotonic() + within_s
    while process.is_running() and process.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < deadline, f"it is {process.status()}"
        time.sleep(0.01)


def under_load(gonogo: Gonogo, demo: DemoProcess) -> subprocess.Popen[str]:
    """A run that has sent for some seconds."""
    running = gonogo.start("run", "--check", "LOAD-01")
    deadline = time.monotonic() + 30
    while answered(demo) < 200:
        assert time.monotonic() < deadline, "no load came"
        assert running.poll() is None, running.stdout and running.stdout.read()
        time.sleep(0.1)
    return running


def seconds(gonogo: Gonogo) -> list[int]:
    """The complete seconds that the journal has."""
    path = next(gonogo.state.glob("reviews/*/journal.db"))
    assert verify_file(path) == []
    journal = Journal.open(path, review=path.parent.name, actor="test", read_only=True)
    try:
        return [entry.body["at_s"] for entry in journal.entries(kinds=[Kind.LOAD_SECOND])]
    finally:
        journal.close()


def test_a_console_that_is_killed_takes_its_load_with_it(gonogo: Gonogo, demo: DemoProcess) -> None:
    with under_load(gonogo, demo) as running:
        (generator,) = generators_of(running.pid)
        running.send_signal(signal.SIGKILL)
        wait_for_end(generator, 1)
    time.sleep(0.5)  # what had been sent is answered
    count = answered(demo)
    time.sleep(0.5)
    assert answered(demo) == count
    kept = seconds(gonogo)
    assert kept == list(range(len(kept)))
    assert len(kept) >= 1
    again = gonogo("status")
    assert "was interrupted" in again.out or "no end recorded" in again.out


@pytest.mark.parametrize(("number", "code"), [(signal.SIGHUP, 129), (signal.SIGINT, 130)], ids=["HUP", "INT"])
def test_a_signal_ends_the_load_at_once_and_what_was_measured_is_kept(
    gonogo: Gonogo, demo: DemoProcess, number: signal.Signals, code: int
) -> None:
    with under_load(gonogo, demo) as running:
        (generator,) = generators_of(running.pid)
        running.send_signal(number)
        wait_for_end(generator, 1)
        rest = running.stdout.read() if running.stdout else ""
        assert running.wait(20) == code, rest
    assert "INCONCLUSIVE LOAD-01" in rest
    assert seconds(gonogo)


def starve(process: psutil.Process, until: float) -> None:
    """Let it run for a twentieth of the time."""
    while time.monotonic() < until and process.is_running():
        process.suspend()
        time.sleep(0.095)
        process.resume()
        time.sleep(0.005)


def test_a_generator_that_is_starved_never_passes(gonogo: Gonogo, demo: DemoProcess, tmp_path: Path) -> None:
    text = (tmp_path / "gonogo.toml").read_text("utf-8").replace("hold_s = 60.0", "hold_s = 9.0")
    (tmp_path / "gonogo.toml").write_text(text, "utf-8")
    with under_load(gonogo, demo) as running:
        (generator,) = generators_of(running.pid)
        starve(generator, time.monotonic() + 8)
        rest = running.stdout.read() if running.stdout else ""
        assert running.wait(30) == 11, rest
    assert "enerator too slow" in rest
    assert "PASS         LOAD-01" not in rest
