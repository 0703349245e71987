"""Every message is accounted for: what is lost, doubled or crossed over is found, whatever the latency was."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from checks.load import accounting
from checks.load.accounting import account
from checks.load.history import in_order, missing_of
from checks.load.ledger import Ledger, parser
from checks.load.model import Accounting, Failure
from checks.load.wire import Done
from tests.checks.load.storing import (
    MARKER,
    SENT,
    USERS,
    Row,
    Stored,
    done,
    everything,
    exchange,
    insert,
    storing,
    text,
)
from tests.postgres import MARKS, fresh, url_of

CLEAN = Accounting(
    sent=6, answered_ok=6, stored=6, replies_stored=6, in_history=6, history_asked=6, examples=()
)


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is missing is looked for again soon."""
    monkeypatch.setattr(accounting, "SETTLE_EVERY_S", 0.02)


async def counted(
    folder: Path, stored: Stored, report: Done | None = None, *, reply: str = "echo", **more: Any
) -> Accounting:
    """The accounting of a run with these rows."""
    async with storing(folder, stored, reply=reply) as context:
        return await account(context, users=USERS, marker=MARKER, done=report or done(), **more)


async def test_a_whole_run_has_nothing_to_complain_of(tmp_path: Path) -> None:
    assert await counted(tmp_path, Stored()) == CLEAN


async def test_what_was_answered_and_not_stored_is_lost(tmp_path: Path) -> None:
    found = await counted(tmp_path, Stored([row for row in everything() if "u0002 3 " not in row[2]]))
    assert (found.lost, found.stored, found.doubled, found.swapped, found.unstored_replies) == (1, 5, 0, 0, 0)
    assert found.examples == (f"answered, and not stored: “{MARKER} u0002 3” to BOT-2",)


async def test_numbers_are_whole_words(tmp_path: Path) -> None:
    rows = [row for row in everything() if "u0001 1 " not in row[2]]
    rows += [("BOT-1", "user", text("u0001", 12)), ("BOT-1", "user", text("u00011", 1))]
    found = await counted(tmp_path, Stored(rows))
    assert (found.lost, found.doubled) == (1, 0)


@pytest.mark.parametrize(("role", "times"), [("user", 2), ("assistant", 3)])
async def test_what_is_stored_more_than_once_is_doubled(tmp_path: Path, role: str, times: int) -> None:
    again = [row for row in exchange(USERS[0], 2) if row[1] == role] * (times - 1)
    found = await counted(tmp_path, Stored([*everything(), *again], history=everything()))
    assert (found.doubled, found.lost) == (1, 0)
    assert found.examples[0] == f"stored more than once: “{MARKER} u0001 2” to BOT-1"


async def test_second_replies_are_doubled_too(tmp_path: Path) -> None:
    report = done(doubled=2, examples={"doubled": "u0001 2 was answered again\x1b[2J"})
    found = await counted(tmp_path, Stored(), report)
    assert found.doubled == 2
    assert found.examples == ("answered twice: u0001 2 was answered again␛[2J",)


@pytest.mark.parametrize("other", ["BOT-2", "BOT-77"])
async def test_what_is_stored_with_another_bot_is_swapped_and_not_lost(tmp_path: Path, other: str) -> None:
    rows = [(other if "u0001 2 " in row[2] else row[0], *row[1:]) for row in everything()]
    found = await counted(tmp_path, Stored(rows))
    assert (found.swapped, found.lost, found.unstored_replies) == (1, 0, 0)
    assert f"stored with another bot: “{MARKER} u0001 2” to BOT-1" in found.examples


async def test_a_reply_of_another_bot_is_swapped(tmp_path: Path) -> None:
    seen = {"wrong-bot": "BOT-1 was asked, BOT-2 replied"}
    report = done(unanswered={"u0001": [2]}, examples=seen)
    assert (await counted(tmp_path, Stored(), report)).swapped == 1
    found = await counted(tmp_path, Stored(), report, failures={"wrong-bot": 12})
    assert found.swapped == 12
    assert found.examples == ("answered by another bot: BOT-1 was asked, BOT-2 replied",)


async def test_a_reply_that_is_not_stored_is_told_apart_from_a_lost_command(tmp_path: Path) -> None:
    rows = [row for row in everything() if not (row[1] == "assistant" and "u0002 1 " in row[2])]
    found = await counted(tmp_path, Stored(rows))
    assert (found.unstored_replies, found.replies_stored, found.lost) == (1, 5, 0)


async def test_replies_in_words_of_their_own_are_counted_by_bot(tmp_path: Path) -> None:
    rows: list[Row] = [("BOT-1", "assistant", "of an earlier run")]
    rows += [row if row[1] == "user" else (row[0], row[1], "42") for row in everything()]
    found = await counted(tmp_path, Stored(rows), reply="any")
    assert (found.replies_stored, found.unstored_replies) == (6, 0)
    rows.remove(("BOT-2", "assistant", "42"))
    found = await counted(tmp_path, Stored(rows), reply="any")
    assert (found.replies_stored, found.unstored_replies, found.doubled) == (5, 1, 0)


@pytest.mark.parametrize(
    ("examples", "failures", "was_stopped", "lost"),
    [
        ({"no-reply": "nothing came"}, None, False, 1),
        ({"no-reply": "nothing came"}, None, True, 0),
        ({"refused": "no"}, None, False, 0),
        ({"refused": "no", "no-reply": "nothing"}, None, False, 0),
        ({"refused": "no", "no-reply": "nothing"}, {"refused": 0, "no-reply": 1}, False, 1),
        ({"refused": "no", "no-reply": "nothing"}, {"refused": 1}, False, 0),
    ],
)
async def test_what_never_got_a_reply_is_lost_unless_it_was_refused(
    tmp_path: Path,
    examples: dict[str, str],
    failures: dict[str, int] | None,
    was_stopped: bool,
    lost: int,
) -> None:
    rows = [row for row in everything() if "u0001 3 " not in row[2]]
    report = done(unanswered={"u0001": [3]}, examples=examples)
    found = await counted(tmp_path, Stored(rows), report, failures=failures, was_stopped=was_stopped)
    assert (found.lost, found.answered_ok) == (lost, 5)


async def test_what_is_written_late_is_waited_for(tmp_path: Path) -> None:
    late = [row for row in everything() if "u0002 3 " in row[2]]
    stored = Stored([row for row in everything() if row not in late])
    async with storing(tmp_path, stored, within_s=5.0) as context:
        counting = asyncio.create_task(account(context, users=USERS, marker=MARKER, done=done()))
        await asyncio.sleep(0)
        stored.rows += late
        await asyncio.to_thread(insert, tmp_path / "chat.db", late)
        assert (await counting).lost == 0


async def test_many_rows_are_read_page_by_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounting, "PAGE_ROWS", 4)
    assert await counted(tmp_path, Stored()) == CLEAN
    monkeypatch.setattr(accounting, "MOST_ROWS", 8)
    found = await counted(tmp_path, Stored())
    assert found.stored is None
    assert found.problem.startswith("more than 8 rows of this run are stored")


async def test_rows_of_other_runs_and_of_strangers_do_not_count(tmp_path: Path) -> None:
    earlier = [
        ("BOT-1", "user", text("u0001", 1).replace("3f9a", "beef")),
        ("BOT-1", "user", "gonogo load 3f9a"),
        ("BOT-1", "user", f"{MARKER} u0001 99999999999 x"),
        ("BOT-1", "user", f"{MARKER} u0001 0 x"),
        ("BOT-1", "user", "100 % of _ and ' \\ \x1b[31m"),
    ]
    async with storing(tmp_path, Stored(), earlier=earlier) as context:
        assert await account(context, users=USERS, marker=MARKER, done=done()) == CLEAN


async def test_the_history_lacks_what_it_does_not_give_back(tmp_path: Path) -> None:
    history = [row for row in everything() if "u0002 2 " not in row[2]]
    found = await counted(tmp_path, Stored(history=history))
    assert (found.in_history, found.history_asked, found.lost_in_history, found.lost) == (5, 6, 1, 0)
    assert found.examples == ("the history of BOT-2 lacks 1 of its 3 commands",)


async def test_a_history_that_gives_nothing_of_the_run_lacks_all_of_it(tmp_path: Path) -> None:
    assert (await counted(tmp_path, Stored(history=[]))).lost_in_history == 6


async def test_a_history_with_a_smaller_limit_is_asked_for_less_and_compared_as_far(tmp_path: Path) -> None:
    users, number = USERS[:1], 80
    rows = [row for one in range(1, number + 1) for row in exchange(users[0], one)]
    stored = Stored(rows, most=100)
    async with storing(tmp_path, stored) as context:
        report = done(sent={"u0001": number})
        found = await account(context, users=users, marker=MARKER, done=report)
        assert (found.in_history, found.history_asked, found.lost_in_history) == (50, 50, 0)
        assert stored.limits == [170, 100]
        stored.history = rows[:-20]  # the newest ten are not there
        assert (await account(context, users=users, marker=MARKER, done=report)).lost_in_history == 10
        stored.history, stored.most, stored.page = None, 1000, 100
        found = await account(context, users=users, marker=MARKER, done=report)
        assert (found.in_history, found.lost_in_history) == (50, 0), "a page of the newest"


async def test_a_history_out_of_order_is_told(tmp_path: Path) -> None:
    found = await counted(tmp_path, Stored(history=everything()[::-1]))
    assert found.lost_in_history == 0
    assert found.examples == ("the history of BOT-1 gives its messages in another order",)


@pytest.mark.parametrize("url", ["", "sqlite:////nowhere/chat.db", "mysql://h/d"])
async def test_without_a_database_the_history_alone_is_compared_and_that_is_said(
    tmp_path: Path, url: str
) -> None:
    history = [row for row in everything() if "u0002 2 " not in row[2]]
    async with storing(tmp_path, Stored(history=history), url=url) as context:
        found = await account(context, users=USERS, marker=MARKER, done=done())
    assert (found.stored, found.lost, found.in_history, found.lost_in_history) == (None, 0, 5, 1)
    assert found.problem.endswith("; only the history was compared")


async def test_failures_that_were_too_many_to_be_kept_make_it_uncounted(tmp_path: Path) -> None:
    report = done(unanswered={"u0001": [1]}, is_cut=True, examples={"no-reply": "x"})
    found = await counted(tmp_path, Stored([*everything(), *exchange(USERS[0], 2)]), report)
    assert found.problem
    assert (found.lost, found.doubled, found.sent) == (0, 1, 6)


async def test_a_target_that_is_gone_raises_nothing(tmp_path: Path) -> None:
    async with storing(tmp_path, Stored(is_gone=True), url="") as context:
        found = await account(context, users=USERS, marker=MARKER, done=done())
    assert found.in_history is None
    assert found.problem
    assert found.examples[0].startswith("the history of BOT-1 was not given: ")


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    """A PostgreSQL with the rows of a run that lost one message and doubled another."""
    import psycopg

    with fresh() as (_, port):
        rows = [row for row in everything() if "u0002 3 " not in row[2]] + exchange(USERS[0], 1)[:1]
        with psycopg.connect(url_of(port), autocommit=True) as connection:
            connection.execute(
                "CREATE TABLE messages (id bigserial PRIMARY KEY, bot_id text, role text, content text,"
                ' "timestamp" text)'
            )
            with connection.cursor() as cursor:
                cursor.executemany("INSERT INTO messages (bot_id, role, content) VALUES (%s, %s, %s)", rows)
        yield url_of(port)


@pytest.mark.postgres
@pytest.mark.skipif(MARKS[1].args[0], reason="needs PostgreSQL's initdb and postgres")
@pytest.mark.parametrize("reply", ["echo", "any"])
async def test_postgresql_is_read_alike(tmp_path: Path, database: str, reply: str) -> None:
    async with storing(tmp_path, Stored(), url=database, reply=reply) as context:
        found = await account(context, users=USERS, marker=MARKER, done=done())
    assert (found.stored, found.lost, found.doubled, found.replies_stored) == (5, 1, 1, 5)
    assert not found.problem


@pytest.mark.parametrize(
    ("text_", "message"),
    [
        (f"{MARKER} u0001 17 please", ("u0001", 17)),
        (f"BOT-1 heard: {MARKER} u0001 17", ("u0001", 17)),
        (f"{MARKER} u0001 1234567890", None),
        (f"{MARKER} u0001", None),
        (f"{MARKER}x u0001 1 ", None),
        ("", None),
    ],
)
def test_a_mark_is_found_in_a_text_or_not(text_: str, message: tuple[str, int] | None) -> None:
    assert parser(MARKER)(text_) == message


def test_a_marker_is_no_pattern() -> None:
    assert parser("a.c (")("abc ( u 1 ") is None
    assert parser("a.c (")("a.c ( u 1 ") == ("u", 1)


def test_a_million_messages_fit_into_few_bytes_each() -> None:
    ledger = Ledger.of(USERS[:1], {"u0001": 1_000_000}, {"u0001": [1, 1_000_000, 2_000_000, 0]})
    assert ledger.good == 999_998
    assert (
        sum(len(part) for page in ledger.pages.values() for part in (page.commands, page.is_bad)) == 2_000_000
    )
    for _ in range(300):
        ledger.take(("u0001", 5), "BOT-1", is_command=False)
    assert list(ledger.twice()) == [("u0001", 5)]
    assert not ledger.is_whole


@pytest.mark.parametrize(
    ("expected", "given", "is_page", "missing"),
    [
        ([1, 2, 3], [1, 2, 3], False, 0),
        ([1, 2, 3], [2, 3], True, 0),
        ([1, 2, 3], [1, 2], True, 1),
        ([1, 2, 3], [1, 3], True, 1),
        ([1, 2, 3], [2, 3], False, 1),
        ([1, 2, 3], [], True, 3),
        ([], [7], False, 0),
        ([1, 1], [1], False, 1),
    ],
)
def test_a_page_must_be_the_newest(
    expected: list[int], given: list[int], is_page: bool, missing: int
) -> None:
    assert missing_of(expected, given, is_page=is_page) == missing


def test_order_is_that_of_what_came() -> None:
    assert in_order([1, 2, 3], [2, 3])
    assert not in_order([1, 2, 3], [3, 2])


def test_every_failure_is_either_a_reply_or_silence() -> None:
    assert frozenset(Failure) >= accounting.ANSWERED
    assert Failure.NO_REPLY not in accounting.ANSWERED
    assert sum(SENT.values()) == len(everything()) // 2
