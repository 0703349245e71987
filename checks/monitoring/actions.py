"""What a person may do to a watch: small frozen wishes, which cross to the watching process as JSON.

A new action is one class here and its branch in `checks/monitoring/watch.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Acknowledge:
    """Take the firing alerts of a threshold on: they escalate no further."""

    threshold: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class SilenceFor:
    """Tell nobody of a threshold (`*`: of any) for `seconds`; the reason must not be empty."""

    threshold: str
    seconds: float
    because: str


@dataclass(frozen=True, slots=True)
class EndSilence:
    """End a silence before its time."""

    silence: str


@dataclass(frozen=True, slots=True)
class Edit:
    """Change a threshold until the profile says otherwise; the reason must not be empty."""

    threshold: str
    limit: float
    for_s: float
    severity: str
    because: str


@dataclass(frozen=True, slots=True)
class TryContact:
    """Send a test message to a contact through its real channel."""

    contact: str


@dataclass(frozen=True, slots=True)
class BeginDrill:
    """Lower (or raise) a threshold's limit beyond its present value until the alert has fired and was told."""

    threshold: str
    rung: int = 0


@dataclass(frozen=True, slots=True)
class AnswerDrill:
    """The code that the person who was told has read."""

    code: str


Action = Acknowledge | SilenceFor | EndSilence | Edit | TryContact | BeginDrill | AnswerDrill
_KINDS: Mapping[str, type[Action]] = {
    kind.__name__: kind
    for kind in (Acknowledge, SilenceFor, EndSilence, Edit, TryContact, BeginDrill, AnswerDrill)
}


def document(action: Action) -> dict[str, Any]:
    """The action as JSON values."""
    return {"action": type(action).__name__, **asdict(action)}


def read(found: Mapping[str, Any]) -> Action:
    """Read back what `document` wrote. Raises KeyError or TypeError for anything else."""
    values = dict(found)
    return _KINDS[values.pop("action")](**values)
