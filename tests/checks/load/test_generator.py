"""The engine's schedule, users, seconds and ends against a target on loopback."""

from __future__ import annotations

import asyncio
import itertools
import ssl
from array import array
from pathlib import Path

import pytest

from checks.load.generator.dialing import CannotStart, Dialer
from checks.load.generator.engine import Engine
from checks.load.histogram import Histogram
from checks.load.model import Channel, Failure
from checks.load.wire import Halt, Ready, User
from console.demo.settings import Settings
from console.demo.tls import server_context, write_certificate
from tests.checks.load.engines import Run, check, closed, opened, run, setup
from tests.checks.load.manners import BOT, Target, served


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
    assert Histogram(leg.lag_bins).quantiles(0.7)[0] < 50_000, (
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
    gaps = [after - before for before, after in itertools.pairwise(target.times)]
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
        found = await run(trusted, opened(400, 0.01))
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
        found = await run(setup(target.port, users=own), opened(400, 0.01))
    assert found.legs[0].ok == 4
    assert target.peers == {"127.7.0.1", "127.7.0.2"}


async def test_a_plain_run_keeps_no_numbers() -> None:
    async with served(Target("wrong message")) as target:
        found = await run(setup(target.port, is_plain=True), opened(400, 0.01))
        assert (found.legs[0].ok, found.failures) == (4, {})
    async with served(Target("missing")) as target:
        found = await run(setup(target.port, is_plain=True), opened(400, 0.01))
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
    async def made() -> ssl.SSLContext | None:
        return Dialer(setup(1, url="https://127.0.0.1"))._tls

    context = asyncio.run(made())
    assert context is not None
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_REQUIRED, True)
