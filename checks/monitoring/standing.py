"""Whether a recorded GO still stands: the fold of the review, taken again now and then."""

from __future__ import annotations

import math
from collections.abc import Callable

from checks.fold import Snapshot
from checks.model import Ceiling, GonogoError
from checks.monitoring.model import Reading
from checks.signoff.policy import allows
from checks.text import clean

AGAIN_AFTER_S = 60.0
"""Evidence grows old by hours: looking once a minute is often enough, and costs little."""
SOURCE = clean("the review's journal")


def standing(snapshot: Snapshot | None) -> Reading:
    """1 while the evidence bears the decision out, 0 when it does not; without a GO there is nothing to watch."""
    decision = snapshot.decision if snapshot else None
    if snapshot is None or decision is None or decision.decision is Ceiling.NO_GO:
        return Reading(None, source=SOURCE, applies=False)
    judgement = snapshot.judgement
    if allows(judgement.ceiling, decision.decision):
        return Reading(1.0, source=SOURCE)
    reason = judgement.reasons[0] if judgement.reasons else clean("the evidence is not complete")
    return Reading(
        0.0,
        source=clean(
            f"{SOURCE}: the {decision.decision} of {decision.at:%Y-%m-%d %H:%M}Z is not borne out: {reason}"
        ),
    )


class Standing:
    """The reading, taken anew at most once a minute. Calling it never raises."""

    def __init__(self, take: Callable[[], Snapshot | None], mono: Callable[[], float]) -> None:
        self._take = take
        self._mono = mono
        self._due_s = -math.inf
        self._reading = Reading(None, source=SOURCE, applies=False)

    def __call__(self) -> Reading:
        """The newest reading."""
        if self._mono() >= self._due_s:
            self._due_s = self._mono() + AGAIN_AFTER_S
            try:
                self._reading = standing(self._take())
            except GonogoError as problem:
                self._reading = Reading(None, source=SOURCE, problem=clean(problem))
        return self._reading
