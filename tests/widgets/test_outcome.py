"""An outcome is readable without colour, and without UTF-8."""

from __future__ import annotations

import pytest
from rich.cells import cell_len

from checks.model import Ceiling, State, Verdict
from widgets.outcome import LOOKS, STAND_INS, TONES, UNKNOWN, look

WORDS = [*State, *Verdict, *Ceiling]


@pytest.mark.parametrize("word", sorted(LOOKS))
def test_each_glyph_is_one_cell_wide_and_has_a_stand_in(word: str) -> None:
    shown = look(word)
    assert cell_len(shown.glyph) == 1
    assert shown.tone in TONES
    assert shown.glyph.isascii() or (STAND_INS[shown.glyph].isascii() and len(STAND_INS[shown.glyph]) == 1)


def test_every_word_of_the_engine_has_a_look_of_its_own() -> None:
    assert [word for word in WORDS if str(word) not in LOOKS] == []


def test_verdicts_and_states_differ_by_glyph_alone() -> None:
    glyphs = {
        word: look(word).glyph
        for word in ("PASS", "FAIL", "INCONCLUSIVE", "STALE", "WAIVED", "NA", "NOT RUN")
    }
    assert len(set(glyphs.values())) == len(glyphs)
    assert look("something new") is UNKNOWN
