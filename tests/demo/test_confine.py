"""A demo that root started gives up root's rights, wherever its folder is; without root it stays what it is."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import psutil
import pytest

from console.demo import confine
from console.demo.launch import DemoProcess
from tests.demo.client import launched, say, signed_in

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root has rights to give up")


@needs_root
def test_controller_and_bots_run_as_nobody_in_a_folder_that_only_root_can_reach(tmp_path: Path) -> None:
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    with DemoProcess.start(port=0, data=closed / "data") as demo, signed_in(demo) as client:
        with launched(client, "BOT-001") as bot:
            say(client, "BOT-001", "hello")
            for process in (psutil.Process(demo.pid), bot):
                assert process.username() == confine.ACCOUNT
        assert "running as root" not in Path(demo.info["log"]).read_text("utf-8")
        assert closed.stat().st_uid == 0
    assert (closed / "data" / "chat_history.db").stat().st_uid != 0


@needs_root
def test_what_it_may_not_give_away_keeps_it_root_and_is_told(tmp_path: Path) -> None:
    elsewhere = f"sqlite:///{tmp_path}/elsewhere.db"
    with DemoProcess.start(port=0, database=elsewhere) as demo:
        assert psutil.Process(demo.pid).username() == "root"
        assert "is not in the folder of the data" in Path(demo.info["log"]).read_text("utf-8")


@needs_root
def test_a_temporary_folder_is_gone_afterwards() -> None:
    with DemoProcess.start(port=0) as demo:
        folder = demo.profile.parent
        assert folder.stat().st_uid != 0
    assert not folder.exists()


def test_an_ordinary_account_gives_nothing_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    before = tmp_path.stat().st_uid, os.getuid(), resource.getrlimit(resource.RLIMIT_AS)
    assert confine.give_up_root(tmp_path, [], frozenset()) == ""
    assert (tmp_path.stat().st_uid, os.getuid(), resource.getrlimit(resource.RLIMIT_AS)) == before
