"""The line of every key of a TOML document, which the standard library's parser does not tell.

A small scanner over text that `tomllib` has already accepted: it tracks table headers, dotted and quoted keys,
inline tables and arrays, and steps over strings and comments. It follows TOML 1.0.
"""

from __future__ import annotations

import re
import tomllib
from bisect import bisect_left

KeyPath = tuple[str | int, ...]
"""Keys and array places from the top: `("target", "authorized", 0)`."""

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_SPACE = re.compile(r"[ \t]*")
_SCALAR = re.compile(r"[^,\]}#\r\n]*")
_STRINGS = (
    re.compile(r'"""(?:[^"\\]|\\.|"(?!""))*"{3,5}', re.DOTALL),
    re.compile(r"'''(?:[^']|'(?!''))*'{3,5}", re.DOTALL),
    re.compile(r'"(?:[^"\\]|\\.)*"'),
    re.compile(r"'[^']*'"),
)
"""The long forms first: an empty short string is the beginning of one."""


def key_lines(text: str) -> dict[KeyPath, int]:
    """The 1-based line on which each key path of the valid TOML document `text` is first named."""
    return _Scanner(text).scan()


class _Scanner:
    """One pass over one document."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._ends = [place for place, char in enumerate(text) if char == "\n"]
        self._lines: dict[KeyPath, int] = {}
        self._elements: dict[KeyPath, int] = {}
        """How many elements each array of tables has so far."""

    def scan(self) -> dict[KeyPath, int]:
        """Walk from header to header."""
        table: KeyPath = ()
        while self._skip(_BLANK):
            if self._take("[["):
                table = self._header(is_array=True)
            elif self._take("["):
                table = self._header(is_array=False)
            else:
                self._pair(table)
        return self._lines

    def _header(self, *, is_array: bool) -> KeyPath:
        line = self._line()
        names = self._key()
        self._at += 2 if is_array else 1
        path: KeyPath = ()
        for place, name in enumerate(names, 1):
            path = (*path, name)
            self._lines.setdefault(path, line)
            if is_array and place == len(names):
                self._elements[path] = self._elements.get(path, 0) + 1
            if path in self._elements:
                path = (*path, self._elements[path] - 1)
                self._lines.setdefault(path, line)
        return path

    def _pair(self, table: KeyPath) -> None:
        line = self._line()
        path = table
        for name in self._key():
            path = (*path, name)
            self._lines.setdefault(path, line)
        self._take("=")
        self._skip(_SPACE)
        self._value(path)

    def _key(self) -> list[str]:
        names = []
        while True:
            self._skip(_SPACE)
            start = self._at
            if self._text[start] in "\"'":
                self._string()
                # The parser itself undoes the escapes.
                names.append(str(tomllib.loads(f"k = {self._text[start : self._at]}")["k"]))
            else:
                self._match(_BARE_KEY)
                names.append(self._text[start : self._at])
            self._skip(_SPACE)
            if not self._take("."):
                return names

    def _value(self, path: KeyPath) -> None:
        if self._text[self._at] in "\"'":
            self._string()
        elif self._take("["):
            place = 0
            while self._skip(_BLANK) and not self._take("]"):
                self._lines.setdefault((*path, place), self._line())
                self._value((*path, place))
                place += 1
                self._skip(_BLANK)
                self._take(",")
        elif self._take("{"):
            while self._skip(_BLANK) and not self._take("}"):
                self._pair(path)
                self._skip(_BLANK)
                self._take(",")
        else:
            self._match(_SCALAR)

    def _string(self) -> None:
        for pattern in _STRINGS:
            if found := pattern.match(self._text, self._at):
                self._at = found.end()
                return
        raise ValueError("the document is not valid TOML")

    def _match(self, pattern: re.Pattern[str]) -> None:
        """Step over what `pattern` matches; a match of nothing means that the document is not valid."""
        found = pattern.match(self._text, self._at)
        if found is None or found.end() == self._at:
            raise ValueError("the document is not valid TOML")
        self._at = found.end()

    def _skip(self, pattern: re.Pattern[str]) -> bool:
        """Step over what may be there; whether any text is left."""
        if found := pattern.match(self._text, self._at):
            self._at = found.end()
        return self._at < len(self._text)

    def _take(self, word: str) -> bool:
        is_there = self._text.startswith(word, self._at)
        self._at += len(word) if is_there else 0
        return is_there

    def _line(self) -> int:
        return bisect_left(self._ends, self._at) + 1
