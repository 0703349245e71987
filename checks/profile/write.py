"""Writing a commented `gonogo.toml`: what was found is set, everything else is there as a comment, secrets never."""

from __future__ import annotations

import ast
import inspect
import os
import secrets
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from functools import cache
from pathlib import Path

import msgspec

from checks import target as types_of_profile
from checks.load.model import Criteria, Scenario
from checks.load.scenarios.shipped import shipped
from checks.model import ProfileError
from checks.monitoring.thresholds.shipped import shipped as thresholds
from checks.profile.contract import DEFAULT, built_in, operation_keys
from checks.profile.discover import Discovery
from checks.profile.scenarios import FIXED
from checks.target import Contract, Profile
from checks.text import one_line

WIDTH = 108
FROM_DATABASE = ("table", "columns")
"""Keys of [database] that override the contract's: shown with the contract's values."""
NOT_IN_CONTRACT = frozenset({"name", "operations", *FROM_DATABASE})
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}


def render(discovery: Discovery) -> str:
    """The text of a profile: found values set, the rest commented out with its default; loads as it stands."""
    contract = built_in()[DEFAULT]
    lines = [*_head(discovery)]
    for section in msgspec.structs.fields(Profile):
        lines.append("")
        if section.name == "contract":
            lines += _contract(discovery, contract)
        elif section.name == "operations":
            lines += _operations(discovery, contract)
        elif section.name in NAMED:
            lines += NAMED[section.name]()
        else:
            lines += _section(section.name, section.type, discovery.values, contract)
    return "\n".join(lines) + "\n"


def write_new(path: Path, text: str) -> None:
    """Write `text` to the new file `path`, whole or not at all, readable by its owner alone.

    Raises ProfileError where there is such a file already, or where it cannot be written.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    try:
        # The name is taken first, which fails where there is such a file; then it gets its content in one step.
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        try:
            with os.fdopen(
                os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8"
            ) as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        except BaseException:
            part.unlink(missing_ok=True)
            path.unlink(missing_ok=True)
            raise
    except FileExistsError:
        name = one_line(path, 300)
        raise ProfileError(
            f"{name} exists and is kept: give another file with --out, or move it away."
        ) from None
    except OSError as problem:
        why = (problem.strerror or type(problem).__name__).lower()
        name = one_line(path, 300)
        raise ProfileError(f"{name} could not be written ({why}): give another file with --out.") from None


def toml(value: object) -> str:
    """`value` as TOML. Raises TypeError for what a profile never holds."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return repr(value)
    if isinstance(value, str):
        return f'"{"".join(map(_escaped, value))}"'
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{name} = {toml(entry)}" for name, entry in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    if isinstance(value, Sequence):
        return f"[{', '.join(map(toml, value))}]"
    raise TypeError(f"no TOML for {type(value).__name__}")


def _escaped(char: str) -> str:
    if char in _ESCAPES:
        return _ESCAPES[char]
    return char if char >= " " and char != "\x7f" else f"\\u{ord(char):04X}"


def _head(discovery: Discovery) -> Iterator[str]:
    yield from _comment(
        f"The target of a readiness review, as `gonogo init --port {discovery.port}` saw it on "
        f"{discovery.at:%Y-%m-%d %H:%M} UTC. A line that begins with # and no space is a default: to change it, "
        "remove the # (and that of its [section]). Passwords and tokens never stand here."
    )
    for title, sentences in (("Found:", discovery.found), ("Not found:", discovery.missing)):
        if sentences:
            yield "#"
            yield from _comment(title)
            for sentence in sentences:
                yield from _comment(sentence, "#   ")


def _section(
    name: str, kind: type[msgspec.Struct], values: Mapping[tuple[str, str], object], contract: Contract
) -> Iterator[str]:
    about = _docstrings()
    yield from _comment(_about_section(about[kind.__name__, ""]))
    yield f"[{name}]"
    for entry in msgspec.structs.fields(kind):
        default = entry.default_factory() if callable(entry.default_factory) else entry.default
        if name == "database" and entry.name in FROM_DATABASE:
            default = getattr(contract, entry.name)
        yield from _pair(about.get((kind.__name__, entry.name), ""), name, entry.name, values, default)


def _contract(discovery: Discovery, contract: Contract) -> Iterator[str]:
    about = _docstrings()
    yield from _comment(_about_section(about["Profile", "contract"]))
    yield "[contract]"
    for entry in msgspec.structs.fields(Contract):
        if entry.name not in NOT_IN_CONTRACT:
            comment = about.get(("Contract", entry.name), "")
            yield from _pair(comment, "contract", entry.name, discovery.values, getattr(contract, entry.name))


def _operations(discovery: Discovery, contract: Contract) -> Iterator[str]:
    about = _docstrings()
    yield from _comment(_about_section(about["Profile", "operations"]))
    yield from _comment(about["Operation", ""])
    yield from _comment(f"reply: {about['Operation', 'reply']}")
    for name, operation in contract.operations.items():
        yield ""
        if name in discovery.unlisted:
            near = discovery.unlisted[name]
            yield from _comment(f"Not listed by the target{f'; perhaps it is {near}' if near else ''}.")
        yield f"#[operations.{name}]"
        for key in operation_keys(name):
            if (value := getattr(operation, key)) not in (None, {}):
                yield f"#{key} = {toml(value)}"


def _scenarios() -> Iterator[str]:
    yield from _comment(_about_section(_docstrings()["Profile", "scenarios"]))
    plain, criteria = Scenario("", ""), Criteria()
    for name, entry in shipped().items():
        yield ""
        yield f"#[scenarios.{name}]"
        for key in (entry.name for entry in fields(Scenario) if entry.name not in (*FIXED, "title")):
            value = getattr(entry.scenario, key)
            if key != "criteria" and value != getattr(plain, key):
                yield f"#{key} = {toml(value)}"
        kept = {
            key.name: getattr(entry.scenario.criteria, key.name)
            for key in fields(Criteria)
            if getattr(entry.scenario.criteria, key.name) != getattr(criteria, key.name)
        }
        yield f"#criteria = {toml(kept or {'p95_s': criteria.p95_s, 'error_percent': criteria.error_percent})}"


def _thresholds() -> Iterator[str]:
    yield from _comment(_about_section(_docstrings()["Profile", "thresholds"]))
    for name, threshold in thresholds().items():
        yield ""
        yield f"#[thresholds.{name}]"
        yield f"#limit = {toml(threshold.limit)}"
        yield f"#for_s = {toml(threshold.for_s)}"
        yield f"#severity = {toml(threshold.severity.value)}"


def _contacts() -> Iterator[str]:
    yield from _comment(_about_section(_docstrings()["Profile", "contacts"]))
    yield "#[contacts.on-call]"
    yield '#person = "whoever is on call"'
    yield '#url_env = "GONOGO_NOTIFY_ON_CALL"'


def _escalation() -> Iterator[str]:
    yield from _comment(_about_section(_docstrings()["Profile", "escalation"]))
    yield "#[escalation]"
    yield '#critical = ["on-call"]'
    yield '#warning = ["on-call"]'


NAMED = {
    "scenarios": _scenarios,
    "thresholds": _thresholds,
    "contacts": _contacts,
    "escalation": _escalation,
}
"""Sections whose tables have names of their own -> what is written of them."""


def _about_section(docstring: str) -> str:
    """What a docstring says after the section's name: `[log]: text`."""
    text = docstring.partition("]")[2].removeprefix(": ")
    return text[:1].upper() + text[1:]


def _pair(
    comment: str, section: str, key: str, values: Mapping[tuple[str, str], object], default: object
) -> Iterator[str]:
    yield from _comment(comment)
    if (section, key) in values:
        yield f"{key} = {toml(values[section, key])}"
    else:
        yield f"#{key} = {toml(default)}"


def _comment(text: str, start: str = "# ") -> Iterator[str]:
    words = " ".join(text.split())
    yield from textwrap.wrap(
        words,
        WIDTH,
        initial_indent=start,
        subsequent_indent=start,
        break_long_words=False,
        break_on_hyphens=False,
    )


@cache
def _docstrings() -> Mapping[tuple[str, str], str]:
    """(class, "") and (class, field) -> the docstring that stands in the source of `checks/target.py`."""
    found: dict[tuple[str, str], str] = {}
    for node in ast.parse(inspect.getsource(types_of_profile)).body:
        if not isinstance(node, ast.ClassDef):
            continue
        found[node.name, ""] = ast.get_docstring(node) or ""
        for before, after in zip(node.body, node.body[1:], strict=False):
            if (
                isinstance(before, ast.AnnAssign)
                and isinstance(before.target, ast.Name)
                and isinstance(after, ast.Expr)
                and isinstance(after.value, ast.Constant)
            ):
                found[node.name, before.target.id] = str(after.value.value)
    return found
