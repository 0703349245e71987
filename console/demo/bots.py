"""The bots of the controller: real processes with ports of their own, launched, listed, asked and stopped here."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import secrets
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from weakref import WeakValueDictionary

from console.demo.bot_client import BotError, BotTimeoutError, ask
from console.demo.errors import ApiError, now_text
from console.demo.log import event

PROGRAM = Path(__file__).with_name("bot.py")
BOT_ID = re.compile(r"BOT-[0-9]{3,}")
MAX_ID_CHARS = 50
BOT_TYPES = ("claude", "chatgpt", "claude-code", "codex", "llama")
MAX_BOTS = 64
BORN_WITHIN_S, REPLY_WITHIN_S, STATUS_WITHIN_S = 10.0, 10.0, 2.0
END_WITHIN_S = 2.0
"""How long a process may take to obey SIGTERM before it is killed."""
DYING_S = 0.2
"""Time from the launch to the death of a bot that is to be lost."""
ACTIVE, DOWN, UNRESPONSIVE = "active", "down", "unresponsive"
INHERITED = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "TMPDIR")
"""What a bot is given of the controller's environment: nothing secret."""


@dataclass(slots=True)
class Bot:
    """One launched bot."""

    bot_id: str
    bot_type: str
    key: str = field(repr=False)
    process: Process
    port: int
    registered_at: str
    is_stopped: bool = False

    @property
    def is_alive(self) -> bool:
        """Whether its process still runs."""
        return self.process.returncode is None


class Locks:
    """One lock for each name, as long as somebody holds it."""

    def __init__(self) -> None:
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    def of(self, name: str) -> asyncio.Lock:
        """The lock of that name."""
        return self._locks.setdefault(name, asyncio.Lock())


class Bots:
    """The registry: the bots that were launched and not stopped."""

    def __init__(self, faults: frozenset[str], environment: Mapping[str, str] | None = None) -> None:
        """`environment` is given to each bot besides `INHERITED`."""
        self._faults = faults
        self._environment = environment or {}
        self._bots: dict[str, Bot] = {}
        self._starting = 0
        self._locks = Locks()
        self._watchers: set[asyncio.Task[None]] = set()
        self._left: list[Bot] = []
        """The faults stop-leaves-process and stop-revives: what is ended with the controller."""

    def find(self, bot_id: str) -> Bot | None:
        """The bot of that id; None for one that is not registered."""
        return self._bots.get(bot_id)

    def all(self) -> list[Bot]:
        """Every registered bot, in the order of the launches."""
        return list(self._bots.values())

    def status(self, bot: Bot) -> str:
        """`active`, or `down` where its process died."""
        if "dead-bot-listed" in self._faults or bot.is_stopped:
            return ACTIVE
        return ACTIVE if bot.is_alive else DOWN

    async def launch(self, bot_id: str, bot_type: str) -> Bot:
        """Launch a bot; its port is open when this returns. Raises ApiError where it cannot be."""
        async with self._locks.of(bot_id):
            known = self._bots.get(bot_id)
            if known and known.is_alive:
                raise ApiError(409, f"Bot {bot_id} is already running")
            if len(self._bots) + self._starting >= MAX_BOTS and not known:
                raise ApiError(503, f"{MAX_BOTS} bots are registered already; stop one first")
            self._starting += 1
            try:
                bot = await self._spawn(bot_id, bot_type)
            except (OSError, ValueError, TimeoutError) as problem:
                event("bot not launched", bot_id=bot_id, cause=type(problem).__name__)
                raise ApiError(503, f"Failed to spawn bot process for {bot_id}") from problem
            finally:
                self._starting -= 1
            self._bots[bot_id] = bot
            watcher = asyncio.create_task(_tell_end(bot))
            self._watchers.add(watcher)
            watcher.add_done_callback(self._watchers.discard)
        return bot

    async def lose(self, bot: Bot) -> None:
        """Kill the process of a bot soon, as an accident would."""
        await asyncio.sleep(DYING_S)
        with contextlib.suppress(ProcessLookupError):
            bot.process.kill()

    async def stop(self, bot_id: str) -> None:
        """End the process of a bot, then forget the bot. Raises ApiError for a bot that is not registered."""
        async with self._locks.of(bot_id):
            bot = self._bots.get(bot_id)
            if bot is None:
                raise ApiError(404, f"Bot {bot_id} not found")
            bot.is_stopped = True
            if "stop-leaves-process" in self._faults:
                self._left.append(bot)
            else:
                await _end(bot)
            if "stop-revives" in self._faults:
                self._left.append(await self._spawn(bot_id, bot.bot_type))
            if "stop-stays-listed" not in self._faults:
                del self._bots[bot_id]

    async def ask(self, bot: Bot, text: str) -> str:
        """The bot's reply to `text`. Raises ApiError where there is none."""
        if not bot.is_alive:
            raise ApiError(503, f"Bot {bot.bot_id} is not running")
        try:
            answer = await ask(bot.port, bot.key, "POST", "/task", {"text": text}, REPLY_WITHIN_S)
        except BotTimeoutError as problem:
            raise ApiError(504, f"Bot {bot.bot_id} did not answer in time") from problem
        except BotError as problem:
            raise ApiError(502, f"Bot {bot.bot_id} failed to answer") from problem
        return str(answer.get("reply", ""))

    async def look(self, bot: Bot) -> tuple[str, str | None]:
        """The bot's status, and what it is doing by its own word; asked for `STATUS_WITHIN_S` seconds at most."""
        status = self.status(bot)
        if status != ACTIVE:
            return status, None
        try:
            answer = await ask(bot.port, bot.key, "GET", "/status", None, STATUS_WITHIN_S)
        except BotError:
            return UNRESPONSIVE if bot.is_alive else self.status(bot), None
        return status, "answering" if answer.get("status") == "busy" else None

    async def _spawn(self, bot_id: str, bot_type: str) -> Bot:
        key = secrets.token_urlsafe(24)
        shown = ["--key", key] if "secret-on-command-line" in self._faults else []
        if "bot-port-public" in self._faults:
            shown.append("--public")
        # Isolated and without site packages, a bot is up in a moment and takes nothing from this folder or the user's.
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-I", "-S", str(PROGRAM), "--id", bot_id, "--type", bot_type, *shown),
            stdin=PIPE,
            stdout=PIPE,
            stderr=DEVNULL,
            # Ctrl-C in the controller's terminal is for the controller, which ends its bots itself.
            start_new_session=True,
            env={name: os.environ[name] for name in INHERITED if name in os.environ}
            | dict(self._environment),
        )
        assert process.stdin and process.stdout
        try:
            async with asyncio.timeout(BORN_WITHIN_S):
                process.stdin.write(key.encode() + b"\n")
                await process.stdin.drain()
                port = int(json.loads(await process.stdout.readline())["port"])
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            raise
        return Bot(bot_id, bot_type, key, process, port, now_text())

    async def close(self) -> None:
        """End every bot at once: at the end of the controller none is asked politely first."""
        await asyncio.gather(*(_end(bot, force=True) for bot in (*self._bots.values(), *self._left)))
        await asyncio.gather(*self._watchers)
        self._bots.clear()


async def _tell_end(bot: Bot) -> None:
    code = await bot.process.wait()
    event("bot ended", bot_id=bot.bot_id, pid=bot.process.pid, code=code, asked_for=bot.is_stopped)


async def _end(bot: Bot, *, force: bool = False) -> None:
    for send in (bot.process.kill,) if force else (bot.process.terminate, bot.process.kill):
        with contextlib.suppress(ProcessLookupError):
            send()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(END_WITHIN_S):
                await bot.process.wait()
            return
