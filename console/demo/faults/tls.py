"""Faults of TLS."""

from __future__ import annotations

from console.demo.faults.fault import Fault

FAULTS: tuple[Fault, ...] = (
    Fault("plain-http", "plain HTTP is served, also where TLS is asked for", ("ENC-01",)),
    Fault("old-tls", "TLS 1.0 and 1.1 are spoken too", ("ENC-02",)),
    Fault("weak-cipher", "a cipher suite that encrypts nothing is taken for TLS 1.2", ("TLS-01",)),
    Fault(
        "chain-broken",
        "the certificate is signed by an authority that nobody trusts",
        ("TLS-02",),
        is_alone=True,
    ),
    Fault("wrong-host", "the certificate is for another host", ("TLS-03",), is_alone=True),
    Fault("certificate-expires", "the certificate ends in five days", ("ENC-03",), fires=("certificate",)),
    Fault("weak-key", "the key of the certificate is RSA with 1024 bit", ("TLS-04",), is_alone=True),
    Fault("no-hsts", "Strict-Transport-Security is not sent", ("TLS-05",)),
    Fault("plain-too", "the port of TLS answers plain HTTP as well", ("TLS-06",)),
    Fault("plain-websocket", "the port of TLS takes a WebSocket in clear text", ("TLS-07",)),
)
