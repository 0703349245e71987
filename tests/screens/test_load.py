"""The load tab: live charts and figures, the last runs as text, what stays bounded, what is not drawn, and the keys."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import pytest
from textual.pilot import Pilot
from textual.widgets import Input

from checks.events import Event, LoadSecond, LoadStarted, RunFinished
from checks.fold import CheckState
from checks.load.measured import MOST_CPU_PERCENT, MOST_LAG_S
from checks.load.model import (
    Accounting,
    Difference,
    Failure,
    FailureCount,
    GeneratorHealth,
    LoadRun,
    Part,
    Sample,
    Scenario,
    Second,
)
from checks.model import Area, Safety, Verdict, failed
from checks.registry import Check
from checks.text import clean
from console.app import GonogoApp
from console.consent import disruptive_text, meant
from console.messages import Announced
from screens.dialogs.leave import LeaveAsked
from screens.load import Load
from screens.load_charts import CHARTS, charts, window_s
from screens.load_live import CORE_LIMIT_PERCENT, LAG_LIMIT_S, figures, scenario_line, scenario_text
from screens.load_text import brief_result, run_of, told_of
from screens.load_view import MOST_POINTS, NO_LOAD, LoadView, Point, Sums, load_followed, merged
from screens.picture import Picture, Progress, followed
from screens.requests import RunWanted
from tests.console.fakes import console, text_of, until
from tests.screens.loads import (
    CAPACITY,
    LOAD,
    RATE,
    SOAK,
    USERS_100,
    LoadReview,
    announced,
    capacity_run,
    criterion,
    finished,
    load_run,
    second,
)
from widgets.chart import Chart
from widgets.evidence_pane import EvidencePane
from widgets.line import Block
from widgets.result_list import ResultList

SIZES = [(160, 45), (120, 36), (80, 24)]
HOSTILE = "\x1b]0;pwned\x07\x1b[2J[@click=app.quit]x[/] [/y] \u202e"


def viewed(scenario: Scenario, seconds: int) -> LoadView:
    """The view after so many seconds."""
    view = NO_LOAD
    for event in announced(scenario, seconds):
        view = load_followed(view, event, 0.0, "LOAD-02")
    return view


async def tell(app: GonogoApp, pilot: Pilot[None], events: Iterable[Event]) -> None:
    """Announce these events."""
    for event in events:
        app.post_message(Announced(event))
    await pilot.pause()


async def begin(app: GonogoApp, pilot: Pilot[None], seconds: int, scenario: Scenario = USERS_100) -> None:
    """Open the tab and be in the middle of LOAD-02, which the review holds."""
    await pilot.press("3")
    app._engine.run(checks=("LOAD-01", "LOAD-02"))
    await until(pilot, lambda: app.picture.progress is not None and app.picture.progress.running == "LOAD-02")
    await tell(app, pilot, announced(scenario, seconds))
    await until(pilot, lambda: app.picture.load.done_s == seconds)
    await until(pilot, lambda: bool(drawn(app)) or not seconds)


def drawn(app: GonogoApp) -> list[Chart]:
    """The charts that were drawn."""
    return [chart for chart in app.screen.query(Chart) if chart.draws]


def held() -> LoadReview:
    """A review whose LOAD-02 goes on until it is let go."""
    return LoadReview(hold={"LOAD-02"}, loads=(capacity_run(),))


@pytest.mark.parametrize("size", SIZES)
async def test_a_run_is_seen_live_at_every_size(size: tuple[int, int]) -> None:
    async with console(held(), size) as (app, pilot):
        await begin(app, pilot, 40)
        await until(pilot, lambda: "p99" in text_of(app) or size[0] < 100)
        shown = text_of(app)
        assert "100 concurrent users ▸ 100 users, clo" in shown
        assert "run 2 of 2 · hold · 0:33 left" in shown
        assert "[3 Load ● 54%]" in shown
        assert "running      LOAD-02" in shown
        assert "throughput msg/s  ok 44  bad 0" in shown
        for figure in ("1 493", "1 491", "1 170", "0.13 %  limit 1 %  ✔ so far", "healthy"):
            assert figure in shown
        seen = [chart.id for chart in app.screen.query(Chart) if chart.display]
        count = 5 if size[0] >= 140 else 4 if size[0] >= 100 else 1
        assert seen == list(CHARTS[:count])
        assert "ms  p50 53  p95 276  p99 624" in shown or count == 1
        assert len(shown.splitlines()) == size[1]


@pytest.mark.parametrize(
    ("size", "after"),
    [((80, 24), ["latency"]), ((100, 30), ["throughput", "latency", "memory", "connections"])],
)
async def test_c_goes_through_the_charts_that_have_no_room(size: tuple[int, int], after: list[str]) -> None:
    async with console(held(), size) as (app, pilot):
        await begin(app, pilot, 30)
        await pilot.press("c")
        assert [chart.id for chart in app.screen.query(Chart) if chart.display] == after
        for _ in range(4):
            await pilot.press("c")
        await until(pilot, lambda: "throughput msg/s" in text_of(app))


async def test_without_colour_every_line_is_told_by_its_label(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with console(held(), (160, 45)) as (app, pilot):
        await begin(app, pilot, 60)
        chart = app.screen.query_one("#latency", Chart)
        await until(pilot, lambda: chart.draws > 0)
        ends = [row.split()[-1] for row in chart.shown.split("\n")[1:-1] if row.split()]
        assert [end for end in ends if end in ("p50", "p95", "p99")] == ["p99", "p95", "p50"]


async def test_a_hidden_tab_is_not_drawn_and_draws_when_it_is_opened_again() -> None:
    async with console(held(), (160, 45)) as (app, pilot):
        await begin(app, pilot, 10)
        load = app.screen
        assert isinstance(load, Load)
        await until(pilot, lambda: len(drawn(app)) == 5)
        await pilot.press("1")
        await pilot.pause(0.6)  # what was due before the tab was left
        before = [chart.draws for chart in load.query(Chart)]
        figures_before = load.query_one("#figures", Block).said
        await tell(app, pilot, (LoadSecond("run/users-100", second(at_s)) for at_s in range(10, 40)))
        await until(pilot, lambda: "3 Load ● 54%" in text_of(app))
        await pilot.pause(0.6)
        assert [chart.draws for chart in load.query(Chart)] == before
        assert load.query_one("#figures", Block).said == figures_before
        await pilot.press("3")
        await until(
            pilot,
            lambda: all(chart.draws > count for chart, count in zip(load.query(Chart), before, strict=True)),
        )
        assert "1 491" in text_of(app)


def test_ten_thousand_seconds_stay_bounded_and_hold_the_whole_run() -> None:
    view = viewed(SOAK, 10_000)
    assert len(view.points) <= MOST_POINTS
    assert sum(point.seconds for point in view.points) == 10_000
    assert view.points[0].second.at_s == 0
    assert view.points[-1].at_s == 10_000
    assert sum(point.second.sent for point in view.points) == view.sums.sent
    assert max(point.second.max_s or 0.0 for point in view.points) == view.sums.max_s
    assert all(len(line.points) <= MOST_POINTS for data in charts(view).values() for line in data.series)
    assert view.done_percent == 99


def test_two_seconds_become_one_with_counts_added_and_the_worst_kept() -> None:
    calm = replace(second(4), p95_s=None, sample=Sample())
    worse = replace(second(5), p95_s=2.5, in_flight=70, sample=Sample(cpu_percent=88.0, memory_bytes=5))
    both = merged(Point(calm), Point(worse))
    assert (both.seconds, both.second.at_s, both.at_s) == (2, 4, 6)
    assert both.second.sent == calm.sent + worse.sent
    assert (both.second.p95_s, both.second.in_flight) == (2.5, 70)
    assert (both.second.sample.cpu_percent, both.second.sample.memory_bytes) == (88.0, 5)


def test_a_run_is_followed_and_ends_whatever_ended_it() -> None:
    progress = Progress("r", ("LOAD-02",), running="LOAD-02")
    picture = Picture(progress=progress)
    for event in announced(USERS_100, 20):
        picture = followed(picture, event, 1.0)
    assert picture.load.is_running
    assert (picture.load.check, picture.load.done_s, picture.load.left_s) == ("LOAD-02", 20, 53.0)
    assert followed(picture, LoadSecond("run/another", second(30)), 1.0).load == picture.load
    stopped = followed(picture, RunFinished("r", "stopped by the lead"), 1.0)
    assert not stopped.load.is_running
    assert stopped.loads["LOAD-02"].sums == picture.load.sums
    judged = followed(picture, finished(load_run()), 1.0)
    assert (judged.load.is_running, judged.load.result) == (False, load_run())
    again = followed(judged, LoadStarted("run2/users-100", USERS_100, 73.0), 1.0)
    assert (again.load.points, again.load.sums, again.load.result) == ((), Sums(), None)
    assert again.loads["LOAD-02"] is again.load


async def test_after_the_end_the_charts_stay_and_the_pane_holds_criteria_and_accounting() -> None:
    review = held()
    async with console(review, (160, 45)) as (app, pilot):
        await begin(app, pilot, 60)
        run = load_run()
        review.loads = (*review.loads, run)
        await tell(app, pilot, [finished(run)])
        review.let_go()
        await until(pilot, lambda: not app.picture.is_running)
        app.screen.query_one(ResultList).choose("LOAD-02")
        await until(pilot, lambda: "p95 limit 1 000" in text_of(app))
        await until(pilot, lambda: "whole hold 41 212 480 1 204" in " ".join(text_of(app).split()))
        assert "[3 Load · 2/4]" in text_of(app), "the soak is not counted until it was run"
        told = app.screen.query_one(EvidencePane).shown
        for part in (
            "✔ pass        p95  212 ms (1 s)",
            "5 of 1902 messages failed",
            "stored 1 902 · replies stored 1 897",
            "nothing lost, nothing doubled, nothing swapped",
            "no-reply  u017 17: no reply within 10 s",
            "p95              222 -> 212     ms",
            "within noise",
            "send lag p99 0.8 ms",
            "The generator ran on the target's own host",
        ):
            assert part in told
        app.screen.query_one(ResultList).choose("LOAD-03")
        await until(pilot, lambda: "not run in this session" in text_of(app))


@pytest.mark.parametrize("size", [(160, 45), (80, 24)])
async def test_an_earlier_capacity_search_is_read_without_charts(size: tuple[int, int]) -> None:
    review = LoadReview(loads=(capacity_run(),))
    async with console(review, size) as (app, pilot):
        await pilot.press("3")
        await until(pilot, lambda: bool(app.screen.query_one(ResultList).rows))
        assert not app.screen.query_one("#load").display
        review.outcomes = {"LOAD-04": [failed("it breaks at 520")]}
        app._engine.run(checks=("LOAD-04",))
        await until(pilot, lambda: "LOAD-04" in review.results and not app.picture.is_running)
        app.screen.query_one(ResultList).choose("LOAD-04")
        await pilot.press("e")
        await until(pilot, lambda: app.screen.has_class("-open"))
        shown = text_of(app)
        assert "safe to 410 msg/s (SLO p95 < 1 s), breaks at 520, expected 17: headroom 24x" in shown
        assert "✘ bisection         520      455    1 900    2 800    0.2 %    99 %  p95" in shown
        assert "it breaks at 520" in shown
        await pilot.press("escape")
        assert "safe 410/s" in text_of(app)


async def test_another_tabs_run_leaves_this_one_calm() -> None:
    review = LoadReview(hold={"WALK-01"})
    async with console(review, (160, 45)) as (app, pilot):
        await pilot.press("3")
        app._engine.run(checks=("WALK-01",))
        await until(pilot, lambda: app.picture.is_running)
        assert not app.screen.query_one("#load").display
        assert not drawn(app)
        assert "Load · 0/4" in text_of(app)
        review.let_go()
        await until(pilot, lambda: not app.picture.is_running)


async def test_p_holds_the_picture_still_and_lets_it_go_on() -> None:
    async with console(held(), (120, 36)) as (app, pilot):
        await begin(app, pilot, 20)
        await pilot.press("p")
        await until(pilot, lambda: "picture paused" in text_of(app))
        before = app.screen.query_one("#figures", Block).said
        await tell(app, pilot, (LoadSecond("run/users-100", second(at_s)) for at_s in range(20, 50)))
        await until(pilot, lambda: app.picture.load.done_s == 50)
        await pilot.pause(0.3)
        assert app.screen.query_one("#figures", Block).said == before
        await pilot.press("p")
        await until(pilot, lambda: app.screen.query_one("#figures", Block).said != before)
        assert "picture paused" not in text_of(app)


async def test_on_a_thin_line_the_charts_are_rows_of_blocks() -> None:
    async with console(held(), (120, 36)) as (app, pilot):
        await begin(app, pilot, 30)
        await pilot.press("b")
        await until(pilot, lambda: "low bandwidth" in text_of(app) and "p50  ▂" in text_of(app))
        assert not any("⠀" < char <= "⣿" for char in text_of(app))
        chart = app.screen.query_one("#throughput", Chart)
        before = chart.draws
        await tell(app, pilot, (LoadSecond("run/users-100", second(at_s)) for at_s in range(30, 60)))
        await pilot.pause(0.7)
        assert chart.draws == before
        await pilot.press("b")
        await until(pilot, lambda: any("⠀" < char <= "⣿" for char in text_of(app)))


async def test_a_thin_line_can_be_told_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GONOGO_LOW_BANDWIDTH", "1")
    async with console(LoadReview()) as (app, pilot):
        await pilot.press("3")
        await until(pilot, lambda: "low bandwidth" in text_of(app))
        assert all(chart.is_compact for chart in app.screen.query(Chart))


async def test_x_stops_and_r_asks_by_name_for_the_chosen_scenario() -> None:
    review = held()
    async with console(review, (100, 30)) as (app, pilot):
        await begin(app, pilot, 20)
        await pilot.press("x")
        await until(pilot, lambda: not app.picture.is_running)
        assert review.stops[0][0] == "stopped by the lead"
        assert not app.picture.load.is_running
        app.screen.query_one(ResultList).choose("LOAD-03")
        await pilot.press("r")
        await until(pilot, lambda: isinstance(app.screen, LeaveAsked))
        shown = " ".join(text_of(app).split())
        for part in (
            "1 check would disturb http://127.0.0.1:8000",
            "LOAD-03 1000 messages",
            "for 73 s",
            "x stops it at once",
        ):
            assert part in shown
        assert "enter alone" not in shown
        assert "forged tokens" not in shown
        await pilot.press("enter")
        await until(pilot, lambda: "Type 127.0.0.1 to give leave: nothing was started" in text_of(app))
        app.screen.query_one(Input).value = "127.0.0.1"
        await pilot.press("enter")
        await until(pilot, lambda: review.runs[-1] == ("LOAD-03",))


def test_the_whole_tab_is_run_without_what_is_run_by_name_alone() -> None:
    def ids(wanted: RunWanted) -> list[str]:
        return [check.id for check in meant(wanted, LOAD)]

    assert ids(RunWanted(area=Area.LOAD)) == ["LOAD-01", "LOAD-02", "LOAD-03", "LOAD-04"]
    assert ids(RunWanted(checks=("LOAD-05",))) == ["LOAD-05"]
    _, _, name, has_rest = disruptive_text(LOAD, "http://[::1]:8000")
    assert (name, has_rest) == ("::1", False)
    quiet: tuple[Check, ...] = (replace(LOAD[0], safety=Safety.ACTIVE), *LOAD[1:])
    assert disruptive_text(quiet, "http://a:1")[3]


@pytest.mark.parametrize("size", [(160, 45), (80, 24)])
async def test_text_of_a_target_reaches_the_screen_harmless(size: tuple[int, int]) -> None:
    scenario = replace(USERS_100, title=HOSTILE)
    run = load_run(
        USERS_100,
        failures=(FailureCount(Failure.REFUSED, 5, clean(HOSTILE)),),
        accounting=Accounting(9, 9, 8, 9, lost=1, examples=(clean(HOSTILE),)),
        criteria=(criterion("lost", Verdict.FAIL, HOSTILE, HOSTILE, HOSTILE),),
        notes=(clean(HOSTILE),),
        generator=GeneratorHealth(problem=clean(HOSTILE)),
        stopped=clean(HOSTILE),
    )
    review = LoadReview(hold={"LOAD-02"}, loads=(run,))
    async with console(review, size) as (app, pilot):
        await pilot.press("3")
        app._engine.run(checks=("LOAD-02",))
        await until(pilot, lambda: app.picture.is_running)
        await tell(app, pilot, announced(scenario, 3))
        await tell(
            app, pilot, [LoadSecond("run/users-100", second(3, label=HOSTILE, part=Part.HOLD)), finished(run)]
        )
        review.let_go()
        await until(pilot, lambda: not app.picture.is_running)
        app.screen.query_one(ResultList).choose("LOAD-02")
        await pilot.press("e")
        await until(
            pilot, lambda: app.screen.query_one(EvidencePane).shown.count("[@click=app.quit]x[/] [/y]") >= 6
        )
        lines = [
            app.screen.query_one("#scenario", Block).said,
            app.screen.query_one(EvidencePane).shown,
            text_of(app),
        ]
        assert not any(char in line for line in lines for char in ("\x1b", "\x07", "\u202e"))


def test_a_rows_figures_tell_a_difference_only_where_it_is_more_than_noise() -> None:
    assert brief_result(load_run()) == "p95 212 ms (-5 %)"
    noise = (Difference("p95", 0.214, 0.212, 0.01),)
    assert brief_result(load_run(before=noise)) == "p95 212 ms"
    assert brief_result(capacity_run()) == "safe 410/s"
    nothing = replace(load_run().latency, count=0)
    assert brief_result(load_run(latency=nothing)) == "no replies"


def test_a_run_belongs_to_the_check_that_names_its_scenario() -> None:
    review = LoadReview(loads=(load_run(), load_run(replace(USERS_100, name="own", title="Our own peak"))))
    states = review.snapshot().of(Area.LOAD)
    assert run_of(states[1], review.loads) is review.loads[0]
    assert run_of(states[0], review.loads) is None
    own: CheckState = replace(states[0], id="LOAD-06", scenario="own")
    assert run_of(own, review.loads) is review.loads[1]


def test_what_went_wrong_is_told_by_message_and_by_cause() -> None:
    run = load_run(
        accounting=Accounting(90, 80, None, lost=2, doubled=1, problem=clean("no database is known")),
        generator=GeneratorHealth(cpu_percent=97, problem=clean("its core was busy for 97 %")),
    )
    told = "\n".join(str(part) for part in told_of(run, None))
    assert "Not counted: no database is known" in told
    assert "2 lost · 1 doubled" in told
    assert "nothing lost" not in told
    assert "? too slow" in told
    assert "Charts are kept for the session" in told


def test_a_scenario_is_told_by_what_it_sends_and_how_long() -> None:
    assert scenario_text(USERS_100) == "100 users, closed, think 1-3 s, ramp 10 s, hold 60 s"
    assert scenario_text(RATE) == "16.7 messages/s, open, poisson, ramp 5 s, hold 60 s"
    assert scenario_text(CAPACITY) == "20 to 300 messages/s in steps of 6 s, confirmed over 20 s"
    for width in (60, 80, 160):
        line = scenario_line(viewed(USERS_100, 73), width, ("run 1 of 3",))
        assert line.cell_length <= max(width, 75)
        assert "waiting for the last replies, counting" in line.plain


@pytest.mark.parametrize("lag_s", [0.0008, 0.2])
def test_the_generators_own_state_is_told_while_it_runs(lag_s: float) -> None:
    started: Any = next(announced(USERS_100, 0))
    view = load_followed(NO_LOAD, started, 0.0, "LOAD-02")
    slow: Second = second(0, lag_p99_s=lag_s)
    view = load_followed(view, LoadSecond("run/users-100", slow), 0.0, "LOAD-02")
    for is_brief in (True, False):
        assert ("too slow" if lag_s > 0.01 else "healthy") in figures(view, is_brief=is_brief).plain


def test_the_generator_is_called_slow_where_it_is_judged_so() -> None:
    assert (LAG_LIMIT_S, CORE_LIMIT_PERCENT) == (MOST_LAG_S, MOST_CPU_PERCENT)


def test_the_time_axis_holds_the_schedule_and_grows_where_a_run_is_longer() -> None:
    assert window_s(viewed(USERS_100, 5)) == 73.0
    longer = replace(viewed(USERS_100, 5), newest=second(150))
    assert window_s(longer) == 200.0
    assert window_s(LoadView()) == 10.0


def test_what_cannot_be_seen_is_left_out_and_said() -> None:
    view = viewed(RATE, 3)
    blind = replace(
        view,
        points=tuple(
            Point(replace(point.second, sample=Sample(), p50_s=None, p95_s=None, p99_s=None))
            for point in view.points
        ),
    )
    found = charts(blind)
    assert found["memory"].is_blank
    assert found["cpu"].empty == "the CPU of target and host cannot be seen"
    assert [line.label for line in found["connections"].series] == ["load"]
    assert found["latency"].is_blank
    assert found["throughput"].limit == RATE.rate_per_s


def test_runs_need_no_view_to_be_read() -> None:
    run: LoadRun = load_run(histogram={})
    assert figures(NO_LOAD, is_brief=True).plain == " not run in this session"
    assert "Charts are kept" not in "\n".join(str(part) for part in told_of(run, viewed(USERS_100, 2)))
