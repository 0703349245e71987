"""The limits of the controller's process: descriptors, memory and core dumps."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence

from checks.audit.common import audit, note
from checks.audit.host import family_of, unseen
from checks.context import Context
from checks.model import Evidence, Outcome, Safety, Severity, Subject, failed, passed
from checks.probe.family import Family, Limits, group_memory_bytes, is_own_descendant, limits_of

DESCRIPTORS = 1024
MOST_IN_USE = 0.5


async def _limits(context: Context) -> tuple[Family, Limits] | Outcome:
    family = await family_of(context)
    if isinstance(family, Outcome):
        return family
    limits = await asyncio.to_thread(limits_of, family.main.pid)
    return (family, limits) if limits else unseen("limits")


def _limits_note(context: Context, pid: int, lines: Sequence[str]) -> tuple[Evidence]:
    return (
        note(
            context, f"limits of pid {pid}: {'; '.join(lines)}", lines, f"cat /proc/{pid}/limits", "process"
        ),
    )


@audit(
    "INF-03",
    "The controller may open enough files and connections",
    subject=Subject.HOST,
    severity=Severity.MAJOR,
    safety=Safety.READ_ONLY,
    sends="reads the limits of the controller's process",
    why="Each connection is a descriptor: at the limit new users are refused, and so are log and database.",
    fix="In the unit: LimitNOFILE=65536\nIn a container: --ulimit nofile=65536",
    reference="ASVS 15.1.3; SRE book: handling overload",
)
async def enough_descriptors(context: Context) -> Outcome:
    """The soft limit is at least `DESCRIPTORS`, and less than half of it is in use."""
    seen = await _limits(context)
    if isinstance(seen, Outcome):
        return seen
    family, limits = seen
    in_use = "in use unknown" if limits.in_use is None else f"{limits.in_use} in use"
    observed = f"{limits.open_files:g} allowed, {in_use}"
    expected = f"at least {DESCRIPTORS} allowed, less than {MOST_IN_USE:.0%} in use"
    evidence = _limits_note(context, family.main.pid, [f"open files: {observed}"])
    if limits.open_files < DESCRIPTORS:
        return failed(
            f"The controller may open {limits.open_files:g} files and connections at once",
            observed=observed,
            expected=expected,
            evidence=evidence,
        )
    if limits.in_use is None:
        return unseen("open files")
    if limits.in_use >= MOST_IN_USE * limits.open_files:
        return failed(
            f"The controller uses {limits.in_use} of {limits.open_files:g} descriptors already at rest",
            observed=observed,
            expected=expected,
            evidence=evidence,
        )
    return passed(
        f"The controller may open {limits.open_files:g} files and connections, and has {limits.in_use}",
        observed=observed,
        expected=expected,
        evidence=evidence,
    )


@audit(
    "HOST-01",
    "The controller's memory is bounded",
    subject=Subject.HOST,
    severity=Severity.MAJOR,
    safety=Safety.READ_ONLY,
    sends="reads the limits of the controller's process and of its control group",
    why="A leak takes the host with it, and the kernel chooses what else dies.",
    fix="In the unit: MemoryMax=2G\nIn a container: --memory 2g\nIn Kubernetes: resources.limits.memory",
    reference="ASVS 15.1.3; SRE book: handling overload",
)
async def memory_is_bounded(context: Context) -> Outcome:
    """The process or its control group has a memory limit; a group shared with gonogo itself is not its own."""
    seen = await _limits(context)
    if isinstance(seen, Outcome):
        return seen
    family, limits = seen
    pid = family.main.pid
    is_shared = await asyncio.to_thread(is_own_descendant, pid)
    group = math.inf if is_shared else await asyncio.to_thread(group_memory_bytes, pid)
    told = [
        f"address space (RLIMIT_AS): {_size(limits.memory_bytes)}",
        "control group: that of gonogo itself, which started it"
        if is_shared
        else f"control group: {_size(group)}",
    ]
    evidence = _limits_note(context, pid, told)
    expected = "a limit of the process or of its control group"
    smallest = min(limits.memory_bytes, group)
    if smallest == math.inf:
        return failed(
            "Nothing bounds the memory of the controller",
            observed="; ".join(told),
            expected=expected,
            evidence=evidence,
        )
    return passed(
        f"The controller's memory is bounded at {_size(smallest)}",
        observed="; ".join(told),
        expected=expected,
        evidence=evidence,
    )


def _size(amount: float) -> str:
    return "unlimited" if amount == math.inf else f"{amount / (1 << 20):,.0f} MiB"


@audit(
    "HOST-02",
    "A crash leaves no dump of the controller's memory",
    subject=Subject.HOST,
    severity=Severity.MINOR,
    safety=Safety.READ_ONLY,
    sends="reads the limits of the controller's process",
    why="A core dump holds the signing key, passwords and what users said.",
    fix="In the unit: LimitCORE=0\nIn a container: --ulimit core=0",
    reference="ASVS 14.2.4; CIS Linux: core dumps",
)
async def no_core_dumps(context: Context) -> Outcome:
    """The soft limit of core dumps is 0."""
    seen = await _limits(context)
    if isinstance(seen, Outcome):
        return seen
    family, limits = seen
    observed = f"core dumps up to {_size(limits.core_bytes)}" if limits.core_bytes else "core dumps are off"
    expected = "a limit of 0"
    evidence = _limits_note(context, family.main.pid, [observed])
    if limits.core_bytes:
        return failed(
            "A crash writes the controller's memory to a file, secrets included",
            observed=observed,
            expected=expected,
            evidence=evidence,
        )
    return passed("Core dumps are off", observed=observed, expected=expected, evidence=evidence)
