"""What the live host shows of a target: who listens, what it says over HTTP, where it stores and logs."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime

from checks.model import utc_now
from checks.probe.host import HostView, Service, look_at_port
from checks.profile.contract import DEFAULT, built_in
from checks.profile.database import has_password, sqlite_path
from checks.profile.interface import Interface, look_at_interface
from checks.profile.storage import chat_database, told
from checks.target import Contract
from checks.text import Clean, clean, one_line

SHOWN_VARIABLES = 24
ORDINARY = frozenset(
    {
        "HOME",
        "HOSTNAME",
        "LANG",
        "LANGUAGE",
        "LOGNAME",
        "MAIL",
        "OLDPWD",
        "PATH",
        "PWD",
        "SHELL",
        "SHLVL",
        "TERM",
        "USER",
    }
    | {"INVOCATION_ID", "JOURNAL_STREAM", "SYSTEMD_EXEC_PID", "VIRTUAL_ENV", "VIRTUAL_ENV_PROMPT", "PS1", "_"}
)
"""Variables that every process has: not worth a word."""


_TELLING = re.compile(r"KEY|SECRET|TOKEN|PASS|JWT|URL|URI|DSN|DATABASE|DB_")
"""Names of variables that a review asks about come first."""


@dataclass(frozen=True, slots=True)
class Discovery:
    """What was found on this host, and what was not."""

    port: int
    at: datetime
    found: tuple[Clean, ...]
    """Sentences for the person who asked, without a full stop."""
    missing: tuple[Clean, ...]
    """What could not be found, each with what to do."""
    values: Mapping[tuple[str, str], str | int | bool]
    """(section, key) of the profile -> the value that was found."""
    unlisted: Mapping[str, Clean]
    """Operations of the contract that the target does not list -> the nearest that it lists."""


def discover(port: int, *, clock: Callable[[], datetime] = utc_now) -> Discovery:
    """Look at who listens on `port` of this host; bounded, read-only, and never raises for what is not there."""
    at = clock()
    contract = built_in()[DEFAULT]
    host = look_at_port(port)
    interface = asyncio.run(look_at_interface(port, host.addresses, contract))
    notes = _Notes()
    notes.values["target", "url"] = interface.url or f"http://127.0.0.1:{port}"
    if not host.addresses and not interface.url:
        notes.missing.append(
            clean(
                f"nobody listens on port {port} of this host; start the controller and look again, or give "
                "another --port"
            )
        )
        return notes.discovery(port, at, {})
    _tell_host(host, notes)
    _tell_interface(interface, notes)
    if host.service:
        _tell_service(host.service, notes)
        _tell_log(host.service, notes)
        _tell_storage(host.service, contract, notes)
    else:
        notes.missing.append(
            clean(
                "the database and the log; set [database] url and [log] file, or look again with more rights"
            )
        )
    return notes.discovery(port, at, interface.unlisted)


class _Notes:
    """What is gathered on the way."""

    def __init__(self) -> None:
        self.found: list[Clean] = []
        self.missing: list[Clean] = []
        self.values: dict[tuple[str, str], str | int | bool] = {}

    def discovery(self, port: int, at: datetime, unlisted: Mapping[str, Clean]) -> Discovery:
        """Everything gathered, each sentence once."""
        found, missing = tuple(dict.fromkeys(self.found)), tuple(dict.fromkeys(self.missing))
        return Discovery(port, at, found, missing, self.values, unlisted)


def _tell_host(host: HostView, notes: _Notes) -> None:
    if host.addresses:
        notes.found.append(clean(f"port {host.port} is open on {', '.join(host.addresses)}"))
    else:
        notes.missing.append(
            clean(
                f"the process behind port {host.port}: it answers, but not from this host's own processes (a "
                "container?); run gonogo where the controller runs"
            )
        )
    notes.missing += host.notes


def _tell_interface(interface: Interface, notes: _Notes) -> None:
    notes.found += interface.found
    notes.missing.append(
        clean(
            "a user to sign in as: set GONOGO_USERNAME and GONOGO_PASSWORD before a run, or name a file with them in "
            "[credentials] file"
        )
    )
    notes.missing += interface.missing
    for key, value in (("name", interface.title), ("version", interface.version)):
        if value:
            notes.values["target", key] = value
    if interface.asks_for_token:
        notes.values["contract", "rest_auth"] = "bearer"


def _tell_service(service: Service, notes: _Notes) -> None:
    about = [f"pid {service.pid}"]
    about += [f"parent {service.parent}"] if service.parent else []
    about += [f"account {service.account}"] if service.account else []
    about += [f"started {service.started:%Y-%m-%d %H:%M:%S} UTC"] if service.started else []
    about += [f"{service.workers} workers"] if service.workers else []
    notes.found.append(clean(f"the process that listens: {', '.join(about)}"))
    if service.command_line:
        notes.found.append(clean(f"its command line: {service.command_line}"))
    if service.folder:
        notes.found.append(one_line(f"its working folder: {service.folder}", 300))
    names = [
        name for name in service.variables if name not in ORDINARY and not name.startswith(("LC_", "XDG_"))
    ]
    names.sort(key=lambda name: not _TELLING.search(name))
    if names:
        more = f" and {len(names) - SHOWN_VARIABLES} more" if len(names) > SHOWN_VARIABLES else ""
        notes.found.append(clean(f"its environment names {', '.join(names[:SHOWN_VARIABLES])}{more}"))
    notes.found += [clean(f"it is connected to {peer}") for peer in service.peers]


def _tell_log(service: Service, notes: _Notes) -> None:
    for path in service.logs:
        if "log" not in {section for section, _ in notes.values} and _is_writable_in_toml(str(path)):
            notes.values["log", "file"] = str(path)
        notes.found.append(one_line(f"log file {path}", 300))
    if not service.logs:
        where = f" (its standard error goes to {service.output})" if service.output else ""
        notes.missing.append(clean(f"a log file{where}; redirect the log to a file and set [log] file"))


def _tell_storage(service: Service, contract: Contract, notes: _Notes) -> None:
    files = [path for url in service.database_urls.values() if (path := sqlite_path(url))]
    named = [service.folder / path if service.folder else path for path in files]
    chat, looked = chat_database((*service.databases, *named), service.folder, contract)
    if chat and _is_writable_in_toml(str(chat.path)):
        how = "open database" if chat.path in service.databases else "database"
        notes.found.append(one_line(f"{how} {chat.path} with the table {contract.table}", 300))
        notes.values["database", "url"] = str(chat.path)
        return
    for name, url in service.database_urls.items():
        if sqlite_path(url) is None and not has_password(url) and url.startswith("postgres"):
            notes.found.append(one_line(f"the database URL in {name}, which carries no password", 300))
            notes.values["database", "url"] = url
            return
    hidden = [f"{name} carries a password, which gonogo does not take over" for name in service.hidden_urls]
    notes.missing += told(looked, contract)
    why = (
        "; ".join(hidden) or f"no SQLite file with a table {contract.table} is open in it or below its folder"
    )
    notes.missing.append(
        clean(
            f"its database ({why}); set [database] url, or GONOGO_DATABASE_URL where the URL has a password"
        )
    )


def _is_writable_in_toml(text: str) -> bool:
    """File names that are no UTF-8 cannot stand in the profile."""
    return text.isprintable()
