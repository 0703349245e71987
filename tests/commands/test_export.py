"""`gonogo export`: files for other programs, from the profile that is named or the demo that runs."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
import yaml

from console.demo.launch import DemoProcess
from tests.commands.gonogo import Gonogo

PROFILE = '[target]\nurl = "http://127.0.0.1:8000"\nname = "Chat"\n'
FILES = {
    "prometheus": ["gonogo-rules.yml", "gonogo-rules-test.yml", "prometheus.yml"],
    "alertmanager": ["alertmanager.yml"],
    "grafana": ["gonogo-dashboard.json"],
    "systemd": ["gonogo-watch.service"],
}


@pytest.mark.parametrize("kind", [*FILES, "all"])
def test_each_path_is_told(tmp_path: Path, kind: str) -> None:
    gonogo = Gonogo(tmp_path)
    gonogo.profile(PROFILE)
    done = gonogo("export", kind, "out")
    wanted = FILES.get(kind) or [name for names in FILES.values() for name in names]
    assert done.code == 0
    told = [line for line in done.out.splitlines() if not line.startswith("Note: ")]
    assert told == [f"out/{name}" for name in wanted]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == sorted(wanted)
    # Again, over itself.
    assert gonogo("export", kind, "out").code == 0


def test_somebodys_own_file_is_kept_unless_forced(tmp_path: Path) -> None:
    gonogo = Gonogo(tmp_path)
    gonogo.profile(PROFILE)
    own = tmp_path / "prometheus.yml"
    own.write_text("# mine\n", "utf-8")
    done = gonogo("export", "all", ".")
    assert (done.code, done.out) == (2, "")
    assert "was not written by an export" in done.err
    assert own.read_text("utf-8") == "# mine\n"
    assert not (tmp_path / "alertmanager.yml").exists()
    assert gonogo("export", "all", ".", "--force").code == 0
    assert own.read_text("utf-8") != "# mine\n"


def test_a_wrong_word_and_a_missing_profile_are_said_in_a_sentence(tmp_path: Path) -> None:
    gonogo = Gonogo(tmp_path)
    assert gonogo("export", "nagios", "out").code == 2
    done = gonogo("--profile", "none.toml", "export", "grafana", "out")
    assert (done.code, "gonogo init" in done.err) == (2, True)
    assert gonogo("export", "grafana", "out", "--demo", "--profile", "gonogo.toml").code == 2
    assert not (tmp_path / "out").exists()


def test_a_demo_that_does_not_run_is_said(tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    left = temporary / "gonogo-demo-killed"
    left.mkdir(parents=True)
    (left / "lock").touch()
    (left / "gonogo.toml").write_text(PROFILE, "utf-8")
    done = Gonogo(tmp_path, TMPDIR=str(temporary))("export", "all", "out", "--demo")
    assert (done.code, "No demo runs" in done.err) == (2, True)
    assert not (tmp_path / "out").exists()


def test_the_demo_that_runs_is_taken_with_its_addresses(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir(mode=0o777)
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", None)
    with DemoProcess.start(port=0, tls=True) as demo:
        done = Gonogo(tmp_path)("export", "all", "out", "--demo")
        assert done.code == 0, done.err
        config = yaml.safe_load((tmp_path / "out" / "prometheus.yml").read_text("utf-8"))
        scrape = config["scrape_configs"][0]
        assert f"https://{scrape['static_configs'][0]['targets'][0]}" == demo.url
        assert scrape["tls_config"]["ca_file"].startswith(str(temporary))
        people = yaml.safe_load((tmp_path / "out" / "alertmanager.yml").read_text("utf-8"))["receivers"]
        urls = {one["name"]: one["webhook_configs"][0]["url"] for one in people if "webhook_configs" in one}
        assert urls == {f"contact-{name}": f"{demo.pager}{name}" for name in ("on-call", "lead")}
        assert str(demo.profile) in (tmp_path / "out" / "gonogo-watch.service").read_text("utf-8")
