"""Rate limits: tried within their number, judged by what is answered, and never a FAIL for what was not seen."""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from websockets.asyncio.server import ServerConnection, serve

from checks.audit.rate_dodges import (
    health_is_exempt,
    limits_are_fair,
    limits_are_not_dodged,
    limits_are_per_route,
    limits_recover,
)
from checks.audit.rate_limits import limits_act, limits_are_declared, messages_are_limited
from checks.context import Context
from checks.model import Outcome, Reason, Verdict
from checks.target import Target
from tests.checks.audit.answering import Asked, Said, Server, answering, said
from tests.checks.audit.contexts import context_of, target_at

PATHS = {
    "/api/auth/login": "login",
    "/api/bot/stop": "stop",
    "/api/bots/status": "status",
    "/api/bots": "bots",
}
LIMITS = {"login": "3/60", "stop": "4/60", "status": "5/2"}
TOO_MANY = {"success": False, "error": "Too many requests"}


def limited(url: str, limits: Mapping[str, str], audit: Mapping[str, float] | None = None) -> Target:
    """The target at `url` whose contract declares these limits alone; `audit` are values of [audit]."""
    target = target_at(url, audit)
    operations = {
        name: msgspec.structs.replace(operation, limit=limits.get(name, ""))
        for name, operation in target.contract.operations.items()
    }
    contract = msgspec.structs.replace(target.contract, operations=operations)
    return msgspec.structs.replace(target, contract=contract)


@dataclass
class Controller:
    """Counts calls as `LIMITS` declares, unless it is told to misbehave."""

    status: int = 429
    retry_after: str = "0"
    factor: float = 1.0
    """Acts at so many times the declared number."""
    forgets: bool = True
    """Whether who waited is let in again."""
    by_path: bool = False
    by_header: str = ""
    is_shared: bool = False
    health_too: bool = False
    answer_s: float = 0.0
    usual: Said = field(default_factory=lambda: said({"success": False, "error": "not found"}, 404))
    calls: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    refused_at: dict[str, float] = field(default_factory=dict)

    async def answer(self, asked: Asked) -> Said:
        """One answer."""
        await asyncio.sleep(self.answer_s)
        name = next((name for start, name in PATHS.items() if asked.path.startswith(start)), "")
        if asked.path == "/health":
            is_over = self.health_too and any(asked.client in key for key in self.refused_at)
            return said(TOO_MANY, 429) if is_over else said({"status": "ok"})
        if name not in LIMITS:
            return self.usual
        client = asked.headers.get(self.by_header, asked.client) if self.by_header else asked.client
        key = f"{name} {'' if self.is_shared else client} {asked.path if self.by_path else ''}"
        at = self.refused_at.get(key)
        if at and self.forgets and time.monotonic() - at >= 0.05 and name == "status":
            self.calls[key] = 0
        self.calls[key] += 1
        if self.calls[key] <= int(LIMITS[name].partition("/")[0]) * self.factor:
            return self.usual
        self.refused_at.setdefault(key, time.monotonic())
        more = {"retry_after": self.retry_after} if self.retry_after else {}
        return said(
            TOO_MANY if self.status == 429 else {"detail": "Internal Server Error"}, self.status, **more
        )


@asynccontextmanager
async def tried(
    folder: Path, limits: Mapping[str, str] = LIMITS, **how: Any
) -> AsyncIterator[tuple[Context, Server]]:
    """The context of a run on a controller that behaves in that way."""
    async with (
        answering(Controller(**how).answer) as server,
        context_of(limited(server.url, limits), folder) as context,
    ):
        yield context, server


def judged(outcome: Outcome) -> tuple[Verdict, Reason]:
    """What is compared."""
    return outcome.verdict, outcome.reason


async def test_limits_that_act_as_declared_pass_every_check_with_few_requests(tmp_path: Path) -> None:
    async with tried(tmp_path) as (context, server):
        for check in (
            limits_act,
            limits_recover,
            limits_are_not_dodged,
            limits_are_per_route,
            health_is_exempt,
        ):
            outcome = await check(context)
            assert outcome.verdict is Verdict.PASS, outcome
        assert (await limits_are_fair(context)).verdict is Verdict.PASS
        assert context.http.meter.requests == len(server.asked)
    # A tenth more than is declared, one at least; then 4 headers, 1 other path, 1 after the wait, 6 and 2.
    assert len(server.asked) == (3 + 1) + (4 + 1) + (5 + 1) + 4 + 1 + 1 + 6 + 2
    clients = {one.client for one in server.asked}
    assert "127.0.0.1" not in clients, "the limits of real users were spent"


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ({"status": 500}, "answers 500 in place of 429"),
        ({"status": 503}, "answers 503 in place of 429"),
        ({"retry_after": ""}, "refuses without Retry-After"),
        ({"retry_after": "soon"}, "sends Retry-After “soon”"),
        ({"factor": 9}, "refused none of 4 calls (3 in 60 s are declared)"),
        ({"factor": 0.34}, "refuses after 1 calls already (3 in 60 s are declared)"),
    ],
)
async def test_a_limit_that_does_not_act_as_declared_fails(
    tmp_path: Path, how: dict[str, Any], text: str
) -> None:
    async with tried(tmp_path, **how) as (context, server):
        outcome = await limits_act(context)
        assert outcome.verdict is Verdict.FAIL
        assert f"login {text}" in outcome.summary
        assert server.count("login") <= 4


async def test_a_date_is_a_time_to_come_again_too(tmp_path: Path) -> None:
    async with tried(tmp_path, retry_after="Sun, 06 Nov 2044 08:49:37 GMT") as (context, _):
        assert (await limits_act(context)).verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("check", "how", "text"),
    [
        (limits_recover, {"forgets": False}, "status still refuses after"),
        (limits_are_not_dodged, {"by_header": "x-real-ip"}, "let in again with X-Real-IP"),
        (limits_are_not_dodged, {"by_header": "authorization"}, "another Authorization header"),
        (limits_are_per_route, {"by_path": True}, "The limit of stop is counted for each path"),
        (
            health_is_exempt,
            {"health_too": True},
            "5 of 5 health requests of a client over its limit were refused",
        ),
        (limits_are_fair, {"is_shared": True}, "refuses a client that has never called"),
        (
            limits_are_per_route,
            {"by_path": True, "status": 500},
            "The limit of stop is counted for each path",
        ),
    ],
)
async def test_what_a_limit_must_not_do_is_found_by_each_check_alone(
    tmp_path: Path, check: Any, how: dict[str, Any], text: str
) -> None:
    async with tried(tmp_path, **how) as (context, _):
        outcome = await check(context)
        assert (outcome.verdict, text in outcome.summary) == (Verdict.FAIL, True), outcome


async def test_a_controller_too_slow_to_reach_its_limit_is_not_judged(tmp_path: Path) -> None:
    async with tried(tmp_path, {"status": "5/0.1"}, answer_s=0.05) as (context, server):
        assert judged(await limits_act(context)) == (Verdict.INCONCLUSIVE, Reason.TIMEOUT)
        assert len(server.asked) <= 6


@pytest.mark.parametrize("status", [415, 422, 500])
async def test_calls_that_are_turned_away_before_the_limit_tell_nothing_of_it(
    tmp_path: Path, status: int
) -> None:
    usual = said({"detail": "no"}, status)
    async with tried(tmp_path, {"login": "3/60"}, factor=9, usual=usual) as (context, _):
        outcome = await limits_act(context)
        assert outcome.verdict is Verdict.INCONCLUSIVE
        assert f"turned away with {status}" in outcome.summary


async def test_a_great_limit_is_told_as_not_tried_and_the_others_are(tmp_path: Path) -> None:
    async with tried(tmp_path, {**LIMITS, "bots": "41/60"}) as (context, server):
        outcome = await limits_act(context)
        assert judged(outcome) == (Verdict.INCONCLUSIVE, Reason.SKIPPED)
        assert "bots (41 in 60 s are too many to try); 3 others act as declared" in outcome.summary
        assert not any(one.path == "/api/bots" for one in server.asked)


async def test_nothing_is_sent_to_a_host_without_leave(tmp_path: Path) -> None:
    async with context_of(target_at("http://192.0.2.1"), tmp_path) as context:
        for check in (
            limits_act,
            limits_recover,
            limits_are_not_dodged,
            limits_are_fair,
            messages_are_limited,
        ):
            assert judged(await check(context)) == (Verdict.INCONCLUSIVE, Reason.NO_RIGHT)
        assert context.http.meter.requests == 0


async def test_a_dead_controller_fails_nothing(tmp_path: Path) -> None:
    async with tried(tmp_path) as (context, server):
        dead = limited(server.url, LIMITS)
    async with context_of(dead, tmp_path) as context:
        assert judged(await limits_act(context)) == (Verdict.INCONCLUSIVE, Reason.UNREACHABLE)
        for check in (limits_recover, limits_are_not_dodged, limits_are_per_route, health_is_exempt):
            assert (await check(context)).verdict is Verdict.INCONCLUSIVE
        assert (await messages_are_limited(context)).verdict is Verdict.INCONCLUSIVE


async def test_what_is_declared_is_read_and_what_is_not_is_named(tmp_path: Path) -> None:
    async with context_of(target_at("http://127.0.0.1:9"), tmp_path) as context:
        outcome = await limits_are_declared(context)
    assert outcome.verdict is Verdict.FAIL
    assert "No rate limit is declared for ws_send" in outcome.summary
    async with context_of(limited("http://127.0.0.1:9", {}), tmp_path) as context:
        assert (await limits_are_declared(context)).verdict is Verdict.FAIL
        # Nothing declared is nothing that could act otherwise than declared.
        assert judged(await limits_act(context)) == (Verdict.INCONCLUSIVE, Reason.NO_SOURCE)
        assert context.http.meter.requests == 0


class Socket:
    """A WebSocket that takes `most` messages, and then does as it is told."""

    def __init__(self, most: int, after: str) -> None:
        self.most = most
        self.after = after
        self.messages = 0

    async def __call__(self, connection: ServerConnection) -> None:
        """Answer one client."""
        async for _ in connection:
            self.messages += 1
            if self.messages <= self.most:
                await connection.send(json.dumps({"type": "error", "message": "Bot BOT-429 not found"}))
            elif self.after == "closes":
                await connection.close(1008)
            elif self.after == "refuses":
                await connection.send(json.dumps({"type": "error", "message": "Rate limit exceeded"}))


@pytest.mark.parametrize(
    ("limit", "most", "after", "verdict", "sent"),
    [
        ("20/60", 20, "refuses", Verdict.PASS, 21),
        ("20/60", 20, "closes", Verdict.PASS, 21),
        ("20/60", 999, "", Verdict.FAIL, 22),
        ("20/60", 5, "refuses", Verdict.FAIL, 6),
        ("20/60", 20, "says nothing", Verdict.INCONCLUSIVE, 21),
        ("", 999, "", Verdict.FAIL, 40),
        ("", 30, "refuses", Verdict.PASS, 31),
        ("301/60", 999, "", Verdict.INCONCLUSIVE, 0),
    ],
)
async def test_messages_are_counted(
    tmp_path: Path, limit: str, most: int, after: str, verdict: Verdict, sent: int
) -> None:
    socket = Socket(most, after)
    async with serve(socket, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        target = limited(f"http://127.0.0.1:{port}", {"ws_send": limit})
        async with context_of(target, tmp_path) as context:
            outcome = await messages_are_limited(context)
    assert (outcome.verdict, socket.messages) == (verdict, sent), outcome
