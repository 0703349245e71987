"""Pull the plug at any moment: nothing is lost, nothing is left behind, and the next start says what happened."""

from __future__ import annotations

import signal
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from checks.journal_verify import verify_file
from console.demo.launch import DemoProcess
from tests.commands.gonogo import Gonogo

STEPS = ("WALK-01", "WALK-03", "WALK-04", "WALK-07", "WALK-10", "WALK-12", "WALK-13")
AT_A_TIME = 3


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[DemoProcess]:
    with DemoProcess.start(port=0, data=tmp_path / "demo") as demo:
        yield demo


@pytest.fixture
def gonogo(tmp_path: Path) -> Gonogo:
    return Gonogo(tmp_path)


def bots_of(demo: DemoProcess) -> list[int]:
    """The bots that are alive."""
    children = psutil.Process(demo.pid).children(recursive=True)
    return [child.pid for child in children if child.is_running() and child.status() != psutil.STATUS_ZOMBIE]


def guards_of(pid: int) -> list[psutil.Process]:
    """The dead-man's switches of one gonogo."""
    children = psutil.Process(pid).children()
    return [process for process in children if "checks.guard" in process.cmdline()]


def wait_until_gone(demo: DemoProcess, within_s: float = 25.0) -> bool:
    """Whether every bot is gone in time."""
    deadline = time.monotonic() + within_s
    while bots_of(demo):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def lines_until(process: subprocess.Popen[str], word: str) -> list[str]:
    """The lines that a run printed up to the one that holds `word`."""
    assert process.stdout
    lines = []
    for line in process.stdout:
        lines.append(line)
        if word in line:
            return lines
    raise AssertionError(f"{word} never came: {lines}")


def pulled(where: Path, step: str) -> None:
    """A walkthrough that is killed at `step`, what is left of it, and the next one."""
    where.mkdir()
    gonogo = Gonogo(where)
    with DemoProcess.start(port=0, data=where / "demo") as demo:
        with gonogo.start("run", "walkthrough", "--profile", demo.profile) as running:
            seen = lines_until(running, step)
            running.send_signal(signal.SIGKILL)
        assert wait_until_gone(demo), "a bot is left behind"
        journal = next(gonogo.state.glob("reviews/*/journal.db"))
        assert verify_file(journal) == []
        status = gonogo("status", "--profile", demo.profile)
        assert status.code in (10, 11)
        passed = int(status.out.partition("walkthrough: ")[2].partition(" PASS")[0])
        assert passed >= len([line for line in seen if line.startswith("PASS")])
        again = gonogo("run", "walkthrough", "--profile", demo.profile)
        assert again.code == 0, again.out
        assert "was interrupted after" in again.out
        assert "gonogo ended without warning" in again.out
        assert bots_of(demo) == []


@pytest.fixture(scope="module")
def pulls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[None]]]:
    """Step -> the walkthrough killed there; three at a time, since each of them mostly waits."""
    base = tmp_path_factory.mktemp("pulled")
    with ThreadPoolExecutor(AT_A_TIME) as pool:
        yield {step: pool.submit(pulled, base / step, step) for step in STEPS}


@pytest.mark.parametrize("step", STEPS)
def test_after_kill_9_everything_up_to_then_is_there_and_nothing_runs(
    pulls: dict[str, Future[None]], step: str
) -> None:
    pulls[step].result()


def test_when_the_guard_dies_too_the_next_start_stops_the_bots(gonogo: Gonogo, demo: DemoProcess) -> None:
    with gonogo.start("run", "walkthrough", "--profile", demo.profile) as running:
        lines_until(running, "WALK-06")
        running.send_signal(signal.SIGSTOP)
        guards = guards_of(running.pid)
        assert guards
        for guard in guards:
            guard.kill()
        running.send_signal(signal.SIGKILL)
    assert bots_of(demo), "the bot is there without gonogo and guard"
    again = gonogo("run", "walkthrough", "--profile", demo.profile)
    assert again.code == 0, again.out
    assert "that an interrupted run had launched was stopped" in again.out
    assert bots_of(demo) == []


@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130)],
    ids=["SIGTERM", "SIGHUP", "SIGINT"],
)
def test_a_signal_ends_a_run_cleanly(
    gonogo: Gonogo, demo: DemoProcess, number: signal.Signals, code: int
) -> None:
    with gonogo.start("run", "walkthrough", "--profile", demo.profile) as running:
        lines_until(running, "WALK-07")
        running.send_signal(number)
        rest = running.stdout.read() if running.stdout else ""
        assert running.wait(10) == code, rest
    assert "Interrupted:" in rest
    assert wait_until_gone(demo, 5)
    status = gonogo("status", "--profile", demo.profile)
    assert "was interrupted" in status.out
    assert verify_file(next(gonogo.state.glob("reviews/*/journal.db"))) == []


def test_two_at_once_do_not_disturb_each_other(gonogo: Gonogo, demo: DemoProcess) -> None:
    with gonogo.start("run", "walkthrough", "--profile", demo.profile) as first:
        lines_until(first, "WALK-03")
        second = gonogo("run", "walkthrough", "--profile", demo.profile)
        assert second.code == 2
        assert "open for writing elsewhere" in second.err
        assert f"pid {first.pid}" in second.err
        assert first.wait(30) == 0
    assert verify_file(next(gonogo.state.glob("reviews/*/journal.db"))) == []


def test_two_demos_at_once_have_a_review_each(gonogo: Gonogo) -> None:
    with gonogo.start("run", "walkthrough", "--demo") as first:
        lines_until(first, "WALK-01")
        second = gonogo("run", "walkthrough", "--demo")
        assert second.code == 0, second.out
        assert first.wait(30) == 0
    assert {path.parent.name for path in gonogo.state.glob("reviews/*/journal.db")} == {"demo", "demo-2"}
