"""What would be run or followed outside: a shell command in a launch, a path out of its folder."""

from __future__ import annotations

import asyncio
import contextlib
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from checks.audit.broken import is_refused, throttled, try_launch
from checks.audit.common import a_bot, audit, leave_is_missing, note
from checks.context import Context, until
from checks.controller import Reply
from checks.launches import Bot
from checks.model import Outcome, Reason, Safety, Severity, Subject, failed, inconclusive, passed
from checks.text import one_line
from checks.walkthrough.walk import bot_id

SHELL_VISITORS, PATH_VISITOR = (25, 26), 28
SHELL_PLACE = 61
MARKERS_WITHIN_S = 0.4
UNSEEN = (
    "A launch with a shell command in it was taken, and whether the command was run cannot be seen: run gonogo on the "
    "target's host, as root or the account of the service"
)
USERS = re.compile(r"(?m)^root:[^:\n]*:0:0:")
"""The first line of /etc/passwd."""


@audit(
    "INP-03",
    "A launch cannot run shell commands",
    subject=Subject.HTTP,
    severity=Severity.BLOCKER,
    safety=Safety.ACTIVE,
    sends="six launches whose type or id holds a shell command that makes an empty file in a temporary folder",
    why="Whoever may launch a bot would own the account of the service.",
    fix='Start bots with a list of arguments and no shell: subprocess.Popen([program, "--id", bot_id]);\n'
    "take bot types from a fixed list, and ids by a pattern.",
    reference="ASVS 1.2.5",
)
async def launches_run_no_shell(context: Context) -> Outcome:
    """What is put behind ; | $() backticks and a line end is refused, or at least not run."""
    if missing := leave_is_missing(context):
        return missing
    bot = await a_bot(context)
    if isinstance(bot, Outcome):
        return bot
    with _folder(context) as folder:
        is_shared = await asyncio.to_thread(_is_seen_by, bot, folder)
        tried = await _launch_commands(context, folder)
        made, _ = await until(
            lambda: asyncio.to_thread(_made, folder), bool, MARKERS_WITHIN_S if context.target.is_local else 0
        )
    lines = [
        f"{what}: {reply.answer.status}, {one_line(reply.told or reply.problem, 80)}" for what, reply in tried
    ]
    seen = [note(context, "Launches that hold a shell command", lines, kind="http")]
    expected = "each refused with 4xx, and no command run"
    if made:
        what = f"A launch ran the shell command in its {', then in its '.join(made)}"
        return failed(what, observed="; ".join(lines), expected=expected, evidence=seen)
    for _, reply in tried:
        if throttled(reply) or reply.answer.status is None:
            why = f"A launch could not be judged: {reply.problem}"
            return inconclusive(reply.reason, why, evidence=seen)
    refused = sum(is_refused(context, reply) for _, reply in tried)
    if refused < len(tried) and not is_shared:
        return inconclusive(Reason.NO_RIGHT, UNSEEN, observed="; ".join(lines), evidence=seen)
    told = f"{refused} of {len(tried)} were refused, and no command was run"
    return passed(
        f"Shell commands in a launch are not run: {told}", observed=told, expected=expected, evidence=seen
    )


async def _launch_commands(context: Context, folder: Path) -> list[tuple[str, Reply]]:
    """Each way into a shell by the bot's type and by its id; every command would leave a file named by its way."""
    tried = []
    good = context.target.profile.walkthrough.bot_type
    for field, place in zip(("type", "id"), SHELL_VISITORS, strict=True):
        async with context.visitor(place) as visitor:
            for way in range(3):
                name = bot_id(context, SHELL_PLACE + way)
                file = folder / f"{field}-{way}"
                payload = shell_payloads(good if field == "type" else name, str(file))[way]
                is_type = field == "type"
                reply = await try_launch(
                    context,
                    visitor,
                    name if is_type else payload,
                    bot_type=payload if is_type else good,
                    is_announced=is_type,
                )
                if reply.answer.status is None:
                    return [(field, reply)]
                tried.append((f"{field}, {('; | &&', '$() and backticks', 'a line end')[way]}", reply))
    return tried


def shell_payloads(value: str, file: str) -> tuple[str, str, str]:
    """`value` with a command behind it in the ways in which shells take one; each touches `file`."""
    return (
        f"{value};touch {file};{value}|touch {file}&&touch {file}",
        f"{value}$(touch {file})`touch {file}`",
        f"{value}\ntouch {file}\n",
    )


@contextlib.contextmanager
def _folder(context: Context) -> Iterator[Path]:
    """A folder that every account of this host may make files in; removed with what is in it."""
    if not context.target.is_local:
        yield Path("/tmp") / f"gonogo-{context.nonce}"  # noqa: S108 - never made here: a name alone
        return
    path = Path(tempfile.mkdtemp(prefix="gonogo-"))
    path.chmod(0o1733)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _is_seen_by(bot: Bot, folder: Path) -> bool:
    """Whether the service's own processes see `folder` where we do: no container, no /tmp of their own."""
    if bot.identity is None:
        return False
    try:
        return Path(f"/proc/{bot.identity.pid}/root{folder}").samefile(folder)
    except OSError:
        return False


def _made(folder: Path) -> list[str]:
    """In which fields of a launch a command was run."""
    names = {path.name.partition("-")[0] for path in folder.iterdir()} if folder.is_dir() else set()
    return sorted(names & {"id", "type"})


@audit(
    "HTTP-11",
    "Paths cannot leave their folder",
    subject=Subject.HTTP,
    severity=Severity.BLOCKER,
    safety=Safety.READ_ONLY,
    sends="four requests for /etc/passwd below the folder of static files, in the spellings that slip through",
    why="Every file that the service can read could be read by everybody: its secrets, its code, its database.",
    fix="Resolve the path and compare: if not path.resolve().is_relative_to(folder): raise 404;\n"
    "or serve files with the framework's own static files, or by the proxy.",
    reference="ASVS 5.3.2, CWE-22",
)
async def paths_stay_in_their_folder(context: Context) -> Outcome:
    """No spelling of a path upwards is answered with a file of the host."""
    below = next(
        (one for one in context.target.contract.public if len(one) > 1 and one.endswith("/")), "/static/"
    )
    lines: list[str] = []
    within_s = context.target.profile.walkthrough.timeout_s
    expected = "no file from outside the folder"
    async with context.visitor(PATH_VISITOR) as visitor:
        for path in upwards(below):
            answer = await visitor.http.ask("GET", path, within_s=within_s)
            lines.append(f"GET {path}: {answer.status}, {len(answer.body)} bytes")
            if answer.status is None or answer.status == 429:
                reason = answer.error.reason if answer.error else Reason.THROTTLED
                why = answer.error.sentence if answer.error else "the rate limiter refused it (429)"
                return inconclusive(
                    reason, f"{below} could not be looked at: {why}", evidence=(answer.evidence,)
                )
            if USERS.search(answer.text):
                # The evidence is the fact, not the file.
                command = f"curl -sS --path-as-is {context.target.url}{path}"
                seen = note(context, "A file of the host was served", lines, command, "http")
                return failed(
                    f"{below} serves files from outside its folder: /etc/passwd was answered",
                    observed=f"the beginning of /etc/passwd, for {path}",
                    expected=expected,
                    evidence=(seen,),
                )
    seen = note(
        context,
        "Paths that lead upwards",
        lines,
        f"curl -sS --path-as-is {context.target.url}{below}",
        "http",
    )
    return passed(
        f"None of {len(lines)} paths led out of {below}",
        observed="; ".join(lines),
        expected=expected,
        evidence=(seen,),
    )


def upwards(below: str) -> tuple[str, ...]:
    """Paths below `below` that lead to /etc/passwd where a server decodes, joins or normalizes them carelessly."""
    return (
        below + "%2e%2e/" * 10 + "etc/passwd",
        below + "..%2f" * 10 + "etc%2fpasswd",
        below + "%252e%252e%252f" * 10 + "etc%252fpasswd",
        below + "%2fetc%2fpasswd",
    )
