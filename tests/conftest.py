"""Which tests go together where the suite runs in several processes (`pytest -n 3`): a file at a time, but for faults.

Those of `tests/faults` judge response times and start several demos at once: they follow each other in one process,
which begins with them, while the others run the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.scheduler import LoadFileScheduling

SLOW = (
    "monitoring/test_parity",
    "commands/test_story",
    "console/test_pty",
    "commands/test_interrupted",
    "commands/test_load",
)
"""Begun first, so that no process is left with one of them when the others are done."""
MEASURING = "tests/faults/"
UNMEASURED = ("tests/faults/test_watched", "tests/faults/test_monitoring")
"""They judge no response times: any process may have them, when it has time."""


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling:
    """Hand out files, and the tests of faults together."""
    from xdist.scheduler import LoadFileScheduling

    class ByFile(LoadFileScheduling):  # type: ignore[misc]  # xdist comes without types
        def _split_scope(self, nodeid: str) -> str:
            is_measuring = nodeid.startswith(MEASURING) and not nodeid.startswith(UNMEASURED)
            return MEASURING if is_measuring else super()._split_scope(nodeid)

    return ByFile(config, log)


def place(item: pytest.Item) -> int:
    """Where the file of a test stands in the order."""
    path = item.path.as_posix()
    if MEASURING in path and not any(name in path for name in UNMEASURED):
        return 0
    return next((place for place, slow in enumerate(SLOW, 1) if slow in path), len(SLOW) + 1)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort by file; the tests of a file keep their order."""
    items.sort(key=place)
