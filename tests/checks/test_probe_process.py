"""The process probe tells a bot's own process from every other, and ends no other."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from checks.probe.process import Identity, ProcessProbe
from checks.probe.redaction import Redactor

BOT = "BOT-999999901"
LISTENING = """
import socket, sys
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
sys.stdin.read()
"""


@pytest.fixture
def probe() -> ProcessProbe:
    return ProcessProbe(Redactor(["canary-key"]))


@pytest.fixture
def bot() -> Iterator[tuple[int, int]]:
    """A process that carries the id and listens: its pid and port."""
    command = [sys.executable, "-c", LISTENING, "--id", BOT, "--api-key=canary-key"]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        assert process.stdout
        yield process.pid, int(process.stdout.readline())
        process.kill()


async def test_a_live_process_on_its_own_port_is_seen(probe: ProcessProbe, bot: tuple[int, int]) -> None:
    seen = await probe.look(*bot)
    assert seen.identity
    assert seen.identity.pid == bot[0]
    assert seen.listening
    assert BOT in seen.command_line
    assert "canary-key" not in seen.evidence.body
    assert probe.carries(seen.identity, BOT) is True
    assert probe.carries(seen.identity, BOT[:-1]) is False, "a part of a word is another word"


@pytest.fixture
def other() -> Iterator[int]:
    """A process that has nothing to do with the bot."""
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process.pid
        process.kill()


async def test_another_process_s_port_is_not_its_own(
    probe: ProcessProbe, bot: tuple[int, int], other: int
) -> None:
    seen = await probe.look(other, bot[1])
    assert seen.identity
    assert not seen.listening
    assert "belongs to another process" in seen.evidence.title


async def test_a_process_that_ended_is_gone_even_as_a_zombie(
    probe: ProcessProbe, bot: tuple[int, int]
) -> None:
    identity = (await probe.look(*bot)).identity
    assert identity
    assert probe.end(identity, force=True) == ""
    deadline = time.monotonic() + 5
    while probe.is_alive(identity):  # nobody has waited for it: it stays as a zombie
        assert time.monotonic() < deadline
    seen = await probe.look(*bot)
    assert (seen.identity, seen.listening) == (None, False)
    assert probe.end(identity, force=True) == "it had already ended"
    assert probe.carries(identity, BOT) is False


def test_a_later_process_with_the_same_pid_is_another_one(probe: ProcessProbe, bot: tuple[int, int]) -> None:
    identity = probe.identity(bot[0])
    assert identity
    earlier = Identity(identity.pid, identity.created - 60)
    assert not probe.is_alive(earlier)
    assert probe.end(earlier, force=True) == "it had already ended"
    assert probe.is_alive(identity)


def test_a_process_is_found_by_the_word_it_carries_and_by_its_age(
    probe: ProcessProbe, bot: tuple[int, int]
) -> None:
    identity = probe.identity(bot[0])
    assert identity
    assert probe.find(BOT, identity.created) == bot[0]
    assert probe.find(BOT, identity.created + 5) is None
    assert probe.find("BOT-999999902", identity.created) is None


@pytest.mark.parametrize("pid", [None, 0, -1, 2**31, 2**70])
async def test_what_is_no_pid_is_no_process(probe: ProcessProbe, pid: int | None) -> None:
    seen = await probe.look(pid, None)
    assert (seen.identity, seen.listening) == (None, False)


def test_only_what_descends_from_the_controller_is_found(bot: tuple[int, int]) -> None:
    """An operator who searches the log for the bot's id is not the bot."""
    pid, port = bot
    created = ProcessProbe(Redactor()).identity(pid)
    assert created
    with socket.create_server(("127.0.0.1", 0)) as own:
        descends = ProcessProbe(Redactor(), port=own.getsockname()[1])  # the bot's parent listens there
        assert descends.find(BOT, created.created) == pid
    stranger = ProcessProbe(Redactor(), port=port)  # the bot itself listens there, and is nobody's child
    assert stranger.find(BOT, created.created) is None


def test_the_children_and_the_port_of_a_process_are_seen(probe: ProcessProbe, bot: tuple[int, int]) -> None:
    own = probe.identity(os.getpid())
    found = probe.identity(bot[0])
    assert own
    assert found
    assert found in probe.children(own)
    assert probe.children(found) == []
    assert probe.port_of(found) == bot[1]
