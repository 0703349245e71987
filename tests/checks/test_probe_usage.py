"""The usage probe measures real processes, and says None where it does not see."""

from __future__ import annotations

import math
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from checks.probe import usage
from checks.probe.family import group_memory_bytes
from checks.probe.usage import HostProbe, OwnCpu, UsageProbe

BURNING = """
import sys, threading
held = bytearray(b"x" * (64 << 20))
files = [open("/dev/null") for _ in range(40)]
threads = [threading.Thread(target=threading.Event().wait, daemon=True) for _ in range(3)]
for one in threads:
    one.start()
sys.stdout.write("ready\\n"); sys.stdout.flush()
for line in sys.stdin:
    n = 0
    import time
    ends = time.process_time() + float(line)
    while time.process_time() < ends:
        n += 1
    sys.stdout.write("done\\n"); sys.stdout.flush()
"""
PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import sys; print('up', flush=True); sys.stdin.read()"],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE)
child.stdout.readline()
print("ready", flush=True)
for line in sys.stdin:
    child.stdin.close()
    child.wait()
    print("done", flush=True)
"""


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@contextmanager
def running(code: str) -> Iterator[tuple[int, Callable[[str], None]]]:
    """A process; its pid, and what gives it a line and waits for its answer."""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        stdin, stdout = process.stdin, process.stdout
        assert stdin and stdout

        def tell(line: str) -> None:
            stdin.write(line + "\n")
            stdin.flush()
            assert stdout.readline()

        assert stdout.readline()
        try:
            yield process.pid, tell
        finally:
            process.kill()


def test_a_busy_process_shows_its_cpu_memory_descriptors_and_threads() -> None:
    clock = Clock()
    with running(BURNING) as (pid, tell):
        probe = UsageProbe([pid], clock=clock)
        first = probe.look()
        assert first
        assert (first.cpu_percent, first.switches_per_s) == (None, None), (
            "there is nothing to compare with yet"
        )
        tell("0.2")
        clock.now += 1.0
        seen = probe.look()
        assert seen
        assert seen.cpu_percent == pytest.approx(20, abs=4)
        assert seen.memory_bytes and seen.memory_bytes > 64 << 20
        assert seen.pss_bytes and 64 << 20 < seen.pss_bytes <= seen.memory_bytes
        assert seen.descriptors and 43 <= seen.descriptors <= 50
        assert (seen.threads, seen.processes) == (4, 1)
        assert seen.switches_per_s is not None
        clock.now += 0.05
        again = probe.look()
        assert again
        assert again.cpu_percent == seen.cpu_percent, "too short to tell"
        clock.now += 1.0
        idle = probe.look()
        assert idle
        assert idle.cpu_percent == pytest.approx(0, abs=2)


def test_children_count_and_those_that_ended_do_not() -> None:
    clock = Clock()
    with running(PARENT) as (pid, tell):
        probe = UsageProbe([pid], clock=clock)
        seen = probe.look()
        assert seen
        assert seen.processes == 2
        tell("end it")
        clock.now += 0.5
        seen = probe.look()
        assert seen
        assert seen.processes == 1
    assert probe.look() is None, "the one that was named is gone"


@pytest.mark.parametrize("pids", [[], [2**22 + 5], [-1], [2**70]])
def test_a_process_that_is_not_there_shows_nothing(pids: list[int]) -> None:
    assert UsageProbe(pids).look() is None


def test_what_may_not_be_seen_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> int:
        raise PermissionError

    monkeypatch.setattr("psutil.Process.num_fds", refused)
    monkeypatch.setattr(Path, "read_text", refused)
    with running(BURNING) as (pid, _):
        probe = UsageProbe([pid])
        seen = probe.look()
    assert seen
    assert (seen.descriptors, seen.pss_bytes) == (None, None)
    assert probe.is_pss_hidden
    assert probe.are_descriptors_hidden
    assert seen.memory_bytes


def test_pss_is_read_seldom_and_the_seldomer_the_longer_it_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, reads = Clock(), 0

    def slow(pids: object) -> int:
        nonlocal reads
        reads += 1
        time.sleep(0.04)
        return 1000

    monkeypatch.setattr(usage, "_pss", slow)
    with running(BURNING) as (pid, _):
        probe = UsageProbe([pid], clock=clock)
        for _ in range(30):
            seen = probe.look()
            assert seen
            assert seen.pss_bytes == 1000
            clock.now += 1.0
    assert reads == 2, "0.2 % of the time: every 20 s"


def test_open_files_are_counted_by_what_they_are(tmp_path: Path) -> None:
    path, link = tmp_path / "chat.db", tmp_path / "link"
    path.write_text("x")
    link.symlink_to(path)
    code = f"import sys; files = [open({str(link)!r}) for _ in range(3)]; print('ready', flush=True); sys.stdin.read()"
    with running(code) as (pid, _):
        probe = UsageProbe([pid])
        probe.look()
        assert probe.holders(path) == 3
        assert probe.holders(tmp_path / "none") is None


@pytest.mark.parametrize(
    ("lines", "files", "limit"),
    [
        ("0::/system.slice/chat.service\n", {"system.slice/chat.service/memory.max": "536870912"}, 512 << 20),
        ("0::/a/b\n", {"a/b/memory.max": "max", "a/memory.max": "1000"}, 1000),
        ("0::/a\n", {"a/memory.max": "max"}, math.inf),
        ("0::/gone\n", {}, math.inf),
        ("4:memory:/docker/x\n0::/\n", {"memory/docker/x/memory.limit_in_bytes": "2048"}, 2048),
        ("4:memory:/docker/x\n", {"memory/memory.limit_in_bytes": "9223372036854771712"}, math.inf),
        ("", {}, math.inf),
    ],
)
def test_the_memory_limit_is_the_lowest_of_the_control_groups_around(
    tmp_path: Path, lines: str, files: dict[str, str], limit: float
) -> None:
    (tmp_path / "proc" / "7").mkdir(parents=True)
    (tmp_path / "proc" / "7" / "cgroup").write_text(lines)
    for name, text in files.items():
        file = tmp_path / "groups" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text + "\n")
    assert group_memory_bytes(7, proc=tmp_path / "proc", groups=tmp_path / "groups") == limit


def test_the_lower_of_group_and_host_is_what_may_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with running(BURNING) as (pid, _):
        monkeypatch.setattr(usage, "group_memory_bytes", lambda pid: 1000.0)
        assert UsageProbe([pid]).may_use_bytes() == 1000
        monkeypatch.setattr(usage, "group_memory_bytes", lambda pid: math.inf)
        assert 1 << 28 < UsageProbe([pid]).may_use_bytes() < math.inf


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("some avg10=1.25 avg60=0.5 avg300=0.00 total=7\nfull avg10=9.00", 1.25),
        ("", None),
        ("some avg60=1", None),
        ("some avg10=x ", None),
    ],
)
def test_memory_pressure_is_read_or_none(tmp_path: Path, text: str, value: float | None) -> None:
    (tmp_path / "memory").write_text(text)
    assert usage._pressure(tmp_path / "memory") == value
    assert usage._pressure(tmp_path / "none") is None


def test_the_host_shows_its_cpu_between_two_looks() -> None:
    probe, own = HostProbe(), OwnCpu()
    assert probe.look().cpu_percent is None
    ends = time.monotonic() + 0.3
    while time.monotonic() < ends:
        pass
    seen, used = probe.look(), own.look()
    assert seen.cpu_percent is not None
    assert 5 < seen.cpu_percent <= 100
    assert seen.memory_percent and 0 < seen.memory_percent <= 100
    assert used is not None
    assert used > 10
    assert own.look() is None
