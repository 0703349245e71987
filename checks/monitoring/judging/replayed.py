"""Do the rules do what they say: on series made for them, and on the load that was measured?"""

from __future__ import annotations

import asyncio
from typing import Any

from checks.context import Context
from checks.load.model import LoadRun, Second
from checks.model import Kind, Outcome, Reason, Severity, Subject, Verdict, failed, inconclusive, passed
from checks.monitoring.judging.common import monitoring, note
from checks.monitoring.judging.gathering import Gathered, document, gathered, recorded_loads
from checks.monitoring.replay import Replayed, replay

QUIET = ("users-10", "users-100", "rate-1000")
"""Scenarios of the declared load: where they passed, nobody may be woken by it."""


@monitoring(
    "MON-08",
    "Rules are tested, and replayed on measured load",
    subject=Subject.WATCHING,
    severity=Severity.MAJOR,
    sends="nothing; the recorded load runs are read",
    why="Rules look right and do nothing, or wake people for the everyday load.",
    fix="Look at the threshold that is named: its limit, window and for, in tab 4 or in the profile.",
    reference="Prometheus: unit testing for rules; SRE workbook: alerting on SLOs",
)
async def replayed(context: Context) -> Outcome:
    """Each rule fires and stays quiet as it says; a load that passed raises no critical or warning alert."""
    found = await gathered(context)
    loads = await asyncio.to_thread(recorded_loads, context)
    told = [(run, _replay(run, seconds, found, context)) for run, seconds in loads if seconds]
    if told:
        body = document(found, context) | {"replays": [_document(run, alerts) for run, alerts in told]}
        context.record(Kind.MONITORED, "monitored", body)
    expected = "every rule fires beyond its limit and not within it; a load run that passed raises no alert"
    wrong = [f"{name}: {test.problem}" for name, test in found.tests.items() if test.problem]
    noisy = [
        f"{one.threshold} in {run.scenario.name}: {one.sentence}"
        for run, alerts in told
        if run.verdict is Verdict.PASS and run.scenario.name in QUIET
        for one in alerts
        if one.fired_s is not None
    ]
    evidence = [
        note(
            "Each rule before series made for it",
            [
                f"{test.threshold:16} {test.breaking:.6g} fires after {test.fired_after_s} s; {test.allowed:.6g} "
                f"{'FIRES' if test.quiet_fired else 'stays quiet'}; {test.problem or 'as it says'}"
                for test in found.tests.values()
            ],
            context,
        ),
        *(
            note(
                f"The rules over {run.scenario.name} of {run.started_at:%Y-%m-%d %H:%M}Z ({run.verdict})",
                [f"{one.threshold:16} {one.sentence or one.problem}" for one in alerts],
                context,
            )
            for run, alerts in told
        ),
    ]
    runs = ", ".join(run.scenario.name for run, _ in told) or "nothing"
    observed = f"{len(found.tests)} rules tested; replayed over {runs}"
    if wrong or noisy:
        return failed("; ".join((*wrong, *noisy)), observed=observed, expected=expected, evidence=evidence)
    if not any(run.scenario.name in QUIET for run, _ in told):
        return inconclusive(
            Reason.NO_SOURCE,
            "The rules do what they say on series made for them, but no load run is recorded to replay: run tab 3",
            observed=observed,
            expected=expected,
            evidence=evidence,
        )
    fired = sum(one.fired_s is not None for _, alerts in told for one in alerts)
    return passed(
        f"{observed}; {fired} alerts would have fired",
        observed=observed,
        expected=expected,
        evidence=evidence,
    )


def _replay(run: LoadRun, seconds: list[Second], found: Gathered, context: Context) -> tuple[Replayed, ...]:
    section = context.target.profile.monitoring
    return replay(
        seconds,
        run.scenario,
        found.thresholds,
        section.interval_s,
        availability_percent=section.availability_percent,
    )


def _document(run: LoadRun, alerts: tuple[Replayed, ...]) -> dict[str, Any]:
    """What the report tells of one run: the alerts that were pending or fired."""
    return {
        "scenario": run.scenario.name,
        "run": run.id,
        "alerts": [
            {
                "threshold": one.threshold,
                "told": one.sentence,
                "pending_s": one.pending_s,
                "fired_s": one.fired_s,
                "resolved_s": one.resolved_s,
            }
            for one in alerts
            if one.pending_s is not None or one.fired_s is not None
        ],
    }
