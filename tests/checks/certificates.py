"""Certificates for servers on loopback, and the TLS contexts that serve them."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Made:
    """One certificate that signs itself, and its key."""

    certificate: Path
    key: Path
    der: bytes

    def context(self, ciphers: str = "ECDHE+AESGCM", *, is_old: bool = False) -> ssl.SSLContext:
        """A server's context; `is_old`: with every version that the library has."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_ciphers(ciphers)
        if is_old:
            context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.load_cert_chain(self.certificate, self.key)
        return context


def made(
    folder: Path,
    *,
    key: Key | None = None,
    host: str = "127.0.0.1",
    begins: timedelta = -DAY,
    ends: timedelta = 90 * DAY,
) -> Made:
    """A certificate below `folder` for `host`, valid from `begins` to `ends` from now."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    try:
        names: list[x509.GeneralName] = [x509.IPAddress(ip_address(host))]
    except ValueError:
        names = [x509.DNSName(host)]
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "a test")])
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now + begins)
        .not_valid_after(now + ends)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(key, None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256())
    )
    folder.mkdir(parents=True, exist_ok=True)
    result = Made(folder / "cert.pem", folder / "key.pem", certificate.public_bytes(Encoding.DER))
    result.certificate.write_bytes(certificate.public_bytes(Encoding.PEM))
    result.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return result
