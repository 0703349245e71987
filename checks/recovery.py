"""What an interrupted run left behind: found in the journal, stopped at the target, told to the lead."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from checks.context import Context, opened
from checks.events import Listener, Notice
from checks.fold import latest
from checks.launches import end_process, is_unknown
from checks.model import Entry, Kind, Reason
from checks.runner import Append
from checks.target import Target
from checks.text import clean

END_WITHIN_S = 5.0
DONE_BY_GUARD = ("stopped by the guard", "the controller no longer knew it", "it was never launched")
"""What the guard says of a bot for which nothing is left to do."""


def pending(entries: Sequence[Entry]) -> dict[str, Entry]:
    """The LAUNCHING entries of bots whose end is not recorded."""
    launched, stopped = latest(entries, Kind.LAUNCHING), latest(entries, Kind.STOPPED)
    return {
        bot_id: entry
        for bot_id, entry in launched.items()
        if bot_id not in stopped or stopped[bot_id].seq < entry.seq
    }


def unfinished(entries: Sequence[Entry]) -> list[Entry]:
    """The RUN_STARTED entries of runs whose end is not recorded."""
    finished = latest(entries, Kind.RUN_FINISHED)
    return [entry for run, entry in latest(entries, Kind.RUN_STARTED).items() if run not in finished]


async def recover(
    entries: Sequence[Entry],
    target: Target,
    folder: Path,
    *,
    append: Append,
    announce: Listener,
    clock: Callable[[], datetime],
) -> None:
    """Stop the bots of interrupted runs and give those runs an end; what cannot be stopped stays pending.

    `entries` are the latest of each kind and subject. Raises ReviewError when the journal cannot be written.
    """
    files, told = _told_by_guards(folder)
    left = pending(entries)
    problems: dict[str, str] = {}
    ended = 0
    for bot_id, entry in list(left.items()):
        if told.get(bot_id) in DONE_BY_GUARD:
            append(Kind.STOPPED, bot_id, {"run": entry.body["run"], "bot_id": bot_id, "how": told[bot_id]})
            ended += told[bot_id] == DONE_BY_GUARD[0]
            del left[bot_id]
    if left:
        async with opened(
            target,
            run="recovery",
            nonce="0" * 12,
            guard_file=folder / "guard-recovery.json",
            record=append,
            announce=announce,
            clock=clock,
        ) as (context, _):
            await _sign_in(context)
            for bot_id, entry in left.items():
                how, problem = await _stop(context, bot_id, entry)
                if problem:
                    problems[bot_id] = problem
                else:
                    append(Kind.STOPPED, bot_id, {"run": entry.body["run"], "bot_id": bot_id, "how": how})
                    ended += how.startswith("stopped")
    for entry in unfinished(entries):
        _finish(entry, entries, append, announce)
    if ended:
        what = "1 bot" if ended == 1 else f"{ended} bots"
        verb = "was" if ended == 1 else "were"
        announce(Notice(clean(f"{what} that an interrupted run had launched {verb} stopped.")))
    for problem in problems.values():
        announce(Notice(clean(problem), is_warning=True))
    for file in files:
        file.unlink(missing_ok=True)


def _told_by_guards(folder: Path) -> tuple[list[Path], dict[str, str]]:
    files = sorted(folder.glob("guard-*.json"))
    told: dict[str, str] = {}
    for file in files:
        try:
            document = json.loads(file.read_text("utf-8"))
            told |= {str(bot_id): str(how) for bot_id, how in document["stopped"].items()}
        except (OSError, ValueError, KeyError, AttributeError, TypeError):
            continue  # a broken file says nothing; the bots are then asked for below
    return files, told


async def _sign_in(context: Context) -> None:
    secrets = context.target.credentials
    if context.controller.token or not secrets.username:
        return
    reply = await context.controller.ask("login", username=secrets.username, password=secrets.password)
    if reply.ok and reply.field("token"):
        context.controller.learn_token(reply.field("token"))


async def _stop(context: Context, bot_id: str, entry: Entry) -> tuple[str, str]:
    """How the bot ended, or the sentence that says why it is still pending."""
    reply = await context.controller.ask("stop", bot_id=bot_id)
    is_gone = reply.reason is Reason.UNREACHABLE
    if not (reply.ok or is_unknown(reply) or (is_gone and context.target.is_local)):
        return "", f"{bot_id} of an interrupted run could not be stopped: {reply.problem}."
    how = "stopped by the next start" if reply.ok else "the controller did not know it any more"
    if is_gone:
        how = "the controller does not run, nor does a process with its id"
    if context.target.is_local:
        pid = context.processes.find(bot_id, entry.at.timestamp())
        identity = context.processes.identity(pid)
        if identity is not None:
            problem = await end_process(context.processes, identity, END_WITHIN_S)
            return "stopped by the next start: its process was ended", problem
    return how, ""


def _finish(entry: Entry, entries: Sequence[Entry], append: Append, announce: Listener) -> None:
    run = entry.subject
    results = [found for found in entries if found.kind is Kind.RESULT and found.body.get("run") == run]
    last = max(results, key=lambda found: found.seq, default=None)
    after = f"after {last.subject}" if last else "before its first result"
    append(Kind.RUN_FINISHED, run, {"run": run, "interrupted": f"gonogo ended without warning {after}"})
    when = f"{entry.at:%Y-%m-%d %H:%M:%S}Z"
    announce(
        Notice(
            clean(f"The run of {when} was interrupted {after}: gonogo ended without warning."),
            is_warning=True,
        )
    )
