"""Small files are read whole or refused with one sentence; nothing is followed elsewhere or waited for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from checks.probe.files import MAX_BYTES, Trouble, access_of, folders_above, read_small


def test_text_is_read_and_a_link_within_the_folder_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real.env").write_bytes(b"\xef\xbb\xbfA=\xc3\xa9\n")
    (tmp_path / "linked.env").symlink_to("real.env")
    assert read_small(tmp_path / "real.env").text == "A=é\n"
    assert read_small(tmp_path / "linked.env").text == "A=é\n"


def test_a_folder_that_is_a_link_itself_is_no_obstacle(tmp_path: Path) -> None:
    (tmp_path / "release-7").mkdir()
    (tmp_path / "release-7" / "app.env").write_text("A=1\n")
    (tmp_path / "current").symlink_to("release-7")
    assert read_small(tmp_path / "current" / "app.env").text == "A=1\n"


@pytest.mark.parametrize("there", ["elsewhere/secret", "../up", "/etc/passwd", "/dev/zero"])
def test_a_link_out_of_its_folder_is_not_followed(tmp_path: Path, there: str) -> None:
    folder = tmp_path / "etc"
    (folder / "elsewhere").mkdir(parents=True)
    (tmp_path / "up").write_text("A=1")
    (folder / "elsewhere" / "secret").symlink_to(tmp_path / "up")
    (folder / "app.env").symlink_to(there)
    seen = read_small(folder / "app.env")
    assert (seen.text, seen.trouble) == (None, Trouble.ELSEWHERE)
    assert "name the file itself" in seen.sentence


@pytest.mark.parametrize(
    ("raw", "trouble", "told"),
    [
        (b"A=1\n" * MAX_BYTES, Trouble.TOO_LONG, "longer than 256 KiB"),
        (b"A=1\nB=\0\n", Trouble.BINARY, "line 2"),
        (b"A=1\nB=2\nC=\xff\n", Trouble.BINARY, "UTF-8 text in line 3"),
    ],
)
def test_what_is_no_configuration_is_told_by_name(
    tmp_path: Path, raw: bytes, trouble: Trouble, told: str
) -> None:
    path = tmp_path / "app.env"
    path.write_bytes(raw)
    seen = read_small(path)
    assert (seen.text, seen.trouble) == (None, trouble)
    assert str(path) in seen.sentence
    assert told in seen.sentence


def test_a_pipe_a_device_and_a_folder_are_neither_read_nor_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path):
        assert read_small(path).trouble is Trouble.NOT_A_FILE, path


def test_what_is_not_there_or_leads_in_a_circle_is_told(tmp_path: Path) -> None:
    (tmp_path / "a").symlink_to("b")
    (tmp_path / "b").symlink_to("a")
    assert read_small(tmp_path / "none").trouble is Trouble.MISSING
    assert read_small(tmp_path / "a").trouble is Trouble.NOT_A_FILE
    assert "circle" in read_small(tmp_path / "a").sentence


def test_a_file_that_may_not_be_read_is_told_with_the_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "app.env").write_text("A=1")

    def refuse(*_: object, **__: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    seen = read_small(tmp_path / "app.env")
    assert seen.trouble is Trouble.DENIED
    assert "run gonogo as the account of the service" in seen.sentence


def test_who_may_do_what_is_seen_up_to_the_root(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    path = tmp_path / "open" / "app.env"
    path.write_text("A=1")
    path.chmod(0o640)
    seen = access_of(path)
    assert seen
    assert (seen.mode, seen.owner, seen.is_folder) == (0o640, os.geteuid(), False)
    above = folders_above(path)
    assert (above[0].path.name, above[0].mode) == ("open", 0o777)
    assert above[-1].path == Path("/")
    assert access_of(tmp_path / "none") is None
