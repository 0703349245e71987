"""The token that a watch asks with: the profile's, or signed in for once, and again when it is not taken any more."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable

from checks.context import Context
from checks.monitoring.sources.asking import Notes
from checks.text import clean

AGAIN_AFTER_S, LONGEST_PAUSE_S = 60.0, 900.0
"""A sign-in is limited by any target worth its name: where tokens are refused again and again, it is tried less often,
so that nobody else is kept from signing in."""
SIGN_IN_WITHIN_S = 2.0


class Signing:
    """Signs in with the profile's credentials, once a minute at most; what it signed in for is the run's token."""

    def __init__(self, context: Context, notes: Notes, *, mono: Callable[[], float]) -> None:
        self._context, self._notes, self._mono = context, notes, mono
        self._tried_s = -math.inf
        self._pause_s = AGAIN_AFTER_S
        self._lock = asyncio.Lock()

    @property
    def is_possible(self) -> bool:
        """Whether the profile names a token or credentials."""
        known = self._context.target.credentials
        return bool(self._context.controller.token or (known.username and known.password))

    def accepted(self) -> None:
        """The token was taken: the next sign-in, when it runs out, need not wait for long."""
        self._pause_s = AGAIN_AFTER_S

    async def token(self, refused: str = "") -> str:
        """A token that is not `refused`; empty where there is none now."""
        controller = self._context.controller
        async with self._lock:
            if controller.token and controller.token != refused:
                return controller.token
            known = self._context.target.credentials
            now_s = self._mono()
            if not (known.username and known.password) or now_s - self._tried_s < self._pause_s:
                return ""
            if self._tried_s > -math.inf:
                self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
            self._tried_s = now_s
            reply = await controller.ask(
                "login",
                within_s=SIGN_IN_WITHIN_S,
                with_token=False,
                is_patient=False,
                is_typical=False,
                username=known.username,
                password=known.password,
            )
            if token := reply.field("token"):
                controller.learn_token(token)
                return token
            self._notes.add(clean(f"The sign-in failed: {reply.problem or 'no token was answered'}"))
            return ""
