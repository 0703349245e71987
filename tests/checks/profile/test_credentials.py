"""Credentials come from the environment, else from a file that its owner alone may read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from checks.model import ProfileError
from checks.profile.read import load_target
from checks.target import Target

SECRET = "hunter2-canary"


def target(
    folder: Path, content: str | None, environ: dict[str, str] | None = None, mode: int = 0o600
) -> Target:
    """The target of a profile that names a credentials file with `content`; None: there is no such file."""
    file = folder / "secrets.env"
    if content is not None:
        file.write_text(content)
        file.chmod(mode)
    profile = folder / "gonogo.toml"
    profile.write_text(
        '[target]\nurl = "http://h"\n[credentials]\nfile = "secrets.env"\nusername_env = "CHAT_USER"\n'
    )
    return load_target(profile, environ or {})


def refusal(folder: Path, content: str | None, mode: int = 0o600) -> str:
    """The sentence with which the credentials are refused; it never shows what is in the file."""
    with pytest.raises(ProfileError) as caught:
        target(folder, content, mode=mode)
    assert SECRET not in str(caught.value)
    return str(caught.value)


def test_the_file_supplies_what_the_environment_lacks(tmp_path: Path) -> None:
    content = (
        f"# for the review\n\nexport CHAT_USER = 'lead'\nGONOGO_PASSWORD={SECRET}=#x\nGONOGO_TOKEN=\"\"\nOTHER=1\n"
        "GONOGO_DATABASE_URL=postgresql://h/d\n"
    )
    found = target(tmp_path, content, {"GONOGO_TOKEN": "t", "CHAT_USER": ""})
    assert (found.credentials.username, found.credentials.password) == ("lead", f"{SECRET}=#x")
    assert found.credentials.token == "t"
    assert found.database_url == "postgresql://h/d"


def test_the_environment_wins(tmp_path: Path) -> None:
    found = target(tmp_path, "CHAT_USER=file\nGONOGO_PASSWORD=file\n", {"CHAT_USER": "env"})
    assert (found.credentials.username, found.credentials.password) == ("env", "file")


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o620, 0o604])
def test_a_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    told = refusal(tmp_path, f"GONOGO_PASSWORD={SECRET}", mode)
    assert "line 4: [credentials] file" in told
    assert f"mode {mode:04o}" in told
    assert f"chmod 600 {tmp_path / 'secrets.env'}" in told


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    assert "line 4: [credentials] file" in (told := refusal(tmp_path, None))
    assert "no such file or directory" in told


def test_what_is_no_file_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "secrets.env", 0o600)
    assert "is not a file" in refusal(tmp_path, None)


@pytest.mark.parametrize(
    "line", [SECRET, f"{SECRET}!=x", f"=  {SECRET}", f"PASS WORD={SECRET}", f"9A={SECRET}"]
)
def test_a_bad_line_is_named_and_not_shown(tmp_path: Path, line: str) -> None:
    told = refusal(tmp_path, f"# c\nCHAT_USER=u\n{line}\n")
    assert f"{tmp_path / 'secrets.env'}, line 3 is not of the form NAME=value" in told


def test_a_file_that_is_no_text_or_too_long_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secrets.env").write_bytes(b"A=1\nB=\xff" + SECRET.encode())
    (tmp_path / "secrets.env").chmod(0o600)
    assert "line 2 is not UTF-8 text" in refusal(tmp_path, None)
    assert "longer than 64 KiB" in refusal(tmp_path, "A=1\n" * 20000)
