"""What a watch asks again and again: concurrently, each within its own time; one that hangs is not asked twice."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable

from checks.text import Clean, clean

LOOK_WITHIN_S = 2.5
"""So long a look waits for what it asked, all together; what comes later is there at a later look."""
LEAST_FRESH_S = 15.0
FRESH_LOOKS = 3.0
MAX_NOTES = 40
"""Different problems that are kept; what the target says must not fill the memory."""


def fresh_s(interval_s: float) -> float:
    """How old an answer may be and still stand: three looks, 15 s at least."""
    return max(FRESH_LOOKS * interval_s, LEAST_FRESH_S)


class Notes:
    """What could not be seen, once each, and what would help; without full stops."""

    def __init__(self) -> None:
        self._kept: dict[Clean, None] = {}

    @property
    def all(self) -> tuple[Clean, ...]:
        """The first come first."""
        return tuple(self._kept)

    def add(self, problem: str) -> None:
        """Keep a problem; more than `MAX_NOTES` are not kept."""
        if len(self._kept) < MAX_NOTES:
            self._kept.setdefault(clean(problem))


class Question:
    """One thing that is asked every `every_s` seconds; the answer is kept by what `ask` calls."""

    def __init__(
        self,
        name: str,
        ask: Callable[[], Awaitable[None]],
        notes: Notes,
        *,
        every_s: float = 0.0,
    ) -> None:
        self.name = name
        self.every_s = every_s
        """May be changed by `ask`, for the next time."""
        self._ask = ask
        self._notes = notes
        self._task: asyncio.Task[None] | None = None
        self._began_s = -math.inf
        self._waited_from_s = 0.0
        self.problem = clean("")
        """How the last answer failed without a word of its own; empty where it did not."""

    def begin(self, now_s: float) -> None:
        """Ask, where it is time and the last answer has come. `now_s` is the watch's monotonic time."""
        if self._task is None and now_s - self._began_s >= self.every_s:
            self._began_s = now_s
            loop = asyncio.get_running_loop()
            self._waited_from_s = loop.time()
            self._task = loop.create_task(self._asked(), name=f"gonogo-{self.name}")

    def pending_s(self, now_s: float) -> float:
        """How long the answer has been waited for; 0 where none is."""
        return now_s - self._began_s if self._task is not None else 0.0

    def hurry(self) -> None:
        """Ask at the next look, whenever it was asked last."""
        self._began_s = -math.inf

    @property
    def task(self) -> asyncio.Task[None] | None:
        """What is waited for."""
        return self._task

    def left_s(self) -> float:
        """How much longer a look may wait for it, by the event loop's clock."""
        return LOOK_WITHIN_S - (asyncio.get_running_loop().time() - self._waited_from_s)

    async def _asked(self) -> None:
        try:
            await self._ask()
            self.problem = clean("")
        except Exception as problem:  # noqa: BLE001 - one source less must not end a watch
            self.problem = clean(f"The {self.name} could not be looked at: {type(problem).__name__}")
            self._notes.add(self.problem)
        finally:
            self._task = None

    async def close(self) -> None:
        """Wait for nothing any more."""
        task = self._task
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def waited(questions: Iterable[Question]) -> None:
    """Wait until those that were asked have answered, or none of them may be waited for any longer."""
    while True:
        pending = {one.task: left_s for one in questions if one.task and (left_s := one.left_s()) > 0}
        if not pending:
            return
        await asyncio.wait(pending, timeout=max(pending.values()), return_when=asyncio.ALL_COMPLETED)
