"""The engine's thread: it tells, it never waits, and it ends in every case."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from textual.message import Message

from checks.events import Listener
from checks.model import Ceiling, IntegrityError
from console import messages
from console.engine import Engine
from console.signals import Once
from tests.console.fakes import FakeReview, fake_watching


class Heard:
    """What was posted, in order."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def __call__(self, message: Message) -> None:
        self.messages.append(message)

    def until(self, kind: type[Message], count: int = 1, within_s: float = 5.0) -> list[Message]:
        deadline = time.monotonic() + within_s
        while len(found := [message for message in self.messages if isinstance(message, kind)]) < count:
            assert time.monotonic() < deadline, [type(message).__name__ for message in self.messages]
            time.sleep(0.002)
        return found


@pytest.fixture
def begin() -> Iterator[Callable[[FakeReview], tuple[Engine, Heard]]]:
    engines: list[Engine] = []

    def start(review: FakeReview) -> tuple[Engine, Heard]:
        engine, heard = Engine(review.open, open_watching=fake_watching), Heard()
        engines.append(engine)
        engine.start(heard)
        heard.until(messages.ReviewReady)
        return engine, heard

    yield start
    for engine in engines:
        engine.end("the test is over", is_urgent=True)
        assert engine.ended.wait(5)


Begin = Callable[[FakeReview], tuple[Engine, Heard]]


def test_events_come_in_order_and_a_snapshot_after_them(begin: Begin) -> None:
    engine, heard = begin(FakeReview())
    engine.run()
    heard.until(messages.Announced, 14 * 3 + 2)
    last = heard.until(messages.SnapshotTaken, 3)[-1]
    assert isinstance(last, messages.SnapshotTaken)
    events = [
        type(message.event).__name__ for message in heard.messages if isinstance(message, messages.Announced)
    ]
    assert events[0] == "RunStarted"
    assert events[-1] == "RunFinished"
    assert last.can_replace(last)
    assert not last.can_replace(messages.ReviewReady())


def test_a_second_run_is_refused_and_the_first_goes_on(begin: Begin) -> None:
    review = FakeReview(hold={"WALK-01"})
    engine, heard = begin(review)
    engine.run()
    engine.run()
    [refused] = heard.until(messages.Refused)
    assert isinstance(refused, messages.Refused)
    assert "under way already" in refused.sentence
    assert len(review.runs) == 1
    review.let_go()
    heard.until(messages.Announced, 14 * 3 + 2)


def test_a_decision_that_the_review_refuses_is_told(begin: Begin) -> None:
    engine, heard = begin(FakeReview())
    engine.decide(Ceiling.GO, "because")
    [refused] = heard.until(messages.Refused)
    assert isinstance(refused, messages.Refused)
    assert "GO is refused" in refused.sentence


@pytest.mark.parametrize(
    "problem", [IntegrityError("The journal was altered."), ZeroDivisionError("a fault of ours")]
)
def test_what_opening_raises_ends_it_and_is_kept(problem: Exception) -> None:
    def fail(listener: Listener) -> FakeReview:
        raise problem

    engine, heard = Engine(fail), Heard()  # type: ignore[arg-type]
    engine.start(heard)
    heard.until(messages.EngineEnded)
    assert engine.ended.is_set()
    assert engine.failure is problem


class Faulty(FakeReview):
    """Its reports divide by zero."""

    def write_reports(self, out: Path | None = None) -> int:
        return 1 // 0


def test_a_fault_in_a_command_ends_it_with_the_review_closed(begin: Begin) -> None:
    review = Faulty()
    engine, heard = begin(review)
    engine.write_reports()
    heard.until(messages.EngineEnded)
    assert isinstance(engine.failure, ZeroDivisionError)
    assert review.is_closed


def test_the_end_can_be_hurried_while_it_cleans_up(begin: Begin) -> None:
    review = FakeReview(hold={"WALK-03"}, cleans_until_hurried=True)
    engine, heard = begin(review)
    engine.run()
    heard.until(messages.Announced, 8)
    engine.end("the lead left")
    engine.end("SIGTERM", is_urgent=True)
    assert engine.ended.wait(5)
    assert review.stops[0][0] == "the lead left"
    assert ("the lead left", True) in review.stops
    assert review.is_closed
    engine.run()  # nothing is left to ask, and nothing breaks
    engine.end("again")


def test_an_engine_that_never_began_ends_at_once() -> None:
    engine = Engine(FakeReview().open, open_watching=fake_watching)
    engine.end("a signal before the first paint", is_urgent=True)
    assert engine.ended.is_set()
    engine.start(Heard())
    assert engine.ended.is_set()


def test_a_call_is_made_once_and_everybody_waits_for_its_end() -> None:
    calls: list[int] = []
    release = threading.Event()

    def slow() -> None:
        release.wait(5)
        calls.append(1)

    once = Once(slow)
    threads = [threading.Thread(target=once) for _ in range(3)]
    for thread in threads:
        thread.start()
    release.set()
    for thread in threads:
        thread.join(5)
    assert calls == [1]
