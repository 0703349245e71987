"""Running the engine in a test: orders as a console gives them, and what must hold for whatever it reports."""

from __future__ import annotations

import asyncio
from array import array
from dataclasses import dataclass, field

from checks.load.generator.engine import Engine
from checks.load.histogram import Histogram
from checks.load.model import Arrival, Channel, Failure, Part
from checks.load.wire import Done, Exchange, Finish, Leg, LegDone, Report, Setup, Tick, User
from tests.checks.load.manners import BOT

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
