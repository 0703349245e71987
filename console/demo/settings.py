"""How one demo controller is set up: its folder, its secrets and its faults."""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote

from console.demo import forgeable
from console.demo.connecting import Pool, pool_under

SECRET_MIN_BYTES = 32
"""RFC 7518, section 3.2: an HS256 key is at least as long as the hash."""
PASSWORD_MIN_CHARS = 8
MAX_COMMAND_BYTES = 16384
LOG_MAX_BYTES, LOG_BACKUPS = 5_000_000, 3
CREDENTIALS_FILE = "credentials.env"
SECRET_FILE = "controller.env"
CONFIG_FILE, LOG_CONFIG_FILE, SAMPLE_FILE = "controller.toml", "log.yaml", "controller.sample.env"
PROFILE_FILE = "gonogo.toml"
SAMPLE_PASSWORD = "demo-password-1"
"""The password of the sample file, and with the fault sample-value-used of the demo."""
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
    pool_size: int = 8
    """Connections to the database that are kept."""
    max_overflow: int = 8
    """Further ones at peak."""
    pool_timeout_s: int = 5
    """How long a request waits for one of them."""
    pool_recycle_s: int = 1800
    """After that a connection is replaced."""
    token_lifetime_s: int = 3600
    is_debug: bool = False
    """Log at level DEBUG too."""
    log_max_bytes: int = LOG_MAX_BYTES
    """The log rotates at this size; 0: never."""
    log_backups: int = LOG_BACKUPS

    @property
    def pool(self) -> Pool:
        """The connections to the database."""
        return Pool(self.pool_size, self.max_overflow, self.pool_timeout_s, self.pool_recycle_s)

    @property
    def written(self) -> tuple[Path, ...]:
        """Files that it writes to, which may be outside of `data`."""
        scheme, _, path = self.database_url.partition(":///")
        is_file = scheme.startswith("sqlite") and path
        return (self.log, *([Path(unquote(path))] if is_file else []))

    @property
    def log(self) -> Path:
        """The structured log."""
        return self.data / "controller.log"

    @property
    def env_file(self) -> Path:
        """The file with the controller's secret."""
        return self.data / SECRET_FILE

    @property
    def config_file(self) -> Path:
        """What the controller runs with, besides its secret."""
        return self.data / CONFIG_FILE

    @property
    def log_config_file(self) -> Path:
        """What it logs, and where."""
        return self.data / LOG_CONFIG_FILE

    @property
    def sample_file(self) -> Path:
        """The file that a new installation copies to `env_file`."""
        return self.data / SAMPLE_FILE

    @property
    def bot_environment(self) -> Mapping[str, str]:
        """What a bot is given besides the usual: nothing."""
        return {"JWT_SECRET_KEY": self.jwt_secret} if "bot-knows-secret" in self.faults else {}

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
        kept, pool = _read(data / CREDENTIALS_FILE), pool_under(faults)
        settings = Settings(
            data=data,
            faults=faults,
            username=environ.get(USERNAME) or kept.get(USERNAME) or "demo",
            password=SAMPLE_PASSWORD
            if "sample-value-used" in faults
            else environ.get(PASSWORD) or kept.get(PASSWORD) or secrets.token_urlsafe(18),
            jwt_secret=forgeable.secret_under(faults, secret),
            database_url=database or f"sqlite:///{quote(str(data / 'chat_history.db'))}",
            is_tls=is_tls,
            pool_size=pool.size,
            max_overflow=pool.max_overflow,
            pool_timeout_s=6 if "settings-drift" in faults else pool.timeout_s,
            pool_recycle_s=pool.recycle_s,
            is_debug="debug-on" in faults,
            log_max_bytes=0 if "log-unrotated" in faults else LOG_MAX_BYTES,
        )
        given = f"JWT_SECRET_KEY={settings.jwt_secret}\n"
        write_private(settings.env_file, "" if "default-secret" in faults else given)
    return settings


def kept_secret(data: Path) -> dict[str, str]:
    """The secret that a controller had in this folder, as the variable that gives it; nothing where it had none."""
    with _telling(data):
        secret = _read(data / SECRET_FILE).get("JWT_SECRET_KEY", "")
    return {"DEMO_JWT_SECRET": secret} if secret else {}


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
