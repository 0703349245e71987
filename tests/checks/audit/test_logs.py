"""What the checks of the log say of a controller that does not log as it should."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import psutil
import pytest

from checks.audit import log_secrets
from checks.audit.common import Function
from checks.audit.log_files import log_is_closed, log_is_rotated, log_is_structured
from checks.audit.log_records import read_record
from checks.audit.log_secrets import Scanner, blind_spot, no_secrets_are_logged
from checks.audit.log_source import NO_LOG
from checks.audit.logs import (
    causes_are_logged,
    errors_are_logged,
    refused_sign_in_is_logged,
    times_are_right,
)
from checks.context import Context
from checks.launches import Bot
from checks.model import Outcome, Reason, Verdict
from checks.probe.log import Lines
from tests.checks.audit.answering import Asked, Said, answering, said
from tests.checks.audit.contexts import context_of, target_at

Logging = Callable[[Asked, int], str]
"""The line (or nothing) that a controller writes about a request that it answers with that status."""
EVERY: tuple[Function, ...] = (
    errors_are_logged,
    causes_are_logged,
    times_are_right,
    refused_sign_in_is_logged,
    no_secrets_are_logged,
    log_is_structured,
    log_is_rotated,
    log_is_closed,
)


def record(asked: Asked, status: int, **changed: object) -> dict[str, object]:
    """The record of one request as it should be."""
    return {
        "time": datetime.now(UTC).isoformat(),
        "level": "WARNING" if status >= 400 else "INFO",
        "event": "request refused" if status >= 400 else "request",
        "request_id": asked.headers.get("x-request-id", "r"),
        "method": asked.method,
        "path": asked.path.partition("?")[0],
        "status": status,
        "client": asked.client,
        "cause": "Bot not found" if status >= 400 else "",
    } | changed


def good(asked: Asked, status: int) -> str:
    """A log as it should be."""
    return json.dumps(record(asked, status))


def changed(**values: object) -> Logging:
    """A log that is good but for these fields."""
    return lambda asked, status: json.dumps(record(asked, status, **values))


@asynccontextmanager
async def logging(
    tmp_path: Path, write: Logging, *, named: bool = True
) -> AsyncIterator[tuple[Context, Path]]:
    """A run on a controller that refuses every command and sign-in, and logs like that."""
    path = tmp_path / "controller.log"
    path.write_text("".join(good(Asked("GET", "/", {}, "127.0.0.1"), 200) + "\n" for _ in range(6)))
    path.chmod(0o600)

    async def answer(asked: Asked) -> Said:
        status = 401 if "login" in asked.path else 404 if "/task" in asked.path else 200
        if line := write(asked, status):
            with path.open("a", encoding="utf-8") as file:
                file.write(line + "\n")
        return said({"success": status == 200, "error": "Bot not found", "status": "ok"}, status)

    async with answering(answer) as server:
        target = target_at(server.url, {"log_within_s": 0.3})
        log = msgspec.structs.replace(target.profile.log, file=str(path) if named else "")
        target = msgspec.structs.replace(target, profile=msgspec.structs.replace(target.profile, log=log))
        async with context_of(target, tmp_path) as context:
            yield context, path


@pytest.fixture(autouse=True)
def bot(monkeypatch: pytest.MonkeyPatch) -> None:
    """There is a bot to talk to, as far as these checks ask."""

    async def a_bot(context: Context) -> Bot:
        del context
        return Bot("BOT-1")

    monkeypatch.setattr(log_secrets, "a_bot", a_bot)


@pytest.mark.parametrize("function", [check for check in EVERY if check is not log_is_rotated])
async def test_a_good_log_passes(tmp_path: Path, function: Function) -> None:
    async with logging(tmp_path, good) as (context, _):
        outcome = await function(context)
    assert outcome.verdict is Verdict.PASS, outcome


def silent_on_errors(asked: Asked, status: int) -> str:
    """Nothing of what fails."""
    return "" if status >= 400 else good(asked, status)


def access_line(asked: Asked, status: int) -> str:
    """What uvicorn writes by itself."""
    return f'INFO:     {asked.client}:4711 - "{asked.method} {asked.path} HTTP/1.1" {status} Told'


def without_result(asked: Asked, status: int) -> str:
    """That somebody signed in, or tried to."""
    return json.dumps(record(asked, 0, cause="", event="sign-in"))


def with_header(asked: Asked, status: int) -> str:
    """A careless one."""
    return json.dumps(record(asked, status, headers=f"authorization: {asked.headers.get('authorization')}"))


@pytest.mark.parametrize(
    ("function", "write", "told"),
    [
        (errors_are_logged, silent_on_errors, "A command to an unknown bot failed, and is not in"),
        (errors_are_logged, access_line, "only as INFO"),
        (errors_are_logged, changed(level="INFO"), "only as INFO"),
        (errors_are_logged, changed(level=None), "only without a level"),
        (causes_are_logged, changed(cause=""), "the log does not say why (line 7)"),
        (times_are_right, changed(time="2026-03-01T12:00:00.000"), "do not say their zone"),
        (times_are_right, changed(time=None), "carries no time"),
        (
            times_are_right,
            lambda asked, status: json.dumps(
                record(asked, status, time=(datetime.now(UTC) - timedelta(hours=1)).isoformat())
            ),
            "Times in the log are 36",
        ),
        (refused_sign_in_is_logged, silent_on_errors, "is not in the log"),
        (refused_sign_in_is_logged, changed(client="10.0.0.1"), "without the address that it came from"),
        (refused_sign_in_is_logged, without_result, "without its result"),
        (no_secrets_are_logged, with_header, "authorization header, token of this run"),
    ],
)
async def test_what_is_wrong_with_a_log_is_told(
    tmp_path: Path, function: Function, write: Logging, told: str
) -> None:
    async with logging(tmp_path, write) as (context, _):
        outcome = await function(context)
    assert outcome.verdict is Verdict.FAIL, outcome
    for part in told.split(", "):
        assert part in outcome.summary


async def test_a_log_in_which_everything_is_found_proves_nothing(tmp_path: Path) -> None:
    def echo(asked: Asked, status: int) -> str:
        return good(asked, status) + " 0badc0de1234-never-sent"

    async with logging(tmp_path, echo) as (context, _):
        outcome = await errors_are_logged(context)
    assert (outcome.verdict, outcome.reason) == (Verdict.INCONCLUSIVE, Reason.CONTROL)


@pytest.mark.parametrize("function", EVERY)
async def test_without_a_log_every_check_says_the_same(tmp_path: Path, function: Function) -> None:
    async with logging(tmp_path, good) as (context, path):
        path.unlink()
        outcome = await function(context)
    assert (outcome.verdict, outcome.reason) == (Verdict.INCONCLUSIVE, Reason.NO_SOURCE)
    assert outcome.summary == f"The log {path} is not there: set [log] file in the profile"


async def test_the_log_that_the_process_has_open_is_found_by_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The server of this test is this very process, whose own output may go to a file: that is not its log.
    every = psutil.Process.open_files

    def own(process: psutil.Process) -> list[Any]:
        return [file for file in every(process) if Path(file.path).is_relative_to(tmp_path)]

    monkeypatch.setattr(psutil.Process, "open_files", own)
    async with logging(tmp_path, good, named=False) as (context, path):
        outcome = await log_is_closed(context)
        assert (outcome.verdict, outcome.summary) == (Verdict.INCONCLUSIVE, NO_LOG)
    async with logging(tmp_path, good, named=False) as (context, path):
        with path.open("a", encoding="utf-8"):
            assert (await log_is_closed(context)).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ('{"sent": "gonogo%200badc0de1234%20hello"}', "text of a message"),
        ('{"sent": "Z29ub2dvIDBiYWRjMGRlMTIzNCB3b3JkOiBwbGVhc2U="}', "text of a message"),
        ("connecting to postgresql://chat:geheim1@db/chat", "connection string with a password"),
        ('{"error": "bad body {\\"password\\": \\"geheim12\\"}"}', "password or secret by name"),
        ("GET /ws?token=eyJhbGciOiJIUzI1NiJ9.eyJ1c2VyIjoiYSJ9.c2ln bmF0dXJl".replace(" ", ""), "token (JWT)"),
    ],
)
async def test_a_secret_is_found_in_any_spelling_and_never_shown(
    tmp_path: Path, line: str, what: str
) -> None:
    async with logging(tmp_path, good) as (context, path):
        with path.open("a", encoding="utf-8") as file:
            file.write(line + "\n")
        outcome = await no_secrets_are_logged(context)
    assert outcome.verdict is Verdict.FAIL
    assert f"controller.log, line 7: {what}" in outcome.evidence[0].body
    assert line not in f"{outcome}"


def test_the_search_finds_its_own_fixtures_and_says_where_it_does_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert blind_spot() == ""
    monkeypatch.setitem(log_secrets._FIXTURES, "token (JWT)", ("nothing", "nothing"))
    assert blind_spot() == "token (JWT) is not found"


@pytest.mark.parametrize(
    "line",
    [
        '{"event": "user registered", "user": "demo", "token": null, "cause": "Password must be at least 8 long"}',
        "INFO password=*** token=[REDACTED] url=postgresql://chat:***@db/chat",
        "2026-03-01 12:00:00 INFO Sign in again: the token is not valid",
    ],
)
def test_ordinary_lines_hold_no_secret(line: str) -> None:
    assert Scanner({"x": ["canary-secret"]}).scan(Lines((line,), 1)) == []


@pytest.mark.parametrize(
    ("line", "level", "time", "is_structured"),
    [
        ('{"ts": 1772366400.5, "level": "error"}', 40, "2026-03-01T12:00:00.500000+00:00", True),
        ('{"@timestamp": 1772366400500, "level": 30}', 30, "2026-03-01T12:00:00.500000+00:00", True),
        ('time=2026-03-01T12:00:00Z level=warn msg="a b" id=1', 30, "2026-03-01T12:00:00+00:00", True),
        ("2026-03-01 12:00:00,123 - app - ERROR - boom", 40, "2026-03-01T12:00:00.123000", False),
        (
            '::1 - - [01/Mar/2026:13:00:00 +0100] "GET / HTTP/1.1" 200 5',
            None,
            "2026-03-01T13:00:00+01:00",
            False,
        ),
        ("Traceback (most recent call last):", None, None, False),
        ("[" * 5000, None, None, False),
        ('{"time": {"a": 1}, "level": ["x"]}', None, None, True),
    ],
)
def test_records_of_many_programs_are_read(
    line: str, level: int | None, time: str | None, is_structured: bool
) -> None:
    seen = read_record(line)
    assert (seen.level, seen.time.isoformat() if seen.time else None) == (level, time)
    assert seen.is_structured is is_structured


async def test_plain_words_and_records_without_an_id_are_told(tmp_path: Path) -> None:
    async with logging(tmp_path, good) as (context, path):
        path.write_text("2026-03-01 12:00:00 INFO all is well\n" * 20)
        assert "0% of the lines are structured" in (await log_is_structured(context)).summary
        asked = Asked("GET", "/", {}, "127.0.0.1")
        path.write_text((json.dumps(record(asked, 200, request_id="")) + "\n") * 20)
        assert "carry the request's id" in (await log_is_structured(context)).summary
        path.write_text("{}\n")
        assert (await log_is_structured(context)).verdict is Verdict.INCONCLUSIVE


async def rotation(context: Context, path: Path, settings: Mapping[str, int]) -> Outcome:
    """What is said of a log with those settings in a configuration file."""
    config = path.with_name("controller.json")
    config.write_text(json.dumps({"log": settings}))
    return await log_is_rotated(context)


@pytest.mark.parametrize(
    ("settings", "verdict", "told"),
    [
        ({"max_bytes": 5000, "backups": 2}, Verdict.PASS, "log_max_bytes = 5000, controller.json"),
        ({"max_bytes": 0, "backups": 2}, Verdict.FAIL, "log_max_bytes = 0"),
        ({"max_bytes": 5000, "backups": 0}, Verdict.FAIL, "log_backups = 0"),
        ({"max_bytes": 10, "backups": 2}, Verdict.FAIL, "the declared rotation does not act"),
    ],
)
async def test_rotation_is_taken_from_the_settings_and_must_act(
    tmp_path: Path, settings: Mapping[str, int], verdict: Verdict, told: str
) -> None:
    async with logging(tmp_path, good) as (context, path):
        audit = msgspec.structs.replace(
            context.target.profile.audit, config_files=(str(tmp_path / "controller.json"),)
        )
        profile = msgspec.structs.replace(context.target.profile, audit=audit)
        context.target = msgspec.structs.replace(context.target, profile=profile)
        if settings["max_bytes"] == 10:
            with path.open("ab") as file:
                file.truncate(2 << 20)
                file.seek(0, 2)
                file.write(b"x" * 9000 + b"\n")
        outcome = await rotation(context, path, settings)
    assert outcome.verdict is verdict, outcome
    assert told in outcome.summary


@pytest.mark.parametrize(
    ("mode", "folder_mode", "told"),
    [
        (0o644, 0o755, "read by everybody"),
        (0o660, 0o755, "written by its group"),
        (0o602, 0o755, "written by everybody"),
        (0o600, 0o777, "may be written to by everybody"),
    ],
)
async def test_an_open_log_is_told(tmp_path: Path, mode: int, folder_mode: int, told: str) -> None:
    async with logging(tmp_path, good) as (context, path):
        path.chmod(mode)
        path.parent.chmod(folder_mode)
        outcome = await log_is_closed(context)
    assert outcome.verdict is Verdict.FAIL
    assert told in outcome.summary
