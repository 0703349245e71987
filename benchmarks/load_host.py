"""What `benchmarks/load.py` measures with: pinned servers, CPU of process trees, the speed of the host, arrivals."""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

SERVER_CPU, CLIENT_CPU = 0, 1
START_WITHIN_S, STOP_WITHIN_S = 10.0, 10.0
LOOPS = 400_000
ROOT = Path(__file__).resolve().parent.parent
CONFIGURATION = """
worker_processes 1; daemon off; pid {folder}/nginx.pid; error_log {folder}/nginx.log;
events {{ worker_connections 4096; }}
http {{
  access_log off; keepalive_requests 100000000; keepalive_time 24h; keepalive_timeout 3600s;
  client_body_temp_path {folder}/bodies;
  server {{
    listen 127.0.0.1:{port} backlog=2048; default_type application/json;
    location / {{ return 200 '{{"ok":true,"id":1234567}}'; }}
    location = /count {{ stub_status; }}
  }}
}}
"""


def cores() -> tuple[int, int]:
    """CPU of the server and of the client; the same one on a host that has one alone."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[1] if len(allowed) > 1 else allowed[0]


def speed(cpu: int) -> float:
    """How fast the host is now on this CPU: rounds of a fixed loop in a CPU-second."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {cpu})
    try:
        began, total = time.process_time(), 0
        for place in range(LOOPS):
            total += place
        return LOOPS / (time.process_time() - began)
    finally:
        os.sched_setaffinity(0, before)


def busy_s(cpu: int) -> float:
    """Seconds that this CPU has worked for anybody, or was taken by the host (steal), since it started."""
    found = re.search(rf"^cpu{cpu} (.+)$", Path("/proc/stat").read_text(), re.MULTILINE)
    assert found is not None
    ticks = [int(value) for value in found[1].split()]
    return (sum(ticks[:3]) + sum(ticks[5:8])) / os.sysconf("SC_CLK_TCK")


def pinned(cpu: int) -> list[str]:
    """The beginning of a command that keeps to this CPU."""
    return ["taskset", "-c", str(cpu)]


@dataclass(slots=True)
class Served:
    """A server that runs."""

    name: str
    port: int
    pid: int
    log: Path | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.port}/"


@contextlib.contextmanager
def static_server(folder: Path, cpu: int) -> Iterator[Served]:
    """nginx where it is installed, else the bundled target."""
    nginx = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
    if nginx is None:
        with target(cpu) as served:
            yield served
        return
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    path = folder / "nginx.conf"
    path.write_text(CONFIGURATION.format(folder=folder, port=port))
    process = subprocess.Popen([*pinned(cpu), nginx, "-c", str(path)], stderr=subprocess.DEVNULL)
    try:
        _wait_for(port)
        yield Served("nginx", port, process.pid)
    finally:
        _end(process)


@contextlib.contextmanager
def target(cpu: int, *options: str, log: Path | None = None) -> Iterator[Served]:
    """The bundled target; `log` is there when it has ended."""
    command = [*pinned(cpu), sys.executable, "-m", "benchmarks.load_target", *options]
    if log is not None:
        command += ["--log", str(log)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT, text=True)
    try:
        assert process.stdout is not None
        yield Served("bundled server", int(process.stdout.readline()), process.pid, log)
    finally:
        _end(process)
        if process.stdout is not None:
            process.stdout.close()


class Counter:
    """Asks a server how many requests it has had: the truth about what was sent."""

    def __init__(self, served: Served) -> None:
        self._connection = socket.create_connection(("127.0.0.1", served.port), START_WITHIN_S)

    def read(self) -> int:
        """How many, with this question among them."""
        self._connection.sendall(b"GET /count HTTP/1.1\r\nHost: x\r\n\r\n")
        heard = b""
        while True:
            heard += self._connection.recv(4096)
            if found := re.search(rb"\n (\d+) (\d+) (\d+) ?\n.*Waiting", heard, re.DOTALL):
                return int(found[3])
            if found := re.search(rb"\r\n\r\n(\d+)$", heard):
                return int(found[1])

    def close(self) -> None:
        """Ask no more."""
        self._connection.close()


def cpu_of(process: psutil.Process) -> float | None:
    """CPU-seconds of a process and those below it; None where it has ended."""
    try:
        return sum(sum(one.cpu_times()[:2]) for one in (process, *process.children(recursive=True)))
    except psutil.Error:
        return None


@dataclass(frozen=True, slots=True)
class Look:
    """One look at client and server."""

    at: float
    requests: int
    client_cpu_s: float
    server_cpu_s: float


def steady(looks: list[Look]) -> dict[str, float]:
    """Requests and CPU of the steady part: the first second of traffic and its end are left out."""
    busy = [place for place in range(1, len(looks)) if looks[place].requests - looks[place - 1].requests > 2]
    if len(busy) < 8:
        return {}
    first, last = looks[busy[0] + 3], looks[busy[-1] - 2]
    seconds, cpu_s = last.at - first.at, last.client_cpu_s - first.client_cpu_s
    count = last.requests - first.requests
    if seconds <= 0 or cpu_s <= 0:
        return {}
    return {
        "per_s": count / seconds,
        "per_cpu_s": count / cpu_s,
        "client_cpu_percent": 100 * cpu_s / seconds,
        "server_cpu_percent": 100 * (last.server_cpu_s - first.server_cpu_s) / seconds,
    }


def arrivals(log: Path) -> dict[str, float]:
    """How many requests reached a target, and how evenly: the coefficient of variation of their gaps."""
    times = array("q")
    times.frombytes(log.read_bytes())
    gaps = [(after - before) / 1e6 for before, after in itertools.pairwise(sorted(times))]
    if len(gaps) < 2:
        return {"arrived": len(times)}
    return {
        "arrived": len(times),
        "gap_cv": statistics.pstdev(gaps) / statistics.mean(gaps),
        "gap_p50_ms": statistics.median(gaps),
    }


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + START_WITHIN_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def _end(process: subprocess.Popen[str] | subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_WITHIN_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
