"""Who starts the controller again when it ends: its parents, its control group, and what they say."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import psutil

from checks.probe.journald import unit_of
from checks.text import NOTHING, Clean, clean, one_line

SUPERVISORS = frozenset(
    {"supervisord", "runsv", "s6-supervise", "supervise", "circusd", "perpd", "nosh", "dinit", "monit"}
    | {"launchd", "nomad", "immortal"}
)
"""Programs that start again what they run, when it ends."""
_PM2 = re.compile(r"^PM2\b")
ENDS_WITH_STARTER = "GONOGO_DEMO_WATCH_INPUT"
"""The variable by which a demo says that it ends when its standard input does."""
BORN_TOGETHER_S = 60.0
"""A unit's main process that is this much older than the controller did not start as its wrapper."""
SYSTEMCTL_WITHIN_S = 5.0
_CONTAINER = re.compile(r"docker|containerd|libpod|podman|crio|lxc", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Supervision:
    """What was found out."""

    kind: Literal["supervised", "not-restarted", "ends-with-starter", "container", "none", "unseen"]
    """`not-restarted`: there is a unit, which does not start it again. `container`: its policy is not seen here."""
    told: Clean
    """The fact, as a sentence without a full stop."""
    chain: tuple[Clean, ...]
    """The controller and its parents, each as `pid 12 python`."""
    unit: Clean = NOTHING
    """The systemd service that it belongs to."""


def look_at_supervision(pid: int) -> Supervision:
    """Who would start process `pid` again."""
    try:
        process = psutil.Process(pid)
        parents = process.parents()[:16]
        names = [one.name() for one in (process, *parents)]
        chain = tuple(
            one_line(f"pid {one.pid} {name}", 80)
            for one, name in zip((process, *parents), names, strict=True)
        )
    except psutil.NoSuchProcess:
        return Supervision(
            "unseen", clean("The controller's process ended while it was looked at: try again"), ()
        )
    except psutil.Error:
        return Supervision("unseen", NOTHING, ())
    if starter := _starter(process, parents):
        return Supervision("ends-with-starter", starter, chain)
    if above := next((name for name in names[1:3] if name in SUPERVISORS or _PM2.match(name)), ""):
        return Supervision("supervised", one_line(f"It is run by {above}, which starts it again"), chain)
    if (unit := unit_of(pid)) and (told := _of_unit(unit, process, parents)):
        kind, sentence = told
        return Supervision(kind, one_line(sentence), chain, one_line(unit, 80))
    return _of_container(process, parents, chain)


def _starter(process: psutil.Process, parents: list[psutil.Process]) -> Clean:
    """Whether it says that it ends with its starter, and its input really is a pipe that its parent holds."""
    try:
        is_said = ENDS_WITH_STARTER in process.environ()
    except psutil.Error:
        return NOTHING
    pipe = _link(process.pid, "0")
    if not (is_said and parents and pipe.startswith("pipe:")):
        return NOTHING
    holder = parents[0]
    try:
        held = {_link(holder.pid, entry.name) for entry in Path(f"/proc/{holder.pid}/fd").iterdir()}
    except OSError:
        return NOTHING
    if pipe not in held:
        return NOTHING
    return one_line(
        f"This demo ends with the process that started it (its input is a pipe of pid {holder.pid}), "
        "so nothing is to start it again"
    )


def _link(pid: int, name: str) -> str:
    try:
        return str(Path(f"/proc/{pid}/fd/{name}").readlink())
    except OSError:
        return ""


def _of_unit(
    unit: str, process: psutil.Process, parents: list[psutil.Process]
) -> tuple[Literal["supervised", "not-restarted"], str] | None:
    """What systemd says of `unit`; None where the controller is not its main process, or systemd does not say."""
    program = shutil.which("systemctl")
    if program is None:
        return None
    properties = "MainPID,Restart,UnitFileState"
    command = [program, "show", unit, f"--property={properties}", "--no-pager"]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=SYSTEMCTL_WITHIN_S, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    said = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    if not _is_main(said.get("MainPID", ""), process, parents):
        return None  # somebody started it by hand within another service, as a build agent does
    restart, state = said.get("Restart", ""), said.get("UnitFileState", "")
    if restart in ("", "no"):
        return "not-restarted", f"{unit} does not start it again (Restart={restart or 'no'})"
    if state == "disabled":
        return "not-restarted", f"{unit} is not enabled: after a reboot the controller stays down"
    return "supervised", f"{unit} starts it again (Restart={restart}, {state or 'state unknown'})"


def _is_main(told: str, process: psutil.Process, parents: list[psutil.Process]) -> bool:
    """Whether the unit's main process is the controller, or what was started together with it as its wrapper."""
    try:
        for one in (process, *parents):
            if told == str(one.pid):
                return process.create_time() - one.create_time() < BORN_TOGETHER_S
    except psutil.Error:
        return False
    return False


def _of_container(
    process: psutil.Process, parents: list[psutil.Process], chain: tuple[Clean, ...]
) -> Supervision:
    try:
        group = Path(f"/proc/{process.pid}/cgroup").read_text("utf-8", "replace")
    except OSError:
        group = ""
    is_first = process.pid == 1 or (parents and parents[0].pid == 1 and len(parents) == 1)
    is_inside = Path("/.dockerenv").exists() or Path("/run/.containerenv").exists()
    if "kubepods" in group:
        return Supervision("supervised", clean("Kubernetes runs it, which starts it again"), chain)
    shim = next((one for one in chain[1:] if "containerd-shim" in one or "conmon" in one), "")
    if shim or (is_first and (is_inside or _CONTAINER.search(group))):
        return Supervision("container", clean("It is run in a container"), chain)
    if not _may_read_environment(process):  # then what it says of itself is not known
        return Supervision("unseen", NOTHING, chain)
    return Supervision("none", clean("No supervisor runs it: when it ends, it stays down"), chain)


def _may_read_environment(process: psutil.Process) -> bool:
    try:
        process.environ()
    except psutil.Error:
        return False
    return True
