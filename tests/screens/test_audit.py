"""The audit's tab: groups, failures with their fix, what could not be read once on top, and leave that is asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from textual.widgets import Input

from checks.fold import CheckState
from checks.model import Area, Reason, Safety, Severity, State, Subject, failed, inconclusive, not_applicable
from checks.registry import Check
from checks.text import clean
from console.consent import Consent, disruptive_text, meant, what_to_ask
from screens.audit_text import HEADING, Only, View, rows, tally, title, unread
from screens.dialogs.asked import Asked
from screens.dialogs.leave import LeaveAsked
from screens.requests import RunWanted
from tests.checks.builders import result
from tests.console.fakes import FakeReview, console, seen, text_of, until
from widgets.evidence_pane import EvidencePane
from widgets.line import Block
from widgets.result_list import ResultList

UNREAD = "The environment of pid 12 may not be read: run gonogo as its account or root"


def check(check_id: str, subject: Subject, safety: Safety = Safety.READ_ONLY) -> Check:
    """One check of the audit."""
    walk = FakeReview().checks[0]
    return replace(
        walk,
        id=check_id,
        title=f"{check_id} holds",
        area=Area.AUDIT,
        subject=subject,
        safety=safety,
        severity=Severity.BLOCKER,
        needs=(),
        fix="JWT_SECRET_KEY=$(openssl rand -base64 48)",
    )


AUDIT = (
    check("DB-01", Subject.DATABASE),
    check("DB-02", Subject.DATABASE),
    check("JWT-01", Subject.JWT),
    check("JWT-02", Subject.JWT, Safety.ACTIVE),
)
DISRUPTIVE = check("DB-09", Subject.DATABASE, Safety.DISRUPTIVE)
OUTCOMES = {
    "DB-02": [inconclusive(Reason.NO_RIGHT, UNREAD)],
    "JWT-01": [failed("the secret is a well-known one", observed="9 bytes", evidence=[seen("JWT")])],
    "JWT-02": [not_applicable("The secret is symmetric")],
}


def audited() -> FakeReview:
    """A review with a walkthrough and an audit."""
    review = FakeReview(outcomes=dict(OUTCOMES))
    review.checks = (*review.checks, *AUDIT)
    return review


def state(check_id: str, state: State, subject: Subject, summary: str = "") -> CheckState:
    """One check's state, with a result where there can be one."""
    found = replace(result(check_id), summary=clean(summary or "it is so"))
    if state is State.INCONCLUSIVE:
        found = replace(found, reason=Reason.NO_RIGHT)
    judged = None if state is State.NOT_RUN else found
    return CheckState(check_id, f"{check_id} holds", Area.AUDIT, Severity.MAJOR, state, judged, subject)


STATES = (
    state("DB-01", State.PASS, Subject.DATABASE),
    state("DB-02", State.INCONCLUSIVE, Subject.DATABASE, UNREAD),
    state("JWT-01", State.FAIL, Subject.JWT),
    state("JWT-02", State.NA, Subject.JWT),
)


@pytest.mark.parametrize(
    ("view", "keys"),
    [
        (View(), ["#Database", "DB-01", "DB-02", "#JWT", "JWT-01", "JWT-02"]),
        (View(folded=frozenset({Subject.DATABASE})), ["#Database", "#JWT", "JWT-01", "JWT-02"]),
        (View(only=Only.FAILED), ["#JWT", "JWT-01"]),
        (View(only=Only.OPEN), ["#Database", "DB-02", "#JWT", "JWT-01"]),
        (View(text="db-0"), ["#Database", "DB-01", "DB-02"]),
        (View(text="jwt", folded=frozenset({Subject.JWT})), ["#JWT", "JWT-01", "JWT-02"]),
        (View(text="nothing of the kind"), []),
    ],
)
def test_the_list_is_grouped_folded_and_narrowed(view: View, keys: list[str]) -> None:
    found = rows(STATES, view, None, 0.0)
    assert [line.key for line in found] == keys
    assert all(line.is_heading == line.key.startswith(HEADING) for line in found)


def test_a_heading_counts_the_worst_first_and_the_title_says_what_is_left_out() -> None:
    assert tally(STATES[2:]) == "✘ 1 · - 1"
    view = View(only=Only.FAILED)
    assert title(STATES, view, rows(STATES, view, None, 0.0)) == "Checks: 1 of 4, failures"
    assert title(STATES, View(), []) == "Checks"


def test_a_source_is_named_once_however_many_checks_wait_for_it() -> None:
    many = [state(f"DB-{n:02}", State.INCONCLUSIVE, Subject.DATABASE, UNREAD) for n in range(5)]
    assert unread(many) == [f" ? {UNREAD} (5 checks)"]
    others = [state(f"X-{n}", State.INCONCLUSIVE, Subject.JWT, f"source {n} is closed") for n in range(4)]
    told = unread([*many, *others])
    assert len(told) == 3
    assert told[-1].startswith(" ? and 3 more that could not be read")
    assert unread(STATES[:1]) == []


def test_a_row_holds_observed_against_expected_or_the_fact() -> None:
    states = (*STATES[:3], state("JWT-02", State.NA, Subject.JWT, "The secret is symmetric"))
    told = {line.key: line.detail for line in rows(states, View(), None, 0.0)}
    assert told == {
        "#Database": "",
        "DB-01": "1",
        "DB-02": UNREAD,
        "#JWT": "",
        "JWT-01": "1, expected 1",
        "JWT-02": "The secret is symmetric",
    }


def test_an_untrusted_check_is_marked() -> None:
    doubted = replace(STATES[0], doubt=clean("it let one through"), state=State.INCONCLUSIVE)
    (_, line) = rows([doubted], View(), None, 0.0)
    assert (line.outcome, line.note) == ("INCONCLUSIVE", "untrusted")


def test_what_has_to_be_asked() -> None:
    walk = FakeReview().checks
    walk = (*walk[1:], replace(walk[0], safety=Safety.DISRUPTIVE))
    assert what_to_ask(walk, ()) is None, "a walkthrough asks nothing"
    assert what_to_ask((*walk, *AUDIT[:3]), ()) is None
    assert what_to_ask((*walk, *AUDIT), ()) is Safety.ACTIVE
    assert what_to_ask(AUDIT, {Safety.ACTIVE}) is None
    assert what_to_ask((*AUDIT, DISRUPTIVE), {Safety.ACTIVE}) is Safety.DISRUPTIVE
    known = (*walk, *AUDIT)
    assert meant(RunWanted(area=Area.AUDIT), known) == AUDIT
    assert meant(RunWanted(checks=("JWT-01",)), known) == (AUDIT[2],)
    assert meant(RunWanted(), known) == known
    assert Consent().given == set()
    _, told, name, has_rest = disruptive_text((*walk, *AUDIT, DISRUPTIVE), "https://chat.example:8000")
    assert (name, has_rest) == ("chat.example", True)
    assert "And 14 active checks" in told
    assert "Enter alone leaves out WALK-01 too." in told


@pytest.mark.parametrize("size", [(80, 24), (120, 40)])
async def test_a_failure_is_read_with_its_fix_and_the_source_stands_on_top(size: tuple[int, int]) -> None:
    async with console(audited(), size) as (app, pilot):
        await pilot.press("2", "R")
        await until(pilot, lambda: isinstance(app.screen, Asked))
        shown = " ".join(text_of(app).split())
        assert "Run 1 active check against http://127.0.0.1:8000?" in shown
        await pilot.press("y")
        await until(pilot, lambda: "✘ 1" in text_of(app) and not app.picture.is_running)
        assert UNREAD[:40] in app.screen.query_one("#sources", Block).said
        steps = app.screen.query_one(ResultList)
        steps.choose("JWT-01")
        await pilot.pause()
        told = app.screen.query_one(EvidencePane).shown
        assert told.index("SUMMARY  the secret is a well-known one") < told.index("HOW TO PUT IT RIGHT")
        assert "JWT_SECRET_KEY=$(openssl rand -base64 48)" in told
        await pilot.press("y")
        assert app.clipboard == "JWT_SECRET_KEY=$(openssl rand -base64 48)"
        await pilot.press("f")
        assert [line.key for line in steps.rows] == ["#JWT", "JWT-01"]
        assert "1 of 4, failures" in text_of(app)


async def test_the_cursor_follows_past_folded_groups_and_ends_at_the_failure() -> None:
    review = audited()
    review.hold = {"JWT-02"}
    async with console(review) as (app, pilot):
        await pilot.press("2")
        await until(pilot, lambda: bool(app.screen.query(ResultList)))
        steps = app.screen.query_one(ResultList)
        await until(pilot, lambda: steps.chosen == "#Database")
        await pilot.press("space", "A")
        await until(pilot, lambda: isinstance(app.screen, Asked))
        app.run_checks(RunWanted())  # a second key, typed before the question stood there
        assert sum(isinstance(screen, Asked) for screen in app.screen_stack) == 1
        await pilot.press("y")
        await until(pilot, lambda: "JWT-01" in review.results)
        await until(pilot, lambda: steps.chosen == "JWT-01")
        assert "#Database" in [line.key for line in steps.rows]
        assert "DB-01" not in [line.key for line in steps.rows]
        await pilot.press("5", "2")
        review.let_go()
        await until(pilot, lambda: not app.picture.is_running)
        assert steps.chosen == "JWT-01"


async def test_long_sentences_of_what_could_not_be_read_leave_room_for_the_list() -> None:
    review = audited()
    for number, name in enumerate(("DB-01", "DB-02", "JWT-01")):
        review.outcomes[name] = [
            inconclusive(Reason.NO_SOURCE, f"Source {number} " + "is closed to us " * 14)
        ]
    async with console(review, (80, 24)) as (app, pilot):
        await pilot.press("2", "R")
        await until(pilot, lambda: isinstance(app.screen, Asked))
        await pilot.press("y")
        await until(pilot, lambda: "JWT-02" in review.results and not app.picture.is_running)
        lines = text_of(app).splitlines()
        assert [line.split()[:3] for line in lines[2:5]] == [
            ["?", "Source", str(place)] for place in range(3)
        ]
        assert all(line.rstrip().endswith("…") for line in lines[2:5])
        assert lines[5].split()[-2:] == ["?", "2"] or "DB-0" in lines[5]


async def test_much_evidence_is_cut_and_says_where_the_rest_is() -> None:
    long = replace(seen("a file"), body=clean("\n".join(f"line {number}" for number in range(500))))
    review = audited()
    review.outcomes["JWT-01"] = [failed("no", evidence=[long])]
    async with console(review, (120, 40)) as (app, pilot):
        await pilot.press("2")
        await until(pilot, lambda: bool(app.screen.query(ResultList)))
        steps = app.screen.query_one(ResultList)
        await until(pilot, lambda: bool(steps.rows))
        steps.choose("JWT-01")
        await pilot.press("r")
        pane = app.screen.query_one(EvidencePane)
        await until(pilot, lambda: "440 more lines: the report holds all" in pane.shown)
        assert "line 499" not in pane.shown


async def test_a_group_folds_and_runs_as_a_whole() -> None:
    review = audited()
    async with console(review) as (app, pilot):
        await pilot.press("2")
        await until(
            pilot,
            lambda: (
                bool(app.screen.query(ResultList)) and app.screen.query_one(ResultList).chosen == "#Database"
            ),
        )
        await pilot.press("enter")
        assert [line.key for line in app.screen.query_one(ResultList).rows][:2] == ["#Database", "#JWT"]
        await pilot.press("space")
        assert [line.key for line in app.screen.query_one(ResultList).rows][1] == "DB-01"
        await pilot.press("r")
        await until(pilot, lambda: review.runs == [("DB-01", "DB-02")])


async def test_leave_is_asked_once_for_active_checks_and_no_runs_nothing() -> None:
    review = audited()
    async with console(review) as (app, pilot):
        await pilot.press("2", "R")
        await until(pilot, lambda: isinstance(app.screen, Asked))
        await pilot.press("n")
        await pilot.press("R")
        await until(pilot, lambda: isinstance(app.screen, Asked))
        assert review.runs == []
        await pilot.press("y")
        await until(pilot, lambda: len(review.runs) == 1 and not app.picture.is_running)
        await pilot.press("R")
        await until(pilot, lambda: len(review.runs) == 2)


@pytest.mark.parametrize(
    ("typed", "runs"),
    [
        ("127.0.0.1", [("DB-01", "DB-02", "DB-09", "JWT-01", "JWT-02")]),
        ("", [("DB-01", "DB-02", "JWT-01", "JWT-02")]),
    ],
)
async def test_what_disturbs_needs_the_name_typed_and_enter_alone_leaves_it_out(
    typed: str, runs: list[tuple[str, ...]]
) -> None:
    review = audited()
    review.checks = (*AUDIT[:2], DISRUPTIVE, *AUDIT[2:])
    async with console(review) as (app, pilot):
        await pilot.press("2", "R")
        await until(pilot, lambda: isinstance(app.screen, LeaveAsked))
        assert "DB-09 DB-09 holds" in text_of(app)
        assert "Enter alone leaves out" not in text_of(app)
        app.screen.query_one(Input).value = "another.host"
        await pilot.press("enter")
        await until(pilot, lambda: "That is not 127.0.0.1" in text_of(app))
        assert review.runs == []
        app.screen.query_one(Input).value = typed
        await pilot.press("enter")
        await until(pilot, lambda: review.runs == runs)
