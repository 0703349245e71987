"""Outcomes as the screen tells them: a word first, then a glyph, then a colour; one place for all three."""

from __future__ import annotations

from dataclasses import dataclass

TONES = {
    "good": "$text-success",
    "bad": "$text-error",
    "doubt": "$text-warning",
    "busy": "$text-accent",
    "quiet": "$foreground-muted",
}
"""Tone -> the theme's colour for it."""


@dataclass(frozen=True, slots=True)
class Look:
    """How one outcome is shown beside its word."""

    glyph: str
    """One cell wide."""
    tone: str
    """Never the only sign of the outcome."""

    @property
    def style(self) -> str:
        """The tone as a style of `Content`."""
        return TONES[self.tone]


UNKNOWN = Look("·", "quiet")

LOOKS = {
    "PASS": Look("✔", "good"),
    "FAIL": Look("✘", "bad"),
    "INCONCLUSIVE": Look("?", "doubt"),
    "STALE": Look("~", "doubt"),
    "WAIVED": Look("!", "doubt"),
    "NA": Look("-", "quiet"),
    "NOT RUN": UNKNOWN,
    "TO COME": UNKNOWN,
    "RUNNING": Look("●", "busy"),
    "WAITING": Look("●", "busy"),
    "GO": Look("✔", "good"),
    "CONDITIONAL GO": Look("!", "doubt"),
    "NOT DECIDABLE": Look("?", "doubt"),
    "NO-GO": Look("✘", "bad"),
}
"""Outcome, state or decision, in the engine's words -> its look."""

STAND_INS = {
    "✔": "+",
    "✘": "x",
    "●": "*",
    "·": "-",
    "→": ">",
    "▸": ">",
    "▲": "^",
    "…": "~",
    "—": "-",
    "–": "-",
}
"""Glyph -> what a terminal without it shows; each is one cell wide."""


def look(outcome: str) -> Look:
    """The look of an outcome; an unknown one is shown plainly."""
    return LOOKS.get(outcome, UNKNOWN)
