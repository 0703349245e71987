"""Secrets: who may read the files, no sample in use, none on a command line, none for bots that need none."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from checks.audit.common import a_bot, audit, listed, note
from checks.audit.settings import (
    Effective,
    Found,
    Unread,
    command_line,
    effective,
    not_known,
    options_of,
    sample_settings,
    table,
)
from checks.audit.values import SHORTEST_SECRET, is_secret, passwords_of, placeholder, secrets_in
from checks.context import Context
from checks.model import (
    Outcome,
    Reason,
    Safety,
    Severity,
    Subject,
    failed,
    inconclusive,
    not_applicable,
    passed,
)
from checks.probe.files import Access, access_of, folders_above
from checks.probe.running import Running, descendants, look
from checks.text import Clean, clean, one_line

LOOSER_THAN_0640 = 0o037
OTHERS_WRITE, STICKY = 0o002, 0o1000
_SECRET_BY_POINTER = re.compile(r"-(?:-\w[\w-]*)?file\b|-path\b")


@audit(
    "SEC-02",
    "Secret files and private keys are readable only by the service",
    subject=Subject.SETTINGS,
    severity=Severity.MAJOR,
    safety=Safety.READ_ONLY,
    sends="nothing; looks at mode and owner of configuration, key and credential files and of the folders above them",
    why="Every account of the host, and every other service on it, can read the keys.",
    fix="chmod 0640 FILE && chown root:SERVICE FILE   # the file that is named, the account of the service\n"
    "chmod o-w FOLDER                             # for a folder that is named",
    reference="ASVS 13.3.2; CIS Controls 3.3",
)
async def secret_files_are_private(context: Context) -> Outcome:
    """Mode 0640 or tighter, the owner expected, and no folder above that others may write to."""
    found = await effective(context)
    files = _secret_files(context, found)
    if not files:
        if not found.is_complete:
            return not_known(found, evidence=[table(context, found)])
        return not_applicable(
            "No configuration file holds a secret, and no key or credential file is known",
            evidence=[table(context, found)],
        )
    owners = {one.owner for one in found.processes if one.owner is not None}
    seen = await asyncio.to_thread(lambda: [(path, access_of(path), folders_above(path)) for path in files])
    missing = [path for path, access, _ in seen if access is None]
    wrong = [text for _, access, folders in seen if access for text in _too_open(access, folders, owners)]
    lines = [f"{access.mode:04o} {access.owner}:{access.group} {path}" for path, access, _ in seen if access]
    evidence = [note(context, f"{len(lines)} files with secrets", lines, "stat -c '%a %u:%g %n' FILE")]
    expected = "mode 0640 or tighter, owned by the service or root, no folder above that others may write to"
    if wrong:
        wrong = list(dict.fromkeys(wrong))
        return failed(listed(wrong, 2), observed="\n".join(wrong), expected=expected, evidence=evidence)
    if missing or not found.is_complete:
        if not found.is_complete:
            return not_known(found, evidence=evidence)
        gone = f"{one_line(missing[0])} does not exist or may not be seen: correct its name, or run gonogo as root"
        return inconclusive(Reason.NO_SOURCE, gone, expected=expected, evidence=evidence)
    return passed(
        f"{len(files)} files with secrets are closed to others",
        observed=listed([path.name for path in files]),
        expected=expected,
        evidence=evidence,
    )


def _secret_files(context: Context, found: Effective) -> list[Path]:
    """Files that hold a secret, or that may: those that this account may not read."""
    files = {one.file: None for one in found.given if one.file and secrets_in(one.key, one.value)}
    files |= {one.file: None for one in found.given if one.file and one.is_secret}
    files |= {one.file: None for one in found.unread if one.file and one.reason is Reason.NO_RIGHT}
    key = found.get("tls_key_file")
    folder = found.processes[0].folder if found.processes else None
    if key and key.value:
        files[(folder or Path("/")) / key.value] = None
    if context.target.profile.credentials.file:
        files[Path(context.target.profile.credentials.file)] = None
    return [file for file in files if file is not None]


def _too_open(access: Access, folders: Iterable[Access], owners: set[int]) -> Iterator[Clean]:
    shown = one_line(access.path)
    if loose := access.mode & LOOSER_THAN_0640:
        who = "every account of the host" if loose & 0o007 else "its group"
        what = "read" if loose & 0o044 else "write to" if loose & 0o022 else "run"
        yield clean(f"{shown} has mode {access.mode:04o}: {who} may {what} it")
    if owners and access.owner not in {0, os.geteuid(), *owners}:
        yield clean(f"{shown} belongs to account {access.owner}, which is not the service's")
    for folder in folders:
        if folder.mode & OTHERS_WRITE and not folder.mode & STICKY:
            yield clean(f"{one_line(folder.path)}, above {shown}, may be written to by every account")


@audit(
    "SEC-03",
    "No sample, default or placeholder value is in use as a secret",
    subject=Subject.SETTINGS,
    severity=Severity.BLOCKER,
    safety=Safety.READ_ONLY,
    sends="nothing; compares the effective secrets with [audit] sample_files and a list of placeholders, in memory",
    why="The first thing that attackers try works.",
    fix="Make a new value for each that is named, put it in the place of the old one, and restart:\n"
    "python3 -c 'import secrets; print(secrets.token_urlsafe(48))'",
    reference="ASVS 6.3.2, 13.2.3",
)
async def no_sample_is_in_use(context: Context) -> Outcome:
    """No secret in force equals a sample's or is a word that stands where a secret belongs."""
    found = await effective(context)
    samples: dict[str, Clean] = {}
    unread: list[Unread] = []
    for name in context.target.profile.audit.sample_files:
        settings, problem = await asyncio.to_thread(sample_settings, Path(name))
        unread += [problem] if problem else []
        samples |= {secret: one.source for one in settings for secret in _secrets(one)}
    used = [(place, secret) for one in found.given for place, secret in _placed(one)]
    used += [(Clean("the account that gonogo signs in with"), context.target.credentials.password)]
    used = [(place, secret) for place, secret in used if secret]
    wrong = []
    for place, secret in used:
        if secret in samples:
            wrong.append(clean(f"{place} is the value of {samples[secret]}"))
        elif placeholder(secret):
            wrong.append(clean(f"{place} is a placeholder"))
    lines = [*(place for place, _ in used[:60]), "", f"compared with {len(samples)} values of sample files"]
    evidence = [note(context, f"{len(used)} secrets compared", lines)]
    expected = "no secret equals a sample's value or is a placeholder"
    if wrong:
        wrong = list(dict.fromkeys(wrong))
        return failed(
            f"In use: {listed(wrong, 2)}", observed="\n".join(wrong), expected=expected, evidence=evidence
        )
    if unread or not found.is_complete:
        return not_known(replace(found, unread=(*found.unread, *unread)), evidence=evidence)
    if not used:
        return not_applicable("No secret is set anywhere that could be a sample's", evidence=evidence)
    return passed(
        f"None of {len(used)} secrets is a sample or placeholder", expected=expected, evidence=evidence
    )


def _secrets(one: Found) -> tuple[str, ...]:
    """The secrets of a setting without the spellings that only help to mask them."""
    if one.is_secret or one.name == "jwt_secret":
        return (one.value.strip(),)
    return passwords_of(one.value)


def _placed(one: Found) -> Iterator[tuple[Clean, str]]:
    for secret in _secrets(one):
        yield one.source, secret


@audit(
    "SEC-05",
    "Bots receive only the secrets they need",
    subject=Subject.SETTINGS,
    severity=Severity.MAJOR,
    safety=Safety.ACTIVE,
    sends="at most one launch of a marked bot; looks at the names of the variables of its process",
    why="Whoever takes over one bot can sign tokens for every user, or read the whole database.",
    fix="Start bots with an environment of their own instead of a copy of the controller's:\n"
    "subprocess.Popen(command, env={name: os.environ[name] for name in NEEDED})",
    reference="ASVS 13.3.2; 12-factor: config",
)
async def bots_know_no_secret(context: Context) -> Outcome:
    """The environment of a bot holds neither the JWT secret nor a database password, under whatever name."""
    found = await effective(context)
    looked = await _bots(context, found)
    if isinstance(looked, Outcome):
        return looked
    expected = "neither the JWT secret nor a database URL with a password"
    settings = context.target.contract.settings
    wrong: list[Clean] = []
    lines: list[str] = []
    for bot in looked:
        if bot.environment is None:
            if not found.is_complete:
                return not_known(found)
            return inconclusive(Reason.NO_RIGHT, bot.problems[0], expected=expected)
        lines.append(f"pid {bot.pid}: {' '.join(sorted(bot.environment)[:80])}")
        for variable, value in bot.environment.items():
            secret = value.strip()
            name = one_line(variable, 60)
            if variable in settings.get("jwt_secret", ()) or _is(found, "jwt_secret", secret):
                wrong.append(clean(f"{name} (the JWT secret) in the environment of bot process {bot.pid}"))
            elif _has_password(found, settings.get("database_url", ()), variable, value):
                wrong.append(
                    clean(f"{name} (a database password) in the environment of bot process {bot.pid}")
                )
    evidence = [note(context, "Names of the variables of bot processes", lines, "", "process")]
    if wrong:
        return failed(
            f"A bot is given {listed(wrong, 2)}",
            observed="\n".join(wrong),
            expected=expected,
            evidence=evidence,
        )
    if not found.is_complete:
        return not_known(found, evidence=evidence)
    return passed(
        "The bot's process is given no secret of the controller", expected=expected, evidence=evidence
    )


def _is(found: Effective, name: str, value: str) -> bool:
    """Whether a value of any length that could be guessed by chance no more equals that setting."""
    return len(value) >= SHORTEST_SECRET and any(one.value.strip() == value for one in found.all(name))


def _has_password(found: Effective, names: Sequence[str], variable: str, value: str) -> bool:
    own = secrets_in(variable, value) if "://" in value else ()
    if own and variable in names:
        return True
    known = {part for one in found.all("database_url") for part in secrets_in(one.key, one.value)}
    return any(len(part) >= SHORTEST_SECRET and part in known for part in (*own, value.strip()))


@audit(
    "SET-04",
    "No secret stands on a command line",
    subject=Subject.SETTINGS,
    severity=Severity.MAJOR,
    safety=Safety.ACTIVE,
    sends="at most one launch of a marked bot; reads the command lines of the controller's processes and its bots",
    why="Every account of the host sees command lines (ps), and they end up in logs and monitoring.",
    fix="Give the secret in a variable or in a file that only the service may read (mode 0640):\n"
    "EnvironmentFile=/etc/SERVICE/controller.env   # in the unit of systemd",
    reference="ASVS 13.3.1, 13.3.2",
)
async def no_secret_on_a_command_line(context: Context) -> Outcome:
    """No option with the name of a secret has a value, and no word holds a secret that is known."""
    found = await effective(context)
    looked = await _bots(context, found)
    bots = [] if isinstance(looked, Outcome) else looked
    known = {part for one in found.given for part in _secrets(one) if len(part) >= SHORTEST_SECRET}
    credentials = context.target.credentials
    known |= {one for one in (credentials.password, credentials.token) if len(one) >= SHORTEST_SECRET}
    processes = [*((one, "controller") for one in found.processes), *((one, "bot") for one in bots)]
    wrong = [
        clean(f"{what} on the command line of the {kind} (pid {one.pid})")
        for one, kind in processes
        for what in dict.fromkeys(_shown_secrets(one.arguments or (), known))
    ]
    lines = [f"{kind}, pid {one.pid}: {command_line(context, one)}" for one, kind in processes]
    evidence = [note(context, f"{len(lines)} command lines", lines, "ps -e -o pid,args", "process")]
    expected = "no password, key or token among the words of a command line"
    if wrong:
        return failed(
            f"A secret stands in plain sight: {listed(wrong, 2)}",
            observed="\n".join(wrong),
            expected=expected,
            evidence=evidence,
        )
    unseen = [
        problem for one in (*found.processes, *bots) if one.arguments is None for problem in one.problems
    ]
    if unseen:
        return inconclusive(Reason.NO_RIGHT, unseen[0], expected=expected, evidence=evidence)
    if isinstance(looked, Outcome):
        return looked
    if not found.is_complete:
        return not_known(found, evidence=evidence)
    return passed(f"No secret on {len(lines)} command lines", expected=expected, evidence=evidence)


def _shown_secrets(arguments: Sequence[str], known: set[str]) -> Iterator[str]:
    """What is secret on a command line, by its name alone."""
    for option, value in options_of(arguments):
        if value == "true" and option.startswith("-"):
            continue
        if is_secret(option.lstrip("-"), value) and not _SECRET_BY_POINTER.search(option):
            yield f"the value of {one_line(option, 60)}"
        elif secrets_in(option, value):
            yield f"the password in the URL of {one_line(option, 60)}"
    for place, word in enumerate(arguments[1:], 1):
        if any(secret in word for secret in known):
            before = arguments[place - 1]
            after = f" after {one_line(before, 60)}" if before.startswith("-") and "=" not in before else ""
            yield f"a secret of the settings in word {place}{after}"
        elif not word.startswith("-") and "://" in word and secrets_in("", word):
            yield f"the password in a URL in word {place}"


async def _bots(context: Context, found: Effective) -> list[Running] | Outcome:
    """A bot's process and those that descend from it or from the controller; else why there is none to look at."""
    if not found.processes:
        return not_known(found)
    bot = await a_bot(context)
    if isinstance(bot, Outcome):
        return bot
    pid = bot.identity.pid if bot.identity else None
    own = await asyncio.to_thread(look, pid) if pid else None
    if pid is None or own is None:
        return inconclusive(
            Reason.NO_SOURCE,
            f"The process of bot {bot.bot_id} was not seen on this host: run gonogo where the bots run",
        )
    others = await asyncio.to_thread(descendants, [one.pid for one in found.processes])
    workers = {one.pid for one in found.processes}
    return [own, *(one for one in others if one.pid not in {pid, *workers})]
