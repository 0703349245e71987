"""What a service says of itself over HTTP: is it up, which operations does it list, does it ask for a token."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from checks.model import Reason
from checks.probe.http import Answer, HttpProbe
from checks.probe.redaction import Redactor
from checks.profile.template import pick
from checks.target import Contract, Operation
from checks.text import NOTHING, Clean, clean, one_line

WITHIN_S = 3.0
DOCUMENT = "/openapi.json"
NOT_LISTED = frozenset({"page", "ws", "ws_send", "register", "status"})
"""An OpenAPI document lists no WebSocket, and often not the page; the last two a controller may do without."""
DEFAULT_TITLE = "FastAPI"
"""The framework's own title, which says nothing of the service."""
_TOKEN_KINDS = frozenset({"oauth2", "openIdConnect"})
_PLACEHOLDER = re.compile(r"\{[^}]*\}")
_METHODS = ("get", "post", "put", "patch", "delete")


@dataclass(frozen=True, slots=True)
class Interface:
    """What was learned by asking; sentences are complete but for their full stop."""

    url: str = ""
    """Base URL that answered; empty where none did."""
    title: Clean = NOTHING
    version: Clean = NOTHING
    asks_for_token: bool = False
    """Whether the list of bots is declared to need a bearer token."""
    unlisted: Mapping[str, Clean] = field(default_factory=dict)
    """Operation of the contract -> the nearest one that the service lists instead; empty where none is near."""
    found: tuple[Clean, ...] = ()
    missing: tuple[Clean, ...] = ()


async def look_at_interface(port: int, addresses: Iterable[str], contract: Contract) -> Interface:
    """Ask `/health` and `/openapi.json` at the addresses on which `port` is open, over HTTP, else over HTTPS."""
    problems: list[str] = []
    for host in hosts(addresses):
        for scheme in ("http", "https"):
            base = f"{scheme}://{host}:{port}"
            async with HttpProbe(base, Redactor()) as probe:
                health = await probe.ask("GET", contract.operations["health"].path, within_s=WITHIN_S)
                if health.status is not None:
                    document = await probe.ask("GET", DOCUMENT, within_s=WITHIN_S)
                    return _judged(base, contract, health, document)
            if health.error and "CERTIFICATE_VERIFY_FAILED" in health.error.sentence:
                return _untrusted(base, health)
            problems.append(f"{base}: {health.error.sentence if health.error else 'no answer'}")
            if health.error and health.error.reason is Reason.UNREACHABLE:
                break  # another scheme would find nobody either
    return Interface(missing=(clean(f"no answer over HTTP ({'; '.join(problems[:2])})"),))


def hosts(addresses: Iterable[str]) -> list[str]:
    """Where to ask, as the host of a URL: loopback first, and other addresses only where the port is not open there."""
    names = list(addresses)
    found = []
    if not names or {"0.0.0.0", "::", "127.0.0.1", "::ffff:127.0.0.1"} & set(names):  # noqa: S104 - compared
        found.append("127.0.0.1")
    if not names or {"::", "::1"} & set(names):
        found.append("[::1]")
    if found:
        return found
    return [f"[{name}]" if ":" in name else name for name in names if "%" not in name]


def _untrusted(base: str, answer: Answer) -> Interface:
    why = answer.error.sentence if answer.error else ""
    return Interface(
        url=base,
        found=(clean(f"{base} answers in TLS"),),
        missing=(
            clean(
                f"what it serves, for its certificate is not trusted ({one_line(why, 120)}); name the certificates "
                "to trust in [target] ca_file, and in [target] url the host that the certificate is for"
            ),
        ),
    )


def _judged(base: str, contract: Contract, health: Answer, answer: Answer) -> Interface:
    found, missing = [], []
    path = contract.operations["health"].path
    word = pick(health.json(), contract.operations["health"].reply["status"])
    if health.status == 200:
        told = f", status “{one_line(word, 30)}”" if isinstance(word, str) else ""
        found.append(clean(f"{base}{path} answers 200{told}"))
    else:
        missing.append(clean(f"{base}{path} answers {health.status}; correct [operations.health] path"))
    document = answer.json()
    paths = document.get("paths") if isinstance(document, dict) else None
    if answer.status != 200 or not isinstance(document, dict) or not isinstance(paths, dict):
        why = answer.error.sentence if answer.error else f"{base}{DOCUMENT} answers {answer.status}"
        missing.append(
            clean(
                f"a list of its operations ({why}); whether it speaks the contract {contract.name} is for the "
                "walkthrough to find out"
            )
        )
        return Interface(base, found=tuple(found), missing=tuple(missing))
    title, version = _info(document, found, missing)
    listed = _listed(paths)
    unlisted = _compare(contract, listed, found, missing)
    asks = _asks_for_token(contract, document, paths, found)
    return Interface(base, title, version, asks, unlisted, tuple(found), tuple(missing))


def _info(document: object, found: list[Clean], missing: list[Clean]) -> tuple[Clean, Clean]:
    title, version = (
        one_line(pick(document, "info.title") or "", 60),
        one_line(pick(document, "info.version") or "", 40),
    )
    if not title or title == DEFAULT_TITLE:
        missing.append(
            clean(
                "a title and version of its own (the framework's are served); give [target] name and version"
            )
        )
        return NOTHING, NOTHING
    found.append(clean(f"it calls itself “{title}”, version {version or 'unknown'}"))
    return title, version


def _listed(paths: Mapping[str, object]) -> dict[str, str]:
    """`METHOD /path/{}` -> the same as the document spells it."""
    return {
        _shape(method, path): f"{method.upper()} {path}"
        for path, item in paths.items()
        if isinstance(path, str) and isinstance(item, dict)
        for method in _METHODS
        if method in item
    }


def _compare(
    contract: Contract, listed: Mapping[str, str], found: list[Clean], missing: list[Clean]
) -> dict[str, Clean]:
    needed = {name: one for name, one in contract.operations.items() if name not in NOT_LISTED}
    wanted = {name: _shape(one.method, one.path) for name, one in needed.items()}
    absent = [name for name, shape in wanted.items() if shape not in listed]
    have = f"{len(needed) - len(absent)} of the {len(needed)} operations of the contract {contract.name}"
    found.append(clean(f"{have} are among the {len(listed)} that {DOCUMENT} lists"))
    own = {_shape(one.method, one.path) for one in contract.operations.values()}
    spare = [shape for shape in listed if shape not in own]
    unlisted: dict[str, Clean] = {}
    for name in absent:
        method = needed[name].method
        same = [shape for shape in spare if shape.startswith(f"{method} ")]
        near: Sequence[str] = difflib.get_close_matches(wanted[name], same, 1, 0.6)
        unlisted[name] = one_line(listed[near[0]], 120) if near else NOTHING
        hint = f" (perhaps {unlisted[name]})" if near else ""
        asked = f"{method} {_bare(needed[name])}"
        missing.append(
            clean(f"the operation {name}, {asked}{hint}; correct [operations.{name}] in the profile")
        )
    return unlisted


def _asks_for_token(
    contract: Contract, document: Mapping[str, object], paths: Mapping[str, object], found: list[Clean]
) -> bool:
    schemes = pick(document, "components.securitySchemes")
    if not isinstance(schemes, dict) or not schemes:
        found.append(
            clean("no security scheme is declared, so no REST operation is expected to ask for a token")
        )
        return False
    bots = contract.operations["bots"]
    item = paths.get(bots.path)
    operation = item.get(bots.method.lower()) if isinstance(item, dict) else None
    needs = operation.get("security") if isinstance(operation, dict) else None
    needs = document.get("security") if needs is None else needs
    names = (
        {name for need in needs if isinstance(need, dict) for name in need}
        if isinstance(needs, list)
        else set()
    )
    asks = any(_is_token(schemes.get(name)) for name in names)
    kinds = ", ".join(one_line(name, 30) for name in list(schemes)[:4])
    what = "the list of bots asks for a token" if asks else "the list of bots asks for no token"
    found.append(clean(f"a security scheme is declared ({kinds}); {what}"))
    return asks


def _is_token(scheme: object) -> bool:
    if not isinstance(scheme, dict):
        return False
    return scheme.get("type") in _TOKEN_KINDS or (
        scheme.get("type") == "http" and str(scheme.get("scheme")).lower() == "bearer"
    )


def _bare(operation: Operation) -> str:
    return operation.path.partition("?")[0]


def _shape(method: str, path: str) -> str:
    """Method and path with every placeholder nameless, so that only the form is compared."""
    nameless = _PLACEHOLDER.sub("{}", path.partition("?")[0])
    return f"{method.upper()} {nameless.rstrip('/') or '/'}"
