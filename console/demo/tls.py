"""A certificate made on the spot: an authority of its own and, signed by it, one for the loopback addresses."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from console.demo.settings import Settings, write_private

LIFETIME = timedelta(days=90)
SHORT_LIFETIME = timedelta(days=5)
"""The fault certificate-expires."""
BACKDATED = timedelta(minutes=5)
"""For a client whose clock is behind."""
CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"
"""For TLS 1.2; those of TLS 1.3 are all good."""
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def server_context(settings: Settings) -> ssl.SSLContext:
    """What the server speaks: TLS 1.2 and 1.3 with the certificate that `write_certificate` wrote."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ciphers, faults = CIPHERS, settings.faults
    if "weak-cipher" in faults:
        ciphers += ":ECDHE-ECDSA-NULL-SHA:ECDHE-RSA-NULL-SHA"
    if "old-tls" in faults:
        ciphers += ":ECDHE+AES+SHA1"
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    else:
        context.minimum_version = ssl.TLSVersion.TLSv1_2
    if faults & {"weak-cipher", "old-tls", "weak-key"}:
        ciphers += ":@SECLEVEL=0"  # OpenSSL would not do it otherwise
    context.set_ciphers(ciphers)
    context.load_cert_chain(settings.certificate_file, settings.key_file)
    return context


def write_certificate(settings: Settings) -> None:
    """Write the authority's certificate, the server's certificate and the server's key (owner alone)."""
    authority_key, key = ec.generate_private_key(ec.SECP256R1()), _key(settings.faults)
    authority = _authority(authority_key)
    # The authority's key is not kept: nobody can sign with it again.
    certificate = _server(key, authority, authority_key, settings.faults)
    if "chain-broken" in settings.faults:
        authority = _authority(ec.generate_private_key(ec.SECP256R1()))
    write_private(settings.ca_file, authority.public_bytes(Encoding.PEM).decode())
    write_private(settings.certificate_file, certificate.public_bytes(Encoding.PEM).decode())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    write_private(settings.key_file, private.decode())


def _key(faults: frozenset[str]) -> Key:
    if "weak-key" in faults:
        return rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - the fault
    return ec.generate_private_key(ec.SECP256R1())


def _authority(key: ec.EllipticCurvePrivateKey) -> x509.Certificate:
    name = _name("Demo chatbot controller: certificate authority")
    usage = _usage(key_cert_sign=True, crl_sign=True)
    return (
        _builder(key, name, name, LIFETIME)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(key, hashes.SHA256())
    )


def _server(
    key: Key,
    authority: x509.Certificate,
    authority_key: ec.EllipticCurvePrivateKey,
    faults: frozenset[str],
) -> x509.Certificate:
    names: list[x509.GeneralName] = [
        x509.DNSName("localhost"),
        x509.IPAddress(ip_address("127.0.0.1")),
        x509.IPAddress(ip_address("::1")),
    ]
    if "wrong-host" in faults:
        names = [x509.DNSName("chat.example")]
    lifetime = SHORT_LIFETIME if "certificate-expires" in faults else LIFETIME
    issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key())
    return (
        _builder(key, _name("localhost"), authority.subject, lifetime)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(issuer, critical=False)
        .sign(authority_key, hashes.SHA256())
    )


def _builder(key: Key, subject: x509.Name, issuer: x509.Name, lifetime: timedelta) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(now + lifetime)
        .add_extension(identifier, critical=False)
    )


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _usage(
    *, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
