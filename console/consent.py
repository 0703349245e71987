"""What a run needs the lead's leave for: checks of the audit that send more than a user would, or disturb."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from textual.app import App

from checks.model import Area, Safety
from checks.registry import Check, with_needs
from screens.dialogs.asked import Asked
from screens.dialogs.leave import Leave, LeaveAsked
from screens.requests import RunWanted
from screens.wording import counted


def meant(wanted: RunWanted, known: Iterable[Check]) -> tuple[Check, ...]:
    """The checks that a wish for a run means."""
    known = tuple(known)
    if wanted.checks:
        return with_needs(wanted.checks, known)
    found = (check for check in known if wanted.area is None or check.area is wanted.area)
    return tuple(check for check in found if not check.is_by_name)


def what_to_ask(checks: Iterable[Check], given: Iterable[Safety]) -> Safety | None:
    """The leave that is missing for these checks: DISRUPTIVE before ACTIVE, None where nothing has to be asked.

    The walkthrough does what a user does, to bots of its own, and needs none.
    """
    found = {check.safety for check in checks if check.area is not Area.WALKTHROUGH}
    if Safety.DISRUPTIVE in found:
        return Safety.DISRUPTIVE
    return Safety.ACTIVE if Safety.ACTIVE in found and Safety.ACTIVE not in set(given) else None


@dataclass(slots=True)
class Consent:
    """The leave that the lead gave in this session: for active checks once, for disruptive ones each time."""

    given: set[Safety] = field(default_factory=set)

    def ask(self, app: App[None], checks: tuple[Check, ...], url: str, begin: Callable[[bool], None]) -> None:
        """Ask what is missing, then call `begin`: True where what disturbs is to be left out."""
        missing = what_to_ask(checks, self.given)
        if isinstance(app.screen, Asked | LeaveAsked):
            return  # the key was pressed twice: one question is enough
        if missing is Safety.DISRUPTIVE:
            app.push_screen(
                LeaveAsked(*disruptive_text(checks, url)), lambda leave: self._disruptive(leave, begin)
            )
        elif missing is Safety.ACTIVE:
            title, text = active_text(checks, url)
            app.push_screen(
                Asked(title, text, yes="runs them", no="runs nothing"),
                lambda is_meant: self._active(is_meant, begin),
            )
        else:
            begin(False)

    def _active(self, is_meant: bool | None, begin: Callable[[bool], None]) -> None:
        if is_meant:
            self.given.add(Safety.ACTIVE)
            begin(False)

    def _disruptive(self, leave: Leave | None, begin: Callable[[bool], None]) -> None:
        if leave is not None:
            self.given.add(Safety.ACTIVE)
            begin(leave is Leave.WITHOUT)


def active_text(checks: Iterable[Check], url: str) -> tuple[str, str]:
    """Title and text of the question for active checks."""
    count = sum(check.safety is Safety.ACTIVE for check in checks)
    return f"Run {counted(count, 'active check')} against {url}?", SENDS


SENDS = (
    "They send marked messages, forged tokens and broken requests, go over the declared rate limits from addresses of "
    "their own, and launch marked bots that are stopped again. What each one sends stands beside it. x stops at once. "
    "Asked once in this session."
)


def disruptive_text(checks: Iterable[Check], url: str) -> tuple[str, str, str, bool]:
    """Title, text, the name that has to be typed for disruptive checks, and whether anything is left without them."""
    checks = tuple(checks)
    found = [
        check for check in checks if check.safety is Safety.DISRUPTIVE and check.area is not Area.WALKTHROUGH
    ]
    lines = [f"{check.id} {check.title}: {check.sends}" for check in found]
    if any(check.area is Area.LOAD for check in found):
        lines += ["", LOADS]
    beside = [check.id for check in checks if check.safety is Safety.DISRUPTIVE and check not in found]
    told = f" Enter alone leaves out {', '.join(beside)} too." if beside else ""
    if active := sum(check.safety is Safety.ACTIVE for check in checks):
        lines += ["", f"And {counted(active, 'active check')}: {SENDS[0].lower()}{SENDS[1:]}{told}"]
    return (
        f"{counted(len(found), 'check')} would disturb {url}",
        "\n".join(lines),
        urlsplit(url).hostname or url,
        len(found) < len(checks),
    )


LOADS = (
    "Load is real traffic: whoever uses the target meanwhile is served more slowly, and its messages stay in the "
    "database, marked. Values of the profile's [scenarios] go before those above. x stops it at once; it stops by "
    "itself when the target's health fails, when the host's memory runs short, or when gonogo ends."
)
