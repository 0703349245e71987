"""What the controller really runs with: its command line, its environment and its configuration files, merged.

The first of these that gives a setting wins; among the files the later one. Secrets stay in memory.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from checks.audit.common import note
from checks.audit.values import is_secret, secrets_in
from checks.context import Context
from checks.model import Evidence, Outcome, Reason, inconclusive
from checks.probe.command import shown_command
from checks.probe.files import FAULTY, Trouble, read_small
from checks.probe.redaction import MASK
from checks.probe.running import Running, processes_of
from checks.probe.settings_files import MalformedError, parse_settings
from checks.target import Target
from checks.text import Clean, clean, one_line

ELSEWHERE = "The controller runs on another host, {host}: run gonogo there to see what it was started with"
OPTIONS = {
    "--workers": "workers",
    "-w": "workers",
    "--reload": "reload",
    "--debug": "debug",
    "--log-level": "log_level",
    "--ssl-keyfile": "tls_key_file",
    "--keyfile": "tls_key_file",
    "--host": "host",
    "--bind": "host",
    "--limit-concurrency": "limit_concurrency",
}
"""Options of uvicorn and gunicorn -> our name; others are taken by the name of the variable that they stand for."""
FILE_OPTIONS = ("--env-file", "--config", "--config-file", "--settings")
"""Options that name a configuration file."""
FORMATS = frozenset({".env", ".toml", ".yaml", ".yml", ".json", ".ini", ".cfg", ".conf"})
MAX_LEARNED, LONGEST_LEARNED = 100, 4096
"""How many secrets, of how many characters, the redactor is taught: it searches every text for each."""
_ASSIGNMENT = re.compile(r"([A-Z_][A-Z0-9_]*)=(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Found:
    """One place in which a setting is given."""

    name: str
    """Our name of the setting (a key of the contract's `settings`), else the same as `key`."""
    value: str = field(repr=False)
    source: Clean
    """`variable JWT_SECRET_KEY of pid 12`, `controller.env, line 3`, `option --workers of pid 12`."""
    key: str = ""
    """The variable, dotted key or option by which it is given."""
    file: Path | None = None
    """The file that it stands in."""

    @property
    def is_secret(self) -> bool:
        """Whether the value must not be shown."""
        return self.name == "jwt_secret" or is_secret(self.key, self.value)

    def shown(self, context: Context) -> Clean:
        """The value for a sentence: masked where it is a secret, or holds one."""
        return Clean(MASK) if self.is_secret else context.controller.quote(self.value, 60)


@dataclass(frozen=True, slots=True)
class Unread:
    """A source that could not be read."""

    sentence: Clean
    """With the cure."""
    reason: Reason
    is_faulty: bool = False
    """Whether it is there, but is no configuration."""
    file: Path | None = None


@dataclass(frozen=True, slots=True)
class Effective:
    """Every setting that was found, and what could not be looked at."""

    given: tuple[Found, ...] = ()
    """In order of precedence."""
    unread: tuple[Unread, ...] = ()
    processes: tuple[Running, ...] = ()
    """The controller's, as far as they may be seen; the main one first."""
    files: tuple[Path, ...] = ()
    """Its configuration files, the one with the last word last."""
    sources: tuple[Clean, ...] = ()
    """What was read."""

    @property
    def problems(self) -> tuple[Clean, ...]:
        """Sources that could not be read: one sentence each, with the cure."""
        return tuple(one.sentence for one in self.unread)

    @property
    def is_complete(self) -> bool:
        """Whether every source could be read: only then does a setting that is not given have its default."""
        return not self.unread

    def get(self, name: str) -> Found | None:
        """The place of setting `name` (ours, or the key itself) that is in force; None where it was found nowhere."""
        return next(iter(self.all(name)), None)

    def all(self, name: str) -> tuple[Found, ...]:
        """Every place where setting `name` is given, the one in force first."""
        return tuple(found for found in self.given if name in (found.name, found.key))


@dataclass(slots=True)
class _Shared:
    found: Effective | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


async def effective(context: Context) -> Effective:
    """The effective settings, read once a run; every secret among them is kept out of evidence from then on."""
    shared = context.state(_Shared)
    async with shared.lock:
        if shared.found is None:
            found = await asyncio.to_thread(_collect, context.target)
            for secret in _secrets(found):
                context.redactor.learn(secret)
            shared.found = found
    return shared.found


def not_known(found: Effective, *, evidence: Sequence[Evidence] = ()) -> Outcome:
    """The INCONCLUSIVE outcome of whatever needs a source that could not be read; only where there is one."""
    first, *others = found.unread
    return inconclusive(
        first.reason,
        first.sentence,
        observed="\n".join(one.sentence for one in others),
        expected="every source of settings can be read",
        evidence=evidence,
    )


def table(context: Context, found: Effective) -> Evidence:
    """Evidence: our settings with their values and sources, and what was and what was not read."""
    ours = [one for one in found.given if one.name in context.target.contract.settings]
    lines = [f"{one.name} = {one.shown(context)}  ({one.source})" for one in ours[:60]]
    lines += ["", "read:", *found.sources, *(["", "not read:", *found.problems] if found.unread else [])]
    command = f"ps -o pid,user,args -p {','.join(str(one.pid) for one in found.processes)}"
    title = f"{len(ours)} settings from {len(found.sources)} sources"
    return note(context, title, lines, command if found.processes else "")


def command_line(context: Context, process: Running) -> Clean:
    """The command line of `process` with everything masked that could be a secret."""
    return shown_command(process.arguments or (), context.redactor)


def _secrets(found: Effective) -> list[str]:
    """The secrets among the settings, the named ones first."""
    ranked = sorted(found.given, key=lambda one: one.name not in ("jwt_secret", "database_url"))
    secrets: dict[str, None] = {}
    for one in ranked:
        own = (one.value,) if one.name == "jwt_secret" else secrets_in(one.key, one.value)
        secrets |= dict.fromkeys(own)
    return [one for one in secrets if len(one) <= LONGEST_LEARNED][:MAX_LEARNED]


def _collect(target: Target) -> Effective:
    names = {key: name for name, keys in target.contract.settings.items() for key in keys}
    section = target.profile.process
    unread: list[Unread] = []
    processes: tuple[Running, ...] = ()
    if target.is_local or section.pid:
        seen = processes_of(section.port or target.port, section.pid)
        processes = seen.all
        if seen.problem:
            reason = Reason.NO_RIGHT if "may not" in seen.problem else Reason.NO_SOURCE
            unread.append(Unread(seen.problem, reason))
    else:
        unread.append(Unread(clean(ELSEWHERE.format(host=one_line(target.host, 80))), Reason.NO_SOURCE))
    unread += [Unread(problem, Reason.NO_RIGHT) for process in processes for problem in process.problems]
    given = [one for process in processes for one in _of_command_line(process, names)]
    given += [one for process in processes for one in _of_environment(process, names)]
    files = _files(target, processes)
    sources = [Clean(f"{what} of pid {one.pid}") for one in processes for what in _readable(one)]
    for path in reversed(files):
        shown = path.name if [file.name for file in files].count(path.name) == 1 else str(path)
        found, problem = _of_file(path, one_line(shown, 120), names)
        given += found
        if problem:
            unread.append(problem)
        else:
            sources.append(one_line(path))
    return Effective(tuple(given), tuple(unread), processes, files, tuple(sources))


def _readable(process: Running) -> Iterator[str]:
    if process.arguments is not None:
        yield "command line"
    if process.environment is not None:
        yield "environment"


def _files(target: Target, processes: Iterable[Running]) -> tuple[Path, ...]:
    """The configuration files: what the processes name or find in their folder, then what the profile names."""
    found: dict[Path, None] = {}
    for process in processes:
        if process.folder and os.path.lexists(process.folder / ".env"):
            found[process.folder / ".env"] = None
        for option, value in options_of(process.arguments or ()):
            path = (process.folder or Path("/")) / value
            if option == "--env-file" or (option in FILE_OPTIONS and path.suffix.lower() in FORMATS):
                found[path] = None
    for name in target.profile.audit.config_files:
        found.pop(Path(name), None)
        found[Path(name)] = None
    return tuple(found)


def options_of(arguments: Sequence[str]) -> Iterator[tuple[str, str]]:
    """The options of a command line with their values (`true` for a switch), and its `NAME=value` words."""
    following = [*arguments[1:], ""]
    for place, argument in enumerate(arguments[1:]):
        if argument.startswith("-") and len(argument) > 1:
            option, equals, value = argument.partition("=")
            after = following[place + 1]
            yield option, value if equals else after if after and not after.startswith("-") else "true"
        elif pair := _ASSIGNMENT.fullmatch(argument):
            yield pair[1], pair[2]


def _of_command_line(process: Running, names: Mapping[str, str]) -> Iterator[Found]:
    for option, value in options_of(process.arguments or ()):
        variable = option.lstrip("-").upper().replace("-", "_")
        name = OPTIONS.get(option) or names.get(variable, variable if option[:1] != "-" else option)
        source = one_line(f"option {option} of pid {process.pid}", 120)
        yield Found(name, value, source, option)


def _of_environment(process: Running, names: Mapping[str, str]) -> Iterator[Found]:
    for variable, value in (process.environment or {}).items():
        source = one_line(f"variable {variable} of pid {process.pid}", 120)
        yield Found(names.get(variable, variable), value, source, variable)


def _of_file(path: Path, shown: Clean, names: Mapping[str, str]) -> tuple[list[Found], Unread | None]:
    """The settings in one file, the last line first, or why there are none."""
    file = read_small(path)
    if file.trouble is Trouble.MISSING:
        named = "what names it: [audit] in the profile, or the controller's command line"
        return [], Unread(
            clean(f"{one_line(path)} does not exist: make it, or correct {named}"), Reason.NO_SOURCE
        )
    if file.text is None:
        reason = Reason.NO_RIGHT if file.trouble is Trouble.DENIED else Reason.NO_SOURCE
        return [], Unread(file.sentence, reason, file.trouble in FAULTY, path)
    try:
        settings = parse_settings(path.name, file.text)
    except MalformedError as problem:
        return [], Unread(
            clean(f"{one_line(path)} {problem}: correct it"), Reason.NO_SOURCE, is_faulty=True, file=path
        )
    found = []
    for one in reversed(settings):
        place = f"line {one.line}" if one.line else one_line(one.key, 80)
        found.append(Found(names.get(one.key, one.key), one.value, clean(f"{shown}, {place}"), one.key, path))
    return found, None


def sample_settings(path: Path) -> tuple[list[Found], Unread | None]:
    """The settings of a sample file, or why there are none. Blocks."""
    return _of_file(path, one_line(path.name, 120), {})
