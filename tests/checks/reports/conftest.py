"""A review of its own for each test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.checks.reports.loads import load_checks
from tests.checks.reports.scene import Scene


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The state folder of this account."""
    folder = tmp_path / "state"
    monkeypatch.setenv("GONOGO_STATE_DIR", str(folder))
    return folder


@pytest.fixture
def scene(state: Path) -> Iterator[Scene]:
    """A review that was opened and in which nothing was run."""
    made = Scene.begin(state)
    yield made
    made.journal.close()


@pytest.fixture
def loaded(scene: Scene) -> Scene:
    """A review with the checks of load, in the middle of a run."""
    scene.checks = load_checks()
    scene.start()
    return scene
