"""What the checks of TLS say of endpoints that are not as they should be."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from checks.audit.common import Function
from checks.audit.tls import clients_connect_over_tls, old_versions_are_refused, weak_ciphers_are_refused
from checks.audit.tls_certificate import (
    key_and_signature_are_strong,
    the_certificate_lasts,
    the_chain_is_trusted,
    the_name_is_right,
    weakness,
)
from checks.audit.tls_only import (
    HSTS_AGE_S,
    browsers_are_told,
    plain_http_is_refused,
    the_websocket_is_over_tls,
)
from checks.context import Context
from checks.model import Outcome, Reason, Verdict
from checks.probe.tls import Certificate, TlsProbe, read_certificate
from tests.checks.audit.contexts import context_of, target_at
from tests.checks.certificates import DAY, Made, made
from tests.checks.servers import Talk, http, listening, saying

YEAR = f"Strict-Transport-Security: max-age={HSTS_AGE_S}; includeSubDomains\r\n"
EVERY = (
    clients_connect_over_tls,
    old_versions_are_refused,
    weak_ciphers_are_refused,
    the_chain_is_trusted,
    the_name_is_right,
    the_certificate_lasts,
    key_and_signature_are_strong,
    browsers_are_told,
    plain_http_is_refused,
    the_websocket_is_over_tls,
)


def at(port: int, folder: Path) -> AbstractAsyncContextManager[Context]:
    """The context of a run on the https URL with that port."""
    return context_of(target_at(f"https://127.0.0.1:{port}"), folder)


@asynccontextmanager
async def https(context: ssl.SSLContext, answer: bytes = http(b"{}")) -> AsyncIterator[int]:
    """A server that gives one answer to everything; yields its port."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(answer)
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def judged(
    check: Function, served: Made, folder: Path, *, answer: bytes = http(b"{}"), **audit: object
) -> Outcome:
    """What `check` says of a server with that certificate, which is trusted."""
    async with https(served.context(), answer) as port:
        target = target_at(f"https://127.0.0.1:{port}", audit, ca_file=str(served.certificate))
        async with context_of(target, folder) as context:
            return await check(context)


async def test_a_good_endpoint_passes(tmp_path: Path) -> None:
    served = made(tmp_path)
    async with https(served.context(), http(b"{}", more=YEAR)) as port:
        target = target_at(f"https://127.0.0.1:{port}", ca_file=str(served.certificate))
        async with context_of(target, tmp_path) as context:
            outcomes = {check.__name__: await check(context) for check in EVERY[:-1]}
            assert {name: one.verdict for name, one in outcomes.items()} == dict.fromkeys(
                outcomes, Verdict.PASS
            )
            assert context.http.meter.requests <= 12


async def test_plain_http_is_told_in_plain_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("checks.audit.tls.TlsProbe", partial(TlsProbe, within_s=0.2))
    said = "The controller speaks plain HTTP: tokens and messages travel in clear text"
    async with listening(saying(http(b"{}"))) as port:
        for url, summary in (
            (f"http://127.0.0.1:{port}", said),
            (f"https://127.0.0.1:{port}", f"127.0.0.1:{port} speaks plain HTTP, not TLS"),
        ):
            async with context_of(target_at(url), tmp_path) as context:
                outcome = await clients_connect_over_tls(context)
                assert (outcome.verdict, outcome.summary) == (Verdict.FAIL, summary)


async def test_a_proxy_in_front_is_what_is_looked_at(tmp_path: Path) -> None:
    served = made(tmp_path)
    async with https(served.context(), http(b"{}", more=YEAR)) as port:
        urls = {"tls_url": f"https://127.0.0.1:{port}"}
        ca_file = str(served.certificate)
        async with context_of(target_at("http://127.0.0.1:1", urls, ca_file=ca_file), tmp_path) as context:
            assert (await clients_connect_over_tls(context)).verdict is Verdict.PASS
            assert (await browsers_are_told(context)).verdict is Verdict.PASS


async def test_a_target_that_is_not_there_is_not_judged(tmp_path: Path) -> None:
    async with listening(saying(b"")) as port:
        pass
    for url in (f"http://127.0.0.1:{port}", f"https://127.0.0.1:{port}"):
        async with context_of(target_at(url), tmp_path) as context:
            outcome = await clients_connect_over_tls(context)
            assert (outcome.verdict, outcome.reason) == (Verdict.INCONCLUSIVE, Reason.UNREACHABLE)


async def test_a_tls_url_that_is_none_is_named_alike_by_every_check(tmp_path: Path) -> None:
    async with context_of(target_at("http://127.0.0.1:1", {"tls_url": "chat.example"}), tmp_path) as context:
        outcomes = [await check(context) for check in EVERY[:7]]
        assert {one.reason for one in outcomes} == {Reason.NO_SOURCE}
        assert len({one.summary for one in outcomes}) == 1
        assert "[audit] tls_url is no https URL" in outcomes[0].summary


def silent() -> Talk:
    """Take everything, say nothing."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        await asyncio.Event().wait()

    return talk


def closing() -> Talk:
    """Close at once."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    return talk


async def test_a_port_that_closes_is_never_judged(tmp_path: Path) -> None:
    async with listening(closing()) as port, at(port, tmp_path) as context:
        outcomes = [await check(context) for check in EVERY]
        passed = [one.summary for one in outcomes if one.verdict is not Verdict.INCONCLUSIVE]
        assert passed == ["Plain HTTP is refused"]
        assert outcomes[1].reason is Reason.CONTROL


async def test_a_port_that_never_answers_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("checks.audit.tls.TlsProbe", partial(TlsProbe, within_s=0.2))
    async with listening(silent()) as port, at(port, tmp_path) as context:
        outcome = await clients_connect_over_tls(context)
        assert (outcome.verdict, outcome.reason) == (Verdict.INCONCLUSIVE, Reason.TIMEOUT)


async def test_old_versions_and_weak_ciphers_fail(tmp_path: Path) -> None:
    context_old = made(tmp_path).context(
        "ECDHE+AES+SHA1:ECDHE+AESGCM:ECDHE-ECDSA-NULL-SHA:@SECLEVEL=0", is_old=True
    )
    async with https(context_old) as port, at(port, tmp_path) as context:
        old, weak = await old_versions_are_refused(context), await weak_ciphers_are_refused(context)
    assert old.summary == f"127.0.0.1:{port} still speaks TLS 1.0 and TLS 1.1"
    assert weak.summary == f"127.0.0.1:{port} takes the broken cipher ECDHE-ECDSA-NULL-SHA"
    assert old.verdict is weak.verdict is Verdict.FAIL


async def test_no_forward_secrecy_fails(tmp_path: Path) -> None:
    served = made(tmp_path, key=rsa.generate_private_key(public_exponent=65537, key_size=2048))
    async with https(served.context("ECDHE+AESGCM:AES256-SHA")) as port, at(port, tmp_path) as context:
        outcome = await weak_ciphers_are_refused(context)
    assert outcome.summary == f"127.0.0.1:{port} takes AES256-SHA, which has no forward secrecy"


@pytest.mark.parametrize(
    ("begins", "ends", "days", "verdict", "said"),
    [
        (-DAY, 31 * DAY, 30, Verdict.PASS, "valid for 31 days more"),
        (-DAY, 29 * DAY, 30, Verdict.FAIL, "in 29 days"),
        (-DAY, 29 * DAY, 14, Verdict.PASS, "valid for 29 days more"),
        (-9 * DAY, -DAY, 30, Verdict.FAIL, "The certificate ended on"),
        (2 * DAY, 90 * DAY, 30, Verdict.FAIL, "not valid yet: it begins on"),
    ],
)
async def test_the_days_left_are_counted(
    tmp_path: Path, begins: timedelta, ends: timedelta, days: int, verdict: Verdict, said: str
) -> None:
    served = made(tmp_path, begins=begins, ends=ends)
    outcome = await judged(the_certificate_lasts, served, tmp_path, certificate_days=days)
    assert outcome.verdict is verdict
    assert said in outcome.summary
    # The time is the business of one check alone.
    assert (await judged(the_chain_is_trusted, served, tmp_path)).verdict is Verdict.PASS


async def test_a_certificate_of_nobody_known_or_for_another_host_fails(tmp_path: Path) -> None:
    served, other = made(tmp_path / "a", host="chat.example"), made(tmp_path / "b")
    name = await judged(the_name_is_right, served, tmp_path)
    assert (name.verdict, name.summary) == (
        Verdict.FAIL,
        "The certificate is for chat.example, not for 127.0.0.1",
    )
    async with https(served.context()) as port:
        target = target_at(f"https://127.0.0.1:{port}", ca_file=str(other.certificate))
        async with context_of(target, tmp_path) as context:
            chain = await the_chain_is_trusted(context)
    assert chain.verdict is Verdict.FAIL
    assert "is not trusted: self-signed certificate" in chain.summary


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("", "is answered without Strict-Transport-Security"),
        ("Strict-Transport-Security: max-age=3600\r\n", "for 0 days only (max-age=3600)"),
        ("Strict-Transport-Security: max-age=-1\r\n", "says no max-age"),
        ("Strict-Transport-Security: includeSubDomains\r\n", "says no max-age"),
        (f"Strict-Transport-Security: x-max-age={HSTS_AGE_S}\r\n", "says no max-age"),
    ],
)
async def test_hsts_that_protects_nobody_fails(tmp_path: Path, more: str, said: str) -> None:
    outcome = await judged(browsers_are_told, made(tmp_path), tmp_path, answer=http(b"{}", more=more))
    assert outcome.verdict is Verdict.FAIL
    assert said in outcome.summary


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        (http(b"{}"), Verdict.FAIL),
        (http(b'{"detail": "no"}', status="401 No"), Verdict.FAIL),
        (http(b"<p>Sent to an HTTPS port", status="400 Bad", kind="text/html"), Verdict.PASS),
        (http(b"", status="301 There", more="Location: https://a/\r\n", kind="text/html"), Verdict.PASS),
        (http(b"", status="302 There", more="Location: http://a/\r\n", kind="text/html"), Verdict.FAIL),
    ],
    ids=["served", "API refusal", "proxy refusal", "redirect", "redirect to http"],
)
async def test_what_comes_back_in_clear_text_is_told_apart(
    tmp_path: Path, answer: bytes, verdict: Verdict
) -> None:
    async with listening(saying(answer)) as port, at(port, tmp_path) as context:
        assert (await plain_http_is_refused(context)).verdict is verdict


def test_weak_keys_and_hashes_are_named(tmp_path: Path) -> None:
    found = read_certificate(made(tmp_path).der)
    assert isinstance(found, Certificate)
    assert weakness(found) == ""
    for key, bits, digest, said in (
        ("RSA", 2047, "sha256", "a weak key: RSA 2047 bit"),
        ("RSA", 2048, "sha256", ""),
        ("EC", 224, "sha256", "a weak key: EC 224 bit"),
        ("DSA", 3072, "sha256", "a weak key: DSA 3072 bit"),
        ("Ed25519", 256, "", ""),
        ("RSA", 4096, "sha1", "a signature with SHA1"),
        ("RSA", 4096, "md5", "a signature with MD5"),
    ):
        assert weakness(replace(found, key=key, key_bits=bits, hash=digest)) == said


async def test_a_weak_key_fails(tmp_path: Path) -> None:
    weak = made(tmp_path, key=rsa.generate_private_key(public_exponent=65537, key_size=1024))
    async with https(weak.context("ALL:@SECLEVEL=0")) as port, at(port, tmp_path) as context:
        outcome = await key_and_signature_are_strong(context)
    said = "The certificate has a weak key: RSA 1024 bit"
    assert (outcome.verdict, outcome.summary) == (Verdict.FAIL, said)
