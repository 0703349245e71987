"""What is said to a bot and what it replies: stored on both sides, in order, before the reply is given away."""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter
from typing import Any

from console.demo.bots import Bots, Locks
from console.demo.errors import ApiError
from console.demo.log import event
from console.demo.settings import MAX_COMMAND_BYTES
from console.demo.slowness import SLOW_SEND_S
from console.demo.storage import Store
from console.demo.straining import Strain

USER, ASSISTANT = "user", "assistant"
REST, SOCKET = "rest", "websocket"
"""The channels over which a command comes."""


KEPT_COMMANDS = 2
"""The fault later-messages-lost: how many commands of each bot are stored."""


class Chat:
    """Speaks with the bots, one command to a bot at a time."""

    def __init__(self, store: Store, bots: Bots, faults: frozenset[str]) -> None:
        self._store = store
        self._bots = bots
        self._faults = faults
        self._locks = Locks()
        self.strain = Strain(faults)
        self._told: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        """Answered commands by channel."""

    async def say(self, bot_id: str, text: str, channel: str, role: str = USER) -> str:
        """Say `text` to a bot; its reply, once both are committed.

        Raises ApiError for a text that is too long, a bot that is not there or does not answer, StorageError for a
        database that does not take it.
        """
        unbounded = "no-body-limit" if channel == REST else "no-frame-limit"
        if len(text.encode()) > MAX_COMMAND_BYTES and unbounded not in self._faults:
            raise ApiError(413, f"The command is too long (max {MAX_COMMAND_BYTES} bytes)")
        bot = self._bots.find(bot_id)
        if bot is None:
            if "unknown-bot-succeeds" in self._faults:
                return f"{bot_id} heard: {text}"
            raise ApiError(404, f"Bot {bot_id} not found")
        if not bot.is_alive:
            raise ApiError(503, f"Bot {bot_id} is not running")
        if "task-fails" in self._faults and channel == REST:
            raise ApiError(500, "The command failed")
        if "text-mangled" in self._faults:
            text = text.replace("\r\n", "\n")
        is_strained_away = self.strain.message()
        began = time.monotonic()
        if "slow-send" in self._faults:
            await asyncio.sleep(SLOW_SEND_S)
        async with self._locks.of(bot_id):
            self._told[bot_id] += 1
            is_late = "later-messages-lost" in self._faults and self._told[bot_id] > KEPT_COMMANDS
            is_lost = is_strained_away or is_late
            if not is_lost:
                await self._keep(bot_id, role, text[:-1] if "wrong-text-stored" in self._faults else text)
            reply = await self._bots.ask(bot, text)
            if not is_lost and "reply-not-stored" not in self._faults:
                await self._keep(bot_id, ASSISTANT, reply)
        self.answered[channel] += 1
        took_ms = round((time.monotonic() - began) * 1e3, 1)
        said: dict[str, Any] = {"about": json.dumps(text)} if "message-logged" in self._faults else {}
        event("command answered", bot_id=bot_id, channel=channel, ms=took_ms, **said)
        return reply

    async def history(self, bot_id: str, limit: int) -> list[dict[str, str]]:
        """The newest `limit` messages of one bot, oldest first. Raises StorageError."""
        bot_ids = [bot_id]
        if "history-mixed" in self._faults:
            bot_ids += [bot.bot_id for bot in self._bots.all() if bot.bot_id != bot_id]
        if "sql-injection" in self._faults:
            return await asyncio.to_thread(self._store.concatenated_history, bot_id, limit)
        messages = await asyncio.to_thread(self._store.history, bot_ids, limit)
        return messages[::-1] if "history-out-of-order" in self._faults else messages

    async def _keep(self, bot_id: str, role: str, text: str) -> None:
        await self.strain.commit()
        await asyncio.to_thread(self._store.add_message, bot_id, role, text)
