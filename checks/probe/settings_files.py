"""Configuration files as flat settings: `.env`, TOML, YAML, JSON and INI become dotted keys with their lines.

With hostile files in mind: no object is built from YAML, aliases are counted before they are followed, and nesting
and number of settings are bounded. No message shows a line, since it may hold a secret. The only importer of PyYAML.
"""

from __future__ import annotations

import configparser
import datetime
import json
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any

import yaml

from checks.profile.lines import KeyPath, key_lines

MAX_SETTINGS = 5_000
MAX_DEPTH = 32
MAX_KEY_CHARS = 400
_ENV_LINE = re.compile(r"(?:export\s+)?([A-Za-z_][A-Za-z0-9_.]*)\s*(?:=\s*(.*))?")
_COMMENT = re.compile(r"(?<!\s)\s+#.*$")
_LONG_KEY = re.compile(r"(?<![\w-])(?:(?:[\w-]++|\"[^\"\n]*+\"|'[^'\n]*+')[ \t]*+\.[ \t]*+){32}")
"""A dotted key of so many parts takes the standard library's parser quadratic time and memory."""
_TOML_PLACE = re.compile(r"at line (\d+), column (\d+)")


class MalformedError(Exception):
    """The file is not what its name says; the text says what is wrong and where, without a full stop."""


@dataclass(frozen=True, slots=True)
class Given:
    """One setting in a file."""

    key: str
    """Dotted: `database.pool_size`, `JWT_SECRET_KEY`, `origins.0`."""
    value: str = field(repr=False)
    """As text: `true`, `8`; empty for none."""
    line: int
    """0 where it is not known."""


def parse_settings(name: str, text: str) -> list[Given]:
    """The settings in the text of the file `name`, whose ending tells the format; `.env` where none does.

    Blocks for at most some seconds. Raises MalformedError.
    """
    ending = PurePath(name).suffix.lower()
    readers = {".toml": _toml, ".yaml": _yaml, ".yml": _yaml, ".json": _json, ".ini": _ini, ".cfg": _ini}
    reader = readers.get(ending, _ini if ending == ".conf" and re.search(r"(?m)^\s*\[", text) else _env)
    try:
        return reader(text)
    except RecursionError:
        raise MalformedError("is nested too deeply") from None


def _env(text: str) -> list[Given]:
    found = []
    lines = iter(enumerate(text.splitlines(), 1))
    for number, line in lines:
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        pair = _ENV_LINE.fullmatch(stripped)
        if pair is None:
            raise MalformedError(f"is not well formed in line {number}: NAME=value expected")
        value = pair[2] or ""
        is_quoted = value[:1] in ("'", '"')
        value = _quoted(value, value[0], lines, number) if is_quoted else _COMMENT.sub("", value)
        found.append(Given(pair[1], value, number))
    return _bounded(iter(found))


def _quoted(value: str, quote: str, lines: Iterator[tuple[int, str]], number: int) -> str:
    """What stands between quotes, which may go on over the lines that follow line `number`."""
    parts, part, start = [], value, 1
    while (end := part.find(quote, start)) < 0:
        parts.append(part[start:])
        _, following = next(lines, (0, None))
        if following is None:
            raise MalformedError(f"is not well formed in line {number}: a quote is not closed")
        part, start = following, 0
    return "\n".join([*parts, part[start:end]])


def _toml(text: str) -> list[Given]:
    if found := _LONG_KEY.search(text):
        raise MalformedError(f"is nested too deeply in line {text.count(chr(10), 0, found.start()) + 1}")
    try:
        document = tomllib.loads(text)
        lines = key_lines(text)
    except ValueError as problem:
        place = _TOML_PLACE.search(str(problem))
        where = f"in line {place[1]}" if place else f"in line {text.count(chr(10)) + 1}"
        raise MalformedError(f"is not well formed TOML {where}") from None
    return _bounded(_flat(document, (), lines))


def _json(text: str) -> list[Given]:
    try:
        document = json.loads(text) if text.strip() else {}
    except json.JSONDecodeError as problem:
        raise MalformedError(f"is not well formed JSON in line {problem.lineno}") from None
    except ValueError:
        raise MalformedError("is not well formed JSON: a number is too long") from None
    if not isinstance(document, dict):
        raise MalformedError("is JSON, but holds no settings: an object expected")
    return _bounded(_flat(document, (), {}))


def _ini(text: str) -> list[Given]:
    parser = configparser.RawConfigParser(strict=True, allow_no_value=True)
    parser.optionxform = str  # type: ignore[assignment,method-assign]  # names keep their case
    try:
        parser.read_string(text)
    except configparser.Error as problem:
        number = getattr(problem, "lineno", None) or next(iter(getattr(problem, "errors", [])), (0,))[0]
        where = f" in line {number}" if number else ""
        raise MalformedError(f"is not well formed INI{where}") from None
    found = (
        Given(f"{section}.{name}", value or "", 0)
        for section in parser.sections()
        for name, value in parser.items(section)
    )
    return _bounded(found)


def _yaml(text: str) -> list[Given]:
    try:
        # The tree of nodes is shared where there are aliases, so even a bomb of them is small here.
        nodes = list(yaml.compose_all(text, Loader=yaml.SafeLoader))
    except yaml.MarkedYAMLError as problem:
        mark = problem.problem_mark or problem.context_mark
        where = f" in line {mark.line + 1}" if mark else ""
        raise MalformedError(f"is not well formed YAML{where}") from None
    except (yaml.YAMLError, ValueError):
        raise MalformedError(
            "is not well formed YAML: it holds a character that YAML does not allow"
        ) from None
    nodes = [node for node in nodes if node is not None and not node.tag.endswith(":null")]
    for node in nodes:
        if not isinstance(node, yaml.MappingNode):
            raise MalformedError(
                f"is YAML, but holds no settings in line {node.start_mark.line + 1}: a mapping expected"
            )
    found = (given for node in nodes if node.value for given in _of_node(node, "", 0, frozenset()))
    return _bounded(found)


def _of_node(node: yaml.Node, key: str, depth: int, above: frozenset[int]) -> Iterator[Given]:
    """The settings below a YAML node; each node is visited as often as it is referred to, until it is too often."""
    if id(node) in above:
        raise MalformedError(f"is YAML that refers to itself in line {node.start_mark.line + 1}")
    if depth > MAX_DEPTH:
        raise MalformedError("is nested too deeply")
    within = above | {id(node)}
    line = node.start_mark.line + 1
    if len(key) > MAX_KEY_CHARS:
        raise MalformedError(f"has a key of more than {MAX_KEY_CHARS} characters in line {line}")
    prefix = f"{key}." if key else ""
    if isinstance(node, yaml.CollectionNode) and not node.value:
        yield Given(key, "", line)  # it counts too: an alias may lead here a billion times
    elif isinstance(node, yaml.MappingNode):
        for name, value in node.value:
            if not isinstance(name, yaml.ScalarNode):
                raise MalformedError(
                    f"is not well formed in line {name.start_mark.line + 1}: a key is no text"
                )
            is_merge = name.tag == "tag:yaml.org,2002:merge"
            parts = value.value if is_merge and isinstance(value, yaml.SequenceNode) else [value]
            for part in parts:
                yield from _of_node(part, key if is_merge else f"{prefix}{name.value}", depth + 1, within)
    elif isinstance(node, yaml.SequenceNode):
        for place, value in enumerate(node.value):
            yield from _of_node(value, f"{prefix}{place}", depth + 1, within)
    else:
        is_none = node.tag == "tag:yaml.org,2002:null"
        yield Given(key, "" if is_none else str(node.value), line)


def _flat(value: Any, path: KeyPath, lines: dict[KeyPath, int]) -> Iterator[Given]:
    if len(path) > MAX_DEPTH:
        raise MalformedError("is nested too deeply")
    if isinstance(value, dict) and (value or not path):
        for name, inner in value.items():
            yield from _flat(inner, (*path, name), lines)
    elif isinstance(value, list) and value:
        for place, inner in enumerate(value):
            yield from _flat(inner, (*path, place), lines)
    else:
        key = ".".join(map(str, path))
        if len(key) > MAX_KEY_CHARS:
            raise MalformedError(f"has a key of more than {MAX_KEY_CHARS} characters")
        yield Given(key, _text(value), lines.get(path, 0))


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None or value in ([], {}):
        return ""
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    return str(value)


def _bounded(found: Iterator[Given]) -> list[Given]:
    """All of them. Raises MalformedError where there are too many, before they are made."""
    settings: list[Given] = []
    for given in found:
        settings.append(given)
        if len(settings) > MAX_SETTINGS:
            raise MalformedError(
                f"holds more than {MAX_SETTINGS} settings (or refers to one part again and again)"
            )
    return settings
