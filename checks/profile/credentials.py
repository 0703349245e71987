"""Credentials: from the environment variables that the profile names, else from the file that it names."""

from __future__ import annotations

import re
import stat
from collections.abc import Mapping
from pathlib import Path

from checks.model import ProfileError
from checks.profile.source import Source
from checks.target import Credentials, CredentialsSection
from checks.text import one_line

MAX_FILE_BYTES = 64 << 10
OTHERS = stat.S_IRWXG | stat.S_IRWXO
_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")
_KEY = ("credentials", "file")


def read_credentials(section: CredentialsSection, variables: Mapping[str, str]) -> Credentials:
    """The credentials among `variables`, by the names that the profile gives; empty where there are none.

    Raises ProfileError for one that no request can carry.
    """
    for name in (section.username_env, section.password_env, section.token_env):
        if any(
            char < " " or char == "\x7f" or "\ud800" <= char <= "\udfff" for char in variables.get(name, "")
        ):
            raise ProfileError(
                f"{name} holds a control character, such as the end of a line (its value is not shown): "
                "set it again without."
            )
    return Credentials(
        username=variables.get(section.username_env, ""),
        password=variables.get(section.password_env, ""),
        token=variables.get(section.token_env, ""),
    )


def with_file(section: CredentialsSection, environ: Mapping[str, str], source: Source) -> Mapping[str, str]:
    """`environ`, with what it lacks taken from the credentials file; an empty variable counts as lacking.

    Raises ProfileError where the file cannot be read, is open to others, or holds a line that is no setting.
    """
    if not section.file:
        return environ
    path = Path(section.file)
    return _settings(path, _text(path, source)) | {name: value for name, value in environ.items() if value}


def _text(path: Path, source: Source) -> str:
    shown = one_line(path, 300)
    try:
        mode = path.stat().st_mode
        if not stat.S_ISREG(mode):
            raise source.error(_KEY, f"names {shown}, which is not a file: name a file of NAME=value lines")
        if mode & OTHERS:
            raise source.error(
                _KEY,
                f"names {shown}, which others may read or write (mode {stat.S_IMODE(mode):04o}): its mode must "
                f"be 0600, so run chmod 600 {shown}",
            )
        with path.open("rb") as file:
            raw = file.read(MAX_FILE_BYTES + 1)
    except OSError as problem:
        why = (problem.strerror or type(problem).__name__).lower()
        fix = "make it with NAME=value lines and mode 0600, or remove the key"
        raise source.error(_KEY, f"names {shown}, which cannot be read ({why}): {fix}") from None
    if len(raw) > MAX_FILE_BYTES:
        limit = f"longer than {MAX_FILE_BYTES // 1024} KiB"
        raise source.error(_KEY, f"names {shown}, which is {limit}: name a file of a few NAME=value lines")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = raw.count(b"\n", 0, problem.start) + 1
        raise _bad_line(path, line, "is not UTF-8 text") from None


def _settings(path: Path, text: str) -> dict[str, str]:
    settings: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        found = _LINE.fullmatch(line)
        if found is None:
            raise _bad_line(path, number, "is not of the form NAME=value")
        name, value = found.groups()
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        settings[name] = value
    return settings


def _bad_line(path: Path, number: int, what: str) -> ProfileError:
    """The error of one line; its content may be a secret and is not shown."""
    return ProfileError(
        f"{one_line(path, 300)}, line {number} {what} (it is not shown here, since it may be a secret): correct it."
    )
