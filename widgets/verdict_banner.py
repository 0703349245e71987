"""The verdict banner: what is reviewed and how it stands, and the tab strip, on every screen."""

from __future__ import annotations

from dataclasses import dataclass

from rich.cells import cell_len
from textual.content import Content
from textual.widget import Widget

from widgets.outcome import look

NAME = " GO-NO-GO  "


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
        second = _spread(Content.assemble(*(part for tab in text.tabs for part in _tab(tab))), status, width)
        return first + "\n" + second


def _bold(outcome: str) -> str:
    return f"bold {look(outcome).style}"


def _tab(tab: TabLabel) -> tuple[Content, ...]:
    """The open tab stands in brackets: readable without colour, reverse video or bold."""
    left, right = ("[", "]") if tab.is_open else (" ", " ")
    weight = "bold" if tab.is_open else ""
    return (
        Content.styled(f"{left}{tab.digit} {tab.title}", weight),
        Content.styled(f" {tab.count}" if tab.count else "", look(tab.outcome).style),
        Content.styled(f"{right} ", weight),
    )


def _spread(left: Content, right: Content, width: int) -> Content:
    """`left` at the left and `right` at the right edge; `left` is cut where both do not fit."""
    room = max(0, width - right.cell_length)
    left = left.truncate(room, ellipsis=True)
    return (left + " " * (room - left.cell_length) + right).truncate(width)
