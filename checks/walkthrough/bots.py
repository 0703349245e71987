"""Steps 4 and 12 to 14: bots are born, their death is seen, they stop, and nothing of them stays."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from checks.context import Context, until
from checks.controller import Reply
from checks.launches import Bot
from checks.model import Area, Evidence, Outcome, Reason, Safety, Severity, failed, inconclusive, passed
from checks.probe.process import Seen
from checks.profile.template import pick
from checks.registry import check
from checks.text import duration
from checks.walkthrough.walk import Walk, launch, not_judged

STAYS_DOWN_S = 1.0
"""How long a stopped bot is given to come back, as one under a supervisor would."""


@check(
    "WALK-04",
    "Launch a bot",
    area=Area.WALKTHROUGH,
    severity=Severity.BLOCKER,
    safety=Safety.ACTIVE,
    sends="one launch with a marked bot id; looks at the new process and its port",
    why="A launch that only says so leaves the user talking to nobody.",
    needs=("WALK-03",),
    hops=("controller", "bot"),
)
async def bot_is_launched(context: Context) -> Outcome:
    """The launch is answered, and a process younger than the request carries the id and listens."""
    context.hop("controller")
    started = await launch(context, 0)
    context.state(Walk).first = started.bot
    if started.outcome:
        return started.outcome
    bot = started.bot
    limit_s = context.target.profile.walkthrough.launch_within_s
    return passed(
        f"{bot.bot_id if bot else ''} runs as a process of its own",
        observed=started.seen.evidence.title if started.seen else "",
        expected=f"a new process with an open port within {limit_s:g} s",
        evidence=started.evidence,
    )


@check(
    "WALK-12",
    "A killed bot is seen as down",
    area=Area.WALKTHROUGH,
    severity=Severity.MAJOR,
    safety=Safety.DISRUPTIVE,
    sends="SIGKILL to a bot that this walkthrough launched; the list of bots until it says so",
    why="A dead bot that is listed as alive takes messages that nobody will answer.",
    reference="SRE book: monitoring distributed systems",
    needs=("WALK-04",),
    hops=("controller", "bot"),
)
async def killed_bot_is_seen(context: Context) -> Outcome:
    """A bot that is listed as alive and then killed is soon listed as down, or not at all."""
    settings = context.target.profile.walkthrough
    expected = (
        f"listed as alive before, and as down or not at all {settings.down_within_s:g} s after the kill"
    )
    if not settings.kill_bot:
        why = "The profile forbids it: [walkthrough] kill_bot = false"
        return inconclusive(Reason.SKIPPED, why, expected=expected)
    seen: list[Evidence] = []
    walk = context.state(Walk)
    bot = await _second_bot(context, seen)
    if bot is None:
        why = "There is no second bot that could be killed"
        return inconclusive(Reason.BLOCKED, why, expected=expected, evidence=seen)
    context.hop("bot")
    before, _ = await until(
        lambda: _list(context), lambda reply: _is_listed(context, reply, bot), settings.launch_within_s
    )
    seen += before.seen
    if not before.ok:
        return not_judged(before.reason, f"The bots were not listed: {before.problem}", seen, expected)
    if problem := _no_list(before):
        return failed(problem, reason=Reason.PROTOCOL, observed=problem, expected=expected, evidence=seen)
    if not _is_listed(context, before, bot):
        why = f"{bot.bot_id} was not listed as alive before"
        return inconclusive(Reason.CONTROL, why, expected=expected, evidence=seen)
    if why := await _kill(context, bot, seen):
        return inconclusive(Reason.NO_RIGHT, why, expected=expected, evidence=seen)
    after, elapsed_s = await until(
        lambda: _list(context),
        lambda reply: reply.ok and not _is_listed(context, reply, bot),
        settings.down_within_s,
    )
    seen += after.seen
    if not after.ok:
        return not_judged(after.reason, f"The bots were not listed: {after.problem}", seen, expected)
    if problem := _no_list(after) or _lost(context, walk.first, before, after):
        return failed(problem, observed=problem, expected=expected, evidence=seen)
    status = _status(context, after, bot)
    if _is_listed(context, after, bot):
        return failed(
            f"{bot.bot_id} is dead and still listed as {status!r}",
            observed=f"status {status!r} after {duration(elapsed_s)}",
            expected=expected,
            evidence=seen,
        )
    told = f"listed as {status!r}" if status else "no longer listed"
    return passed(
        f"The killed bot was seen as down after {duration(elapsed_s)}",
        observed=f"{told} {duration(elapsed_s)} after the kill",
        expected=expected,
        evidence=seen,
    )


def _no_list(reply: Reply) -> str:
    """Why the answer is no list of bots: what it does not say of a bot would otherwise seem to be its end."""
    bots = reply.fields.get("bots")
    return "" if isinstance(bots, (dict, list)) else "The answer holds no list of bots"


def _lost(context: Context, other: Bot | None, before: Reply, after: Reply) -> str:
    """Whether the kill of one bot took another, living one off the list; empty where not."""
    if other is None or other.is_stopped or not _is_listed(context, before, other):
        return ""
    if _is_listed(context, after, other):
        return ""
    return f"{other.bot_id} lives and is no longer listed as alive"


async def _second_bot(context: Context, seen: list[Evidence]) -> Bot | None:
    """The run's second bot, launched now where it was not yet."""
    walk = context.state(Walk)
    if walk.second is None:
        started = await launch(context, 1)
        seen += started.evidence
        walk.second = None if started.outcome else started.bot
    return walk.second


async def _kill(context: Context, bot: Bot, seen: list[Evidence]) -> str:
    """Kill the very process of `bot` and see it gone; empty, or why it was not done."""
    if bot.identity is None:
        return f"{bot.bot_id} could not be killed: its process is not known"
    why = context.processes.end(bot.identity, force=True)
    gone, _ = await until(
        lambda: context.processes.look(bot.pid, None), lambda look: look.identity != bot.identity, 2.0
    )
    seen.append(gone.evidence)
    if gone.identity == bot.identity:
        return f"{bot.bot_id} could not be killed: {why or 'it is still there'}"
    return ""


@check(
    "WALK-13",
    "Stop ends the bot",
    area=Area.WALKTHROUGH,
    severity=Severity.BLOCKER,
    safety=Safety.ACTIVE,
    sends="one stop of the launched bot; looks at its process and its port until they are gone",
    why="Bots that only seem stopped fill the host until it fails.",
    needs=("WALK-04",),
    hops=("controller", "bot"),
)
async def stop_ends_the_bot(context: Context) -> Outcome:
    """After a stop the process is gone and its port closed."""
    bot = context.state(Walk).first
    limit_s = context.target.profile.walkthrough.stop_within_s
    expected = f"process gone and port closed within {limit_s:g} s of the stop"
    if bot is None:
        return inconclusive(Reason.BLOCKED, "No bot was launched", expected=expected)
    context.hop("controller")
    context.launches.remember_family(bot)
    reply = await context.controller.ask("stop", within_s=limit_s, bot_id=bot.bot_id)
    seen = [*reply.seen]
    if not reply.ok:
        return not_judged(reply.reason, f"The stop was not taken: {reply.problem}", seen, expected)
    if bot.identity is None:
        why = "the stop was answered, but whether the process is gone cannot be seen from here"
        return inconclusive(Reason.NO_RIGHT, why, expected=expected, evidence=seen)
    look, elapsed_s = await until(
        lambda: context.processes.look(bot.pid, bot.port),
        lambda look: not _left(context, bot, look),
        limit_s,
    )
    seen.append(look.evidence)
    if left := _left(context, bot, look):
        return failed(
            f"The stop was answered with a success, but {left}",
            observed=look.evidence.title,
            expected=expected,
            evidence=seen,
        )
    context.launches.stopped(bot, "stopped by request")
    return passed(
        "The process is gone and its port closed",
        observed=f"gone {duration(elapsed_s)} after the answer",
        expected=expected,
        evidence=seen,
    )


def _left(context: Context, bot: Bot, look: Seen) -> str:
    """What is still there of a stopped bot; empty where nothing is."""
    if look.identity is not None and look.identity == bot.identity:
        return f"process {bot.pid} still runs"
    if look.listening:
        return f"port {bot.port} is open"
    children = [one.pid for one in bot.family if context.processes.is_alive(one)]
    return f"its child process {children[0]} still runs" if children else ""


@check(
    "WALK-14",
    "Clean-up is verified",
    area=Area.WALKTHROUGH,
    severity=Severity.MAJOR,
    safety=Safety.ACTIVE,
    sends="a stop for every bot that is still there, the list of bots, one SELECT for each marked bot id",
    why="A review must leave the system as it found it, and say where it could not.",
    needs=("WALK-03",),
    hops=("controller", "bot", "database"),
)
async def nothing_is_left(context: Context) -> Outcome:
    """None of the launched bots is listed as alive or runs; what rows stay behind is counted."""
    settings = context.target.profile.walkthrough
    expected = "none of the launched bots is listed as alive, none of their processes runs"
    bots = [bot for bot in context.launches.bots.values() if bot.bot_id != context.target.contract.bad_bot_id]
    if not bots:
        return inconclusive(
            Reason.BLOCKED, "Nothing was launched that could be cleaned up", expected=expected
        )
    context.hop("controller")
    seen, problems = await _revived(context)
    problems += await context.launches.clean_up(settings.stop_within_s)
    reply, _ = await until(
        lambda: _list(context),
        lambda reply: not reply.ok or not any(_is_listed(context, reply, bot) for bot in bots),
        settings.down_within_s,
    )
    seen += reply.seen
    if not reply.ok:
        return not_judged(reply.reason, f"The bots were not listed: {reply.problem}", seen, expected)
    if problem := _no_list(reply):
        problems.append(problem)
    problems += [f"{bot.bot_id} is still listed as alive" for bot in bots if _is_listed(context, reply, bot)]
    context.hop("database")
    rows, unread, evidence = await _count_rows(context, bots)
    seen += evidence
    rest = f"{rows} rows stay under {', '.join(bot.bot_id for bot in bots)}: the target offers no way to delete them"
    observed = (
        f"{len(bots)} bots launched, {len(problems)} problems; {unread or (rest if rows else 'no rows left')}"
    )
    if problems:
        return failed(
            problems[0], observed=f"{'; '.join(problems)}; {observed}", expected=expected, evidence=seen
        )
    if unread:
        why = f"All {len(bots)} launched bots are gone; what rows stay could not be counted: {unread}"
        return inconclusive(Reason.NO_SOURCE, why, observed=observed, expected=expected, evidence=seen)
    return passed(
        f"All {len(bots)} launched bots are gone" + (f"; {rest}" if rows else ""),
        observed=observed,
        expected=expected,
        evidence=seen,
    )


async def _revived(context: Context) -> tuple[list[Evidence], list[str]]:
    """The evidence of each bot that runs again after its stop, or whose port is open again, and a sentence for it."""
    seen, problems = [], []
    await asyncio.sleep(STAYS_DOWN_S)
    for bot in context.launches.bots.values():
        if bot.is_stopped and bot.identity and bot.port and await context.processes.accepts(bot.port):
            seen.append((await context.processes.look(None, bot.port)).evidence)
            problems.append(f"port {bot.port} of {bot.bot_id} is open again after its stop")
    for bot in context.launches.revived():
        identity = context.launches.find(bot)
        seen.append((await context.processes.look(identity.pid if identity else None, bot.port)).evidence)
        problems.append(f"{bot.bot_id} runs again after its stop")
    return seen, problems


async def _count_rows(context: Context, bots: Sequence[Bot]) -> tuple[int, str, list[Evidence]]:
    """How many rows stay, why they could not be counted (empty where they could), and the evidence."""
    total, unread, seen = 0, "", []
    for bot in bots:
        rows = await context.sql.messages(bot.bot_id)
        total += len(rows.rows)
        unread = rows.error.sentence if rows.error else unread
        seen.append(rows.evidence)
    return total, unread, seen


async def _list(context: Context) -> Reply:
    return await context.controller.ask("bots")


def _status(context: Context, reply: Reply, bot: Bot) -> str:
    """The status word that the list gives for `bot`; empty where it is not listed."""
    entry = _entry(reply.fields.get("bots"), bot.bot_id)
    name = context.controller.operation("bots").reply.get("status", "status")
    if entry is None:
        return ""
    return str(pick(entry, name) if isinstance(entry, dict) else entry) or "no status"


def _entry(bots: object, bot_id: str) -> object | None:
    """The list may be an object by id, or an array of objects that name their id."""
    if isinstance(bots, dict):
        return bots.get(bot_id)
    if isinstance(bots, list):
        return next(
            (bot for bot in bots if isinstance(bot, dict) and bot_id in (bot.get("bot_id"), bot.get("id"))),
            None,
        )
    return None


def _is_listed(context: Context, reply: Reply, bot: Bot) -> bool:
    """Whether the list names `bot` as alive."""
    return _status(context, reply, bot).lower() in context.target.contract.alive
