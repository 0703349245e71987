"""Is what matters watched, strictly enough, with live data, and by rules that were tried?"""

from __future__ import annotations

from checks.context import Context
from checks.model import Outcome, Reason, Severity, Subject, failed, inconclusive, passed
from checks.monitoring.alerts import breaks
from checks.monitoring.judging.common import (
    LONGEST_NO_DATA_S,
    Wanted,
    judged,
    monitoring,
    note,
    shown,
    value,
)
from checks.monitoring.judging.gathering import gathered

FULLEST_PERCENT = 85.0
LOOKS = "the health operation and the metrics, three times; the database, the host and the log are looked at"


@monitoring(
    "MON-01",
    "Error rate above 1 % raises an alert",
    subject=Subject.WATCHING,
    severity=Severity.BLOCKER,
    sends=LOOKS,
    why="Users notice before operators.",
    fix="[thresholds.error-rate]\nlimit = 1.0\nfor_s = 60.0\nis_on = true",
    reference="Mission task 5; SRE workbook: alerting on SLOs",
)
async def error_rate(context: Context) -> Outcome:
    """The limit, its duration, its data and its rule."""
    return judged(await gathered(context), [Wanted("error-rate", 1.0, needs_events=True)], context)


@monitoring(
    "MON-02",
    "Response time above 1 s raises an alert",
    subject=Subject.WATCHING,
    severity=Severity.BLOCKER,
    sends=LOOKS,
    why="Slowness goes unseen.",
    fix="[thresholds.response-time]\nlimit = 1.0\nfor_s = 60.0\nis_on = true",
    reference="Mission task 5; SRE book: monitoring distributed systems",
)
async def response_time(context: Context) -> Outcome:
    """The 95th percentile, not the mean."""
    return judged(await gathered(context), [Wanted("response-time", 1.0, needs_events=True)], context)


@monitoring(
    "MON-03",
    "Database trouble raises alerts",
    subject=Subject.WATCHING,
    severity=Severity.BLOCKER,
    sends=LOOKS,
    why="The commonest cause of outage is unwatched.",
    fix="[thresholds.pool-use]\nlimit = 80.0\n# and is_on = true for database-up, pool-waiting and slow-queries",
    reference="Mission task 5; Mercari production readiness checklist: data storage",
)
async def database(context: Context) -> Outcome:
    """Pool, waiting, slow queries, and whether it answers."""
    wanted = [
        Wanted("pool-use", 80.0),
        Wanted("pool-waiting", 0.0),
        Wanted("slow-queries", 5.0),
        Wanted("database-up", 1.0),
    ]
    return judged(await gathered(context), wanted, context)


@monitoring(
    "MON-04",
    "Memory above 80 % and a full disk raise alerts",
    subject=Subject.WATCHING,
    severity=Severity.BLOCKER,
    sends=LOOKS,
    why="The host dies without warning.",
    fix="[thresholds.host-memory]\nlimit = 80.0\n# and the same for target-memory; disk-use: limit = 85.0",
    reference="Mission task 5",
)
async def memory(context: Context) -> Outcome:
    """Memory of host and target, and the disk."""
    # A profile that declares less free space for this host is held against that.
    disk = max(FULLEST_PERCENT, 100.0 - context.target.profile.audit.disk_free_percent)
    wanted = [Wanted("host-memory", 80.0), Wanted("target-memory", 80.0), Wanted("disk-use", disk)]
    return judged(await gathered(context), wanted, context)


@monitoring(
    "MON-05",
    "An outage, and silence itself, raise alerts",
    subject=Subject.WATCHING,
    severity=Severity.BLOCKER,
    sends=LOOKS,
    why="Broken monitoring looks like calm.",
    fix="[thresholds.target-up]\nis_on = true\nno_data_s = 60.0\n# every other threshold: no_data_s = 180.0 at most",
    reference="Mission task 5: uptime; SRE book: practical alerting",
)
async def silence(context: Context) -> Outcome:
    """Uptime over HTTP and WebSocket; missing data of every threshold is told within three minutes."""
    found = await gathered(context)
    outcome = judged(found, [Wanted("target-up", 1.0), Wanted("websocket-up", 1.0)], context)
    slow = [
        one.title
        for one in found.thresholds
        if one.is_on and (one.no_data_s > LONGEST_NO_DATA_S or found.tests[one.name].no_data_after_s is None)
    ]
    if slow:
        return failed(
            f"Missing data is told too late, or not at all: {', '.join(slow)}",
            observed=outcome.observed,
            expected=f"NO DATA within {LONGEST_NO_DATA_S:g} s of every threshold",
            evidence=outcome.evidence,
        )
    return outcome


@monitoring(
    "MON-09",
    "Service objectives and burn alerts exist",
    subject=Subject.WATCHING,
    severity=Severity.MINOR,
    sends=LOOKS,
    why="No agreement on what good means.",
    fix="[monitoring]\navailability_percent = 99.5\n# and is_on = true for burn-fast and burn-slow",
    reference="SRE workbook: alerting on SLOs",
)
async def objectives(context: Context) -> Outcome:
    """A fast and a slow burn, each over two windows, and too few events guarded against."""
    found = await gathered(context)
    burns = [one for one in found.thresholds if one.signal == "budget-burn" and one.is_on]
    guarded = [one for one in burns if one.short_window_s and one.least_events]
    windows = sorted({one.window_s for one in guarded})
    objective = context.target.profile.monitoring.availability_percent
    observed = f"objective {objective:g} % over 30 days; burn alerts: " + (
        ", ".join(
            f"{one.limit:g}x over {one.window_s / 3600:g} h and {one.short_window_s / 60:g} min"
            for one in burns
        )
        or "none"
    )
    expected = "a fast and a slow burn alert, each over two windows and with a least number of events"
    evidence = [shown(one, found.newest(one.name), found, context) for one in burns]
    if len(windows) < 2:
        return failed(
            "There are no two burn alerts of different windows, each with a short window and least_events",
            observed=observed,
            expected=expected,
            evidence=evidence,
        )
    return passed(
        f"Objective and burn alerts are there: {observed}",
        observed=observed,
        expected=expected,
        evidence=evidence,
    )


@monitoring(
    "MON-10",
    "Nothing is beyond its limit now",
    subject=Subject.WATCHING,
    severity=Severity.MAJOR,
    sends=LOOKS,
    why="Whoever goes live with an alert on begins with an incident.",
    fix="Look at what is named, in tab 4: its history, source and runbook.",
    reference="SRE book: launch coordination",
)
async def calm(context: Context) -> Outcome:
    """Each threshold, at each of three looks."""
    found = await gathered(context)
    on = [one for one in found.thresholds if one.is_on]
    broken = [one for one in on if all(breaks(one, look[one.name]) for look in found.readings)]
    missing = [one for one in on if found.newest(one.name).is_missing]
    applying = [one for one in on if found.newest(one.name).applies]
    lines = [
        f"{one.name:16} {value(one, found.newest(one.name)):28} {found.newest(one.name).source}" for one in on
    ]
    evidence = [note("Every threshold's newest reading", lines, context)]
    observed = f"{len(applying) - len(broken) - len(missing)} of {len(applying)} within their limits"
    expected = "every threshold that applies has a value within its limit"
    if broken:
        told = "; ".join(f"{one.title} {value(one, found.newest(one.name))}" for one in broken)
        return failed(f"Beyond the limit: {told}", observed=observed, expected=expected, evidence=evidence)
    if missing or not applying:
        told = "; ".join(f"{one.title}: {found.newest(one.name).problem or 'no value'}" for one in missing)
        return inconclusive(
            Reason.NO_SOURCE,
            f"Without data: {told or 'no threshold applies here'}",
            observed=observed,
            expected=expected,
            evidence=evidence,
        )
    return passed(
        f"Nothing is beyond its limit: {observed}", observed=observed, expected=expected, evidence=evidence
    )
