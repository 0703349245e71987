"""Secrets are taken out of what a probe saw before the evidence leaves the probe.

Two nets, since either alone has holes: the values that gonogo itself holds or learns (in every spelling in which
an exchange may carry them), and whatever stands where secrets stand (headers, URL user info, settings by name).
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus, unquote

MASK = "***"
SHORTEST = 4
"""Shorter values are not searched for everywhere: they would mask ordinary words and hide nothing."""
JSON_LEVELS = 3
"""How deep in strings of JSON within strings of JSON a secret is still found."""

_NAMES = (
    r"pass(?:word|wd|phrase)?|pwd|secret|token|jwt|api[_-]?key|access[_-]?key|private[_-]?key"
    r"|signing[_-]?key|credentials?|session[_-]?id"
)
_PATTERNS: tuple[tuple[re.Pattern[str], str], ...] = (
    (
        re.compile(r"(?im)^(\W*(?:proxy-)?authorization|\W*(?:set-)?cookie2?|\W*x-api-key)(\W*[:=]\s*).+$"),
        rf"\1\2{MASK}",
    ),
    (re.compile(r"(?i)\b(bearer|basic|digest)(\s+)[A-Za-z0-9._~+/=-]{6,}"), rf"\1\2{MASK}"),
    (re.compile(r"eyJ[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*"), MASK),
    (re.compile(r"(?i)\b([a-z][a-z0-9+.-]*://[^/\s:@\"']*):[^/\s@\"']+@"), rf"\1:{MASK}@"),
    # Settings by name: NAME=value, "name": "value", name%3Dvalue; quotes may be escaped by a JSON string around.
    (
        re.compile(rf"(?i)((?:{_NAMES})[\w-]*(?:\\*[\"'])?\s*[:=]\s*\\*\")(?:[^\"\\]|\\(?!\")[^\"])*"),
        rf"\1{MASK}",
    ),
    (re.compile(rf"(?i)((?:{_NAMES})[\w-]*\\*[\"']?\s*[:=]\s*\\*')[^']*"), rf"\1{MASK}"),
    (re.compile(rf"(?i)((?:{_NAMES})[\w-]*(?:=|%3D))(?!\\*[\"'])[^\s&;,\"'<>\\]+"), rf"\1{MASK}"),
)


class Redactor:
    """Takes secrets out of text; learns more of them as a run goes on (a token that the sign-in answered)."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        self._spellings: set[str] = set()
        self._expression: re.Pattern[str] | None = None
        for secret in secrets:
            self.learn(secret)

    def learn(self, secret: str) -> None:
        """Mask `secret` from now on, in plain, URL-encoded, JSON-escaped and base64 spelling."""
        if len(secret) < SHORTEST:
            return
        self._spellings |= set(spellings(secret))
        longest_first = sorted(self._spellings, key=len, reverse=True)
        self._expression = re.compile("|".join(map(re.escape, longest_first)), re.IGNORECASE)

    def redact(self, text: str) -> str:
        """`text` without any secret that is known or stands where secrets stand."""
        if self._expression:
            text = self._expression.sub(MASK, text)
        for pattern, replacement in _PATTERNS:
            text = pattern.sub(replacement, text)
        return text


def url_secrets(url: str) -> list[str]:
    """What may be a password in a URL; with an unescaped `@` in it, each part that a parser may take for another."""
    _, _, rest = url.partition("://")
    authority, at, _ = rest.rpartition("@")
    _, colon, password = authority.partition(":")
    if not (at and colon):
        return []
    return [password, unquote(password), *password.split("@")]


def spellings(secret: str) -> Iterable[str]:
    """`secret` in plain, URL-encoded and JSON-escaped, and what of its base64 does not depend on what is around."""
    secret = secret.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
    yield secret
    yield quote(secret, safe="")
    yield quote(secret)
    yield quote_plus(secret)
    for ascii_only in (True, False):
        escaped = secret
        for _ in range(JSON_LEVELS):
            escaped = json.dumps(escaped, ensure_ascii=ascii_only)[1:-1]
            yield escaped
            yield escaped.replace("/", "\\/")
    raw = secret.encode()
    for offset in range(3):
        # Base64 of a longer text that contains the secret: only the characters it alone decides are stable.
        coded = base64.b64encode(b"\0" * offset + raw).decode().rstrip("=")
        first = (offset * 8 + 5) // 6
        last = (offset + len(raw)) * 8 // 6
        stable = coded[first:last]
        if len(stable) >= SHORTEST + 2:
            yield stable
            yield stable.replace("+", "-").replace("/", "_")
