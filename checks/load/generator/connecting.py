"""Connections of all clients: opened at a pace before the first leg, and again whenever a message needs one."""

from __future__ import annotations

import asyncio
import os
from collections import Counter

from checks.load.generator.client import OPENING, Client
from checks.load.generator.dialing import CannotStart, Dialer, kind_of, told
from checks.load.generator.judging import Examples
from checks.load.wire import Ready, Setup

MOST_PROBLEMS = 20


class Connector:
    """Opens connections; a task lives only as long as that takes."""

    def __init__(self, setup: Setup, examples: Examples) -> None:
        """Raises CannotStart."""
        self._setup, self._examples = setup, examples
        self._dialer = Dialer(setup)
        self._loop = asyncio.get_running_loop()
        self._opening: set[asyncio.Task[None]] = set()

    async def connect(self, clients: list[Client]) -> Ready:
        """Connect all of them at the pace that is set. Raises CannotStart where none can be."""
        await self._dialer.resolve()
        problems: Counter[str] = Counter()
        began, tasks = self._loop.time(), []
        for place, client in enumerate(clients):
            wait_s = began + place / max(0.1, self._setup.connects_per_s) - self._loop.time()
            if wait_s > 0:
                await asyncio.sleep(wait_s)
            tasks.append(asyncio.create_task(self._first(client, problems)))
        await asyncio.gather(*tasks)
        connected = len(clients) - sum(problems.values())
        if not connected:
            why = problems.most_common(1)[0][0]
            raise CannotStart(f"No user could connect to {self._dialer.where}: {why}")
        if left := len(self._setup.users) - len(clients):
            problems[f"no more than {self._setup.most_connections} connections are allowed"] = left
        return Ready(pid=os.getpid(), connected=connected, problems=dict(problems.most_common(MOST_PROBLEMS)))

    def open(self, client: Client) -> None:
        """Open one for the message of this client, which is told what came of it."""
        task = self._loop.create_task(self._again(client))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    def close(self) -> None:
        """Open no more."""
        for task in self._opening:
            task.cancel()

    async def _first(self, client: Client, problems: Counter[str]) -> None:
        try:
            client.opened(await self._dialer.dial(client))
        except (OSError, TimeoutError) as problem:
            problems[self._examples.clean(told(problem))] += 1

    async def _again(self, client: Client) -> None:
        try:
            link = await self._dialer.dial(client)
        except (OSError, TimeoutError) as problem:
            if client.state == OPENING:
                client.failed(kind_of(problem), f"no connection: {told(problem)}", is_reply=False)
            return
        client.opened(link)
