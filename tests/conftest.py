"""Which tests go together where the suite runs in several processes (`pytest -n 3`): a file at a time, but for faults.

Those of `tests/faults` judge response times and start several demos at once: they follow each other in one process,
which begins with them, while the others run the rest.
"""

from __future__ import annotations

import pytest

SLOW = ("commands/test_story", "console/test_pty", "commands/test_interrupted", "commands/test_load")
"""Begun first, so that no process is left with one of them when the others are done."""
MEASURING = "faults"


def group(item: pytest.Item) -> str:
    """What is run in one process, in order."""
    path = item.path.as_posix().partition("/tests/")[2]
    return MEASURING if path.startswith(f"{MEASURING}/") else path


def place(item: pytest.Item) -> int:
    """Where the group of a test stands in the order."""
    name = group(item)
    if name == MEASURING:
        return 0
    return next((place for place, slow in enumerate(SLOW, 1) if slow in name), len(SLOW) + 1)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort by group; the tests of a file keep their order."""
    items.sort(key=place)
    for item in items:
        item.add_marker(pytest.mark.xdist_group(group(item)))
