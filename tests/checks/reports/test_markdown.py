"""Untrusted text stays text, whatever it holds and wherever a report puts it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from checks.reports.markdown import (
    MAX_INLINE_CHARS,
    WIDTH,
    Md,
    code,
    entry,
    escape,
    fence,
    item,
    lines_of,
    paragraph,
    quote,
    sentence,
    table,
)
from checks.text import clean
from tests.checks.reports.reading import INERT_INLINE, kinds, seen_text, tokens

HOSTILE = (
    "| [x](javascript:alert(1)) <script>alert(1)</script> ``` \n# heading",
    "![image](http://evil.example/a.png) [ref]: http://evil.example",
    "1. one\n2) two\n- three\n+ four\n* five\n> six\n    seven",
    "***\n---\n===\n:-:\n~~~\n```\n````` a",
    "http://evil.example. www.evil.example, evil.com/a me@evil.example //localhost/ mailto:a@b.cd",
    "**bold** __bold__ _it_ *it* ~~gone~~ a_b_c __x__y $x$ ^[note]",
    "&lt;b&gt; &#60; &copy; a & b && c",
    "\\ \\\\ \\` \\| \\[ \\* `a` ``b`` `c",
    "|a|b|\n|-|-|\n|c|d|",
    "a\n=\nb\n-\nc\n\n\nd",
    "<!-- x --> <b> </p> <http://x.yz> <![CDATA[ ]]> <?php ?>",
    "[3fa9c1d2e4b5] [3fa9c1d2e4b5]: http://evil.example",
)
markup = st.text(st.sampled_from("`*_[]()<>|~$^\\#-+=:!&;.1a @/\n\"'{}wéß中"), max_size=60)
Test = TypeVar("Test", bound=Callable[..., None])
anything = (st.text(max_size=80) | markup).map(clean)


def examples(test: Test) -> Test:
    """Every hostile text as an explicit example."""
    for text in HOSTILE:
        test = example(clean(text))(test)
    return test


def folded(text: str) -> str:
    """The text as one line, as `escape` folds it."""
    return " ".join(text.split())


@examples
@given(anything)
@settings(max_examples=300, deadline=None)
def test_a_paragraph_shows_the_text_and_nothing_acts(text: str) -> None:
    seen = tokens(paragraph(escape(text)))
    assert kinds(seen) <= {"paragraph_open", "paragraph_close", "inline", *INERT_INLINE}
    assert folded(seen_text(seen)) == folded(text)


@examples
@given(anything)
@settings(max_examples=200, deadline=None)
def test_an_item_and_a_quote_hold_the_text_and_nothing_else(text: str) -> None:
    for block, allowed in (
        (item(f"Observed: {escape(text)} end."), {"bullet_list", "list_item", "paragraph"}),
        (item(escape(text)), {"bullet_list", "list_item", "paragraph"}),
        (quote(escape(text)), {"blockquote", "paragraph"}),
    ):
        seen = tokens(block)
        outside = {kind.removesuffix("_open").removesuffix("_close") for kind in kinds(seen)}
        assert outside <= {*allowed, "inline", *INERT_INLINE}
        assert [token.type for token in seen].count("list_item_open") <= 1
        assert folded(text) in folded(seen_text(seen))


@examples
@given(anything)
@settings(max_examples=200, deadline=None)
def test_a_table_keeps_its_cells(text: str) -> None:
    seen = tokens(table([(text, "b"), ("c", text)], "one", text))
    types = [token.type for token in seen]
    assert (types.count("tr_open"), types.count("th_open"), types.count("td_open")) == (3, 2, 4)
    cells = [seen_text(token.children or []) for token in seen if token.type == "inline"]
    assert [folded(cell) for cell in cells] == ["one", folded(text), folded(text), "b", "c", folded(text)]


@examples
@given(anything)
@settings(max_examples=200, deadline=None)
def test_a_heading_holds_the_text(text: str) -> None:
    seen = tokens(f"# Report: {escape(text)}: FAIL\n")
    assert kinds(seen) <= {"heading_open", "heading_close", "inline", *INERT_INLINE}
    assert folded(text) in folded(seen_text(seen))


@examples
@given(anything)
@settings(max_examples=200, deadline=None)
def test_a_fence_holds_the_text_to_the_letter(text: str) -> None:
    written = f"before\n\n{fence(text)}\nafter\n"
    seen = [token for token in tokens(written) if token.type in ("fence", "html_block", "heading_open")]
    assert [token.content for token in seen] == [text.rstrip("\n") + "\n"]
    outside = [line for line, is_code in lines_of(written) if not is_code]
    assert outside == ["before", "", "", "after", ""]


@examples
@given(anything)
@settings(max_examples=200, deadline=None)
def test_a_code_span_holds_the_text(text: str) -> None:
    spans = [token for token in tokens(paragraph(f"a {code(text)} b")) if token.type == "code_inline"]
    assert [folded(token.content) for token in spans] == ([folded(text)] if folded(text) else [])


@pytest.mark.parametrize("text", HOSTILE)
def test_without_bare_links_the_text_is_inert_too(text: str) -> None:
    plain = escape(text)
    assert "](" not in plain.replace("\\](", "")
    assert "<" not in plain.replace("\\<", "")


def test_ordinary_text_is_left_readable() -> None:
    text = "bot_id of BOT-900000001: 4 of 5 rows (80 %), 12.5 ms - it's “fine”; a -> b!"
    assert escape(text) == text


def test_a_very_long_text_is_cut_and_the_cut_is_told() -> None:
    shown = escape("x" * (MAX_INLINE_CHARS + 5))
    assert shown.startswith("x" * MAX_INLINE_CHARS + " …")
    assert "5 more characters" in shown


def test_paragraphs_fit_into_80_columns() -> None:
    for make in (paragraph, item, quote):
        lines = make(escape("a few words and more of them " * 20)).splitlines()
        assert len(lines) > 5
        assert all(len(line) <= WIDTH for line in lines)


def test_a_code_span_and_the_name_of_an_entry_are_not_broken() -> None:
    for width in range(60, 80):
        text = paragraph(f"{'x' * width} {code('a b c d e')} ({entry(31)}).")
        assert "`a b c d e`" in text
        assert "(entry 31)." in text


def test_a_sentence_ends_once() -> None:
    assert [sentence(text) for text in ("it is", "it is.", "is it?")] == ["it is.", "it is.", "is it?"]


def test_own_markdown_is_left_as_it_is() -> None:
    assert escape(Md("[3fa9c1d2e4b5]")) == "[3fa9c1d2e4b5]"


def test_a_table_is_aligned_for_wide_characters() -> None:
    lines = table([("機器人", "x"), ("ab", "y")], "name", "v").splitlines()
    assert lines[2] == "| 機器人 | x   |"
    assert lines[3] == "| ab     | y   |"
