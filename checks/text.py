"""The border for text that came from outside: cleaned once, and a type of its own afterwards.

Terminals act on control characters, Markdown and console markup act on brackets. Textual and Rich filter
neither, so everything a target, a file or another person supplies passes `clean` before it may be stored,
shown or written into a report.
"""

from __future__ import annotations

import unicodedata

MAX_COMBINING = 3
"""Combining marks kept per base character; stacks of them blot out the neighbouring rows."""

_UNSAFE_CATEGORIES = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})


class Clean(str):
    """Text without a control, format, surrogate or unassigned character. Made by `clean` alone."""

    __slots__ = ()


NOTHING = Clean("")


def clean(raw: object, limit: int | None = None) -> Clean:
    """Make `raw` harmless to show: C0 controls become their pictures, other unsafe characters `<U+XXXX>`.

    Newline and tab survive (a tab as four spaces). With `limit`, at most that many characters are kept and
    the cut is told. Cleaning cleaned text changes nothing.
    """
    text = str(raw)
    cut = limit is not None and len(text) > limit
    if cut:
        text, dropped = text[:limit], len(text) - (limit or 0)
    out: list[str] = []
    marks = 0
    for char in text.replace("\r\n", "\n"):
        code = ord(char)
        if char == "\n" or " " <= char <= "~":
            marks = 0
            out.append(char)
        elif char == "\t":
            out.append("    ")
        elif code < 0x20:
            out.append(chr(0x2400 + code))
        elif code == 0x7F:
            out.append("␡")
        elif unicodedata.category(char) in _UNSAFE_CATEGORIES:
            out.append(f"<U+{code:04X}>")
        elif unicodedata.combining(char):
            marks += 1
            if marks <= MAX_COMBINING:
                out.append(char)
        else:
            marks = 0
            out.append(char)
    if cut:
        out.append(f" … ({dropped} more characters)")
    return Clean("".join(out))


def one_line(raw: object, limit: int = 200) -> Clean:
    """Clean `raw` and fold it to one line of at most `limit` characters."""
    text = " ".join(clean(raw).split())
    return Clean(text if len(text) <= limit else text[: limit - 1] + "…")


def duration(seconds: float) -> Clean:
    """A duration in the unit that reads best: `<1 ms`, `12 ms`, `1.21 s`, `2 min 5 s`."""
    if seconds < 0.0005:
        return Clean("<1 ms")
    if seconds < 0.9995:
        return Clean(f"{seconds * 1e3:.0f} ms")
    if seconds < 100:
        return Clean(f"{seconds:.2f} s")
    return Clean(f"{seconds // 60:.0f} min {seconds % 60:.0f} s")
