"""Where a list's cursor goes by itself while a run is under way."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from checks.fold import CheckState
from checks.model import State
from screens.picture import Progress

FOLLOW_EVERY_S = 0.5
"""How often at most the cursor moves by itself: a run can be faster than an eye or a slow line."""


@dataclass(slots=True)
class Follow:
    """Goes with what was judged last until the lead moves the cursor; at the end goes to a failure."""

    _run: tuple[str, ...] = ()
    _followed: str = ""
    _last: str = ""
    _moved_at: float = 0.0

    def place(self, progress: Progress | None, states: Iterable[CheckState], chosen: str, now: float) -> str:
        """The id of the row to choose, `chosen` where the cursor stays; `now` is the monotonic clock."""
        if progress is None:
            run, self._run = self._run, ()
            failed = [entry.id for entry in states if entry.state is State.FAIL and entry.id in run]
            is_following = bool(run) and chosen == self._followed
            return (failed[0] if failed else self._last or chosen) if is_following else chosen
        if not self._run:
            self._run, self._followed, self._last = progress.checks, chosen, ""
        self._last = progress.last or self._last
        is_due = now - self._moved_at >= FOLLOW_EVERY_S or progress.waiting is not None
        if not (progress.last and is_due and chosen == self._followed):
            return chosen
        self._moved_at, self._followed = now, progress.last
        return progress.last
