"""A target that the test steers, a webhook that keeps what it is sent, and watches of them; all on loopback."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from checks.events import BoardTold, Event, Notice
from checks.model import utc_now
from checks.monitoring.board import Board
from checks.monitoring.model import Reading
from checks.monitoring.watching import Watching
from checks.profile.read import load_target
from checks.target import Target
from tests.checks.servers import http, listening

PROFILE = """
[target]
url = "http://127.0.0.1:{port}"
name = "Steered"

[contract]
metrics = "/metrics"

[monitoring]
interval_s = 0.2

[contacts.on-call]
person = "Ada"
url_env = "TEST_ON_CALL"

[contacts.lead]
person = "Grace"
url_env = "TEST_LEAD"

[escalation]
critical = ["on-call", "lead {second}s"]
warning = ["on-call"]

[thresholds.error-rate]
window_s = 2.0
for_s = 0.6
keep_firing_s = 0.0
least_events = 5

[thresholds.target-up]
for_s = 0.4
no_data_s = 5.0
"""
OFF = (
    "host-memory",
    "target-memory",
    "host-cpu",
    "disk-use",
    "descriptors",
    "restarts",
    "burn-fast",
    "burn-slow",
)
"""What depends on the machine that the test runs on."""


@dataclass(slots=True)
class Steered:
    """A controller: every look at its metrics adds `good` and `bad` requests."""

    good: int = 100
    bad: int = 0
    is_healthy: bool = True
    totals: list[int] = field(default_factory=lambda: [1000, 0])

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        head = await reader.readuntil(b"\r\n\r\n")
        path = head.split()[1].decode()
        if path == "/metrics":
            self.totals[0] += self.good
            self.totals[1] += self.bad
            body = (
                f'http_requests_total{{status="200"}} {self.totals[0]}\n'
                f'http_requests_total{{status="500"}} {self.totals[1]}\n'
            )
            writer.write(http(body.encode(), kind="text/plain; version=0.0.4"))
        elif path == "/health" and self.is_healthy:
            writer.write(http(b'{"status":"ok","success":true}'))
        else:
            writer.write(http(b'{"success":false,"error":"no"}', status="503 Service Unavailable"))
        await writer.drain()


@dataclass(slots=True)
class Webhook:
    """Keeps the titles of what it is sent, by the last part of the path."""

    got: list[tuple[str, str]] = field(default_factory=list)
    status: str = "200 OK"
    pause_s: float = 0.0

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one message."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        length = next(
            int(line.partition(":")[2])
            for line in head.split("\r\n")
            if line.lower().startswith("content-length")
        )
        body = json.loads(await reader.readexactly(length))
        await asyncio.sleep(self.pause_s)
        if self.status.startswith("2"):
            self.got.append((head.split()[1].rpartition("/")[2], f"{body['title']}\n{body['message']}"))
        writer.write(http(b"{}", status=self.status))
        await writer.drain()

    def of(self, contact: str, word: str) -> list[str]:
        """What a contact got whose text has `word`."""
        return [text for to, text in self.got if to == contact and word in text]


@dataclass(slots=True)
class Seen:
    """What a watch told."""

    boards: list[Board] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)

    def __call__(self, event: Event) -> None:
        """Listener."""
        if isinstance(event, BoardTold):
            self.boards = [*self.boards[-50:], event.board]
        elif isinstance(event, Notice):
            self.notices.append(event.text)

    @property
    def board(self) -> Board:
        """The newest."""
        return self.boards[-1]

    def state(self, threshold: str) -> str:
        """The word of a threshold's state, empty before the first look."""
        row = self.board.row(threshold) if self.boards else None
        return row.state if row else ""


@asynccontextmanager
async def steered(tmp_path: Path, *, second_s: int = 60) -> AsyncIterator[tuple[Steered, Webhook, Target]]:
    """A steered target with its profile, and the webhook that both contacts are told by."""
    target, webhook = Steered(), Webhook()
    async with listening(target.talk) as port, listening(webhook.talk) as hook:
        off = "".join(f"\n[thresholds.{name}]\nis_on = false\n" for name in OFF)
        path = tmp_path / "gonogo.toml"
        path.write_text(PROFILE.format(port=port, second=second_s) + off, "utf-8")
        environment = {
            "TEST_ON_CALL": f"json://127.0.0.1:{hook}/on-call",
            "TEST_LEAD": f"json://127.0.0.1:{hook}/lead",
        }
        yield target, webhook, load_target(path, environment)


@asynccontextmanager
async def watching(
    target: Target, review: Path, who: str = "ada@host"
) -> AsyncIterator[tuple[Watching, Seen]]:
    """A watch that goes on until the end of the block."""
    review.mkdir(exist_ok=True)  # noqa: ASYNC240 - before anything runs
    seen = Seen()
    nothing = Reading(None, applies=False)
    watch = Watching(target, review, seen, standing=lambda: nothing, who=who, clock=utc_now)
    task = asyncio.create_task(watch.run())
    try:
        yield watch, seen
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def until(is_so: Callable[[], bool], told: Callable[[], object], within_s: float = 20.0) -> None:
    """Wait until something is so; what `told` gives is said where it does not come to be."""
    deadline = time.monotonic() + within_s
    while not is_so():
        assert time.monotonic() < deadline, told()
        await asyncio.sleep(0.02)
