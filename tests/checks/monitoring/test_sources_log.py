"""Error lines are counted as the log gains them, whatever is written there and however it is rotated."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from checks.model import utc_now
from checks.monitoring.model import Reading
from checks.monitoring.sources import asking
from checks.monitoring.sources.asking import Notes
from checks.monitoring.sources.log_lines import LogLines, count_errors
from checks.probe import log_growth
from checks.probe.journald import JournalProbe
from checks.probe.log_growth import LogGrowth
from checks.probe.redaction import Redactor
from tests.checks.monitoring.collecting import collecting


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that is busy with other tests takes longer than a production host should."""
    monkeypatch.setattr(asking, "LOOK_WITHIN_S", 30.0)


@pytest.mark.parametrize(
    ("line", "is_error"),
    [
        ('{"time": "2026-11-24T10:00:00Z", "level": "ERROR", "event": "failed"}', True),
        ('{"level": "CRITICAL", "event": "x"}', True),
        ('{"level": "error"}', True),
        ('{"level": 50, "msg": "pino"}', True),
        ('{"level": 30, "msg": "pino"}', False),
        ('{"level": "INFO", "event": "ERROR is a word here"}', False),
        ('{"level": "WARNING"}', False),
        ('{"event": "no level, an error"}', False),
        ("2026-11-24 10:00:00,123 ERROR chat: the bot is gone", True),
        ("2026-11-24 10:00:00,123 INFO chat: ERROR was told to the user", False),
        ("[CRITICAL] disk", True),
        ("WARNING: no ERRORS", False),
        ("ValueError: an error without a level", False),
        ("time=2026-11-24T10:00:00Z level=error msg=failed", True),
        ("time=2026-11-24T10:00:00Z level=info msg=error", False),
        ("", False),
        ("\x00\x1b[31m", False),
    ],
)
def test_lines_of_level_error_are_counted(line: str, is_error: bool) -> None:
    assert count_errors([line.encode("utf-8", "surrogateescape")]) == is_error


def test_hostile_lines_of_a_log_are_counted_or_not_but_never_in_the_way() -> None:
    lines = [
        b"\xff\xfe ERROR",
        b"ERROR " + b"x" * 500_000,
        b"x" * 500_000 + b" ERROR",
        b"ERROR " + b"a=" * 250_000,
        b'{"level": ' * 5000 + b"ERROR",
        b'{"level": {"error": 1}}',
        b'{"level": "\xc2\xb2", "e": "ERROR"}',
        b'{"level": "ERROR", "time": ' + b"9" * 4000 + b"}",
        b'{"level": "ERROR", "time": ' + b"9" * 60_000 + b"}",
    ]
    # In a process of its own: a pattern that runs away cannot be interrupted.
    code = (
        "import sys; from checks.monitoring.sources.log_lines import count_errors\n"
        "print(count_errors(sys.stdin.buffer.read().split(b'\\n')))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=b"\n".join(lines * 20),
        capture_output=True,
        timeout=60,
        check=True,
    )
    assert int(done.stdout) >= 3 * 20


@pytest.fixture
def growth(tmp_path: Path) -> LogGrowth:
    """A log with one line."""
    path = tmp_path / "chat.log"
    path.write_bytes(b"before\n")
    return LogGrowth(path, Redactor(), utc_now)


def append(path: Path, text: bytes) -> None:
    """Write to the end of a log."""
    with path.open("ab") as file:
        file.write(text)


def test_only_what_was_appended_is_read(growth: LogGrowth) -> None:
    assert growth.gained().lines == ()
    append(growth.path, b"one\ntwo\r\n")
    assert growth.gained().lines == (b"one", b"two")
    assert growth.gained().lines == ()


def test_a_line_is_read_once_it_is_whole(growth: LogGrowth) -> None:
    growth.gained()
    append(growth.path, b"one\ntw")
    assert growth.gained().lines == (b"one",)
    append(growth.path, b"o\n")
    assert growth.gained().lines == (b"two",)


def test_a_rotated_log_is_read_to_its_end_and_then_the_new_one(growth: LogGrowth) -> None:
    growth.gained()
    append(growth.path, b"one\n")
    growth.path.rename(growth.path.with_name("chat.log.1"))
    append(growth.path, b"two\n")
    assert growth.gained().lines == (b"one", b"two")
    append(growth.path, b"three\n")
    assert growth.gained().lines == (b"three",)


def test_a_truncated_log_begins_anew(growth: LogGrowth) -> None:
    append(growth.path, b"much that stands in it\n" * 50)
    growth.gained()
    growth.path.write_bytes(b"one\n")
    assert growth.gained().lines == (b"one",)
    # Emptied, and grown beyond where it was.
    growth.path.write_bytes(b"another line that is new\n" * 90)
    assert len(growth.gained().lines) == 90


def test_a_log_that_grows_too_fast_is_read_from_its_newest_part(
    growth: LogGrowth, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(log_growth, "MOST_BYTES", 1000)
    growth.gained()
    append(growth.path, b"0123456789abcde\n" * 1000)
    gained = growth.gained()
    assert gained.was_cut
    assert 60 <= len(gained.lines) <= 64
    append(growth.path, b"last\n")
    assert growth.gained() == log_growth.Gained((b"last",))


def test_a_log_that_comes_later_is_read_from_its_beginning(tmp_path: Path) -> None:
    growth = LogGrowth(tmp_path / "later.log", Redactor(), utc_now)
    assert "is not there" in growth.gained().error
    append(growth.path, b"one\n")
    assert growth.gained() == log_growth.Gained((b"one",))
    growth.path.unlink()
    growth.path.mkdir()
    assert "is a folder" in growth.gained().error


async def test_error_lines_a_minute_come_from_the_profiles_log(tmp_path: Path) -> None:
    path = tmp_path / "chat.log"
    path.write_text('{"level": "ERROR"}\n' * 100)
    async with collecting(tmp_path, ["log-errors"], metrics="", log={"file": str(path)}) as found:
        first = (await found.look())["log-errors"]
        append(path, b'{"level": "ERROR"}\n{"level": "INFO"}\n' * 12)
        second = (await found.look(60.0))["log-errors"]
        path.unlink()
        gone = [(await found.look())["log-errors"] for _ in range(4)]
        append(path, b"ERROR again\n")
        back = (await found.look())["log-errors"]
    assert (first.value, first.source) == (0.0, str(path))
    assert second.value == 12.0
    assert not gone[0].is_missing
    assert gone[3].is_missing
    assert "is not there: set [log] file" in gone[3].problem
    assert (back.value or 0) > 0


async def test_what_a_log_that_comes_later_holds_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "later.log"
    async with collecting(tmp_path, ["log-errors"], metrics="", log={"file": str(path)}) as found:
        missing = (await found.look())["log-errors"]
        path.write_bytes(b"ERROR one\nINFO two\nERROR three\n")
        seen = (await found.look(60.0))["log-errors"]
    assert missing.is_missing
    assert seen.value == 2.0


async def test_without_a_log_there_is_nothing_to_watch(tmp_path: Path) -> None:
    async with collecting(tmp_path, ["log-errors"], metrics="", process={"port": 1}) as found:
        reading = (await found.look())["log-errors"]
    assert reading == Reading(None, applies=False)


JOURNAL = """#!/bin/sh
cat "$(dirname "$0")/records"
"""
RECORD = '{{"__REALTIME_TIMESTAMP": "17640000000000{0:02}", "PRIORITY": "{1}", "MESSAGE": "line {0}"}}\n'


async def test_a_journal_is_read_on_and_nothing_is_counted_twice(tmp_path: Path) -> None:
    program, records = tmp_path / "journalctl", tmp_path / "records"
    program.write_text(JOURNAL, "utf-8")
    program.chmod(0o755)
    records.write_text(RECORD.format(1, 3) + RECORD.format(2, 6))
    async with collecting(tmp_path, [], metrics="") as found:
        lines = LogLines(found.context, Notes(), mono=found.clock, interval_s=5.0)
        journal = JournalProbe("chat.service", Redactor(), program=str(program))
        lines._journal, lines.name, lines._mark = journal, journal.name, await journal.mark()
        counts = []
        for place in range(3, 6):
            await lines._look()
            counts.append(lines.rise(3600.0).value)
            append(records, (RECORD.format(place, 3) + RECORD.format(place + 10, 6)).encode())
            found.clock.now_s += 10
        program.write_text("#!/bin/sh\nexit 1\n", "utf-8")
        found.clock.now_s += 100
        await lines._look()
    assert counts == [0, 1, 2]  # the first look is what is compared with
    assert "journalctl ended with 1" in lines.missing()
