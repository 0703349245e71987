"""Stored passwords: every usual hash is told from what is none, and nothing of it is kept."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from pathlib import Path

import msgspec
import pytest

from checks.audit.passwords import passwords_are_hashed_slowly
from checks.model import Outcome, Reason, Verdict
from tests.checks.audit.contexts import context_of, target_at

SHA256 = "5e884898da28047151d0e56f8dc6292773603d0d6aabbdd62a11ef721d1542d8"
SALT = "N9qo8uLOickgx2ZMRZoMye"


async def judged(tmp_path: Path, values: Iterable[str | None], column: str = "password_hash") -> Outcome:
    """What is found of a database with these values in that column."""
    file = tmp_path / "app.db"
    with sqlite3.connect(file) as database:
        database.execute(f'CREATE TABLE users (id INTEGER, "{column}" TEXT)')
        database.executemany("INSERT INTO users VALUES (1, ?)", [(value,) for value in values])
    database.close()
    return await asked(tmp_path, f"sqlite:///{file}")


async def asked(tmp_path: Path, url: str) -> Outcome:
    """What is found of the database at `url`."""
    target = msgspec.structs.replace(target_at("http://127.0.0.1:9"), database_url=url)
    async with context_of(target, tmp_path) as context:
        return await passwords_are_hashed_slowly(context)


@pytest.mark.parametrize(
    "value",
    [
        f"$argon2id$v=19$m=65536,t=3,p=4${SALT}$hash",
        f"argon2$argon2id$v=19$m=102400,t=2,p=8${SALT}$hash",
        f"$2b$12${SALT}hash",
        f"scrypt${SALT}$hash",
        f"scrypt:32768:8:1${SALT}$hash",
        f"$scrypt$ln=16,r=8,p=1${SALT}$hash",
        f"pbkdf2_sha256$600000${SALT}$hash",
        f"pbkdf2:sha256:1000000${SALT}$hash",
        f"$pbkdf2-sha256$600000${SALT}$hash",
    ],
)
async def test_slow_hashes_pass(tmp_path: Path, value: str) -> None:
    outcome = await judged(tmp_path, [value, value, None])
    assert outcome.verdict is Verdict.PASS, outcome.summary
    assert SALT not in "".join(seen.body for seen in outcome.evidence)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (SHA256, "a text of 64 characters"),
        ("hunter2", "a short text"),
        ("", "a short text"),
        (f"$2b$08${SALT}hash", "bcrypt of cost 8 (at least 10)"),
        (f"pbkdf2_sha256$29000${SALT}$hash", "PBKDF2 with 29000 iterations (at least 600000)"),
        (f"pbkdf2:sha256:1000${SALT}$hash", "PBKDF2 with 1000 iterations (at least 600000)"),
        (f"sha1${SALT}$hash", "a text of 32 characters"),
    ],
)
async def test_what_is_quick_to_guess_fails_and_is_not_kept(tmp_path: Path, value: str, words: str) -> None:
    outcome = await judged(tmp_path, [value, f"scrypt${SALT}$hash"])
    assert outcome.verdict is Verdict.FAIL
    assert words in outcome.summary
    kept = "".join(seen.body + seen.title + seen.command for seen in outcome.evidence) + outcome.observed
    assert not value or value not in kept
    assert "hunter2" not in kept
    assert SHA256[:6] not in kept


async def test_a_database_without_passwords_has_nothing_to_judge(tmp_path: Path) -> None:
    outcome = await judged(tmp_path, ["a text"], column="content")
    assert outcome.verdict is Verdict.NA


async def test_users_without_a_password_are_nothing_to_judge(tmp_path: Path) -> None:
    assert (await judged(tmp_path, [None])).verdict is Verdict.NA


async def test_a_database_that_is_not_known_or_none_is_no_pass(tmp_path: Path) -> None:
    unknown = await asked(tmp_path, "")
    assert (unknown.verdict, unknown.reason) == (Verdict.INCONCLUSIVE, Reason.NO_SOURCE)
    (tmp_path / "noise.db").write_bytes(b"\0noise" * 1000)
    noise = await asked(tmp_path, f"sqlite:///{tmp_path / 'noise.db'}")
    assert noise.verdict is Verdict.INCONCLUSIVE
