"""The banner keeps what matters whole, at any width."""

from __future__ import annotations

import pytest
from textual.app import App, ComposeResult

from widgets.verdict_banner import BannerText, TabLabel, VerdictBanner

TEXT = BannerText(
    subject="Port 8000 chatbot controller 1.4.2 · http://127.0.0.1:8000 · review 7f3a by mhk",
    verdict="NO-GO",
    counts="3 blockers · 2 open",
    tabs=(
        TabLabel("1", "Walkthrough", "✘ 3", "FAIL", True),
        TabLabel("5", "Sign-off", "· undecided", "NOT RUN", False),
    ),
    status="READ-ONLY, held by lead@host",
)


class Host(App[None]):
    def compose(self) -> ComposeResult:
        yield VerdictBanner()


@pytest.mark.parametrize("width", [60, 80, 120, 200])
async def test_verdict_counts_and_status_are_whole_at_any_width(width: int) -> None:
    async with Host().run_test(size=(width, 10)) as pilot:
        banner = pilot.app.query_one(VerdictBanner)
        banner.show(TEXT)
        first, second = banner.render().plain.split("\n")
        assert first.rstrip().endswith("✘ NO-GO  3 blockers · 2 open")
        assert first.strip().startswith(("GO-NO-GO", "Port 8000"))
        assert second.startswith("[1 Walkthrough ✘ 3]")
        assert second.rstrip().endswith("READ-ONLY, held by lead@host")
        assert banner.render().split("\n")[0].cell_length == width


async def test_text_in_brackets_is_no_markup() -> None:
    async with Host().run_test(size=(200, 10)) as pilot:
        banner = pilot.app.query_one(VerdictBanner)
        banner.show(BannerText(subject="[red]x[/red] [/nothing]"))
        await pilot.pause()
        assert "[red]x[/red] [/nothing]" in banner.render().plain


FIVE = (
    TabLabel("1", "Walkthrough", "✔ 14/14", "PASS", False, "Walk"),
    TabLabel("2", "Audit", "✘ 3", "FAIL", True),
    TabLabel("3", "Load", "● 62%", "RUNNING", False),
    TabLabel("4", "Monitoring", "✘ 1 firing", "FAIL", False, "Monit"),
    TabLabel("5", "Sign-off", "· undecided", "NOT RUN", False, "Sign"),
)


@pytest.mark.parametrize(
    ("width", "shown"),
    [
        (
            132,
            " 1 Walkthrough ✔ 14/14  [2 Audit ✘ 3]  3 Load ● 62%   4 Monitoring ✘ 1 firing   5 Sign-off · undecided",
        ),
        (104, " 1 Walkthrough ✔  [2 Audit ✘ 3]  3 Load ●   4 Monitoring ✘   5 Sign-off ·"),
        (80, " 1 Walk ✔ [2 Audit ✘ 3] 3 Load ●  4 Monit ✘  5 Sign ·"),
        (60, " 1 ✔ [2 Audit ✘ 3] 3 ●  4 ✘  5 ·"),
    ],
)
async def test_five_tabs_and_what_runs_fit_beside_each_other(width: int, shown: str) -> None:
    async with Host().run_test(size=(width, 10)) as pilot:
        banner = pilot.app.query_one(VerdictBanner)
        banner.show(BannerText(tabs=FIVE, status="● running RATE-01 45/105"))
        second = banner.render().plain.split("\n")[1]
        assert second.startswith(shown)
        assert second.endswith(" ● running RATE-01 45/105 ")
        assert "…" not in second
