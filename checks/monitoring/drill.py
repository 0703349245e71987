"""The rules of a drill, without clocks or channels of its own: a limit moved beyond the present value, and a code.

The real rule fires, the real channel carries the code, and only whoever was told can type it back. Of the code nothing
is written down but a hash that is salted with the drill's id.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any

from checks.model import ReviewError
from checks.monitoring.board import Drill
from checks.monitoring.model import Comparison, Message, Reading, Rung, Threshold
from checks.text import clean, one_line

ALPHABET = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
"""Without 0 and O, 1 and I and L, which are mistaken for one another when they are read out."""
CODE_LENGTH = 6
"""31^6, about 900 million: with three tries nobody guesses it."""
MOST_WRONG = 3
"""So many wrong codes end a drill."""
ANSWERED_WITHIN = timedelta(minutes=15)
"""From the breach on; then nobody was reached."""
SMALLEST = 1e-3
"""Values that are nearer to 0 are moved away from by 1, as 0 itself is."""
_CODE = re.compile(rf"\b(DRILL |code is )[{ALPHABET}]{{{CODE_LENGTH}}}\b")
HIDDEN = "*" * CODE_LENGTH


@dataclass(frozen=True, slots=True)
class Coded(Drill):
    """A drill under way, with what is known of its code."""

    code_sha256: str = ""
    """Hash of the drill's id and the code."""
    wrong: int = 0
    """How many wrong codes were typed."""

    def document(self) -> dict[str, Any]:
        """The fields as JSON values, as the journal has them. The code itself is not among them."""
        return {**Drill.document(self), "code_sha256": self.code_sha256, "wrong": self.wrong}


def begin(
    threshold: Threshold,
    reading: Reading,
    rung: int,
    ladder: Sequence[Rung],
    now: datetime,
    *,
    for_s: float | None = None,
) -> tuple[Drill, Threshold, str]:
    """A drill of rung `rung` (0 the first), the threshold with its limit moved, and the code that is to be sent.

    The rule takes its real `for_s` to fire, unless a shorter one is given. Raises ReviewError where that rung is not
    there, the threshold is switched off, or there is no value to move the limit beyond.
    """
    if not ladder:
        raise ReviewError(
            f"Nobody is told of a {threshold.severity.value} alert: add it to [escalation] in the profile."
        )
    if not 0 <= rung < len(ladder):
        there = "one rung" if len(ladder) == 1 else f"{len(ladder)} rungs"
        raise ReviewError(
            f"The ladder of {threshold.severity.value} has {there}, there is no {rung + 1}: choose another."
        )
    moved = lowered(threshold, reading)
    if for_s is not None:
        moved = replace(moved, for_s=min(max(for_s, 0.0), threshold.for_s))
    identity = secrets.token_hex(4)
    code = "".join(secrets.choice(ALPHABET) for _ in range(CODE_LENGTH))
    drill = Coded(
        identity, threshold.name, ladder[rung].contact, now, rung=rung, code_sha256=digest(identity, code)
    )
    return drill, moved, code


def lowered(threshold: Threshold, reading: Reading) -> Threshold:
    """The threshold with its limit moved so far that the reading breaks it, and goes on to while it wavers.

    The limit becomes half of the value (twice the value where too little is bad): one that is always up, 1, is held
    against 2. How many events it takes is not asked: nothing is concluded of the target. Raises ReviewError where it is
    switched off or there is no value.
    """
    title = one_line(threshold.title, 60)
    if not threshold.is_on:
        raise ReviewError(f"{title} is switched off: nothing would fire.")
    if not reading.applies:
        raise ReviewError(f"{title} does not apply to this target: choose another for the drill.")
    if reading.is_missing or reading.value is None:
        why = f" ({one_line(reading.problem, 120)})" if reading.problem else ""
        raise ReviewError(
            f"{title} has no value at the moment{why}: a drill needs one to move the limit beyond."
        )
    values = [reading.value]
    if threshold.short_window_s:
        if reading.short is None:
            raise ReviewError(f"{title} has no value over its short window yet: wait until it has.")
        values.append(reading.short)
    if threshold.comparison in (Comparison.ABOVE, Comparison.AT_LEAST):
        lowest = min(values)
        limit = min(threshold.limit, lowest - (abs(lowest) / 2 if abs(lowest) >= SMALLEST else 1.0))
    else:
        highest = max(values)
        limit = max(threshold.limit, highest + (abs(highest) if abs(highest) >= SMALLEST else 1.0))
    return replace(threshold, limit=limit, least_events=0)


def answered(drill: Drill, typed: str, expected: str, actor: str, now: datetime) -> Drill:
    """The drill after `actor` typed a code: answered, or one wrong code more; the third ends it with a problem.

    Case, blanks and hyphens do not count. Raises ReviewError where the drill is over or no code has been sent yet.
    """
    if drill.problem or drill.answered_at is not None:
        raise ReviewError("No code is waited for: the drill was answered, or is over.")
    if drill.fired_at is None:
        raise ReviewError("No code has been sent yet: the alert has not fired.")
    coded = _coded(drill, expected)
    if hmac.compare_digest(digest(drill.id, plain(typed)), digest(drill.id, plain(expected))):
        return replace(coded, answered_at=now, answered_by=one_line(actor, 100))
    wrong = coded.wrong + 1
    if wrong < MOST_WRONG:
        return replace(coded, wrong=wrong)
    return replace(
        coded,
        wrong=wrong,
        problem=clean(f"{MOST_WRONG} wrong codes were typed, the last by {one_line(actor, 100)}"),
    )


def timed_out(drill: Drill, now: datetime) -> Drill:
    """The drill, with a problem where it fired and nobody typed its code in time."""
    if drill.is_over or drill.answered_at is not None or drill.fired_at is None:
        return drill
    if now - drill.fired_at < ANSWERED_WITHIN:
        return drill
    minutes = f"{ANSWERED_WITHIN.total_seconds() / 60:.0f} min"
    if drill.told_at is None:
        return replace(
            drill, problem=clean(f"the channel of {drill.contact} did not take the message within {minutes}")
        )
    return replace(drill, problem=clean(f"nobody typed the code back within {minutes}"))


def hidden(message: Message) -> Message:
    """A drill's message as it may be written down and shown: without its code."""
    return replace(
        message,
        title=clean(_CODE.sub(rf"\1{HIDDEN}", message.title)),
        body=clean(_CODE.sub(rf"\1{HIDDEN}", message.body)),
        answer=clean(_CODE.sub(rf"\1{HIDDEN}", message.answer)),
    )


def plain(typed: str) -> str:
    """A code as a person typed it, in the spelling in which it was made."""
    return re.sub(r"[\s-]+", "", typed).upper()


def digest(drill: str, code: str) -> str:
    """SHA-256 of a code, salted with the drill's id; hex."""
    return hashlib.sha256(f"{drill}:{code}".encode("utf-8", "replace")).hexdigest()


def _coded(drill: Drill, code: str) -> Coded:
    if isinstance(drill, Coded):
        return drill
    known = {entry.name: getattr(drill, entry.name) for entry in fields(Drill)}
    return Coded(**known, code_sha256=digest(drill.id, plain(code)))
