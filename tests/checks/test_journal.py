"""The journal keeps what was appended, refuses what would change it, and survives being killed."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from checks import journal_schema as schema
from checks.journal import Journal
from checks.journal_verify import verify_file
from checks.model import IntegrityError, Kind, ReviewError
from tests.checks.builders import evidence, open_journal

WRITER = """
import sys
from pathlib import Path
from checks.journal import Journal
from checks.model import Kind
journal = Journal.open(Path(sys.argv[1]), review="r", actor="lead@host")
number = 0
while True:
    number += 1
    journal.append(Kind.RESULT, "WALK-01", {"number": number})
    print(journal.head().seq, flush=True)
"""

BEGINNER = """
import sys
from pathlib import Path
from checks.journal import Journal
from checks.model import Kind
sys.stdin.readline()
journal = Journal.open(Path(sys.argv[1]), review="r", actor="lead@host")
if not journal.read_only:
    journal.append(Kind.RESULT, "WALK-01", {})
print("reads" if journal.read_only else "writes")
journal.close()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "journal.db"


def test_what_was_appended_reads_back_after_a_new_start(path: Path) -> None:
    seen = evidence(body="first line\nsecond │ line ␛")
    journal = open_journal(path)
    written = journal.append(Kind.RESULT, "WALK-01", {"n": 1, "list": (1, 2), "text": "ä"}, [seen, seen])
    journal.close()
    again = open_journal(path)
    (entry,) = again.entries()
    assert (entry.seq, entry.body, entry.hash) == (1, {"n": 1, "list": [1, 2], "text": "ä"}, written.hash)
    assert again.evidence([seen.id, "0" * 64]) == {seen.id: seen}
    again.close()


def test_each_entry_is_chained_to_the_one_before(path: Path) -> None:
    journal = open_journal(path)
    first = journal.append(Kind.RESULT, "a", {})
    second = journal.append(Kind.RESULT, "b", {})
    assert (first.prev, second.prev) == ("0" * 64, first.hash)
    assert journal.head() == (2, second.hash)
    journal.close()


def test_latest_is_the_last_of_each_kind_and_subject(path: Path) -> None:
    journal = open_journal(path)
    for number in range(6):
        journal.append(Kind.RESULT, f"WALK-0{number % 2}", {"number": number})
    journal.append(Kind.STOPPED, "WALK-00", {})
    assert [(entry.seq, entry.kind) for entry in journal.latest()] == [
        (5, Kind.RESULT),
        (6, Kind.RESULT),
        (7, Kind.STOPPED),
    ]
    assert [entry.seq for entry in journal.latest(upto=4)] == [3, 4]
    assert [entry.seq for entry in journal.entries(kinds=(Kind.RESULT,), after=4)] == [5, 6]
    journal.close()


def test_the_files_are_for_their_owner_alone(path: Path) -> None:
    before = os.umask(0)
    try:
        journal = open_journal(path)
        journal.append(Kind.RESULT, "a", {})
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
        journal.close()
    finally:
        os.umask(before)
    assert modes.pop("journal.db-shm", 0o600) in (0o600,)
    assert set(modes.values()) == {0o600}, modes


def test_the_second_opener_reads_and_is_told_who_writes(path: Path) -> None:
    writer = open_journal(path)
    writer.append(Kind.RESULT, "a", {})
    reader = open_journal(path)
    assert reader.read_only
    assert reader.holder.startswith(f"lead@host, pid {os.getpid()}")
    with pytest.raises(ReviewError, match="read-only"):
        reader.append(Kind.RESULT, "b", {})
    assert not reader.changed()
    writer.append(Kind.RESULT, "b", {})
    assert reader.changed()
    assert reader.head().seq == 2
    writer.close()
    assert reader.holder == ""
    reader.close()


def test_the_lock_is_free_after_the_writer_closed(path: Path) -> None:
    open_journal(path).close()
    again = open_journal(path)
    assert not again.read_only
    again.close()


def test_threads_may_share_one_journal(path: Path) -> None:
    journal = open_journal(path)

    def write(name: str) -> None:
        for number in range(20):
            journal.append(Kind.RESULT, name, {"number": number})
            journal.latest()

    threads = [threading.Thread(target=write, args=(f"t{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert journal.head().seq == 80
    assert journal.verify() == []
    journal.append(Kind.RESULT, "after", {})
    journal.close()


def test_a_killed_writer_loses_nothing_that_it_was_told_is_kept(path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
    ) as writer:
        assert writer.stdout
        told = [int(writer.stdout.readline()) for _ in range(25)][-1]
        writer.send_signal(signal.SIGKILL)
        told = max([told, *map(int, writer.stdout.read().split())])
    journal = open_journal(path)
    assert not journal.read_only
    assert journal.head().seq >= told
    assert journal.verify() == []
    journal.append(Kind.RESULT, "after", {})
    journal.close()


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entries SET body = '{}' WHERE seq = 1",
        "DELETE FROM entries WHERE seq = 2",
        "REPLACE INTO entries SELECT seq, at, kind, 'x', actor, body, prev, hash || 'x' FROM entries LIMIT 1",
        "DELETE FROM evidence",
        "UPDATE evidence SET document = '{}'",
        "UPDATE meta SET value = 'other'",
    ],
)
def test_the_database_itself_refuses_to_change_what_was_written(path: Path, statement: str) -> None:
    journal = open_journal(path)
    journal.append(Kind.RESULT, "a", {}, [evidence()])
    journal.append(Kind.RESULT, "b", {})
    journal.close()
    with sqlite3.connect(path) as connection, pytest.raises(sqlite3.DatabaseError, match="append-only"):
        connection.execute(statement)
    connection.close()


def test_a_journal_of_another_review_is_refused(path: Path) -> None:
    open_journal(path).close()
    with pytest.raises(ReviewError, match="is the journal of review r, not of s"):
        Journal.open(path, review="s", actor="lead@host")


def test_a_file_that_is_no_journal_is_refused_and_kept(path: Path) -> None:
    path.write_text("SELECT 1; -- not a database, and long enough to have a header of a hundred bytes" * 4)
    before = path.read_bytes()
    with pytest.raises(IntegrityError, match="not a journal"):
        open_journal(path)
    assert path.read_bytes() == before


def test_another_programs_database_is_refused(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE messages (id)")
    connection.close()
    with pytest.raises(ReviewError, match="not a journal of gonogo"):
        open_journal(path)


def test_a_journal_of_a_newer_gonogo_is_refused(path: Path) -> None:
    open_journal(path).close()
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(ReviewError, match="newer gonogo"):
        open_journal(path)


def test_reading_only_needs_a_journal(path: Path) -> None:
    with pytest.raises(ReviewError, match="There is no journal"):
        open_journal(path, read_only=True)
    assert not path.exists()


def test_what_json_cannot_hold_is_refused_and_nothing_is_written(path: Path) -> None:
    journal = open_journal(path)
    with pytest.raises(ValueError, match="Out of range"):
        journal.append(Kind.RESULT, "a", {"number": float("nan")})
    assert journal.head().seq == 0
    journal.close()


def test_somebody_elses_write_is_noticed_at_the_next_append(path: Path) -> None:
    journal = open_journal(path)
    journal.append(Kind.RESULT, "a", {})
    with sqlite3.connect(path) as connection:
        connection.execute(
            "INSERT INTO entries SELECT 2, at, kind, subject, actor, body, hash, 'forged' FROM entries"
        )
    connection.close()
    with pytest.raises(IntegrityError, match="another program"):
        journal.append(Kind.RESULT, "b", {})
    journal.close()


def test_a_journal_of_an_older_gonogo_is_brought_up_to_date(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = open_journal(path)
    written = journal.append(Kind.RESULT, "a", {})
    journal.close()
    newer = (schema.SCHEMA_VERSION + 1, ("CREATE INDEX entries_actor ON entries (actor)",))
    monkeypatch.setattr(schema, "MIGRATIONS", (*schema.MIGRATIONS, newer))
    monkeypatch.setattr(schema, "SCHEMA_VERSION", newer[0])
    again = open_journal(path)
    assert again.head() == (1, written.hash)
    again.append(Kind.RESULT, "b", {})
    assert again.verify() == []
    again.close()
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA user_version").fetchone() == (newer[0],)
    connection.close()


def test_two_that_begin_a_review_at_the_same_time_do_not_disturb_each_other(path: Path) -> None:
    command = [sys.executable, "-c", BEGINNER, str(path)]
    for _ in range(3):
        beginners = [
            subprocess.Popen(command, stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True)
            for _ in range(3)
        ]
        for process in beginners:
            assert process.stdin
            process.stdin.write("go\n")
            process.stdin.flush()
        said = [process.communicate(timeout=30)[0].strip() for process in beginners]
        assert set(said) <= {"writes", "reads"}, said
        assert "writes" in said
        assert verify_file(path) == []
        for file in path.parent.iterdir():
            file.unlink()


def test_what_was_judged_before_comes_with_what_could_not_be_judged(path: Path) -> None:
    journal = open_journal(path)
    for verdict in ("PASS", "FAIL", "INCONCLUSIVE", "INCONCLUSIVE"):
        journal.append(Kind.RESULT, "a", {"verdict": verdict, "summary": 'says "verdict":"INCONCLUSIVE"'})
    journal.append(Kind.RESULT, "b", {"verdict": "INCONCLUSIVE"})
    journal.append(Kind.RESULT, "c", {"verdict": "FAIL"})
    found = [(entry.seq, entry.subject, entry.body["verdict"]) for entry in journal.latest()]
    assert found == [(2, "a", "FAIL"), (4, "a", "INCONCLUSIVE"), (5, "b", "INCONCLUSIVE"), (6, "c", "FAIL")]
    journal.close()
