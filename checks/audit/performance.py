"""Performance at rest: how long answers take, judged by the 95th percentile with its bounds, and that a history is no
longer than asked for."""

from __future__ import annotations

from checks.audit.common import audit, leave_is_missing, note, signed_in
from checks.audit.concurrency import health_under_load
from checks.audit.delivery import connection
from checks.audit.sampling import NEEDED, SURE, Sampling, Talk, sampled, talked, try_limit
from checks.context import Context
from checks.controller import Reply
from checks.model import (
    Evidence,
    Outcome,
    Reason,
    Safety,
    Severity,
    Subject,
    failed,
    inconclusive,
    not_applicable,
    passed,
)
from checks.text import duration

MIN_SAMPLES = 3
"""With fewer nothing is called slow."""
HISTORY_LENGTH, SHORT_HISTORY = 50, 2
FASTER = "Look where the time goes (EXPLAIN of its queries, py-spy dump --pid PID)"


@audit(
    "RESP-01",
    "Health is answered fast enough",
    subject=Subject.PERFORMANCE,
    severity=Severity.MAJOR,
    safety=Safety.ACTIVE,
    sends=f"health requests, one after the other, until the run has timed {NEEDED}, with those of RESP-09 and RESP-10",
    why="A slow health check has a balancer take a working controller out.",
    fix="Let /health answer from memory: no query, no look at each bot. The limit is [audit] health_p95_s.",
    reference="SRE book, chapter 4 (service level objectives)",
)
async def health_is_fast(context: Context) -> Outcome:
    """The 95th percentile of health at rest is within [audit] health_p95_s."""
    limit_s = context.target.profile.audit.health_p95_s
    await connection(context)
    loaded = await health_under_load(context)
    found = await sampled(context, "health", limit_s, slower=loaded)
    return _judged(context, "Health", found, limit_s)


@audit(
    "RESP-02",
    "The list of bots is answered fast enough",
    subject=Subject.PERFORMANCE,
    severity=Severity.MAJOR,
    safety=Safety.ACTIVE,
    sends=f"requests of the list of bots until the run has timed {NEEDED}; the first few try its limit (API-01)",
    why="The page asks for the list again and again; every user waits for it.",
    fix=f"{FASTER}; answer the list from memory. The limit is [audit] list_p95_s.",
    reference="SRE book, chapter 4 (service level objectives)",
)
async def list_is_fast(context: Context) -> Outcome:
    """The 95th percentile of the list at rest is within [audit] list_p95_s."""
    if "bots" not in context.target.contract.operations:
        return not_applicable("The contract names no list of bots")
    if (missing := await signed_in(context)) and context.target.contract.rest_auth == "bearer":
        return missing
    limit_s = context.target.profile.audit.list_p95_s
    await try_limit(context, "bots", {})
    return _judged(context, "The list of bots", await sampled(context, "bots", limit_s), limit_s)


@audit(
    "RESP-03",
    "The history is answered fast enough",
    subject=Subject.PERFORMANCE,
    severity=Severity.MAJOR,
    safety=Safety.ACTIVE,
    sends=f"{NEEDED} marked commands to a bot of its own, then as many requests of its history (see RESP-02)",
    why="Every user who opens a chat waits for its history.",
    fix="CREATE INDEX ON messages (bot_id, id); and ask with ORDER BY id DESC LIMIT n.\n"
    "The limit is [audit] history_p95_s.",
    reference="SRE book, chapter 4 (service level objectives)",
)
async def history_is_fast(context: Context) -> Outcome:
    """The 95th percentile of the history of a bot with messages is within [audit] history_p95_s."""
    if missing := leave_is_missing(context):
        return missing
    talk = await talked(context, context.target.profile.audit.send_p95_s)
    if isinstance(talk, Outcome):
        return talk
    assert talk.bot
    limit_s = context.target.profile.audit.history_p95_s
    await _short_history(context, talk)
    values = {"bot_id": talk.bot.bot_id, "limit": str(HISTORY_LENGTH)}
    await try_limit(context, "history", values)
    found = await sampled(context, "history", limit_s, values)
    return _judged(context, "The history", found, limit_s)


@audit(
    "RESP-04",
    "Commands are answered fast enough",
    subject=Subject.PERFORMANCE,
    severity=Severity.MAJOR,
    safety=Safety.ACTIVE,
    sends=f"{NEEDED} marked commands to a bot of its own over one WebSocket, each after the reply to the one before",
    why="The time between a command and its reply is what users call the speed of the system.",
    fix=f"{FASTER}; keep connections to the bots open, and the database's commit short.\n"
    "The limit is [audit] send_p95_s.",
    reference="SRE book, chapter 4 (service level objectives)",
)
async def commands_are_fast(context: Context) -> Outcome:
    """The 95th percentile of a command and its reply is within [audit] send_p95_s."""
    if missing := leave_is_missing(context):
        return missing
    limit_s = context.target.profile.audit.send_p95_s
    talk = await talked(context, limit_s)
    if isinstance(talk, Outcome):
        return talk
    assert talk.sampling
    return _judged(context, "A command with its reply", talk.sampling, limit_s)


def _judged(context: Context, what: str, found: Sampling, limit_s: float) -> Outcome:
    """PASS where the upper bound of the 95th percentile is within the limit, FAIL where the lower one is above it.

    Both bounds are as sure as `SURE` says. What is too slow only because this program itself was late fails nothing.
    """
    expected = f"p95 at most {duration(limit_s)}, {SURE * 100:.0f} % sure ({NEEDED} samples or more)"
    told = found.estimate()
    if told is None or (found.problem and told.upper is None):
        why = found.problem or "nothing was asked in time"
        n = len(found.seconds)
        what = f"{what} was timed only {n} times: {why}"
        return inconclusive(found.reason or Reason.SKIPPED, what, expected=expected, evidence=found.evidence)
    is_sure = told.upper is not None
    upper = f"at most {duration(told.upper)}" if told.upper is not None else "no upper bound"
    shown = f"p95 {duration(told.point)} ({SURE * 100:.0f} % sure: {upper}), n {told.n}, limit {duration(limit_s)}"
    times = " ".join(f"{seconds * 1e3:.1f}" for seconds in sorted(found.seconds)[-200:])
    lines = [shown, f"own delay at worst {duration(found.lag_s)}", f"times in ms, sorted: {times}"]
    if found.stand_ins:
        lines.append(
            f"{found.stand_ins} of them under several requests at once, which is no faster than at rest"
        )
    seen = [note(context, f"{what}: {shown}", lines)]
    if told.upper is not None and told.upper <= limit_s:
        return passed(f"{what}: {shown}", observed=shown, expected=expected, evidence=seen)
    is_slow = told.lower is not None and told.lower > limit_s and told.n >= MIN_SAMPLES
    if told.lower is not None and is_slow and told.lower - found.lag_s > limit_s:
        slowest = f"p95 {duration(told.point)} ({SURE * 100:.0f} % sure: at least {duration(told.lower)})"
        sentence = f"{what} is too slow: {slowest}, n {told.n}, limit {duration(limit_s)}"
        return failed(sentence, observed=shown, expected=expected, evidence=seen)
    if is_slow or found.lag_s > limit_s / 2:
        why = f"gonogo itself was late by {duration(found.lag_s)}: run it on a host with less to do"
        return inconclusive(
            Reason.CONTROL, f"{what}: {why}", observed=shown, expected=expected, evidence=seen
        )
    why = "too close to the limit to be sure" if is_sure else f"{told.n} samples are too few"
    return inconclusive(
        Reason.SKIPPED, f"{what}: {why}: {shown}", observed=shown, expected=expected, evidence=seen
    )


@audit(
    "RESP-08",
    "The history honours its limit",
    subject=Subject.PERFORMANCE,
    severity=Severity.MAJOR,
    safety=Safety.ACTIVE,
    sends=f"one request of the history of a bot with more messages, with the limit {SHORT_HISTORY}",
    why="Where the whole history is sent each time, every chat gets slower with every message.",
    fix="SELECT ... WHERE bot_id = :bot_id ORDER BY id DESC LIMIT :limit; and a greatest limit, such as 1000.",
    reference="OWASP API4:2023",
)
async def history_has_a_limit(context: Context) -> Outcome:
    """A history of more messages is answered with at most as many as were asked for."""
    if missing := leave_is_missing(context):
        return missing
    operation = context.controller.operation("history")
    if "{limit}" not in operation.path + str(operation.body):
        return inconclusive(
            Reason.NO_SOURCE, "The contract's history takes no limit: write {limit} into its path"
        )
    talk = await talked(context, context.target.profile.audit.send_p95_s)
    if isinstance(talk, Outcome):
        return talk
    assert talk.bot
    if talk.messages <= SHORT_HISTORY:
        return inconclusive(Reason.BLOCKED, f"The bot's history holds only {talk.messages} messages")
    reply = await _short_history(context, talk)
    expected = f"at most {SHORT_HISTORY} of {talk.messages} messages"
    messages = reply.fields.get("messages")
    if not reply.ok or not isinstance(messages, list):
        why = reply.problem or "it carries no list of messages"
        return inconclusive(reply.reason, f"The history: {why}", expected=expected, evidence=reply.seen)
    observed = f"{len(messages)} messages for the limit {SHORT_HISTORY}"
    if len(messages) > SHORT_HISTORY:
        what = f"The history ignores its limit: {observed}"
        return failed(what, observed=observed, expected=expected, evidence=_start_of(context, reply))
    if not messages:
        what = f"The history is empty, though {talk.messages} messages were exchanged"
        return inconclusive(Reason.CONTROL, what, observed=observed, expected=expected, evidence=reply.seen)
    return passed(
        f"Of {talk.messages} messages {len(messages)} were answered", observed=observed, expected=expected
    )


async def _short_history(context: Context, talk: Talk) -> Reply:
    """The history with a small limit, asked once in a run."""
    if talk.short is None:
        assert talk.bot
        talk.short = await context.controller.ask("history", bot_id=talk.bot.bot_id, limit=str(SHORT_HISTORY))
    return talk.short


def _start_of(context: Context, reply: Reply) -> list[Evidence]:
    """A long answer is shown by its first lines."""
    return [note(context, str(reply.answer.evidence.title), [reply.answer.text[:1000]])]
