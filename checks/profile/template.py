"""Placeholders of a contract: filled into what is sent, and dotted paths looked up in what comes back."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote

from checks.target import Body

_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")


def fill(body: Body, values: Mapping[str, str]) -> Body:
    """`body` with every `{name}` in its texts replaced by `values[name]`.

    Braces around anything else stay as they are, and so do braces within a value: one pass, nothing is
    expanded twice.
    """
    return {key: _replaced(text, values) if isinstance(text, str) else text for key, text in body.items()}


def fill_path(path: str, values: Mapping[str, str]) -> str:
    """`path` with every `{name}` replaced by the percent-encoded value, which cannot leave its segment."""
    return _replaced(path, {name: _encoded(value) for name, value in values.items()})


def placeholders(text: str) -> list[str]:
    """The names that stand in braces in `text`, in order."""
    return _PLACEHOLDER.findall(text)


def pick(document: object, path: str) -> object | None:
    """What stands at the dotted `path` of a JSON document (`data.items.0.token`); `` is the whole document.

    None where the path leads nowhere.
    """
    current: object | None = document
    for name in path.split(".") if path else ():
        if isinstance(current, dict):
            current = current.get(name)
        elif isinstance(current, list) and name.isascii() and name.isdigit() and int(name) < len(current):
            current = current[int(name)]
        else:
            return None
    return current


def _replaced(text: str, values: Mapping[str, str]) -> str:
    return _PLACEHOLDER.sub(lambda found: values.get(found[1], found[0]), text)


def _encoded(value: str) -> str:
    # A segment of dots alone would be taken as "this" or "the parent" folder by what stands in between.
    return "".join("%2E" for _ in value) if value in (".", "..") else quote(value, safe="")
