"""Steps 5 to 7: commands are sent over WebSocket and REST, and the right replies come back in time."""

from __future__ import annotations

from collections.abc import Sequence

from checks.context import Context
from checks.launches import Bot
from checks.model import Area, Evidence, Outcome, Reason, Safety, Severity, failed, inconclusive, passed
from checks.probe.websocket import Conversation, Frame
from checks.profile.template import pick
from checks.registry import check
from checks.text import Clean, clean, duration, one_line
from checks.walkthrough.walk import Sent, Walk, command, marker, not_judged

SOCKET, REST = "WebSocket", "REST"
PLACES = {SOCKET: "socket-1", REST: "rest-1"}


@check(
    "WALK-05",
    "Send a command (WebSocket)",
    area=Area.WALKTHROUGH,
    severity=Severity.BLOCKER,
    safety=Safety.ACTIVE,
    sends="one marked query to the launched bot over a new WebSocket",
    why="The page talks to bots over this socket.",
    reference="RFC 6455",
    needs=("WALK-04",),
    hops=("ui", "controller", "bot"),
)
async def command_over_socket(context: Context) -> Outcome:
    """The socket opens with the token and takes the command without an error."""
    walk = context.state(Walk)
    context.hop("controller")
    bot = _bot(walk)
    text = command(context, PLACES[SOCKET])
    walk.attempts += 1
    talk, (sent,) = await ask_over_socket(context, [(bot.bot_id, text)])
    expected = "the socket opens and takes the command"
    if not talk.opened or sent is None:
        problem = talk.error or (talk.frames[0].error if talk.frames else None)
        why = problem.sentence if problem else Clean("nothing was sent")
        if sent is None and talk.opened:
            why = refusal(context, talk.frames[0])
        return failed(
            f"The command was not taken: {why}",
            reason=problem.reason if problem else Reason.REFUSED,
            observed=why,
            expected=expected,
            evidence=[talk.evidence],
        )
    walk.sent.append(sent)
    return passed(
        "The socket opened and took the command",
        observed=f"frame sent to {bot.bot_id}",
        expected=expected,
        evidence=[talk.evidence],
    )


@check(
    "WALK-06",
    "Send a command (REST)",
    area=Area.WALKTHROUGH,
    severity=Severity.BLOCKER,
    safety=Safety.ACTIVE,
    sends="one marked command to the launched bot over REST",
    why="The page falls back to REST when its socket is closed, and programs use nothing else.",
    needs=("WALK-04",),
    hops=("ui", "controller", "bot"),
)
async def command_over_rest(context: Context) -> Outcome:
    """The REST operation takes the command and answers success."""
    walk = context.state(Walk)
    context.hop("controller")
    bot = _bot(walk)
    walk.attempts += 1
    sent, reason = await ask_over_rest(context, bot.bot_id, command(context, PLACES[REST]))
    expected = "a success within the reply limit"
    if sent.problem:
        return not_judged(reason, f"The command was not taken: {sent.problem}", sent.evidence, expected)
    walk.sent.append(sent)
    return passed(
        "The command was taken",
        observed=f"success in {duration(sent.elapsed_s)}",
        expected=expected,
        evidence=sent.evidence,
    )


@check(
    "WALK-07",
    "Receive the responses",
    area=Area.WALKTHROUGH,
    severity=Severity.BLOCKER,
    safety=Safety.READ_ONLY,
    sends="nothing: judges what came back for the commands of the two steps before",
    why="A lost, late or foreign reply is the failure that users see first.",
    needs=("WALK-04",),
    hops=("bot", "controller", "ui"),
)
async def responses_are_received(context: Context) -> Outcome:
    """Each accepted command has a reply, in time, from its own bot, to its own text."""
    walk = context.state(Walk)
    context.hop("bot")
    limit_s = context.target.profile.walkthrough.reply_within_s
    echo = context.target.profile.walkthrough.reply == "echo"
    repeated = ", repeating its marked text" if echo else ""
    expected = f"a reply to each command within {limit_s:g} s, of the bot that was asked{repeated}"
    commands = list(walk.sent)
    if not commands:
        return inconclusive(Reason.BLOCKED, "No command was accepted, so no reply is due", expected=expected)
    problems = [
        f"{sent.channel}: {problem}"
        for sent in commands
        if (
            problem := wrong_reply(
                sent, limit_s, echo, own_marker(context, sent), foreign_markers(context, sent)
            )
        )
    ]
    evidence = _once(commands)
    if problems:
        lost = all(sent.reply is None for sent in commands if sent.problem) and any(
            s.problem for s in commands
        )
        return failed(
            problems[0]
            if len(problems) == 1
            else f"{len(problems)} replies are wrong: {'; '.join(problems)}",
            reason=Reason.TIMEOUT if lost else Reason.MISMATCH,
            observed="; ".join(problems),
            expected=expected,
            evidence=evidence,
        )
    times = ", ".join(f"{sent.channel} {duration(sent.elapsed_s)}" for sent in commands)
    return passed(
        f"Each of {len(commands)} commands was answered by its bot",
        observed=times,
        expected=expected,
        evidence=evidence,
    )


def wrong_reply(sent: Sent, limit_s: float, echo: bool, own: str, foreign: Sequence[str]) -> str:
    """What is wrong with the reply to `sent`, judged by what was sent alone; empty where nothing is."""
    if sent.problem:
        return f"no reply: {sent.problem}"
    if not (sent.reply or "").strip():
        return "the reply is empty"
    if sent.elapsed_s > limit_s:
        return f"the reply took {duration(sent.elapsed_s)}"
    if sent.reply_bot_id and sent.reply_bot_id != sent.bot_id:
        return f"the reply is from {one_line(sent.reply_bot_id, 40)}, asked was {sent.bot_id}"
    reply = sent.reply or ""
    if crossed := next((other for other in foreign if other in reply), ""):
        return f"the reply answers another command (“{crossed}”)"
    if echo and own not in reply:
        return "the reply does not repeat the marked text"
    return ""


def own_marker(context: Context, sent: Sent) -> str:
    """The marker that stands in the text of `sent`."""
    start = sent.text.find(context.nonce)
    return sent.text[start : sent.text.find(":", start) + 1]


def foreign_markers(context: Context, sent: Sent) -> list[str]:
    """The markers of every other command of this run."""
    own = own_marker(context, sent)
    known = {own_marker(context, other) for other in context.state(Walk).sent}
    return sorted((known | {marker(context, place) for place in PLACES.values()}) - {own})


async def ask_over_socket(
    context: Context, messages: Sequence[tuple[str, str]]
) -> tuple[Conversation, list[Sent | None]]:
    """Send (bot id, text) pairs over one socket; None stands for a command that was refused or never sent."""
    limit_s = context.target.profile.walkthrough.reply_within_s
    talk = await context.controller.converse(messages, within_s=limit_s)
    sent: list[Sent | None] = []
    for place, (bot_id, text) in enumerate(messages):
        frame = talk.frames[place] if place < len(talk.frames) else None
        sent.append(_sent_over_socket(context, bot_id, text, frame, talk) if frame else None)
    return talk, sent


def _sent_over_socket(
    context: Context, bot_id: str, text: str, frame: Frame, talk: Conversation
) -> Sent | None:
    if frame.error and frame.error.reason is not Reason.TIMEOUT:
        return None
    if refusal(context, frame):
        return None
    names = context.controller.operation("ws_send").reply
    document = frame.json()
    reply = pick(document, names["text"]) if "text" in names else frame.reply
    problem = frame.error.sentence if frame.error else Clean("")
    success = context.target.contract.success
    if not problem and isinstance(document, dict) and success and document.get(success, True) is not True:
        problem = clean(f"it says {success}: false: {context.controller.quote(reply, 120)}")
    if not problem and reply is None:
        problem = clean(f"the answer carries no text: {context.controller.quote(frame.reply or '', 120)}")
    return Sent(
        SOCKET,
        bot_id,
        text,
        frame.sent_at,
        None if problem else str(reply),
        context.controller.quote(pick(document, names["bot_id"]) or "", 80) if "bot_id" in names else "",
        frame.elapsed_s,
        problem,
        (talk.evidence,),
    )


def refusal(context: Context, frame: Frame) -> Clean:
    """The error that a frame was answered with; empty where it was not refused."""
    if frame.error and frame.error.reason is not Reason.TIMEOUT:
        return frame.error.sentence
    operation = context.controller.operation("ws_send")
    document = frame.json()
    if isinstance(document, dict) and pick(document, operation.reply.get("kind", "type")) == "error":
        return context.controller.error_text(document) or clean("an error without a text")
    return Clean("")


async def ask_over_rest(context: Context, bot_id: str, text: str) -> tuple[Sent, Reason]:
    """Send one command over REST; the reason says why it failed where it did."""
    limit_s = context.target.profile.walkthrough.reply_within_s
    reply = await context.controller.ask("send", within_s=limit_s, bot_id=bot_id, text=text)
    sent = Sent(
        REST,
        bot_id,
        text,
        reply.answer.started_at,
        reply.field("text") if reply.ok else None,
        context.controller.quote(reply.field("bot_id"), 80),
        reply.answer.elapsed_s,
        reply.problem,
        reply.seen,
    )
    return sent, reply.reason


def _bot(walk: Walk) -> Bot:
    if walk.first is None:
        raise RuntimeError("the runner starts this step only after a launch")
    return walk.first


def _once(commands: Sequence[Sent]) -> list[Evidence]:
    found: dict[str, Evidence] = {}
    for sent in commands:
        found.update({evidence.id: evidence for evidence in sent.evidence})
    return list(found.values())
