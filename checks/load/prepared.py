"""What a load run needs of the target before it can send: a health answer, accounts, and bots of its own."""

from __future__ import annotations

import stat
from dataclasses import dataclass, field
from pathlib import Path

from checks.audit.common import signed_in
from checks.context import Context
from checks.launches import Bot
from checks.load.model import Scenario
from checks.load.plan import Account
from checks.model import Outcome, Reason, inconclusive
from checks.text import one_line
from checks.walkthrough.walk import launch

BOT_PLACE = 60
"""The number of the first bot of a load run among the bots of a run."""
ACCOUNT_PLACE = 90
"""The visitor that signs the accounts in."""
MOST_ACCOUNTS_BYTES = 1 << 20


@dataclass(slots=True)
class _Shared:
    """What the load runs of one run share."""

    bots: list[Bot] = field(default_factory=list)
    launched: int = 0
    accounts: list[Account] | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """Bots and accounts that are there."""

    bots: tuple[str, ...]
    accounts: tuple[Account, ...]
    notes: tuple[str, ...] = ()


async def prepared(context: Context, scenario: Scenario) -> Prepared | Outcome:
    """Everything that `scenario` needs; else the INCONCLUSIVE outcome that says why not."""
    health = await context.controller.ask("health")
    if not health.ok:
        why = f"No load was sent: the controller is not healthy before it ({health.problem})"
        return inconclusive(health.reason, why, evidence=health.seen)
    if problem := await signed_in(context):
        return problem
    shared = context.state(_Shared)
    shared.bots = [bot for bot in shared.bots if not bot.is_stopped]
    while len(shared.bots) < scenario.bots:
        place = BOT_PLACE + shared.launched
        shared.launched += 1
        started = await launch(context, place)
        if started.bot is None:
            why = started.outcome.summary if started.outcome else "no bot was launched"
            reason = started.outcome.reason if started.outcome else Reason.BLOCKED
            return inconclusive(reason, f"No load was sent: {why}", evidence=started.evidence)
        shared.bots.append(started.bot)
    if shared.accounts is None:
        found = await _accounts(context)
        if isinstance(found, Outcome):
            return found
        shared.accounts = found
    notes = []
    if len(shared.accounts) < scenario.users:
        count = len(shared.accounts)
        told = "one account" if count == 1 else f"{count} accounts"
        notes.append(f"All users shared {told}: name more in [load] users_file to sign each in on its own")
    names = tuple(bot.bot_id for bot in shared.bots[: scenario.bots])
    return Prepared(names, tuple(shared.accounts), tuple(notes))


async def _accounts(context: Context) -> list[Account] | Outcome:
    """The profile's accounts, signed in; else the token of the run."""
    name = context.target.profile.load.users_file
    if not name:
        return [Account(context.controller.token)]
    pairs = _read(Path(name))
    if isinstance(pairs, str):
        return inconclusive(Reason.NO_SOURCE, f"No load was sent: [load] users_file {pairs}")
    found = []
    for place, (username, password) in enumerate(pairs):
        context.redactor.learn(password)
        async with context.visitor(ACCOUNT_PLACE + place % 9) as visitor:
            reply = await visitor.controller.ask(
                "login", with_token=False, username=username, password=password, is_typical=False
            )
        if not (token := reply.field("token")):
            why = reply.problem or "no token was answered"
            who = f"account {place + 1} of [load] users_file"
            return inconclusive(
                reply.reason, f"No load was sent: {who} could not sign in: {why}", evidence=reply.seen
            )
        context.redactor.learn(token)
        found.append(Account(token))
    return found


def _read(path: Path) -> list[tuple[str, str]] | str:
    """Names and passwords; else what is wrong with the file, going on after its key."""
    try:
        if path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            return "can be read by others: chmod 600 it"
        with path.open("rb") as file:
            raw = file.read(MOST_ACCOUNTS_BYTES + 1)
        lines = raw.decode("utf-8").splitlines()
    except OSError as problem:
        return f"cannot be read ({one_line(problem.strerror or problem).lower()}): correct the path"
    except UnicodeDecodeError:
        return "is not UTF-8 text: save it as UTF-8"
    if len(raw) > MOST_ACCOUNTS_BYTES:
        return "is longer than 1 MiB: give one NAME PASSWORD a line"
    pairs = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        username, _, password = line.strip().partition(" ")
        if not password.strip():
            return f"has no password in line {number}: give one NAME PASSWORD a line"
        pairs.append((username, password.strip()))
    return pairs or "names no account: give one NAME PASSWORD a line"
