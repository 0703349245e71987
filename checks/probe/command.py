"""A command line that may be shown: its program, its options and what is known to be harmless; the rest is masked."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from pathlib import Path

from checks.probe.redaction import MASK, Redactor
from checks.text import NOTHING, Clean, one_line

MAX_ARGUMENTS = 64
SERVERS = frozenset({"uvicorn", "gunicorn", "hypercorn", "daphne", "granian", "fastapi", "flask"})
"""Programs whose first argument names the application."""
HARMLESS = frozenset(
    {"--app-dir", "--bind", "--env-file", "--host", "--interface", "--log-config", "--log-level", "--loop"}
    | {"--port", "--root-path", "--uds", "--worker-class", "--workers"}
)
"""Options whose value cannot be a secret, whatever the program."""
OF_A_SERVER = frozenset({"-b", "-w"})
"""The same, of the known servers: address and number of workers."""
SWITCHES = frozenset(
    {"-B", "-E", "-I", "-O", "-s", "-S", "-u", "--factory", "--proxy-headers", "--reload"}
    | {"--access-log", "--no-access-log", "--no-server-header"}
)
"""Options without a value."""
_OPTION = re.compile(r"-[A-Za-z]|--[A-Za-z][A-Za-z0-9_-]{0,40}")
_APPLICATION = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*|[\w./-]+\.py")
_PYTHON = re.compile(r"python[\d.]*")


def shown_command(arguments: Sequence[str], redactor: Redactor) -> Clean:
    """`arguments` as one line in which every value that could be a secret is masked.

    A secret may stand anywhere on a command line, so what is shown is chosen, not what is hidden: the program,
    its script or module, the application of a known server, the names of options, and the values of a few.
    """
    if not arguments:
        return NOTHING
    is_server = Path(arguments[0]).name in SERVERS
    expected = "script" if _PYTHON.fullmatch(Path(arguments[0]).name) else _expected_of(is_server)
    shown, before = [arguments[0]], ""
    for argument in arguments[1:MAX_ARGUMENTS]:
        if argument.startswith("-"):
            shown.append(_option(argument))
            before = "" if "=" in argument or argument in SWITCHES else argument
            if argument == "-c":  # the program itself stands there instead of a script
                expected = ""
            continue
        is_program = expected == "script" and before in ("", "-m")
        if before in HARMLESS or (is_server and before in OF_A_SERVER):
            shown.append(argument)
        elif is_program:
            shown.append(argument)
            is_server = Path(argument).name in SERVERS
            expected = _expected_of(is_server)
        elif expected == "application" and not before and _APPLICATION.fullmatch(argument):
            shown.append(argument)
            expected = ""
        else:
            shown.append(MASK)
        before = ""
    if len(arguments) > MAX_ARGUMENTS:
        shown.append("…")
    line = " ".join(part if MASK in part else shlex.quote(part) for part in shown)
    return one_line(redactor.redact(line), 400)


def _expected_of(is_server: bool) -> str:
    """What kind of argument is worth showing next."""
    return "application" if is_server else ""


def _option(argument: str) -> str:
    name, equals, value = argument.partition("=")
    if not _OPTION.fullmatch(name):
        return MASK
    if not equals:
        return name
    return f"{name}={value if name in HARMLESS else MASK}"
