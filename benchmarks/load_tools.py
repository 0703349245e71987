"""The peers of `benchmarks/load.py`: how locust, wrk and hey are run, and what they say about themselves."""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
from dataclasses import dataclass, field
from pathlib import Path

BODY = '{"bot_id":"bot-1","message":"hello there, how are you?!"}'
LOCUST_FILE = """
import os
from locust import FastHttpUser, constant, constant_throughput, task
RATE = float(os.environ.get("PER_USER", "0"))
class User(FastHttpUser):
    host = os.environ["TARGET"].rstrip("/")
    wait_time = constant_throughput(RATE) if RATE else constant(0)
    @task
    def send(self):
        self.client.post("/", data=os.environ["BODY"].encode(), headers={"content-type": "application/json"})
"""
WRK_FILE = """
wrk.method = "POST"
wrk.body = '{body}'
wrk.headers["Content-Type"] = "application/json"
"""


@dataclass(frozen=True, slots=True)
class Tool:
    """One program with its options."""

    name: str
    command: list[str]
    """Empty where it is not installed."""
    environment: dict[str, str] = field(default_factory=dict)


def tools(folder: Path, url: str, *, users: int, seconds: float, rate: float = 0.0) -> list[Tool]:
    """The peers for a closed loop, or with `rate` for so many requests a second."""
    (folder / "locustfile.py").write_text(LOCUST_FILE)
    (folder / "post.lua").write_text(WRK_FILE.format(body=BODY))
    return [
        _locust(folder, url, users, seconds, rate),
        *([] if rate else [_wrk(folder, url, users, seconds)]),
        _hey(url, users, seconds, rate),
    ]


def said(tool: Tool, output: str, folder: Path) -> dict[str, float]:
    """What a tool says about its run: requests, p50, p95, p99, max (milliseconds); empty where it cannot be read."""
    readers = {"locust": _said_locust, "hey": _said_hey, "wrk": _said_wrk}
    try:
        return readers[tool.name.split()[0]](output, folder)
    except (TypeError, ValueError, OSError, KeyError, IndexError):
        return {}


def _found(name: str) -> str:
    """Named by a variable (LOCUST=...), beside this Python, or in PATH; empty where it is not installed."""
    beside = Path(sys.executable).parent / name
    return (
        os.environ.get(name.upper()) or (str(beside) if beside.exists() else "") or shutil.which(name) or ""
    )


def _locust(folder: Path, url: str, users: int, seconds: float, rate: float) -> Tool:
    binary = _found("locust")
    environment = {"TARGET": url, "BODY": BODY, "PER_USER": str(rate / users) if rate else "0"}
    command = [
        *(binary, "-f", str(folder / "locustfile.py"), "--headless", "--only-summary", "-L", "ERROR"),
        *("--json", "-u", str(users), "-r", "1000", "-t", f"{seconds:g}s", "--stop-timeout", "5"),
    ]
    return Tool(f"locust ({users} users)", command if binary else [], environment)


def _wrk(folder: Path, url: str, users: int, seconds: float) -> Tool:
    binary = _found("wrk")
    options = ["-t1", f"-c{users}", f"-d{seconds:g}s", "--latency", "-s", str(folder / "post.lua"), url]
    return Tool("wrk", [binary, *options] if binary else [])


def _hey(url: str, users: int, seconds: float, rate: float) -> Tool:
    binary = _found("hey")
    pace = ["-q", f"{rate / users:g}"] if rate else []
    options = ["-cpus", "1", "-c", str(users), *pace, "-z", f"{seconds:g}s", "-m", "POST"]
    command = [binary, *options, "-T", "application/json", "-d", BODY, url]
    return Tool(f"hey ({users} workers)", command if binary else [])


def _said_locust(output: str, folder: Path) -> dict[str, float]:
    del folder
    row = json.JSONDecoder().raw_decode(output[output.index("[\n") :])[0][0]
    times = sorted((float(at), int(count)) for at, count in row["response_times"].items())
    found: dict[str, float] = {"requests": row["num_requests"], "failed": row["num_failures"]}
    for share in (50, 95, 99):
        left = share / 100 * row["num_requests"]
        for at, count in times:
            left -= count
            if left <= 0:
                found[f"p{share}"] = at
                break
    return found | {"max": float(row["max_response_time"])}


def _said_hey(output: str, folder: Path) -> dict[str, float]:
    del folder
    shares = {int(share): float(at) * 1e3 for share, at in re.findall(r"(\d+)% in ([\d.]+) secs", output)}
    slowest = re.search(r"Slowest:\s+([\d.]+) secs", output)
    return {
        "requests": sum(int(count) for count in re.findall(r"\[200\]\s+(\d+) responses", output)),
        **{f"p{share}": shares[share] for share in (50, 95, 99)},
        "max": float(slowest[1]) * 1e3 if slowest else 0.0,
    }


def _said_wrk(output: str, folder: Path) -> dict[str, float]:
    del folder
    unit = {"us": 1e-3, "ms": 1.0, "s": 1e3}
    found = re.findall(r"^\s+(50|99)%\s+([\d.]+)(us|ms|s)$", output, re.MULTILINE)
    count = re.search(r"(\d+) requests in", output)
    return {
        "requests": int(count[1]) if count else 0,
        **{f"p{share}": float(at) * unit[scale] for share, at, scale in found},
    }
