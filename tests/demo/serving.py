"""The command `gonogo demo --serve` as a child, the way a script starts it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil

COMMAND = (sys.executable, "-m", "console.cli", "demo", "--serve")


class Served:
    """A demo that was started by the command line."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.process = process
        assert process.stdout
        self.info: dict[str, Any] = json.loads(process.stdout.readline())
        self.url = str(self.info["url"])

    def bots(self) -> list[psutil.Process]:
        """The processes of its bots."""
        return psutil.Process(self.process.pid).children()


@contextmanager
def served(*options: str) -> Iterator[Served]:
    """Start it with those options; ended at the end where it still runs."""
    process = subprocess.Popen(
        [*COMMAND, *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        try:
            yield Served(process)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait(10)


def refused(*options: str) -> str:
    """The sentence that the command refuses with, without a traceback and with exit code 2."""
    done = subprocess.run(
        [*COMMAND, *options], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30
    )
    lines = done.stderr.splitlines()
    assert (done.returncode, len(lines), done.stdout) == (2, 1, ""), done
    return lines[0].removeprefix("gonogo: ")
