"""The monitoring tab: states at every size, the chosen threshold, what is said and drawn, what stays still."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from textual.app import App

from checks.events import BoardTold
from checks.model import Area, failed
from checks.monitoring.model import AlertKind, AlertState, Reading
from checks.text import clean
from screens.monitoring import Monitoring
from screens.picture import Picture, followed
from screens.requests import RunWanted, WatchWanted
from screens.tab import TOO_SMALL
from tests.console.fakes import text_of, until
from tests.screens.boards import (
    CRITICAL,
    LADDER,
    MonitoringReview,
    alert,
    back,
    message,
    monitored,
    quiet,
    row,
    rung,
    threshold,
    told,
    troubled,
    with_row,
)
from widgets.chart import Chart
from widgets.column_list import Column, ColumnList, placed, widths
from widgets.evidence_pane import EvidencePane
from widgets.line import Block

SIZES = [(160, 45), (120, 36), (80, 24)]
HOSTILE = "\x1b]0;pwned\x07\x1b[2J[@click=app.quit]x[/] [/y] \u202e"


def line(app: App[None], name: str) -> str:
    """The row of the screen that tells of a threshold, without its frame."""
    found = [row for row in text_of(app).splitlines() if name in row]
    return " ".join(found[0].replace("│", " ").split()) if found else ""


@pytest.mark.parametrize("size", SIZES)
async def test_every_state_is_told_in_words_at_every_size(size: tuple[int, int]) -> None:
    async with monitored(troubled(), size) as (app, _, asked):
        assert line(app, "Error rate ").startswith("▸ ✘ FIRING 4:12 Error rate 2.4 % > 1 %")
        for name, state in (
            ("Response time", "✔ resolved 2:10 Response time 0.412 s > 1 s"),
            ("Controller answers", "✔ OK Controller answers up if down"),
            ("Database pool", "… PENDING 0:20/1:00 Database pool 83.5 % > 80 %"),
            ("Slow queries", "? NO DATA 1:40 Slow queries - > 5 /min"),
            ("Host CPU", "· off Host CPU"),
            ("Certificate", "- n/a Certificate < 14 days"),
            ("Errors in the log", "✘ FIRING 1:01:40 Errors in the log 14 /min > 10 /min"),
        ):
            assert line(app, f" {name}").startswith(state)
        shown = text_of(app)
        for mark in ("→ lead in 3:10", "consequence o", "silenced 30 m", "ack ada@host", "edited"):
            assert mark in shown
        assert "[4 Monitoring ✘ 4 firing]" in shown
        assert "4 firing, 1 pending, 1 no data, 10 ok · look 238, every 5 s" in shown
        assert len(shown.splitlines()) == size[1]
        assert asked.count(WatchWanted) == 1


async def test_on_a_wide_terminal_there_are_sparklines_and_the_duration() -> None:
    async with monitored(troubled()) as (app, _, _):
        assert any(block in line(app, "Host memory") for block in "▂▃▄▅")
        assert line(app, "Host memory").endswith("for 2:00") or "for 2:00" in line(app, "Host memory")
        assert "at once" in line(app, " Restarts")


async def test_on_sixty_by_eighteen_the_states_are_readable_and_smaller_says_so() -> None:
    async with monitored(troubled(), (60, 18)) as (app, pilot, _):
        assert "✘ FIRING 4:12       Error rate            2.4 % > 1 %" in text_of(app)
        assert "[4 Monitoring ✘ 4 firing]" in text_of(app)
        await pilot.resize_terminal(50, 15)
        await until(pilot, lambda: TOO_SMALL in text_of(app))


async def test_ascii_has_words_and_levels_of_its_own() -> None:
    async with monitored(troubled(), encoding="ascii") as (app, _, _):
        shown = text_of(app)
        assert shown.isascii() or {char for char in shown if not char.isascii()} <= set("─│┌┐└┘")
        assert "x FIRING 4:12" in shown
        assert "~ PENDING 0:20/1:00" in shown
        assert "> lead in 3:10" in shown
        assert any(level in line(app, "Host memory") for level in (":::", "===", "---", "=-"))
        assert app.screen.query_one(Chart).is_ascii


async def test_without_colour_the_states_read_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with monitored(troubled(), (80, 24)) as (app, _, _):
        assert "▸ ✘ FIRING 4:12" in text_of(app)
        assert "… PENDING 0:20/1:00" in text_of(app)


async def test_the_chosen_one_is_told_with_its_history_ladder_and_messages() -> None:
    async with monitored(troubled()) as (app, pilot, _):
        shown = app.screen.query_one(EvidencePane).shown
        for part in (
            "✘ FIRING 4:12  critical · limit > 1 % over 5:00, for 1:00",
            "More than one request in a hundred fails.",
            "not acknowledged: → lead in 3:10",
            "2.4 % of 1204 events",
            "from /metrics of the target",
            "1 on-call (Ada) at once by slack, last ✔ firing sent 11:56:40Z: 200 OK",
            "2 lead (Ada) after 10:00 by slack",
            "11:56:40Z to on-call: FIRING critical: Error rate 2.4 % (limit 1 %)",
            "limit from  Mission task 5: error rate above 1 %",
            "runbook  error-rate",
        ):
            assert part in shown
        assert shown.index("MESSAGES") < shown.index("OTHER MESSAGES") < shown.index("TEST from gonogo")
        chart = app.screen.query_one(Chart)
        await until(pilot, lambda: chart.draws > 0)
        assert chart.shown.startswith(" Error rate from 11:40:05Z  now 2.4 %  limit > 1 %")
        app.screen.query_one(ColumnList).choose("slow-queries")
        await until(
            pilot,
            lambda: "no value: /metrics answered 503; look at" in app.screen.query_one(EvidencePane).shown,
        )


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("websocket-up", "consequence of Controller answers: nobody is told"),
        ("log-errors", "silenced until 12:30Z, 30 min left, by mhk@host: a known import"),
        ("burn-fast", "acknowledged by ada@host at 11:55:00Z: looking at it"),
        ("response-time", "changed by  mhk@host, 2025-03-01 11:00Z"),
        ("certificate", "nothing to watch: the target speaks plain http"),
        ("host-cpu", "not watched: is_on = false in the profile"),
    ],
)
async def test_why_nobody_is_told_and_what_is_not_watched(name: str, said: str) -> None:
    async with monitored(troubled()) as (app, pilot, _):
        app.screen.query_one(ColumnList).choose(name)
        await until(pilot, lambda: said in app.screen.query_one(EvidencePane).shown)


@pytest.mark.parametrize("key", ["tab", "enter", "e"])
async def test_on_a_small_terminal_the_details_open_over_the_list(key: str) -> None:
    async with monitored(troubled(), (80, 24)) as (app, pilot, _):
        pane, steps = app.screen.query_one(EvidencePane), app.screen.query_one(ColumnList)
        assert (pane.display, app.screen.query_one(Chart).display) == (False, False)
        await pilot.press(key)
        await until(pilot, lambda: app.screen.query_one(Chart).draws > 0)
        assert (pane.display, steps.display, app.focused) == (True, False, pane)
        assert "LADDER of critical" in text_of(app)
        await pilot.press("escape" if key != "tab" else "tab")
        assert (pane.display, steps.display, app.focused) == (False, True, steps)


async def test_the_order_stays_and_f_shows_what_is_not_ok() -> None:
    async with monitored(troubled()) as (app, pilot, _):
        steps = app.screen.query_one(ColumnList)
        assert [one.key for one in steps.rows] == [one.threshold.name for one in quiet().rows]
        await pilot.press("f")
        expected = [
            "error-rate",
            "response-time",
            "websocket-up",
            "pool-use",
            "slow-queries",
            "log-errors",
            "burn-fast",
        ]
        assert [one.key for one in steps.rows] == expected
        assert "Thresholds: 7 of 20, not OK" in text_of(app)
        assert "only what is not OK, f shows all" in text_of(app)
        await pilot.press("f")
        assert len(steps.rows) == 20


async def test_a_board_without_a_ladder_says_what_to_add() -> None:
    async with monitored(replace(troubled(), ladder=(), messages=()), (120, 36)) as (app, pilot, asked):
        assert "? Nobody is told: add [contacts.NAME] and [escalation] to the profile" in text_of(app)
        assert 'nobody: add [escalation] critical = ["NAME"] to the profile' in " ".join(
            app.screen.query_one(EvidencePane).shown.split()
        )
        for key in ("t", "d"):
            await pilot.press(key)
        await until(
            pilot, lambda: "Nobody is told of critical alerts: add critical" in " ".join(text_of(app).split())
        )
        assert not asked.actions


async def test_a_contact_without_an_address_is_named_with_its_variable() -> None:
    board = replace(quiet(), ladder=(*LADDER[:1], rung(CRITICAL, "lead", 600, "")))
    async with monitored(board) as (app, _, _):
        shown = text_of(app)
        assert "? lead cannot be reached: set GONOGO_NOTIFY_LEAD to the channel's Apprise URL" in shown
        assert "? Nobody is told of warning alerts: add warning to [escalation] of the profile" in shown
        assert "no address: GONOGO_NOTIFY_LEAD is not set" in " ".join(
            app.screen.query_one(EvidencePane).shown.split()
        )


async def test_somebody_elses_watch_is_followed_and_its_standstill_is_told_first() -> None:
    board = replace(quiet(), is_own=False, watcher=clean("ops@db1, process 9"))
    async with monitored(board) as (app, pilot, _):
        assert "followed: ops@db1, process 9 watches since 11:40:10Z" in text_of(app)
        assert "4 Monitoring · 0/3" in text_of(app)
        problem = clean("Nobody looks: the last look was 40 s ago")
        await told(app, pilot, replace(board, problem=problem))
        await until(pilot, lambda: " ✘ Nobody looks: the last look was 40 s ago · 18 ok" in text_of(app))
        assert "[4 Monitoring ? stands still]" in text_of(app)


async def test_before_the_first_look_nothing_breaks() -> None:
    async with monitored(None, (80, 24)) as (app, pilot, asked):
        assert "The watch begins: the first look is under way" in text_of(app)
        for key in ("enter", "a", "m", "t", "d", "c", "f", "f", "tab", "escape"):
            await pilot.press(key)
        await until(pilot, lambda: "There is no threshold here yet" in text_of(app))
        assert not asked.actions
        await told(app, pilot, quiet())
        await until(pilot, lambda: "✔ OK                Error rate" in text_of(app))


async def test_nothing_is_painted_where_nothing_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    async with monitored(troubled()) as (app, pilot, _):
        await until(pilot, lambda: app.screen.query_one(Chart).draws > 0)
        painted: list[object] = []
        watched = [*app.screen.query("*")]
        for widget in watched:
            before = widget.refresh

            def refresh(
                *regions: object, _before: object = before, _widget: object = widget, **more: object
            ) -> object:
                painted.append(_widget)
                return _before(*regions, **more)  # type: ignore[operator]

            monkeypatch.setattr(widget, "refresh", refresh)
        draws = app.screen.query_one(Chart).draws
        later = replace(
            troubled(), at=troubled().at + timedelta(seconds=0.3)
        )  # nothing that is told in seconds
        await told(app, pilot, later)
        await pilot.pause(0.6)  # a chart is drawn at most every half second
        assert painted == []
        assert app.screen.query_one(Chart).draws == draws
        await told(app, pilot, with_row(later, "disk-use", reading=Reading(49.0)))
        assert painted == [app.screen.query_one(ColumnList)]


async def test_a_hidden_tab_is_not_drawn_but_counts_and_shows_the_newest_when_it_is_opened() -> None:
    async with monitored(quiet()) as (app, pilot, _):
        tab = app.screen
        assert isinstance(tab, Monitoring)
        await until(pilot, lambda: tab.query_one(Chart).draws > 0)
        await pilot.press("1")
        draws, said = tab.query_one(Chart).draws, tab.query_one("#watch", Block).said
        await told(app, pilot, troubled())
        await until(pilot, lambda: "4 Monitoring ✘ 4 firing" in text_of(app))
        await pilot.pause(0.6)
        assert (tab.query_one(Chart).draws, tab.query_one("#watch", Block).said) == (draws, said)
        await pilot.press("4")
        await until(pilot, lambda: "✘ FIRING 4:12" in text_of(app))


async def test_p_holds_the_picture_still_but_not_the_watch() -> None:
    async with monitored(quiet()) as (app, pilot, _):
        await pilot.press("p")
        await told(app, pilot, troubled())
        assert "picture paused, p goes on" in text_of(app)
        assert "FIRING" not in text_of(app)
        await pilot.press("p")
        await until(pilot, lambda: "✘ FIRING 4:12" in text_of(app))


async def test_b_draws_the_history_as_a_row_of_blocks() -> None:
    async with monitored(troubled()) as (app, pilot, _):
        chart = app.screen.query_one(Chart)
        await until(pilot, lambda: any("⠀" < char <= "⣿" for char in chart.shown))
        await pilot.press("b")
        await until(pilot, lambda: "low bandwidth" in text_of(app) and "▇" in chart.shown)
        assert not any("⠀" < char <= "⣿" for char in chart.shown)


async def test_v_shows_the_checks_and_r_runs_the_tab() -> None:
    review = MonitoringReview(outcomes={"MON-01": [failed("It raises none", expected="an alert")]})
    async with monitored(troubled(), review=review) as (app, pilot, asked):
        app.screen.query_one(ColumnList).choose("pool-use")
        await pilot.press("R")
        await until(pilot, lambda: review.runs == [tuple(check.id for check in review.checks)])
        await until(pilot, lambda: not app.picture.is_running)
        runs = [one for one in asked.posted if isinstance(one, RunWanted)]
        assert [one.area for one in runs] == [Area.MONITORING]
        await pilot.press("v")
        await until(pilot, lambda: "[-] What is watched" in text_of(app))
        assert "✘ fail         MON-01  Error rate above 1 % raises an alert" in text_of(app)
        assert not app.screen.query_one(Chart).display
        await pilot.press("down", "a", "m", "r")
        await until(pilot, lambda: review.runs[-1] == ("MON-01",))
        assert not asked.actions
        await until(pilot, lambda: "It raises none" in app.screen.query_one(EvidencePane).shown)
        assert "enter Open" in text_of(app)
        assert "a Ack" not in text_of(app)
        await pilot.press("v")
        await until(pilot, lambda: app.screen.query_one(ColumnList).chosen == "pool-use")
        assert "enter Change  a Ack" in text_of(app)


@pytest.mark.parametrize("size", [(160, 45), (80, 24)])
async def test_hostile_text_reaches_the_screen_harmless(size: tuple[int, int]) -> None:
    dirty = clean(HOSTILE)
    bad = row(
        "error-rate",
        threshold=threshold("error-rate", title=HOSTILE, why=HOSTILE, origin=HOSTILE, runbook=HOSTILE),
        reading=Reading(None, source=dirty, problem=dirty),
        limit=alert("error-rate", AlertState.FIRING, 60),
        edited_by=dirty,
        history=(),
    )
    board = replace(
        quiet(),
        rows=(bad, *quiet().rows[1:]),
        ladder=(replace(LADDER[0], person=HOSTILE, last=message(answer=dirty)), *LADDER[1:]),
        messages=(message(title=dirty, answer=dirty),),
        watcher=dirty,
        problem=dirty,
    )
    async with monitored(board, size) as (app, pilot, _):
        await pilot.press("e")
        await until(
            pilot, lambda: app.screen.query_one(EvidencePane).shown.count("[@click=app.quit]x[/] [/y]") >= 8
        )
        await until(pilot, lambda: "[@click=app.quit]x[/]" in app.screen.query_one(Chart).shown)
        await pilot.press("escape", "a")
        shown = text_of(app) + app.screen_stack[0].query_one(EvidencePane).shown
        assert not any(char in shown for char in ("\x1b", "\x07", "\u202e"))


def test_a_board_is_taken_into_the_picture_whether_or_not_a_run_is_under_way() -> None:
    board = troubled()
    assert followed(Picture(), BoardTold(board), 1.0).board is board


def test_pending_data_is_no_alert_and_a_title_counts_what_is_pressing() -> None:
    waiting = with_row(quiet(), "pool-use", limit=alert("pool-use", AlertState.PENDING, 5))
    assert Monitoring.count(Picture(board=waiting)) == ("… 1 pending", "INCONCLUSIVE")
    gone = alert("pool-use", AlertState.FIRING, 200, kind=AlertKind.NO_DATA)
    blind = with_row(waiting, "pool-use", no_data=gone, reading=Reading(None))
    assert Monitoring.count(Picture(board=blind)) == ("✘ 1 firing", "FAIL")
    assert Monitoring.count(Picture()) == ("", "")


async def test_missing_data_is_told_as_bad_only_once_its_alert_fires() -> None:
    gone = alert("disk-use", AlertState.FIRING, 200, kind=AlertKind.NO_DATA, active_at=back(320))
    board = with_row(quiet(), "disk-use", no_data=gone, reading=Reading(None, problem=clean("not readable")))
    async with monitored(board) as (app, _, _):
        steps = app.screen.query_one(ColumnList)
        assert "? NO DATA 5:20      Disk" in text_of(app)
        tones = {one.key: getattr(one, "tone", "") for one in steps.rows}
        assert (tones["disk-use"], tones["error-rate"]) == ("bad", "good")


async def test_times_go_on_with_the_looks_alone() -> None:
    board = troubled()
    async with monitored(board) as (app, pilot, _):
        await told(app, pilot, replace(board, at=board.at + timedelta(seconds=5), looks=239))
        await until(pilot, lambda: "✘ FIRING 4:17" in text_of(app) and "… PENDING 0:25/1:00" in text_of(app))


def test_columns_go_by_rank_and_grow_where_there_is_room() -> None:
    columns = (Column(10), Column(8, most=12), Column(6, rank=1), Column(5, most=99, rank=2))
    assert widths(columns, 40) == (10, 12, 6, 12)
    assert widths(columns, 29) == (10, 8, 6, 5)
    assert widths(columns, 28) == (10, 12, 6, 0)
    assert widths(columns, 20) == (10, 10, 0, 0)
    assert widths(columns, 5) == (10, 8, 0, 0)
    assert placed("2.4 %", 8, is_right=True) == "  2.4 % "
    assert placed("a long title", 8, is_right=False) == "a long… "
    assert placed("gone", 0, is_right=False) == ""
