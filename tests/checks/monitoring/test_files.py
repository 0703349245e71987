"""The files by which processes share a watch: whole, private, taken once, and harmless when they are broken."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from checks.monitoring.actions import (
    Acknowledge,
    Action,
    AnswerDrill,
    BeginDrill,
    Edit,
    EndSilence,
    SilenceFor,
    TryContact,
    document,
    read,
)
from checks.monitoring.board import Board, Drill, LadderRung
from checks.monitoring.files import put_wish, read_board, taken_wishes, write_board
from checks.monitoring.model import (
    Acknowledgement,
    Alert,
    AlertKind,
    AlertSeverity,
    AlertState,
    Delivery,
    Message,
    Reading,
    Row,
    Silence,
    Told,
)
from checks.monitoring.thresholds.shipped import shipped
from checks.text import clean

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
ACTIONS: tuple[Action, ...] = (
    Acknowledge("error-rate", "I look"),
    SilenceFor("*", 600.0, "a release"),
    EndSilence("ab12"),
    Edit("error-rate", 0.5, 30.0, "warning", "stricter"),
    TryContact("on-call"),
    BeginDrill("error-rate", 1),
    AnswerDrill("ABC123"),
)


def full_board() -> Board:
    """A board with something in every place."""
    threshold = shipped()["error-rate"]
    silence = Silence(
        "ab12", "error-rate", clean("a release"), clean("ada@host"), NOON, NOON + timedelta(hours=1)
    )
    firing = Alert("error-rate", AlertKind.LIMIT, AlertState.FIRING, NOON, NOON, None, NOON, 2.5)
    message = Message(
        "m1",
        firing.id,
        Told.FIRING,
        "on-call",
        clean("FIRING"),
        clean("body"),
        NOON,
        Delivery.SENT,
        2,
        clean("ok"),
        0.25,
    )
    row = Row(
        threshold,
        Reading(2.5, 400.0, None, clean("/metrics")),
        firing,
        Alert("error-rate", AlertKind.NO_DATA),
        ((10.0, 0.5), (5.0, None), (0.0, 2.5)),
        silence,
        "target-up",
        Acknowledgement(firing.id, clean("ada@host"), NOON, clean("I look")),
        "lead",
        12.5,
        clean("ada@host, noon"),
    )
    return Board(
        at=NOON,
        rows=(row,),
        ladder=(LadderRung(AlertSeverity.CRITICAL, "on-call", "Ada", "json", 0.0, "ADA", message),),
        messages=(message,),
        silences=(silence,),
        drill=Drill("d1", "error-rate", "on-call", NOON, NOON, NOON, NOON, None, clean("ada"), clean(""), 1),
        began_at=NOON,
        looks=7,
        interval_s=5.0,
        watcher=clean("ada@host, process 7"),
        problem=clean("the journal cannot be written"),
    )


def test_a_board_is_read_as_it_was_written_and_is_private(tmp_path: Path) -> None:
    write_board(tmp_path, full_board())
    assert read_board(tmp_path) == full_board()
    assert (tmp_path / "board.json").stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["board.json"]


@pytest.mark.parametrize("raw", [b"", b"{", b"[]", b"null", b'{"at": 1}', b"\xff\xfe", b"[" * 100_000])
def test_a_broken_board_is_no_board(tmp_path: Path, raw: bytes) -> None:
    (tmp_path / "board.json").write_bytes(raw)
    assert read_board(tmp_path) is None


@pytest.mark.parametrize("action", ACTIONS, ids=lambda action: type(action).__name__)
def test_every_wish_crosses_to_the_other_process(tmp_path: Path, action: Action) -> None:
    assert read(json.loads(json.dumps(document(action)))) == action
    put_wish(tmp_path, action, "ada@host", NOON)
    assert list(taken_wishes(tmp_path, NOON)) == [(action, "ada@host")]
    assert list(taken_wishes(tmp_path, NOON)) == []


def test_wishes_are_taken_in_their_order(tmp_path: Path) -> None:
    for seconds in range(5):
        put_wish(tmp_path, TryContact(f"c{seconds}"), "ada@host", NOON + timedelta(seconds=seconds))
    assert [action for action, _ in taken_wishes(tmp_path, NOON)] == [TryContact(f"c{n}") for n in range(5)]


@pytest.mark.parametrize("late", [timedelta(minutes=5), timedelta(minutes=-5)])
def test_a_wish_that_nobody_took_in_time_is_dropped(tmp_path: Path, late: timedelta) -> None:
    put_wish(tmp_path, TryContact("on-call"), "ada@host", NOON)
    assert list(taken_wishes(tmp_path, NOON + late)) == []
    assert list((tmp_path / "inbox").iterdir()) == []


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"at": "x", "actor": "a", "wish": {}}',
        '{"wish": {"action": "Shell", "command": "rm"}}',
        "9" * 99,
    ],
)
def test_a_wish_that_is_none_is_left_out(tmp_path: Path, text: str) -> None:
    (tmp_path / "inbox").mkdir()
    (tmp_path / "inbox" / "a.json").write_text(text, "utf-8")
    put_wish(tmp_path, TryContact("on-call"), "ada\x1b[2J@host", NOON)
    assert [action for action, _ in taken_wishes(tmp_path, NOON)] == [TryContact("on-call")]


def test_a_state_says_in_one_word_what_is() -> None:
    row = full_board().rows[0]
    assert row.state == "FIRING"
    quiet = Alert("error-rate", AlertKind.LIMIT)
    assert replace(row, limit=quiet).state == "OK"
    assert replace(row, limit=quiet, reading=Reading(None)).state == "NO DATA"
    assert replace(row, limit=quiet, reading=Reading(None, applies=False)).state == "NA"
    assert replace(row, limit=replace(quiet, state=AlertState.PENDING)).state == "PENDING"
    assert replace(row, limit=replace(quiet, state=AlertState.RESOLVED)).state == "RESOLVED"
    assert replace(row, threshold=replace(row.threshold, is_on=False)).state == "OFF"
