"""What a load run needs before it sends: accounts of its own, where the profile names them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from checks.context import Context
from checks.load.prepared import Prepared, prepared
from checks.model import Outcome, Verdict
from checks.profile.read import load_target
from console.demo.launch import DemoProcess
from tests.checks.audit.contexts import context_of


def profile_with(demo: DemoProcess, folder: Path, accounts: str, mode: int = 0o600) -> Path:
    """The demo's profile with a file of accounts."""
    file = folder / "accounts.txt"
    file.write_text(accounts, "utf-8")
    file.chmod(mode)
    path = folder / "gonogo.toml"
    path.write_text(f'{demo.profile.read_text("utf-8")}\n[load]\nusers_file = "{file}"\n', "utf-8")
    return path


async def tried(context: Context) -> Prepared | Outcome:
    return await prepared(context, context.target.scenarios["users-10"])


@pytest.mark.parametrize(
    ("accounts", "mode", "word"),
    [
        ("demo wrong-password\n", 0o600, "account 1 of [load] users_file could not sign in"),
        ("demo\n", 0o600, "has no password in line 1"),
        ("# nobody\n", 0o600, "names no account"),
        ("demo secret\n", 0o644, "chmod 600"),
    ],
)
async def test_accounts_that_cannot_be_used_are_told_and_no_load_is_sent(
    tmp_path: Path, accounts: str, mode: int, word: str
) -> None:
    with DemoProcess.start(port=0) as demo:
        target = load_target(profile_with(demo, tmp_path, accounts, mode), os.environ)
        async with context_of(target, tmp_path) as context:
            outcome = await tried(context)
            await context.launches.clean_up(5)
    assert isinstance(outcome, Outcome)
    assert outcome.verdict is Verdict.INCONCLUSIVE
    assert word in outcome.summary
    assert "secret" not in outcome.summary


async def test_each_account_is_signed_in_and_its_token_used(tmp_path: Path) -> None:
    with DemoProcess.start(port=0) as demo:
        known = load_target(demo.profile, os.environ).credentials
        lines = f"{known.username} {known.password}\n" * 2
        target = load_target(profile_with(demo, tmp_path, lines), os.environ)
        async with context_of(target, tmp_path) as context:
            found = await tried(context)
            await context.launches.clean_up(5)
    assert isinstance(found, Prepared)
    assert len(found.accounts) == 2
    assert all(account.token for account in found.accounts)
    assert len(found.bots) == 2
    assert "All users shared 2 accounts" in found.notes[0]
