"""The engine against targets of every manner, on loopback: each message ends once, as what it is, and timed rightly."""

from __future__ import annotations

import asyncio
import ssl
from array import array
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from checks.load.generator.dialing import CannotStart
from checks.load.generator.engine import Engine
from checks.load.histogram import Histogram
from checks.load.model import Arrival, Channel, Failure, Part
from checks.load.wire import Done, Exchange, Finish, Halt, Leg, LegDone, Ready, Report, Setup, Tick, User
from console.demo.settings import Settings
from console.demo.tls import server_context, write_certificate
from tests.checks.load.manners import BOT, MOST_SENT, Target, said, served

TOKEN = "s3cr3t+/="
REST = Exchange(
    path="/api/{bot_id}/task",
    body={"command": "{text}"},
    success="success",
    errors=("error", "message"),
    text="response",
    bot="bot_id",
)
SOCKET = Exchange(
    path="/ws?token={token}",
    body={"type": "query", "query": "{text}", "bot_id": "{bot_id}"},
    success="success",
    errors=("error", "message"),
    kind="type",
    answer_kinds=("response", "error"),
    text="content",
    bot="bot_id",
)


@dataclass
class Run:
    """What the engine reported."""

    ticks: list[Tick] = field(default_factory=list)
    legs: list[LegDone] = field(default_factory=list)
    done: Done | None = None

    def take(self, report: Report) -> None:
        if isinstance(report, Tick):
            self.ticks.append(report)
        elif isinstance(report, LegDone):
            self.legs.append(report)
        elif isinstance(report, Done):
            self.done = report

    @property
    def failures(self) -> dict[str, int]:
        return {kind: count for leg in self.legs for kind, count in leg.failures.items()}


def users(count: int, channel: Channel = Channel.REST, **more: str) -> tuple[User, ...]:
    return tuple(
        User(name=f"u{place}", channel=channel, bot_id=BOT, token=TOKEN, **more) for place in range(count)
    )


def setup(port: int, count: int = 1, channel: Channel = Channel.REST, **more: object) -> Setup:
    given: dict[str, object] = {
        "url": f"http://127.0.0.1:{port}",
        "users": users(count, channel),
        "rest": REST,
        "websocket": SOCKET,
        "is_echo": True,
        "reply_within_s": 0.2,
        "connect_within_s": 2.0,
        "drain_s": 2.0,
        "connects_per_s": 10_000.0,
    }
    return Setup(**{**given, **more})  # type: ignore[arg-type]


def opened(rate: float, seconds: float, end: float | None = None) -> Leg:
    until = rate if end is None else end
    return Leg(part=Part.HOLD, seconds=seconds, arrival=Arrival.CONSTANT, rate_from=rate, rate_to=until)


def closed(count: int, seconds: float, end: int | None = None) -> Leg:
    until = count if end is None else end
    return Leg(part=Part.HOLD, seconds=seconds, arrival=Arrival.CLOSED, users_from=count, users_to=until)


async def run(order: Setup, *legs: Leg, within_s: float = 10.0) -> Run:
    """Everything that the engine reports about these legs; what must hold for each of them is asserted here."""
    found = Run()
    engine = Engine(order, found.take)
    try:
        async with asyncio.timeout(within_s):
            await engine.prepare()
            for leg in legs:
                engine.take(leg)
            engine.take(Finish())
            engine.begin()
            await engine.is_done.wait()
    finally:
        engine.close()
        await asyncio.sleep(0.02)  # transports say goodbye
    for leg_done in found.legs:
        check(leg_done)
    assert found.done is not None
    assert sum(found.done.sent.values()) == sum(leg.sent for leg in found.legs)
    assert sum(tick.sent for tick in found.ticks) == sum(leg.sent for leg in found.legs)
    assert sum(tick.due for tick in found.ticks) == sum(leg.due for leg in found.legs)
    assert TOKEN not in repr(found.done)
    return found


def check(leg: LegDone) -> None:
    """Every message that was due has ended once, and was timed once."""
    failed = sum(count for kind, count in leg.failures.items() if kind != Failure.DOUBLED)
    assert leg.ok + failed == leg.due
    assert leg.due == leg.sent + leg.failures.get(Failure.UNSENT, 0) + leg.failures.get(
        Failure.UNREACHABLE, 0
    )
    samples = array("q")
    samples.frombytes(leg.latency)
    assert len(samples) == leg.due == sum(leg.latency_bins.values()) == sum(leg.lag_bins.values())
    exact = Histogram()
    exact.record_all(samples)
    assert exact.counted() == leg.latency_bins


@pytest.mark.parametrize(
    "manner", ["good", "in pieces", "chunked", "closing", "until the end", "continue first"]
)
async def test_every_form_of_a_good_answer_is_one(manner: str) -> None:
    async with served(Target(manner)) as target:
        found = await run(setup(target.port, 2), opened(40, 0.1))
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
        found = await run(setup(target.port, 2, Channel.WEBSOCKET), opened(40, 0.1))
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
        found = await run(setup(target.port), opened(20, 0.05))
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
        found = await run(setup(target.port, 1, Channel.WEBSOCKET), opened(20, 0.05))
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


async def test_nobody_there_is_told_in_one_sentence() -> None:
    target = Target()
    async with served(target):
        pass
    for url in (f"http://127.0.0.1:{target.port}", f"http://localhost:{target.port}"):
        engine = Engine(setup(0, url=url), Run().take)
        with pytest.raises(CannotStart, match=r"^No user could connect to \S+: connection refused$"):
            await engine.prepare()
        engine.close()


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"url": "ftp://x"}, "not http"),
        ({"url": "http://[::1"}, "cannot be used"),
        ({"users": ()}, "no users"),
        ({"ca_file": "/nowhere", "url": "https://127.0.0.1"}, "ca_file"),
        ({"users": (User(name="u", channel=Channel.REST, bot_id="b", token="a\r\nb"),)}, "token"),
    ],
)
async def test_a_setup_that_cannot_be_used_is_told(more: dict[str, object], why: str) -> None:
    with pytest.raises(CannotStart, match=why) as problem:
        Engine(setup(1, **more), Run().take)  # type: ignore[arg-type]
    assert "a\r\nb" not in str(problem.value)


async def test_a_stall_shows_in_the_latency_and_not_in_the_service_of_those_that_waited() -> None:
    async with served(Target(stall=(3, 0.3))) as target:
        found = await run(setup(target.port, 1, reply_within_s=2.0), opened(50, 0.5))
    leg = found.legs[0]
    assert (leg.due, leg.sent, leg.ok) == (25, 25, 25)
    latency, service = Histogram(leg.latency_bins), Histogram(leg.service_bins)
    # 15 messages were due while the third was not answered: the first of them waited for nearly all of it.
    assert 12 <= leg.waited <= 20
    assert latency.above(100_000) >= 9
    assert service.above(100_000) == 1
    assert Histogram(leg.lag_bins).quantiles(0.9)[0] < 50_000, (
        "waiting for the target is not the generator's lateness"
    )


async def test_what_finds_no_free_connection_in_time_ends_as_unsent_with_the_time_it_waited() -> None:
    async with served(Target("silent")) as target:
        found = await run(setup(target.port, 1, reply_within_s=0.2), opened(50, 0.2))
    leg = found.legs[0]
    assert leg.failures[Failure.UNSENT] + leg.failures[Failure.NO_REPLY] == leg.due == 10
    assert leg.failures[Failure.UNSENT] >= 5
    samples = array("q")
    samples.frombytes(leg.latency)
    assert 190_000 < min(samples) < 300_000


async def test_a_closed_loop_waits_for_its_replies_and_counts_users() -> None:
    async with served(Target(delay_s=0.05)) as target:
        found = await run(setup(target.port, 4), closed(4, 0.4))
    leg = found.legs[0]
    assert 4 * 5 <= leg.due == leg.sent == leg.ok <= 4 * 9
    assert Histogram(leg.latency_bins).quantiles(0.5)[0] >= 50_000


async def test_users_come_and_go_and_think() -> None:
    async with served(Target()) as target:
        order = setup(target.port, 8, think_min_s=10.0, think_max_s=10.0)
        found = await run(order, closed(0, 0.2, end=8), closed(8, 0.1), closed(8, 0.1, end=0))
    assert [leg.due for leg in found.legs] == [8, 0, 0], "each sends once and thinks"
    assert found.done is not None
    assert set(found.done.sent.values()) == {1}


async def test_a_user_that_nothing_answers_does_not_run_wild() -> None:
    async with served(Target("closed")) as target:
        found = await run(setup(target.port, 1), closed(1, 0.35))
    assert found.failures[Failure.CLOSED] <= 5


async def test_legs_follow_without_a_gap_and_keep_their_own_messages() -> None:
    async with served(Target(delay_s=0.08)) as target:
        found = await run(setup(target.port, 40), opened(100, 0.3), opened(100, 0.3), opened(200, 0.2, end=0))
    assert [(leg.place, leg.due, leg.ok) for leg in found.legs] == [(0, 30, 30), (1, 30, 30), (2, 20, 20)]
    assert [leg.seconds for leg in found.legs] == [0.3, 0.3, 0.2]
    gaps = [after - before for before, after in zip(target.times, target.times[1:], strict=False)]
    assert max(gaps[20:40]) < 0.08, "the second leg begins where the first ends"


async def test_seconds_are_whole_and_counted_from_the_beginning() -> None:
    async with served(Target()) as target:
        found = await run(setup(target.port, 4), opened(20, 1.2))
    assert [(tick.second, tick.due, tick.ok) for tick in found.ticks] == [(0, 20, 20), (1, 4, 4)]
    first, last = found.ticks
    assert first.wall_s == pytest.approx(1.0, abs=0.2)
    assert last.started_at - first.started_at == pytest.approx(1.0)
    assert last.wall_s < 0.5, "the last one ends with the run, and says so"
    assert 0 < first.cpu_s < first.wall_s


async def test_no_leg_sends_more_than_the_hard_ceiling() -> None:
    async with served(Target()) as target:
        found = await run(setup(target.port, 10, most_per_s=50.0), opened(1000, 0.4))
        assert found.legs[0].due == 20
        found = await run(setup(target.port, 10, most_per_s=50.0), closed(10, 0.4))
    assert 15 <= found.legs[0].sent <= 24


async def test_a_halt_sends_nothing_more_and_tells_what_was() -> None:
    async with served(Target(delay_s=0.05)) as target:
        found = Run()
        engine = Engine(setup(target.port, 20), found.take)
        await engine.prepare()
        engine.take(opened(100, 30))
        engine.take(opened(100, 30))
        engine.begin()
        await target.asked(10)
        engine.take(Halt(drain_s=1.0))
        engine.take(opened(100, 30))
        count = engine.clients and sum(client.number for client in engine.clients)
        async with asyncio.timeout(2):
            await engine.is_done.wait()
        engine.close()
        await asyncio.sleep(0.02)
    check(found.legs[0])
    assert len(found.legs) == 1
    assert len(target.texts) == found.legs[0].ok == count
    assert found.legs[0].seconds < 2


async def test_a_halt_does_not_wait_for_a_target_that_is_silent() -> None:
    async with served(Target("silent")) as target:
        found = Run()
        engine = Engine(setup(target.port, 2, reply_within_s=60.0), found.take)
        await engine.prepare()
        engine.take(opened(100, 30))
        engine.begin()
        await target.asked(2)
        engine.take(Halt(drain_s=0.1))
        async with asyncio.timeout(1):
            await engine.is_done.wait()
        engine.close()
        await asyncio.sleep(0.02)
    check(found.legs[0])
    assert found.failures[Failure.NO_REPLY] == 2


@pytest.mark.parametrize("channel", [Channel.REST, Channel.WEBSOCKET])
async def test_tls_with_an_authority_of_its_own(tmp_path: Path, channel: Channel) -> None:
    settings = Settings(tmp_path, frozenset(), "u", "p", "secret", "sqlite:///x")
    write_certificate(settings)
    async with served(Target(), server_context(settings)) as target:
        trusted = setup(
            target.port, 2, channel, url=f"https://127.0.0.1:{target.port}", ca_file=str(settings.ca_file)
        )
        found = await run(trusted, opened(40, 0.1))
        assert (found.legs[0].ok, found.failures) == (4, {})
        untrusted = setup(target.port, 1, channel, url=f"https://127.0.0.1:{target.port}")
        engine = Engine(untrusted, Run().take)
        with pytest.raises(CannotStart, match="certificate is not trusted"):
            await engine.prepare()
        engine.close()


async def test_users_come_from_their_own_addresses() -> None:
    async with served(Target()) as target:
        own = tuple(
            User(name=f"u{place}", channel=channel, bot_id=BOT, local_address=f"127.7.0.{place + 1}")
            for place, channel in enumerate((Channel.REST, Channel.WEBSOCKET))
        )
        found = await run(setup(target.port, users=own), opened(40, 0.1))
    assert found.legs[0].ok == 4
    assert target.peers == {"127.7.0.1", "127.7.0.2"}


async def test_a_plain_run_keeps_no_numbers() -> None:
    async with served(Target("wrong message")) as target:
        found = await run(setup(target.port, is_plain=True), opened(40, 0.1))
        assert (found.legs[0].ok, found.failures) == (4, {})
    async with served(Target("missing")) as target:
        found = await run(setup(target.port, is_plain=True), opened(40, 0.1))
    assert found.done is not None
    assert (found.done.unanswered, found.failures) == ({}, {Failure.REFUSED: 4})


async def test_connections_are_opened_at_a_pace_and_up_to_a_bound() -> None:
    async with served(Target()) as target:
        engine = Engine(setup(target.port, 8, most_connections=6, connects_per_s=50.0), Run().take)
        loop = asyncio.get_running_loop()
        began = loop.time()
        ready: Ready = await engine.prepare()
        took = loop.time() - began
        engine.close()
        await asyncio.sleep(0.02)
    assert ready.connected == target.connections == 6
    assert ready.problems == {"no more than 6 connections are allowed": 2}
    assert took >= 0.1


def test_tls_contexts_verify() -> None:
    from checks.load.generator.dialing import Dialer

    async def made() -> ssl.SSLContext | None:
        return Dialer(setup(1, url="https://127.0.0.1"))._tls

    context = asyncio.run(made())
    assert context is not None
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
