"""Showing a token to the target, on REST and on the WebSocket: accepted or refused, beside the real one.

A refusal says something only where the real token is accepted at the same time, and where not everybody is.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from checks.audit.common import listed, note, signed_in
from checks.audit.forging import Token, taken_apart
from checks.context import Context, Visitor
from checks.model import Evidence, Outcome, Reason, failed, inconclusive, not_applicable, passed
from checks.probe.websocket import Conversation
from checks.text import Clean, clean
from checks.walkthrough.walk import bot_id, command

NOBODY_PLACE = 47
"""The number of a bot that is never launched: a query to it is answered, and does nothing."""
CONTROL_HOLDS_S = 1.0
"""So long what the real token was answered stands beside the cases."""
GATE_HOLDS_S = 60.0
REAL, NO_TOKEN, ALTERED = (
    "the real token",
    "a caller without a token",
    "altered claims under the old signature",
)
ABOUT_SIGN_IN = re.compile(
    r"unauthor|authenti|credential|forbidden|expired|not allowed|sign.?in|log.?in|(?:invalid|bad|missing) token",
    re.I,
)
NOT_A_TOKEN = "The sign-in answers a token that is no JWT: nothing of it can be taken apart"
NO_DOOR = "By its contract neither REST nor a WebSocket of the target asks for a token"


class Route(StrEnum):
    """Where tokens are shown."""

    REST = "REST"
    SOCKET = "WebSocket"


class How(StrEnum):
    """What a token met with."""

    ACCEPTED = "accepted"
    REFUSED = "refused"
    THROTTLED = "throttled"
    UNREACHABLE = "not answered"
    UNCLEAR = "neither accepted nor refused"


@dataclass(frozen=True, slots=True)
class Case:
    """One token to be shown, and where."""

    name: str
    """What it is, as the object of a sentence."""
    token: str | None = field(repr=False)
    """None: no token at all; empty: an empty one."""
    routes: tuple[Route, ...] = tuple(Route)


@dataclass(frozen=True, slots=True)
class Shown:
    """What one token met with on one route."""

    route: Route
    case: str
    how: How
    told: Clean
    """The answer, in a few words."""
    evidence: Evidence
    at: float
    """Monotonic seconds."""
    reply: str = ""

    @property
    def is_accepted(self) -> bool:
        """Whether it was let in."""
        return self.how is How.ACCEPTED


@dataclass(slots=True)
class _Known:
    """What this run has seen of each route."""

    controls: dict[Route, Shown] = field(default_factory=dict)
    seen: dict[tuple[Route, str], Shown] = field(default_factory=dict)
    """By the name of the case."""


@dataclass(slots=True)
class Trial:
    """What the cases of one check met with."""

    shown: list[Shown] = field(default_factory=list)
    controls: list[Shown] = field(default_factory=list)
    unjudged: list[tuple[Reason, str]] = field(default_factory=list)
    """Why a route could not be judged."""
    fetched: str = ""
    """What the target was seen doing that is a failure whatever it answered."""
    missing: str = ""
    """The route that the contract does not know, for the summary; empty where both were tried."""

    def accepted(self) -> list[Shown]:
        """The cases that were let in."""
        return [one for one in self.shown if one.is_accepted]


async def live_token(context: Context) -> Token | Outcome:
    """The token of the run's sign-in in its parts; else the outcome that says why there is none."""
    if problem := await signed_in(context):
        return problem
    token = taken_apart(context.controller.token)
    return token or not_applicable(NOT_A_TOKEN, expected="a signed JWT")


def routes_of(context: Context) -> tuple[Route, ...]:
    """Where the contract asks for a token."""
    contract = context.target.contract
    found = []
    if contract.rest_auth == "bearer" and "bots" in contract.operations:
        found.append(Route.REST)
    if "{token}" in getattr(contract.operations.get("ws"), "path", ""):
        found.append(Route.SOCKET)
    return tuple(found)


async def try_all(
    context: Context,
    place: int,
    cases: Sequence[Case],
    *,
    needs_refusal_of: Sequence[Case] = (),
    control: Case | None = None,
) -> Trial:
    """Show every case on its routes, as client number `place`, beside `control` (default: the real token).

    A case for a route that the target does not have is shown on the one that it has. A route on which a case of
    `needs_refusal_of` is accepted is not judged.
    """
    routes, trial = routes_of(context), Trial()
    if len(routes) == 1:
        trial.missing = next(route for route in Route if route not in routes)
    async with context.visitor(place) as visitor:
        for route in routes:
            if not await _is_controlled(context, visitor, route, control, trial):
                continue
            if not await _is_gated(context, visitor, route, needs_refusal_of, trial):
                continue
            for case in cases:
                if route in case.routes or not set(case.routes) & set(routes):
                    trial.shown.append(await _seen(context, visitor, route, case, CONTROL_HOLDS_S))
    return trial


async def _is_controlled(
    context: Context, visitor: Visitor, route: Route, control: Case | None, trial: Trial
) -> bool:
    known = context.state(_Known).controls
    shown = known.get(route) if control is None else None
    if shown is None or time.monotonic() - shown.at > CONTROL_HOLDS_S:
        shown = await show(context, visitor, route, control or Case(REAL, context.controller.token))
        if shown.is_accepted and control is None:
            known[route] = shown
    trial.controls.append(shown)
    if shown.is_accepted:
        return True
    reason = Reason.THROTTLED if shown.how is How.THROTTLED else Reason.CONTROL
    what = f"{route} did not take {shown.case} either ({shown.told}): a refusal there says nothing"
    trial.unjudged.append((reason, what))
    return False


async def _is_gated(
    context: Context, visitor: Visitor, route: Route, gates: Sequence[Case], trial: Trial
) -> bool:
    for gate in gates:
        shown = await _seen(context, visitor, route, gate, GATE_HOLDS_S)
        trial.controls.append(shown)
        if shown.is_accepted:
            what = (
                f"{route} accepts even {gate.name}: that it accepts other tokens too would say nothing more"
            )
            trial.unjudged.append((Reason.CONTROL, what))
            return False
    return True


async def _seen(context: Context, visitor: Visitor, route: Route, case: Case, holds_s: float) -> Shown:
    """What the case met with in this run, no longer ago than `holds_s`; else it is shown now."""
    known = context.state(_Known).seen
    shown = known.get((route, case.name))
    if shown is None or time.monotonic() - shown.at > holds_s or shown.how is How.THROTTLED:
        shown = known[(route, case.name)] = await show(context, visitor, route, case)
    return shown


async def show(context: Context, visitor: Visitor, route: Route, case: Case) -> Shown:
    """One request or handshake with the token of `case`."""
    if route is Route.REST:
        return await _over_rest(context, visitor, case)
    return await _over_socket(context, visitor, case)


async def _over_rest(context: Context, visitor: Visitor, case: Case) -> Shown:
    empty = {"authorization": "Bearer"} if case.token == "" else None
    reply = await visitor.controller.ask(
        "bots", with_token=bool(case.token), token=case.token, headers=empty, is_patient=False
    )
    status = reply.answer.status
    if reply.ok:
        how = How.ACCEPTED
    elif reply.reason is Reason.THROTTLED:
        how = How.THROTTLED
    elif status is None:
        how = How.UNREACHABLE
    elif 300 <= status < 500 or (reply.reason is Reason.REFUSED and status == 200):
        how = How.REFUSED
    else:
        how = How.UNCLEAR
    told = clean(str(status) if status else reply.problem)
    return Shown(Route.REST, case.name, how, told, reply.seen[-1], time.monotonic())


async def _over_socket(context: Context, visitor: Visitor, case: Case) -> Shown:
    nobody = (bot_id(context, NOBODY_PLACE), command(context, "token"))
    talk = await visitor.controller.converse(
        [nobody],
        within_s=context.target.profile.walkthrough.timeout_s,
        with_token=case.token is not None,
        token=case.token or " ",
    )
    how, told, reply = _judged(talk, context.state(_Known).controls.get(Route.SOCKET))
    return Shown(Route.SOCKET, case.name, how, clean(told), talk.evidence, time.monotonic(), reply)


def _judged(talk: Conversation, control: Shown | None) -> tuple[How, str, str]:
    """What became of a handshake with one frame after it: a server may refuse at either."""
    if not talk.opened:
        if talk.status is None:
            return How.UNREACHABLE, talk.error.sentence if talk.error else "it did not open", ""
        refused = How.THROTTLED if talk.status == 429 else How.UNCLEAR if talk.status >= 500 else How.REFUSED
        return refused, f"handshake answered {talk.status}", ""
    frame, code = talk.frames[0], talk.close_code or 0
    is_closed_on = code in (1008, 3000, 3003) or 4000 <= code < 5000
    if frame.reply is not None:
        is_told_off = bool(ABOUT_SIGN_IN.search(frame.reply)) and frame.reply != (control and control.reply)
        if is_closed_on or is_told_off:
            return How.REFUSED, f"opened, then refused and closed with {code}", frame.reply
        return How.ACCEPTED, "opened, and a query was answered", frame.reply
    if frame.error and frame.error.reason is Reason.REFUSED and (is_closed_on or code == 1000):
        return How.REFUSED, f"opened, then closed with {code}", ""
    return How.UNCLEAR, f"opened, then {frame.error.sentence if frame.error else 'silent'}", ""


def judged(context: Context, trial: Trial, what: str, expected: str) -> Outcome:
    """The outcome of cases that must be refused; `what` names them as the subject of a sentence."""
    if not trial.controls:
        return not_applicable(NO_DOOR)
    lines = [
        f"{one.route:9}  {one.how:12}  {one.case}: {one.told}" for one in (*trial.controls, *trial.shown)
    ]
    accepted = trial.accepted()
    count = f"{len(trial.shown)} shown, {len(accepted)} accepted"
    evidence = [
        note(context, f"{what}: {count}", lines),
        *(one.evidence for one in (accepted or [*trial.controls[:1], *trial.shown[:1]])[:2]),
    ]
    observed = "; ".join(_grouped(trial.shown)) or "nothing could be tried"
    if accepted or trial.fetched:
        told = [f"{route} accepts {names}" for route, names in _by_route(accepted)]
        said = "; ".join([*told, *([trial.fetched] if trial.fetched else [])])
        return failed(said[:1].upper() + said[1:], observed=observed, expected=expected, evidence=evidence)
    for one in trial.shown:
        if one.how is not How.REFUSED:
            reasons = {How.THROTTLED: Reason.THROTTLED, How.UNREACHABLE: Reason.UNREACHABLE}
            reason = reasons.get(one.how, Reason.PROTOCOL)
            trial.unjudged.append((reason, f"{one.route} met {one.case} with: {one.told} ({one.how})"))
    if trial.unjudged:
        reason, why = trial.unjudged[0]
        return inconclusive(reason, why, observed=observed, expected=expected, evidence=evidence)
    where = " and ".join(dict.fromkeys(one.route.value for one in trial.shown))
    alone = f"; {trial.missing} asks for no token by its contract" if trial.missing else ""
    return passed(
        f"{what} are refused on {where} while the real token is accepted{alone}",
        observed=observed,
        expected=expected,
        evidence=evidence,
    )


def _by_route(shown: Iterable[Shown]) -> list[tuple[Route, str]]:
    found: dict[Route, list[str]] = {}
    for one in shown:
        found.setdefault(one.route, []).append(one.case)
    return [(route, listed(names, 2)) for route, names in found.items()]


def _grouped(shown: Iterable[Shown]) -> list[str]:
    found: dict[tuple[Route, str], list[str]] = {}
    for one in shown:
        found.setdefault((one.route, one.how.value), []).append(one.case)
    return [f"{route} {how}: {', '.join(names)}" for (route, how), names in found.items()]
