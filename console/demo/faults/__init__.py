"""The faults of the demo controller: switches that make it misbehave in one way each.

Each is read at one small place, as `"reply-lost" in faults`. `breaks` names the checks that it turns red.
"""

from __future__ import annotations

from collections.abc import Iterable

from console.demo.faults import (
    database,
    host,
    inputs,
    limits,
    load,
    log,
    monitoring,
    performance,
    settings,
    surface,
    tls,
    tokens,
    walkthrough,
    watched,
)
from console.demo.faults.fault import Fault

__all__ = ["FAULTS", "SWITCHABLE", "Fault", "UnknownFaultError", "checked"]

FAULTS: tuple[Fault, ...] = (
    *walkthrough.FAULTS,
    *settings.FAULTS,
    *database.FAULTS,
    *tokens.FAULTS,
    *tls.FAULTS,
    *surface.FAULTS,
    *inputs.FAULTS,
    *log.FAULTS,
    *host.FAULTS,
    *performance.FAULTS,
    *limits.FAULTS,
    *load.FAULTS,
    *monitoring.FAULTS,
    *watched.FAULTS,
)
SWITCHABLE = frozenset(fault.name for fault in FAULTS if fault.is_switchable)
"""The faults that can be switched on and off while the demo runs."""


class UnknownFaultError(Exception):
    """A fault was asked for that there is not; the text is one sentence that lists the names."""


def checked(names: Iterable[str]) -> frozenset[str]:
    """The faults `names`. Raises UnknownFaultError for a name that there is not."""
    known = [fault.name for fault in FAULTS]
    wanted = list(names)
    for name in wanted:
        if name not in known:
            raise UnknownFaultError(f"There is no fault {name!r}. Faults: {', '.join(known)}.")
    return frozenset(wanted)
