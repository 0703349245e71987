"""Reads Markdown as a renderer would, so that tests can tell what is text and what acts."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from markdown_it import MarkdownIt
from markdown_it.token import Token

INERT_INLINE = {"text", "text_special", "code_inline", "softbreak"}


def tokens(text: str) -> list[Token]:
    """The tokens of GitHub's Markdown with bare links, block by block and then inline."""
    return list(_flat(MarkdownIt("gfm-like").parse(text)))


def _flat(some: list[Token]) -> Iterator[Token]:
    for token in some:
        yield token
        yield from _flat(token.children or [])


def seen_text(some: list[Token]) -> str:
    """What a reader sees of inline tokens."""
    return "".join(
        " " if token.type == "softbreak" else token.content for token in some if token.type in INERT_INLINE
    )


def kinds(some: list[Token]) -> set[str]:
    """The types of the tokens."""
    return {token.type for token in some}


def headings(text: str) -> list[str]:
    """The titles of the sections, in order."""
    some = tokens(text)
    return [
        inline.content
        for opening, inline in pairwise(some)
        if opening.type == "heading_open" and opening.tag == "h2"
    ]
