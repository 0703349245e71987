"""The demo's scenarios held just long enough to be judged, and runs of them."""

from __future__ import annotations

import asyncio
from pathlib import Path

from checks.fold import Snapshot
from checks.load.model import LoadRun
from checks.profile.read import load_target
from checks.review import Review
from checks.runner import RunSummary
from console.demo.launch import DemoProcess

SHORT = """
[scenarios.users-10]
think_min_s = 0.05
think_max_s = 0.15
ramp_s = 1.0
hold_s = 6.0
ramp_down_s = 0.5
window_s = 4.0
[scenarios.users-10.criteria]
p95_s = 0.4

[scenarios.users-100]
think_min_s = 1.0
think_max_s = 1.6
ramp_s = 2.0
hold_s = 7.0
ramp_down_s = 0.5
window_s = 4.0
[scenarios.users-100.criteria]
p95_s = 0.4

[scenarios.rate-1000]
rate_per_s = 60.0
ramp_s = 1.0
hold_s = 8.0
window_s = 4.0
[scenarios.rate-1000.criteria]
p95_s = 0.4

[scenarios.capacity]
rate_per_s = 20.0
most_rate_per_s = 45.0
step_s = 3.0
confirm_s = 9.0
[scenarios.capacity.criteria]
p95_s = 0.4

[scenarios.soak]
think_min_s = 0.1
think_max_s = 0.3
ramp_s = 8.0
hold_s = 10.0
ramp_down_s = 0.5
[scenarios.soak.criteria]
leak_percent_per_hour = 1000.0
"""


def shortened(demo: DemoProcess, folder: Path) -> Path:
    """The demo's profile with short scenarios."""
    text, mark, _ = demo.profile.read_text("utf-8").partition("[scenarios.")
    assert mark
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "gonogo.toml"
    path.write_text(text + SHORT, "utf-8")
    return path


async def run_load(demo: DemoProcess, folder: Path, checks: tuple[str, ...]) -> tuple[RunSummary, Snapshot]:
    """One run of these load checks; its journal is below `folder`."""
    target = await asyncio.to_thread(lambda: load_target(shortened(demo, folder)))
    review = Review.open(target, base=folder)
    try:
        summary = await review.run((), checks)
        return summary, review.snapshot()
    finally:
        review.close()


def load_of(snapshot: Snapshot, scenario: str) -> LoadRun:
    """The newest run of a scenario."""
    return next(load for load in snapshot.loads if load.scenario.name == scenario)
