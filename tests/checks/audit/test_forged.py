"""Tokens: what is refused, what is not, and what cannot be told, on controllers that take what a test says."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections.abc import Awaitable, Callable
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from checks.audit.forged import (
    altered_are_refused,
    development_tokens_are_refused,
    keys_are_not_taken_along,
    none_is_refused,
    strangers_are_refused,
    times_are_honoured,
    well_known_secrets_are_refused,
)
from checks.audit.forging import (
    opened_by,
    taken_apart,
)
from checks.audit.token_log import token_is_not_logged
from checks.audit.tokens import (
    claims_are_complete,
    no_known_secret_signs,
    secret_is_strong,
)
from checks.context import Context
from checks.model import Outcome, Reason, Verdict
from tests.checks.audit.contexts import context_of, target_at
from tests.checks.audit.token_target import SECRET, Controller, audited, token, verified

pytestmark = pytest.mark.filterwarnings("ignore::jwt.warnings.InsecureKeyLengthWarning")
Check = Callable[[Context], Awaitable[Outcome]]
LIVE: tuple[Check, ...] = (
    none_is_refused,
    altered_are_refused,
    keys_are_not_taken_along,
    well_known_secrets_are_refused,
    development_tokens_are_refused,
    strangers_are_refused,
    times_are_honoured,
)


def header_of(text: str) -> dict[str, object]:
    """The header of a token; empty for what is none."""
    try:
        return dict(jwt.get_unverified_header(text))
    except jwt.InvalidTokenError:
        return {}


def takes_none(text: str) -> bool:
    return verified(text) or str(header_of(text).get("alg", "")).lower() == "none"


def takes_unsigned(text: str) -> bool:
    return verified(text) or (text.count(".") == 2 and text.endswith("."))


def takes_kid(text: str) -> bool:
    """Reads the key from the file that the header names."""
    token = taken_apart(text)
    path = header_of(text).get("kid")
    return verified(text) or bool(
        token and path and str(path).endswith("/dev/null") and opened_by(token, [""]) == ""
    )


def takes_jku(text: str) -> bool:
    """Fetches the key from the address in the header."""
    if verified(text) or not (where := header_of(text).get("jku")):
        return verified(text)
    with urllib.request.urlopen(str(where), timeout=2) as answer:
        (key,) = json.load(answer)["keys"]
    return verified(text, jwt.PyJWK(key).key, "RS256")


def fetches_jku(text: str) -> bool:
    """Fetches it, and refuses the token all the same."""
    takes_jku(text)
    return verified(text)


def takes_dev(text: str) -> bool:
    return verified(text) or text == "dev-token-12345"


async def test_a_good_controller_passes_every_case_with_few_requests(tmp_path: Path) -> None:
    controller = Controller()
    async with audited(controller, tmp_path) as context:
        outcomes = [await check(context) for check in LIVE]
        assert context.http.meter.requests == controller.asked
    assert [one.verdict for one in outcomes] == [Verdict.PASS] * len(LIVE), outcomes
    assert controller.asked <= 32


async def test_a_socket_that_is_refused_at_its_first_frame_is_refused(tmp_path: Path) -> None:
    async with audited(Controller(is_late=True), tmp_path, has_rest=False) as context:
        outcomes = [await check(context) for check in LIVE]
    assert {one.verdict for one in outcomes} == {Verdict.PASS}, outcomes
    assert all("REST asks for no token by its contract" in one.summary for one in outcomes)


@pytest.mark.parametrize(
    ("accepts", "check", "told"),
    [
        (takes_none, none_is_refused, "algorithm none"),
        (takes_unsigned, altered_are_refused, "an emptied signature"),
        (takes_kid, keys_are_not_taken_along, "(kid)"),
        (takes_dev, development_tokens_are_refused, "“dev-token-12345”"),
        (lambda text: verified(text) or not text.strip(), strangers_are_refused, "a caller without a token"),
        (lambda text: verified(text) or verified(text, "secret"), well_known_secrets_are_refused, "“secret”"),
        (lambda text: verified(text, verify_exp=False), times_are_honoured, "an expired token"),
        (lambda text: verified(text, verify_nbf=False), times_are_honoured, "not yet valid"),
    ],
)
async def test_what_the_socket_alone_accepts_is_found(
    accepts: Callable[[str], bool], check: Check, told: str, tmp_path: Path
) -> None:
    async with audited(Controller(socket_accepts=accepts), tmp_path) as context:
        outcome = await check(context)
    assert outcome.verdict is Verdict.FAIL, outcome
    assert "WebSocket accepts" in outcome.summary
    assert "REST" not in outcome.summary
    assert told in outcome.summary


@pytest.mark.parametrize(
    ("accepts", "told"),
    [(takes_jku, "REST accepts a key from an address"), (fetches_jku, "fetched a key from")],
)
async def test_a_key_fetched_from_where_the_token_says_is_found(
    accepts: Callable[[str], bool], told: str, tmp_path: Path
) -> None:
    class Fetching(Controller):
        async def rest(self, connection, request):  # type: ignore[no-untyped-def]
            given = request.headers.get("authorization", "").removeprefix("Bearer ")
            is_good = await asyncio.to_thread(accepts, given)
            self.accepts = lambda text: is_good
            return await super().rest(connection, request)

    async with audited(Fetching(socket_accepts=verified), tmp_path) as context:
        outcome = await keys_are_not_taken_along(context)
    assert outcome.verdict is Verdict.FAIL, outcome
    assert told.lower() in outcome.summary.lower()


async def test_the_public_key_is_tried_as_a_secret(tmp_path: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def confused(text: str) -> bool:
        found = taken_apart(text)
        return verified(text, public, "RS256") or bool(
            found and opened_by(found, [public.decode()]) is not None
        )

    settings = "JWT_SECRET_KEY=" + json.dumps(private.decode()) + "\n"
    for accepts, wanted in (
        (lambda text: verified(text, public, "RS256"), Verdict.PASS),
        (confused, Verdict.FAIL),
    ):
        live = token(private, "RS256")
        async with audited(Controller(accepts=accepts), tmp_path, live=live, settings=settings) as context:
            outcome = await keys_are_not_taken_along(context)
            strength = await secret_is_strong(context)
        assert outcome.verdict is wanted, outcome
        assert strength.verdict is Verdict.PASS, strength
        assert "2048" in strength.observed


async def test_an_unknown_public_key_is_told_not_passed(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    controller = Controller(accepts=lambda text: verified(text, key.public_key(), "ES256"))
    async with audited(controller, tmp_path, live=token(key, "ES256"), settings="A=b\n") as context:
        outcome = await keys_are_not_taken_along(context)
        strength = await secret_is_strong(context)
    assert (outcome.verdict, outcome.reason) == (Verdict.INCONCLUSIVE, Reason.NO_SOURCE), outcome
    assert (strength.verdict, strength.reason) == (Verdict.INCONCLUSIVE, Reason.NO_SOURCE), strength


@pytest.mark.parametrize(
    ("controller", "reason", "told"),
    [
        (Controller(accepts=lambda text: False), Reason.CONTROL, "did not take the real token either"),
        (Controller(refusal=429), Reason.THROTTLED, "429"),
        (Controller(refusal=500), Reason.PROTOCOL, "500"),
    ],
)
async def test_no_refusal_counts_without_its_control(
    controller: Controller, reason: Reason, told: str, tmp_path: Path
) -> None:
    async with audited(controller, tmp_path) as context:
        for check in LIVE:
            if check is times_are_honoured and reason is Reason.CONTROL:
                continue
            outcome = await check(context)
            assert (outcome.verdict, outcome.reason) == (Verdict.INCONCLUSIVE, reason), (check, outcome)
            assert told in outcome.summary


async def test_a_door_that_is_open_to_all_says_nothing_about_forged_tokens(tmp_path: Path) -> None:
    async with audited(Controller(socket_accepts=lambda text: True), tmp_path) as context:
        stranger = await strangers_are_refused(context)
        others = [await check(context) for check in LIVE if check is not strangers_are_refused]
    assert stranger.verdict is Verdict.FAIL
    assert {(one.verdict, one.reason) for one in others} == {(Verdict.INCONCLUSIVE, Reason.CONTROL)}


async def test_an_unreachable_target_fails_nothing(tmp_path: Path) -> None:
    target = target_at("http://127.0.0.1:9", token=token())
    async with context_of(target, tmp_path) as context:
        outcomes = [await check(context) for check in (*LIVE, token_is_not_logged)]
    assert {one.verdict for one in outcomes} == {Verdict.INCONCLUSIVE}, outcomes


async def test_nothing_forged_is_sent_to_a_host_without_leave(tmp_path: Path) -> None:
    async with context_of(target_at("http://chat.example.invalid", token=token()), tmp_path) as context:
        for check in LIVE:
            if check is not strangers_are_refused:
                assert (await check(context)).reason is Reason.NO_RIGHT
        assert context.http.meter.requests == 0


async def test_a_token_that_is_no_jwt_is_told_as_one(tmp_path: Path) -> None:
    controller = Controller(accepts=lambda text: text == "opaque-7f3a9c", socket_accepts=takes_dev)
    controller.socket_accepts = lambda text: text in ("opaque-7f3a9c", "dev-token-12345")
    async with audited(controller, tmp_path, live="opaque-7f3a9c") as context:
        for check in (none_is_refused, times_are_honoured, no_known_secret_signs, claims_are_complete):
            assert (await check(context)).verdict is Verdict.NA
        assert (await strangers_are_refused(context)).verdict is Verdict.PASS
        assert (await development_tokens_are_refused(context)).verdict is Verdict.FAIL


async def test_without_the_secret_no_expired_token_can_be_made(tmp_path: Path) -> None:
    live = token("another-secret-that-is-not-in-any-list-3f9a7c")
    controller = Controller(accepts=lambda text: text == live)
    for settings, missing, reason in (
        (None, True, Reason.NO_SOURCE),
        ("A=b\n", False, Reason.NO_SOURCE),
        (f"JWT_SECRET_KEY={SECRET}\n", False, Reason.CONTROL),
    ):
        async with audited(
            controller, tmp_path, live=live, settings=settings, missing_file=missing
        ) as context:
            outcome = await times_are_honoured(context)
        assert (outcome.verdict, outcome.reason) == (Verdict.INCONCLUSIVE, reason), outcome
        assert "config_files" in outcome.summary or "missing.env" in outcome.summary
