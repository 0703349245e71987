"""Each message ends once, as what it is, whatever the target does."""

from __future__ import annotations

import asyncio

import pytest

from checks.load.generator.engine import Engine
from checks.load.model import Channel, Failure
from checks.load.wire import Finish
from tests.checks.load.engines import TOKEN, Run, opened, run, setup
from tests.checks.load.manners import MOST_SENT, Target, said, served


@pytest.mark.parametrize(
    "manner", ["good", "in pieces", "chunked", "closing", "until the end", "continue first"]
)
async def test_every_form_of_a_good_answer_is_one(manner: str) -> None:
    async with served(Target(manner)) as target:
        found = await run(setup(target.port, 2), opened(400, 0.01))
    assert (found.legs[0].ok, found.failures) == (4, {})
    assert found.done is not None
    assert found.done.unanswered == {}
    assert found.done.sent == {"u0": 2, "u1": 2}
    assert [text.split()[:4] for text in sorted(target.texts)] == [
        ["gonogo", "load", user, number] for user in ("u0", "u1") for number in ("1", "2")
    ]
    assert {len(text) for text in target.texts} == {120}
    assert all(f"Authorization: Bearer {TOKEN}" in head for head in target.heads)


@pytest.mark.parametrize("manner", ["good", "in pieces", "fragments", "typing first"])
async def test_every_form_of_a_good_frame_is_one(manner: str) -> None:
    async with served(Target(manner, greeting=said("welcome"))) as target:
        found = await run(setup(target.port, 2, Channel.WEBSOCKET), opened(400, 0.01))
    assert (found.legs[0].ok, found.failures) == (4, {})
    assert target.connections == 2
    assert target.heads[0].startswith("GET /ws?token=s3cr3t%2B%2F%3D HTTP/1.1")


@pytest.mark.parametrize(
    ("manner", "kind", "seen"),
    [
        ("limited", Failure.THROTTLED, "HTTP 429"),
        ("limited in a 200", Failure.THROTTLED, "Rate limit"),
        ("too many clients", Failure.REFUSED, "too many clients"),
        ("broken", Failure.SERVER_ERROR, "HTTP 500: oops"),
        ("missing", Failure.REFUSED, "HTTP 404"),
        ("redirect", Failure.REFUSED, "HTTP 302"),
        ("unsuccessful", Failure.REFUSED, "false"),
        ("token", Failure.REFUSED, "bad token ***"),
        ("no json", Failure.PROTOCOL, "no JSON"),
        ("too deep", Failure.PROTOCOL, "no JSON"),
        ("textless", Failure.PROTOCOL, "without"),
        ("wrong message", Failure.WRONG_MESSAGE, "u9 7"),
        ("wrong number", Failure.WRONG_MESSAGE, "u0 11"),
        ("wrong bot", Failure.WRONG_BOT, "BOT-2"),
        ("half", Failure.CLOSED, "before the reply was whole"),
        ("closed", Failure.CLOSED, "before the reply was whole"),
        ("reset", Failure.CLOSED, "before the reply was whole"),
        ("garbage", Failure.PROTOCOL, "no HTTP answer"),
        ("upgrade", Failure.PROTOCOL, "changes the protocol"),
        ("silent", Failure.NO_REPLY, "nothing came within 0.2 s"),
        ("slow drip", Failure.NO_REPLY, "nothing came within 0.2 s"),
        ("gigabyte", Failure.TOO_LARGE, "bytes of a reply"),
        ("headers", Failure.TOO_LARGE, "bytes of a reply"),
        ("one header", Failure.TOO_LARGE, "bytes of a reply"),
        ("chunks", Failure.TOO_LARGE, "bytes of a reply"),
    ],
)
async def test_every_bad_answer_is_counted_by_its_kind(manner: str, kind: Failure, seen: str) -> None:
    async with served(Target(manner)) as target:
        found = await run(setup(target.port), opened(200, 0.005))
    assert found.failures == {kind: 1}
    assert found.done is not None
    assert seen in found.done.examples[kind]
    assert found.done.unanswered == {"u0": [1]}
    assert len(target.texts) == 1, "never a second try, and no redirect followed"
    assert target.flooded < MOST_SENT / 4, "a flood is cut off"


@pytest.mark.parametrize(
    ("manner", "kind", "seen"),
    [
        ("limited", Failure.THROTTLED, "Rate limit"),
        ("error", Failure.REFUSED, "Bot not found"),
        ("unsuccessful", Failure.REFUSED, "false"),
        ("no json", Failure.PROTOCOL, "hello"),
        ("wrong message", Failure.WRONG_MESSAGE, "u9 7"),
        ("wrong bot", Failure.WRONG_BOT, "BOT-2"),
        ("closed", Failure.CLOSED, "1008 no"),
        ("cut", Failure.CLOSED, "closed before the reply"),
        ("reset", Failure.CLOSED, "before the reply"),
        ("garbage", Failure.PROTOCOL, "no WebSocket message"),
        ("silent", Failure.NO_REPLY, "nothing came within 0.2 s"),
        ("gigabyte", Failure.TOO_LARGE, "too long"),
        ("endless fragments", Failure.PROTOCOL, "none of them was a reply"),
        ("empty fragments", Failure.PROTOCOL, "none of them was a reply"),
        ("pings", Failure.PROTOCOL, "none of them was a reply"),
    ],
)
async def test_every_bad_frame_is_counted_by_its_kind(manner: str, kind: Failure, seen: str) -> None:
    async with served(Target(manner)) as target:
        found = await run(setup(target.port, 1, Channel.WEBSOCKET), opened(200, 0.005))
    assert found.failures == {kind: 1}
    assert found.done is not None
    assert seen in found.done.examples[kind]
    assert found.done.unanswered == {"u0": [1]}
    assert target.flooded < MOST_SENT / 4


@pytest.mark.parametrize("channel", [Channel.REST, Channel.WEBSOCKET])
@pytest.mark.parametrize("manner", ["twice", "twice, later"])
async def test_a_second_reply_is_counted_beside_the_first(channel: Channel, manner: str) -> None:
    async with served(Target(manner)) as target:
        found = await run(setup(target.port, 1, channel), opened(10, 0.3))
    assert found.legs[0].ok == 3
    assert found.done is not None
    # The last one may come when the run is over.
    assert found.done.doubled == found.failures[Failure.DOUBLED] in (2, 3)


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("429 Too Many Requests", Failure.THROTTLED),
        ("503 Service Unavailable", Failure.SERVER_ERROR),
        ("403 Forbidden", Failure.UNREACHABLE),
    ],
)
async def test_a_refused_handshake_is_no_message_that_was_sent(status: str, kind: Failure) -> None:
    target = Target("closed")
    async with served(target):
        engine_setup = setup(target.port, 1, Channel.WEBSOCKET)
        found = Run()
        engine = Engine(engine_setup, found.take)
        await engine.prepare()
        target.handshake = status
        engine.take(opened(20, 0.1))  # the first is closed on, the second needs a new connection
        engine.take(Finish())
        engine.begin()
        async with asyncio.timeout(5):
            await engine.is_done.wait()
        engine.close()
        await asyncio.sleep(0.02)
    assert found.failures == {Failure.CLOSED: 1, kind: 1}
    assert found.done is not None
    assert found.done.sent == {"u0": 1}
    assert f"HTTP {status[:3]}" in found.done.examples[kind]
