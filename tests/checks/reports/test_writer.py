"""The files on the disk: whole or not there, private, and never in the place of an older one without a word."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from checks.model import Kind, ReviewError, Verdict
from checks.reports import files as files_module
from checks.reports.files import Replacement
from checks.reports.manifest import decode
from checks.reports.verify import verify
from tests.checks.reports.scene import NOON, REVIEW, Scene, target_of

END_TO_END = "BOT-001-E2E-INTEGRATION-TEST.md"
CONFIGURATION = "BOT-001-PROD-CONFIG-VALIDATION.md"
LOAD_TEST = "BOT-001-LOAD-TEST-RESULTS.md"
MONITORING = "MONITORING-SETUP.md"
SIGN_OFF = "BOT-001-FINAL-DEPLOYMENT-SIGN-OFF.md"


def names(folder: Path) -> list[str]:
    """Everything in the folder, hidden files too."""
    return sorted(path.name for path in folder.iterdir())


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of the folder."""
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def sha256(path: Path) -> str:
    """The digest of a file."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_five_reports_and_a_manifest_are_written(scene: Scene, tmp_path: Path) -> None:
    scene.all_pass()
    head = scene.journal.head()
    written = scene.write(tmp_path)
    folder = tmp_path / ".deia" / "reports"
    assert names(folder) == [END_TO_END, SIGN_OFF, LOAD_TEST, CONFIGURATION, MONITORING, "manifest.json"]
    in_order = (END_TO_END, CONFIGURATION, LOAD_TEST, MONITORING, SIGN_OFF)
    assert written.paths == tuple(folder / name for name in in_order)
    assert (tmp_path / ".deia" / "docs" / MONITORING).read_bytes() == (folder / MONITORING).read_bytes()
    assert written.manifest == folder / "manifest.json"
    assert written.notes == ()
    document = json.loads(written.manifest.read_text("utf-8"))
    assert document["review"] == REVIEW
    assert document["journal"] == {
        "path": str(scene.journal.path),
        "head_seq": head.seq,
        "head_hash": head.hash,
    }
    assert document["files"] == [
        {"name": path.name, "sha256": sha256(path), "bytes": path.stat().st_size} for path in written.paths
    ]
    assert document["evidence"] == 4
    assert document["decision"] is None


def test_the_manifest_is_recorded_in_the_journal(scene: Scene, tmp_path: Path) -> None:
    written = scene.write(tmp_path)
    (entry,) = scene.journal.entries(kinds=(Kind.REPORT_WRITTEN,))
    assert entry.subject == sha256(written.manifest)
    assert entry.body["files"] == json.loads(written.manifest.read_text("utf-8"))["files"]
    assert entry.body["folder"] == str(written.manifest.parent.resolve())


def test_only_the_lead_may_read_them(scene: Scene, tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        written = scene.write(tmp_path)
    finally:
        os.umask(before)
    for path in (*written.paths, written.manifest):
        assert path.stat().st_mode & 0o777 == 0o600


def test_folder_and_prefix_come_from_the_profile(scene: Scene, tmp_path: Path) -> None:
    scene.target = target_of(folder="out/put", prefix="SHOP")
    written = scene.write(tmp_path)
    assert written.paths[0] == tmp_path / "out" / "put" / "reports" / "SHOP-E2E-INTEGRATION-TEST.md"
    assert written.paths[0].is_file()


@pytest.mark.parametrize("prefix", ["../up", "a/b", ".hidden", "a\nb", "back\\slash", "x" * 250])
def test_a_prefix_that_is_no_name_is_refused(scene: Scene, tmp_path: Path, prefix: str) -> None:
    scene.target = target_of(prefix=prefix)
    with pytest.raises(ReviewError, match="prefix"):
        scene.write(tmp_path)
    assert names(tmp_path) == ["state"]


def test_an_older_set_is_kept_and_told(scene: Scene, tmp_path: Path) -> None:
    first = scene.write(tmp_path)
    before = contents(first.manifest.parent)
    scene.all_pass()
    second = scene.write(tmp_path)
    mark = "20260301T120001Z"
    stem = {name: name.rpartition(".")[0] for name in before}
    after = contents(second.manifest.parent)
    assert {
        f"{stem[name]}.{mark}.{name.rpartition('.')[2]}": content for name, content in before.items()
    } == {name: content for name, content in after.items() if mark in name}
    assert sorted(after) == sorted([*before, *(name for name in after if mark in name)])
    assert all(after[name] != content for name, content in before.items())
    (note,) = second.notes
    assert f"BOT-001-E2E-INTEGRATION-TEST.{mark}.md" in note
    assert verify(tmp_path).problems == ()


def test_sets_of_the_same_second_are_all_kept(scene: Scene, tmp_path: Path) -> None:
    for _ in range(3):
        scene.now = NOON
        scene.write(tmp_path)
    folder = tmp_path / ".deia" / "reports"
    assert [name for name in names(folder) if name.startswith("manifest")] == [
        "manifest.20260301T120001Z-2.json",
        "manifest.20260301T120001Z.json",
        "manifest.json",
    ]
    assert verify(folder).problems == ()


def test_another_prefix_keeps_the_older_set_whole(scene: Scene, tmp_path: Path) -> None:
    scene.write(tmp_path)
    scene.target = target_of(prefix="BOT-002")
    scene.write(tmp_path)
    scene.target = target_of()
    scene.write(tmp_path)
    assert verify(tmp_path).problems == ()
    assert len(names(tmp_path / ".deia" / "reports")) == 18


def test_an_older_report_that_was_edited_is_told(scene: Scene, tmp_path: Path) -> None:
    first = scene.write(tmp_path)
    with first.paths[-1].open("a") as file:
        file.write("approved\n")
    second = scene.write(tmp_path)
    assert f"The older {SIGN_OFF} is not what gonogo wrote: it was edited." in second.notes
    assert any("SIGN-OFF.20260301T120001Z.md was altered" in problem for problem in verify(tmp_path).problems)


def test_somebody_elses_file_is_kept_and_not_blamed(scene: Scene, tmp_path: Path) -> None:
    folder = tmp_path / ".deia" / "reports"
    folder.mkdir(parents=True)
    (folder / SIGN_OFF).write_text("written by hand")
    os.utime(folder / SIGN_OFF, (NOON.timestamp(), NOON.timestamp()))
    (folder / "minutes.md").write_text("of a meeting")
    written = scene.write(tmp_path)
    kept = "BOT-001-FINAL-DEPLOYMENT-SIGN-OFF.20260301T120000Z.md"
    assert (folder / kept).read_text() == "written by hand"
    assert written.notes == (f"{SIGN_OFF} was there and in no manifest; it is kept as {kept}.",)
    verified = verify(folder)
    assert verified.problems == ()
    assert any("not gonogo's" in line and "minutes.md" in line and kept in line for line in verified.checked)
    scene.write(tmp_path)
    assert (folder / kept).read_text() == "written by hand"
    assert verify(folder).problems == ()


def test_a_link_in_the_way_is_moved_and_not_followed(scene: Scene, tmp_path: Path) -> None:
    outside = tmp_path / "outside.md"
    outside.write_text("precious")
    folder = tmp_path / ".deia" / "reports"
    folder.mkdir(parents=True)
    (folder / END_TO_END).symlink_to(outside)
    (folder / "manifest.json").symlink_to(outside)
    written = scene.write(tmp_path)
    assert outside.read_text() == "precious"
    assert not written.paths[0].is_symlink()
    assert not written.manifest.is_symlink()


@pytest.mark.parametrize("place", [".deia", ".deia/reports"])
def test_a_file_in_the_place_of_the_folder_is_one_sentence(scene: Scene, tmp_path: Path, place: str) -> None:
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).write_text("mine")
    with pytest.raises(
        ReviewError, match=r"could not be written to .*: a file stands where a folder should be"
    ):
        scene.write(tmp_path)
    assert (tmp_path / place).read_text() == "mine"
    assert scene.journal.entries(kinds=(Kind.REPORT_WRITTEN,)) == []


@pytest.mark.parametrize(
    ("number", "told"),
    [(errno.ENOSPC, "the disk is full"), (errno.EACCES, "this account may not write there")],
)
@pytest.mark.parametrize("fails_at", [0, 1, 2])
def test_what_cannot_be_written_leaves_all_as_it_was(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, told: str, fails_at: int
) -> None:
    first = scene.write(tmp_path)
    before = contents(first.manifest.parent)
    real = files_module.write_part
    calls: list[bytes] = []

    def write_part(folder: Path, content: bytes) -> Path:
        calls.append(content)
        if len(calls) > fails_at:
            raise OSError(number, os.strerror(number))
        return real(folder, content)

    monkeypatch.setattr(files_module, "write_part", write_part)
    with pytest.raises(ReviewError, match=told):
        scene.write(tmp_path)
    assert contents(first.manifest.parent) == before
    assert len(scene.journal.entries(kinds=(Kind.REPORT_WRITTEN,))) == 1
    assert verify(tmp_path).problems == ()


def test_a_file_that_could_not_be_filled_is_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        files_module.write_part(tmp_path, b"content")
    assert names(tmp_path) == []


def test_without_the_journals_word_nothing_is_claimed(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = scene.write(tmp_path)
    before = contents(first.manifest.parent)

    def refuse(*_: Any) -> None:
        raise ReviewError("the disk is full.")

    monkeypatch.setattr(type(scene.journal), "append", refuse)
    with pytest.raises(ReviewError, match="the disk is full"):
        scene.write(tmp_path)
    assert contents(first.manifest.parent) == before


@pytest.mark.parametrize("renames", range(10))
def test_a_crash_in_between_claims_nothing_wrong(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, renames: int
) -> None:
    """kill -9 after any of the ten renames: what is named is there, and the next writing puts all right."""
    first = scene.write(tmp_path)
    older = contents(first.manifest.parent)
    scene.all_pass()
    real = Path.rename
    calls: list[Path] = []

    class Killed(BaseException):
        pass

    def rename(path: Path, target: Path) -> Path:
        if len(calls) == renames:
            raise Killed
        calls.append(path)
        return real(path, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", rename)
        patch.setattr(Replacement, "undo", lambda self: None)
        with pytest.raises(Killed):
            scene.write(tmp_path)
    problems = verify(first.manifest.parent).problems
    assert all("named by no manifest" in problem for problem in problems)
    kept = contents(first.manifest.parent)
    assert set(older.values()) <= set(kept.values())
    scene.write(tmp_path)
    assert verify(tmp_path).problems == ()
    assert set(older.values()) <= set(contents(first.manifest.parent).values())


def test_a_crash_before_the_journals_word_is_told(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def killed(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(type(scene.journal), "append", killed)
        patch.setattr(Replacement, "undo", lambda self: None)
        with pytest.raises(Killed):
            scene.write(tmp_path)
    (problem,) = verify(tmp_path).problems
    assert problem.startswith("manifest.json was altered, or its writing was interrupted: the journal ")


def test_what_a_killed_writer_left_is_cleared(scene: Scene, tmp_path: Path) -> None:
    folder = tmp_path / ".deia" / "reports"
    folder.mkdir(parents=True)
    (folder / ".0123456789abcdef.part").write_text("half a rep")
    (folder / ".mine.part").write_text("mine")
    scene.write(tmp_path)
    assert names(folder) == [
        ".mine.part",
        END_TO_END,
        SIGN_OFF,
        LOAD_TEST,
        CONFIGURATION,
        MONITORING,
        "manifest.json",
    ]


def test_two_writers_do_not_mix(scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = scene.write(tmp_path)
    monkeypatch.setattr(files_module, "_TRIES", 1)
    with (
        files_module.alone_in(first.manifest.parent),
        pytest.raises(ReviewError, match="another gonogo is writing reports there"),
    ):
        scene.write(tmp_path)
    scene.write(tmp_path)


def test_the_manifest_is_read_back_as_it_was_written(scene: Scene, tmp_path: Path) -> None:
    scene.start()
    scene.result("WALK-01", Verdict.FAIL)
    raw = scene.write(tmp_path).manifest.read_bytes()
    assert decode(raw).encode() == raw


def test_the_monitoring_report_in_docs_is_kept_where_somebody_edited_it(scene: Scene, tmp_path: Path) -> None:
    scene.write(tmp_path)
    docs = tmp_path / ".deia" / "docs"
    (docs / MONITORING).write_text("my notes\n", "utf-8")
    (problem,) = verify(tmp_path).problems
    assert problem.endswith(f"{MONITORING} was altered: it is not the {MONITORING} of the set")
    written = scene.write(tmp_path)
    assert any("was not what gonogo had written" in note for note in written.notes)
    (kept,) = (path for path in docs.iterdir() if path.name != MONITORING)
    assert kept.read_text("utf-8") == "my notes\n"
    assert verify(tmp_path).problems == ()


def test_a_docs_folder_that_cannot_be_made_undoes_nothing(scene: Scene, tmp_path: Path) -> None:
    (tmp_path / ".deia").mkdir()
    (tmp_path / ".deia" / "docs").write_text("a file", "utf-8")
    written = scene.write(tmp_path)
    assert len(written.notes) == 1
    assert "could not be written" in written.notes[0]
    assert verify(tmp_path).problems == ()
