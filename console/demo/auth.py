"""Sign-in: password hashes (scrypt) and tokens (JWT, HS256)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import math
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import jwt

from console.demo import forgeable

TOKEN_LIFETIME_S = 3600
LONG_LIFETIME_S = 30 * 24 * 3600
"""The fault token-lives-long."""
ALGORITHM = "HS256"
CLAIMS = ["exp", "iat", "user_id", "username"]
"""What a token must say."""
COST, BLOCK, PARALLEL = 1 << 14, 8, 1
"""scrypt's n, r and p: 16 MiB and about 40 ms a hash."""


@dataclass(frozen=True, slots=True)
class Claims:
    """Who a token speaks for, and until when (epoch seconds)."""

    user_id: int
    username: str
    expires_at: float

    def is_expired(self) -> bool:
        """Whether its time is over."""
        return time.time() >= self.expires_at


class Tokens:
    """Issues and reads tokens with one secret."""

    def __init__(
        self, secret: str, lifetime_s: int = TOKEN_LIFETIME_S, faults: frozenset[str] = frozenset()
    ) -> None:
        self._secret = secret
        self._lifetime_s = LONG_LIFETIME_S if "token-lives-long" in faults else lifetime_s
        self._faults = faults

    def issue(self, user_id: int, username: str) -> str:
        """A token for one user, good for the lifetime."""
        now = int(time.time())
        claims = {"user_id": user_id, "username": username, "iat": now, "exp": now + self._lifetime_s}
        if "claims-missing" in self._faults:
            del claims["iat"]
        return jwt.encode(claims, self._secret, algorithm=ALGORITHM)

    def read(self, token: str) -> Claims | None:
        """The claims of a good token; None for any other."""
        claims = self._read(token, self._secret, {})
        if claims is None and self._faults & forgeable.FAULTS:
            claims = forgeable.believed(self._faults, token, self._secret, self._read)
        if claims is None and "dev-token" in self._faults and token == forgeable.DEVELOPMENT_TOKEN:
            return Claims(0, "developer", math.inf)
        return claims

    def read_unverified(self, token: str) -> Claims | None:
        """The claims of a token whoever signed it: the fault signature-ignored."""
        try:
            is_ours = jwt.get_unverified_header(token).get("alg") == ALGORITHM
        except jwt.InvalidTokenError:
            return None
        options = {"verify_signature": False, "verify_exp": True, "verify_nbf": True}
        return self._read(token, self._secret, options) if is_ours else None

    def _read(self, token: str, secret: str | bytes, options: Mapping[str, bool]) -> Claims | None:
        needed = [claim for claim in CLAIMS if claim != "iat" or "claims-missing" not in self._faults]
        wanted: Any = {"require": needed, **options}
        try:
            claims = jwt.decode(token, secret, algorithms=[ALGORITHM], options=wanted)
            expires_at = float(claims["exp"]) if options.get("verify_exp", True) else math.inf
            return Claims(int(claims["user_id"]), str(claims["username"]), expires_at)
        except (jwt.InvalidTokenError, TypeError, ValueError):
            return None


def hash_password(password: str, faults: frozenset[str] = frozenset()) -> str:
    """A salted hash; slow on purpose, so call it in a thread."""
    if "fast-hash" in faults:
        return _fast(password)
    salt = os.urandom(16)
    return f"scrypt${_text(salt)}${_text(_scrypt(password, salt))}"


def is_password(password: str, stored: str) -> bool:
    """Whether `password` is the one that was hashed; slow on purpose, so call it in a thread."""
    if is_fast(stored):
        return hmac.compare_digest(_fast(password), stored)
    _, salt, expected = stored.split("$")
    found = _scrypt(password, base64.b64decode(salt))
    return hmac.compare_digest(found, base64.b64decode(expected))


def is_fast(stored: str) -> bool:
    """Whether it is what the fault fast-hash stores."""
    return "$" not in stored


def _fast(password: str) -> str:
    return hashlib.sha256(password.encode("utf-8", "surrogatepass")).hexdigest()


def _scrypt(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(
        password.encode("utf-8", "surrogatepass"), salt=salt, n=COST, r=BLOCK, p=PARALLEL, dklen=32
    )


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
