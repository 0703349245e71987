"""Faults of sign-in tokens (JWT)."""

from __future__ import annotations

from console.demo.faults.fault import Fault

FORGED = ("JWT-02", "JWT-03", "JWT-04", "JWT-05", "JWT-06", "AUTH-04")
"""What shows nothing where anybody is let in."""
FAULTS: tuple[Fault, ...] = (
    Fault(
        "weak-secret",
        "tokens are signed with the sample secret of a well-known product",
        ("AUTH-03", "JWT-01"),
    ),
    Fault("short-secret", "tokens are signed with a secret of 16 random characters", ("AUTH-03",)),
    Fault(
        "default-secret",
        "no secret is set, and tokens are signed with the one built into the program",
        ("AUTH-03", "JWT-01", "JWT-05"),
    ),
    Fault("none-accepted", "tokens without a signature are accepted under the algorithm none", ("JWT-02",)),
    Fault(
        "signature-ignored",
        "REST operations read tokens without looking at the signature",
        ("JWT-03",),
        masks=FORGED,
    ),
    Fault("jwk-accepted", "tokens are checked with the key that they bring along", ("JWT-04",)),
    Fault(
        "weak-secrets-also-accepted", "tokens signed with well-known secrets are accepted too", ("JWT-05",)
    ),
    Fault("dev-token", "the token dev-token-12345 is accepted from everybody", ("JWT-06",)),
    Fault(
        "socket-open-to-anybody",
        "the WebSocket opens whatever the token",
        ("JWT-07", "WALK-11"),
        masks=FORGED,
    ),
    Fault("claims-missing", "tokens do not say when they were issued", ("JWT-08",)),
    Fault("token-lives-long", "tokens are good for 30 days", ("JWT-09",)),
    Fault("expired-accepted", "tokens are accepted after their time", ("AUTH-04",)),
    Fault("not-yet-valid-accepted", "tokens are accepted before their time", ("AUTH-04",)),
    Fault("token-in-log", "the address of each refused WebSocket is logged with its token", ("API-06",)),
)
