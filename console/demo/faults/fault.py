"""What a fault of the demo controller is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Fault:
    """One switchable misbehaviour."""

    name: str
    about: str
    breaks: tuple[str, ...]
    """Ids of the checks that fail while it is switched on; none where looks have to go on for a while to see it."""
    only_on: Literal["", "sqlite", "postgresql"] = ""
    """The database that it needs; empty: it misbehaves on both."""
    masks: tuple[str, ...] = ()
    """Ids of further checks that can show nothing while it is switched on, though they do not fail."""
    server: str = ""
    """How a PostgreSQL server has to be set up for it, as `tests.postgres.hardened` takes it; empty: well."""
    is_alone: bool = False
    """Whether nothing else can be judged while it is switched on, as where nobody can connect any more."""
    needs_root: bool = False
    """Whether it can only be switched on by root; others start healthy."""
    fires: tuple[str, ...] = ()
    """Names of the thresholds that it breaks, or leaves without data, once it has lasted and there is traffic."""
    is_switchable: bool = False
    """Whether it can be switched on and off while the demo runs, by the file `faults` in its folder."""
