"""What is read of a demo again and again until it is so."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import httpx

from console.demo.launch import DemoProcess

WITHIN_S, AGAIN_S = 20.0, 0.05


def until(is_so: Callable[[], bool], what: str = "") -> None:
    """Wait until something is so; far longer than it takes, for machines that are slow."""
    deadline = time.monotonic() + WITHIN_S
    while not is_so():
        assert time.monotonic() < deadline, what or "it did not come to be"
        time.sleep(AGAIN_S)


def metrics(demo: DemoProcess) -> str:
    """The text of `/metrics`."""
    answer = httpx.get(f"{demo.url}/metrics", timeout=5)
    assert answer.status_code == 200, answer.text
    return answer.text


def value(text: str, series: str) -> float:
    """The value of one series; 0 where it is not told."""
    found = re.search(rf"^{re.escape(series)} (\S+)$", text, re.MULTILINE)
    return float(found[1]) if found else 0.0
