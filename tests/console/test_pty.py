"""The console in a real terminal on the real demo target: signals, a cut line, a stalled one, kill -9."""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.console.terminal import Session

pytestmark = pytest.mark.pty
GONOGO = (sys.executable, "-m", "console.cli")
CODES = {signal.SIGTERM: 143, signal.SIGINT: 130, signal.SIGHUP: 129}
WITHIN_S = 2.0
"""From the signal to the end of the process, as promised."""

Start = Callable[..., Session]


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A demo target that outlives the consoles under test."""
    data = tmp_path_factory.mktemp("demo")
    served = subprocess.Popen(
        [*GONOGO, "demo", "--serve", "--port", "0", "--data", str(data)], stdout=subprocess.PIPE, text=True
    )
    assert served.stdout is not None
    yield json.loads(served.stdout.readline())
    served.terminate()
    assert served.wait(10) == 0
    served.stdout.close()


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A plain terminal, and a state folder of the test's own."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return kept | {"TERM": "xterm-256color", "LANG": "C.UTF-8", "GONOGO_STATE_DIR": str(tmp_path / "state")}


@pytest.fixture
def start(target: dict[str, str], environment: dict[str, str]) -> Iterator[Start]:
    """Starts the console on the target, ready for keys."""
    sessions: list[Session] = []

    def begin(*, columns: int = 100, rows: int = 30) -> Session:
        session = Session([*GONOGO, "--profile", target["profile"]], environment, columns=columns, rows=rows)
        sessions.append(session)
        session.until("WALK-01")
        session.until(r"Sign-off · undecided\s*$|\[1 Walk[^…]*$")
        return session

    yield begin
    for session in sessions:
        session.__exit__()


def processes_of(target: dict[str, str], environment: dict[str, str]) -> list[str]:
    """Bots of the target and guards of the test's reviews that are still there."""
    found = [f"bot {pid}" for pid in children(int(target["pid"]))]
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if "checks.guard" in line and environment["GONOGO_STATE_DIR"] in line:
                found.append(line)
    return found


def until_none_is_left(target: dict[str, str], environment: dict[str, str], within_s: float = 5.0) -> None:
    """Wait for the guard to have stopped what it must."""
    deadline = time.monotonic() + within_s
    while left := processes_of(target, environment):
        assert time.monotonic() < deadline, left
        time.sleep(0.05)


def children(pid: int) -> list[int]:
    """Process ids of the children."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def kinds(environment: dict[str, str]) -> list[str]:
    """What the journal recorded, in order."""
    code = (
        "import sys; from pathlib import Path; from checks.journal import Journal; p = Path(sys.argv[1]);"
        "j = Journal.open(p, review=p.parent.name, actor='t@t', read_only=True);"
        "print(*(e.kind.value for e in j.entries()), *(f'ALTERED:{x}' for x in j.verify())); j.close()"
    )
    [path] = Path(environment["GONOGO_STATE_DIR"]).glob("reviews/*/journal.db")
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    return done.stdout.split()


def begin_run(session: Session) -> None:
    """Start a run, and wait until a bot is launched."""
    session.press("R")
    session.until(r"running WALK-(0[5-9]|1\d)")


@pytest.mark.parametrize("number", CODES, ids=lambda number: number.name)
@pytest.mark.parametrize("is_running", [False, True], ids=["at rest", "mid-run"])
def test_a_signal_ends_it_with_everything_in_order(
    start: Start,
    target: dict[str, str],
    environment: dict[str, str],
    number: signal.Signals,
    is_running: bool,
) -> None:
    session = start()
    if is_running:
        begin_run(session)
    session.signal(number)
    assert session.ends(4) < WITHIN_S
    assert session.status == CODES[number]
    assert session.left_on() == set()
    assert session.is_cooked()
    recorded = kinds(environment)
    assert recorded[-1] == "session-closed"
    assert not [word for word in recorded if word.startswith("ALTERED")]
    if is_running:
        assert recorded.count("run-started") == recorded.count("run-finished") == 1
    until_none_is_left(target, environment)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_while_it_is_opening_ends_it(
    target: dict[str, str], environment: dict[str, str], number: signal.Signals
) -> None:
    with Session([*GONOGO, "--profile", target["profile"]], environment) as session:
        session.until("opening the review")
        session.signal(number)
        assert session.ends(4) < WITHIN_S
        assert session.status == CODES[number]
        assert session.left_on() == set()
        assert session.is_cooked()


def test_the_demo_ends_with_its_console(environment: dict[str, str]) -> None:
    with Session([*GONOGO, "demo", "--port", "0"], environment) as session:
        session.until("WALK-01")
        session.until(r"5 Sign-off ·[^\n]*\n")
        begin_run(session)
        [child, *_] = children(session.pid)
        session.hang_up()
        assert session.ends(4) < WITHIN_S
        deadline = time.monotonic() + 5
        while Path(f"/proc/{child}").exists():
            assert time.monotonic() < deadline
            time.sleep(0.02)


def test_ctrl_z_gives_the_terminal_back_and_comes_again(start: Start) -> None:
    session = start()
    session.press("\x1a")
    deadline = time.monotonic() + 5
    while Path(f"/proc/{session.pid}/stat").read_text().rpartition(") ")[2][0] != "T":
        assert time.monotonic() < deadline
        session.pump()
    for _ in range(20):
        session.pump(0.005)
    assert session.left_on() == set()
    assert session.is_cooked()
    session.signal(signal.SIGCONT)
    deadline = time.monotonic() + 5
    while "alternate screen" not in session.left_on():
        assert time.monotonic() < deadline
        session.pump()
    session.press("5")
    session.until("Nothing is decided yet")
    session.press("q")
    session.ends(5)
    assert session.status == 0


@pytest.mark.parametrize(
    ("fault", "code", "told"),
    [
        ("raise RuntimeError('a secret')", 20, r"internal error \(RuntimeError at .*the journal is kept"),
        (
            "raise IntegrityError('Entry 3 of the journal was altered.')",
            21,
            "Entry 3 of the journal was altered",
        ),
        (
            "Walkthrough.show = lambda self: 1 // 0; return target()",
            20,
            r"internal error \(ZeroDivisionError at",
        ),
    ],
    ids=["the engine breaks", "the journal is altered", "the app breaks"],
)
def test_what_breaks_is_told_in_one_sentence_on_a_terminal_in_order(
    target: dict[str, str], environment: dict[str, str], fault: str, code: int, told: str
) -> None:
    script = f"""
import sys
import console.cli, console.commands.target as commands
from checks.model import IntegrityError
from screens.walkthrough import Walkthrough
def target(original=commands.target_to_run, path={target["profile"]!r}):
    from pathlib import Path
    return original(Path(path))
def broken(profile):
    {fault}
commands.target_to_run = broken
sys.exit(console.cli.run_command([]))
"""
    with Session([sys.executable, "-c", script], environment, columns=160) as session:
        session.ends(15)
        assert session.status == code
        assert session.left_on() == set()
        assert session.is_cooked()
        assert re.search(told, session.text)
        assert "Traceback" not in session.text
        assert "a secret" not in session.text


@pytest.mark.parametrize("is_running", [False, True], ids=["at rest", "mid-run"])
def test_a_line_that_is_cut_ends_it_too(
    start: Start, target: dict[str, str], environment: dict[str, str], is_running: bool
) -> None:
    session = start()
    if is_running:
        begin_run(session)
    session.hang_up()
    assert session.ends(4) < WITHIN_S
    assert session.status == 129
    assert kinds(environment)[-1] == "session-closed"
    until_none_is_left(target, environment)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_terminal_that_nobody_reads_cannot_hold_it_up(
    start: Start, environment: dict[str, str], number: signal.Signals
) -> None:
    session = start(columns=200, rows=50)
    for key in "515151515151515151515151515151515151515151515151515151515151":
        session.press(key)
    session.rests()  # nothing is read: the terminal's buffer is full, and then the app's queue of writes
    session.signal(number)
    assert session.ends(4, is_reading=False) < WITHIN_S + 0.3
    assert session.status == CODES[number]
    for _ in range(200):
        session.pump(0.005)
    assert session.left_on() == set()
    assert session.is_cooked()
    assert kinds(environment)[-1] == "session-closed"


def test_kill_9_is_told_at_the_next_start_and_leaves_nothing(
    start: Start, target: dict[str, str], environment: dict[str, str]
) -> None:
    session = start()
    begin_run(session)
    assert processes_of(target, environment)
    session.signal(signal.SIGKILL)
    session.ends(2)
    again = start()
    again.until("interrupted")
    again.press("5")
    again.until("Interrupted runs")
    until_none_is_left(target, environment, within_s=25)
    again.press("q")
    again.ends(5)
    assert again.status == 0


def test_a_review_from_start_to_reports_by_keys_alone(
    target: dict[str, str], environment: dict[str, str], tmp_path: Path
) -> None:
    command = [
        "/bin/sh",
        "-c",
        'cd "$1"; shift; exec "$@"',
        "sh",
        str(tmp_path),
        *GONOGO,
        "--profile",
        target["profile"],
    ]
    with Session(command, environment | {"PYTHONPATH": str(Path.cwd())}, columns=80, rows=24) as session:
        session.until("WALK-01")
        session.until(r"5 Sign-off ·[^\n]*\n")
        session.press("R")
        session.until(r"running WALK-14", 40)
        session.until(r"\[1 Walkthrough ✔ 14/14\]  2 Audit ·[^\n]*3 Load ·[^\n]*5 Sign-off ·", 40)
        session.press("2R")
        session.until("checks would disturb https?://127.0.0.1")
        session.press("\r")
        session.until(r"\d+ of \d+ done")
        session.until(r"\A(?![\s\S]*(of \d+ done|stopping))[\s\S]*2 Audit ✘", 60)
        session.press("5b")
        session.until("You decide")
        session.press("Seen it work.\r")
        session.until("enter records NO-GO")
        session.press("\r")
        session.until("Recorded: NO-GO as entry")
        session.press("w")
        session.until("Reports written")
        session.press("q")
        session.ends(5)
        assert session.status == 0
    assert list(tmp_path.glob(".deia/reports/*SIGN-OFF.md"))


def test_a_second_console_reads_only_and_follows_the_first(start: Start) -> None:
    first, second = start(columns=160), start(columns=160)
    second.until("READ-ONLY, held by")
    second.press("R")
    second.until("Cannot run")
    first.press("R")
    first.until("running WALK-14", 40)
    second.until(r"Walkthrough ✔ 14/14", 40)
    for session in (first, second):
        session.press("q")
    second.ends(5)
    assert second.status == 0


@pytest.mark.parametrize(
    ("changes", "told"),
    [({"TERM": "dumb"}, "TERM is dumb"), ({"TERM": ""}, "TERM is not set")],
    ids=["dumb", "unset"],
)
def test_a_terminal_that_will_not_do_is_refused_in_one_line(
    target: dict[str, str], environment: dict[str, str], changes: dict[str, str], told: str
) -> None:
    with Session([*GONOGO, "--profile", target["profile"]], environment | changes) as session:
        session.ends(10)
        assert session.status == 2
        assert re.search(told, session.text)
        assert "gonogo run" in session.text
        assert b"\x1b[?1049h" not in session.raw


def test_without_a_terminal_it_says_what_to_use(target: dict[str, str], environment: dict[str, str]) -> None:
    done = subprocess.run(
        [*GONOGO, "--profile", target["profile"]], env=environment, capture_output=True, text=True, timeout=20
    )
    assert done.returncode == 2
    assert "needs a terminal" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_terminal_without_utf_8_gets_stand_ins(target: dict[str, str], environment: dict[str, str]) -> None:
    latin = environment | {"PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0"}
    with Session([*GONOGO, "--profile", target["profile"]], latin, encoding="latin-1") as session:
        session.until("WALK-01")
        session.until("· not run")
        assert "\\u" not in session.text
        assert "+- Steps" in session.text
        assert "UI > " in session.text
        session.press("q")
        session.ends(5)
        assert session.status == 0


def test_a_profile_with_a_mistake_is_told_once_the_terminal_is_back(
    tmp_path: Path, environment: dict[str, str]
) -> None:
    profile = tmp_path / "gonogo.toml"
    profile.write_text("[target]\nurl = 'http://127.0.0.1:1'\ncolour = 'red'\n")
    with Session([*GONOGO, "--profile", str(profile)], environment) as session:
        session.ends(15)
        assert session.status == 2
        assert session.left_on() == set()
        assert "colour" in session.text
        assert "Traceback" not in session.text


def test_a_key_that_comes_before_the_review_is_open_is_not_lost(start: Start) -> None:
    session = start()
    session.until("Walkthrough")
    session.press("R")
    session.until("14/14")
