"""The order of the suite where it runs in several processes, a file at a time (`pytest -n 3`)."""

from __future__ import annotations

import pytest

SLOW = ("commands/test_story", "console/test_pty", "commands/test_interrupted", "commands/test_selftest")
"""Begun first, so that no process is left with one of them when the others are done."""
MEASURING = "faults/"
"""Begun last: these judge response times, and are disturbed the least when the rest is done."""


def place(item: pytest.Item) -> int:
    """Where the file of a test stands in the order."""
    path = item.path.as_posix()
    if f"tests/{MEASURING}" in path:
        return len(SLOW) + 1
    return next((place for place, name in enumerate(SLOW) if name in path), len(SLOW))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort by file; the tests of a file keep their order."""
    items.sort(key=place)
