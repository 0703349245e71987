"""The built-in contracts, and what a profile replaces in one: single values, typed; operations cannot be invented."""

from __future__ import annotations

import re
import string
import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

import msgspec

from checks.profile.source import Source, read_struct, read_table, read_value
from checks.profile.template import placeholders
from checks.target import Contract, Operation, Profile

DEFAULT = "port8000"
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
MAX_COMMAND_BYTES = 64 << 20
"""A command one byte longer than the documented limit is really made and sent."""
LIMIT = re.compile(r"[1-9]\d{0,5}/(?=[\d.]*[1-9])\d{1,5}(\.\d{1,3})?")
"""A declared rate limit: calls, a slash, seconds."""
FIELDS = ("id", "bot_id", "role", "text", "time")
"""Our names of the columns of the messages table."""
GIVEN: Mapping[str, tuple[str, ...]] = {
    "health": (),
    "page": (),
    "login": ("username", "password"),
    "register": ("username", "password"),
    "launch": ("bot_id", "bot_type"),
    "stop": ("bot_id",),
    "send": ("bot_id", "text"),
    "bots": (),
    "status": (),
    "history": ("bot_id", "limit"),
    "ws": ("token",),
    "ws_send": ("bot_id", "text"),
}
"""Operation -> the placeholders that are filled in when it is asked."""
NEEDED: Mapping[str, tuple[str, ...]] = {
    "login": ("username", "password"),
    "launch": ("bot_id",),
    "stop": ("bot_id",),
    "send": ("bot_id", "text"),
    "history": ("bot_id",),
    "ws_send": ("text",),
}
"""Operation -> the placeholders without which it could not mean what it has to."""


@cache
def built_in() -> Mapping[str, Contract]:
    """The contracts that ship with gonogo, by name."""
    found = sorted(entry.name for entry in files("checks.profile").iterdir() if entry.name.endswith(".toml"))
    texts = [files("checks.profile").joinpath(name).read_text("utf-8") for name in found]
    contracts = [msgspec.convert(tomllib.loads(text), Contract) for text in texts]
    return {contract.name: contract for contract in contracts}


def contract_of(profile: Profile, source: Source) -> Contract:
    """The contract that `profile` names, with its [contract], [operations.NAME] and [database] values in it.

    Raises ProfileError.
    """
    known = built_in()
    if profile.target.contract not in known:
        path = ("target", "contract")
        raise source.error(path, f"is not known: use one of {', '.join(known)}, and override what differs")
    contract = _replaced(known[profile.target.contract], profile.contract, source)
    operations = dict(contract.operations)
    for name, raw in profile.operations.items():
        if name not in operations:
            raise source.unknown(("operations", name), operations)
        operations[name] = _operation(name, operations[name], raw, source)
    for name, operation in operations.items():
        _check_operation(name, operation, source)
    columns = contract.columns | profile.database.columns
    for name, column in profile.database.columns.items():
        _check_column(("database", "columns", name), column, source)
    table = profile.database.table or contract.table
    return msgspec.structs.replace(contract, operations=operations, columns=columns, table=table)


def _replaced(contract: Contract, values: Mapping[str, object], source: Source) -> Contract:
    entries = {entry.name: entry.type for entry in msgspec.structs.fields(Contract)}
    if "operations" in values:
        raise source.error(("contract", "operations"), "cannot be replaced as a whole: use [operations.NAME]")
    if "name" in values:
        raise source.error(("contract", "name"), "cannot be replaced: choose a contract in [target] contract")
    own = {name: kind for name, kind in entries.items() if name not in ("operations", "name")}
    changes = {}
    for name, raw in values.items():
        if name not in own:
            raise source.unknown(("contract", name), own)
        changes[name] = read_value(own[name], raw, ("contract", name), source)
    for name, column in changes.get("columns", {}).items():
        _check_column(("contract", "columns", name), column, source)
    if "settings" in changes:
        changes["settings"] = contract.settings | changes["settings"]
    if "columns" in changes:
        changes["columns"] = contract.columns | changes["columns"]
    contract = msgspec.structs.replace(contract, **changes)
    _check_values(contract, source)
    return contract


def _check_values(contract: Contract, source: Source) -> None:
    if not 0 <= contract.max_command_bytes <= MAX_COMMAND_BYTES:
        limit = f"give bytes from 1 to {MAX_COMMAND_BYTES}, or 0 where no limit is documented"
        raise source.error(("contract", "max_command_bytes"), f"is out of range: {limit}")
    try:
        names = [
            name for _, name, _, _ in string.Formatter().parse(contract.bot_id_pattern) if name is not None
        ]
        is_good = names == ["number"] and bool(contract.bot_id_pattern.format(number=900_000_000))
    except (ValueError, KeyError, IndexError):
        is_good = False
    if not is_good:
        raise source.error(("contract", "bot_id_pattern"), 'must hold {number} once, as in "BOT-{number}"')
    for name in ("table", "user_role", "bot_role", "bad_bot_id"):
        if not getattr(contract, name):
            raise source.error(("contract", name), "is empty: give a text, or remove the line")
    for name in ("public", "description", "metrics"):
        value = getattr(contract, name)
        for path in (value,) if isinstance(value, str) else value:
            if not path.startswith("/") and (name == "public" or path):
                raise source.error(("contract", name), 'is not a path: begin it with "/"')
    if not contract.alive:
        raise source.error(("contract", "alive"), "is empty: name the status words of a bot that is up")


def _check_column(path: tuple[str, str, str], column: str, source: Source) -> None:
    if path[-1] not in FIELDS:
        raise source.unknown(path, FIELDS)
    if not column:
        raise source.error(path, "is empty: give the name of the column")


def _operation(name: str, built: Operation, raw: object, source: Source) -> Operation:
    path = ("operations", name)
    table = read_table(raw, path, source)
    own = operation_keys(name)
    for key in table:
        if key not in own:
            raise source.unknown((*path, key), own)
    given = read_struct(Operation, table, path, source)
    changes: dict[str, object] = {key: getattr(given, key) for key in table}
    if "method" in table:
        changes["method"] = given.method.upper()
    if "reply" in table:
        for field in given.reply:
            if field not in built.reply:
                raise _unknown_field((*path, "reply", field), built, source)
        # An empty table says that the answer has no fields; else what is not named stays.
        changes["reply"] = built.reply | given.reply if given.reply else {}
    return msgspec.structs.replace(built, **changes)


def _unknown_field(path: tuple[str, ...], built: Operation, source: Source) -> Exception:
    if built.reply:
        return source.unknown(path, built.reply)
    return source.error(path, "is not known here: nothing is read from this answer; remove it")


def operation_keys(name: str) -> tuple[str, ...]:
    """What an operation consists of: the socket's address and its frame are told apart."""
    special = {"ws": ("path",), "ws_send": ("limit", "body", "reply")}
    return special.get(name, ("limit", "method", "path", "body", "reply"))


def _check_operation(name: str, operation: Operation, source: Source) -> None:
    where = ("operations", name)
    if operation.limit and not LIMIT.fullmatch(operation.limit):
        raise source.error(
            (*where, "limit"), 'is no rate limit: write calls, a slash and seconds, as in "5/300"'
        )
    if operation.method not in METHODS:
        raise source.error((*where, "method"), f"is not known: use one of {', '.join(METHODS)}")
    texts = [text for text in (operation.body or {}).values() if isinstance(text, str)]
    if name != "ws_send":
        path = operation.path
        if not path.startswith("/") or any(char.isspace() or char == "#" for char in path):
            raise source.error(
                (*where, "path"), 'is not a path: begin it with "/", without white space or "#"'
            )
        for word in placeholders(path):
            if word not in GIVEN[name]:
                raise source.error((*where, "path"), f"holds {{{word}}}: {_may_hold(name)}")
        texts.append(path)
    elif not operation.body:
        raise source.error((*where, "body"), "is empty: give the frame that carries {text}")
    words = {word for text in texts for word in placeholders(text)}
    every = {word for given in GIVEN.values() for word in given}
    for word in sorted(words & every - set(GIVEN[name])):
        raise source.error((*where, "body"), f"holds {{{word}}}: {_may_hold(name)}")
    for word in NEEDED.get(name, ()):
        if word not in words:
            raise source.error(where, f"nowhere holds {{{word}}}: put it into its path or body")


def _may_hold(name: str) -> str:
    given = " and ".join(f"{{{word}}}" for word in GIVEN[name])
    return f"this operation may hold {given or 'no placeholder'}"
