"""Faults that the walkthrough finds."""

from __future__ import annotations

from console.demo.faults.fault import Fault
from console.demo.faults.tokens import FORGED

FAULTS: tuple[Fault, ...] = (
    Fault(
        "unhealthy",
        "/health answers 503 with status degraded",
        ("WALK-01",),
        fires=("target-up", "log-errors"),
        is_switchable=True,
    ),
    Fault("page-missing", "the web page answers 404", ("WALK-02",)),
    Fault("part-missing", "the page is served, its script answers 404", ("WALK-02",)),
    Fault("part-replaced", "the page itself is answered in place of its script", ("WALK-02",)),
    Fault("sign-in-broken", "the right password is refused", ("WALK-03",)),
    Fault("any-password", "every password of a known user is accepted", ("WALK-03",)),
    Fault("sign-in-crashes", "a wrong password is answered 500", ("WALK-03",)),
    Fault("launch-hangs", "a launch is not answered within 30 s, and launches nothing", ("WALK-04",)),
    Fault("bot-dies", "a bot's process ends right after its launch was answered", ("WALK-04",)),
    Fault(
        "launch-pretended",
        "a launch is answered with the controller's own process, and launches nothing",
        ("WALK-04",),
    ),
    Fault(
        "websocket-refused",
        "the WebSocket handshake is refused with a good token",
        ("WALK-05",),
        fires=("websocket-up",),
        is_switchable=True,
    ),
    Fault("task-fails", "a command over REST is answered 500 and not given to the bot", ("WALK-06",)),
    Fault(
        "reply-lost", "a command over WebSocket is stored with its reply, but never answered", ("WALK-07",)
    ),
    Fault("reply-misaddressed", "a reply over REST carries the id of another bot", ("WALK-07",)),
    Fault("reply-not-stored", "replies are sent, but not stored", ("WALK-08",)),
    Fault(
        "wrong-text-stored",
        "the user's text is stored without its last character",
        ("WALK-08", "INP-02", "INP-05"),
    ),
    Fault("history-out-of-order", "the history is answered with the newest message first", ("WALK-09",)),
    Fault("history-mixed", "the history holds messages of the other running bots too", ("WALK-10",)),
    Fault(
        "later-messages-lost", "what a bot is told after its first two commands is not stored", ("WALK-10",)
    ),
    Fault("unknown-bot-succeeds", "a command to a bot that does not exist is a success", ("WALK-11",)),
    Fault(
        "malformed-accepted",
        "a body that is not JSON is taken as the command itself",
        ("WALK-11", "INP-01", "INP-05"),
    ),
    Fault(
        "rest-open",
        "REST operations are answered without a token",
        ("WALK-11", "AUTH-01", "HTTP-03", "JWT-07"),
        masks=FORGED,
    ),
    Fault("inside-shown", "error texts carry a stack trace", ("WALK-11", "ERR-01")),
    Fault("dead-bot-listed", "a bot whose process died is still listed as active", ("WALK-12",)),
    Fault("list-empties", "the list of bots is empty once one of them has died", ("WALK-12",)),
    Fault("stop-leaves-process", "a stop is answered with a success, but the process lives on", ("WALK-13",)),
    Fault("stop-revives", "a stopped bot is started again, under no name that is listed", ("WALK-14",)),
    Fault("stop-stays-listed", "a stopped bot is still listed as active", ("WALK-14",)),
)
