"""The TLS probe sees what an endpoint really takes, and survives whatever it answers."""

from __future__ import annotations

import asyncio
import ssl
import struct
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from checks.model import Reason
from checks.probe.tls import Certificate, Endpoint, Taken, TlsProbe, read_certificate
from checks.probe.tls_hello import (
    BROKEN_SUITES,
    GOOD_SUITES,
    NO_SECRECY_SUITES,
    OLD_SUITES,
    SSL_3_0,
    TLS_1_0,
    TLS_1_1,
    TLS_1_2,
    TLS_1_3,
    Heard,
    client_hello,
    heard,
)
from tests.checks.certificates import DAY, made
from tests.checks.servers import Talk, http, listening, repeating

EVERY_OLD = (*OLD_SUITES, *NO_SECRECY_SUITES)


@asynccontextmanager
async def serving(context: ssl.SSLContext) -> AsyncIterator[TlsProbe]:
    """A probe of a server that speaks what `context` does."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(talk, "127.0.0.1", 0, ssl=context)
    try:
        yield TlsProbe(Endpoint("127.0.0.1", server.sockets[0].getsockname()[1]), within_s=2)
    finally:
        server.close()


@asynccontextmanager
async def probing(talk: Talk, within_s: float = 0.3) -> AsyncIterator[TlsProbe]:
    """A probe of a server that answers by `talk`."""
    async with listening(talk) as port:
        yield TlsProbe(Endpoint("127.0.0.1", port), within_s=within_s)


def answering(raw: bytes) -> Talk:
    """Answer `raw` to the first bytes, and wait."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(raw)
        await writer.drain()
        await reader.read()

    return talk


def server_hello(version: int, suite: int, extensions: bytes = b"") -> bytes:
    """The record of a ServerHello."""
    body = struct.pack(">H", version) + bytes(32) + b"\0" + struct.pack(">HB", suite, 0)
    body += struct.pack(">H", len(extensions)) + extensions if extensions else b""
    message = b"\x02" + len(body).to_bytes(3, "big") + body
    return struct.pack(">BHH", 22, 0x0303, len(message)) + message


async def test_a_modern_server_takes_new_versions_and_refuses_old_ones(tmp_path: Path) -> None:
    async with serving(made(tmp_path).context()) as probe:
        for version in (TLS_1_2, TLS_1_3):
            offer = await probe.offer(version, GOOD_SUITES)
            assert offer.taken is Taken.ACCEPTED, offer.sentence
            assert offer.suite in GOOD_SUITES.values()
        for version in (SSL_3_0, TLS_1_0, TLS_1_1):
            assert (await probe.offer(version, EVERY_OLD)).taken is Taken.REFUSED
        assert (await probe.offer(TLS_1_2, BROKEN_SUITES)).taken is Taken.REFUSED


async def test_an_old_server_is_seen_whatever_the_local_library_may_speak(tmp_path: Path) -> None:
    old = made(tmp_path).context("ECDHE+AES+SHA1:ECDHE-ECDSA-NULL-SHA:@SECLEVEL=0", is_old=True)
    async with serving(old) as probe:
        for version in (TLS_1_0, TLS_1_1):
            offer = await probe.offer(version, EVERY_OLD)
            assert (offer.taken, offer.suite[:11]) == (Taken.ACCEPTED, "ECDHE-ECDSA")
        weak = await probe.offer(TLS_1_2, BROKEN_SUITES)
        assert (weak.taken, weak.suite) == (Taken.ACCEPTED, "ECDHE-ECDSA-NULL-SHA")


async def test_a_key_exchange_without_secrecy_is_seen(tmp_path: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    async with serving(made(tmp_path, key=key).context("AES128-GCM-SHA256")) as probe:
        assert (await probe.offer(TLS_1_2, NO_SECRECY_SUITES)).suite == "AES128-GCM-SHA256"


async def test_ssl_3_is_recognized() -> None:
    async with probing(answering(server_hello(SSL_3_0, 0x000A))) as probe:
        offer = await probe.offer(SSL_3_0, EVERY_OLD)
        assert (offer.taken, offer.suite) == (Taken.ACCEPTED, "DES-CBC3-SHA")


async def test_an_answer_in_another_version_is_no_acceptance() -> None:
    async with probing(answering(server_hello(TLS_1_2, 0xC02B))) as probe:
        offer = await probe.offer(TLS_1_3, GOOD_SUITES)
        assert (offer.taken, offer.sentence) == (Taken.REFUSED, "TLS 1.3 was offered, TLS 1.2 was answered")


def test_the_version_of_tls_1_3_stands_in_its_extension() -> None:
    answer = server_hello(TLS_1_2, 0x1301, struct.pack(">HHHHHH", 51, 2, 0x1D, 43, 2, TLS_1_3))
    assert heard(answer) == Heard(TLS_1_3, 0x1301)


def test_the_host_is_named_in_the_hello_but_no_address() -> None:
    assert b"chat.example" in client_hello(TLS_1_2, GOOD_SUITES, "chat.example")
    assert b"127.0.0.1" not in client_hello(TLS_1_2, GOOD_SUITES, "127.0.0.1")
    assert b"chat.example" not in client_hello(SSL_3_0, OLD_SUITES, "chat.example")


@given(st.binary(max_size=80), st.integers(0, 90))
def test_no_bytes_break_the_reader(raw: bytes, cut: int) -> None:
    heard(raw)
    heard(b"\x16\x03\x03\x00\x50\x02" + raw)
    heard(server_hello(TLS_1_2, 0x1301, struct.pack(">HHH", 43, 2, TLS_1_3))[:cut])


@pytest.mark.parametrize(
    ("talk", "taken", "said"),
    [
        (answering(b""), Taken.SILENT, "did not answer within 0.3 s"),
        (answering(b"\x16\x03"), Taken.SILENT, "did not answer within 0.3 s"),
        (answering(b"\x16\x03\x03\x40\x00" + bytes(20)), Taken.SILENT, "did not answer"),
        (repeating(b"", b"\x16", 0.05), Taken.SILENT, "did not answer"),
        (answering(http(b"{}", status="400 Bad Request")), Taken.NOT_TLS, "speaks plain HTTP, not TLS"),
        (answering(b"\x1b[31mSSH-2.0-\x00\xff" * 9000), Taken.NOT_TLS, "is not TLS, beginning “␛[31mSSH"),
        (answering(b"\x15\x03\x01\x00\x02\x02\x46"), Taken.REFUSED, "TLS 1.2: refused (protocol_version)"),
        (answering(b"\x15\x03\x01\x00\x02\x02\xee"), Taken.REFUSED, "refused (alert 238)"),
    ],
    ids=["silent", "half a head", "half a record", "dripping", "http", "garbage", "alert", "odd alert"],
)
async def test_whatever_answers_is_one_sentence_in_bounded_time(talk: Talk, taken: Taken, said: str) -> None:
    began = time.monotonic()
    async with probing(talk) as probe:
        offer = await probe.offer(TLS_1_2, GOOD_SUITES)
        shaken = await probe.look()
    assert offer.taken is taken
    assert said in offer.sentence
    assert shaken.error
    assert "\n" not in offer.sentence + shaken.error
    assert time.monotonic() - began < 3


async def test_a_port_that_closes_has_refused() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.close()

    async with probing(talk) as probe:
        assert (await probe.offer(TLS_1_2, GOOD_SUITES)).taken is Taken.REFUSED
        assert "TLS" in (await probe.look()).error
        assert (await probe.plain()).taken is Taken.REFUSED


async def test_a_port_that_nobody_listens_on_is_unreachable() -> None:
    async with listening(answering(b"")) as port:
        pass
    offer = await TlsProbe(Endpoint("127.0.0.1", port)).offer(TLS_1_2, GOOD_SUITES)
    assert (offer.taken, offer.reason()) == (Taken.UNREACHABLE, Reason.UNREACHABLE)
    assert "cannot be reached" in offer.sentence


async def test_chain_and_name_are_judged_each_by_itself(tmp_path: Path) -> None:
    good = made(tmp_path / "good")
    other = made(tmp_path / "other", host="chat.example", begins=-9 * DAY, ends=-DAY)
    for served, trusted, codes, name_codes in (
        (good, good, {0}, {0}),
        (good, other, {18}, {0}),
        (other, other, {10}, {62, 64}),
    ):
        async with serving(served.context()) as probe:
            endpoint = probe.endpoint
            probe = TlsProbe(endpoint, ca_file=str(trusted.certificate), within_s=2)
            assert (await probe.trust()).code in codes
            assert (await probe.named(served.der)).code in name_codes
            looked = await probe.look()
            assert (looked.version, looked.der) == ("TLS 1.3", served.der)
    async with serving(other.context()) as probe:
        probe = TlsProbe(probe.endpoint, ca_file=str(other.certificate), within_s=2)
        assert not (await probe.trust(is_timeless=True)).error


async def test_a_weak_chain_is_trusted_only_by_a_low_level(tmp_path: Path) -> None:
    weak = made(tmp_path, key=rsa.generate_private_key(public_exponent=65537, key_size=1024))
    async with serving(weak.context("ALL:@SECLEVEL=0")) as probe:
        probe = TlsProbe(probe.endpoint, ca_file=str(weak.certificate), within_s=2)
        assert not (await probe.trust()).error
        assert (await probe.trust(level=2)).code in (66, 67, 68)


def test_a_certificate_is_read(tmp_path: Path) -> None:
    for key, kind, bits, digest in (
        (ec.generate_private_key(ec.SECP384R1()), "EC", 384, "sha256"),
        (ed25519.Ed25519PrivateKey.generate(), "Ed25519", 256, ""),
    ):
        found = read_certificate(made(tmp_path, key=key, host="chat.example").der)
        assert isinstance(found, Certificate)
        assert (found.key, found.key_bits, found.hash) == (kind, bits, digest)
        assert (found.subject, found.names) == ("CN=a test", ("chat.example",))


@given(st.binary(max_size=60))
def test_a_certificate_that_is_none_is_one_sentence(raw: bytes) -> None:
    told = read_certificate(b"\x30\x82" + raw)
    assert isinstance(told, str)
    assert told.startswith("the certificate cannot be read")


@pytest.mark.parametrize(
    "url", ["http://a", "https://", "https://a:99999", "https://[::1", "nonsense", "https://a:b"]
)
def test_only_an_https_url_is_an_endpoint(url: str) -> None:
    assert Endpoint.of(url) is None


def test_an_endpoint_has_its_port() -> None:
    assert Endpoint.of("https://chat.example") == Endpoint("chat.example", 443)
    assert str(Endpoint.of("https://[::1]:8443/x")) == "[::1]:8443"
