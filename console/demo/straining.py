"""What the controller does wrong under load alone: the faults of `console/demo/faults/load.py`."""

from __future__ import annotations

import asyncio
import time
from collections import deque

from console.demo.errors import ApiError

EVERY = 50
STALL_S, STALL_EVERY_S = 1.0, 5.0
BUSY_MESSAGES = 12
"""So many messages since the last stall, and there is traffic: a walkthrough sends fewer."""
COMMIT_S = 0.04
LEAK_BYTES, MOST_LEAKED_BYTES = 1 << 15, 512 << 20
LOST, DOUBLED, SWAPPED, FAILED = (
    "every-50th-lost",
    "every-50th-doubled",
    "every-50th-swapped",
    "every-50th-failed",
)


class Strain:
    """Counts messages, and says to which of them something happens."""

    def __init__(self, faults: frozenset[str]) -> None:
        self._faults = faults
        self._count = self._replies = 0
        self._since_stall = 0
        self._stalled_at = time.monotonic()
        self._commit = asyncio.Lock()
        self._leaked: list[bytearray] = []
        self._before: deque[dict[str, object]] = deque(maxlen=20)

    def message(self) -> bool:
        """Another message came; whether it is to be lost. Raises ApiError where it is to fail."""
        self._count += 1
        if "stall" in self._faults:
            self._stall()
        if "leak" in self._faults and len(self._leaked) * LEAK_BYTES < MOST_LEAKED_BYTES:
            self._leaked.append(bytearray(b"x" * LEAK_BYTES))
        if self._count % EVERY:
            return False
        if FAILED in self._faults:
            raise ApiError(503, "The bot did not answer")
        return LOST in self._faults

    def _stall(self) -> None:
        self._since_stall += 1
        now = time.monotonic()
        if now - self._stalled_at >= STALL_EVERY_S:
            is_busy = self._since_stall >= BUSY_MESSAGES
            self._stalled_at, self._since_stall = now, 0
            if is_busy:
                time.sleep(STALL_S)

    async def commit(self) -> None:
        """Before a commit: wait in turn where the database is slow."""
        if "slow-database" in self._faults:
            async with self._commit:
                await asyncio.sleep(COMMIT_S)

    def frames(self, answer: dict[str, object]) -> list[dict[str, object]]:
        """What is sent over the socket in place of `answer`."""
        if answer.get("success") is not True:
            return [answer]
        self._replies += 1
        other = next((one for one in self._before if one.get("bot_id") != answer.get("bot_id")), None)
        self._before.append(answer)
        if self._replies % EVERY:
            return [answer]
        if DOUBLED in self._faults:
            return [answer, answer]
        return [other if SWAPPED in self._faults and other else answer]
