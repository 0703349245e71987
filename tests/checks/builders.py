"""Values with sensible defaults, so that a test names only what it is about."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from checks.journal import Journal
from checks.model import Area, Evidence, Reason, Result, Severity, Verdict
from checks.registry import Check, catalogue
from checks.text import clean

NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


def evidence(title: str = "GET /health", body: str = "200") -> Evidence:
    """One piece of evidence."""
    return Evidence("http", clean(title), clean(body), clean("curl"), NOON)


def result(
    check_id: str = "WALK-01",
    verdict: Verdict = Verdict.PASS,
    *,
    at: datetime = NOON,
    seen: tuple[Evidence, ...] = (),
    severity: Severity = Severity.BLOCKER,
    run: str = "run-1",
) -> Result:
    """One result, as the runner makes it."""
    reason = {Verdict.PASS: Reason.MET, Verdict.FAIL: Reason.MISMATCH, Verdict.INCONCLUSIVE: Reason.NO_SOURCE}
    return Result(
        id=check_id,
        title="A check",
        area=Area.WALKTHROUGH,
        severity=severity,
        verdict=verdict,
        reason=reason[verdict],
        summary=clean(f"it was {verdict}"),
        observed=clean("1"),
        expected=clean("1"),
        evidence=tuple(item.id for item in seen),
        started_at=at,
        duration_s=0.01,
        run=run,
    )


def open_journal(path: Path, *, read_only: bool = False) -> Journal:
    """The journal of review `r` at `path`."""
    return Journal.open(path, review="r", actor="lead@host", read_only=read_only)


def walkthrough() -> tuple[Check, ...]:
    """The checks of the walkthrough."""
    return catalogue((Area.WALKTHROUGH,))
