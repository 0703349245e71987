"""The operations that a target has: by its own description (OpenAPI), else by the contract."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from checks.context import Context
from checks.profile.template import fill, fill_path
from checks.walkthrough.walk import bot_id, command

PLACE = 67
METHODS = ("get", "post", "put", "patch", "delete")
PARAMETER = re.compile(r"\{[^{}/]*\}")
DIGITS = re.compile(r"\d+")
NO_OPERATIONS = frozenset({"ws", "ws_send", "page", "health"})
DRIVING = frozenset({"launch", "stop", "send"})
USABLE = re.compile(r"/[\x21-\x7e]{0,300}")


@dataclass(frozen=True, slots=True)
class Route:
    """One operation, filled with what does no harm: bots that do not exist, an id that is none."""

    method: str
    shape: str
    """The path with its parameters unnamed: `/api/bot/{}/task`."""
    path: str = field(compare=False)
    body: dict[str, object] | None = field(default=None, compare=False)
    operation: str = field(default="", compare=False)
    """The contract's name of it; empty for one that the contract does not name."""

    @property
    def name(self) -> str:
        """As a person would write it."""
        return f"{self.method} {self.shape}"

    @property
    def is_driving(self) -> bool:
        """Whether it does something with bots."""
        return self.operation in DRIVING


def shape_of(path: str) -> str:
    """A path without its query and without the names of its parameters."""
    return PARAMETER.sub("{}", path.partition("?")[0])


def own_routes(context: Context) -> tuple[Route, ...]:
    """What the contract names, filled harmlessly."""
    contract = context.target.contract
    values = {
        "bot_id": bot_id(context, PLACE),
        "bot_type": context.target.profile.walkthrough.bot_type,
        "text": command(context, "stranger"),
        "limit": "1",
    }
    found = []
    for name, operation in contract.operations.items():
        if name in NO_OPERATIONS or not operation.path:
            continue
        # A launch must not launch, whoever is believed.
        filling = {**values, "bot_id": contract.bad_bot_id} if name == "launch" else values
        body: dict[str, object] | None = None if operation.body is None else {**fill(operation.body, filling)}
        path = fill_path(operation.path, filling)
        found.append(Route(operation.method, shape_of(operation.path), path, body, name))
    return tuple(found)


async def described(context: Context) -> tuple[tuple[Route, ...], str]:
    """The operations of the API's description and the contract, and where they are from; none without the former."""
    path = context.target.contract.description
    if not path:
        return (), ""
    within_s = context.target.profile.walkthrough.timeout_s
    answer = await context.http.ask("GET", path, within_s=within_s, token=context.controller.token)
    document = answer.json() if answer.status == 200 else None
    paths = document.get("paths") if isinstance(document, dict) else None
    if not isinstance(paths, dict) or not paths:
        return (), ""
    own = {(route.method, route.shape): route for route in own_routes(context)}
    found: dict[tuple[str, str], Route] = {}
    for template, item in paths.items():
        if not isinstance(template, str) or not isinstance(item, dict) or not USABLE.fullmatch(template):
            continue
        for method in METHODS:
            if method in item:
                key = (method.upper(), shape_of(template))
                filled = PARAMETER.sub(bot_id(context, PLACE), template)
                empty: dict[str, object] | None = None if method in ("get", "delete") else {}
                found[key] = own.get(key, Route(*key, filled, empty))
    return tuple({**own, **found}.values()), "the API's description"


def without_public(context: Context, routes: Iterable[Route]) -> tuple[Route, ...]:
    """Those that are not declared public in the contract, the contract's own first."""
    public = context.target.contract.public

    def is_public(path: str) -> bool:
        return any(
            path == one or (len(one) > 1 and one.endswith("/") and path.startswith(one)) for one in public
        )

    kept = [route for route in routes if not is_public(route.shape)]
    return tuple(sorted(kept, key=lambda route: not route.operation))
