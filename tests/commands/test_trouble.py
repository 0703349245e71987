"""Everything that an operator or a target can get wrong is one clear sentence."""

from __future__ import annotations

import asyncio
import os
import shlex
import stat
import subprocess
from pathlib import Path

import pytest

from tests.checks.servers import Talk, http, listening, repeating, saying
from tests.commands.gonogo import Done, Gonogo


@pytest.fixture
def gonogo(tmp_path: Path) -> Gonogo:
    return Gonogo(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["run", "--profile", "nowhere.toml"], "nowhere.toml"),
        (["run", "everything"], "everything"),
        (["run", "signoff"], "no checks"),
        (["run", "--demo", "--fault", "no-such"], "no-such"),
        (["run", "--fault", "reply-lost"], "--fault belongs to --demo"),
        (["demo", "--fault", "no-such"], "no-such"),
        (["decide", "maybe", "--because", "x"], "maybe"),
        (["decide", "go"], "--because"),
        (["decide", "go", "--because", "x"], "There is no review yet"),
        (["report"], "There is no review yet"),
        (["verify", "nowhere"], "nowhere"),
        (["frobnicate"], "frobnicate"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_command_is_exit_2_and_one_sentence(gonogo: Gonogo, arguments: list[str], told: str) -> None:
    done = gonogo(*arguments)
    assert done.code == 2, done
    assert told in done.err
    assert len(done.err.strip().splitlines()) <= 4  # click's usage and hint, and the sentence


def test_without_any_review_nothing_is_decidable(gonogo: Gonogo) -> None:
    assert gonogo("status").code == 11
    gonogo.profile('[target]\nurl = "http://127.0.0.1:8000"\n')
    done = gonogo("status")
    assert done.code == 11
    assert done.out.startswith("NOT DECIDABLE")


@pytest.mark.parametrize(
    ("profile", "told"),
    [
        ('[target]\nurl = "http://127.0.0.1:8000"\n[walktrough]\n', "line 3"),
        ('[target]\nulr = "http://127.0.0.1:8000"\n', "line 2"),
        ('[target]\nurl = "http://127.0.0.1:8000"\n[walkthrough]\nreply_within_s = "soon"\n', "line 4"),
        ('[target]\nurl = "http://127.0.0.1:8000\n', "line 2"),
        ("", "url"),
        ('[target]\nurl = "http://user:pw@127.0.0.1:8000"\n', "url"),
    ],
    ids=["unknown section", "unknown key", "wrong type", "not TOML", "empty", "password in the URL"],
)
def test_a_profile_with_a_mistake_names_it_and_its_line(gonogo: Gonogo, profile: str, told: str) -> None:
    gonogo.profile(profile)
    done = gonogo("run", "walkthrough")
    assert (done.code, done.out) == (2, "")
    assert "gonogo.toml" in done.err
    assert told in done.err
    assert len(done.err.strip().splitlines()) == 1
    assert "pw" not in done.err.replace("password", "")


TARGETS: list[tuple[Talk | None, str]] = [
    (None, "nothing listens on 127.0.0.1"),
    (saying(http(b"<!doctype html><title>Welcome</title>", kind="text/html")), "text/html instead of JSON"),
    (saying(b"SSH-2.0-OpenSSH_9.2\r\n"), "did not answer in HTTP"),
    (
        repeating(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n", b" ", 0.02),
        "did not end within 0.5 s",
    ),
]


@pytest.mark.parametrize(
    ("talk", "told"),
    TARGETS,
    ids=["not running", "HTML instead of JSON", "not HTTP", "a reply that never ends"],
)
async def test_a_target_that_is_none_is_told_in_one_sentence(
    gonogo: Gonogo, talk: Talk | None, told: str
) -> None:
    async with listening(talk or saying(b"")) as port:
        if talk:
            done = await asyncio.to_thread(_run, gonogo, port)
    if not talk:  # nobody listens there any more
        done = await asyncio.to_thread(_run, gonogo, port)
    assert done.code == 10
    (line,) = [line for line in done.out.splitlines() if "WALK-01" in line and line.startswith("FAIL")]
    assert told in line


def _run(gonogo: Gonogo, port: int) -> Done:
    limits = "\n".join(
        f"{name} = 0.5" for name in ("timeout_s", "launch_within_s", "down_within_s", "stop_within_s")
    )
    gonogo.profile(f'[target]\nurl = "http://127.0.0.1:{port}"\n[walkthrough]\n{limits}\n')
    return gonogo("run", "walkthrough")


def test_a_reader_that_goes_away_does_not_end_the_run(gonogo: Gonogo) -> None:
    with subprocess.Popen(
        gonogo.command("run", "walkthrough", "--demo", "--json", "run.json"),
        cwd=gonogo.where,
        env=gonogo.environ,
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    ) as running:
        assert running.stdout
        running.stdout.readline()
        running.stdout.close()
        assert running.wait(40) == 0
    assert (gonogo.where / "run.json").is_file()


def test_a_pipe_named_for_the_json_is_written_to_and_kept(gonogo: Gonogo) -> None:
    pipe = gonogo.where / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE, text=True) as reader:
        assert gonogo("run", "walkthrough", "--demo", "--json", "pipe").code == 0
        assert reader.stdout
        assert '"results"' in reader.stdout.read()
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_state_folder_that_cannot_be_made_is_one_sentence(tmp_path: Path) -> None:
    done = Gonogo(tmp_path, GONOGO_STATE_DIR="/etc/passwd")("status")
    assert done.code == 2
    assert "The state folder /etc/passwd cannot be made" in done.err
    assert len(done.err.splitlines()) == 1


def test_a_closed_output_is_no_fault(gonogo: Gonogo) -> None:
    command = shlex.join(gonogo.command("checks"))
    done = subprocess.run(
        ["sh", "-c", f"{command} >&-"],
        env=gonogo.environ,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_credentials_that_no_request_can_carry_are_refused_and_not_shown(tmp_path: Path) -> None:
    done = Gonogo(tmp_path, GONOGO_TOKEN="canary-token\r")("run", "walkthrough")
    assert done.code == 2
    assert "GONOGO_TOKEN holds a control character" in done.err
    assert "canary" not in done.err + done.out
