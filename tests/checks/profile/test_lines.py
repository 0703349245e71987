"""The line of every key, against the standard library's parser and against documents written with known lines."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.profile.lines import KeyPath, key_lines
from checks.profile.write import toml

HARD = Path(__file__).with_name("hard.toml").read_text("utf-8")
EXPECTED: dict[KeyPath, int] = {
    ("top",): 2,
    ("quoted a key", "a"): 3,
    ("quoted a key", "b.c", 1): 3,
    ("target",): 5,
    ("target", "url"): 6,
    ("target", "name"): 10,
    ("a.b", "c"): 12,
    ("a.b", "c", "x", "y", "z"): 13,
    ("a.b", "c", "raw"): 14,
    ("a.b", "c", "list"): 17,
    ("a.b", "c", "list", 0): 18,
    ("a.b", "c", "list", 1, "deep"): 19,
    ("a.b", "c", "list", 1, "deep", 1): 20,
    ("a.b", "c", "list", 2, 0): 22,
    ("a.b", "c", "last"): 24,
    ("steps", 0, "id"): 27,
    ("steps", 0, "sub", "k"): 29,
    ("steps", 1): 30,
    ("steps", 1, "id"): 31,
    ("steps", 1, "parts", 0, "p"): 33,
    ("steps", 1, "parts", 1, "p"): 35,
}


def paths(value: object, path: KeyPath = ()) -> set[KeyPath]:
    """Every key path of a parsed document."""
    found = {path} if path else set()
    if isinstance(value, dict):
        return found.union(*(paths(entry, (*path, name)) for name, entry in value.items()))
    if isinstance(value, list):
        return found.union(*(paths(entry, (*path, place)) for place, entry in enumerate(value)))
    return found


@pytest.mark.parametrize(("path", "line"), EXPECTED.items(), ids=str)
def test_the_line_of_a_key_in_a_hard_document(path: KeyPath, line: int) -> None:
    assert key_lines(HARD)[path] == line


def test_exactly_the_keys_that_the_parser_finds_have_a_line() -> None:
    assert set(key_lines(HARD)) == paths(tomllib.loads(HARD))


def test_windows_line_ends_count_once() -> None:
    assert key_lines("[a]\r\nb = 1\r\nc = '''\r\n\r\n'''\r\nd = 2\r\n")["a", "d"] == 6


@pytest.mark.parametrize(
    "text", ["", "\n\n", "# only a comment", "a = 1", "a=1#x", "[a]", "a = {}", "a = [\n]"]
)
def test_small_documents(text: str) -> None:
    assert set(key_lines(text)) == paths(tomllib.loads(text))


KEYS = st.one_of(
    st.from_regex(r"[A-Za-z0-9_-]{1,6}", fullmatch=True),
    st.text("ab\"'.# =[]{}\\\té", min_size=1, max_size=5),
)
SCALARS = st.one_of(st.integers(-99, 99), st.booleans(), st.text("ab\"'\\\n#[]{}=,", max_size=12))
VALUES: st.SearchStrategy[Any] = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=3)),
    max_leaves=6,
)


@st.composite
def documents(draw: st.DrawFn) -> tuple[str, dict[KeyPath, int]]:
    """A valid document in a random spelling, and the line of each of its top keys and tables' keys."""
    lines: list[str] = []
    expected: dict[KeyPath, int] = {}

    def spelled(key: str) -> str:
        return toml(key)

    def write(path: KeyPath, text: str) -> None:
        lines.extend([""] * draw(st.integers(0, 2)))
        if draw(st.booleans()):
            lines.append('  # [comment] "with" = """quotes')
        expected[path] = len(lines) + 1
        lines.extend(text.split("\n"))

    def value(entry: Any) -> str:
        if isinstance(entry, str) and draw(st.booleans()):
            return f'"""{toml(entry)[1:-1].replace(chr(92) + "n", chr(10))}"""'
        if isinstance(entry, list) and draw(st.booleans()):
            return "[ # here [\n" + "".join(f"  {value(one)}, # ]\n" for one in entry) + "]"
        if isinstance(entry, dict):
            return (
                "{"
                + ", ".join(f"{spelled(name)} = {value_on_one_line(one)}" for name, one in entry.items())
                + "}"
            )
        return value_on_one_line(entry)

    def value_on_one_line(entry: Any) -> str:
        if isinstance(entry, dict):
            return (
                "{"
                + ", ".join(f"{spelled(name)} = {value_on_one_line(one)}" for name, one in entry.items())
                + "}"
            )
        if isinstance(entry, list):
            return f"[{', '.join(map(value_on_one_line, entry))}]"
        return toml(entry)

    for key, entry in draw(st.dictionaries(KEYS, VALUES, max_size=3)).items():
        write((key,), f"{spelled(key)} = {value(entry)}")
    tables = draw(st.dictionaries(KEYS, st.dictionaries(KEYS, VALUES, max_size=3), max_size=3))
    for table, pairs in tables.items():
        if (table,) not in expected:
            write((table,), f"[ {spelled(table)} ]")
            for key, entry in pairs.items():
                write((table, key), f"{spelled(key)} = {value(entry)}")
    return draw(st.sampled_from(["\n", "\r\n"])).join(lines), expected


@given(documents())
def test_random_documents(case: tuple[str, dict[KeyPath, int]]) -> None:
    text, expected = case
    found = key_lines(text)
    assert set(found) == paths(tomllib.loads(text))
    assert {path: found[path] for path in expected} == expected
