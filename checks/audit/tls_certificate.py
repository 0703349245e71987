"""The certificate: trusted, for this host, valid for long enough, and strong."""

from __future__ import annotations

import ssl

from checks.audit.common import audit, listed
from checks.audit.tls import certificate, tls_probe
from checks.context import Context
from checks.model import Evidence, Outcome, Reason, Safety, Severity, Subject, failed, inconclusive, passed
from checks.probe.tls import Certificate, TlsProbe
from checks.text import clean, duration

NOT_YET_VALID, EXPIRED = 9, 10
NAME_DIFFERS = (62, 64)
TOO_WEAK = (66, 67, 68)
"""X509_V_ERR_* of OpenSSL: host name or address mismatch; key of the server or an authority, hash of an authority."""
STRICT_LEVEL = 2
RSA_BITS, EC_BITS = 2048, 256
WEAK_HASHES = ("md5", "sha1")
CERTIFICATE_FIX = (
    "Renew it and let it be renewed by itself, as in: certbot renew --deploy-hook 'systemctl reload nginx'"
)


def _shown(probe: TlsProbe, found: Certificate) -> Evidence:
    lines = [
        f"subject    {found.subject}",
        f"issuer     {found.issuer}",
        f"for        {listed(found.names, 20) or 'no name'}",
        f"valid      {found.not_before:%Y-%m-%d %H:%M} to {found.not_after:%Y-%m-%d %H:%M} UTC",
        f"key        {_key(found)}",
        f"signature  {found.hash or 'with the hash of its algorithm'}",
    ]
    command = (
        f"openssl s_client -connect {probe.endpoint} </dev/null 2>/dev/null"
        " | openssl x509 -noout -subject -issuer -dates -ext subjectAltName"
    )
    return probe.evidence(f"{probe.endpoint}: the certificate of {found.subject}", lines, command)


def _key(found: Certificate) -> str:
    return f"{found.key} {found.key_bits} bit" if found.key else "of an unknown kind"


@audit(
    "TLS-02",
    "The certificate is signed by a trusted authority",
    subject=Subject.TLS,
    severity=Severity.BLOCKER,
    safety=Safety.READ_ONLY,
    sends="one or two TLS handshakes",
    why="Clients warn or refuse; whoever clicks that away can be led to anybody's server.",
    fix="Serve the whole chain: nginx ssl_certificate fullchain.pem;\n"
    "An authority of your own: name its certificate in [target] ca_file of the profile.",
    reference="ASVS 12.2.2, 12.3.4",
    needs=("ENC-01",),
)
async def the_chain_is_trusted(context: Context) -> Outcome:
    """The chain leads to [target] ca_file, or to an authority that this host trusts."""
    probe = tls_probe(context)
    if isinstance(probe, Outcome):
        return probe
    found = await certificate(context, probe)
    if isinstance(found, Outcome):
        return found
    ca_file = context.target.profile.target.ca_file
    whom = ca_file or "the authorities that this host trusts"
    try:
        shaken = await probe.trust()
        if (
            shaken.code in (NOT_YET_VALID, EXPIRED)
            and not found.not_before <= context.now() < found.not_after
        ):
            shaken = await probe.trust(is_timeless=True)  # that the server's own is out of date is ENC-03's
    except (OSError, ssl.SSLError) as problem:
        told = f"The trusted certificates cannot be read ({problem}): correct [target] ca_file"
        return inconclusive(Reason.NO_SOURCE, told)
    evidence = (_shown(probe, found),)
    expected = f"a chain to {whom}"
    if shaken.code:
        what = f"The certificate of {probe.endpoint} is not trusted: {shaken.error}"
        return failed(what, observed=found.issuer, expected=expected, evidence=evidence)
    if shaken.error:
        return inconclusive(
            Reason.PROTOCOL, f"The chain could not be looked at: {shaken.error}", evidence=evidence
        )
    what = "The certificate's chain is trusted"
    return passed(what, observed=found.issuer, expected=expected, evidence=evidence)


@audit(
    "TLS-03",
    "The certificate is for this host",
    subject=Subject.TLS,
    severity=Severity.BLOCKER,
    safety=Safety.READ_ONLY,
    sends="one TLS handshake",
    why="Clients refuse a certificate for another name, or have been told to look away for good.",
    fix="Get one that names the host that clients use: certbot certonly -d HOST\n"
    "Or correct the host in [target] url or [audit] tls_url of the profile.",
    reference="ASVS 12.3.4, RFC 9525",
    needs=("ENC-01",),
)
async def the_name_is_right(context: Context) -> Outcome:
    """The host of the URL is among the names of the certificate, as OpenSSL compares them."""
    probe = tls_probe(context)
    if isinstance(probe, Outcome):
        return probe
    found = await certificate(context, probe)
    if isinstance(found, Outcome):
        return found
    shaken = await probe.named(found.der)
    evidence = (_shown(probe, found),)
    observed, expected = listed(found.names, 8) or "no name at all", probe.endpoint.host
    if shaken.code in NAME_DIFFERS:
        what = f"The certificate is for {listed(found.names, 3) or 'no name at all'}, not for {expected}"
        return failed(what, observed=observed, expected=expected, evidence=evidence)
    if shaken.error:
        told = f"The name could not be compared: {shaken.error}"
        return inconclusive(Reason.PROTOCOL, told, observed=observed, expected=expected, evidence=evidence)
    return passed(
        f"The certificate is for {expected}", observed=observed, expected=expected, evidence=evidence
    )


@audit(
    "ENC-03",
    "The certificate is valid for long enough",
    subject=Subject.TLS,
    severity=Severity.BLOCKER,
    safety=Safety.READ_ONLY,
    sends="one TLS handshake",
    why="On the day that it ends, every client stops working at once.",
    fix=f"{CERTIFICATE_FIX}\nThe days wanted are [audit] certificate_days in the profile.",
    reference="ASVS 12.2.2, 12.3.4",
    needs=("ENC-01",),
)
async def the_certificate_lasts(context: Context) -> Outcome:
    """It has begun, and ends no earlier than [audit] certificate_days from now."""
    probe = tls_probe(context)
    if isinstance(probe, Outcome):
        return probe
    found = await certificate(context, probe)
    if isinstance(found, Outcome):
        return found
    now, wanted = context.now(), context.target.profile.audit.certificate_days
    left = (found.not_after - now).total_seconds() / 86400
    evidence = (_shown(probe, found),)
    observed = f"{found.not_before:%Y-%m-%d} to {found.not_after:%Y-%m-%d}, {left:.1f} days left"
    expected = f"valid now and for {wanted} days more"
    if found.not_before > now:
        early = duration((found.not_before - now).total_seconds())
        what = f"The certificate is not valid yet: it begins on {found.not_before:%Y-%m-%d}, in {early}"
        return failed(what, observed=observed, expected=expected, evidence=evidence)
    if left <= 0:
        what = f"The certificate ended on {found.not_after:%Y-%m-%d}"
        return failed(what, observed=observed, expected=expected, evidence=evidence)
    if left < wanted:
        what = f"The certificate ends on {found.not_after:%Y-%m-%d}, in {left:.0f} days"
        return failed(what, observed=observed, expected=expected, evidence=evidence)
    what = f"The certificate is valid for {left:.0f} days more"
    return passed(what, observed=observed, expected=expected, evidence=evidence)


@audit(
    "TLS-04",
    "Key and signature of the certificate are strong",
    subject=Subject.TLS,
    severity=Severity.MAJOR,
    safety=Safety.READ_ONLY,
    sends="one or two TLS handshakes",
    why="Who computes a weak key, or forges a weak signature, is this server for every client.",
    fix="openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -sha256 -nodes -keyout key.pem -out request.pem\n"
    "and have that request signed (certbot: --key-type ecdsa).",
    reference="ASVS 11.6.1, RFC 9325 4.5",
    needs=("ENC-01",),
)
async def key_and_signature_are_strong(context: Context) -> Outcome:
    """RSA of 2048 bit, EC of 256 bit or better, signed with SHA-256 or better; the same for the chain if trusted."""
    probe = tls_probe(context)
    if isinstance(probe, Outcome):
        return probe
    found = await certificate(context, probe)
    if isinstance(found, Outcome):
        return found
    evidence = (_shown(probe, found),)
    observed = f"{_key(found)}, {found.hash or 'a hash of its own'}"
    expected = f"RSA {RSA_BITS}, EC {EC_BITS} or Ed25519, signed with SHA-256 or better"
    if weak := weakness(found):
        return failed(f"The certificate has {weak}", observed=observed, expected=expected, evidence=evidence)
    if not found.key:
        told = "The kind of the certificate's key is not known here"
        return inconclusive(Reason.PROTOCOL, told, observed=observed, expected=expected, evidence=evidence)
    try:
        is_trusted = not (await probe.trust()).error
        strict = await probe.trust(level=STRICT_LEVEL) if is_trusted else None
    except (OSError, ssl.SSLError):
        strict = None
    if strict is not None and strict.code in TOO_WEAK:
        what = f"An authority of the chain is weak: {strict.error}"
        return failed(what, observed=strict.error, expected=expected, evidence=evidence)
    what = clean(f"Key and signature are strong: {observed}")
    return passed(what, observed=observed, expected=expected, evidence=evidence)


def weakness(found: Certificate) -> str:
    """What is weak about the server's own certificate; empty where nothing is."""
    if found.hash in WEAK_HASHES:
        return f"a signature with {found.hash.upper()}"
    least = {"RSA": RSA_BITS, "EC": EC_BITS, "DSA": 1 << 30}.get(found.key, 0)
    return f"a weak key: {_key(found)}" if found.key_bits < least else ""
