"""Tokens (JWT, RFC 7519) taken apart, made and altered, all in memory."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from jwt.algorithms import HMACAlgorithm, get_default_algorithms

MAX_TOKEN_CHARS = 16384
"""A longer token is not taken apart."""
SYMMETRIC = {
    "HS256": HMACAlgorithm.SHA256,
    "HS384": HMACAlgorithm.SHA384,
    "HS512": HMACAlgorithm.SHA512,
}
ASYMMETRIC = (
    "RS256",
    "RS384",
    "RS512",
    "PS256",
    "PS384",
    "PS512",
    "ES256",
    "ES384",
    "ES512",
    "EdDSA",
    "Ed25519",
)
GOOD_ALGORITHMS = (*SYMMETRIC, *ASYMMETRIC)
"""RFC 7518, section 3.1, and RFC 8037, without `none`."""
LIST = Path(__file__).with_name("weak_secrets.txt")
RSA_BITS = 2048


@dataclass(frozen=True, slots=True)
class Token:
    """A signed token in its parts."""

    header: Mapping[str, Any]
    claims: Mapping[str, Any] = field(repr=False)
    signed: bytes = field(repr=False)
    """What the signature is over: header and claims as they were sent."""
    signature: bytes = field(repr=False)

    @property
    def algorithm(self) -> str:
        """The header's `alg`; empty where it names none."""
        value = self.header.get("alg")
        return value if isinstance(value, str) else ""

    @property
    def is_symmetric(self) -> bool:
        """Whether the key that checks it is the secret that signs it."""
        return self.algorithm in SYMMETRIC

    @property
    def text(self) -> str:
        """As it is sent."""
        return f"{self.signed.decode('ascii')}.{encoded(self.signature)}"


def encoded(raw: bytes) -> str:
    """Base64 for URLs without padding (RFC 7515, section 2)."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def decoded(text: str) -> bytes:
    """Undo `encoded`. Raises ValueError."""
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)


def taken_apart(text: str) -> Token | None:
    """The parts of a signed token; None for anything that is none (an opaque token, an encrypted one, noise)."""
    parts = text.split(".")
    if len(text) > MAX_TOKEN_CHARS or len(parts) != 3 or not text.isascii():
        return None
    try:
        header, claims = (json.loads(decoded(part)) for part in parts[:2])
        signature = decoded(parts[2])
    except (ValueError, binascii.Error, RecursionError):
        return None
    if not isinstance(header, dict) or not isinstance(claims, dict):
        return None
    return Token(header, claims, f"{parts[0]}.{parts[1]}".encode(), signature)


def unsigned(header: Mapping[str, Any], claims: Mapping[str, Any]) -> Token:
    """A token with an empty signature."""
    parts = (json.dumps(part, separators=(",", ":")).encode() for part in (header, claims))
    return Token(header, claims, ".".join(map(encoded, parts)).encode(), b"")


def minted(token: Token, key: bytes, *, claims: Mapping[str, Any] | None = None, **header: Any) -> Token:
    """A token like `token`, signed with `key` by its own HMAC (HS256 where it has none); `claims` and single
    fields of the header may be replaced."""
    algorithm = header.pop("alg", token.algorithm)
    algorithm = algorithm if algorithm in SYMMETRIC else "HS256"
    made = unsigned({**token.header, "alg": algorithm, **header}, token.claims if claims is None else claims)
    return replace(made, signature=_hmac(algorithm, made.signed, key))


def signed_with(private_key: Any, token: Token, algorithm: str, **header: Any) -> Token:
    """A token like `token`, signed with a private key of our own."""
    made = unsigned({**token.header, "alg": algorithm, **header}, token.claims)
    return replace(made, signature=get_default_algorithms()[algorithm].sign(made.signed, private_key))


def without_algorithm(token: Token, word: str) -> Token:
    """The same claims under the algorithm `word` (none, None, NONE), without a signature."""
    return unsigned({**token.header, "alg": word}, token.claims)


def with_other_claims(token: Token, claims: Mapping[str, Any]) -> Token:
    """Other claims under the signature of the old ones."""
    return replace(unsigned(token.header, claims), signature=token.signature)


def without_signature(token: Token) -> Token:
    """Header and claims as they were, and nothing after the second dot."""
    return replace(token, signature=b"")


def with_flipped_signature(token: Token) -> Token:
    """One bit of the signature flipped."""
    first = token.signature[:1] or b"\0"
    return replace(token, signature=bytes([first[0] ^ 1]) + token.signature[1:])


def with_own_jwk(token: Token) -> Token:
    """A token that brings the key along which checks it (header `jwk`); CVE-2018-0114."""
    if token.algorithm not in ASYMMETRIC:
        key = os.urandom(32)
        return minted(token, key, jwk={"kty": "oct", "k": encoded(key)})
    private_key = own_key(token.algorithm)
    return signed_with(private_key, token, token.algorithm, jwk=public_jwk(private_key, token.algorithm))


def own_key(algorithm: str) -> Any:
    """A new private key for an asymmetric algorithm."""
    if algorithm.startswith(("RS", "PS")):
        return rsa.generate_private_key(public_exponent=65537, key_size=RSA_BITS)
    if algorithm.startswith("ES"):
        curves = {"ES256": ec.SECP256R1(), "ES384": ec.SECP384R1(), "ES512": ec.SECP521R1()}
        return ec.generate_private_key(curves[algorithm])
    return ed25519.Ed25519PrivateKey.generate()


def public_jwk(private_key: Any, algorithm: str) -> dict[str, Any]:
    """The public half as a JSON web key (RFC 7517)."""
    found = get_default_algorithms()[algorithm].to_jwk(private_key.public_key(), as_dict=True)
    assert isinstance(found, dict)
    return found


def public_pems(keys: object) -> list[bytes]:
    """The public keys of a JSON web key set in PEM: what key confusion signs with. Empty for anything else."""
    listed = keys.get("keys") if isinstance(keys, dict) else None
    found: list[bytes] = []
    for one in listed if isinstance(listed, list) else []:
        try:
            key: Any = jwt.PyJWK(one).key
            found.append(key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        except (jwt.PyJWTError, AttributeError, TypeError, ValueError, KeyError):
            continue
    return found[:3]


@dataclass(frozen=True, slots=True)
class Key:
    """An asymmetric key."""

    kind: str
    """RSA, EC or EdDSA."""
    bits: int
    public_pem: bytes
    private: Any = field(default=None, repr=False)
    """None where only the public half is known."""

    @property
    def is_strong(self) -> bool:
        """RSA of 2048 bits or more, curves of 256 (ASVS 11.2.3)."""
        return self.bits >= (RSA_BITS if self.kind == "RSA" else 255)


def key_of(pem: str, algorithm: str) -> Key | None:
    """The key in `pem`, as `algorithm` uses it; None where it is none."""
    try:
        # A file with one line for each setting holds the line breaks of a PEM as a backslash and an n.
        key: Any = get_default_algorithms()[algorithm].prepare_key(pem.replace("\\n", "\n"))
        public = key.public_key() if hasattr(key, "public_key") else key
        size = getattr(public, "key_size", 256 if isinstance(public, ed25519.Ed25519PublicKey) else 448)
        shown = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    except (jwt.PyJWTError, AttributeError, TypeError, ValueError, KeyError):
        return None
    kind = "RSA" if algorithm.startswith(("RS", "PS")) else "EC" if algorithm.startswith("ES") else "EdDSA"
    return Key(kind, int(size), shown, None if key is public else key)


def signer(token: Token, secrets: Iterable[str]) -> Callable[[Mapping[str, Any]], Token] | None:
    """Signs other claims as `token` is signed: with the first of `secrets` that signs it; None where none does."""
    for secret in secrets:
        if (used := key_in_use(token, secret)) is not None:
            return partial(_signed_again, token, used)
        own = None if token.is_symmetric else key_of(secret, token.algorithm)
        if own and own.private is not None:
            return partial(_signed_again_privately, token, own.private)
    return None


def _signed_again(token: Token, key: bytes, claims: Mapping[str, Any]) -> Token:
    return minted(token, key, claims=claims)


def _signed_again_privately(token: Token, key: Any, claims: Mapping[str, Any]) -> Token:
    return signed_with(key, replace(token, claims=claims), token.algorithm)


def verifies(token: Token, secret: str) -> bool:
    """Whether `secret` signs `token`: as text, or as the base64 of a key, as some libraries want it."""
    return key_in_use(token, secret) is not None


def keys_of(secret: str) -> list[bytes]:
    """The keys that a secret may stand for: its own bytes, and what it is the base64 of."""
    keys = [secret.encode("utf-8", "surrogatepass")]
    plain = secret.rstrip("=")
    for text in (plain, plain.replace("+", "-").replace("/", "_")):
        try:
            key = decoded(text)
        except (ValueError, binascii.Error):
            continue
        if key and key not in keys:
            keys.append(key)
    return keys


def key_in_use(token: Token, secret: str) -> bytes | None:
    """The key by which `secret` signs `token`; None where it does not."""
    if not token.is_symmetric:
        return None
    for key in keys_of(secret):
        if hmac.compare_digest(_hmac(token.algorithm, token.signed, key), token.signature):
            return key
    return None


def opened_by(token: Token, secrets: Iterable[str]) -> str | None:
    """The first of `secrets` that signs `token`; the empty secret is one too."""
    return next((secret for secret in secrets if verifies(token, secret)), None)


@cache
def weak_secrets() -> tuple[str, ...]:
    """The well-known signing secrets, the most common first."""
    return _section("secrets")


@cache
def development_tokens() -> tuple[str, ...]:
    """Well-known tokens that development servers accept in place of a signed one, the most common first."""
    return _section("tokens")


def is_weak_listed(secret: str) -> bool:
    """Whether `secret` is a well-known one, in whatever case and with whatever joins its words."""
    return _plain(secret) in _plain_list()


@cache
def _plain_list() -> frozenset[str]:
    return frozenset(map(_plain, weak_secrets()))


def _plain(secret: str) -> str:
    return secret.strip().lower().replace("_", "-").replace(" ", "-")


def _section(name: str) -> tuple[str, ...]:
    found: list[str] = []
    current = ""
    for line in LIST.read_text("utf-8").splitlines():
        if line.startswith("[") and line.endswith("]"):
            current = line[1:-1]
        elif line and not line.startswith("#") and current == name:
            found.append(line)
    return tuple(found)


def _hmac(algorithm: str, message: bytes, key: bytes) -> bytes:
    # The library's `encode` refuses an empty or short key, which is what is to be tried.
    return HMACAlgorithm(SYMMETRIC[algorithm]).sign(message, key)
