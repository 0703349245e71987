"""The report of monitoring: what is watched, the proof that each alert fires, who is told, and how to hand it over."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from checks.model import Area, State
from checks.monitoring.board import Drill
from checks.monitoring.model import Alert, AlertKind, Message, Reading
from checks.monitoring.rule_test import RuleTest
from checks.reports.configuration import groups, verdict
from checks.reports.facts import Facts
from checks.reports.markdown import Md, code, table
from checks.reports.render import NONE, Report, render, utc
from checks.text import clean

BY_NATURE = (
    "That a rule fires on a series made for it shows that the rule works, not that the signal shows every failure.",
    "That a person answered one drill shows that the way to that person was open then, not that it is at night.",
    "Thresholds on this host do not see what lies between it and the users: networks, providers, devices.",
)


def monitoring_setup(facts: Facts) -> Report:
    """The report of monitoring."""
    steps = facts.of(Area.MONITORING)
    body: Mapping[str, Any] = facts.monitored.body if facts.monitored else {}
    return render(
        "monitoring.md.j2",
        facts,
        [name for step in steps for name in step.evidence],
        steps=steps,
        verdict=verdict(steps),
        looked_at=any(step.latest for step in steps),
        run=facts.last_run(Area.MONITORING),
        groups=groups(steps),
        open_steps=[step for step in steps if step.state.state not in (State.PASS, State.NA)],
        monitored=facts.monitored,
        body=body,
        limit_table=_limits(body),
        test_table=_tests(body),
        ladders=list(_ladders(body)),
        drill_table=_drills(body),
        message_table=_messages(body),
        replay_table=_replays(body),
        replays=body.get("replays", ()),
        nature=BY_NATURE,
    )


def _number(value: float | None, unit: str) -> str:
    if value is None:
        return "–"
    if unit == "up":
        return "answers" if value >= 1 else "does not answer"
    return f"{value:.4g} {unit}".strip()


def _limits(body: Mapping[str, Any]) -> Md:
    rows = []
    for one in body.get("thresholds", ()):
        found = body["readings"].get(one["name"], {})
        reading = Reading(found.get("value"), found.get("events"), applies=found.get("applies", True))
        if not one["is_on"]:
            now: object = "switched off"
        elif not reading.applies:
            now = "does not apply here"
        else:
            now = "NO DATA" if reading.is_missing else _number(reading.value, one["unit"])
        limit = "it does not" if one["unit"] == "up" else f"{one['comparison']} {_limit(one)}"
        window = _time(one["window_s"]) if one["window_s"] else NONE
        rows.append(
            (
                code(one["name"]),
                limit,
                window,
                _span(one["for_s"]),
                one["severity"],
                now,
                clean(found.get("source", "")) or NONE,
            )
        )
    return table(rows, "threshold", "told when", "window", "for", "severity", "value at the check", "source")


def _limit(one: Mapping[str, Any]) -> str:
    return f"{one['limit']:g} {one['unit']}".strip()


def _time(seconds: float) -> str:
    """Seconds as people set them: `90 s`, `5 min`, `6 h`."""
    for unit_s, unit in ((3600.0, "h"), (60.0, "min")):
        if seconds >= unit_s and seconds % unit_s == 0:
            return f"{seconds / unit_s:g} {unit}"
    return f"{seconds:g} s"


def _span(seconds: float) -> str:
    return _time(seconds) if seconds else "at once"


def _tests(body: Mapping[str, Any]) -> Md:
    real: dict[str, Alert] = {}
    for one in body.get("fired", ()):
        alert = Alert.from_document(one["alert"])
        if alert.kind is AlertKind.LIMIT:
            real[alert.threshold] = alert
    rows = []
    for found in body.get("tests", ()):
        test = RuleTest.from_document(found)
        last = real.get(test.threshold)
        rows.append(
            (
                code(test.threshold),
                f"{test.breaking:.6g}",
                _after(test.fired_after_s),
                _after(test.resolved_after_s),
                f"{test.allowed:.6g}: {'fired' if test.quiet_fired else 'quiet'}",
                _after(test.no_data_after_s),
                utc(last.fired_at) if last and last.fired_at else NONE,
                test.problem or "as it says",
            )
        )
    return table(
        rows,
        "threshold",
        "put before it",
        "fired after",
        "over after",
        "allowed value",
        "NO DATA after",
        "fired in earnest",
        "verdict",
    )


def _after(seconds: float | None) -> str:
    return "never" if seconds is None else _time(seconds)


def _ladders(body: Mapping[str, Any]) -> Iterable[tuple[str, Md]]:
    contacts = {one["name"]: one for one in body.get("contacts", ())}
    for severity, rungs in body.get("ladders", {}).items():
        rows = [
            (
                place,
                code(rung["contact"]),
                clean(contacts[rung["contact"]]["person"]) or NONE,
                contacts[rung["contact"]]["channel"] or "not set: " + contacts[rung["contact"]]["url_env"],
                "at once"
                if not rung["after_s"]
                else f"after {_time(rung['after_s'])} without an acknowledgement",
            )
            for place, rung in enumerate(rungs, 1)
        ]
        yield severity, table(rows, "rung", "contact", "person", "channel", "told") if rows else Md("")


def _drills(body: Mapping[str, Any]) -> Md:
    rows = []
    for found in body.get("drills", ()):
        drill = Drill.from_document(found)
        rows.append(
            (
                utc(drill.began_at),
                code(drill.threshold),
                f"{drill.contact} (rung {drill.rung + 1})",
                _seconds(drill.began_at, drill.fired_at),
                _seconds(drill.began_at, drill.told_at),
                _seconds(drill.began_at, drill.answered_at),
                _seconds(drill.began_at, drill.resolved_at),
                drill.answered_by or NONE,
                drill.problem or ("over" if drill.is_over else "under way"),
            )
        )
    return (
        table(
            rows,
            "began",
            "threshold",
            "told",
            "fired after",
            "taken after",
            "answered after",
            "end told after",
            "by",
            "outcome",
        )
        if rows
        else Md("")
    )


def _seconds(began: Any, then: Any) -> str:
    return "–" if then is None else f"{(then - began).total_seconds():.0f} s"


def _messages(body: Mapping[str, Any]) -> Md:
    found: Sequence[Message] = [Message.from_document(one) for one in body.get("messages", ())]
    rows = []
    for contact in dict.fromkeys(one.contact for one in found):
        own = [one for one in found if one.contact == contact]
        last = own[-1]
        taken = sum(one.delivery.value == "sent" for one in own)
        rows.append(
            (code(contact), len(own), taken, len(own) - taken, utc(last.at), last.title, last.answer or NONE)
        )
    return (
        table(rows, "contact", "messages", "taken", "not taken", "last", "title", "answer")
        if rows
        else Md("")
    )


def _replays(body: Mapping[str, Any]) -> Md:
    rows = []
    for run in body.get("replays", ()):
        for one in run["alerts"]:
            rows.append((code(run["scenario"]), code(one["threshold"]), one["told"]))
        if not run["alerts"]:
            rows.append((code(run["scenario"]), NONE, "nothing would have fired"))
    return table(rows, "load run", "threshold", "what would have happened") if rows else Md("")
