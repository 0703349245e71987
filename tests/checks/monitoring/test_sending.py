"""The process that sends, over its real pipes: what it answers, what it keeps to itself, and when it ends."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from checks.monitoring.sending import Answer, Job, Sender, environment, line, read_answer, read_job
from checks.text import clean
from tests.checks.monitoring.watched import Webhook
from tests.checks.servers import http, listening

WITHIN_S = 60.0
TOKEN = "s3cr3t-T0ken"
SECRETS = (TOKEN, "pa55word", "user-name", "quer1secret")


@asynccontextmanager
async def sending(environ: dict[str, str] | None = None) -> AsyncIterator[asyncio.subprocess.Process]:
    """The process, ended at the end of the block as a watch that dies would end it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "checks.monitoring.sending",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env=environment({**os.environ, **(environ or {})}),
    )
    try:
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        async with asyncio.timeout(WITHIN_S):
            assert await process.wait() == 0


async def answered(process: asyncio.subprocess.Process, *jobs: Job) -> dict[str, Answer]:
    """What it answers to these jobs, by id."""
    assert process.stdin is not None
    assert process.stdout is not None
    for job in jobs:
        process.stdin.write(line(job))
    async with asyncio.timeout(WITHIN_S):
        found = [read_answer(await process.stdout.readline()) for _ in jobs]
    return {answer.id: answer for answer in found}


def job(identity: str, url: str, title: str = "FIRING critical: Error rate", body: str = "It fails.") -> Job:
    return Job(identity, url, title, body)


async def test_what_a_channel_takes_is_sent_as_it_is_and_what_it_refuses_is_told_without_secrets() -> None:
    webhook, refusing = Webhook(), f"wrong {TOKEN}".encode()

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(http(refusing + b" \x1b[31m<b>", status="403 Forbidden"))
        await writer.drain()

    hostile = 'a\x1b[31m "quoted" \\n :smile: @everyone <b>bold</b>\nBcc: x'
    async with listening(webhook.talk) as port, listening(refuse) as other, sending() as process:
        proper = f"user-name:pa55word@127.0.0.1:{port}/{TOKEN}?-tok=quer1secret"
        found = await answered(
            process,
            job("good", f"json://{proper}", hostile, hostile),
            job("refused", f"json://user-name:pa55word@127.0.0.1:{other}/{TOKEN}/?-tok=quer1secret"),
            job("nobody", f"json://user-name:pa55word@127.0.0.1:1/{TOKEN}?-tok=quer1secret"),
            job("unknown", f"nosuch://user-name:pa55word@{TOKEN}/?-tok=quer1secret"),
            job("no url", TOKEN),
            job("token as host", f"slack://{TOKEN}/pa55word"),
            job("two", f"json://127.0.0.1:{port}/{TOKEN},json://127.0.0.1:{port}/b"),
        )
    assert found["good"].ok
    assert [to for to, _ in webhook.got] == [f"{TOKEN}?tok=quer1secret"]
    title, body = webhook.got[0][1].split("\n", 1)
    assert title == str(clean('a\x1b[31m "quoted" \\n :smile: @everyone <b>bold</b> Bcc: x'))
    assert body == str(clean(hostile))

    assert not any(found[name].ok for name in found if name != "good")
    assert "error=403" in found["refused"].answer
    assert "wrong ***" in found["refused"].answer
    assert found["nobody"].answer.endswith("127.0.0.1: Connection refused")
    assert {name for name in found if found[name].is_final} == {"unknown", "no url", "token as host", "two"}
    assert "2 channels" in found["two"].answer
    assert not any(answer.is_unsure for answer in found.values())
    for answer in found.values():
        assert not [secret for secret in SECRETS if secret.lower() in answer.answer.lower()], answer
        assert answer.answer == clean(answer.answer)


async def test_a_proxy_is_not_asked_for_loopback() -> None:
    webhook = Webhook()
    proxies = dict.fromkeys(("http_proxy", "HTTP_PROXY", "ALL_PROXY"), "http://127.0.0.1:1")
    async with listening(webhook.talk) as port, sending({**proxies, "NO_PROXY": "corp.example"}) as process:
        found = await answered(
            process,
            job("1", f"json://127.0.0.1:{port}/a"),
            job("2", f"json://localhost:{port}/b"),
        )
    assert [found[name].answer for name in "12" if not found[name].ok] == []
    assert sorted(to for to, _ in webhook.got) == ["a", "b"]


def test_the_process_gets_no_secret_of_the_watch() -> None:
    found = environment(
        {"PATH": "/bin", "GONOGO_NOTIFY_ON_CALL": TOKEN, "no_proxy": "corp.example", "PGPASSWORD": "x"}
    )
    assert found == {"PATH": "/bin", "no_proxy": "corp.example,localhost,127.0.0.0/8,::1"}


async def test_a_channel_that_hangs_holds_up_no_other() -> None:
    """The one that hangs is let go only when the others have answered."""
    webhook, others_are_done = Webhook(), asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await others_are_done.wait()
        writer.write(http(b"{}"))
        await writer.drain()

    async with listening(webhook.talk) as port, listening(hang) as slow, sending() as process:
        assert process.stdin is not None
        process.stdin.write(line(job("slow", f"json://127.0.0.1:{slow}/slow")))
        found = await answered(process, *(job(str(n), f"json://127.0.0.1:{port}/{n}") for n in range(6)))
        assert sorted(found) == [str(n) for n in range(6)]
        others_are_done.set()
        assert (await answered_next(process)).id == "slow"
    assert len(webhook.got) == 6


async def answered_next(process: asyncio.subprocess.Process) -> Answer:
    assert process.stdout is not None
    async with asyncio.timeout(WITHIN_S):
        return read_answer(await process.stdout.readline())


async def test_a_channel_that_is_cut_off_before_it_answers_may_have_taken_it() -> None:
    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")

    async def late(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        await asyncio.sleep(WITHIN_S)

    async with listening(cut) as port, listening(late) as slow, sending() as process:
        found = await answered(
            process,
            job("cut", f"json://127.0.0.1:{port}/x"),
            job("late", f"json://127.0.0.1:{slow}/x?rto=0.2"),
        )
    for answer in found.values():
        assert not answer.ok
        assert answer.is_unsure
        assert not answer.is_final


async def test_what_is_no_job_does_not_stop_it() -> None:
    webhook = Webhook()
    async with listening(webhook.talk) as port, sending() as process:
        assert process.stdin is not None
        process.stdin.write(b'not json\n{"id": 1}\n[]\n\xff\xfe\n\n')
        found = await answered(process, job("after", f"json://127.0.0.1:{port}/x"))
    assert found["after"].ok


async def test_it_ends_with_its_input_though_a_channel_hangs() -> None:
    was_asked = asyncio.Event()

    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        was_asked.set()
        await asyncio.sleep(WITHIN_S * 10)

    async with listening(hang) as port, sending() as process:
        assert process.stdin is not None
        process.stdin.write(line(job("1", f"json://127.0.0.1:{port}/x?rto=600")))
        async with asyncio.timeout(WITHIN_S):
            await was_asked.wait()
    assert process.returncode == 0


def test_it_ends_with_its_parent_though_its_input_stays_open() -> None:
    """A parent that is killed, while another process still holds the pipe."""
    reading, writing = os.pipe()
    told, telling = os.pipe()
    start = (
        "import subprocess, sys, time\n"
        f"child = subprocess.Popen([sys.executable, '-m', 'checks.monitoring.sending'], stdin={reading}, "
        f"stdout={telling}, stderr=subprocess.DEVNULL)\n"
        "print(child.pid, flush=True)\n"
        "time.sleep(600)\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", start], stdout=subprocess.PIPE, pass_fds=(reading, telling), text=True
    )
    try:
        os.close(reading)
        os.close(telling)
        assert parent.stdout is not None
        assert int(parent.stdout.readline()) > 0
        os.write(writing, line(job("1", "nosuch://x")))
        assert b'"id": "1"' in os.read(told, 65536)  # it works
        parent.kill()
        parent.wait()
        # Its end of the pipe is closed by its end alone; the test's own time limit bounds this.
        assert os.read(told, 1) == b""
    finally:
        parent.kill()
        parent.wait()
        if parent.stdout is not None:
            parent.stdout.close()
        os.close(writing)
        os.close(told)


def test_a_job_that_never_ends_is_answered_as_unsure_and_gives_its_place_away() -> None:
    """More hang than there are places; each is answered, and the one behind them is sent."""
    never, all_answered, answers = threading.Event(), threading.Event(), list[Answer]()

    threads: list[threading.Thread] = []

    def send(one: Job) -> Answer:
        threads.append(threading.current_thread())
        if one.id.startswith("hangs"):
            never.wait()
        return Answer(one.id, ok=True, answer=clean("sent"), took_s=0.0)

    def write(answer: Answer) -> None:
        answers.append(answer)
        if len(answers) == 6:
            all_answered.set()

    sender = Sender(write, send=send, limit_s=0.2)
    try:
        for name in ("hangs 1", "hangs 2", "hangs 3", "hangs 4", "hangs 5", "good"):
            sender.take(job(name, "json://127.0.0.1:1"))
        assert all_answered.wait(WITHIN_S)
    finally:
        never.set()
    for thread in threads:
        thread.join(WITHIN_S)
    assert len(answers) == 6  # what came of the late ones is not heard
    assert {answer.id for answer in answers} == {
        "hangs 1",
        "hangs 2",
        "hangs 3",
        "hangs 4",
        "hangs 5",
        "good",
    }
    assert all(answer.is_unsure and not answer.ok for answer in answers if answer.id != "good")
    assert [answer.ok for answer in answers if answer.id == "good"] == [True]


def test_jobs_and_answers_survive_the_pipe() -> None:
    one = Job("i\n", "json://x/ü", "t\nü\ud800", 'b"\n')
    assert line(one).count(b"\n") == 1
    assert read_job(line(one)) == one
    answer = Answer("i", ok=False, answer=clean("no"), took_s=0.5, is_unsure=True)
    assert read_answer(line(answer)) == answer
    assert TOKEN not in repr(Job("i", TOKEN, "t", "b"))


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b'{"id": 1, "ok": true}', b"\xff"])
def test_what_is_no_answer_is_refused(raw: bytes) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        read_answer(raw)
