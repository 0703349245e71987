"""What the values of a profile have to be beyond their types; each rule's error says the fix."""

from __future__ import annotations

import ipaddress
import math
import re
import ssl
from pathlib import Path
from urllib.parse import urlsplit
from zoneinfo import ZoneInfoNotFoundError

import msgspec

from checks.profile.source import Source
from checks.target import Profile, zone_of
from checks.text import one_line

SHORTEST_S, LONGEST_S = 0.05, 3600.0
MAX_PID = 1 << 22
"""The kernel's PID_MAX_LIMIT on 64-bit hosts (`proc_sys_kernel(5)`, pid_max)."""
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_HOST = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9._-]*[A-Za-z0-9_])?")


def check_profile(profile: Profile, source: Source) -> None:
    """Raise ProfileError for the first value that cannot be right."""
    _check_url(profile.target.url, source)
    _check_hosts(profile, source)
    _check_ca_file(profile, source)
    _check_variables(profile, source)
    _check_zone(profile, source)
    _check_process(profile, source)
    _check_limits(profile, source)
    _check_audit(profile, source)
    _check_texts(profile, source)


def is_host(text: str) -> bool:
    """Whether `text` is a host name or an IP address, alone."""
    if _HOST.fullmatch(text):
        return True
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def _check_url(url: str, source: Source) -> None:
    key, form = ("target", "url"), 'write it as in "http://127.0.0.1:8000"'
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise source.error(key, f"is not a URL (its host or port cannot be read): {form}") from None
    if parts.username is not None or "@" in parts.netloc:
        raise source.error(
            key,
            "has a user name or password in it: take them out and set the variables named in [credentials]",
        )
    if parts.scheme not in ("http", "https"):
        raise source.error(key, f"is neither http nor https: {form}")
    if not parts.hostname or not is_host(parts.hostname) or any(c.isspace() or c < " " for c in url):
        raise source.error(key, f"has no host that could be asked: {form}")
    if port == 0:
        raise source.error(key, f"has port 0, on which nothing can listen: {form}")
    if parts.query or parts.fragment or url.endswith(("?", "#")):
        raise source.error(key, "has a query or fragment: keep scheme, host, port and path")


def _check_hosts(profile: Profile, source: Source) -> None:
    for place, host in enumerate(profile.target.authorized):
        if not is_host(host):
            raise source.error(
                ("target", "authorized", place),
                "is not a host: give the host name or address alone, without scheme, port or path",
            )


def _check_ca_file(profile: Profile, source: Source) -> None:
    name = profile.target.ca_file
    if not name:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(name)
    except ssl.SSLError:
        what = f"names {one_line(name, 300)}, which holds no certificate: give a file in PEM form"
    except OSError as problem:
        why = (problem.strerror or "cannot be read").lower()
        what = f"names {one_line(name, 300)}, which cannot be read ({why}): correct the path"
    else:
        return
    raise source.error(("target", "ca_file"), what)


def _check_variables(profile: Profile, source: Source) -> None:
    credentials, database = profile.credentials, profile.database
    named = [
        (("credentials", "username_env"), credentials.username_env),
        (("credentials", "password_env"), credentials.password_env),
        (("credentials", "token_env"), credentials.token_env),
        (("database", "url_env"), database.url_env),
    ]
    for key, name in named:
        if name and not _VARIABLE.fullmatch(name):
            raise source.error(
                key,
                "is not the name of an environment variable: give its name (letters, digits, _), not its value",
            )


def _check_zone(profile: Profile, source: Source) -> None:
    try:
        zone_of(profile.database.time_zone)
    except (ValueError, OSError, ZoneInfoNotFoundError):
        raise source.error(
            ("database", "time_zone"),
            "is no time zone of this host: give a name such as UTC or Europe/Berlin",
        ) from None


def _check_process(profile: Profile, source: Source) -> None:
    if not 0 <= profile.process.port <= 65535:
        raise source.error(
            ("process", "port"), "is out of range: give 1 to 65535, or 0 for the port of the URL"
        )
    if not 0 <= profile.process.pid <= MAX_PID:
        raise source.error(
            ("process", "pid"), f"is out of range: give 1 to {MAX_PID}, or 0 for whoever listens on the port"
        )


def _check_limits(profile: Profile, source: Source) -> None:
    for entry in msgspec.structs.fields(profile.walkthrough):
        if entry.type is float:
            value = getattr(profile.walkthrough, entry.name)
            if not math.isfinite(value) or not SHORTEST_S <= value <= LONGEST_S:
                raise source.error(
                    ("walkthrough", entry.name),
                    f"is out of range: give seconds from {SHORTEST_S:g} to {LONGEST_S:g}",
                )


_AUDIT_RANGES: dict[str, tuple[float, float]] = {
    "concurrency": (1, 100_000),
    "instances": (1, 10_000),
    "token_hours": (0.01, 8760),
    "certificate_days": (1, 3650),
    "health_p95_s": (0.001, 60),
    "list_p95_s": (0.001, 60),
    "history_p95_s": (0.001, 60),
    "send_p95_s": (0.001, 600),
    "log_within_s": (0.1, 60),
    "backup_hours": (0.1, 8760),
    "disk_free_percent": (1, 99),
}


def _check_audit(profile: Profile, source: Source) -> None:
    for name, (least, most) in _AUDIT_RANGES.items():
        value = getattr(profile.audit, name)
        if not math.isfinite(value) or not least <= value <= most:
            raise source.error(("audit", name), f"is out of range: give a number from {least:g} to {most:g}")
    for place, port in enumerate(profile.audit.ports):
        if not (port.isascii() and port.isdigit() and 1 <= int(port[:6]) <= 65535):
            raise source.error(
                ("audit", "ports", place), "is no port: give a number from 1 to 65535 in quotes"
            )
    for name, scheme in (("tls_url", ("https",)), ("origin", ("http", "https"))):
        text = getattr(profile.audit, name)
        try:
            parts = urlsplit(text)
            is_good = parts.scheme in scheme and bool(parts.hostname) and not parts.username
            is_good = is_good and (parts.port or 1) > 0 and parts.path in ("", "/") and not parts.query
        except ValueError:
            is_good = False
        if text and not is_good:
            form = "/".join(scheme)
            raise source.error(
                ("audit", name), f"is not an address: give scheme ({form}), host and port alone"
            )


def _check_texts(profile: Profile, source: Source) -> None:
    if not profile.walkthrough.bot_type:
        raise source.error(
            ("walkthrough", "bot_type"), 'is empty: give the type of bot to launch, as in "claude"'
        )
    if not profile.report.folder:
        raise source.error(("report", "folder"), 'is empty: give a folder, as in ".deia"')
    prefix = profile.report.prefix
    if not prefix or prefix != Path(prefix).name or not prefix.isprintable():
        raise source.error(("report", "prefix"), 'cannot begin a file name: give a word without "/"')
    for binding, key in profile.console.keys.items():
        if not binding.strip() or not key.strip():
            raise source.error(("console", "keys", binding), 'is empty: give a key, as in run-all = "A"')
