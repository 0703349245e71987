"""No text from outside can act on a terminal once it has passed the border."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from checks.text import clean, duration, one_line


@given(st.text())
def test_nothing_that_acts_survives(raw: str) -> None:
    for char in clean(raw):
        assert char == "\n" or unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


@given(st.text())
def test_cleaning_again_changes_nothing(raw: str) -> None:
    assert clean(clean(raw)) == clean(raw)


@given(st.text(), st.integers(1, 50))
def test_one_line_is_one_line_of_that_length(raw: str, limit: int) -> None:
    line = one_line(raw, limit)
    assert "\n" not in line
    assert len(line) <= limit


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\x1b[2J", "␛[2J"),
        ("\x1b]0;title\x07", "␛]0;title␇"),
        ("a\x9bb", "a<U+009B>b"),
        ("safe‮evil", "safe<U+202E>evil"),
        ("zero​width", "zero<U+200B>width"),
        ("\x7f\x00", "␡␀"),
        ("tab\tnew\r\nline", "tab    new\nline"),
        ("\ud800", "<U+D800>"),
        ("a" + "́" * 9, "a" + "́" * 3),
        ("[red]plain[/]", "[red]plain[/]"),
    ],
)
def test_what_acts_is_shown_as_a_picture(raw: str, shown: str) -> None:
    assert clean(raw) == shown


def test_a_cut_is_told() -> None:
    assert clean("abcdef", 2) == "ab … (4 more characters)"


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0.0, "<1 ms"),
        (0.0124, "12 ms"),
        (0.9994, "999 ms"),
        (0.9996, "1.00 s"),
        (1.214, "1.21 s"),
        (125, "2 min 5 s"),
    ],
)
def test_a_duration_is_told_in_the_unit_that_reads_best(seconds: float, told: str) -> None:
    assert duration(seconds) == told
