"""Performance: sampled within the limits, judged by bounds, and never a FAIL for what gonogo itself was late for."""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from checks.audit.concurrency import clients_at_once_are_answered, others_do_not_wait
from checks.audit.delivery import connections_are_kept, static_files_are_cacheable, text_is_compressed
from checks.audit.performance import _judged, health_is_fast, history_has_a_limit, list_is_fast
from checks.audit.sampling import NEEDED, Sampling, Talk, sampled
from checks.launches import Bot
from checks.model import Outcome, Reason, Verdict
from checks.text import clean
from tests.checks.audit.answering import Answering, Asked, Said, answering, said
from tests.checks.audit.contexts import context_of, target_at
from tests.checks.audit.test_rate_limits import limited
from tests.checks.servers import Talk as RawTalk
from tests.checks.servers import http, listening, saying

OK = said({"status": "ok"})
LIMIT_S = 0.05


async def judged(check: Any, answer: Answering, folder: Path, **audit: float) -> tuple[Outcome, int]:
    """What the check finds of a controller that answers so, and how many requests it took."""
    async with answering(answer) as server, context_of(limited(server.url, {}, audit), folder) as context:
        return await check(context), len(server.asked)


def answers(*seconds: float, lag_s: float = 0.0, problem: str = "") -> Sampling:
    """Samples."""
    return Sampling(list(seconds), clean(problem), Reason.TIMEOUT if problem else Reason.MET, lag_s)


@pytest.mark.parametrize(
    ("found", "verdict", "text"),
    [
        (answers(*[0.01] * 32), Verdict.PASS, "p95 10 ms (80 % sure: at most 10 ms), n 32, limit 50 ms"),
        (answers(*[0.01] * 31), Verdict.INCONCLUSIVE, "31 samples are too few"),
        (answers(*[0.01] * 31, 0.06), Verdict.INCONCLUSIVE, "too close to the limit to be sure"),
        (answers(*[0.01] * 58, 0.06), Verdict.PASS, "n 59"),
        (answers(*[0.01] * 42, *[0.06] * 3), Verdict.INCONCLUSIVE, "too close to the limit to be sure"),
        (answers(*[0.01] * 41, *[0.06] * 4), Verdict.FAIL, "80 % sure: at least 60 ms"),
        (answers(*[0.06] * 6), Verdict.FAIL, "n 6"),
        (answers(*[0.06] * 2), Verdict.INCONCLUSIVE, "2 samples are too few"),
        (answers(*[0.06] * 45, lag_s=0.03), Verdict.INCONCLUSIVE, "gonogo itself was late by 30 ms"),
        (answers(*[0.01] * 45, lag_s=0.03), Verdict.PASS, "n 45"),
        (answers(), Verdict.INCONCLUSIVE, "nothing was asked in time"),
        (answers(0.06, problem="no answer"), Verdict.INCONCLUSIVE, "timed only 1 times: no answer"),
    ],
)
async def test_the_verdict_follows_from_the_bounds(
    tmp_path: Path, found: Sampling, verdict: Verdict, text: str
) -> None:
    async with context_of(target_at("http://127.0.0.1:9"), tmp_path) as context:
        outcome = _judged(context, "Health", found, LIMIT_S)
    assert (outcome.verdict, text in outcome.summary) == (verdict, True), outcome.summary


async def test_only_what_the_run_has_not_timed_yet_is_asked(tmp_path: Path) -> None:
    async def answer(asked: Asked) -> Said:
        return OK

    async with answering(answer) as server, context_of(target_at(server.url), tmp_path) as context:
        context.http.meter.latencies_s["health"] = [0.001] * (NEEDED - 5)
        found = await sampled(context, "health", 1.0)
        assert (len(found.seconds), len(server.asked)) == (NEEDED, 5)


async def test_what_is_clearly_too_slow_is_not_asked_for_long(tmp_path: Path) -> None:
    async def answer(asked: Asked) -> Said:
        await asyncio.sleep(0.2)
        return said({"success": True, "bots": {}})

    outcome, requests = await judged(list_is_fast, answer, tmp_path, list_p95_s=LIMIT_S)
    assert outcome.verdict is Verdict.FAIL
    assert requests == 6


async def test_no_client_asks_more_than_half_of_what_is_declared(tmp_path: Path) -> None:
    asked_at: dict[str, list[float]] = defaultdict(list)

    async def answer(asked: Asked) -> Said:
        asked_at[asked.client].append(time.monotonic())
        return said({"success": True, "bots": {}})

    async with (
        answering(answer) as server,
        context_of(limited(server.url, {"bots": "4/1"}), tmp_path) as context,
    ):
        found = await sampled(context, "bots", 1.0)
    assert len(found.seconds) == NEEDED
    for times in asked_at.values():
        assert all(later - first > 0.4 for first, later in zip(times, times[2:], strict=False)), times


async def test_where_the_limit_allows_too_few_nothing_is_judged(tmp_path: Path) -> None:
    async def answer(asked: Asked) -> Said:
        return said({"success": True, "bots": {}})

    async with (
        answering(answer) as server,
        context_of(limited(server.url, {"bots": "2/300"}), tmp_path) as context,
    ):
        outcome = _judged(context, "The list", await sampled(context, "bots", 1.0), 1.0)
    assert outcome.verdict is Verdict.INCONCLUSIVE
    assert "19 samples are too few" in outcome.summary


@pytest.mark.parametrize("status", [429, 500])
async def test_answers_that_are_no_success_end_the_sampling(tmp_path: Path, status: int) -> None:
    async def answer(asked: Asked) -> Said:
        return said({"detail": "no"}, status)

    outcome, requests = await judged(health_is_fast, answer, tmp_path)
    assert outcome.verdict is Verdict.INCONCLUSIVE
    assert requests < 20


async def test_a_controller_that_never_answers_fails_nothing_and_takes_no_time(tmp_path: Path) -> None:
    async def answer(asked: Asked) -> Said:
        await asyncio.sleep(60)
        return OK

    began = time.monotonic()
    outcome, requests = await judged(health_is_fast, answer, tmp_path)
    assert outcome.verdict is Verdict.INCONCLUSIVE
    assert requests <= 3
    assert time.monotonic() - began < 10


def in_turn(seconds: float, *, when: str) -> Answering:
    """A controller that works on a request whose path holds `when` so long, and on nothing else meanwhile."""
    turn = asyncio.Lock()

    async def answer(asked: Asked) -> Said:
        async with turn:
            if when in asked.path:
                await asyncio.sleep(seconds)
        return OK if "health" in asked.path else said({"detail": "no"}, 401)

    return answer


async def test_a_slow_sign_in_that_stops_everything_is_found(tmp_path: Path) -> None:
    outcome, _ = await judged(others_do_not_wait, in_turn(0.08, when="login"), tmp_path, health_p95_s=0.1)
    assert outcome.verdict is Verdict.FAIL
    assert "passwords are checked, health waits up to" in outcome.summary


async def test_a_slow_sign_in_that_stops_nobody_passes(tmp_path: Path) -> None:
    async def answer(asked: Asked) -> Said:
        if "login" in asked.path:
            await asyncio.sleep(0.15)
            return said({"detail": "no"}, 401)
        return OK

    outcome, requests = await judged(others_do_not_wait, answer, tmp_path)
    assert outcome.verdict is Verdict.PASS, outcome
    assert requests <= 1 + 5 + 6


async def test_sign_ins_that_are_throttled_prove_nothing(tmp_path: Path) -> None:
    async def answer(asked: Asked) -> Said:
        return said({"detail": "no"}, 429) if "login" in asked.path else OK

    outcome, _ = await judged(others_do_not_wait, answer, tmp_path)
    assert (outcome.verdict, outcome.reason) == (Verdict.INCONCLUSIVE, Reason.CONTROL)


@pytest.mark.parametrize(("seconds", "verdict"), [(0.02, Verdict.FAIL), (0.0, Verdict.PASS)])
async def test_ten_clients_at_once(tmp_path: Path, seconds: float, verdict: Verdict) -> None:
    outcome, _ = await judged(
        clients_at_once_are_answered, in_turn(seconds, when="health"), tmp_path, health_p95_s=0.12
    )
    assert outcome.verdict is verdict, outcome


@pytest.mark.parametrize(
    ("count", "verdict"), [(2, Verdict.PASS), (3, Verdict.FAIL), (0, Verdict.INCONCLUSIVE)]
)
async def test_a_history_is_no_longer_than_asked_for(tmp_path: Path, count: int, verdict: Verdict) -> None:
    async def answer(asked: Asked) -> Said:
        messages = [{"role": "user", "content": "x" * 400}] * count
        return said({"success": True, "messages": messages})

    async with answering(answer) as server, context_of(target_at(server.url), tmp_path) as context:
        talk = context.state(Talk)
        talk.bot, talk.sampling = Bot("BOT-1"), answers(0.1, 0.1)
        outcome = await history_has_a_limit(context)
    assert outcome.verdict is verdict, outcome
    assert all(len(one.body) < 2000 for one in outcome.evidence)


PAGE = b'<script src="/static/app.js"></script>' + b" " * 2000


def site(**file: str) -> Answering:
    """A page with one script; `file` are the script's headers."""
    headers = {name.replace("_", "-"): value for name, value in file.items()}

    async def answer(asked: Asked) -> Said:
        if asked.path == "/":
            return Said(200, PAGE, {"Content-Type": "text/html"})
        is_known = asked.headers.get("if-none-match") == '"1"' and headers.get("ETag") == '"1"'
        return Said(
            304 if is_known else 200, b"let x\n" * 400, {"Content-Type": "text/javascript", **headers}
        )

    return answer


async def test_text_that_comes_uncompressed_is_named(tmp_path: Path) -> None:
    outcome, requests = await judged(text_is_compressed, site(), tmp_path)
    assert outcome.verdict is Verdict.FAIL
    assert "/, /static/app.js" in outcome.summary
    assert requests == 2


async def test_what_is_not_worth_compressing_need_not_be(tmp_path: Path) -> None:
    async def answer(asked: Asked) -> Said:
        return Said(200, b"<p>short</p>", {"Content-Type": "text/html"})

    outcome, _ = await judged(text_is_compressed, answer, tmp_path)
    assert outcome.verdict is Verdict.NA


@pytest.mark.parametrize(
    ("file", "verdict"),
    [
        ({"ETag": '"1"', "Cache_Control": "no-cache"}, Verdict.PASS),
        ({"Cache_Control": "public, max-age=60"}, Verdict.PASS),
        ({"Cache_Control": "max-age=0"}, Verdict.FAIL),
        ({"ETag": '"1"', "Cache_Control": "no-store"}, Verdict.FAIL),
        ({"ETag": '"of a moment"'}, Verdict.FAIL),
        ({}, Verdict.FAIL),
    ],
)
async def test_static_files_may_be_kept(tmp_path: Path, file: dict[str, str], verdict: Verdict) -> None:
    outcome, _ = await judged(static_files_are_cacheable, site(**file), tmp_path)
    assert outcome.verdict is verdict, outcome


BODY = b'{"status": "ok"}'
KEPT = http(BODY).replace(b"Connection: close\r\n", b"")
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"


def repeatedly(raw: bytes, times: int = 2) -> RawTalk:
    """Answer `raw` to so many requests, then close."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(times):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(raw)
            await writer.drain()

    return talk


@pytest.mark.parametrize(
    ("talk", "verdict", "text"),
    [
        (repeatedly(KEPT), Verdict.PASS, "on the connection of the first"),
        (repeatedly(CHUNKED), Verdict.PASS, "on the connection of the first"),
        (saying(http(BODY)), Verdict.FAIL, "the answer says that the connection is to be closed"),
        (saying(KEPT), Verdict.FAIL, "closed after the answer, without a word"),
        (saying(KEPT.replace(b"HTTP/1.1", b"HTTP/1.0")), Verdict.FAIL, "is to be closed"),
        (saying(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), Verdict.INCONCLUSIVE, "not HTTP/1.1"),
        (saying(b""), Verdict.INCONCLUSIVE, "closed before an answer came"),
        (repeatedly(b"HTTP/1.1 200 OK\r\n", 9), Verdict.INCONCLUSIVE, "no two answers came within 1 s"),
        (saying(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200_000), Verdict.INCONCLUSIVE, "not HTTP/1.1"),
    ],
)
async def test_a_connection_is_asked_twice(
    tmp_path: Path, talk: RawTalk, verdict: Verdict, text: str
) -> None:
    async with (
        listening(talk) as port,
        context_of(target_at(f"http://127.0.0.1:{port}"), tmp_path) as context,
    ):
        outcome = await connections_are_kept(context)
    assert (outcome.verdict, text in outcome.summary) == (verdict, True), outcome.summary


async def test_without_leave_nothing_is_done_at_once(tmp_path: Path) -> None:
    async with context_of(target_at("http://192.0.2.1"), tmp_path) as context:
        for check in (others_do_not_wait, clients_at_once_are_answered, history_has_a_limit):
            outcome = await check(context)
            assert (outcome.verdict, outcome.reason) == (Verdict.INCONCLUSIVE, Reason.NO_RIGHT)
        assert context.http.meter.requests == 0
