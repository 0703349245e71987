"""How numbers, times and outcomes are worded on every screen."""

from __future__ import annotations

from datetime import datetime

from textual.content import Content

from widgets.outcome import look


def elapsed(seconds: float) -> str:
    """Whole seconds, for what is still going on: `3 s`, `1 min 5 s`."""
    whole = int(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60} min {whole % 60} s"


def ago(moment: datetime, now: datetime) -> str:
    """How long ago in the largest two units, without seconds, so that a screen at rest stays still."""
    minutes = max(0, int((now - moment).total_seconds())) // 60
    days, hours = minutes // 1440, minutes // 60 % 24
    if days:
        return f"{days} d {hours} h ago"
    if hours:
        return f"{hours} h {minutes % 60} min ago"
    return f"{minutes} min ago" if minutes else "just now"


def clock(moment: datetime) -> str:
    """The moment in UTC, to the second."""
    return f"{moment:%Y-%m-%d %H:%M:%S}Z"


def counted(number: int, noun: str) -> str:
    """`1 blocker`, `2 blockers`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def heading(text: str) -> Content:
    """A section's title."""
    return Content.styled(text, "bold $text-accent")


def outcome(word: str) -> Content:
    """Glyph and word of an outcome."""
    shown = look(word)
    return Content.styled(f"{shown.glyph} {word}", f"bold {shown.style}")
