"""The watch as its users rely on it: alerts reach people once, whatever ends, is down, or watches at the same time."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from checks.model import Kind, ReviewError, utc_now
from checks.monitoring.actions import Acknowledge, AnswerDrill, BeginDrill, Edit, SilenceFor, TryContact
from checks.monitoring.files import read_board
from checks.monitoring.model import Delivery
from checks.monitoring.record import open_journal
from tests.checks.monitoring.watched import steered, until, watching


def kinds(review: Path) -> list[str]:
    """What the watch's journal has, in order: kind and subject."""
    journal = open_journal(review, actor="", clock=utc_now, read_only=True)
    try:
        return [f"{entry.kind.value} {entry.subject}" for entry in journal.entries()]
    finally:
        journal.close()


async def test_a_broken_limit_fires_tells_escalates_and_resolves(tmp_path: Path) -> None:
    async with steered(tmp_path, second_s=1) as (target, webhook, profile):
        async with watching(profile, tmp_path / "r") as (_, seen):
            await until(lambda: seen.state("error-rate") == "OK", lambda: seen.boards)
            target.bad = 5
            await until(lambda: seen.state("error-rate") == "FIRING", lambda: seen.board.row("error-rate"))
            fired = next(
                board for board in seen.boards if (row := board.row("error-rate")) and row.limit.is_firing
            )
            row = fired.row("error-rate")
            assert row is not None
            assert row.limit.fired_at is not None
            assert row.limit.active_at is not None
            assert (row.limit.fired_at - row.limit.active_at).total_seconds() >= row.threshold.for_s
            # At the first look at which its time had passed: the look before was too early.
            before = next(board for board in seen.boards if board.looks == fired.looks - 1)
            early = before.row("error-rate")
            assert early is not None
            assert early.state == "PENDING"
            await until(lambda: bool(webhook.of("lead", "Error rate")), lambda: webhook.got)
            target.bad = 0
            await until(lambda: seen.state("error-rate") == "RESOLVED", lambda: seen.board.row("error-rate"))
            await until(lambda: len(webhook.got) == 4, lambda: webhook.got)
        assert [to for to, _ in webhook.got][:2] == ["on-call", "lead"]
        assert sorted(to for to, _ in webhook.got[2:]) == ["lead", "on-call"]
        told = kinds(tmp_path / "r")
    assert told.count("alert error-rate") == 3
    assert sum(entry.startswith("message ") for entry in told) >= 8


async def test_two_watch_at_once_and_each_message_is_sent_once(tmp_path: Path) -> None:
    review = tmp_path / "r"
    async with steered(tmp_path) as (target, webhook, profile):
        async with watching(profile, review, "ada@host") as (first, seen):
            await until(lambda: first.is_own and bool(seen.boards), lambda: seen)
            async with watching(profile, review, "grace@host") as (second, other):
                await until(lambda: bool(other.boards), lambda: other)
                target.bad = 5
                await until(lambda: other.state("error-rate") == "FIRING", lambda: other.board)
                assert not second.is_own
                assert not other.board.is_own
                assert other.board.watcher.startswith("ada@host")
                await until(lambda: bool(webhook.got), lambda: webhook.got)
                second.do(Acknowledge("error-rate", "I look"))
                await until(
                    lambda: bool((row := seen.board.row("error-rate")) and row.acknowledged),
                    lambda: seen.board,
                )
                row = seen.board.row("error-rate")
                assert row is not None
                assert row.acknowledged is not None
                assert row.acknowledged.actor == "grace@host"
        assert len(webhook.of("on-call", "Error rate")) == 1


async def test_the_other_one_takes_over_and_tells_nothing_twice(tmp_path: Path) -> None:
    review = tmp_path / "r"
    async with steered(tmp_path) as (target, webhook, profile):
        target.bad = 5
        async with watching(profile, review, "ada@host") as (_, seen):
            await until(lambda: seen.state("error-rate") == "FIRING", lambda: seen.boards)
            await until(lambda: bool(webhook.got), lambda: webhook.got)
            episode = seen.board.row("error-rate")
        async with watching(profile, review, "grace@host") as (second, other):
            await until(lambda: second.is_own and other.state("error-rate") == "FIRING", lambda: other.boards)
            again = other.board.row("error-rate")
            assert episode is not None
            assert again is not None
            assert again.limit.id == episode.limit.id
            target.bad = 0
            await until(lambda: bool(webhook.of("on-call", "RESOLVED")), lambda: webhook.got)
    assert [text.split()[0] for text in webhook.of("on-call", "Error rate")] == ["FIRING", "RESOLVED"]


async def test_a_channel_that_is_down_gets_the_message_when_it_is_back(tmp_path: Path) -> None:
    review = tmp_path / "r"
    async with steered(tmp_path) as (target, webhook, profile):
        webhook.status = "500 Internal Server Error"
        target.bad = 5
        async with watching(profile, review) as (_, seen):
            await until(
                lambda: (
                    bool(seen.boards) and any(one.delivery is Delivery.FAILED for one in seen.board.messages)
                ),
                lambda: seen.boards,
            )
        assert webhook.got == []
        webhook.status = "200 OK"
        async with watching(profile, review) as (_, seen):
            await until(lambda: bool(webhook.got), lambda: seen.board.messages, within_s=30)
            await until(
                lambda: all(one.delivery is Delivery.SENT for one in seen.board.messages),
                lambda: seen.board.messages,
            )
    assert len(webhook.of("on-call", "Error rate")) == 1


async def test_a_silence_tells_nobody_and_is_recorded_with_its_reason(tmp_path: Path) -> None:
    review = tmp_path / "r"
    async with steered(tmp_path) as (target, webhook, profile):
        async with watching(profile, review) as (watch, seen):
            await until(lambda: seen.state("error-rate") == "OK", lambda: seen.boards)
            with pytest.raises(ReviewError, match="needs a reason"):
                watch.do(SilenceFor("error-rate", 600, "  "))
            watch.do(SilenceFor("error-rate", 600, "a release"))
            target.bad = 5
            await until(lambda: seen.state("error-rate") == "FIRING", lambda: seen.board)
            row = seen.board.row("error-rate")
            assert row is not None
            assert row.silence is not None
            assert row.silence.because == "a release"
            watch.do(TryContact("on-call"))
            await until(lambda: bool(webhook.got), lambda: seen.board.messages)
        assert webhook.of("on-call", "FIRING") == []
        assert any(entry.startswith("silenced ") for entry in kinds(review))


async def test_a_change_at_the_console_counts_at_once_and_after_a_restart(tmp_path: Path) -> None:
    review = tmp_path / "r"
    async with steered(tmp_path) as (target, _, profile):
        target.bad = 5
        async with watching(profile, review) as (watch, seen):
            await until(lambda: bool(seen.boards), lambda: seen)
            with pytest.raises(ReviewError, match="needs a reason"):
                watch.do(Edit("error-rate", 50.0, 0.2, "warning", ""))
            watch.do(Edit("error-rate", 50.0, 0.2, "warning", "we know of it"))
        async with watching(profile, review) as (_, seen):
            await until(lambda: seen.state("error-rate") == "OK", lambda: seen.boards)
            row = seen.board.row("error-rate")
            assert row is not None
            assert (row.threshold.limit, row.threshold.for_s, row.threshold.severity) == (
                50.0,
                0.2,
                "warning",
            )
            assert row.edited_by.startswith("ada@host")


async def test_an_outage_is_told_and_its_consequences_are_not(tmp_path: Path) -> None:
    async with steered(tmp_path) as (target, webhook, profile):
        async with watching(profile, tmp_path / "r") as (_, seen):
            await until(lambda: seen.state("target-up") == "OK", lambda: seen.boards)
            target.is_healthy, target.bad = False, 50
            await until(lambda: seen.state("target-up") == "FIRING", lambda: seen.board)
            await until(lambda: seen.state("error-rate") == "FIRING", lambda: seen.board)
            row = seen.board.row("error-rate")
            assert row is not None
            assert row.inhibitor == "target-up"
            await until(lambda: bool(webhook.of("on-call", "FIRING")), lambda: webhook.got)
        assert all("Controller answers" in text for _, text in webhook.got)


async def test_a_drill_reaches_a_person_and_comes_back(tmp_path: Path) -> None:
    review = tmp_path / "r"
    async with steered(tmp_path) as (_, webhook, profile):
        async with watching(profile, review) as (watch, seen):
            await until(lambda: seen.state("error-rate") == "OK", lambda: seen.boards)
            watch.do(BeginDrill("error-rate"))
            await until(lambda: bool(webhook.of("on-call", "DRILL")), lambda: seen.board.drill)
            code = webhook.of("on-call", "DRILL")[0].split("DRILL ")[1].split(":")[0]
            with pytest.raises(ReviewError, match="not the code"):
                watch.do(AnswerDrill("WRONG1"))
            watch.do(AnswerDrill(code))
            await until(lambda: bool(seen.board.drill and seen.board.drill.is_over), lambda: seen.board.drill)
            drill = seen.board.drill
            assert drill is not None
            assert drill.problem == ""
            assert drill.answered_by == "ada@host"
            assert drill.to_notice_s is not None
            await until(lambda: seen.state("error-rate") in ("OK", "RESOLVED"), lambda: seen.board)
        assert [to for to, _ in webhook.got] == ["on-call", "on-call"]
        journal = open_journal(review, actor="", clock=utc_now, read_only=True)
        try:
            records = [entry.body for entry in journal.entries(kinds=[Kind.DRILL])]
        finally:
            journal.close()
    assert len(records) >= 4
    assert not any(code in str(body) for body in records)


async def test_the_board_that_others_read_is_the_one_that_was_told(tmp_path: Path) -> None:
    review = tmp_path / "r"
    async with steered(tmp_path) as (_, _, profile):
        async with watching(profile, review) as (_, seen):
            await until(lambda: seen.state("error-rate") == "OK", lambda: seen.boards)
        found = read_board(review / "watch")
    assert found is not None
    assert [row.threshold for row in found.rows] == [row.threshold for row in seen.board.rows]
    assert [row.state for row in found.rows] == [row.state for row in seen.board.rows]


async def test_a_journal_that_cannot_be_written_does_not_end_the_watch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from checks.journal import Journal

    review, real = tmp_path / "r", Journal.append
    is_full = [False]

    def append(self: Journal, *arguments: object, **more: object) -> object:
        if is_full[0]:
            raise ReviewError("the disk is full")
        return real(self, *arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(Journal, "append", append)
    async with steered(tmp_path) as (target, webhook, profile):
        async with watching(profile, review) as (_, seen):
            await until(lambda: seen.state("error-rate") == "OK", lambda: seen.boards)
            is_full[0] = True
            target.bad = 5
            await until(lambda: bool(webhook.of("on-call", "Error rate")), lambda: webhook.got)
            assert "the disk is full" in seen.board.problem
            is_full[0] = False
            await until(lambda: not seen.board.problem, lambda: seen.board.problem)
            await asyncio.sleep(0)
        told = kinds(review)
    assert "alert error-rate" in told
    assert len(webhook.of("on-call", "Error rate")) == 1


async def test_a_look_that_fails_is_told_and_is_not_the_last(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from checks.monitoring.sources.collector import Collector

    real, is_broken = Collector.look, [False]

    async def look(self: Collector) -> object:
        if is_broken[0]:
            raise RuntimeError("nobody expected this")
        return await real(self)

    monkeypatch.setattr(Collector, "look", look)
    async with steered(tmp_path) as (target, webhook, profile):
        async with watching(profile, tmp_path / "r") as (_, seen):
            await until(lambda: seen.state("error-rate") == "OK", lambda: seen.boards)
            is_broken[0] = True
            await until(lambda: any("RuntimeError" in told for told in seen.notices), lambda: seen.notices)
            is_broken[0] = False
            target.bad = 5
            await until(lambda: bool(webhook.of("on-call", "Error rate")), lambda: webhook.got)
        assert len(seen.notices) == 1
