"""How one demo controller is set up: its folder, its secrets and its faults."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote

SECRET_MIN_BYTES = 32
"""RFC 7518, section 3.2: an HS256 key is at least as long as the hash."""
PASSWORD_MIN_CHARS = 8
MAX_COMMAND_BYTES = 16384
CREDENTIALS_FILE = "credentials.env"
SECRET_FILE = "controller.env"
PROFILE_FILE = "gonogo.toml"
LOCK_FILE = "lock"
USERNAME, PASSWORD = "DEMO_USERNAME", "DEMO_PASSWORD"
"""The variables that give the credentials, in the environment and in `CREDENTIALS_FILE`."""


class SettingsError(Exception):
    """The controller cannot be set up; the text is one sentence."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What every part of the controller may ask."""

    data: Path
    faults: frozenset[str]
    username: str
    password: str = field(repr=False)
    jwt_secret: str = field(repr=False)
    database_url: str = field(repr=False)
    """SQLAlchemy URL."""
    is_tls: bool = False

    @property
    def log(self) -> Path:
        """The structured log."""
        return self.data / "controller.log"

    @property
    def env_file(self) -> Path:
        """The file with the controller's secret."""
        return self.data / SECRET_FILE

    @property
    def ca_file(self) -> Path:
        """The certificate of the authority that a client has to trust."""
        return self.data / "tls-ca.pem"

    @property
    def certificate_file(self) -> Path:
        """The server's certificate."""
        return self.data / "tls-server.pem"

    @property
    def key_file(self) -> Path:
        """The server's key."""
        return self.data / "tls-server-key.pem"


@contextlib.contextmanager
def hold(data: Path) -> Iterator[None]:
    """Make the folder, and keep other demos out of it. Raises SettingsError where that cannot be."""
    with _telling(data):
        data.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(data / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as problem:
            why = f"The folder {data} is used by another demo target; give another --data."
            raise SettingsError(why) from problem
        yield
    finally:
        os.close(descriptor)


def prepare(
    data: Path, faults: frozenset[str], database: str, *, is_tls: bool, environ: Mapping[str, str]
) -> Settings:
    """Make the secrets; what `environ` gives (DEMO_USERNAME, DEMO_PASSWORD, DEMO_JWT_SECRET) is used.

    Raises SettingsError where the folder cannot be used or what is given cannot.
    """
    secret = environ.get("DEMO_JWT_SECRET") or secrets.token_urlsafe(48)
    if len(secret.encode()) < SECRET_MIN_BYTES:
        raise SettingsError(f"DEMO_JWT_SECRET is too short: give at least {SECRET_MIN_BYTES} bytes.")
    for name in (USERNAME, PASSWORD, "DEMO_JWT_SECRET"):
        if not environ.get(name, "").isprintable():
            raise SettingsError(f"{name} holds a line break or a control character: give printable text.")
    with _telling(data):
        kept = _read(data / CREDENTIALS_FILE)
        settings = Settings(
            data=data,
            faults=faults,
            username=environ.get(USERNAME) or kept.get(USERNAME) or "demo",
            password=environ.get(PASSWORD) or kept.get(PASSWORD) or secrets.token_urlsafe(18),
            jwt_secret=secret,
            database_url=database or f"sqlite:///{quote(str(data / 'chat_history.db'))}",
            is_tls=is_tls,
        )
        write_private(settings.env_file, f"JWT_SECRET_KEY={secret}\n")
    return settings


@contextlib.contextmanager
def _telling(data: Path) -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        raise SettingsError(f"The folder {data} cannot be used: {problem.strerror or problem}.") from problem


def write_private(path: Path, text: str) -> None:
    """Write `text` to a file that its owner alone may read."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(text)


def _read(path: Path) -> dict[str, str]:
    if not path.is_file():
        return {}
    pairs = (line.partition("=") for line in path.read_text(encoding="utf-8").splitlines())
    return {name: value for name, equals, value in pairs if equals}
