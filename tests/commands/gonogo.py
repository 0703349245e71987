"""Runs the command `gonogo` as a process of its own, with a state folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

WITHIN_S = 60


@dataclass(frozen=True)
class Done:
    """How one command ended."""

    code: int
    out: str
    err: str


class Gonogo:
    """`gonogo` in the folder `where`; reviews are kept below `where/state`."""

    def __init__(self, where: Path, **environ: str) -> None:
        self.where = where
        self.state = where / "state"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("GONOGO_")}
        self.environ: Mapping[str, str] = {**kept, "GONOGO_STATE_DIR": str(self.state), **environ}

    def command(self, *arguments: object) -> list[str]:
        """The whole command line."""
        return [sys.executable, "-m", "console.cli", *map(str, arguments)]

    def __call__(self, *arguments: object) -> Done:
        """Run one command to its end."""
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.where,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=WITHIN_S,
            stdin=subprocess.DEVNULL,
            check=False,
        )
        assert "Traceback" not in done.stderr, done.stderr
        return Done(done.returncode, done.stdout, done.stderr)

    def start(self, *arguments: object) -> subprocess.Popen[str]:
        """Start one command."""
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.where,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
        )

    def profile(self, text: str, name: str = "gonogo.toml") -> Path:
        """Write a profile."""
        path = self.where / name
        path.write_text(text, "utf-8")
        return path
