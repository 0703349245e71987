"""The address of the target's database: a path or a URL of the profile, or a variable that may carry a password."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from checks.profile.source import Source
from checks.target import DatabaseSection

_URL = re.compile(r"(?P<scheme>[A-Za-z][\w.+-]*)://(?P<rest>.*)", re.DOTALL)
_BACKENDS = {"sqlite": "sqlite", "postgresql": "postgresql", "postgres": "postgresql"}
_PASSWORD = re.compile(r"\A[^:/]*:[^@]+@|[?&][^=&]*pass[^=&]*=.", re.IGNORECASE)
"""A password in the user info (as SQLAlchemy reads it), or in the query (`?password=`, `?sslpassword=`)."""


def database_url(section: DatabaseSection, variables: Mapping[str, str], folder: Path, source: Source) -> str:
    """The SQLAlchemy URL of the database; empty where none is named.

    The variable named by `url_env` wins. A relative path of the profile is relative to `folder`, one of the
    variable to the working folder. Raises ProfileError, which never shows the URL.
    """
    if section.url_env and (value := variables.get(section.url_env, "")):
        return _resolved(value, Path.cwd(), ("database", "url_env"), source)
    if not section.url:
        return ""
    if has_password(section.url):
        name = section.url_env or "GONOGO_DATABASE_URL"
        raise source.error(
            ("database", "url"),
            f"carries a password, which never stands in the profile: put the whole URL into the variable {name} "
            "(named by [database] url_env) and remove this line",
        )
    return _resolved(section.url, folder, ("database", "url"), source)


def has_password(url: str) -> bool:
    """Whether a database URL carries a password."""
    found = _URL.fullmatch(url)
    return found is not None and _PASSWORD.search(found["rest"]) is not None


def sqlite_url(path: Path) -> str:
    """The SQLAlchemy URL of a SQLite file, which is made absolute."""
    return f"sqlite:///{quote(str(path.absolute()))}"


def sqlite_path(url: str) -> Path | None:
    """The file of a SQLite URL; None for a URL of another kind or without a file."""
    found = _URL.fullmatch(url)
    if found is None or _BACKENDS.get(found["scheme"].partition("+")[0].lower()) != "sqlite":
        return None
    name = unquote(found["rest"].partition("?")[0].partition("/")[2])
    return Path(name) if name and name != ":memory:" else None


def network_address(url: str) -> tuple[str, int] | None:
    """Host and port of a PostgreSQL URL, the host empty for a socket; None for a URL of another kind."""
    parts = urlsplit(url)
    if parts.scheme.partition("+")[0] != "postgresql":
        return None
    try:
        return parts.hostname or "", parts.port or 5432
    except ValueError:
        return None


def located(folder: Path, name: str) -> Path:
    """The file `name`, taken from `folder` where it is relative; `~` is the home of the account."""
    try:
        return folder / Path(name).expanduser()
    except RuntimeError:  # no such account: the name is meant as it stands
        return folder / name


def _resolved(value: str, folder: Path, key: tuple[str, str], source: Source) -> str:
    found = _URL.fullmatch(value)
    if found is None:
        return sqlite_url(located(folder, value))
    # The driver that the target uses (asyncpg, aiosqlite) is of no use to a reader that is not asynchronous.
    scheme = _BACKENDS.get(found["scheme"].partition("+")[0].lower())
    if scheme is None:
        raise source.error(
            key,
            "names a database that this version cannot read: give a path to a SQLite file, sqlite:///PATH or "
            "postgresql://USER@HOST/NAME",
        )
    if scheme == "sqlite":
        path = sqlite_path(value)
        if path is None:
            raise source.error(
                key, "names no file: write sqlite:///PATH with three slashes, or the path alone"
            )
        return sqlite_url(folder / path)
    return f"{scheme}://{found['rest']}"
