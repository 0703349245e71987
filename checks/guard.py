"""The dead-man's switch: a small process that stops what a run launched when gonogo itself cannot any more.

It is started with the first launch of a run, told over its standard input what has been launched and stopped, and
acts when that input ends without a goodbye: after kill -9, a crash or a lost host session. It needs the standard
library alone, lives in a session of its own and ends by itself. Secrets (the token of the stop request) reach it
through the pipe and stay in its memory; `left` is a file that tells the next start what it did.

Run as `python -m checks.guard LEFT_FILE RUN`.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

GRACE_S = 20.0
"""How long it goes on trying after gonogo's death: longer than a launch that was still under way then."""
REQUEST_WITHIN_S = 5.0
_RELEASED: list[subprocess.Popen[str]] = []
"""Guards left to themselves: kept, since dropping the object of a running process is reported as a leak."""


@dataclass(frozen=True, slots=True)
class StopRequest:
    """The HTTP request that stops one bot."""

    bot_id: str
    method: str
    url: str
    headers: dict[str, str] = field(hash=False)
    ca_file: str = ""


class Guard:
    """gonogo's end of the switch. Every method is quick and never raises: a lost guard must not fail a run."""

    def __init__(self, left: Path, run: str) -> None:
        self._left = left
        self._run = run
        self._process: subprocess.Popen[str] | None = None

    def watch(self, request: StopRequest) -> None:
        """Stop this bot should gonogo die; told before the launch is asked for."""
        if self._process is None:
            environment = {
                name: value for name, value in os.environ.items() if name in ("PATH", "LANG", "HOME")
            }
            root = str(Path(__file__).resolve().parent.parent)
            self._process = subprocess.Popen(
                [sys.executable, "-m", "checks.guard", str(self._left), self._run],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                text=True,
                start_new_session=True,
                cwd=root,
                env=environment,
            )
        self._tell(
            {
                "watch": request.bot_id,
                "method": request.method,
                "url": request.url,
                "headers": request.headers,
                "ca_file": request.ca_file,
            }
        )

    def launched(self, bot_id: str) -> None:
        """The launch was answered: the bot exists if anybody knows it."""
        self._tell({"launched": bot_id})

    def stopped(self, bot_id: str) -> None:
        """Nothing is left to do for this bot."""
        self._tell({"stopped": bot_id})

    def dismiss(self, within_s: float = 3.0) -> None:
        """The run cleaned up after itself; the process ends, by force where it takes longer than `within_s`."""
        self._tell({"goodbye": True})
        if self._process is not None:
            if self._process.stdin:
                with contextlib.suppress(OSError):
                    self._process.stdin.close()
            try:
                self._process.wait(timeout=within_s)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def release(self) -> None:
        """Leave what is not stopped yet to the guard, which goes on without gonogo."""
        if self._process is not None and self._process.stdin:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
            _RELEASED.append(self._process)
            self._process = None

    def _tell(self, message: dict[str, object]) -> None:
        if self._process is not None and self._process.stdin:
            with contextlib.suppress(OSError, ValueError):
                self._process.stdin.write(json.dumps(message) + "\n")
                self._process.stdin.flush()


def main(left: Path, run: str, source: IO[str]) -> int:
    """Listen until `source` ends; then stop what was not said to be stopped, and tell it in `left`."""
    for name in ("SIGHUP", "SIGINT", "SIGTERM"):
        signal.signal(getattr(signal, name), signal.SIG_IGN)  # it outlives the terminal on purpose
    watched: dict[str, dict[str, Any]] = {}
    for line in source:
        message = json.loads(line)
        if "watch" in message:
            watched[message["watch"]] = message
        elif "launched" in message:
            watched[message["launched"]]["confirmed"] = True
        elif "stopped" in message:
            watched.pop(message["stopped"], None)
        else:
            return 0
    told = {bot_id: _stop(request) for bot_id, request in watched.items()}
    if told:
        part = left.with_suffix(".part")
        descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            json.dump({"run": run, "stopped": told}, file)
        part.replace(left)
    return 0


def _stop(request: dict[str, Any]) -> str:
    """Ask until the bot is stopped, or is certainly not there; say how it ended."""
    deadline = time.monotonic() + GRACE_S
    refused = 0
    while time.monotonic() < deadline:
        outcome = _ask(request)
        if outcome == "stopped":
            return "stopped by the guard"
        refused = refused + 1 if outcome == "unreachable" else 0
        if refused >= 3:
            return "the controller is gone; its bots could not be asked for"
        if outcome == "unknown" and request.get("confirmed"):
            return "the controller no longer knew it"
        time.sleep(0.5)
    return "the guard could not stop it" if request.get("confirmed") else "it was never launched"


def _ask(request: dict[str, Any]) -> str:
    asked = urllib.request.Request(  # noqa: S310 - the URL is the profile's, http or https alone
        request["url"], method=request["method"], headers=request["headers"]
    )
    is_secure = request["url"].startswith("https")
    context = ssl.create_default_context(cafile=request["ca_file"] or None) if is_secure else None
    try:
        with urllib.request.urlopen(asked, timeout=REQUEST_WITHIN_S, context=context) as answer:  # noqa: S310
            document = json.loads(answer.read(1 << 20) or b"{}")
    except urllib.error.HTTPError as problem:
        problem.close()
        return "unknown" if problem.code in (404, 410) else "failed"
    except (OSError, ValueError):
        return "unreachable"
    refused = isinstance(document, dict) and document.get("success", True) is not True
    return "unknown" if refused else "stopped"


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), sys.argv[2], sys.stdin))
