"""The terminal's door: what is refused, what is replaced, how it is left, and the private names it relies on."""

from __future__ import annotations

import io
import os
import pty
import termios

import pytest
from rich.segment import Segment
from textual.color import Color
from textual.drivers.linux_driver import LinuxDriver

from console.terminal import LEAVE, QuietApp, StandIns, Terminal, unfit


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environ", "streams", "told"),
    [
        pytest.param({"TERM": "xterm"}, (Tty(), Tty()), "", id="fine"),
        pytest.param({"TERM": "xterm"}, (Tty(), io.StringIO()), "this is none", id="a pipe"),
        pytest.param({"TERM": "xterm"}, (Tty(), None), "this is none", id="closed"),
        pytest.param({"TERM": "dumb"}, (Tty(),), "TERM is dumb", id="dumb"),
        pytest.param({}, (Tty(),), "TERM is not set", id="unset"),
    ],
)
def test_what_will_not_do_is_said_in_one_line(
    environ: dict[str, str], streams: tuple[io.StringIO | None, ...], told: str
) -> None:
    sentence = unfit(environ, streams)
    assert told in sentence
    assert bool(sentence) == bool(told)
    assert "\n" not in sentence
    assert not told or "gonogo run" in sentence


def test_what_the_encoding_lacks_is_replaced_width_for_width() -> None:
    stand_ins = StandIns("ascii")
    assert stand_ins.text("┌─┐│✔ pass ✘ ● · → ▸ █") == "+-+|+ pass x * - > > #"
    assert stand_ins.text("漢") == "??"
    assert StandIns("latin-1").text("é · ✔") == "é · +"
    [plain, replaced] = stand_ins.apply([Segment("ok"), Segment("é")], Color(0, 0, 0))
    assert (plain.text, replaced.text) == ("ok", "?")


async def test_a_crash_is_kept_and_nothing_of_it_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    class Crashing(QuietApp):
        def on_mount(self) -> None:
            secret = "a secret in a local variable"
            raise RuntimeError(f"crashed with {len(secret)}")

    app = Crashing()
    with pytest.raises(RuntimeError, match="crashed"):
        async with app.run_test():
            pass
    assert isinstance(app.crash, RuntimeError)
    assert app.return_code == 1
    printed = capfd.readouterr()
    assert "secret" not in printed.out + printed.err


async def test_the_private_names_that_we_use_are_there() -> None:
    app = QuietApp()
    async with app.run_test():
        assert app._driver is not None
        assert app._exception is None
    assert callable(QuietApp.__mro__[1]._fatal_error)  # type: ignore[attr-defined]
    assert callable(LinuxDriver.disable_input)
    app.deafen()  # harmless without a terminal


def test_a_terminal_is_given_back_even_when_nobody_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    master, slave = pty.openpty()
    with os.fdopen(slave, "r+b", buffering=0) as stream:
        monkeypatch.setattr("sys.__stdin__", stream)
        monkeypatch.setattr("sys.__stdout__", None)
        monkeypatch.setattr("sys.__stderr__", None)
        before = termios.tcgetattr(slave)
        terminal = Terminal()
        raw = termios.tcgetattr(slave)
        raw[3] &= ~(termios.ECHO | termios.ICANON)
        termios.tcsetattr(slave, termios.TCSANOW, raw)
        os.set_blocking(slave, False)
        with pytest.raises(BlockingIOError):
            while True:
                os.write(slave, b"x" * 4096)
        terminal.restore()
        assert termios.tcgetattr(slave)[3] == before[3]
        left = b""
        while not left.endswith(LEAVE.encode()):
            left += os.read(master, 1 << 16)
    os.close(master)
    assert b"\x1b[?1049l" in left


def test_what_is_no_terminal_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    with open(os.devnull) as nothing:  # noqa: PTH123
        monkeypatch.setattr("sys.__stdin__", nothing)
        Terminal().restore()
