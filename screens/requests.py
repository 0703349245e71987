"""What a screen asks for; the app hands it to the engine. A screen knows neither of them."""

from __future__ import annotations

from collections.abc import Sequence

from textual.message import Message

from checks.events import Go
from checks.model import Area, Ceiling
from checks.monitoring.actions import Action


class RunWanted(Message):
    """Run these checks with what they need, else all of an area, else everything."""

    def __init__(
        self, *, checks: Sequence[str] = (), area: Area | None = None, stepwise: bool = False
    ) -> None:
        super().__init__()
        self.checks = tuple(checks)
        self.area = area
        self.stepwise = stepwise


class GateAnswered(Message):
    """The lead's answer to a stepwise run that waits."""

    def __init__(self, go: Go) -> None:
        super().__init__()
        self.go = go


class EvidenceWanted(Message):
    """Read the evidence with these ids."""

    def __init__(self, ids: Sequence[str]) -> None:
        super().__init__()
        self.ids = tuple(ids)


class DecisionWanted(Message):
    """Record this decision."""

    def __init__(self, wanted: Ceiling, because: str) -> None:
        super().__init__()
        self.wanted = wanted
        self.because = because


class DraftChanged(Message):
    """The justification that is being written and not recorded yet; empty when there is none."""

    def __init__(self, draft: str) -> None:
        super().__init__()
        self.draft = draft


class ReportsWanted(Message):
    """Write the report files."""


class WatchWanted(Message):
    """Watch the thresholds from now on: the tab was opened."""


class ActionWanted(Message):
    """Do something to the watch: acknowledge, silence, change, test, drill."""

    def __init__(self, action: Action) -> None:
        super().__init__()
        self.action = action


class ExportsWanted(Message):
    """Write the rules for Prometheus, Alertmanager, Grafana and systemd."""
