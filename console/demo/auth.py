"""Sign-in: password hashes (scrypt) and tokens (JWT, HS256)."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import time
from dataclasses import dataclass

import jwt

TOKEN_LIFETIME_S = 3600
ALGORITHM = "HS256"
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

    def __init__(self, secret: str) -> None:
        self._secret = secret

    def issue(self, user_id: int, username: str) -> str:
        """A token for one user, good for `TOKEN_LIFETIME_S`."""
        now = int(time.time())
        claims = {"user_id": user_id, "username": username, "iat": now, "exp": now + TOKEN_LIFETIME_S}
        return jwt.encode(claims, self._secret, algorithm=ALGORITHM)

    def read(self, token: str) -> Claims | None:
        """The claims of a good token; None for any other."""
        try:
            claims = jwt.decode(
                token,
                self._secret,
                algorithms=[ALGORITHM],
                options={"require": ["exp", "iat", "user_id", "username"]},
            )
            return Claims(int(claims["user_id"]), str(claims["username"]), float(claims["exp"]))
        except (jwt.InvalidTokenError, TypeError, ValueError):
            return None


def hash_password(password: str) -> str:
    """A salted hash; slow on purpose, so call it in a thread."""
    salt = os.urandom(16)
    return f"scrypt${_text(salt)}${_text(_scrypt(password, salt))}"


def is_password(password: str, stored: str) -> bool:
    """Whether `password` is the one that was hashed; slow on purpose, so call it in a thread."""
    _, salt, expected = stored.split("$")
    found = _scrypt(password, base64.b64decode(salt))
    return hmac.compare_digest(found, base64.b64decode(expected))


def _scrypt(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(
        password.encode("utf-8", "surrogatepass"), salt=salt, n=COST, r=BLOCK, p=PARALLEL, dklen=32
    )


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()
