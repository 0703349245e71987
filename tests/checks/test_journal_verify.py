"""Whatever is altered in a journal is named: by verification, and where it matters already when it is read."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from checks.journal_files import head_path
from checks.journal_schema import entry_hash
from checks.journal_verify import verify_file
from checks.model import IntegrityError, Kind
from tests.checks.builders import evidence, open_journal, result

ENTRIES = 12


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A closed journal of some results with evidence."""
    path = tmp_path / "journal.db"
    journal = open_journal(path)
    for number in range(ENTRIES):
        seen = evidence(body=f"answer {number} " * 40)
        found = result(f"WALK-{number:02}", seen=(seen,))
        journal.append(Kind.RESULT, found.id, found.document(), [seen])
    journal.close()
    return path


def tampered(path: Path, *statements: str) -> None:
    """Run statements as somebody would who has removed the triggers and put them back."""
    connection = sqlite3.connect(path)
    triggers = connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        connection.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        connection.execute(statement)
    for _, sql in triggers:
        connection.execute(sql)
    connection.commit()
    connection.close()


def test_an_untouched_journal_has_no_problems(path: Path) -> None:
    assert verify_file(path) == []


def test_it_can_be_verified_while_it_is_written(path: Path) -> None:
    journal = open_journal(path)
    journal.append(Kind.RESULT, "WALK-99", {})
    assert verify_file(path) == []
    journal.close()


def test_any_single_byte_is_noticed(path: Path) -> None:
    original = path.read_bytes()
    chance = random.Random(7)
    for place in chance.sample(range(len(original)), 60):
        altered = bytearray(original)
        altered[place] ^= 1 << chance.randrange(8)
        path.write_bytes(altered)
        assert verify_file(path), f"byte {place}"
    path.write_bytes(original)
    assert verify_file(path) == []


@pytest.mark.parametrize(
    ("statements", "told"),
    [
        (
            ["UPDATE entries SET body = replace(body, 'PASS', 'FAIL') WHERE seq = 5"],
            "entry 5 (result WALK-04)",
        ),
        (["DELETE FROM entries WHERE seq = 6"], "entry 6 is missing"),
        (["DELETE FROM entries WHERE seq IN (6, 7, 8)"], "entries 6 to 8 are missing"),
        ([f"DELETE FROM entries WHERE seq = {ENTRIES}"], "dropped from the end"),
        (
            [
                f"DELETE FROM entries WHERE seq = {ENTRIES}",
                f"UPDATE sqlite_sequence SET seq = {ENTRIES - 1} WHERE name = 'entries'",
            ],
            f"dropped from the end: the head file says {ENTRIES}",
        ),
        (
            ["UPDATE evidence SET document = replace(document, 'answer 3', 'answer 4')"],
            "does not match its id",
        ),
        (["DELETE FROM evidence WHERE document LIKE '%answer 3%'"], "(result WALK-03): its evidence"),
        (["UPDATE entries SET at = '2026-03-01T12:00:01.000000Z' WHERE seq = 2"], "entry 2"),
        (["UPDATE meta SET value = 'other'"], "entry 1"),
        (["CREATE TABLE more (x)"], "the table more was added"),
        (["DROP INDEX entries_latest"], "the index entries_latest is missing"),
    ],
    ids=lambda value: value[0][:40] if isinstance(value, list) else "",
)
def test_each_kind_of_tampering_is_named(path: Path, statements: list[str], told: str) -> None:
    tampered(path, *statements)
    problems = verify_file(path)
    assert any(told in problem for problem in problems), problems


def test_an_entry_forged_with_its_own_hash_breaks_the_chain(path: Path) -> None:
    connection = sqlite3.connect(path)
    at, kind, subject, actor, body, prev = connection.execute(
        "SELECT at, kind, subject, actor, body, prev FROM entries WHERE seq = 4"
    ).fetchone()
    connection.close()
    forged = body.replace("PASS", "FAIL")
    new = entry_hash("r", 4, at, kind, subject, actor, forged, prev)
    tampered(path, f"UPDATE entries SET body = '{forged}', hash = '{new}' WHERE seq = 4")
    assert any("entry 5" in problem and "does not follow" in problem for problem in verify_file(path))


def test_a_missing_head_file_is_told_now_and_for_ever(path: Path) -> None:
    head_path(path).unlink()
    assert any("head file is missing" in problem for problem in verify_file(path))
    journal = open_journal(path)
    journal.append(Kind.RESULT, "WALK-99", {})
    journal.close()
    assert any("head file was missing after entry 12" in problem for problem in verify_file(path))


def test_an_older_copy_put_back_is_noticed(path: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.db"
    shutil.copy(path, copy)
    journal = open_journal(path)
    journal.append(Kind.RESULT, "WALK-99", {})
    journal.close()
    shutil.copy(copy, path)
    assert any("dropped from the end" in problem for problem in verify_file(path))
    with pytest.raises(IntegrityError, match="dropped from the end"):
        open_journal(path)


READERS: list[Callable[[Path], object]] = [
    lambda path: open_journal(path, read_only=True).latest(),
    lambda path: open_journal(path, read_only=True).entries(),
]


@pytest.mark.parametrize("read", READERS, ids=["latest", "entries"])
@pytest.mark.filterwarnings("ignore::ResourceWarning")
def test_an_altered_entry_is_never_read_as_if_it_were_genuine(
    path: Path, read: Callable[[Path], object]
) -> None:
    tampered(path, "UPDATE entries SET body = replace(body, 'PASS', 'FAIL') WHERE seq = 5")
    with pytest.raises(IntegrityError, match="entry 5"):
        read(path)


def test_altered_evidence_is_never_read_as_if_it_were_genuine(path: Path) -> None:
    tampered(path, "UPDATE evidence SET document = replace(document, 'answer', 'result')")
    journal = open_journal(path, read_only=True)
    ids = [identity for entry in journal.entries() for identity in entry.body["evidence"]]
    with pytest.raises(IntegrityError, match="does not match its id"):
        journal.evidence(ids)
    journal.close()
