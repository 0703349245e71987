"""Rate limits: a flood is refused with the time to wait; a person, a page and reviews in a row are not."""

from __future__ import annotations

import tomllib

import httpx
import pytest

from console.demo.launch import DemoProcess
from console.demo.limits import LIMITS, Limit, Limiter


class Clock:
    """A clock that the test turns."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_is_allowed_and_then_the_rate() -> None:
    clock = Clock()
    limiter = Limiter({"launch": Limit(3, 60)}, clock)
    assert [limiter.take("launch", "a") for _ in range(5)] == [0, 0, 0, 20, 20]
    assert limiter.take("launch", "b") == 0
    clock.now += 19
    assert limiter.take("launch", "a") == 1
    clock.now += 1
    assert [limiter.take("launch", "a"), limiter.take("launch", "a")] == [0, 20]


def test_what_has_no_limit_is_not_counted() -> None:
    limiter = Limiter({}, Clock())
    assert not any(limiter.take("health", "a") for _ in range(1000))


SUSTAINED_PER_MINUTE = {
    "login": 60,
    "launch": 60,
    "stop": 240,
    "task": 600,
    "query": 600,
    "bots": 600,
    "history": 300,
}


@pytest.mark.parametrize("operation", SUSTAINED_PER_MINUTE)
def test_whoever_waits_as_told_gets_as_much_as_many_people_need(operation: str) -> None:
    clock = Clock()
    limiter = Limiter(LIMITS, clock)
    began, limit = clock.now, LIMITS[operation]
    pause_s = limit.per_s / limit.calls
    count = 0
    while clock.now - began < 60:
        assert limiter.take(operation, "a") == 0
        count, clock.now = count + 1, clock.now + pause_s
    assert count >= SUSTAINED_PER_MINUTE[operation]


def test_every_limit_is_declared_in_the_profile() -> None:
    with DemoProcess.start(port=0) as demo:
        declared = tomllib.loads(demo.profile.read_text())["operations"]
    names = {"task": "send", "query": "ws_send"}
    assert {names.get(name, name): f"{limit.calls}/{limit.per_s:g}" for name, limit in LIMITS.items()} == {
        name: section["limit"] for name, section in declared.items()
    }


def test_a_refused_call_is_told_when_to_come_again() -> None:
    with DemoProcess.start(port=0) as demo, httpx.Client(base_url=demo.url) as client:
        answers = [
            client.post("/api/auth/register", json={"username": f"user{number}", "password": "long enough"})
            for number in range(4)
        ]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        document = answers[3].json()
        assert 1 <= int(answers[3].headers["Retry-After"]) <= 100
        assert (document["success"], "Too many requests" in document["error"]) == (False, True)
        # One operation's flood is not another's.
        assert client.post("/api/auth/login", json={"username": "x", "password": "y"}).status_code == 401
