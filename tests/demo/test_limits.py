"""Rate limits: a flood is refused with the time to wait; a person, a page and reviews in a row are not."""

from __future__ import annotations

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


WALKTHROUGH = {"login": 2, "launch": 3, "stop": 4, "task": 6, "query": 7, "bots": 6, "history": 4}
"""How often a walkthrough asks each operation, generously counted."""


@pytest.mark.parametrize("operation", WALKTHROUGH)
def test_twenty_reviews_at_once_stay_below(operation: str) -> None:
    limiter = Limiter(LIMITS, Clock())
    assert not any(limiter.take(operation, "a") for _ in range(20 * WALKTHROUGH[operation]))


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
