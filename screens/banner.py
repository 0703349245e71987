"""What the verdict banner says of a picture."""

from __future__ import annotations

from collections.abc import Iterable

from checks.fold import Snapshot
from checks.model import Severity, State
from screens.picture import Picture
from screens.tab import TabScreen
from screens.wording import counted
from widgets.verdict_banner import BannerText, TabLabel


def banner_text(picture: Picture, tabs: Iterable[type[TabScreen]], open_mode: str, title: str) -> BannerText:
    """The banner over the tab `open_mode`; `title` stands for the target until the review is open."""
    snapshot = picture.snapshot
    labels = tuple(
        TabLabel(
            tab.TAB.digit, tab.TAB.title, *tab.count(picture), tab.TAB.mode == open_mode, short=tab.TAB.short
        )
        for tab in tabs
    )
    if snapshot is None:
        return BannerText(subject=title, tabs=labels, status=status(picture))
    return BannerText(
        subject=f"{snapshot.target} · {snapshot.url} · review {snapshot.review} by {snapshot.lead}",
        verdict=snapshot.judgement.ceiling.value,
        counts=against(snapshot),
        tabs=labels,
        status=status(picture),
    )


def against(snapshot: Snapshot) -> str:
    """How many blockers fail, and how many questions are open."""
    blockers = sum(
        entry.state is State.FAIL and entry.severity is Severity.BLOCKER for entry in snapshot.checks
    )
    majors = sum(entry.state is State.FAIL and entry.severity is Severity.MAJOR for entry in snapshot.checks)
    undecided = (State.NOT_RUN, State.STALE, State.INCONCLUSIVE)
    still_open = sum(entry.state in undecided for entry in snapshot.checks)
    told = [counted(blockers, "blocker") if blockers else "", counted(majors, "major") if majors else ""]
    told.append(f"{still_open} open" if still_open else "")
    return " · ".join(part for part in told if part)


def status(picture: Picture) -> str:
    """What must be known on every tab."""
    if picture.status:
        return f"{picture.status} …"
    progress = picture.progress
    if progress is not None:
        if progress.is_stopping:
            return "● stopping, cleaning up …"
        place = f"{len(progress.done)}/{len(progress.checks)}"
        if progress.waiting is not None:
            return f"● waiting at {progress.waiting.check.id}"
        return f"● running {progress.running or 'on'} {place}"
    snapshot = picture.snapshot
    if snapshot is not None and snapshot.read_only:
        return f"READ-ONLY, held by {snapshot.holder}" if snapshot.holder else "READ-ONLY"
    return ""
