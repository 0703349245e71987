"""A TLS ClientHello made by hand, and what is read of the answer: independent of what the local library can speak.

The layout is that of RFC 5246, sections 6.2.1 and 7.4.1.2 (the same since RFC 6101, SSL 3.0), and RFC 8446, section 4.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import ip_address

SSL_3_0, TLS_1_0, TLS_1_1, TLS_1_2, TLS_1_3 = 0x0300, 0x0301, 0x0302, 0x0303, 0x0304
NAMES = {SSL_3_0: "SSL 3.0", TLS_1_0: "TLS 1.0", TLS_1_1: "TLS 1.1", TLS_1_2: "TLS 1.2", TLS_1_3: "TLS 1.3"}
ALERT, HANDSHAKE, SERVER_HELLO, RECORD_HEAD = 21, 22, 2, 5
ALERTS = {
    0: "close_notify",
    10: "unexpected_message",
    40: "handshake_failure",
    47: "illegal_parameter",
    70: "protocol_version",
    71: "insufficient_security",
    80: "internal_error",
    86: "inappropriate_fallback",
    112: "unrecognized_name",
}
"""RFC 8446, section 6, and RFC 5246, section 7.2: those that answer a ClientHello."""
GROUPS = (0x001D, 0x0017, 0x0018, 0x0019, 0x0100)
"""x25519, P-256, P-384, P-521, ffdhe2048."""
SIGNATURES = (0x0403, 0x0503, 0x0603, 0x0804, 0x0805, 0x0806, 0x0807, 0x0401, 0x0501, 0x0601, 0x0203, 0x0201)
"""ECDSA, RSA-PSS, Ed25519 and RSA with SHA-2, then ECDSA and RSA with SHA-1."""

GOOD_SUITES = {
    0x1301: "TLS_AES_128_GCM_SHA256",
    0x1302: "TLS_AES_256_GCM_SHA384",
    0x1303: "TLS_CHACHA20_POLY1305_SHA256",
    0xC02B: "ECDHE-ECDSA-AES128-GCM-SHA256",
    0xC02F: "ECDHE-RSA-AES128-GCM-SHA256",
    0xC02C: "ECDHE-ECDSA-AES256-GCM-SHA384",
    0xC030: "ECDHE-RSA-AES256-GCM-SHA384",
    0xCCA9: "ECDHE-ECDSA-CHACHA20-POLY1305",
    0xCCA8: "ECDHE-RSA-CHACHA20-POLY1305",
    0x009E: "DHE-RSA-AES128-GCM-SHA256",
    0x009F: "DHE-RSA-AES256-GCM-SHA384",
    0xCCAA: "DHE-RSA-CHACHA20-POLY1305",
}
"""Mozilla's server side TLS guidelines 5.7, configuration “intermediate”."""
OLD_SUITES = {
    0xC009: "ECDHE-ECDSA-AES128-SHA",
    0xC00A: "ECDHE-ECDSA-AES256-SHA",
    0xC013: "ECDHE-RSA-AES128-SHA",
    0xC014: "ECDHE-RSA-AES256-SHA",
    0x0033: "DHE-RSA-AES128-SHA",
    0x0039: "DHE-RSA-AES256-SHA",
}
"""What the versions before 1.2 can speak at best."""
BROKEN_SUITES = {
    0x0001: "NULL-MD5",
    0x0002: "NULL-SHA",
    0x003B: "NULL-SHA256",
    0xC006: "ECDHE-ECDSA-NULL-SHA",
    0xC010: "ECDHE-RSA-NULL-SHA",
    0xC015: "AECDH-NULL-SHA",
    0x0018: "ADH-RC4-MD5",
    0x001B: "ADH-DES-CBC3-SHA",
    0x0034: "ADH-AES128-SHA",
    0x003A: "ADH-AES256-SHA",
    0x006C: "ADH-AES128-SHA256",
    0x00A6: "ADH-AES128-GCM-SHA256",
    0xC018: "AECDH-AES128-SHA",
    0xC019: "AECDH-AES256-SHA",
    0x0003: "EXP-RC4-MD5",
    0x0006: "EXP-RC2-CBC-MD5",
    0x0008: "EXP-DES-CBC-SHA",
    0x0014: "EXP-EDH-RSA-DES-CBC-SHA",
    0x0009: "DES-CBC-SHA",
    0x0015: "EDH-RSA-DES-CBC-SHA",
    0x0004: "RC4-MD5",
    0x0005: "RC4-SHA",
    0xC007: "ECDHE-ECDSA-RC4-SHA",
    0xC011: "ECDHE-RSA-RC4-SHA",
    0x000A: "DES-CBC3-SHA",
    0x0016: "EDH-RSA-DES-CBC3-SHA",
    0xC008: "ECDHE-ECDSA-DES-CBC3-SHA",
    0xC012: "ECDHE-RSA-DES-CBC3-SHA",
}
"""RFC 9325, section 4.1: no encryption, no authentication, export grade, DES, RC4; and 3DES (RFC 8429, Sweet32)."""
NO_SECRECY_SUITES = {
    0x002F: "AES128-SHA",
    0x0035: "AES256-SHA",
    0x003C: "AES128-SHA256",
    0x003D: "AES256-SHA256",
    0x009C: "AES128-GCM-SHA256",
    0x009D: "AES256-GCM-SHA384",
    0x0041: "CAMELLIA128-SHA",
    0x0084: "CAMELLIA256-SHA",
}
"""RFC 9325, section 4.1: RSA key transport: whoever gets the key later can read what was recorded before."""
SUITES = GOOD_SUITES | OLD_SUITES | BROKEN_SUITES | NO_SECRECY_SUITES


@dataclass(frozen=True, slots=True)
class Heard:
    """What a server's first record says."""

    version: int = 0
    """The version that it chose; 0 where it chose none."""
    suite: int = 0
    alert: int = -1
    """The alert that it refused with; -1 where there was none."""

    @property
    def suite_name(self) -> str:
        """OpenSSL's name of the cipher suite, or its number."""
        return SUITES.get(self.suite, f"suite 0x{self.suite:04X}")


def client_hello(version: int, suites: Iterable[int], name: str) -> bytes:
    """One record with a ClientHello that offers `version` alone, and `suites`; `name` as SNI where it is no address.

    TLS 1.3 is offered without a key share (RFC 8446, section 4.2.8): the server asks for one, and has chosen by that.
    """
    offered = list(suites)
    ciphers = struct.pack(f">H{len(offered)}H", 2 * len(offered), *offered)
    body = struct.pack(">H", min(version, TLS_1_2)) + os.urandom(32) + b"\0" + ciphers + b"\x01\0"
    if version > SSL_3_0:
        extensions = _extensions(version, name)
        body += struct.pack(">H", len(extensions)) + extensions
    message = b"\x01" + len(body).to_bytes(3, "big") + body
    return struct.pack(">BHH", HANDSHAKE, min(version, TLS_1_0), len(message)) + message


def _extensions(version: int, name: str) -> bytes:
    out = b""
    if name and not _is_address(name):
        host = name.encode("idna")
        out += _extension(0, struct.pack(">HBH", len(host) + 3, 0, len(host)) + host)
    out += _extension(10, struct.pack(f">H{len(GROUPS)}H", 2 * len(GROUPS), *GROUPS))
    out += _extension(11, b"\x01\0")
    if version >= TLS_1_2:
        out += _extension(13, struct.pack(f">H{len(SIGNATURES)}H", 2 * len(SIGNATURES), *SIGNATURES))
    if version == TLS_1_3:
        out += _extension(43, struct.pack(">BH", 2, TLS_1_3)) + _extension(51, b"\0\0")
    return out


def _extension(kind: int, content: bytes) -> bytes:
    return struct.pack(">HH", kind, len(content)) + content


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def is_tls(raw: bytes) -> bool:
    """Whether `raw` begins like an alert or a handshake of SSL 3.0 to TLS 1.3."""
    return len(raw) >= RECORD_HEAD and raw[0] in (ALERT, HANDSHAKE) and raw[1] == 3 and raw[2] <= 4


def is_whole(raw: bytes) -> bool:
    """Whether the first record has arrived, or as much of it as `heard` reads."""
    if not is_tls(raw):
        return len(raw) >= RECORD_HEAD
    return len(raw) >= RECORD_HEAD + min(int.from_bytes(raw[3:5], "big"), 512)


def heard(raw: bytes) -> Heard | None:
    """What the first record says; None where it is neither an alert nor a ServerHello."""
    body = raw[RECORD_HEAD:]
    if not is_tls(raw) or len(body) < 2:
        return None
    if raw[0] == ALERT:
        return Heard(alert=body[1])
    # type, length (3), version (2), random (32), length of the session id
    if body[0] != SERVER_HELLO or len(body) < 39 or len(body) < 41 + body[38]:
        return None
    place = 39 + body[38]
    version, suite = int.from_bytes(body[4:6], "big"), int.from_bytes(body[place : place + 2], "big")
    return Heard(_selected(body[place + 3 :], version), suite)


def _selected(rest: bytes, version: int) -> int:
    """The version that the extension supported_versions names (RFC 8446, section 4.2.1), else `version`."""
    rest = rest[2:]
    while len(rest) >= 4:
        kind, size = struct.unpack(">HH", rest[:4])
        if kind == 43 and size == 2 and len(rest) >= 6:
            return int.from_bytes(rest[4:6], "big")
        rest = rest[4 + size :]
    return version
