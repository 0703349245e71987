"""SQL, shell commands and paths: a target that runs or follows them is caught, one that keeps them text is not."""

from __future__ import annotations

import asyncio
import re
import subprocess
import tempfile
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from checks.audit.escapes import (
    launches_run_no_shell,
    paths_stay_in_their_folder,
    shell_payloads,
    upwards,
)
from checks.audit.injection import LEAST_DELAY_S, delaying, median_difference, text_cannot_alter_sql
from checks.model import Reason, Verdict
from tests.checks.audit.answering import Asked, Said, said
from tests.checks.audit.chatting import BOT, chatting, only, refused

USERS = b"root:x:0:0:root:/root:/bin/bash\nsecret-user:x:1000:1000::/:/bin/sh\n"


async def test_sql_that_stays_text_passes(tmp_path: Path) -> None:
    async with chatting(tmp_path) as (context, server):
        outcome = await text_cannot_alter_sql(context)
    assert outcome.verdict is Verdict.PASS, outcome.summary
    assert server.count("/history") == 9


async def test_a_target_that_really_waits_is_caught_by_the_time_it_takes(tmp_path: Path) -> None:
    async def waits(asked: Asked) -> Said | None:
        if "/history" in asked.path and "4000000" in asked.path:
            await asyncio.sleep(LEAST_DELAY_S + 0.1)
        return None

    async with chatting(tmp_path, waits) as (context, _):
        outcome = await text_cannot_alter_sql(context)
    assert outcome.verdict is Verdict.FAIL
    assert outcome.summary.startswith("A long wait in the history's bot_id took 0.")


async def test_one_slow_answer_among_quick_ones_is_no_delay(tmp_path: Path) -> None:
    seen: list[str] = []

    async def slow_once(asked: Asked) -> Said | None:
        if "4000000" in asked.path:
            seen.append(asked.path)
            if len(seen) == 1:
                await asyncio.sleep(LEAST_DELAY_S * 3)
        return None

    async with chatting(tmp_path, slow_once) as (context, _):
        outcome = await text_cannot_alter_sql(context)
    assert outcome.verdict is Verdict.PASS, outcome.summary
    assert len(seen) == 3  # looked at once more


async def test_a_condition_that_is_run_is_told(tmp_path: Path) -> None:
    def concatenated(asked: Asked) -> Said | None:
        bot = parse_qs(urlsplit(asked.path).query)["bot_id"][0]
        if bot == f"{BOT}' AND '1'='1":
            return said({"success": True, "messages": [{"role": "user", "content": "everything"}]})
        return None

    async with chatting(tmp_path, only("/history", concatenated)) as (context, _):
        outcome = await text_cannot_alter_sql(context)
    assert outcome.verdict is Verdict.FAIL
    assert "answered differently (1 and 0 messages)" in outcome.summary


async def test_an_error_of_sql_in_a_200_is_told(tmp_path: Path) -> None:
    def complains(asked: Asked) -> Said | None:
        wrong = {"success": False, "error": 'near "\'": syntax error'}
        return said(wrong) if asked.path.partition("bot_id=")[2].startswith(f"{BOT}%27&") else None

    async with chatting(tmp_path, only("/history", complains)) as (context, _):
        outcome = await text_cannot_alter_sql(context)
    assert outcome.verdict is Verdict.FAIL
    assert outcome.summary == "A quote in the history's bot_id is answered with an error of SQL"


async def test_a_history_that_shows_nothing_says_nothing(tmp_path: Path) -> None:
    def empty(asked: Asked) -> Said | None:
        return said({"success": True, "messages": []})

    async with chatting(tmp_path, only("/history", empty)) as (context, server):
        outcome = await text_cannot_alter_sql(context)
    assert (outcome.verdict, outcome.reason) == (Verdict.INCONCLUSIVE, Reason.CONTROL)
    assert server.count("/history") == 1


@pytest.mark.parametrize("backend", ["", "sqlite", "postgresql"])
def test_the_harmless_twin_is_as_long_as_the_wait(backend: str) -> None:
    wait, twin = (delaying(backend, BOT, is_harmless=is_harmless) for is_harmless in (False, True))
    assert wait != twin
    assert len(wait) == len(twin)


def test_the_middle_difference_counts() -> None:
    assert median_difference([(0.9, 0.1), (0.1, 0.1), (1.0, 0.1)]) == pytest.approx(0.8)
    assert median_difference([(3.0, 0.1), (0.1, 0.1), (0.1, 0.1)]) == 0


@pytest.mark.parametrize("way", range(3))
def test_every_payload_is_run_by_a_shell_and_by_nothing_else(tmp_path: Path, way: int) -> None:
    file = tmp_path / "made"
    payload = shell_payloads("claude", str(file))[way]
    subprocess.run(["echo", payload], check=True, timeout=10, stdout=subprocess.DEVNULL)
    assert not file.exists()
    subprocess.run(["sh", "-c", f"echo {payload}"], check=False, timeout=10, capture_output=True)
    assert file.exists()


async def test_launches_that_are_refused_pass_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A folder for temporary files of its own: another process of the suite may just make the same check.
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    async with chatting(tmp_path) as (context, server):
        outcome = await launches_run_no_shell(context)
        assert all(bot.is_stopped for bot in context.launches.bots.values())
    assert outcome.verdict is Verdict.PASS, outcome.summary
    assert server.count("/launch") == 6
    assert not [one for one in _folders() if one.stat().st_mode & 0o777 == 0o733]


async def test_a_command_that_was_run_is_told_even_behind_a_refusal(tmp_path: Path) -> None:
    def careless(asked: Asked) -> Said | None:
        if found := re.search(rb"touch (/[\w./-]+type-0)", asked.body):
            Path(found[1].decode()).touch()
        return refused(422)

    async with chatting(tmp_path, only("/launch", careless)) as (context, _):
        outcome = await launches_run_no_shell(context)
    assert outcome.verdict is Verdict.FAIL
    assert outcome.summary == "A launch ran the shell command in its type"


async def test_launches_that_are_taken_prove_nothing_where_their_processes_are_not_seen(
    tmp_path: Path,
) -> None:
    def takes(asked: Asked) -> Said | None:
        return said({"success": True, "bot_id": BOT})

    async with chatting(tmp_path, only("/launch", takes)) as (context, _):
        outcome = await launches_run_no_shell(context)
        bots = context.launches.bots
        assert [one.bot_id for one in bots.values() if not one.is_stopped]  # to be stopped when the run ends
    assert (outcome.verdict, outcome.reason) == (Verdict.INCONCLUSIVE, Reason.NO_RIGHT)


async def test_paths_reach_the_target_as_they_are_written(tmp_path: Path) -> None:
    async with chatting(tmp_path) as (context, server):
        outcome = await paths_stay_in_their_folder(context)
    assert outcome.verdict is Verdict.PASS, outcome.summary
    assert [one.path for one in server.asked] == list(upwards("/static/"))


async def test_a_file_of_the_host_is_told_and_not_kept(tmp_path: Path) -> None:
    def serves(asked: Asked) -> Said | None:
        return (
            Said(200, USERS, {"Content-Type": "text/plain"})
            if asked.path.startswith("/static/..%2f")
            else None
        )

    async with chatting(tmp_path, only("/static/", serves)) as (context, _):
        outcome = await paths_stay_in_their_folder(context)
    assert outcome.verdict is Verdict.FAIL
    assert "secret-user" not in "".join(seen.body + seen.title for seen in outcome.evidence)


def _folders() -> list[Path]:
    return [one for one in Path(tempfile.gettempdir()).glob("gonogo-????????") if one.is_dir()]
