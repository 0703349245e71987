"""What the checks of the audit share: their decorator, a signed-in session, a bot to talk to, and leave to disturb."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass, field

from checks.context import Context
from checks.launches import Bot
from checks.model import Area, Evidence, Outcome, Reason, Safety, Severity, Subject, inconclusive
from checks.registry import check
from checks.text import Clean, clean, one_line
from checks.walkthrough.walk import Walk, launch

CHECK_WITHIN_S = 30.0
"""No check of the audit takes longer, whatever the target does."""
BOT_PLACE = 40
"""The number of the audit's bot among the bots of a run."""
NOT_AUTHORIZED = (
    "Not tried on a host that is not authorized: add “{host}” to [target] authorized in the profile"
)
Function = Callable[[Context], Awaitable[Outcome]]


def audit(
    id: str,  # noqa: A002
    title: str,
    *,
    subject: Subject,
    severity: Severity,
    safety: Safety,
    sends: str,
    why: str,
    fix: str,
    reference: str = "",
    needs: tuple[str, ...] = (),
    within_s: float = CHECK_WITHIN_S,
) -> Callable[[Function], Function]:
    """Register the decorated coroutine function as a check of the audit. Raises ValueError when the id is taken."""
    return check(
        id,
        title,
        area=Area.AUDIT,
        severity=severity,
        safety=safety,
        sends=sends,
        why=why,
        reference=reference,
        needs=needs,
        subject=subject,
        fix=fix,
        within_s=within_s,
    )


@dataclass(slots=True)
class _Shared:
    """What the checks of one run need only once."""

    was_signed_in: bool = False
    problem: Clean = Clean("")  # noqa: RUF009
    evidence: tuple[Evidence, ...] = ()
    was_launched: bool = False
    bot: Bot | None = None
    launch_problem: Outcome | None = None
    launch_evidence: tuple[Evidence, ...] = field(default=())


async def signed_in(context: Context) -> Outcome | None:
    """Sign in once for the run; None where `context.controller.token` can be used, or where no token is needed.

    Else the INCONCLUSIVE outcome that says why not.
    """
    shared = context.state(_Shared)
    if context.controller.token:
        return None
    if not shared.was_signed_in:
        shared.was_signed_in = True
        known = context.target.credentials
        if known.username and known.password:
            reply = await context.controller.ask(
                "login", with_token=False, username=known.username, password=known.password
            )
            if token := reply.field("token"):
                context.controller.learn_token(token)
                return None
            shared.problem = clean(f"The sign-in failed: {reply.problem or 'no token was answered'}")
            shared.evidence = reply.seen
        else:
            names = context.target.profile.credentials
            shared.problem = clean(
                f"There are no credentials: set {names.username_env} and {names.password_env}, "
                "or name a file with them in [credentials] file"
            )
    reason = Reason.BLOCKED if shared.evidence else Reason.NO_SOURCE
    return inconclusive(reason, shared.problem, evidence=shared.evidence)


async def a_bot(context: Context) -> Bot | Outcome:
    """A running bot of this run: the walkthrough's first, else one launched now; it is stopped when the run ends.

    Else the INCONCLUSIVE outcome that says why there is none.
    """
    walked = context.state(Walk).first
    if walked is not None and not walked.is_stopped:
        return walked
    shared = context.state(_Shared)
    if not shared.was_launched:
        shared.was_launched = True
        if problem := await signed_in(context):
            shared.launch_problem = problem
        else:
            started = await launch(context, BOT_PLACE)
            shared.bot = started.bot
            shared.launch_evidence = started.evidence
            if started.bot is None:
                why = started.outcome.summary if started.outcome else "no bot"
                shared.launch_problem = inconclusive(
                    Reason.BLOCKED,
                    f"There is no bot to talk to: {why}",
                    evidence=started.evidence,
                )
    if shared.bot is not None and not shared.bot.is_stopped:
        return shared.bot
    return shared.launch_problem or inconclusive(Reason.BLOCKED, "There is no bot to talk to")


def leave_is_missing(context: Context) -> Outcome | None:
    """The INCONCLUSIVE outcome for a check that loads or disturbs a host without leave; None where it has leave."""
    target = context.target
    if target.may_be_disturbed:
        return None
    return inconclusive(Reason.NO_RIGHT, NOT_AUTHORIZED.format(host=target.host))


def note(
    context: Context, title: str, lines: Iterable[str], command: str = "", kind: str = "note"
) -> Evidence:
    """Evidence of what was put together from several looks; redacted like that of a probe."""
    redact = context.redactor.redact
    return Evidence(
        kind=kind,
        title=one_line(redact(title)),
        body=clean(redact("\n".join(lines))),
        command=clean(redact(command)),
        captured_at=context.now(),
    )


def listed(words: Sequence[str], most: int = 4) -> str:
    """The first `most` of them for a sentence, and how many more there are."""
    more = f" and {len(words) - most} more" if len(words) > most else ""
    return ", ".join(words[:most]) + more
