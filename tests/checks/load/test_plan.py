"""From a scenario to what the generator is told: who sends what from where, and when."""

from __future__ import annotations

from dataclasses import replace

import pytest

from checks.load import plan
from checks.load.model import Arrival, Channel, Part, Scenario
from checks.load.plan import Account
from checks.load.scenarios.shipped import shipped
from checks.profile.read import target_for_url
from checks.target import LoadSection

TARGET = target_for_url("http://127.0.0.1:8000", {})
ELSEWHERE = target_for_url("http://chat.example:8000", {})
CLOSED = Scenario("some", "Some users", users=7, bots=3)
OPEN = replace(CLOSED, arrival=Arrival.POISSON, rate_per_s=20.0, channel=Channel.BOTH)


def test_each_user_has_an_address_of_its_own_on_loopback_alone() -> None:
    here = plan.users_of(replace(CLOSED, users=600), TARGET, bots=["B1"], accounts=[], nonce="0a0b0c")
    assert len({user.local_address for user in here}) == 600
    assert all(user.local_address.startswith("127.") for user in here)
    there = plan.users_of(CLOSED, ELSEWHERE, bots=["B1"], accounts=[], nonce="0a0b0c")
    assert {user.local_address for user in there} == {""}


def test_users_are_spread_over_bots_channels_and_accounts() -> None:
    accounts = [Account("one"), Account("two")]
    users = plan.users_of(OPEN, TARGET, bots=["B1", "B2"], accounts=accounts, nonce="0a0b0c")
    assert {(user.bot_id, user.channel) for user in users} >= {
        (bot, channel) for bot in ("B1", "B2") for channel in (Channel.REST, Channel.WEBSOCKET)
    }
    assert {user.token for user in users} == {"one", "two"}
    assert len({user.name for user in users}) == len(users)


def test_an_open_scenario_has_enough_clients_to_stay_below_a_declared_limit() -> None:
    # The contract declares 20 commands in 60 s for one client: at half of that, 20 a second need 120 of them.
    assert plan.clients(OPEN, TARGET) == 120
    assert plan.clients(CLOSED, TARGET) == 7


def test_a_closed_scenario_becomes_ramp_hold_and_ramp_down() -> None:
    ramp, hold, down = plan.legs(replace(CLOSED, ramp_s=2, hold_s=5, ramp_down_s=1))
    assert (ramp.part, ramp.users_from, ramp.users_to, ramp.seconds) == (Part.RAMP, 0, 7, 2)
    assert (hold.part, hold.users_from, hold.users_to, hold.seconds) == (Part.HOLD, 7, 7, 5)
    assert (down.part, down.users_from, down.users_to, down.seconds) == (Part.RAMP_DOWN, 7, 0, 1)


def test_an_open_scenario_ramps_its_rate_and_leaves_out_what_has_no_length() -> None:
    ramp, hold = plan.legs(replace(OPEN, ramp_s=2, hold_s=5, ramp_down_s=0))
    assert (ramp.rate_from, ramp.rate_to, hold.rate_from, hold.rate_to) == (0, 20, 20, 20)
    assert (hold.users_from, hold.users_to) == (0, 0)


@pytest.mark.parametrize(
    ("scenario", "word"),
    [
        (replace(CLOSED, users=501), "most_users"),
        (replace(OPEN, rate_per_s=501), "most_per_s"),
        (replace(CLOSED, hold_s=7300), "most_s"),
    ],
)
def test_what_is_beyond_the_profiles_ceilings_is_refused_and_names_the_key(
    scenario: Scenario, word: str
) -> None:
    assert word in plan.refused(scenario, LoadSection())
    assert plan.refused(CLOSED, LoadSection()) == ""


def test_what_ships_is_within_the_ceilings_and_says_how_long_it_takes() -> None:
    for entry in shipped().values():
        assert plan.refused(entry.scenario, LoadSection()) == "", entry.scenario.name
        assert plan.seconds_of(entry.scenario) > 0


def test_the_setup_follows_the_contract() -> None:
    users = plan.users_of(OPEN, TARGET, bots=["B1"], accounts=[], nonce="0a0b0c")
    setup = plan.setup(OPEN, TARGET, users=users, marker="gonogo load x", seed=3)
    assert setup.rest.path == "/api/bot/{bot_id}/task"
    assert setup.websocket.path == "/ws?token={token}"
    assert setup.websocket.answer_kinds == ("response", "error")
    assert setup.rest.success == "success"
    assert not setup.is_echo
