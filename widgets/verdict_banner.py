"""The verdict banner: what is reviewed and how it stands, and the tab strip, on every screen."""

from __future__ import annotations

from dataclasses import dataclass

from rich.cells import cell_len
from textual.content import Content
from textual.widget import Widget

from widgets.outcome import look

NAME = " GO-NO-GO  "
LEVELS = (0, 1, 2, 3)
"""How briefly the tabs are told: the first that fits beside the status."""


@dataclass(frozen=True, slots=True)
class TabLabel:
    """One tab in the strip."""

    digit: str
    title: str
    count: str
    """What stands behind the title: a glyph and a number."""
    outcome: str
    """Colours `count`."""
    is_open: bool
    short: str = ""
    """What stands for the title where the line is narrow."""


@dataclass(frozen=True, slots=True)
class BannerText:
    """Everything that the banner says."""

    subject: str = ""
    """System, address, review, lead; cut where the line is short."""
    verdict: str = ""
    """The ceiling's word."""
    counts: str = ""
    """What stands against it, in a few words."""
    tabs: tuple[TabLabel, ...] = ()
    status: str = ""
    """What must be known on every tab: opening, read-only, running."""


class VerdictBanner(Widget):
    """Two lines: the subject with its verdict, and the tabs with what happens right now."""

    DEFAULT_CSS = """
    VerdictBanner { height: 2; background: $panel; color: $foreground; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._text = BannerText()

    @property
    def text(self) -> BannerText:
        """What the banner says."""
        return self._text

    def show(self, text: BannerText) -> None:
        """Say `text`; nothing is repainted when it says so already."""
        if text != self._text:
            self._text = text
            self.refresh()

    def render(self) -> Content:
        """Both lines, cut to the width so that the verdict and the status always stay whole."""
        width, text = self.size.width, self._text
        verdict = Content.assemble(
            (f" {look(text.verdict).glyph} {text.verdict}" if text.verdict else "", _bold(text.verdict)),
            f"  {text.counts}" if text.counts else "",
            " ",
        )
        fits = len(NAME) + cell_len(text.subject) + verdict.cell_length <= width
        subject = Content.assemble((NAME if fits else " ", "bold"), text.subject)
        first = _spread(subject, verdict, width)
        status = Content.styled(f" {text.status} ", "bold") if text.status else Content()
        strips = (Content.assemble(*(_tab(tab, level) for tab in text.tabs)) for level in LEVELS)
        room = width - status.cell_length
        strip = next((strip for strip in strips if strip.cell_length <= room), None)
        second = _spread(
            strip or Content.assemble(*(_tab(tab, LEVELS[-1]) for tab in text.tabs)), status, width
        )
        return first + "\n" + second


def _bold(outcome: str) -> str:
    return f"bold {look(outcome).style}"


def _tab(tab: TabLabel, level: int) -> Content:
    """The open tab stands in brackets: readable without colour, reverse video or bold.

    The others are told in full at level 0, with the glyph of their count alone at 1, by their short name at 2, and
    by their digit at 3.
    """
    left, right = ("[", "]") if tab.is_open else (" ", " ")
    weight = "bold" if tab.is_open else ""
    title, count = f" {tab.title}", tab.count
    if level and not tab.is_open:
        title = "" if level == LEVELS[-1] else f" {tab.short}" if level > 1 and tab.short else title
        count = tab.count.partition(" ")[0]
    return Content.assemble(
        (f"{left}{tab.digit}{title}", weight),
        (f" {count}" if count else "", look(tab.outcome).style),
        (right if level > 1 else f"{right} ", weight),
    )


def _spread(left: Content, right: Content, width: int) -> Content:
    """`left` at the left and `right` at the right edge; `left` is cut where both do not fit."""
    room = max(0, width - right.cell_length)
    left = left.truncate(room, ellipsis=True)
    return (left + " " * (room - left.cell_length) + right).truncate(width)
