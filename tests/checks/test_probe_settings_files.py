"""Configuration files become flat settings with their lines; hostile ones one sentence, in bounded time."""

from __future__ import annotations

import time

import pytest

from checks.probe.settings_files import MalformedError, parse_settings

ENV = """# comment
export A=1  # why
B="two words # kept"
C='x
y'
D=
E=a#b
"""
TOML = """top = "t"
[server]
workers = 4
debug = false
since = 2026-01-02
[[hosts]]
name = "a"
[[hosts]]
name = "b"
"""
YAML = """base: &base
  workers: 4
server:
  <<: *base
  debug: yes
  level: ~
origins: [a, b]
"""
FORMATS = [
    (
        ".env",
        ENV,
        {"A": ("1", 2), "B": ("two words # kept", 3), "C": ("x\ny", 4), "D": ("", 6), "E": ("a#b", 7)},
    ),
    (
        "a.toml",
        TOML,
        {
            "top": ("t", 1),
            "server.workers": ("4", 3),
            "server.debug": ("false", 4),
            "server.since": ("2026-01-02", 5),
            "hosts.0.name": ("a", 7),
            "hosts.1.name": ("b", 9),
        },
    ),
    (
        "a.yml",
        YAML,
        {
            "base.workers": ("4", 2),
            "server.workers": ("4", 2),
            "server.debug": ("yes", 5),
            "server.level": ("", 6),
            "origins.0": ("a", 7),
            "origins.1": ("b", 7),
        },
    ),
    (
        "a.json",
        '{"server": {"workers": 4, "debug": true, "x": null}, "o": ["a"]}',
        {
            "server.workers": ("4", 0),
            "server.debug": ("true", 0),
            "server.x": ("", 0),
            "o.0": ("a", 0),
        },
    ),
    (
        "a.ini",
        "[server]\nWorkers = 4\n; comment\n[tokens]\nsecret: %(x)s\n",
        {
            "server.Workers": ("4", 0),
            "tokens.secret": ("%(x)s", 0),
        },
    ),
]


@pytest.mark.parametrize(("name", "text", "settings"), FORMATS, ids=[name for name, *_ in FORMATS])
def test_each_format_gives_dotted_keys_with_their_lines(
    name: str, text: str, settings: dict[str, tuple[str, int]]
) -> None:
    assert {one.key: (one.value, one.line) for one in parse_settings(name, text)} == settings


def test_an_empty_file_gives_no_settings() -> None:
    for name in (".env", "a.toml", "a.yaml", "a.json", "a.ini"):
        assert parse_settings(name, "") == []


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        (".env", "A=1\nhunter2 is my word\n", "line 2"),
        (".env", "A=1\nB='hunter2\n", "a quote is not closed"),
        ("a.toml", 'a = 1\nb = "hunter2\n', "TOML in line 2"),
        ("a.yaml", "a: [hunter2\nb: 2\n", "YAML in line"),
        ("a.yaml", "a: \x01hunter2\n", "a character that YAML does not allow"),
        ("a.json", '{"a": 1,\n"b": hunter2}', "JSON in line 2"),
        ("a.json", '["hunter2"]', "holds no settings"),
        ("a.yaml", "hunter2", "holds no settings in line 1"),
        ("a.ini", "hunter2 = 1\n", "INI in line 1"),
        ("a.ini", "[a]\nb = hunter2\nb = 2\n", "INI in line 3"),
    ],
)
def test_a_malformed_file_is_told_by_its_line_and_never_quoted(name: str, text: str, told: str) -> None:
    with pytest.raises(MalformedError) as problem:
        parse_settings(name, text)
    assert told in str(problem.value)
    assert "hunter2" not in str(problem.value)


def test_no_object_is_built_from_yaml() -> None:
    (one,) = parse_settings("a.yaml", "a: !!python/object/apply:os.system ['exit 1']")
    assert (one.key, one.value) == ("a.0", "exit 1")


def _laughs(leaf: str) -> str:
    rows = [f"a0: &a0 {leaf}", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 20))]
    return "\n".join(rows)


HOSTILE = {
    "a billion laughs": ("a.yaml", _laughs("[x, x]")),
    "a billion laughs at nothing": ("a.yaml", _laughs("{}")),
    "a part that refers to itself": ("a.yaml", "a: &a\n  b: *a\n"),
    "a part that merges itself": ("a.yaml", "a: &a\n  <<: *a\n  c: 1\n"),
    "deep YAML": ("a.yaml", "a: " + "[" * 200_000),
    "deep JSON": ("a.json", '{"a":' * 100_000),
    "deep TOML": ("a.toml", "a = " + "[" * 200_000),
    "a key of many parts": ("a.toml", "a." * 120_000 + "a = 1"),
    "a quoted key of many parts": ("a.toml", '"a".' * 60_000 + "a = 1"),
    "a number of many digits": ("a.json", '{"a": ' + "1" * 200_000 + "}"),
    "a quote that never ends": (".env", "A='" + "x\n" * 120_000),
    "many settings": ("a.ini", "[a]\n" + "".join(f"k{n}=1\n" for n in range(20_000))),
    "long keys again and again": ("a.yaml", f"? {'k' * 900}\n: [1, 2]\n"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_in_bounded_time(name: str) -> None:
    began = time.monotonic()
    with pytest.raises(MalformedError):
        parse_settings(*HOSTILE[name])
    assert time.monotonic() - began < 10


def test_a_value_with_many_blanks_takes_no_time() -> None:
    began = time.monotonic()
    assert parse_settings(".env", "A=b" + " " * 200_000 + "x")[0].value.endswith("x")
    assert time.monotonic() - began < 5
