"""The list keeps its place, and says which row is chosen without colour."""

from __future__ import annotations

from dataclasses import replace

import pytest
from textual import on
from textual.app import App, ComposeResult

from widgets.result_list import ResultList, Row

ROWS = [
    Row(f"C-{number}", "PASS" if number % 2 else "FAIL", str(number), f"Title {number}", "9 ms")
    for number in range(20)
]


class Host(App[None]):
    chosen: list[str]

    def compose(self) -> ComposeResult:
        self.chosen = []
        yield ResultList()

    @on(ResultList.Chosen)
    def note(self, message: ResultList.Chosen) -> None:
        self.chosen.append(message.key)


def line(found: ResultList, y: int) -> str:
    return "".join(segment.text for segment in found.render_line(y))


async def test_a_row_shows_marker_glyph_word_label_title_and_note() -> None:
    app = Host()
    async with app.run_test(size=(60, 10)) as pilot:
        found = app.query_one(ResultList)
        found.show(ROWS)
        await pilot.pause()
        assert line(found, 0).split() == ["▸", "✘", "fail", "0", "Title", "0", "9", "ms"]
        assert line(found, 1).split() == ["✔", "pass", "1", "Title", "1", "9", "ms"]
        assert len(line(found, 0)) == found.size.width


async def test_keys_move_the_cursor_and_scroll_to_it() -> None:
    app = Host()
    async with app.run_test(size=(60, 10)) as pilot:
        found = app.query_one(ResultList)
        found.show(ROWS)
        found.focus()
        await pilot.press("j", "down", "k")
        assert found.chosen == "C-1"
        await pilot.press("G")
        await pilot.pause()
        assert found.chosen == "C-19"
        assert "▸" in line(found, found.size.height - 1)
        await pilot.press("j", "g")
        assert found.chosen == "C-0"
        await pilot.press("pagedown")
        assert found.chosen == "C-9"
        assert app.chosen[-1] == "C-9"


async def test_the_cursor_stays_on_its_row_when_others_go() -> None:
    app = Host()
    async with app.run_test(size=(60, 10)) as pilot:
        found = app.query_one(ResultList)
        found.show(ROWS)
        found.choose("C-7")
        found.show([row for row in ROWS if row.outcome == "PASS"])
        await pilot.pause()
        assert found.chosen == "C-7"
        found.show(ROWS[:3])
        await pilot.pause()
        assert found.chosen == "C-2"
        found.show([])
        assert found.chosen == ""


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (44, ("Short", "A title that is long…")),
        (60, ("Short  9 bytes, expected 32", "A title that is long enough")),
        (110, ("Short                        9 bytes, expected 32", "A title that is long enough  no role")),
    ],
)
async def test_a_detail_stands_behind_the_title_where_there_is_room(
    width: int, shown: tuple[str, str]
) -> None:
    app = Host()
    async with app.run_test(size=(width, 10)) as pilot:
        found = app.query_one(ResultList)
        found.show(
            [
                Row("C-1", "FAIL", "1", "Short", detail="9 bytes, expected 32"),
                Row("C-2", "NA", "2", "A title that is long enough", detail="no role"),
            ]
        )
        await pilot.pause()
        for place, wanted in enumerate(shown):
            assert line(found, place)[21:].rstrip() == wanted
            assert len(line(found, place)) == found.size.width


async def test_a_step_goes_over_headings() -> None:
    app = Host()
    async with app.run_test(size=(60, 10)):
        found = app.query_one(ResultList)
        heading = Row("#A", "FAIL", "", "[-] Group", "✘ 1", is_heading=True)
        found.show([heading, ROWS[0], replace(heading, key="#B"), ROWS[1]])
        found.step(1)
        assert found.chosen == "C-0"
        found.step(1)
        assert found.chosen == "C-1"
        found.step(1)
        assert found.chosen == "C-0"
        found.show([heading])
        found.step(1)
        assert found.chosen == "#A"


async def test_a_step_goes_round() -> None:
    app = Host()
    async with app.run_test(size=(60, 10)):
        found = app.query_one(ResultList)
        found.show(ROWS[:3])
        found.step(-1)
        assert found.chosen == "C-2"
        found.step(1)
        assert found.chosen == "C-0"
