"""gonogo's own probes: the health operation at every look, and now and then the handshake of a WebSocket."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable

from checks.context import Context
from checks.controller import Reply
from checks.load.health import quantile
from checks.monitoring.model import Reading
from checks.monitoring.sources.asking import Notes, Question, fresh_s
from checks.monitoring.sources.counters import History
from checks.monitoring.sources.signing import Signing
from checks.probe.websocket import Conversation
from checks.text import NOTHING, Clean, clean, one_line

HEALTH_WITHIN_S = 5.0
SOCKET_WITHIN_S = 5.0
SOCKET_EVERY_S = 15.0
MAX_TIMES = 5000
"""Response times that are kept; a window that had more is shorter."""
OWN_PROBES = clean("gonogo's own probes")
REFUSED = (401, 403)
CLOSED_UNAUTHORIZED = (1008, 3000, 3003, 4001, 4003, 4401, 4403)
"""RFC 6455, 7.4.1 (policy violation), and what is registered or customary for 401 and 403."""


class Probing:
    """Keeps the newest answer of each probe, and what all of them make as requests of their own."""

    def __init__(
        self,
        context: Context,
        signing: Signing,
        notes: Notes,
        *,
        mono: Callable[[], float],
        interval_s: float,
    ) -> None:
        self.health = Question("health", self._health, notes)
        self.socket = Question("WebSocket", self._socket, notes, every_s=SOCKET_EVERY_S)
        self.outcomes = History()
        """Requests and failures of the probes themselves."""
        self._context, self._signing, self._mono = context, signing, mono
        self._fresh_s = fresh_s(interval_s)
        self._counts = (0.0, 0.0)
        self._times: deque[tuple[float, float]] = deque(maxlen=MAX_TIMES)
        self._seen: dict[str, tuple[float, Reading]] = {}

    @property
    def has_health(self) -> bool:
        """Whether the contract names the health operation."""
        return bool(self._operation("health"))

    @property
    def has_socket(self) -> bool:
        """Whether the contract names a WebSocket."""
        return bool(self._operation("ws"))

    @property
    def socket_needs(self) -> Clean:
        """What is missing for a handshake: credentials, for a WebSocket that wants a token; empty where nothing is."""
        if "{token}" not in self._operation("ws") or self._signing.is_possible:
            return NOTHING
        names = self._context.target.profile.credentials
        return clean(
            f"the WebSocket wants a token, and there are no credentials: set {names.username_env} and "
            f"{names.password_env}, or name a file with them in [credentials] file"
        )

    def _operation(self, name: str) -> str:
        operation = self._context.target.contract.operations.get(name)
        return operation.path if operation else ""

    def newest(self, name: str) -> Reading:
        """The newest reading of the probe `health` or `socket`, or that there is none."""
        at_s, reading = self._seen.get(name, (-math.inf, Reading(None)))
        question = self.health if name == "health" else self.socket
        if self._mono() - at_s <= self._fresh_s + question.every_s:
            return reading
        return Reading(None, source=OWN_PROBES, problem=question.problem or clean("it was not answered yet"))

    def counted(self, window_s: float) -> tuple[float, float]:
        """Requests of the probes in the window, and how many of them failed."""
        rise = self.outcomes.rise(window_s, self._mono())
        return (rise.values[0], rise.values[1]) if rise.values else (0.0, 0.0)

    def p95_s(self, window_s: float) -> tuple[float, float]:
        """The 95th percentile of the probes' times in the window, by nearest rank, and of how many; 0 of none."""
        since_s = self._mono() - window_s
        times = [took_s for at_s, took_s in self._times if at_s >= since_s]
        return quantile(times), float(len(times))

    async def _health(self) -> None:
        # A token that has run out may be refused even where none is asked for.
        is_public = self._operation("health") in self._context.target.contract.public
        token = "" if is_public else self._context.controller.token
        reply = await self._ask_health(token)
        if token and reply.answer.status in REFUSED and (newer := await self._signing.token(token)):
            reply = await self._ask_health(newer)
        is_limited = reply.answer.status == 429
        if not is_limited:
            self._count(has_failed=not reply.ok, took_s=reply.answer.elapsed_s)
        is_up = reply.ok or is_limited
        self._keep("health", is_up, NOTHING if is_up else reply.problem)

    async def _ask_health(self, token: str) -> Reply:
        return await self._context.controller.ask(
            "health", within_s=HEALTH_WITHIN_S, token=token, is_patient=False, is_typical=False
        )

    async def _socket(self) -> None:
        token = await self._signing.token() if "{token}" in self._operation("ws") else ""
        began_s = self._mono()
        talked = await self._shake(token)
        if token and _is_unauthorized(talked) and (newer := await self._signing.token(token)):
            began_s = self._mono()
            talked = await self._shake(newer)
        if talked.status == 429:
            self._keep("socket", True, NOTHING)
            return
        problem = talked.error.sentence if talked.error else NOTHING
        if token and not problem and not _is_unauthorized(talked):
            self._signing.accepted()
        if not problem and _is_unauthorized(talked):
            problem = clean(f"the socket was closed at once with code {talked.close_code}")
        self._count(has_failed=bool(problem), took_s=self._mono() - began_s)
        self._keep("socket", not problem, problem)

    async def _shake(self, token: str) -> Conversation:
        return await self._context.controller.converse([], within_s=SOCKET_WITHIN_S, token=token)

    def _count(self, *, has_failed: bool, took_s: float) -> None:
        now_s = self._mono()
        if not len(self.outcomes):
            # What a window rises from: the first outcome counts too.
            self.outcomes.add(math.nextafter(now_s, -math.inf), (0.0, 0.0))
        self._counts = (self._counts[0] + 1, self._counts[1] + has_failed)
        self.outcomes.add(now_s, self._counts)
        self._times.append((now_s, took_s))

    def _keep(self, name: str, is_up: bool, problem: Clean) -> None:
        source = one_line(f"{OWN_PROBES}: {problem}", 300) if problem else OWN_PROBES
        self._seen[name] = (self._mono(), Reading(1.0 if is_up else 0.0, source=source))


def _is_unauthorized(talked: Conversation) -> bool:
    return talked.status in REFUSED or (talked.opened and talked.close_code in CLOSED_UNAUTHORIZED)
