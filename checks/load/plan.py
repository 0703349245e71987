"""From a scenario and a target to what a generator is told: users, exchanges and legs. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from checks.load.capacity import longest_s
from checks.load.model import Arrival, Channel, Part, Scenario
from checks.load.wire import Exchange, Leg, Setup, User
from checks.target import LoadSection, Target

USERS_PER_NET = 250
"""Loopback addresses of one third octet that are used, from .1 on."""
MOST_OF_LIMIT = 0.5
"""A client of an open scenario sends at most this share of the limit that is declared for one."""
ALL_OF_THEM_S = 10.0
"""In this time all connections are opened."""


@dataclass(frozen=True, slots=True)
class Account:
    """What one virtual user is known by."""

    token: str = ""


def users_of(
    scenario: Scenario, target: Target, *, bots: Sequence[str], accounts: Sequence[Account], nonce: str
) -> tuple[User, ...]:
    """The virtual users, spread over bots, channels and, on loopback, over addresses of their own."""
    net = 1 + int(nonce[:4], 16) % 200
    has_addresses = target.host in ("127.0.0.1", "localhost")
    found = []
    for place in range(clients(scenario, target)):
        found.append(
            User(
                name=f"u{place + 1:04d}",
                channel=_channel(scenario.channel, place),
                # Turned by one with each round of channels, so that every bot is asked over both.
                bot_id=bots[(place + place // len(bots)) % len(bots)],
                token=accounts[place % len(accounts)].token if accounts else "",
                local_address=f"127.{net}.{80 + place // USERS_PER_NET}.{1 + place % USERS_PER_NET}"
                if has_addresses
                else "",
            )
        )
    return tuple(found)


def _channel(channel: Channel, place: int) -> Channel:
    if channel is not Channel.BOTH:
        return channel
    return Channel.REST if place % 2 else Channel.WEBSOCKET


def clients(scenario: Scenario, target: Target) -> int:
    """How many users, or clients of an open scenario: enough that none comes near the limit declared for one."""
    if scenario.arrival is Arrival.CLOSED:
        return scenario.users
    rate = max(scenario.rate_per_s, scenario.most_rate_per_s)
    limits = [
        limit
        for name in ("ws_send", "send")
        if (limit := declared_per_s(target.contract.operations[name].limit))
    ]
    needed = math.ceil(rate / (MOST_OF_LIMIT * min(limits))) if limits else 0
    return min(max(scenario.users, needed), target.profile.load.most_users)


def declared_per_s(limit: str) -> float:
    """Calls a second of a declared limit (`60/6`); 0 where none is declared."""
    calls, _, seconds = limit.partition("/")
    return float(calls) / float(seconds) if seconds else 0.0


def refused(scenario: Scenario, section: LoadSection) -> str:
    """Why this scenario is beyond the profile's ceilings, without a full stop; empty where it is not."""
    rate = max(scenario.rate_per_s, scenario.most_rate_per_s)
    for what, asked, most, key in (
        ("users", scenario.users, section.most_users, "most_users"),
        ("messages a second", rate, section.most_per_s, "most_per_s"),
        ("seconds", seconds_of(scenario), section.most_s, "most_s"),
    ):
        if asked > most:
            return f"{scenario.name} asks for {asked:g} {what}, more than [load] {key} = {most:g} allows"
    return ""


def seconds_of(scenario: Scenario) -> float:
    """How long the schedule takes; of a capacity search, the longest that it may take."""
    if scenario.is_capacity:
        return longest_s(scenario)
    return scenario.ramp_s + scenario.hold_s + scenario.ramp_down_s


def legs(scenario: Scenario) -> tuple[Leg, ...]:
    """Ramp, hold and ramp down; those of no length are left out."""
    users, rate = scenario.users, scenario.rate_per_s
    is_closed = scenario.arrival is Arrival.CLOSED
    found = []
    for part, seconds, begin, end in (
        (Part.RAMP, scenario.ramp_s, 0.0, 1.0),
        (Part.HOLD, scenario.hold_s, 1.0, 1.0),
        (Part.RAMP_DOWN, scenario.ramp_down_s, 1.0, 0.0),
    ):
        if seconds > 0:
            found.append(
                Leg(
                    part=part,
                    seconds=seconds,
                    arrival=scenario.arrival,
                    users_from=round(users * begin) if is_closed else 0,
                    users_to=round(users * end) if is_closed else 0,
                    rate_from=0.0 if is_closed else rate * begin,
                    rate_to=0.0 if is_closed else rate * end,
                )
            )
    return tuple(found)


def setup(scenario: Scenario, target: Target, *, users: tuple[User, ...], marker: str, seed: int) -> Setup:
    """What the generator is told first."""
    contract, section = target.contract, target.profile.load
    rest, frame = contract.operations["send"], contract.operations["ws_send"]
    return Setup(
        url=target.url,
        ca_file=target.profile.target.ca_file,
        users=users,
        rest=Exchange(
            method=rest.method,
            path=rest.path,
            body=rest.body or {},
            success=contract.success,
            errors=contract.error,
            text=rest.reply.get("text", ""),
            bot=rest.reply.get("bot_id", ""),
        ),
        websocket=Exchange(
            path=contract.operations["ws"].path,
            body=frame.body or {},
            success=contract.success,
            errors=contract.error,
            kind=frame.reply.get("kind", "type"),
            answer_kinds=contract.answer_kinds,
            text=frame.reply.get("text", ""),
            bot=frame.reply.get("bot_id", ""),
        ),
        marker=marker,
        message_bytes=scenario.message_bytes,
        is_echo=target.profile.walkthrough.reply == "echo",
        think_min_s=scenario.think_min_s,
        think_max_s=scenario.think_max_s,
        reply_within_s=scenario.reply_within_s,
        connect_within_s=target.profile.walkthrough.timeout_s,
        drain_s=scenario.reply_within_s,
        most_connections=len(users),
        connects_per_s=max(20.0, len(users) / ALL_OF_THEM_S),
        seed=seed,
        core=section.core,
        most_per_s=section.most_per_s,
    )
