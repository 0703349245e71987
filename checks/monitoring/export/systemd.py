"""`gonogo-watch.service`: the watch as a service, hardened; systemd 245 or newer."""

from __future__ import annotations

import sys
from pathlib import Path

from checks.model import ReviewError
from checks.monitoring.export.common import ExportFile, header, watch_port
from checks.target import Target
from checks.text import one_line

UNIT_FILE = "gonogo-watch.service"
ENVIRONMENT = "/etc/gonogo/watch.env"
STATE = "gonogo"
"""Folder below /var/lib."""
PRIVATE = ("/tmp", "/var/tmp")  # noqa: S108 - what PrivateTmp= hides


def unit(target: Target) -> ExportFile:
    """The unit. Raises ReviewError for a target without a file that describes it: a service needs one."""
    if target.path is None:
        raise ReviewError(
            "A service needs a profile that stays: write one with `gonogo init`, and export again with --profile."
        )
    profile = target.path.absolute()
    program = Path(sys.executable).absolute().with_name("gonogo")
    command = [str(program), "--profile", str(profile), "watch", "--metrics-port", str(watch_port(target))]
    variables = sorted({one.url_env for one in target.contacts.values() if one.url_env})
    section = target.profile.credentials
    needed = ", ".join((*variables, section.username_env, section.password_env))
    note = f"{ENVIRONMENT} (0600, root) holds NAME=value lines, as far as the credentials file does not: {needed}."
    is_hidden = any(profile.is_relative_to(folder) for folder in PRIVATE)
    head = header(
        target,
        "",
        note,
        f"The console sees this watch with GONOGO_STATE_DIR=/var/lib/{STATE}, as the same account. It runs as root,",
        "for it looks at the service's processes; name the service's account in User= where that is enough.",
    )
    text = f"""{head}
[Unit]
Description=gonogo watch: {_value(target.title)}
After=network-online.target
Wants=network-online.target
StartLimitIntervalSec=0

[Service]
Type=exec
ExecStart={" ".join(map(_word, command))}
EnvironmentFile=-{ENVIRONMENT}
Environment=GONOGO_STATE_DIR=%S/{STATE}
StateDirectory={STATE}
StateDirectoryMode=0700
UMask=0077
Restart=always
RestartSec=5
TimeoutStopSec=20

# Light on a host that carries production traffic.
Nice=10
MemoryMax=256M
TasksMax=64

# It reads much, and writes to its own state alone.
NoNewPrivileges=yes
CapabilityBoundingSet=CAP_DAC_READ_SEARCH CAP_SYS_PTRACE
ProtectSystem=strict
ProtectHome=read-only
PrivateTmp={"no" if is_hidden else "yes"}
PrivateDevices=yes
ProtectClock=yes
ProtectHostname=yes
ProtectKernelLogs=yes
ProtectKernelModules=yes
ProtectKernelTunables=yes
ProtectControlGroups=yes
RestrictAddressFamilies=AF_INET AF_INET6 AF_UNIX AF_NETLINK
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service

[Install]
WantedBy=multi-user.target
"""
    return ExportFile(UNIT_FILE, text, (note,))


def _value(text: str) -> str:
    """A value on one line, without what systemd would replace in it."""
    return one_line(text, 100).replace("%", "%%").rstrip("\\")


def _word(text: str) -> str:
    """A word of a command line (systemd.service(5), "Command lines"). Raises ReviewError for a name on two lines."""
    if not text.isprintable():
        raise ReviewError(
            f"The file {one_line(text)} cannot be named in a unit: give it a name without control characters."
        )
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if escaped != text or " " in text or "'" in text else text
