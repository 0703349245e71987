"""Recognizing the contract in what a service lists of itself."""

from __future__ import annotations

import asyncio
import json
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from checks.profile.contract import built_in
from checks.profile.interface import Interface, hosts, look_at_interface
from tests.checks.profile.conftest import PATHS, document
from tests.checks.servers import Talk, listening

CONTRACT = built_in()["port8000"]


def serving(openapi: str, health: str = '{"status": "ok"}', status: str = "200 OK") -> Talk:
    """Answers /openapi.json with `openapi` and everything else with `health`."""

    async def talk(reader: Any, writer: Any) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        is_document = head.startswith(b"GET /openapi.json")
        body = (openapi if is_document else health).encode()
        line = "404 Not Found" if is_document and not openapi else "200 OK" if is_document else status
        writer.write(
            f"HTTP/1.1 {line}\r\nconnection: close\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body
        )
        await writer.drain()

    return talk


async def look(openapi: str, **health: str) -> Interface:
    """What is learned of a service that serves `openapi`."""
    async with listening(serving(openapi, **health)) as port:
        found = await look_at_interface(port, ["127.0.0.1"], CONTRACT)
        assert found.url == f"http://127.0.0.1:{port}"
        return found


async def test_the_contract_is_recognized_whatever_its_placeholders_are_called() -> None:
    found = await look(document())
    assert (found.title, found.version, found.unlisted, found.missing) == ("Chat of the north", "2.7", {}, ())
    assert (
        "7 of the 7 operations of the contract port8000 are among the 8 that /openapi.json lists"
        in found.found
    )
    assert any("answers 200, status “ok”" in sentence for sentence in found.found)


async def test_an_operation_that_is_not_listed_is_named_with_the_nearest() -> None:
    paths = {path: item for path, item in PATHS.items() if "task" not in path and "health" not in path}
    found = await look(document(paths=paths | {"/api/bots/{id}/tasks": {"post": {}}}))
    assert found.unlisted == {"health": "", "send": "POST /api/bots/{id}/tasks"}
    told = next(sentence for sentence in found.missing if "operation send" in sentence)
    assert (
        "POST /api/bot/{bot_id}/task (perhaps POST /api/bots/{id}/tasks); correct [operations.send]" in told
    )


async def test_the_right_path_with_another_method_is_not_the_operation() -> None:
    found = await look(document(paths=PATHS | {"/api/bots": {"post": {}}}))
    assert set(found.unlisted) == {"bots"}


BEARER = {"securitySchemes": {"key": {"type": "http", "scheme": "Bearer"}}}


@pytest.mark.parametrize(
    ("changes", "asks"),
    [
        ({}, False),
        ({"components": BEARER}, False),
        ({"components": BEARER, "security": [{"key": []}]}, True),
        ({"components": BEARER, "security": [{"other": []}]}, False),
        ({"components": BEARER, "paths": PATHS | {"/api/bots": {"get": {"security": [{"key": []}]}}}}, True),
        (
            {
                "components": BEARER,
                "security": [{"key": []}],
                "paths": PATHS | {"/api/bots": {"get": {"security": []}}},
            },
            False,
        ),
        ({"components": {"securitySchemes": {"key": {"type": "oauth2"}}}, "security": [{"key": []}]}, True),
        ({"components": {"securitySchemes": {"key": {"type": "apiKey"}}}, "security": [{"key": []}]}, False),
    ],
)
async def test_whether_rest_asks_for_a_token_is_read_off_the_list_of_bots(
    changes: dict[str, Any], asks: bool
) -> None:
    found = await look(document(**changes))
    assert found.asks_for_token is asks
    assert any("security scheme is declared" in sentence for sentence in found.found)


async def test_the_frameworks_own_title_is_no_name() -> None:
    found = await look(document(info={"title": "FastAPI", "version": "0.1.0"}))
    assert (found.title, found.version) == ("", "")
    assert any("[target] name and version" in sentence for sentence in found.missing)


@pytest.mark.parametrize(
    "openapi",
    [
        "",
        "[]",
        "null",
        "{}",
        '{"paths": []}',
        "<html>",
        json.dumps({"paths": {"/x": [], "/y": {"get": 1}}, "info": 5}),
        json.dumps({"paths": {}, "components": {"securitySchemes": {"a": 1}}, "security": [{"a": 1}, 5]}),
    ],
)
async def test_any_other_document_is_told_and_nothing_is_claimed(openapi: str) -> None:
    found = await look(openapi)
    assert found.missing
    assert not found.asks_for_token and not found.title


async def test_an_unhealthy_answer_is_told() -> None:
    found = await look("", health="{}", status="503 Service Unavailable")
    assert any("/health answers 503" in sentence for sentence in found.missing)


async def test_text_of_the_service_is_cleaned() -> None:
    found = await look(document(info={"title": "a\x1b[31mb", "version": "1\n2"}))
    assert found.title == "a␛[31mb"
    assert found.version == "1 2"


async def test_a_service_of_another_kind_is_told() -> None:
    async def talk(reader: Any, writer: Any) -> None:
        writer.write(b"SSH-2.0-x\r\n")
        await writer.drain()

    async with listening(talk) as port:
        found = await look_at_interface(port, ["127.0.0.1"], CONTRACT)
    assert found.url == ""
    assert "no answer over HTTP" in found.missing[0]


async def test_an_untrusted_certificate_is_told_with_the_fix(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "chat.example")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
    pem = tmp_path / "server.pem"
    pem.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    async with server:
        port = server.sockets[0].getsockname()[1]
        found = await look_at_interface(port, ["127.0.0.1"], CONTRACT)
    assert found.url == f"https://127.0.0.1:{port}"
    assert "its certificate is not trusted" in found.missing[0]
    assert "[target] ca_file" in found.missing[0]


@pytest.mark.parametrize(
    ("addresses", "expected"),
    [
        ([], ["127.0.0.1", "[::1]"]),
        (["0.0.0.0"], ["127.0.0.1"]),
        (["::"], ["127.0.0.1", "[::1]"]),
        (["::1"], ["[::1]"]),
        (["10.0.0.5", "127.0.0.1"], ["127.0.0.1"]),
        (["10.0.0.5"], ["10.0.0.5"]),
        (["fd00::5", "fe80::1%eth0"], ["[fd00::5]"]),
    ],
)
def test_loopback_is_asked_where_the_port_is_open_there(addresses: list[str], expected: list[str]) -> None:
    assert hosts(addresses) == expected
