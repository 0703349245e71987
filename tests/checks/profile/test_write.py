"""The written profile: loads as it stands, says everything, and never replaces a file."""

from __future__ import annotations

import tomllib
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.model import ProfileError
from checks.profile.contract import built_in
from checks.profile.discover import Discovery
from checks.profile.read import load_target, target_for_url
from checks.profile.write import render, toml, write_new
from checks.target import Contract, Profile
from checks.text import Clean, clean

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def discovery(**values: str) -> Discovery:
    """A discovery in which only the URL and `values` ([database]) were found."""
    found: dict[tuple[str, str], str | int | bool] = {("target", "url"): "http://127.0.0.1:8000"}
    found |= {("database", key): value for key, value in values.items()}
    hints = {"send": Clean("POST /api/x"), "stop": Clean("")}
    return Discovery(
        8000, NOON, (clean("port 8000 is open"),), (clean("its log; set [log] file"),), found, hints
    )


def uncommented(text: str) -> str:
    """The profile with every default switched on."""
    return "\n".join(
        line[1:] if line.startswith("#") and line[1:2] not in (" ", "") else line for line in text.split("\n")
    )


def test_it_loads_as_it_stands_and_means_the_defaults(tmp_path: Path) -> None:
    write_new(tmp_path / "gonogo.toml", render(discovery()))
    found, plain = load_target(tmp_path / "gonogo.toml", {}), target_for_url("http://127.0.0.1:8000", {})
    assert (found.profile, found.contract, found.database_url) == (plain.profile, plain.contract, "")


def test_every_default_that_it_shows_is_the_one_that_holds(tmp_path: Path) -> None:
    path = tmp_path / "gonogo.toml"
    write_new(path, uncommented(render(discovery())))
    found, plain = load_target(path, {}), target_for_url("http://127.0.0.1:8000", {})
    assert found.contract == plain.contract == built_in()["port8000"]
    for section in ("target", "credentials", "process", "log", "walkthrough", "review", "report", "console"):
        assert getattr(found.profile, section) == getattr(plain.profile, section)


def test_every_section_and_key_is_there_with_its_comment() -> None:
    text = render(discovery())
    document = tomllib.loads(uncommented(text))
    for section in msgspec.structs.fields(Profile):
        assert section.name in document
        if isinstance(section.type, type) and issubclass(section.type, msgspec.Struct):
            assert set(document[section.name]) == {
                entry.name for entry in msgspec.structs.fields(section.type)
            }
    contract = {entry.name for entry in msgspec.structs.fields(Contract)}
    assert set(document["contract"]) == contract - {"name", "operations", "table", "columns"}
    assert set(document["operations"]) == set(built_in()["port8000"].operations)
    assert "# Hosts besides loopback that may be loaded or disturbed.\n#authorized = []" in text
    assert "# Limits in seconds, from the request to the observed effect.\n[walkthrough]" in text


def test_found_values_are_set_and_what_is_missing_is_said() -> None:
    text = render(discovery(url="/srv/chat.db"))
    assert '\nurl = "/srv/chat.db"\n' in text
    assert "#   port 8000 is open" in text
    assert "#   its log; set [log] file" in text
    assert "# Not listed by the target; perhaps it is POST /api/x.\n#[operations.send]" in text
    assert "# Not listed by the target.\n#[operations.stop]" in text


@given(
    st.recursive(
        st.text() | st.integers(-(2**63), 2**63 - 1) | st.booleans(), lambda one: st.lists(one, max_size=3)
    )
)
def test_values_survive_the_way_through_toml(value: object) -> None:
    assert tomllib.loads(f"a = {toml(value)}")["a"] == value


def test_a_kind_that_a_profile_never_holds_is_refused() -> None:
    with pytest.raises(TypeError):
        toml(None)


def test_an_existing_file_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "gonogo.toml"
    path.write_text("mine")
    with pytest.raises(ProfileError, match="exists and is kept: give another file with --out"):
        write_new(path, "other")
    assert {file.name: file.read_text() for file in tmp_path.iterdir()} == {"gonogo.toml": "mine"}


def test_a_link_is_not_followed_to_overwrite(tmp_path: Path) -> None:
    (tmp_path / "gonogo.toml").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(ProfileError, match="exists and is kept"):
        write_new(tmp_path / "gonogo.toml", "text")
    assert not (tmp_path / "elsewhere").exists()


def test_the_file_is_its_owners_alone(tmp_path: Path) -> None:
    write_new(tmp_path / "gonogo.toml", "text")
    assert (tmp_path / "gonogo.toml").stat().st_mode & 0o777 == 0o600
    assert [file.name for file in tmp_path.iterdir()] == ["gonogo.toml"]


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ProfileError, match=r"could not be written \(no such file or directory\)"):
        write_new(tmp_path / "absent" / "gonogo.toml", "text")


def test_a_failed_write_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(ProfileError, match="no space left on device"):
        write_new(tmp_path / "gonogo.toml", "text")
    assert list(tmp_path.iterdir()) == []
