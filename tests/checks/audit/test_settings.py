"""The effective settings of a real process, and what the checks of settings and secrets say of them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import msgspec
import psutil
import pytest

from checks.audit import secrets as secrets_module
from checks.audit.configured import (
    declared_is_effective,
    developer_features_are_off,
    sources_are_readable,
    values_do_not_contradict,
)
from checks.audit.secrets import (
    bots_know_no_secret,
    no_sample_is_in_use,
    no_secret_on_a_command_line,
    secret_files_are_private,
)
from checks.audit.settings import Effective, effective
from checks.context import Context
from checks.launches import Bot
from checks.model import Outcome, Reason, Verdict
from checks.probe.process import Identity
from tests.checks.audit.contexts import context_of, target_at

SECRET = "canary-K7x9mQ2vL4pR8tW1zB6n"
SERVICE = """
import socket, sys
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
sys.stdin.read()
"""
EVERY = (
    sources_are_readable,
    declared_is_effective,
    values_do_not_contradict,
    developer_features_are_off,
    secret_files_are_private,
    no_sample_is_in_use,
    bots_know_no_secret,
    no_secret_on_a_command_line,
)


@contextmanager
def running(
    folder: Path, arguments: Sequence[str] = (), environment: Mapping[str, str] | None = None
) -> Iterator[tuple[int, int]]:
    """A controller that only listens: its pid and port."""
    command = [sys.executable, "-c", SERVICE, *arguments]
    with subprocess.Popen(
        command,
        cwd=folder,
        env={"PATH": os.environ["PATH"], **(environment or {})},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdout
        assert process.stdin
        yield process.pid, int(process.stdout.readline())
        process.stdin.close()


@asynccontextmanager
async def audited(
    folder: Path,
    *arguments: str,
    environment: Mapping[str, str] | None = None,
    files: Sequence[str] = (),
    samples: Sequence[str] = (),
    declared: Mapping[str, str] | None = None,
) -> AsyncIterator[Context]:
    """A run on a controller in `folder` that was started like that."""
    audit = {
        "config_files": tuple(str(folder / name) for name in files),
        "sample_files": tuple(str(folder / name) for name in samples),
        "declared": dict(declared or {"workers": "1"}),
    }
    with running(folder, arguments, environment) as (_, port):
        async with context_of(target_at(f"http://127.0.0.1:{port}", audit), folder) as context:
            yield context


def bot(monkeypatch: pytest.MonkeyPatch, pid: int) -> None:
    """Let process `pid` be the bot of the run."""
    identity = Identity(pid, psutil.Process(pid).create_time())

    async def a_bot(context: Context) -> Bot:
        del context
        return Bot("BOT-1", pid, identity=identity)

    monkeypatch.setattr(secrets_module, "a_bot", a_bot)


def everything_in(outcome: Outcome) -> str:
    """All that is recorded of it."""
    seen = [part for one in outcome.evidence for part in (one.title, one.body, one.command)]
    return "\n".join([outcome.summary, outcome.observed, outcome.expected, *seen])


async def test_the_command_line_wins_then_the_environment_then_the_later_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("LOG_LEVEL=error\nDB_POOL_SIZE=1\nDB_MAX_OVERFLOW=1\nDB_POOL_RECYCLE=9\n")
    (tmp_path / "a.toml").write_text("[database]\npool_size = 2\nmax_overflow = 2\n[server]\nworkers = 2\n")
    (tmp_path / "b.yaml").write_text("database:\n  pool_size: 3\n")
    environment = {"DB_POOL_SIZE": "7", "LOG_LEVEL": "warning"}
    async with audited(
        tmp_path, "--log-level=info", "--workers", "4", environment=environment, files=["a.toml", "b.yaml"]
    ) as context:
        found = await effective(context)
        assert await effective(context) is found, "read once a run"
    in_force = {name: one for name in context.target.contract.settings if (one := found.get(name))}
    pid = found.processes[0].pid
    assert {name: (one.value, one.source) for name, one in in_force.items()} == {
        "workers": ("4", f"option --workers of pid {pid}"),
        "log_level": ("info", f"option --log-level of pid {pid}"),
        "pool_size": ("7", f"variable DB_POOL_SIZE of pid {pid}"),
        "max_overflow": ("2", "a.toml, line 3"),
        "pool_recycle_s": ("9", ".env, line 4"),
    }
    assert [one.value for one in found.all("pool_size")] == ["7", "3", "2", "1"]
    assert found.get("jwt_secret") is None
    assert found.is_complete


async def test_a_file_that_the_command_line_names_is_read_from_the_controllers_folder(tmp_path: Path) -> None:
    (tmp_path / "prod.env").write_text(f"JWT_SECRET={SECRET}\n")
    async with audited(tmp_path, "--env-file", "prod.env") as context:
        found = await effective(context)
        secret = found.get("jwt_secret")
        assert secret
        assert (secret.value, secret.source) == (SECRET, "prod.env, line 1")
        assert SECRET not in repr(found)
        assert context.redactor.redact(f"it is {SECRET}.") == "it is ***."


async def test_a_sound_controller_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "app.env").write_text(f"JWT_SECRET_KEY={SECRET}\nLOG_LEVEL=info\n")
    (tmp_path / "app.env").chmod(0o600)
    (tmp_path / "sample.env").write_text("JWT_SECRET_KEY=put-a-key-here\n")
    with running(tmp_path) as (pid, _):
        bot(monkeypatch, pid)
        async with audited(tmp_path, "--workers", "1", files=["app.env"], samples=["sample.env"]) as context:
            outcomes = {check.__name__: await check(context) for check in EVERY}
    assert {one.verdict for one in outcomes.values()} == {Verdict.PASS}, outcomes
    assert not any(SECRET in everything_in(one) for one in outcomes.values())


MALFORMED: dict[str, tuple[str, bytes]] = {
    "malformed": ("app.toml", b"workers = [1,\n"),
    "binary": ("app.env", b"\x7fELF\0\0\0"),
    "huge": ("app.env", b"A=1\n" * 200_000),
    "cyclic": ("app.yaml", b"a: &a\n  b: *a\n"),
}


@pytest.mark.parametrize("kind", MALFORMED)
async def test_a_file_that_is_no_configuration_fails_and_leaves_the_rest_undecided(
    tmp_path: Path, kind: str
) -> None:
    name, raw = MALFORMED[kind]
    (tmp_path / name).write_bytes(raw)
    async with audited(tmp_path, files=[name]) as context:
        outcome = await sources_are_readable(context)
        assert outcome.verdict is Verdict.FAIL
        assert name in outcome.summary
        others = [await check(context) for check in EVERY[1:4]]
    assert {one.verdict for one in others} == {Verdict.INCONCLUSIVE}
    assert {one.summary for one in others} == {outcome.summary}, "one source, one sentence"


def _elsewhere(folder: Path) -> None:
    (folder / "app.env").symlink_to("/etc/passwd")


@pytest.mark.parametrize("make", [_elsewhere, lambda folder: None], ids=["link", "missing"])
async def test_a_file_that_cannot_be_read_passes_nothing(
    tmp_path: Path, make: Callable[[Path], None]
) -> None:
    make(tmp_path)
    async with audited(tmp_path, files=["app.env"]) as context:
        outcomes = [await check(context) for check in EVERY[:4]]
        (problem,) = (await effective(context)).problems
    assert {one.verdict for one in outcomes} == {Verdict.INCONCLUSIVE}
    assert {one.summary for one in outcomes} == {problem}
    assert str(tmp_path / "app.env") in problem


async def test_an_account_that_may_not_read_the_environment_gets_no_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: psutil.Process) -> None:
        raise psutil.AccessDenied(self.pid)

    monkeypatch.setattr(psutil.Process, "environ", refuse)
    with running(tmp_path) as (pid, _):
        bot(monkeypatch, pid)
        async with audited(tmp_path, "--reload") as context:
            outcomes = {check: await check(context) for check in EVERY}
            (problem,) = (await effective(context)).problems
    assert outcomes.pop(developer_features_are_off).verdict is Verdict.FAIL, "the command line was seen"
    assert {one.verdict for one in outcomes.values()} == {Verdict.INCONCLUSIVE}
    assert {one.reason for one in outcomes.values()} == {Reason.NO_RIGHT}
    assert {one.summary for one in outcomes.values()} == {problem}
    assert "run gonogo as" in problem


async def test_a_controller_on_another_host_is_not_looked_for_here(tmp_path: Path) -> None:
    async with context_of(
        target_at("http://192.0.2.1:8000", {"declared": {"workers": "1"}}), tmp_path
    ) as context:
        outcomes = [await check(context) for check in EVERY]
    assert {one.verdict for one in outcomes} == {Verdict.INCONCLUSIVE}
    assert {one.summary for one in outcomes} == {
        "The controller runs on another host, 192.0.2.1: run gonogo there to see what it was started with"
    }


async def test_drift_is_told_with_both_values_and_the_place(tmp_path: Path) -> None:
    declared = {"workers": "4", "debug": "off", "pool_size": "8", "jwt_secret": SECRET}
    environment = {"DEBUG": "false", "JWT_SECRET_KEY": "another-secret-value"}
    async with audited(tmp_path, "--workers", "2", environment=environment, declared=declared) as context:
        outcome = await declared_is_effective(context)
    assert outcome.verdict is Verdict.FAIL
    assert "workers is declared as 4, but is 2 (option --workers of pid" in outcome.observed
    assert "pool_size is declared as 8, but is set nowhere" in outcome.observed
    assert "jwt_secret is declared as ***, but differs" in outcome.observed
    assert "debug" not in outcome.observed
    assert not any(word in everything_in(outcome) for word in (SECRET, "another-secret-value"))


async def test_nothing_declared_is_no_pass(tmp_path: Path) -> None:
    async with audited(tmp_path) as context:
        profile = context.target.profile
        bare = msgspec.structs.replace(profile, audit=msgspec.structs.replace(profile.audit, declared={}))
        context.target = msgspec.structs.replace(context.target, profile=bare)
        outcome = await declared_is_effective(context)
    assert (outcome.verdict, outcome.reason) == (Verdict.INCONCLUSIVE, Reason.NO_SOURCE)
    assert "[audit.declared]" in outcome.summary


@pytest.mark.parametrize(
    ("one", "other", "is_told"),
    [
        ("LOG_LEVEL=INFO", "LOG_LEVEL=info", False),
        ("DEBUG=off", "DEBUG=0", False),
        ("DB_POOL_SIZE=8", "DB_POOL_SIZE=8.0", False),
        ("DATABASE_URL=postgresql://u:pass-word-1@h/d", "DB_URL=postgresql+psycopg://u@h/d", False),
        ("DATABASE_URL=postgresql://u:pass-word-1@h/d", "DB_URL=postgresql://u@h/other", True),
        ("DB_POOL_SIZE=8", "DB_POOL_SIZE=5", True),
    ],
)
async def test_two_values_are_told_and_two_spellings_are_not(
    tmp_path: Path, one: str, other: str, is_told: bool
) -> None:
    (tmp_path / "a.env").write_text(one)
    (tmp_path / "b.env").write_text(other)
    async with audited(tmp_path, files=["a.env", "b.env"]) as context:
        outcome = await values_do_not_contradict(context)
    assert outcome.verdict is (Verdict.FAIL if is_told else Verdict.PASS)
    assert "pass-word-1" not in everything_in(outcome)


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (["--reload"], {}),
        (["--log-level", "debug"], {}),
        (["-X", "dev"], {}),
        ([], {"DEBUG": "1"}),
        ([], {"UVICORN_LOG_LEVEL": "TRACE"}),
        ([], {"PYTHONASYNCIODEBUG": "1"}),
    ],
)
async def test_each_developers_feature_is_found(
    tmp_path: Path, arguments: list[str], environment: dict[str, str]
) -> None:
    async with audited(tmp_path, *arguments, environment=environment) as context:
        assert (await developer_features_are_off(context)).verdict is Verdict.FAIL


@pytest.mark.parametrize(
    ("mode", "verdict"), [(0o640, Verdict.PASS), (0o644, Verdict.FAIL), (0o660, Verdict.FAIL)]
)
async def test_a_secret_file_is_closed_to_others(tmp_path: Path, mode: int, verdict: Verdict) -> None:
    path = tmp_path / "app.env"
    path.write_text(f"DATABASE_URL=postgresql://u:{SECRET}@h/d\n")
    path.chmod(mode)
    async with audited(tmp_path, files=["app.env"]) as context:
        outcome = await secret_files_are_private(context)
    assert outcome.verdict is verdict, outcome
    if verdict is Verdict.FAIL:
        assert f"app.env has mode {mode:04o}" in outcome.summary


async def test_the_key_of_the_certificate_and_the_folder_above_are_looked_at(tmp_path: Path) -> None:
    folder = tmp_path / "tls"
    folder.mkdir()
    (folder / "key.pem").write_text("key")
    (folder / "key.pem").chmod(0o600)
    async with audited(tmp_path, "--ssl-keyfile", "tls/key.pem") as context:
        assert (await secret_files_are_private(context)).verdict is Verdict.PASS
        folder.chmod(0o777)
        outcome = await secret_files_are_private(context)
    assert outcome.verdict is Verdict.FAIL
    assert "may be written to by every account" in outcome.summary


async def test_without_a_secret_in_a_file_there_is_nothing_to_close(tmp_path: Path) -> None:
    async with audited(tmp_path) as context:
        assert (await secret_files_are_private(context)).verdict is Verdict.NA


@pytest.mark.parametrize(
    ("variable", "told"),
    [
        ("API_KEY=put-your-own-key-1", "is the value of sample.env, line 1"),
        ("DB_PASSWORD=123456", "is a placeholder"),
        ("SMTP_PASSWORD=Change_Me", "is a placeholder"),
        ("SESSION_SECRET=<your secret>", "is a placeholder"),
        ("JWT_SECRET_KEY=your-secret-key-change-in-production", "is a placeholder"),
        ("DATABASE_URL=postgresql://app:password@h/d", "is a placeholder"),
    ],
)
async def test_a_sample_or_placeholder_in_use_is_found(tmp_path: Path, variable: str, told: str) -> None:
    (tmp_path / "sample.env").write_text("API_KEY=put-your-own-key-1\n")
    name, _, value = variable.partition("=")
    async with audited(tmp_path, environment={name: value}, samples=["sample.env"]) as context:
        outcome = await no_sample_is_in_use(context)
    assert outcome.verdict is Verdict.FAIL, outcome
    assert f"variable {name} of pid" in outcome.summary
    assert told in outcome.summary


async def test_a_sample_file_that_cannot_be_read_is_no_pass(tmp_path: Path) -> None:
    async with audited(tmp_path, environment={"API_KEY": SECRET}, samples=["sample.env"]) as context:
        outcome = await no_sample_is_in_use(context)
    assert (outcome.verdict, outcome.reason) == (Verdict.INCONCLUSIVE, Reason.NO_SOURCE)
    assert "sample.env does not exist" in outcome.summary


@pytest.mark.parametrize(
    "environment",
    [
        {"JWT_SECRET": "whatever-it-is-1"},
        {"DATABASE_URL": "postgresql://app:pass-word-1@h/d"},
        {"HARMLESS": SECRET},
        {"PGPASSWORD": "pass-word-1"},
    ],
)
async def test_a_bot_that_knows_a_secret_is_found_under_whatever_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str]
) -> None:
    own = {"JWT_SECRET_KEY": SECRET, "DATABASE_URL": "postgresql://app:pass-word-1@h/d"}
    with running(tmp_path, environment=environment) as (pid, _):
        bot(monkeypatch, pid)
        async with audited(tmp_path, environment=own) as context:
            outcome = await bots_know_no_secret(context)
    assert outcome.verdict is Verdict.FAIL, outcome
    assert next(iter(environment)) in outcome.summary
    assert not any(word in everything_in(outcome) for word in (SECRET, "pass-word-1", "whatever-it-is-1"))


@pytest.mark.parametrize(
    ("arguments", "is_found"),
    [
        (["--api-key", "z9-canary-5521"], True),
        (["--db-password=z9-canary-5521"], True),
        (["postgresql://app:z9-canary-5521@h/d"], True),
        (["SECRET_KEY=z9-canary-5521"], True),
        (["--anything", f"x:{SECRET}"], True),
        (["--ssl-keyfile", "/etc/tls/key.pem", "--token-lifetime", "3600", "--key", "/etc/key.pem"], False),
    ],
)
async def test_a_secret_on_a_command_line_is_found_and_not_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], is_found: bool
) -> None:
    with running(tmp_path, arguments) as (pid, _):
        bot(monkeypatch, pid)
        async with audited(tmp_path, environment={"JWT_SECRET_KEY": SECRET}) as context:
            outcome = await no_secret_on_a_command_line(context)
    assert outcome.verdict is (Verdict.FAIL if is_found else Verdict.PASS), outcome
    assert not any(word in everything_in(outcome) for word in (SECRET, "z9-canary-5521"))


def test_an_empty_look_has_no_setting() -> None:
    assert Effective().get("jwt_secret") is None
