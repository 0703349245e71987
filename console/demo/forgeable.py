"""Tokens that the demo believes though it must not: what the faults of the sign-in do. Without one it is not asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

import jwt
from jwt.algorithms import HMACAlgorithm

BUILT_IN_SECRET = "dev-secret-key-change-in-production"
"""The fault default-secret: what is signed with where nothing is set."""
WEAK_SECRET = "super-secret-jwt-token-with-at-least-32-characters-long"
"""The fault weak-secret: the sample value of a well-known product."""
SHORT_CHARS = 16
"""The fault short-secret."""
ALSO_BELIEVED = ("secret", "changeme", "your-secret-key", BUILT_IN_SECRET, "your-256-bit-secret")
"""The fault weak-secrets-also-accepted: further secrets, as they stay behind where one was replaced."""
DEVELOPMENT_TOKEN = "dev-token-12345"
FAULTS = frozenset(
    {
        "none-accepted",
        "expired-accepted",
        "not-yet-valid-accepted",
        "jwk-accepted",
        "weak-secrets-also-accepted",
    }
)
"""Those that change which tokens are believed."""
Result = TypeVar("Result")
Read = Callable[[str, str | bytes, Mapping[str, bool]], Result | None]
"""Token, secret, options of the library -> the claims; None for a token that is not good."""


def secret_under(faults: frozenset[str], secret: str) -> str:
    """The secret that is signed with in place of `secret`."""
    if "default-secret" in faults:
        return BUILT_IN_SECRET
    if "weak-secret" in faults:
        return WEAK_SECRET
    return secret[:SHORT_CHARS] if "short-secret" in faults else secret


def believed(faults: frozenset[str], token: str, secret: str, read: Read[Result]) -> Result | None:
    """What `read` makes of a token that is good only under `faults`; None for every other."""
    try:
        header = jwt.get_unverified_header(token)
    except jwt.InvalidTokenError:
        return None
    tries: list[tuple[str | bytes, Mapping[str, bool]]] = []
    if "none-accepted" in faults and str(header.get("alg")).lower() == "none":
        tries.append((secret, {"verify_signature": False, "verify_exp": True, "verify_nbf": True}))
    if "expired-accepted" in faults:
        tries.append((secret, {"verify_exp": False}))
    if "not-yet-valid-accepted" in faults:
        tries.append((secret, {"verify_nbf": False}))
    if "jwk-accepted" in faults and (key := _brought_along(header)):
        tries.append((key, {}))
    if "weak-secrets-also-accepted" in faults:
        tries += [(other, {}) for other in ALSO_BELIEVED]
    found = (read(token, key, options) for key, options in tries)
    return next((claims for claims in found if claims is not None), None)


def _brought_along(header: Mapping[str, object]) -> bytes:
    """The key that stands in the token's own header; empty where there is none."""
    jwk = header.get("jwk")
    try:
        return HMACAlgorithm.from_jwk(jwk) if isinstance(jwk, dict) else b""
    except (jwt.InvalidKeyError, KeyError, ValueError):
        return b""
