"""Does an alert reach a person, and the next one if the first does not answer; does that person know what to do?"""

from __future__ import annotations

import re
from collections.abc import Sequence

from checks.context import Context
from checks.model import Evidence, Outcome, Reason, Severity, Subject, failed, inconclusive, passed
from checks.monitoring.board import Drill
from checks.monitoring.judging.common import monitoring, note
from checks.monitoring.judging.gathering import gathered
from checks.monitoring.model import AlertSeverity
from checks.monitoring.runbooks import HEADINGS, missing_headings, runbook_text

ANSWERED_WITHIN_S = 300.0
SLACK_S = 60.0
"""The second level is told within the configured time and a minute."""
NOTHING_SENT = "nothing; the watch's journal is read"


@monitoring(
    "MON-06",
    "A drill reached a person and came back",
    subject=Subject.TELLING,
    severity=Severity.BLOCKER,
    sends=NOTHING_SENT,
    why="Alerts may never leave the machine.",
    fix="Open tab 4, choose a threshold, press d, and let the person on call read the code to you; c types it.",
    reference="Mission task 5; SRE book: being on-call",
)
async def drilled(context: Context) -> Outcome:
    """The newest drill of the first rung: fired, told, answered within five minutes, and told that it is over."""
    found = await gathered(context)
    drills = [drill for drill in found.past.drills if drill.rung == 0]
    expected = "the code is typed back within 5 min by whoever was told, and the end is told too"
    if not drills:
        return inconclusive(
            Reason.NO_SOURCE,
            "No drill has been made: nobody knows whether an alert reaches anybody",
            expected=expected,
        )
    return _judged(drills[-1], expected, context, longest_s=ANSWERED_WITHIN_S)


@monitoring(
    "MON-07",
    "Unanswered alerts escalate",
    subject=Subject.TELLING,
    severity=Severity.MAJOR,
    sends=NOTHING_SENT,
    why="One missed call ends the response.",
    fix='[escalation]\ncritical = ["on-call", "lead 5m"]',
    reference="Mission task 5; SRE book: being on-call",
)
async def escalated(context: Context) -> Outcome:
    """Two rungs that can be reached, and a drill that the first person let pass."""
    found = await gathered(context)
    ladder = context.target.ladders.get(AlertSeverity.CRITICAL, ())
    contacts = context.target.contacts
    expected = (
        "at least two people are told of a critical alert, one after the other, through channels that are set"
    )
    rungs = [
        f"{contacts[rung.contact].person or rung.contact} by {contacts[rung.contact].channel or 'no channel'} "
        f"after {rung.after_s:g} s"
        for rung in ladder
    ]
    observed = "; ".join(rungs) or "nobody is told"
    if len(ladder) < 2:
        return failed(
            "A critical alert that the first person does not see ends there: the ladder has "
            f"{len(ladder)} {'rung' if len(ladder) == 1 else 'rungs'}",
            observed=observed,
            expected=expected,
        )
    unset = [contacts[rung.contact] for rung in ladder if not contacts[rung.contact].channel]
    if unset:
        return failed(
            "; ".join(f"{one.name} cannot be told: {one.url_env} is not set" for one in unset),
            observed=observed,
            expected=expected,
        )
    drills = [drill for drill in found.past.drills if drill.rung > 0]
    if not drills:
        return inconclusive(
            Reason.NO_SOURCE,
            "The ladder has its rungs, but no drill of the second one was made: press d in tab 4 and choose it",
            observed=observed,
            expected=expected,
        )
    last = drills[-1]
    # A rung that the ladder has no more was drilled for another one.
    after_s = ladder[last.rung].after_s if last.rung < len(ladder) else 0.0
    if last.fired_at and last.told_at:
        told_s = (last.told_at - last.fired_at).total_seconds()
        if told_s > after_s + SLACK_S:
            return failed(
                f"The second level was told {told_s:.0f} s after the alert, {after_s:g} s was declared",
                observed=observed,
                expected=expected,
                evidence=[_shown(last, context)],
            )
    return _judged(last, expected, context, longest_s=after_s + ANSWERED_WITHIN_S, observed=observed)


@monitoring(
    "MON-11",
    "Every alert has a usable runbook",
    subject=Subject.TELLING,
    severity=Severity.MAJOR,
    sends="nothing; the runbooks are read where they are files",
    why="The person woken up does not know what to do.",
    fix="Write NAME.md with the headings Symptom, Check, Act and Escalate below the folder in [monitoring] runbooks.",
    reference="SRE workbook: on-call; Mercari production readiness checklist: playbooks",
)
async def runbooks(context: Context) -> Outcome:
    """Each runbook is there and has its four headings."""
    found = await gathered(context)
    place = context.target.profile.monitoring.runbooks
    expected = f"a runbook for each threshold with {', '.join(HEADINGS)}"
    if re.match(r"https?://", place):
        return inconclusive(
            Reason.NO_SOURCE,
            f"The runbooks are at {place}, which gonogo does not visit: attest that each is there, or name a folder",
            expected=expected,
        )
    wrong, lines = [], []
    for threshold in found.thresholds:
        if not threshold.is_on:
            continue
        text = runbook_text(threshold.runbook, place)
        lacking = missing_headings(text) if text is not None else list(HEADINGS)
        told = "is missing" if text is None else f"lacks {', '.join(lacking)}" if lacking else "is complete"
        lines.append(f"{threshold.name:16} {threshold.runbook or '(none named)'}: {told}")
        if lacking:
            wrong.append(f"{threshold.runbook or threshold.name} {told}")
    evidence = [note(f"Runbooks of {place or 'gonogo'}", lines, context)]
    if wrong:
        return failed("; ".join(dict.fromkeys(wrong)), expected=expected, evidence=evidence)
    whose = place or "gonogo's own, which know nothing of this house's people and hosts"
    return passed(
        f"Every threshold that is watched has a runbook ({whose})",
        observed=f"{len(lines)} thresholds",
        expected=expected,
        evidence=evidence,
    )


def _judged(
    drill: Drill, expected: str, context: Context, *, longest_s: float, observed: str = ""
) -> Outcome:
    evidence = [_shown(drill, context)]
    if drill.problem:
        return failed(
            f"The newest drill came to nothing: {drill.problem}", expected=expected, evidence=evidence
        )
    to_notice_s = drill.to_notice_s
    if to_notice_s is None or drill.resolved_at is None:
        return inconclusive(
            Reason.NO_SOURCE,
            "The newest drill is not over: its code was not typed back, or its end was not told yet",
            expected=expected,
            evidence=evidence,
        )
    told = f"noticed after {to_notice_s:.0f} s by {drill.answered_by}"
    if to_notice_s > longest_s:
        return failed(
            f"The drill was answered after {to_notice_s:.0f} s, {longest_s:.0f} s is the longest that will do",
            observed=observed or told,
            expected=expected,
            evidence=evidence,
        )
    return passed(
        f"A drill of {drill.threshold} reached {drill.contact} and was {told}",
        observed=observed or told,
        expected=expected,
        evidence=evidence,
    )


def _shown(drill: Drill, context: Context) -> Evidence:
    times: Sequence[tuple[str, object]] = (
        ("began", drill.began_at),
        ("alert fired", drill.fired_at),
        ("message taken", drill.told_at),
        ("code typed back", drill.answered_at),
        ("end told", drill.resolved_at),
    )
    lines = [f"{name:16} {moment or 'not yet'}" for name, moment in times]
    lines += [
        f"contact          {drill.contact}, rung {drill.rung + 1}",
        f"answered by      {drill.answered_by or '-'}",
    ]
    if drill.problem:
        lines.append(f"problem          {drill.problem}")
    return note(f"Drill {drill.id} of {drill.threshold}", lines, context)
