"""Reading `gonogo.toml`: a target ready to be worked on, or one sentence that names the key, the line and the fix."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from checks.model import ProfileError
from checks.profile.contract import contract_of
from checks.profile.credentials import read_credentials, with_file
from checks.profile.database import database_url, located
from checks.profile.lines import key_lines
from checks.profile.monitoring import contacts_of, ladders_of, thresholds_of
from checks.profile.rules import check_profile
from checks.profile.scenarios import scenarios_of
from checks.profile.source import Source, read_struct, read_table
from checks.target import Profile, Target, TargetSection
from checks.text import one_line

MAX_PROFILE_BYTES = 1 << 20
_PLACE = re.compile(
    r"(?P<what>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)", re.DOTALL
)


def load_target(path: Path, environ: Mapping[str, str] = os.environ) -> Target:
    """The target that the profile `path` describes, with secrets from `environ` or the credentials file.

    Raises ProfileError.
    """
    name = one_line(path, 300)
    text = _read(path, name)
    document = _parsed(text, name)
    source = Source(name, key_lines(text))
    return _target(_profile(document, source), environ, path.absolute(), source)


def target_for_url(url: str, environ: Mapping[str, str] = os.environ, *, title: str = "") -> Target:
    """The target at `url` with every default; its profile exists in memory only. Raises ProfileError."""
    section = TargetSection(url=url, name=title) if title else TargetSection(url=url)
    return _target(Profile(target=section), environ, None, Source())


def _read(path: Path, name: str) -> str:
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_PROFILE_BYTES + 1)
    except FileNotFoundError:
        raise ProfileError(f"There is no profile {name}: `gonogo init` writes one.") from None
    except OSError as problem:
        why = (problem.strerror or type(problem).__name__).lower()
        raise ProfileError(
            f"The profile {name} cannot be read ({why}): give a file that you may read."
        ) from None
    if len(raw) > MAX_PROFILE_BYTES:
        raise ProfileError(f"{name} is longer than {MAX_PROFILE_BYTES >> 20} MiB: it is not a profile.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = raw.count(b"\n", 0, problem.start) + 1
        raise ProfileError(f"{name}, line {line} is not UTF-8 text: save the file as UTF-8.") from None


def _parsed(text: str, name: str) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        found = _PLACE.fullmatch(str(problem))
        what = one_line(found["what"] if found else problem, 120)
        at_end = f"line {text.count(chr(10)) + 1}"
        place = f"line {found['line']}, column {found['column']}" if found and found["line"] else at_end
        raise ProfileError(
            f"{name}, {place} is not valid TOML ({what}): correct it there or just above."
        ) from None
    except RecursionError:
        raise ProfileError(f"{name} is nested too deeply: it is not a profile.") from None


def _profile(document: dict[str, object], source: Source) -> Profile:
    known = {entry.name: entry for entry in msgspec.structs.fields(Profile)}
    for name in document:
        if name not in known:
            raise source.unknown((name,), known)
    if "target" not in document:
        raise ProfileError(
            f'{source.name}: [target] url is missing: add a section [target] with url = "http://127.0.0.1:8000".'
        )
    sections: dict[str, object] = {}
    for name, raw in document.items():
        kind = known[name].type
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
            sections[name] = read_struct(kind, raw, (name,), source)
        else:
            sections[name] = read_table(raw, (name,), source)
    return Profile(**sections)  # type: ignore[arg-type]  # each section was read as the type of its field


def _target(profile: Profile, environ: Mapping[str, str], path: Path | None, source: Source) -> Target:
    folder = path.parent if path else Path.cwd()
    profile = _absolute(profile, folder)
    check_profile(profile, source)
    contract = contract_of(profile, source)
    variables = with_file(profile.credentials, environ, source)
    contacts = contacts_of(profile, variables, source)
    return Target(
        profile=profile,
        contract=contract,
        credentials=read_credentials(profile.credentials, variables),
        database_url=database_url(profile.database, variables, folder, source),
        path=path,
        scenarios=scenarios_of(profile, source),
        thresholds=thresholds_of(profile, source),
        contacts=contacts,
        ladders=ladders_of(profile, contacts, source),
    )


def _absolute(profile: Profile, folder: Path) -> Profile:
    """The files that `profile` names, taken from its own folder, whatever the working folder is."""

    def absolute(name: str) -> str:
        return str(located(folder, name)) if name else ""

    replace = msgspec.structs.replace
    return replace(
        profile,
        target=replace(profile.target, ca_file=absolute(profile.target.ca_file)),
        credentials=replace(profile.credentials, file=absolute(profile.credentials.file)),
        log=replace(profile.log, file=absolute(profile.log.file)),
        load=replace(profile.load, users_file=absolute(profile.load.users_file)),
        audit=replace(
            profile.audit,
            config_files=tuple(map(absolute, profile.audit.config_files)),
            sample_files=tuple(map(absolute, profile.audit.sample_files)),
            backups=absolute(profile.audit.backups),
        ),
    )
