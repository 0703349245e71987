"""What a run launched, so that it is stopped whatever happens: recorded before the launch, ticked off after."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from checks.controller import Controller, Reply
from checks.guard import Guard, StopRequest
from checks.model import Kind
from checks.probe.process import Identity, ProcessProbe
from checks.profile.template import fill_path
from checks.target import Target

Recorder = Callable[[Kind, str, dict[str, object]], object]
"""Appends an entry to the journal."""

KILL_AFTER_S = 3.0
"""How long a process that outlived its stop may take to obey SIGTERM."""


@dataclass(slots=True)
class Bot:
    """One bot that this run launched, or tried to."""

    bot_id: str
    pid: int | None = None
    port: int | None = None
    identity: Identity | None = None
    family: list[Identity] = field(default_factory=list)
    """What descended from it when it was stopped: it must not outlive the bot."""
    announced_at: float = field(default_factory=time.time)
    """Seconds since the epoch, before the launch was asked for."""
    is_stopped: bool = False


class Launches:
    """The launched bots of one run."""

    def __init__(
        self,
        target: Target,
        controller: Controller,
        processes: ProcessProbe,
        guard: Guard,
        record: Recorder,
        run: str,
    ) -> None:
        self._target = target
        self._controller = controller
        self._processes = processes
        self._guard = guard
        self._record = record
        self._run = run
        self.bots: dict[str, Bot] = {}

    def announce(self, bot_id: str) -> Bot:
        """Write down that `bot_id` is about to be launched; call before the request is sent."""
        self._record(Kind.LAUNCHING, bot_id, {"run": self._run, "bot_id": bot_id})
        self._guard.watch(stop_request(self._target, self._controller.token, bot_id))
        return self.bots.setdefault(bot_id, Bot(bot_id))

    def launched(self, bot: Bot) -> None:
        """The launch was answered with a success."""
        self._guard.launched(bot.bot_id)

    def stopped(self, bot: Bot, how: str) -> None:
        """Write down that nothing is left of `bot`."""
        if not bot.is_stopped:
            bot.is_stopped = True
            self._record(Kind.STOPPED, bot.bot_id, {"run": self._run, "bot_id": bot.bot_id, "how": how})
            self._guard.stopped(bot.bot_id)

    async def clean_up(self, within_s: float) -> list[str]:
        """Stop what is still there within `within_s` seconds; a sentence for each bot that could not be stopped."""
        deadline = time.monotonic() + within_s
        for bot in self.revived():
            bot.is_stopped, bot.identity = False, self.find(bot)
        pending = [bot for bot in self.bots.values() if not bot.is_stopped]
        problems = await asyncio.gather(*(self._stop(bot, deadline) for bot in pending))
        return [problem for problem in problems if problem]

    async def _stop(self, bot: Bot, deadline: float) -> str:
        self.remember_family(bot)
        left_s = max(0.2, deadline - time.monotonic())
        try:
            async with asyncio.timeout(left_s):
                reply = await self._controller.ask("stop", within_s=left_s, bot_id=bot.bot_id)
        except TimeoutError:
            return f"{bot.bot_id}: the stop request was not answered in time"
        if bot.identity is None:
            return await self._stop_unseen(bot, reply, deadline)
        if reply.ok:
            await ended(self._processes, bot.identity, deadline - KILL_AFTER_S - 1)
        outlived = [one for one in (bot.identity, *bot.family) if self._processes.is_alive(one)]
        for one in outlived:
            if problem := await end_process(self._processes, one, deadline - time.monotonic()):
                return f"{bot.bot_id}: {problem}"
        how = "its processes outlived the stop request and were ended by gonogo"
        self.stopped(bot, how if outlived else "stopped by request")
        return ""

    async def _stop_unseen(self, bot: Bot, reply: Reply, deadline: float) -> str:
        """The end of a bot whose process was not recognized: by our own eyes where it is on this host."""
        identity = self.find(bot)
        if identity is not None:
            if reply.ok:
                await ended(self._processes, identity, deadline - KILL_AFTER_S - 1)
            if self._processes.is_alive(identity):
                if problem := await end_process(self._processes, identity, deadline - time.monotonic()):
                    return f"{bot.bot_id}: {problem}"
                self.stopped(bot, "its process was ended by gonogo")
                return ""
        elif not (reply.ok or is_unknown(reply) or self._target.is_local):
            return f"{bot.bot_id}: {reply.problem}"
        how = "the controller did not know it" if is_unknown(reply) else "no process carries its id"
        self.stopped(bot, "stopped by request" if reply.ok else how)
        return ""

    def remember_family(self, bot: Bot) -> None:
        """Look, before the stop, at what descends from the bot's process."""
        if bot.identity is not None:
            known = set(bot.family)
            bot.family += [one for one in self._processes.children(bot.identity) if one not in known]

    def revived(self) -> list[Bot]:
        """Bots that were stopped and run again all the same."""
        return [bot for bot in self.bots.values() if bot.is_stopped and self.find(bot) is not None]

    def find(self, bot: Bot) -> Identity | None:
        """A process of this host that was born since the launch and carries the bot's id on its command line."""
        if not self._target.is_local:
            return None
        return self._processes.identity(self._processes.find(bot.bot_id, bot.announced_at))


async def end_process(processes: ProcessProbe, identity: Identity, within_s: float) -> str:
    """End that very process: SIGTERM, and SIGKILL after half of `within_s`; empty, or why it still runs."""
    why = ""
    for force in (False, True):
        why = processes.end(identity, force=force)
        if await ended(processes, identity, time.monotonic() + max(0.3, min(KILL_AFTER_S, within_s / 2))):
            return ""
    return f"process {identity.pid} is still running ({why or 'it survived SIGKILL'})"


async def ended(processes: ProcessProbe, identity: Identity, deadline: float) -> bool:
    """Whether that process is gone by `deadline` (monotonic seconds); looked at once at least."""
    pause_s = 0.02
    for _ in iter(lambda: processes.is_alive(identity), False):
        if time.monotonic() >= deadline:
            return False
        await asyncio.sleep(pause_s)
        pause_s = min(pause_s * 1.5, 0.2)
    return True


def is_unknown(reply: Reply) -> bool:
    """Whether the controller says that it does not know the bot: 404, or a refusal that says so."""
    if reply.answer.status in (404, 410):
        return True
    return not reply.ok and reply.answer.status is not None and "not found" in reply.told.lower()


def stop_request(target: Target, token: str, bot_id: str) -> StopRequest:
    """The stop operation of the contract as a plain request."""
    operation = target.contract.operations["stop"]
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return StopRequest(
        bot_id,
        operation.method,
        target.url + fill_path(operation.path, {"bot_id": bot_id}),
        headers,
        target.profile.target.ca_file,
    )
