"""Markdown out of untrusted text: `escape` makes text inert, `Md` marks what may be written as it is.

Escaped are the marks of CommonMark, of GitHub's extensions to it (tables, strikethrough, bare links, mathematics)
and the few of Pandoc that could begin a block. Raw text stays readable: a mark is escaped only where it acts.
"""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

WIDTH = 80
"""Columns of a paragraph as plain text."""
MAX_INLINE_CHARS = 1000
"""Longer values are cut where they stand in a sentence, and the cut is told."""


class Md(str):
    """Markdown that gonogo made itself; everything else is escaped when it is written."""

    __slots__ = ()


_UNBREAKABLE = "\0"
"""Stands for a space that must not become a line break until the paragraph is wrapped; cleaned text never holds it."""
_BEFORE_UNIT = re.compile(r"(?<=\d) (?=(?:%|ms|s|min|MiB)(?!\w))")
_LINKABLE = re.compile(
    r"(?:(?:(?:[A-Za-z][A-Za-z0-9+.-]*:)?//|www\.|mailto:|xmpp:)[^\s`|<>]*(?<![.,;:!?)\]}'\"])"
    r"|[\w.+-]*@(?:[\w.-]*\w)?"
    r"|(?:[\w-]+\.)+[^\W\d_]{2,})+",
    re.IGNORECASE,
)
"""Addresses, mail addresses and names of hosts: renderers make links of them without being asked, except in code."""
_INLINE = re.compile(r"[\\`*\[\]<|~$^]|(?<![^\W_])_|_(?![^\W_])|&(?=#?\w+;)")
_LINE_START = re.compile(r"(\d{1,9}(?=[.)](?:\s|$))|)(?=[-+*](?:\s|$)|#|>|:?-+:?$|=+$|:\s|(?<=\d)[.)])")
"""Where a line would begin a list, a heading, a quote, a table or a definition; a backslash goes behind group 1."""


def escape(value: object) -> Md:
    """`value` as one run of inert text without line breaks; `Md` is left as it is.

    What acts only at the beginning of a line is left to `paragraph`.
    """
    if isinstance(value, Md):
        return value
    text = " ".join(str(value).split())
    if len(text) > MAX_INLINE_CHARS:
        dropped = len(text) - MAX_INLINE_CHARS
        text = f"{text[:MAX_INLINE_CHARS]} … ({dropped} more characters are in the journal)"
    out, end = [], 0
    for found in _LINKABLE.finditer(text):
        out += [_INLINE.sub(r"\\\g<0>", text[end : found.start()]), f"`{found.group()}`"]
        end = found.end()
    out.append(_INLINE.sub(r"\\\g<0>", text[end:]))
    return Md("".join(out))


def sentence(value: object) -> Md:
    """`value` as inert text that ends with a full stop."""
    text = escape(value)
    return text if text.endswith((".", "!", "?", "…")) else Md(f"{text}.")


def entry(seq: int) -> str:
    """How a report names an entry of the journal; never broken between the lines."""
    return f"entry{_UNBREAKABLE}{seq}"


def code(value: object) -> Md:
    """`value` as a code span, whatever backticks it holds; a dash where it is empty."""
    text = " ".join(str(value).split())
    if not text:
        return Md("–")
    ticks = "`" * (_longest_run(text) + 1)
    pad = " " if text.startswith("`") or text.endswith("`") else ""
    return Md(f"{ticks}{pad}{text}{pad}{ticks}".replace(" ", _UNBREAKABLE))


def fence(value: object, language: str = "text") -> Md:
    """`value` as a code block whose fence is longer than any run of backticks in it."""
    text = str(value).rstrip("\n")
    ticks = "`" * max(3, _longest_run(text) + 1)
    return Md(f"{ticks}{language}\n{text}\n{ticks}\n")


_FENCE = re.compile(r"(`{3,})\w*")


def lines_of(text: str) -> Iterator[tuple[str, bool]]:
    """The lines of a rendered report, each with whether it belongs to a code block."""
    closing = ""
    for line in text.split("\n"):
        if closing:
            yield line, True
            closing = "" if line == closing else closing
        elif found := _FENCE.fullmatch(line):
            closing = found[1]
            yield line, True
        else:
            yield line, False


def _longest_run(text: str) -> int:
    return max((len(run) for run in re.findall("`+", text)), default=0)


def paragraph(block: str, first: str = "", rest: str = "") -> Md:
    """A block of a template wrapped to `WIDTH` columns; nothing where the block is empty."""
    text = _BEFORE_UNIT.sub(_UNBREAKABLE, re.sub("[ \n]+", " ", block).strip(" "))
    if not text:
        return Md("")
    lines = textwrap.wrap(text, WIDTH - len(first), break_long_words=False, break_on_hyphens=False)
    guarded = (_LINE_START.sub(r"\1\\", line, count=1) if _LINE_START.match(line) else line for line in lines)
    indented = (f"{rest if number else first}{line}\n" for number, line in enumerate(guarded))
    return Md("".join(indented).replace(_UNBREAKABLE, " "))


def item(block: str) -> Md:
    """A block of a template as one item of a list."""
    return paragraph(block, "- ", "  ")


def quote(block: str) -> Md:
    """A block of a template as a block quote."""
    return paragraph(block, "> ", "> ")


def table(rows: Iterable[Sequence[object]], *headers: str) -> Md:
    """A table, padded so that it also reads as plain text."""
    cells = [[escape(cell).replace(_UNBREAKABLE, " ") for cell in row] for row in (headers, *rows)]
    widths = [max(3, *map(_columns, column)) for column in zip(*cells, strict=True)]
    lines = [_row(row, widths) for row in cells]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return Md("\n".join(lines) + "\n")


def _row(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = (cell + " " * (width - _columns(cell)) for cell, width in zip(cells, widths, strict=True))
    return "| " + " | ".join(padded) + " |"


def _columns(text: str) -> int:
    """Terminal columns of `text`: East Asian wide characters take two, combining marks none."""
    return sum(
        0 if unicodedata.combining(char) else 2 if unicodedata.east_asian_width(char) in "WF" else 1
        for char in text
    )
