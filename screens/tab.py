"""What every tab has in common: the banner, the notice line, the keys, and the picture that it follows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding
from textual.screen import Screen
from textual.widget import Widget

from checks.model import Area
from screens.picture import Picture
from screens.requests import RunWanted
from widgets.key_line import KeyLine
from widgets.line import Line
from widgets.verdict_banner import BannerText, VerdictBanner

TOO_SMALL = "gonogo needs 60x18; everything still runs"
RUN_TAB = Binding("R", "run_tab", "Run tab", id="run-tab", tooltip="Run every check of this tab")
"""For the tabs that have checks."""
WIDTHS = [(0, "-tiny"), (60, "-narrow"), (100, "-wide")]
HEIGHTS = [(0, "-flat"), (18, "-low"), (40, "-high")]


@dataclass(frozen=True, slots=True)
class TabName:
    """How a tab is called and reached."""

    mode: str
    digit: str
    title: str
    area: Area
    short: str = ""
    """The title where the line is narrow."""


class TabScreen(Screen[None]):
    """A tab. Subclasses declare `TAB`, `count`, `compose_body` and `show`."""

    TAB: ClassVar[TabName]
    PARTS: ClassVar[tuple[type[Widget], ...]] = ()
    """Widgets of the tab with keys of their own."""
    HORIZONTAL_BREAKPOINTS = WIDTHS
    VERTICAL_BREAKPOINTS = HEIGHTS

    def __init__(self) -> None:
        super().__init__()
        self.picture = Picture()
        self._banner = BannerText()
        self._mood: object = None

    @classmethod
    def count(cls, picture: Picture) -> tuple[str, str]:
        """What stands behind the tab's title, and the outcome that colours it."""
        raise NotImplementedError

    def compose_body(self) -> ComposeResult:
        """The widgets between banner and footer."""
        raise NotImplementedError

    def show(self) -> None:
        """Bring the widgets up to `self.picture`."""
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        """Banner, body, notices, keys; and the line that replaces them on a small terminal."""
        yield Line(id="too-small")
        yield VerdictBanner()
        yield from self.compose_body()
        yield Line(id="notice")
        yield KeyLine(id="key-line")

    def on_mount(self) -> None:
        """Show what is known already."""
        self.query_one("#too-small", Line).say(TOO_SMALL)
        self._show_all()

    def follow(self, picture: Picture, banner: BannerText) -> None:
        """Show this picture from now on."""
        self.picture, self._banner = picture, banner
        if self.is_mounted:
            self._show_all()

    def _show_all(self) -> None:
        self.query_one(VerdictBanner).show(self._banner)
        self.query_one("#notice", Line).say(notice(self.picture))
        self.show()
        mood = (self.picture.is_running, self.picture.waiting)
        if mood != self._mood:
            self._mood = mood
            self.refresh_bindings()

    def action_run_tab(self) -> None:
        """Run every check of this tab."""
        self.post_message(RunWanted(area=self.TAB.area))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Only what would do something is offered."""
        if action == "run_tab":
            return not self.picture.is_running
        return super().check_action(action, parameters)


def notice(picture: Picture) -> str:
    """The newest thing that the lead was told, and how many there are; else what was cut short."""
    if picture.notices:
        newest = picture.notices[-1]
        more = len(picture.notices) - 1
        mark = "! " if newest.is_warning else ""
        return f" {mark}{newest.text}" + (f" (and {more} more, in Sign-off)" if more else "")
    if picture.snapshot and picture.snapshot.interrupted and not picture.is_running:
        return f" ! {picture.snapshot.interrupted[-1]}"
    return ""
