"""One healthy demo for all tests that do not need one of their own."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import count

import httpx
import pytest

from console.demo.launch import DemoProcess
from tests.demo.client import signed_in

NUMBERS = count(100)


@pytest.fixture(scope="session")
def demo() -> Iterator[DemoProcess]:
    """A healthy demo."""
    with DemoProcess.start(port=0) as started:
        yield started


@pytest.fixture(scope="session")
def client(demo: DemoProcess) -> Iterator[httpx.Client]:
    """A client of it that is signed in."""
    with signed_in(demo) as made:
        yield made


@pytest.fixture
def bot_id() -> str:
    """An id that no other test uses."""
    return f"BOT-{next(NUMBERS)}"
