"""The log probe reads what is new, whatever happens to the file meanwhile, and never waits for one that is no log."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from checks.model import Reason
from checks.probe.journald import JournalProbe
from checks.probe.log import MAX_SINCE_BYTES, LogProbe
from checks.probe.log_file import logrotate_of, look_at_log_file
from checks.probe.redaction import Redactor


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """A log with two lines in it."""
    path = tmp_path / "controller.log"
    path.write_text("one\ntwo\n", "utf-8")
    return path


@pytest.fixture
def probe(log: Path) -> LogProbe:
    """A probe of it."""
    return LogProbe(log, Redactor(["canary-secret"]))


def append(log: Path, text: str) -> None:
    """Write as the controller does."""
    with log.open("a", encoding="utf-8") as file:
        file.write(text)


def empty(log: Path) -> None:
    """What `copytruncate` of logrotate does."""
    os.truncate(log, 0)


async def test_only_what_is_new_is_read_with_its_line_numbers(probe: LogProbe, log: Path) -> None:
    mark = await probe.mark()
    assert (await probe.since(mark)).lines == ()
    append(log, "three\nfour\u2028still four\n")
    seen = await probe.since(mark)
    assert (seen.lines, seen.first) == (("three", "four\u2028still four"), 3)
    assert seen.with_needle("still") == [(4, "four\u2028still four")]


async def test_a_rotated_log_is_read_to_its_end_and_then_the_new_one(probe: LogProbe, log: Path) -> None:
    mark = await probe.mark()
    append(log, "last of the old\n")
    os.rename(log, f"{log}.1")  # noqa: PTH104
    append(log, "first of the new\n")
    assert (await probe.since(mark)).lines == ("last of the old", "first of the new")


@pytest.mark.parametrize("after", ["new\n", "new one\nthat is longer than what stood there before\n"])
async def test_a_truncated_log_is_read_from_its_beginning(probe: LogProbe, log: Path, after: str) -> None:
    mark = await probe.mark()
    empty(log)
    append(log, after)
    assert (await probe.since(mark)).text == after.strip()


async def test_a_log_that_is_not_there_yet_is_read_once_it_is(tmp_path: Path) -> None:
    probe = LogProbe(tmp_path / "late.log", Redactor())
    mark = await probe.mark()
    seen = await probe.since(mark)
    assert (seen.reason, seen.lines) == (Reason.NO_SOURCE, ())
    assert "is not there: set [log] file" in seen.error
    append(tmp_path / "late.log", "here\n")
    assert (await probe.since(mark)).lines == ("here",)


async def test_a_line_is_found_when_it_comes_and_its_secrets_are_masked(probe: LogProbe, log: Path) -> None:
    mark = await probe.mark()
    searching = asyncio.create_task(probe.find("nonce-7", mark, within_s=5.0))
    await asyncio.sleep(0)
    append(log, "other\nnonce-7 canary-secret\n")
    seen = await searching
    assert (seen.lines, seen.first) == (("nonce-7 canary-secret",), 4)
    (evidence,) = seen.evidence
    assert evidence.body == "4: nonce-7 ***"
    assert (await probe.find("never", mark, within_s=0.0)).lines == ()


async def test_the_tail_is_bounded_in_a_huge_log(tmp_path: Path) -> None:
    huge = tmp_path / "huge.log"
    with huge.open("wb") as file:
        file.truncate(3 << 30)
    append(huge, "x" * (MAX_SINCE_BYTES + 10) + "\nlast but one\nlast\n")
    probe = LogProbe(huge, Redactor())
    async with asyncio.timeout(3):
        tail = await probe.tail(1)
        assert (tail.lines, tail.first, tail.was_cut) == (("last",), 0, True)
        assert (await probe.since(await LogProbe(tmp_path / "none", Redactor()).mark())).was_cut


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _symlink(path: Path) -> None:
    path.symlink_to("/etc/passwd")


def _binary(path: Path) -> None:
    path.write_bytes(bytes(range(32)) * 400)


@pytest.mark.parametrize(
    ("make", "told"),
    [
        (_fifo, "is a pipe, not a file"),
        (_symlink, "is a symbolic link"),
        (_binary, "holds binary data"),
        (Path.mkdir, "is a folder"),
    ],
)
async def test_what_is_no_log_is_told_in_one_sentence_at_once(
    tmp_path: Path, make: Callable[[Path], object], told: str
) -> None:
    path = tmp_path / "odd.log"
    make(path)
    async with asyncio.timeout(2):
        probe = LogProbe(path, Redactor())
        seen = await probe.since(await probe.mark())
    assert told in seen.error
    assert (seen.reason, seen.lines, len(seen.evidence)) == (Reason.NO_SOURCE, (), 1)
    assert "root:" not in seen.evidence[0].body


async def test_a_log_that_may_not_be_read_names_the_cure(
    probe: LogProbe, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*given: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)  # root may read everything
    seen = await probe.tail(5)
    assert seen.reason is Reason.NO_RIGHT
    assert "run gonogo as the account of the service or as root" in seen.error


JOURNAL = r"""#!/bin/sh
case "$*" in
    *--since*)
       echo '{"MESSAGE": "{\"event\": \"new\"}", "PRIORITY": "4", "__REALTIME_TIMESTAMP": "1772366400000000"}' ;;
    *) echo '{"MESSAGE": "plain words", "PRIORITY": "6", "__REALTIME_TIMESTAMP": "1772366400000000"}'
       echo '{"MESSAGE": [1, 2]}'; echo 'no json' ;;
esac
"""


async def test_the_journal_gives_time_and_level_to_what_has_none(tmp_path: Path) -> None:
    program = tmp_path / "journalctl"
    program.write_text(JOURNAL, "utf-8")
    program.chmod(0o755)
    journal = JournalProbe("chat.service", Redactor(), program=str(program))
    assert (await journal.tail(9)).lines == ("2026-03-01T12:00:00.000+00:00 INFO plain words",)
    (line,) = (await journal.since(await journal.mark())).lines
    assert line == '{"time": "2026-03-01T12:00:00.000+00:00", "level": "WARNING", "event": "new"}'


@pytest.mark.parametrize(
    ("script", "told"),
    [("exit 1", "journalctl ended with 1"), ("echo 'No permission' >&2; exit 1", "No permission")],
)
async def test_a_journal_that_may_not_be_read_names_the_cure(tmp_path: Path, script: str, told: str) -> None:
    program = tmp_path / "journalctl"
    program.write_text(f"#!/bin/sh\n{script}\n", "utf-8")
    program.chmod(0o755)
    seen = await JournalProbe("chat.service", Redactor(), program=str(program)).tail(1)
    assert seen.reason is Reason.NO_RIGHT
    assert told in seen.error
    assert "systemd-journal" in seen.error


def test_rotated_files_are_told_from_other_neighbours(log: Path) -> None:
    for name in (
        "controller.log.1",
        "controller.log.2.gz",
        "controller-20260301.log",
        "controller.log.bak",
        "x.log.1",
    ):
        log.with_name(name).touch(0o640)
    seen = look_at_log_file(log)
    assert {path.name for path, _ in seen.rotated} == {
        "controller.log.1",
        "controller.log.2.gz",
        "controller-20260301.log",
    }
    assert seen.size == 8


def test_logrotate_is_understood_where_it_names_the_file(tmp_path: Path) -> None:
    folder = tmp_path / "logrotate.d"
    folder.mkdir()
    (folder / "a").write_text(
        '# /var/log/commented.log { }\n"/var/log/chat bot/*.log" /srv/x.log {\n  daily\n}\n'
    )
    places = (tmp_path / "missing.conf", folder)
    assert logrotate_of(Path("/var/log/chat bot/app.log"), places) == f"{folder}/a: /var/log/chat bot/*.log"
    assert logrotate_of(Path("/srv/x.log"), places)
    assert not logrotate_of(Path("/var/log/commented.log"), places)
    assert not logrotate_of(Path("/srv/y.log"), places)
