"""Values of settings: which are secret, which are only placeholders, and when two of them say the same."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from checks.probe.redaction import url_secrets

SHORTEST_SECRET = 8
"""Shorter values are not looked for elsewhere: they stand there by chance."""
_SECRET_WORD = re.compile(
    r"(?i)pass(?:word|wd|phrase|code)?$|(?<!old)(?<!^)pwd$|secret|token$|api_?key|(?:access|private|signing|encryption|jwt|auth|session|"
    r"master)_?key|key_?password|credentials?$|salt$|cookie_?key|secret_?key|^key$|_pass(?:word)?_|bearer"
)
_NO_SECRET_WORD = re.compile(
    r"(?i)_?(?:file|path|dir|url|uri|name|id|alg(?:orithm)?s?|lifetime\w*|ttl\w*|expir\w*|minutes|hours|seconds|days|_s|"
    r"type|length|size|header|env|version|enabled|required|rounds|issuer|audience|prefix|backend|socket|sock)$"
)
_SWITCH = re.compile(r"(?i)|true|false|yes|no|on|off|none|null")
_NO_KEY = re.compile(
    r"(?i)[\d.]+|(?:HS|RS|ES|PS)\d+|EdDSA|bearer|basic|/(?:etc|run|var|home|opt|srv|usr|tmp|root)/.*"
    r"|.*\.(?:pem|key|crt|cer|pub|p12|pfx|json)"
)
"""Numbers, names of algorithms and names of files: what a token or key is said to be, not the secret itself."""
_PASSWORD_NAME = re.compile(r"(?i)pass|pwd|secret")
_TRUE, _FALSE = frozenset({"1", "true", "yes", "on"}), frozenset({"0", "false", "no", "off", ""})
PLACEHOLDERS = frozenset(Path(__file__).with_name("placeholders.txt").read_text("utf-8").split())
"""Whole values, compared without regard to case and with `_` and blanks read as `-`."""
_PLACEHOLDER = re.compile(
    r"<[^>]*>|\{\{.*\}\}|\[[^\]]*\]|x{3,}|\*{3,}|\.{3,}"
    r"|(?:please-)?(?:change|replace|set|edit)-(?:me|this|it|the|your)\b.*"
    r"|(?:your|my|the)-(?:own-|super-|very-|strong-)*(?:jwt|secret|api|password|pass|token|key|db|database|user)\b.*"
    r"|(?:dev|development|test|example|sample|default|insecure|dummy)-(?:jwt-|api-|super-)?"
    r"(?:secret|password|key|token)\b.*"
    r"|.*\b(?:change-?me|change-this|change-in-production|replace-?me|do-not-use|not-for-production|placeholder)\b.*"
)
"""Whole values in lower case, with `_` and blanks read as `-`."""
MAX_PLACEHOLDER_CHARS = 200


def is_secret_name(key: str) -> bool:
    """Whether a variable, key or option of that name holds a secret, by its last part."""
    name = re.sub(r"[^A-Za-z0-9]+", "_", key.rpartition(".")[2]).strip("_")
    return bool(_SECRET_WORD.search(name)) and not _NO_SECRET_WORD.search(name)


def is_secret(key: str, value: str) -> bool:
    """Whether `value` is a secret: by the name, where it is no number, switch or name of an algorithm."""
    value = value.strip()
    if not is_secret_name(key) or _SWITCH.fullmatch(value):
        return False
    return bool(_PASSWORD_NAME.search(key)) or not _NO_KEY.fullmatch(value)


def secrets_in(key: str, value: str) -> tuple[str, ...]:
    """The secrets in one setting: the value itself, or the password of a URL."""
    if is_secret(key, value):
        return (value.strip(),)
    if "://" not in value:
        return ()
    return tuple(dict.fromkeys(part for part in (*url_secrets(value), *_in_query(value)) if part))


def passwords_of(url: str) -> tuple[str, ...]:
    """The passwords in a URL, unquoted, without the spellings that only help to mask them."""
    if "://" not in url:
        return ()
    return tuple(part for part in (*url_secrets(url)[1:2], *_in_query(url)) if part)


def _in_query(url: str) -> list[str]:
    return [value for name, value in parse_qsl(url.partition("?")[2]) if is_secret_name(name)]


def placeholder(value: str) -> bool:
    """Whether `value` is one of the words that samples and lessons put where a secret belongs."""
    text = re.sub(r"[_\s]+", "-", value.strip().lower())[:MAX_PLACEHOLDER_CHARS]
    return text in PLACEHOLDERS or bool(_PLACEHOLDER.fullmatch(text))


def is_on(value: str) -> bool:
    """Whether a switch is on; any other word than the usual ones for off counts as on."""
    return value.strip().lower() not in _FALSE


def same(name: str, one: str, other: str) -> bool:
    """Whether two values of setting `name` say the same: `8` and `8.0`, `true` and `on`, `INFO` and `info`."""
    if name == "database_url":
        return _database(one) == _database(other)
    one, other = one.strip(), other.strip()
    if one == other or (name == "log_level" and one.lower() == other.lower()):
        return True
    try:
        return float(one) == float(other)
    except ValueError:
        words = {one.lower(), other.lower()}
    return words <= _TRUE or words <= _FALSE


def _database(url: str) -> tuple[str, str, int | None, str]:
    """What a database URL leads to, whatever the driver, the password and the options are."""
    try:
        parts = urlsplit(url.strip())
        kind = parts.scheme.partition("+")[0]
        user = (parts.username or "") + "@" + (parts.hostname or "")
        return {"postgres": "postgresql"}.get(kind, kind), user, parts.port, parts.path
    except ValueError:
        return "", "", None, url
