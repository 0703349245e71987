"""What a report does not show: folded from the same facts, and what such a test cannot show by nature."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

from checks.fold import age
from checks.model import Area, Reason, Severity, State, Verdict
from checks.reports.facts import Facts, Step
from checks.reports.markdown import entry

UNSEEN_AREAS = {
    Area.WALKTHROUGH: "whether a user can sign in, launch a bot, be answered and find it all again",
    Area.AUDIT: "whether it is secure: who reaches the database, how tokens are signed, TLS, rate limits, "
    "headers, and what the logs hold",
    Area.LOAD: "how many users it carries, how slow it becomes under load, and what breaks first: no load was "
    "put on it",
    Area.MONITORING: "whether anybody would notice when it fails: no signal was watched and no alarm was tried",
    Area.SIGNOFF: "what only people can attest, such as a restored backup, a rehearsed rollback and a staffed "
    "on-call: no item of a checklist was attested",
}
SOURCES = {
    "sql": "The target's database was not read: what is said of stored messages rests on the API's own word.",
    "websocket": "Nothing was asked over a WebSocket.",
    "process": "No process was looked at: that bots are born and gone rests on the controller's own word.",
}
"""Kind of evidence -> what is missing where no judged step of the walkthrough has any."""

BY_NATURE = (
    (
        "A walkthrough is one user with a handful of messages at one moment. It says nothing of many users, of "
        "long conversations, of unusual input, or of the days after."
    ),
    "It can find faults and cannot prove that there are none: what no check asks for was not looked at.",
    "That a reply came, in time and from the right bot, is judged. Whether it is a good answer is not.",
    (
        "Everything was seen from the host on which gonogo ran. The way there from a user's browser, through "
        "proxies, networks and devices, was not."
    ),
    (
        "The journal shows every later change of what it recorded. It cannot show that somebody with all rights on "
        "this account made a whole new one: keep the hash of the journal's head in a second place."
    ),
)


def limits(facts: Facts) -> tuple[str, ...]:
    """The sentences of both reports' section `What this does not show`, the concrete ones first."""
    return (
        *_areas(facts),
        *_checks(facts),
        *_runs(facts),
        *_sources(facts),
        *_luck(facts),
        *_leavings(facts),
        *_age(facts),
    )


def _areas(facts: Facts) -> Iterator[str]:
    for area in Area:
        steps = facts.of(area)
        if not any(step.latest for step in steps):
            why = "was not run" if steps else "has no checks in this review"
            yield f"The area {area.value} {why}. Nothing here shows {UNSEEN_AREAS[area]}."


def _checks(facts: Facts) -> Iterator[str]:
    for area in Area:
        steps = facts.of(area)
        if not any(step.latest for step in steps):
            continue
        run = facts.last_run(area)
        missing = [_name(step) for step in steps if step.latest is None]
        if missing:
            quick = run is not None and run.quick
            why = " The last run was a quick one, which leaves out what is disruptive." if quick else ""
            yield f"Not run: {'; '.join(missing)}.{why}"
        for step in steps:
            if step.latest is None:
                continue
            result = step.latest.result
            if step.state.state is State.INCONCLUSIVE:
                skipped = result.reason in (Reason.SKIPPED, Reason.INTERRUPTED, Reason.BLOCKED)
                what = "was not judged" if skipped else "could not be judged"
                yield f"{_name(step)} {what} ({result.reason.value}): {result.summary}."
            elif step.state.state is State.STALE:
                told = age(result.started_at, facts.snapshot.at)
                yield f"{_name(step)} is STALE: its result ({result.verdict.value}) is {told} old."


def _runs(facts: Facts) -> Iterator[str]:
    for area in Area:
        run, judged = facts.last_run(area), [step for step in facts.of(area) if step.latest]
        if run is None or not judged:
            continue
        if run.ended_at is None:
            yield f"The last run of the {area.value} ({entry(run.seq)}) has no end recorded."
        elif run.interrupted:
            yield f"The last run of the {area.value} ({entry(run.seq)}) was cut short: {run.interrupted}."
        if run.quick and all(step.latest for step in facts.of(area)):
            yield (
                f"The last run of the {area.value} was a quick one: what is disruptive was left out, and its "
                "results come from an earlier run."
            )
        used = {step.latest.result.run for step in judged if step.latest}
        if len(used) > 1:
            yield (
                f"The results of the {area.value} come from {len(used)} runs: the steps were not all seen "
                "one after the other in one go."
            )
    yield from _elsewhere(facts)


def _elsewhere(facts: Facts) -> Iterator[str]:
    others: dict[tuple[str, str], list[int]] = {}
    for run in facts.looked_at:
        if (run.title, run.url) != (facts.title, facts.url):
            others.setdefault((run.title, run.url), []).append(run.seq)
    for (title, url), seqs in others.items():
        yield (
            f"The results of {', '.join(map(entry, seqs))} are of “{title}” at {url}, not of what this report is "
            "about."
        )
    snapshot = facts.snapshot
    if (snapshot.target, snapshot.url) != (facts.title, facts.url):
        yield (
            f"The target is now called “{snapshot.target}” at {snapshot.url}. What counts here was measured at "
            f"“{facts.title}” at {facts.url}."
        )
    if not is_on_this_host(facts.url):
        yield (
            "The target does not run on the host from which it was looked at: its processes, its files and "
            "its load could not be seen."
        )


def is_on_this_host(url: str) -> bool:
    """Whether an address is one of the loopback."""
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return False
    return host == "localhost" or host.startswith("127.") or host == "::1"


def _sources(facts: Facts) -> Iterator[str]:
    judged = [
        step.latest.result
        for step in facts.of(Area.WALKTHROUGH)
        if step.latest and step.latest.result.verdict is not Verdict.INCONCLUSIVE
    ]
    kinds = {
        facts.evidence[name].kind for result in judged for name in result.evidence if name in facts.evidence
    }
    if judged:
        yield from (sentence for kind, sentence in SOURCES.items() if kind not in kinds)


def _luck(facts: Facts) -> Iterator[str]:
    for step in facts.steps:
        if step.latest is None or step.latest.result.verdict is not Verdict.PASS:
            continue
        before = [one for one in step.attempts[:-1] if one.result.verdict is not Verdict.PASS]
        if before:
            told = ", ".join(f"{one.result.verdict.value} in {entry(one.seq)}" for one in before)
            yield (
                f"{_name(step)} passed at attempt {step.latest.result.attempt} only ({told} before it). "
                "Why it did not pass at once is not explained."
            )
        failures = [one for one in step.earlier if one.result.verdict is Verdict.FAIL]
        if failures:
            often = "once" if len(failures) == 1 else f"{len(failures)} times"
            yield (
                f"{_name(step)} passes now and failed {often} in earlier runs, last in "
                f"{entry(failures[-1].seq)}. What was changed in between is not recorded."
            )


def _leavings(facts: Facts) -> Iterator[str]:
    for bot in facts.bots:
        if bot.stopped_at is None:
            yield f"{bot.bot_id} was launched ({entry(bot.seq)}); no end of it is recorded: it may still run."
    counted = {left.run for left in facts.snapshot.leftovers}
    for run in facts.runs:
        ended_early = run.ended_at is None or run.interrupted
        launched = [bot.bot_id for bot in facts.bots if bot.run == run.id]
        if ended_early and launched and run.id not in counted:
            yield (
                f"The run of {entry(run.seq)} ended early and did not list the rows that it left behind; there "
                f"may be some of {', '.join(launched)}."
            )
    if any(left.rows is None for left in facts.snapshot.leftovers):
        yield "Some of the rows left in the target's database could not be counted."


def _age(facts: Facts) -> Iterator[str]:
    times = [step.latest.result.started_at for step in facts.steps if step.latest]
    if times:
        yield (
            f"The oldest result that counts is {age(min(times), facts.snapshot.at)} old, the newest "
            f"{age(max(times), facts.snapshot.at)}. What was changed at the target since was not seen."
        )
    minor = [
        step.state.id
        for step in facts.steps
        if step.state.severity is Severity.MINOR and step.state.state is State.FAIL
    ]
    if minor:
        yield f"Failures of severity minor do not bear on the answer: {', '.join(minor)}."


def _name(step: Step) -> str:
    return f"{step.state.id} {step.state.title}"
