"""The signing secret and the tokens themselves: judged offline, on controllers that take what a test says."""

from __future__ import annotations

import base64
import json
import secrets
import string
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from checks.audit.forging import (
    development_tokens,
    is_weak_listed,
    opened_by,
    signer,
    taken_apart,
    weak_secrets,
)
from checks.audit.strength import bits, equals_a_name
from checks.audit.token_log import token_is_not_logged
from checks.audit.tokens import (
    claims_are_complete,
    lifetime_is_bounded,
    no_known_secret_signs,
    secret_is_strong,
)
from checks.model import Reason, Verdict
from tests.checks.audit.token_target import SECRET, Controller, audited, token

pytestmark = pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
HEX = "9c1185a5c5e9fc54612808977ee8f548b2258d31b7e43a9ac0d62e8f4ba7c913"


@pytest.mark.parametrize(
    ("secret", "told"),
    [
        ("your-256-bit-secret", "list of well-known secrets"),
        ("Dev_Secret_Key_Change_In_Production", "list of well-known secrets"),
        ("f3Qz9mK2xW7p", "has 12 bytes"),
        ("abcabcabc" * 8, "can be guessed"),
        ("our-company-chat-production-signing-key", "can be guessed"),
        ("JWT_SECRET_KEY", "is the name JWT_SECRET_KEY"),
        (HEX, "is the value of a sample file"),
    ],
)
async def test_each_weakness_of_a_secret_is_told_without_telling_the_secret(
    secret: str, told: str, tmp_path: Path
) -> None:
    sample = tmp_path / "sample.env"
    sample.write_text(f"JWT_SECRET_KEY={HEX}\n")
    settings = f"JWT_SECRET_KEY={secret}\n"
    live = token(secret)
    async with audited(Controller(), tmp_path, live=live, settings=settings, samples=[sample]) as context:
        outcome = await secret_is_strong(context)
        assert context.http.meter.requests == 0
    assert outcome.verdict is Verdict.FAIL, outcome
    assert told in outcome.summary
    if secret != "JWT_SECRET_KEY":
        shown = [outcome.summary, outcome.observed, *(one.body for one in outcome.evidence)]
        assert not any(secret in text for text in shown)


async def test_a_strong_secret_is_passed_also_as_the_base64_of_a_key(tmp_path: Path) -> None:
    key = secrets.token_bytes(48)
    for given, used in ((SECRET, SECRET.encode()), (base64.b64encode(key).decode(), key)):
        settings = f"JWT_SECRET_KEY={given}\n"
        async with audited(Controller(), tmp_path, live=token(used), settings=settings) as context:
            outcome = await secret_is_strong(context)
        assert outcome.verdict is Verdict.PASS, outcome
        assert "it signs the live token" in outcome.summary


@pytest.mark.parametrize(
    ("live", "settings", "is_missing", "wanted", "told"),
    [
        (SECRET, "A=b\n", False, Verdict.FAIL, "No JWT secret is set"),
        ("changeme", "A=b\n", False, Verdict.FAIL, "set nowhere"),
        ("changeme", None, True, Verdict.FAIL, "set nowhere"),
        (SECRET, None, True, Verdict.INCONCLUSIVE, "missing.env"),
        (
            SECRET,
            "JWT_SECRET_KEY=x8Wn2-another-one-that-nobody-uses-Qq71\n",
            False,
            Verdict.INCONCLUSIVE,
            "not sign",
        ),
        ("changeme", f"JWT_SECRET_KEY={SECRET}\n", False, Verdict.FAIL, "set nowhere"),
    ],
)
async def test_a_secret_is_judged_only_where_it_is_the_one_in_use(
    live: str, settings: str | None, is_missing: bool, wanted: Verdict, told: str, tmp_path: Path
) -> None:
    signed = token(live)
    async with audited(
        Controller(), tmp_path, live=signed, settings=settings, missing_file=is_missing
    ) as context:
        outcome = await secret_is_strong(context)
    assert outcome.verdict is wanted, outcome
    assert told in outcome.summary


async def test_a_short_private_key_is_told(tmp_path: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=1024)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    settings = "JWT_SECRET_KEY=" + json.dumps(private.decode()) + "\n"
    async with audited(Controller(), tmp_path, live=token(private, "RS256"), settings=settings) as context:
        outcome = await secret_is_strong(context)
        offline = await no_known_secret_signs(context)
    assert outcome.verdict is Verdict.FAIL, outcome
    assert "1024 bits" in outcome.summary
    assert offline.verdict is Verdict.NA


@pytest.mark.parametrize(
    ("secret", "wanted"),
    [
        (SECRET, Verdict.PASS),
        ("keyboard cat", Verdict.FAIL),
        ("127.0.0.1-secret", Verdict.FAIL),
        ("toor", Verdict.FAIL),
    ],
)
async def test_well_known_secrets_and_names_are_tried_offline(
    secret: str, wanted: Verdict, tmp_path: Path
) -> None:
    async with audited(Controller(), tmp_path, live=token(secret), settings=None) as context:
        outcome = await no_known_secret_signs(context)
        assert context.http.meter.requests == 0
    assert outcome.verdict is wanted, outcome
    assert secret not in outcome.summary


@pytest.mark.parametrize(
    ("live", "complete", "bounded"),
    [
        (token(), Verdict.PASS, Verdict.PASS),
        (token(iat=None), Verdict.FAIL, Verdict.PASS),
        (token(exp=None), Verdict.FAIL, Verdict.FAIL),
        (token(user_id=None, username=None), Verdict.FAIL, Verdict.PASS),
        (token(user_id=None, username=None, sub="lead"), Verdict.PASS, Verdict.PASS),
        (token(exp=int(time.time()) + 90_000), Verdict.PASS, Verdict.FAIL),
        (token(iat=int(time.time()) + 10**7, exp=int(time.time()) + 10**7 + 60), Verdict.PASS, Verdict.FAIL),
        (token("", "none"), Verdict.FAIL, Verdict.PASS),
    ],
)
async def test_claims_and_lifetime_are_read_from_the_live_token(
    live: str, complete: Verdict, bounded: Verdict, tmp_path: Path
) -> None:
    async with audited(Controller(), tmp_path, live=live) as context:
        assert (await claims_are_complete(context)).verdict is complete
        assert (await lifetime_is_bounded(context)).verdict is bounded


@pytest.mark.parametrize(
    ("logged", "has_log", "wanted", "reason"),
    [
        (lambda path: f'INFO "WebSocket {path}" 403', True, Verdict.FAIL, Reason.MISMATCH),
        (lambda path: f'INFO "WebSocket {path.partition("?")[0]}" 403', True, Verdict.PASS, Reason.MET),
        (lambda path: "", True, Verdict.INCONCLUSIVE, Reason.CONTROL),
    ],
)
async def test_a_token_in_an_address_is_looked_for_in_a_log_that_goes_on(
    logged: Callable[[str], str], has_log: bool, wanted: Verdict, reason: Reason, tmp_path: Path
) -> None:
    log = tmp_path / "chat.log"
    log.write_text("started\n")
    async with audited(Controller(logged=logged, log=log if has_log else None), tmp_path) as context:
        outcome = await token_is_not_logged(context)
        assert context.http.meter.requests <= 2
    assert (outcome.verdict, outcome.reason) == (wanted, reason), outcome


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        "..",
        "a.b.c",
        "opaque",
        "ü.ü.ü",
        "W10.W10.",
        "e30.e30",
        "." * 20000,
        "e30.e30.e30.e30.e30",
        "e30.e30.*",
    ],
)
def test_what_is_no_signed_token_is_not_taken_apart(text: str) -> None:
    assert taken_apart(text) is None


def test_deep_and_odd_tokens_do_not_crash_the_judgement() -> None:
    deep = base64.urlsafe_b64encode(b"[" * 5000).decode().rstrip("=")
    assert taken_apart(f"{deep}.{deep}.") is None
    odd = base64.urlsafe_b64encode(b'{"alg": ["HS256"]}').decode().rstrip("=")
    found = taken_apart(f"{odd}.e30.")
    assert found is not None
    assert found.algorithm == ""
    assert opened_by(found, weak_secrets()) is None
    assert signer(found, [SECRET]) is None


def test_the_bundled_list_holds_what_is_known_and_no_secret_of_a_generator() -> None:
    assert len(weak_secrets()) > 300
    assert len(set(weak_secrets())) == len(weak_secrets())
    assert {"secret", "your-256-bit-secret", "dev-secret-key-change-in-production", "changeme"} <= set(
        weak_secrets()
    )
    assert {"dev-token", "dev-token-12345", "test", "admin", "demo-token"} <= set(development_tokens())
    assert not is_weak_listed(secrets.token_urlsafe(32))


def test_generated_secrets_are_strong_and_made_up_ones_are_not() -> None:
    for _ in range(200):
        assert bits(secrets.token_urlsafe(32)) >= 128
        assert bits(secrets.token_hex(32)) >= 128
        assert bits("".join(secrets.choice(string.ascii_lowercase) for _ in range(40))) >= 128
    for weak in (
        "",
        "a" * 64,
        "0123456789" * 5,
        "qwertyuiop" * 4,
        "correct horse battery staple",
        "MyCompanyProductionSecretKey2024!!",
        "chat-controller-jwt-signing-secret-2025",
    ):
        assert bits(weak) < 128, weak


def test_names_are_recognized_in_any_spelling() -> None:
    assert equals_a_name("demo-chatbot_CONTROLLER", ["Demo chatbot controller"]) == "Demo chatbot controller"
    assert equals_a_name("demo", ["", "Demo chatbot controller"]) is None
