"""The controller: what its REST operations, its WebSocket and its page share."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from console.demo.auth import Claims, Tokens, hash_password, is_fast, is_password
from console.demo.bots import Bots
from console.demo.chat import Chat
from console.demo.errors import ApiError
from console.demo.limits import Limiter, limits
from console.demo.metrics import Metrics
from console.demo.settings import Settings
from console.demo.storage import Store
from console.demo.switching import Switches
from console.demo.troubling import Troubles


@dataclass(frozen=True, slots=True)
class Controller:
    """One running controller."""

    settings: Settings
    store: Store
    tokens: Tokens
    bots: Bots
    chat: Chat
    switches: Switches
    limiter: Limiter
    metrics: Metrics
    troubles: Troubles
    ending: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the controller is about to end: nothing may wait any longer."""

    @property
    def faults(self) -> frozenset[str]:
        """The faults that are switched on now."""
        return self.switches.on

    def admit(self, operation: str, client: str) -> None:
        """Count one call of `client`. Raises ApiError (429) where there were too many."""
        wait_s = self.limiter.take(operation, client)
        if wait_s:
            if "limit-500" in self.faults and operation == "status":
                raise ApiError(500, "Internal error")
            is_told = not ("no-retry-after" in self.faults and operation == "stop")
            text = f"Too many requests; try again in {wait_s} s"
            raise ApiError(429, text, {"Retry-After": str(wait_s)} if is_told else None)

    def claims(self, authorization: str) -> Claims:
        """Who a request speaks for, by its Authorization header. Raises ApiError (401) for nobody."""
        scheme, _, token = authorization.partition(" ")
        claims = self.tokens.read(token.strip()) if scheme.lower() == "bearer" else None
        if claims is None and "signature-ignored" in self.faults:
            claims = self.tokens.read_unverified(token.strip())
        if claims is None and "rest-open" in self.faults:
            return Claims(0, "anonymous", 0.0)
        if claims is None:
            why = (
                "Sign in again: the token is not valid"
                if authorization
                else "Sign in first: a token is needed"
            )
            raise ApiError(401, why, {"WWW-Authenticate": "Bearer"})
        return claims


def open_controller(settings: Settings) -> Controller:
    """A controller on the database of `settings`, which it opens, with the user of `settings` in it.

    Blocks: call it before the loop runs, or in a thread. Raises StorageError.
    """
    store = Store(settings.database_url, settings.pool, settings.faults)
    try:
        _know_user(store, settings)
        store.back_up(settings.data)
    except BaseException:
        store.close()
        raise
    bots = Bots(settings.faults, settings.bot_environment)
    chat = Chat(store, bots, settings.faults)
    tokens = Tokens(settings.jwt_secret, settings.token_lifetime_s, settings.faults)
    limiter = Limiter(limits(settings.faults), faults=settings.faults)
    switches, metrics = Switches(settings.data, settings.faults), Metrics()
    troubles = Troubles(switches, store, metrics)
    return Controller(settings, store, tokens, bots, chat, switches, limiter, metrics, troubles)


def _know_user(store: Store, settings: Settings) -> None:
    username, password, faults = settings.username, settings.password, settings.faults
    known = store.find_user(username)
    if known is None:
        store.add_user(username, hash_password(password, faults))
        return
    is_kept_so = is_fast(known.password_hash) == ("fast-hash" in faults)
    if not (is_kept_so and is_password(password, known.password_hash)):
        store.set_password(username, hash_password(password, faults))
