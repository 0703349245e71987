"""The pager: takes what is posted to it, shows it so that nothing in it acts, and lives as long as the demo."""

from __future__ import annotations

import json
import socket
import tomllib
from pathlib import Path

import httpx
import psutil
import pytest

from console.demo import pager as program
from console.demo.launch import DemoProcess
from console.demo.pager import KEPT, Pages, visible
from console.demo.paging import Pager
from tests.demo.client import all_gone, settings
from tests.demo.serving import served
from tests.demo.watching import until

HOSTILE = "\x1b[2Jgone \u202egnp.exe \x00 \ud800"


def post(demo: DemoProcess, title: str, text: str = "", to: str = "on-call") -> httpx.Response:
    """Tell somebody, as Apprise does."""
    raw = json.dumps({"version": "1.0", "title": title, "message": text, "type": "info"})
    return httpx.post(f"{demo.pager}{to}", content=raw, headers={"Content-Type": "application/json"})


def kept(demo: DemoProcess) -> list[dict[str, str]]:
    """The lines of its file."""
    path = demo.profile.parent / "pager.jsonl"
    return [json.loads(line) for line in path.read_text("ascii").splitlines()] if path.exists() else []


def test_what_is_posted_is_shown_the_newest_first_and_kept(demo: DemoProcess) -> None:
    assert post(demo, "FIRING critical: Error rate", "first line\nsecond line").status_code == 200
    assert post(demo, HOSTILE, HOSTILE, to="lead").status_code == 200
    text = httpx.get(demo.pager).text
    assert text.index("to lead: ") < text.index(
        "to on-call: FIRING critical: Error rate\n    first line\n    second"
    )
    assert "\\x1b[2Jgone \\u202egnp.exe \\x00 \\ud800" in text
    assert all(one.isprintable() or one == "\n" for one in text)
    until(lambda: len(kept(demo)) >= 2)
    last = kept(demo)[-1]
    assert (last["to"], last["title"], last["message"]) == ("lead", HOSTILE, HOSTILE)
    assert (demo.profile.parent / "pager.jsonl").stat().st_mode & 0o777 == 0o600


def test_what_alertmanager_posts_is_shown_too(demo: DemoProcess) -> None:
    alerts = [
        {
            "status": "firing",
            "labels": {"alertname": "ErrorRate"},
            "annotations": {"summary": "Error rate is 2 %"},
        },
        {"status": "resolved", "labels": {}, "annotations": {"summary": "Disk is 80 %"}},
    ]
    raw = json.dumps({"version": "4", "status": "firing", "receiver": "on-call", "alerts": alerts})
    kind = {"Content-Type": "application/json"}
    assert httpx.post(f"{demo.pager}on-call", content=raw, headers=kind).status_code == 200
    text = httpx.get(demo.pager).text
    assert (
        "to on-call: Alertmanager: firing\n    firing: Error rate is 2 %\n    resolved: Disk is 80 %" in text
    )
    assert httpx.post(f"{demo.pager}on-call", content='{"alerts": [{}]}', headers=kind).status_code == 400


def test_the_profile_has_contacts_that_end_at_it(demo: DemoProcess) -> None:
    profile = tomllib.loads(demo.profile.read_text("utf-8"))
    variables = settings(demo.profile.parent / "credentials.env")
    assert profile["escalation"] == {"critical": ["on-call", "lead 2m"], "warning": ["on-call"]}
    for name in ("on-call", "lead"):
        contact = profile["contacts"][name]
        assert demo.pager in contact["person"]
        assert variables[contact["url_env"]] == f"{demo.pager.replace('http', 'json')}{name}"
    assert demo.info["pager"] == demo.pager


@pytest.mark.parametrize(
    ("path", "kind", "body", "status"),
    [
        ("on-call", "text/plain", b"{}", 415),
        ("on-call", "application/json", b"{", 400),
        ("on-call", "application/json", b"[]", 400),
        ("on-call", "application/json", b'{"title": 1, "message": "x"}', 400),
        ("on-call", "application/json", b"[" * 60_000, 400),
        ("on-call", "application/json", b"x" * 70_000, 413),
        ("on-call/more", "application/json", b'{"title": "x", "message": "x"}', 404),
        ("", "application/json", b'{"title": "x", "message": "x"}', 404),
    ],
)
def test_what_is_no_message_is_refused(
    demo: DemoProcess, path: str, kind: str, body: bytes, status: int
) -> None:
    before = httpx.get(demo.pager).text
    answer = httpx.post(f"{demo.pager}{path}", content=body, headers={"Content-Type": kind})
    assert answer.status_code == status
    assert httpx.get(demo.pager).text == before


def test_a_page_of_somebody_elses_cannot_read_it(demo: DemoProcess) -> None:
    assert httpx.get(demo.pager, headers={"Host": "pager.example"}).status_code == 403
    assert httpx.get(f"{demo.pager}pager.jsonl").status_code == 404


def test_a_client_that_says_nothing_keeps_nobody_waiting(demo: DemoProcess) -> None:
    port = int(demo.pager.rstrip("/").rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)):
        assert httpx.get(demo.pager).status_code == 200


def test_the_newest_are_kept_and_the_file_does_not_grow_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(program, "MAX_FILE_BYTES", 20_000)
    monkeypatch.setattr("os.geteuid", lambda: 1)  # this process must not give up its rights
    pages = Pages()
    pages.add({"at": "before the folder was known", "title": "", "message": "", "to": "lead"})
    pages.keep_in(str(tmp_path))
    for number in range(600):
        pages.add({"at": "", "title": str(number), "message": "", "to": "lead"})
    assert [entry["title"] for entry in pages.newest_first] == [str(599 - place) for place in range(KEPT)]
    lines = (tmp_path / "pager.jsonl").read_text("ascii").splitlines()
    assert json.loads(lines[-1])["title"] == "599"
    assert KEPT <= len(lines) < 600


def test_only_what_prints_as_itself_is_left_as_it_is() -> None:
    assert visible("Straße 日本 \t\n\u200f") == "Straße 日本 \\x09\\x0a\\u200f"


def test_it_goes_on_while_the_controller_is_dead_and_ends_with_the_demo() -> None:
    with DemoProcess.start(port=0) as demo:
        port = int(demo.pager.rstrip("/").rpartition(":")[2])
        (process,) = [
            one
            for one in psutil.Process().children()
            if "pager.py" in " ".join(one.cmdline())
            and any(connection.laddr.port == port for connection in one.net_connections())
        ]
        demo.kill()
        assert post(demo, "the controller is dead").status_code == 200
        until(lambda: kept(demo)[-1]["title"] == "the controller is dead")
        demo.revive()
        assert post(demo, "it is back").status_code == 200
        until(lambda: [entry["title"] for entry in kept(demo)] == ["the controller is dead", "it is back"])
    assert all_gone([process])


def test_a_demo_of_the_command_line_has_one_that_is_no_part_of_it(tmp_path: Path) -> None:
    with served("--port", "0", "--data", str(tmp_path)) as demo:
        assert httpx.get(demo.info["pager"]).status_code == 200
        assert not psutil.Process(demo.process.pid).children()
        demo.process.kill()
        demo.process.wait(10)

        def is_gone() -> bool:
            try:
                return not httpx.get(demo.info["pager"])
            except httpx.TransportError:
                return True

        until(is_gone, "the pager has outlived its demo")


def test_the_fault_makes_it_refuse_and_take_again() -> None:
    with DemoProcess.start(port=0, faults=["pager-down"]) as demo:
        until(lambda: post(demo, "x").status_code == 503)
        demo.switch()
        until(lambda: post(demo, "y").status_code == 200)


def test_stopping_again_is_no_harm() -> None:
    pager = Pager()
    pager.stop()
    pager.stop()
    pager.keep_in(Path("/nowhere"))
