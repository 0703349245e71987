"""Where a value of the profile stands, so that an error can name it; and reading tables into types, key by key."""

from __future__ import annotations

import difflib
import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar, Union, get_args, get_origin

import msgspec

from checks.model import ProfileError
from checks.profile.lines import KeyPath
from checks.target import Profile
from checks.text import one_line

S = TypeVar("S", bound=msgspec.Struct)

NAMED = ("operations", "scenarios", "thresholds", "contacts")
"""Sections whose tables have names of their own."""
NEAR = 0.7
"""How alike a mistyped key and a known one are (`difflib`, 0 to 1) before the known one is suggested."""
_SECRETS = ("password", "passwd", "secret", "token", "username", "user", "key", "api_key")
"""Keys by which people try to put credentials into a profile."""
_KINDS: tuple[tuple[type, str], ...] = (
    (bool, "true or false"),
    (str, "a text"),
    (int, "a whole number"),
    (float, "a number with a point"),
    (list, "a list"),
    (dict, "a table"),
)
_WANTED: dict[object, str] = {
    str: "a text in quotes",
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    tuple[str, ...]: 'a list of texts, as in ["a", "b"]',
    dict[str, str]: 'a table of texts, as in { name = "text" }',
    dict[str, tuple[str, ...]]: 'a table of lists, as in { name = ["text"] }',
}


@dataclass(frozen=True, slots=True)
class Source:
    """The document that a value came from; without a name and lines for one made in memory."""

    name: str = ""
    lines: Mapping[KeyPath, int] = field(default_factory=dict)

    def error(self, path: KeyPath, what: str) -> ProfileError:
        """The error of the value at `path`; `what` goes on after its name and says the fix, without a full stop."""
        line = next(
            (self.lines[path[:size]] for size in range(len(path), 0, -1) if path[:size] in self.lines), 0
        )
        place = f"{self.name}, line {line}: " if line else f"{self.name}: " if self.name else ""
        return ProfileError(f"{place}{label(path)} {what}.")

    def unknown(self, path: KeyPath, known: Iterable[str]) -> ProfileError:
        """The error of a key that is not among `known`, with the nearest of them."""
        names, name = list(known), str(path[-1])
        if name.lower() in _SECRETS and path[0] in ("target", "credentials", "database"):
            place = "url_env" if path[0] == "database" else "username_env, password_env or token_env"
            section = "database" if path[0] == "database" else "credentials"
            return self.error(
                path,
                f"must not be here, for secrets never stand in the profile: remove it, and set the variable "
                f"named by [{section}] {place}",
            )
        if near := difflib.get_close_matches(name, names, 1, NEAR):
            return self.error(path, f'is not known: write "{near[0]}", or remove it')
        homes = [kind for kind, keys in _homes().items() if name in keys and kind != path[0]]
        if homes and path[0] not in NAMED:
            return self.error(path, f"is not known here: it belongs below [{homes[0]}]")
        return self.error(path, f"is not known: use one of {', '.join(names)}, or remove it")


def label(path: KeyPath) -> str:
    """A key path as a person finds it: `[operations.send] path`, `[target] authorized[0]`."""
    parts = [part if isinstance(part, int) else one_line(part, 60) for part in path]
    depth = min(2 if parts[0] in NAMED else 1, len(parts))
    is_section = parts[0] in _sections()
    text = f"[{'.'.join(map(str, parts[:depth]))}]" if is_section else f'"{parts[0]}"'
    for place, part in enumerate(parts[depth:]):
        text += f"[{part}]" if isinstance(part, int) else f"{'.' if place else ' '}{part}"
    return text


def read_table(raw: object, path: KeyPath, source: Source) -> dict[str, object]:
    """`raw` as a table. Raises ProfileError for anything else."""
    if isinstance(raw, dict):
        return raw
    names = ".".join(map(str, path))
    raise source.error(
        path, f"is {kind_of(raw)}, not a table: write [{one_line(names, 60)}] and its keys below"
    )


def read_struct(kind: type[S], raw: object, path: KeyPath, source: Source) -> S:
    """The table `raw` as a `kind`, each key looked at on its own. Raises ProfileError."""
    table = read_table(raw, path, source)
    known = {entry.name: entry for entry in msgspec.structs.fields(kind)}
    for name in table:
        if name not in known:
            raise source.unknown((*path, name), known)
    for name, entry in known.items():
        if entry.required and name not in table:
            raise source.error((*path, name), "is missing: give it a value")
    return kind(
        **{name: read_value(known[name].type, value, (*path, name), source) for name, value in table.items()}
    )


def read_value(kind: Any, raw: object, path: KeyPath, source: Source) -> Any:
    """`raw` as a `kind`. Raises ProfileError that says what it has to be, never what it is."""
    try:
        return msgspec.convert(raw, kind)
    except msgspec.ValidationError:
        where, value = _culprit(kind, raw, path)
    if get_origin(kind) is Literal and isinstance(value, str):
        raise source.error(where, f"is not a word known here: give {wanted(kind)}")
    if where != path:
        element = (
            "a text in quotes"
            if get_origin(kind) in (tuple, dict)
            else "a text, a whole number, true or false"
        )
        raise source.error(where, f"is {kind_of(value)}: give {element}")
    raise source.error(where, f"is {kind_of(value)}: give {wanted(kind)}")


def wanted(kind: Any) -> str:
    """What a value of type `kind` has to look like, in words."""
    if get_origin(kind) is Literal:
        return " or ".join(f'"{word}"' for word in get_args(kind))
    if get_origin(kind) in (Union, types.UnionType):
        return "a table of texts, whole numbers, true or false"
    return _WANTED.get(kind, "a value of another kind")


def kind_of(value: object) -> str:
    """What a TOML value is, in words."""
    return next((word for kind, word in _KINDS if isinstance(value, kind)), "a date or time")


def _culprit(kind: Any, raw: object, path: KeyPath) -> tuple[KeyPath, object]:
    """The element within `raw` that does not fit, where it is a list or a table; else `raw` itself."""
    allowed: tuple[type, ...] = (str,) if get_origin(kind) in (tuple, dict) else (str, int, bool)
    if isinstance(raw, list) and get_origin(kind) is tuple:
        elements: Iterable[tuple[str | int, object]] = enumerate(raw)
    elif isinstance(raw, dict) and get_origin(kind) in (dict, Union, types.UnionType):
        elements = raw.items()
    else:
        return path, raw
    return next(
        (((*path, name), value) for name, value in elements if not isinstance(value, allowed)), (path, raw)
    )


def _sections() -> set[str]:
    """The sections of the profile."""
    return {entry.name for entry in msgspec.structs.fields(Profile)}


def _homes() -> dict[str, set[str]]:
    """The keys of each section of the profile."""
    return {
        entry.name: {key.name for key in msgspec.structs.fields(entry.type)}
        for entry in msgspec.structs.fields(Profile)
        if isinstance(entry.type, type) and issubclass(entry.type, msgspec.Struct)
    }
