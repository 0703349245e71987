"""Whatever is altered in reports, manifests or the journal is named; what is not altered is not blamed."""

from __future__ import annotations

import json
import os
import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from checks.journal import Journal
from checks.model import Ceiling, Kind, ReviewError, Verdict
from checks.reports.verify import verify
from tests.checks.reports.scene import REVIEW, Scene, seen
from tests.checks.reports.test_writer import (
    CONFIGURATION,
    END_TO_END,
    LOAD_TEST,
    MONITORING,
    SIGN_OFF,
    sha256,
)


@pytest.fixture
def folder(scene: Scene, tmp_path: Path) -> Path:
    """The report folder of a review that was closed after its reports were written."""
    scene.all_pass()
    scene.decide(Ceiling.NO_GO)
    scene.write(tmp_path)
    scene.journal.close()
    return tmp_path / ".deia" / "reports"


def edit_manifest(folder: Path, **changes: Any) -> None:
    """Change fields of the manifest as somebody would who knows its form."""
    path = folder / "manifest.json"
    document = json.loads(path.read_text("utf-8")) | changes
    path.write_text(json.dumps(document, ensure_ascii=False, sort_keys=True, indent=2) + "\n", "utf-8")


def only(folder: Path) -> str:
    """The one problem found."""
    (problem,) = verify(folder).problems
    return problem


def test_what_was_not_altered_is_not_blamed(folder: Path, scene: Scene) -> None:
    verified = verify(folder)
    assert verified.problems == ()
    told = "\n".join(verified.checked)
    for path in (folder / END_TO_END, folder / CONFIGURATION, folder / LOAD_TEST, folder / SIGN_OFF):
        assert f"{path.name}: {path.stat().st_size} bytes, SHA-256 {sha256(path)}" in told
    assert str(scene.folder / "journal.db") in told
    assert "manifest.json: all 4 pieces of evidence are in the journal" in told


@pytest.mark.parametrize("up", ["reports", ".deia", "out", "file"])
def test_it_is_found_from_wherever_the_folder_is_named(folder: Path, up: str) -> None:
    named = {
        "reports": folder,
        ".deia": folder.parent,
        "out": folder.parent.parent,
        "file": folder / SIGN_OFF,
    }
    verified = verify(named[up])
    assert verified.problems == ()
    assert any(SIGN_OFF in line for line in verified.checked)


def test_a_reviews_own_folder_is_verified_too(folder: Path, scene: Scene) -> None:
    verified = verify(scene.folder)
    assert verified.problems == ()
    assert any("all 10 entries" in line for line in verified.checked)


def test_nothing_to_verify_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(ReviewError, match="nothing to verify"):
        verify(tmp_path)
    with pytest.raises(ReviewError, match="There is no folder"):
        verify(tmp_path / "absent")


def test_any_single_byte_of_a_report_is_noticed(folder: Path) -> None:
    numbers = random.Random(8)
    for name in (END_TO_END, CONFIGURATION, LOAD_TEST, SIGN_OFF):
        path = folder / name
        content = path.read_bytes()
        for place in [0, len(content) - 1, *(numbers.randrange(len(content)) for _ in range(25))]:
            flipped = bytearray(content)
            flipped[place] ^= 1 << numbers.randrange(8)
            path.write_bytes(flipped)
            assert f"{name} was altered: {len(content)} bytes as before" in only(folder)
        path.write_bytes(content)
    assert verify(folder).problems == ()


def test_any_single_byte_of_the_manifest_is_noticed(folder: Path) -> None:
    numbers = random.Random(9)
    path = folder / "manifest.json"
    content = path.read_bytes()
    for place in [0, len(content) - 1, *(numbers.randrange(len(content)) for _ in range(40))]:
        flipped = bytearray(content)
        flipped[place] ^= 1 << numbers.randrange(8)
        path.write_bytes(flipped)
        assert any("manifest.json" in problem for problem in verify(folder).problems)


def test_a_longer_and_a_shorter_report_are_told_as_such(folder: Path) -> None:
    size = (folder / SIGN_OFF).stat().st_size
    with (folder / SIGN_OFF).open("a") as file:
        file.write("GO\n")
    assert f"{size + 3} bytes instead of {size}" in only(folder)


def test_a_missing_and_an_added_report_are_named(folder: Path) -> None:
    (folder / END_TO_END).rename(folder / "BOT-002-E2E-INTEGRATION-TEST.md")
    missing, added = verify(folder).problems
    assert missing == f"{END_TO_END} is missing; manifest.json names it"
    assert added.startswith(
        "BOT-002-E2E-INTEGRATION-TEST.md is named by no manifest that can be read: it was added"
    )


def test_a_report_edited_together_with_its_manifest_is_noticed(folder: Path, scene: Scene) -> None:
    path = folder / SIGN_OFF
    path.write_text(path.read_text("utf-8").replace("NO-GO", "GO"), "utf-8")
    files = [
        {"name": name, "sha256": sha256(folder / name), "bytes": (folder / name).stat().st_size}
        for name in (END_TO_END, CONFIGURATION, LOAD_TEST, MONITORING, SIGN_OFF)
    ]
    edit_manifest(folder, files=files)
    first, second = verify(folder).problems
    assert first == (
        "manifest.json was altered, or its writing was interrupted: the journal "
        f"{scene.folder / 'journal.db'} records no such manifest"
    )
    assert second.startswith("the newest set that was written here is missing or altered: entry 10 ")


def test_a_manifest_that_names_another_head_is_noticed(folder: Path) -> None:
    document = json.loads((folder / "manifest.json").read_text("utf-8"))
    edit_manifest(folder, journal=document["journal"] | {"head_hash": "0" * 64})
    assert any(
        "names entry 9 with hash 000000000000 as the journal's head, which is not in the journal" in problem
        for problem in verify(folder).problems
    )


def test_an_older_set_in_the_place_of_a_newer_one_is_noticed(scene: Scene, tmp_path: Path) -> None:
    folder = tmp_path / ".deia" / "reports"
    scene.all_pass()
    scene.write(tmp_path)
    shutil.copytree(folder, tmp_path / "older")
    scene.start()
    scene.result("WALK-01", Verdict.FAIL)
    scene.end()
    scene.write(tmp_path)
    for path in folder.iterdir():
        path.unlink()
    shutil.copytree(tmp_path / "older", folder, dirs_exist_ok=True)
    missing, older, _ = verify(folder).problems
    assert missing.startswith("the newest set that was written here is missing or altered: entry ")
    assert older.startswith("manifest.json is an older set in the place of a newer one, which entry ")


def test_a_byte_of_the_journal_is_noticed(folder: Path, scene: Scene) -> None:
    path = scene.folder / "journal.db"
    content = bytearray(path.read_bytes())
    content[content.index(b"it was looked at")] ^= 1
    path.write_bytes(content)
    problems = verify(folder).problems
    assert any(
        problem.startswith(f"journal {path}: ") and "does not match its hash" in problem
        for problem in problems
    )
    assert verify(scene.folder).problems


def test_an_entry_dropped_from_the_end_is_noticed(folder: Path, scene: Scene) -> None:
    connection = sqlite3.connect(scene.folder / "journal.db")
    connection.execute("DROP TRIGGER entries_keep")
    connection.execute("DELETE FROM entries WHERE seq = (SELECT max(seq) FROM entries)")
    connection.commit()
    connection.close()
    problems = verify(folder).problems
    assert any("entries dropped from the end" in problem for problem in problems)


def test_a_missing_journal_is_told_and_the_files_are_checked_all_the_same(folder: Path, scene: Scene) -> None:
    shutil.rmtree(scene.folder)
    verified = verify(folder)
    (problem,) = verified.problems
    assert "only the digests of the files could be checked" in problem
    assert len(verified.checked) == 6


def test_a_journal_that_was_moved_with_its_state_folder_is_found(
    folder: Path, state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state.rename(tmp_path / "elsewhere")
    monkeypatch.setenv("GONOGO_STATE_DIR", str(tmp_path / "elsewhere"))
    verified = verify(folder)
    assert verified.problems == ()
    assert any(str(tmp_path / "elsewhere" / "reviews" / REVIEW) in line for line in verified.checked)


@pytest.mark.parametrize("is_beside", [True, False], ids=["brought along", "another state folder"])
def test_a_journal_that_was_brought_along_is_not_believed(
    folder: Path, tmp_path: Path, is_beside: bool
) -> None:
    """Reports of a forged review, with a journal of their own that is consistent in itself."""
    other = (folder.parent if is_beside else tmp_path) / "forged"
    forged = Scene.begin(other / "state")
    forged.all_pass()
    forged.start()
    forged.decide(Ceiling.GO, ceiling=Ceiling.GO)
    forged.write(other)
    forged.journal.close()
    shutil.copytree(other / ".deia" / "reports", folder, dirs_exist_ok=True)
    verified = verify(folder)
    assert any("does not know these reports" in line for line in (*verified.problems, *verified.checked))
    assert any("does not know these reports" in problem for problem in verified.problems) is is_beside


def test_another_review_in_the_same_folder_is_checked_with_its_own_journal(
    folder: Path, scene: Scene, state: Path, tmp_path: Path
) -> None:
    other = Scene.begin(state, review="another")
    other.write(tmp_path)
    other.journal.close()
    assert verify(folder).problems == ()
    told = "\n".join(verify(folder).checked)
    assert str(scene.folder) in told
    assert str(other.folder) in told
    (other.folder / "journal.db").unlink()
    assert "the journal of manifest.json is not there" in only(folder)


HOSTILE_FILES: dict[str, str] = {
    "up": "../../../etc/hostname.md",
    "absolute": "/etc/passwd.md",
    "hidden": ".x.md",
    "backslash": "..\\x.md",
    "newline": "a\nb.md",
    "not a report": "manifest.json",
    "empty": "",
    "long": "x" * 300 + ".md",
}


@pytest.mark.parametrize("name", HOSTILE_FILES.values(), ids=HOSTILE_FILES)
def test_a_manifest_never_leads_out_of_its_folder(folder: Path, name: str) -> None:
    edit_manifest(folder, files=[{"name": name, "sha256": "0" * 64, "bytes": 1}])
    verified = verify(folder)
    assert any("manifest.json was altered: it names" in problem for problem in verified.problems)
    assert not any("etc" in line for line in verified.checked)


HOSTILE_MANIFESTS: dict[str, bytes] = {
    "empty": b"",
    "not JSON": b"{",
    "not UTF-8": b"\xff\xfe",
    "a list": b"[]",
    "deep": b"[" * 100_000,
    "huge": b" " * (2 << 20),
    "a number too long": b'{"schema": ' + b"9" * 5000 + b"}",
    "other fields": b'{"schema": "gonogo-report-manifest/1"}',
    "wrong types": b'{"schema": "gonogo-report-manifest/1", "journal": 1, "files": {}, "others": 3}',
    "NaN": b'{"schema": NaN}',
    "surrogate": b'{"schema": "gonogo-report-manifest/1", "review": "\\ud800"}',
}


@pytest.mark.parametrize("content", HOSTILE_MANIFESTS.values(), ids=HOSTILE_MANIFESTS)
def test_what_is_no_manifest_is_named_as_altered(folder: Path, content: bytes) -> None:
    (folder / "manifest.json").write_bytes(content)
    assert verify(folder).problems[0].startswith("manifest.json was altered: ")


def manifest_with(**changes: Any) -> Callable[[Path], None]:
    """An alteration of one field."""
    return lambda folder: edit_manifest(folder, **changes)


@pytest.mark.parametrize(
    "alter",
    [
        manifest_with(review="😀" * 9000),
        manifest_with(review="../../.."),
        manifest_with(review=""),
        manifest_with(journal={"path": "/dev/zero", "head_seq": 1, "head_hash": "0" * 64}),
        manifest_with(journal={"path": "a\0b", "head_seq": 1, "head_hash": "0" * 64}),
        manifest_with(journal={"path": "/" + "x" * 9000, "head_seq": 10**30, "head_hash": "0" * 64}),
        manifest_with(journal={"path": "/etc/hostname", "head_seq": 1, "head_hash": "0" * 64}),
        manifest_with(created_at="yesterday"),
        manifest_with(evidence=-1),
        manifest_with(decision=True),
        manifest_with(others=["../x"]),
        manifest_with(target={"title": "\u202e", "url": ""}),
        manifest_with(files=[]),
        manifest_with(more=1),
    ],
    ids=range(14),
)
def test_an_altered_field_is_a_problem_and_never_a_traceback(
    folder: Path, alter: Callable[[Path], None]
) -> None:
    alter(folder)
    problems = verify(folder).problems
    assert problems
    assert all("\u202e" not in problem and "\n" not in problem for problem in problems)


@pytest.mark.parametrize("name", ["manifest.json", SIGN_OFF])
@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_what_is_no_file_is_neither_followed_nor_waited_for(folder: Path, name: str, kind: str) -> None:
    path = folder / name
    path.rename(folder.parent / "moved")
    if kind == "link":
        path.symlink_to(folder.parent / "moved")
    elif kind == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    assert f"{name} was altered: it is a link or no file at all" in verify(folder).problems


def test_the_manifest_that_was_deleted_is_missed(scene: Scene, tmp_path: Path) -> None:
    scene.write(tmp_path)
    scene.write(tmp_path)
    folder = tmp_path / ".deia" / "reports"
    (folder / "manifest.json").unlink()
    problems = verify(folder).problems
    assert problems[0].startswith("the newest set that was written here is missing or altered")
    assert [problem.split()[0] for problem in problems[1:]] == [
        END_TO_END,
        SIGN_OFF,
        LOAD_TEST,
        CONFIGURATION,
        MONITORING,
    ]


def test_each_older_set_is_checked(scene: Scene, tmp_path: Path) -> None:
    for _ in range(3):
        scene.write(tmp_path)
    folder = tmp_path / ".deia" / "reports"
    older = sorted(folder.glob("*SIGN-OFF.*Z.md"))
    assert len(older) == 2
    older[0].write_text("edited")
    assert only(folder).startswith(f"{older[0].name} was altered: 6 bytes instead of ")


def test_evidence_that_a_report_shows_must_be_in_the_journal(folder: Path, scene: Scene) -> None:
    connection = sqlite3.connect(scene.folder / "journal.db")
    (trigger,) = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'evidence_keep'").fetchone()
    connection.execute("DROP TRIGGER evidence_keep")
    (gone,) = connection.execute("SELECT id FROM evidence LIMIT 1").fetchone()
    connection.execute("DELETE FROM evidence WHERE id = ?", (gone,))
    connection.execute(trigger)
    connection.commit()
    connection.close()
    assert (
        f"evidence {gone[:12]}, which the reports of manifest.json show, is not in the journal"
        in verify(folder).problems
    )


def test_results_recorded_since_are_told_and_no_problem(folder: Path, state: Path) -> None:
    journal = Journal.open(state / "reviews" / REVIEW / "journal.db", review=REVIEW, actor="mary@ops")
    journal.append(Kind.RESULT, "WALK-01", {"evidence": [seen().id]}, [seen()])
    journal.close()
    verified = verify(folder)
    assert verified.problems == ()
    assert "recorded since, and not in these reports: 1 results or decisions" in verified.checked


def test_it_works_while_a_console_has_the_journal_open(scene: Scene, tmp_path: Path) -> None:
    scene.all_pass()
    scene.write(tmp_path)
    scene.result("WALK-01", Verdict.FAIL)
    code = (
        "import pathlib, sys; from checks.reports.verify import verify; "
        "found = verify(pathlib.Path(sys.argv[1])); print(len(found.checked), found.problems)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout == "10 ()\n"
    assert scene.journal.append(Kind.SESSION_CLOSED, "s", {}).seq
