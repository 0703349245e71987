"""The JSON of a run, as `gonogo run --json` writes it; its schema is `checks/schema/run.schema.json`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from checks.fold import Snapshot
from checks.model import Result
from checks.schema import RUN_SCHEMA


def run_document(snapshot: Snapshot, results: Sequence[Result]) -> dict[str, Any]:
    """The run's results with what the review amounts to after it."""
    return {
        "schema": RUN_SCHEMA,
        "review": snapshot.review,
        "target": {"title": snapshot.target, "url": snapshot.url},
        "ceiling": snapshot.judgement.ceiling.value,
        "reasons": list(snapshot.judgement.reasons),
        "results": [result.document() for result in results],
    }
