"""A real Prometheus and a real Alertmanager on the exported files come to the same verdicts as gonogo's own code.

One target whose metrics the test decides is scraped by both. What fires in gonogo's chain (scrape, counters, `step`)
has to fire in Prometheus, and arrive at the webhook; what stays just within its limit must stay quiet in both.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from socket import socket
from typing import Any

import pytest

from checks.model import utc_now
from checks.monitoring.alerts import Moment, Watched, step
from checks.monitoring.board import Board
from checks.monitoring.export.alertmanager import CONFIG_FILE as ALERTMANAGER_FILE
from checks.monitoring.export.prometheus import ALERTMANAGER
from checks.monitoring.export.prometheus import CONFIG_FILE as PROMETHEUS_FILE
from checks.monitoring.export.writing import exported, write
from checks.monitoring.model import AlertState, Row
from checks.monitoring.serve import MetricsServer
from checks.monitoring.sources.collector import Collector
from checks.monitoring.thresholds.shipped import shipped
from checks.profile.read import load_target
from checks.target import Target
from tests.checks.audit.contexts import context_of
from tests.checks.monitoring.exporting import program, ran
from tests.checks.servers import http, listening

INTERVAL_S = 1.0
WITHIN_S = 60.0
"""Far more than it takes, for a host that is busy with other things."""
QUIET_LOOKS = 3
TICK_S = 0.1
JUDGED = (
    "error-rate",
    "response-time",
    "burn-fast",
    "pool-use",
    "pool-waiting",
    "slow-queries",
    "log-errors",
    "restarts",
    "target-up",
)
PROFILE = """
[target]
url = "http://127.0.0.1:{port}"
name = "Parity"
[process]
port = {unused}
[contract]
metrics = "/metrics"
[monitoring]
interval_s = 1.0
port = {own}
[contacts.on-call]
url_env = "TEST_ON_CALL"
[contacts.lead]
url_env = "TEST_LEAD"
[escalation]
critical = ["on-call", "lead 3s"]
warning = ["on-call"]
"""
SHORT = """
[thresholds.{name}]
for_s = 2.0
keep_firing_s = 0.0
"""
WINDOW = "window_s = 10.0\n"


@dataclass(slots=True)
class Metered:
    """A controller whose counters rise with time; each is just within its limit, or breaks it."""

    errors: int = 100
    """Of 10000 requests: 100 are exactly 1 %."""
    slow: int = 500
    """Of 10000 requests, how many take longer than the limit of a second: 500 leave the 95th percentile at it."""
    in_use: int = 80
    """Of 100 connections."""
    waiting: int = 0
    queries_per_min: float = 2.0
    lines_per_min: float = 5.0
    restarts_every_s: float = 0.0
    is_healthy: bool = True
    _parts: int = 0
    _counts: dict[str, float] = field(default_factory=dict)
    _started: float = 1_700_000_000.0
    _restarted_s: float = 0.0

    async def run(self) -> None:
        """Serve users, for ever."""
        before_s = time.monotonic()
        while True:
            await asyncio.sleep(TICK_S)
            now_s = time.monotonic()
            self._serve(now_s - before_s)
            before_s = now_s

    def _serve(self, seconds: float) -> None:
        more = {
            "errors": self.errors,
            "good": 10_000 - self.errors,
            "fast": 10_000 - self.slow,
            "all": 10_000,
            "queries": self.queries_per_min * seconds / 60,
            "lines": self.lines_per_min * seconds / 60,
        }
        for name, count in more.items():
            self._counts[name] = self._counts.get(name, 100 * more[name]) + count
        if self.restarts_every_s and time.monotonic() - self._restarted_s >= self.restarts_every_s:
            self._restarted_s = time.monotonic()
            self._started += 1

    def text(self) -> str:
        """The metrics."""
        counts = {
            name: self._counts.get(name, 0) for name in ("errors", "good", "fast", "all", "queries", "lines")
        }
        return "".join(
            f"{series} {value!r}\n"
            for series, value in (
                ('http_requests_total{status="200"}', counts["good"]),
                ('http_requests_total{status="500"}', counts["errors"]),
                ('http_request_duration_seconds_bucket{le="1"}', counts["fast"]),
                ('http_request_duration_seconds_bucket{le="2"}', counts["all"]),
                ('http_request_duration_seconds_bucket{le="+Inf"}', counts["all"]),
                ('db_pool_connections{state="in_use"}', self.in_use),
                ('db_pool_connections{state="size"}', 100),
                ('db_pool_connections{state="waiting"}', self.waiting),
                ("db_slow_queries_total", counts["queries"]),
                ("log_errors_total", counts["lines"]),
                ("process_start_time_seconds", self._started),
            )
        )

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1].decode()
        if path == "/metrics":
            writer.write(http(self.text().encode(), kind="text/plain; version=0.0.4"))
        elif path == "/health" and self.is_healthy:
            writer.write(http(b'{"status":"ok","success":true}'))
        else:
            writer.write(http(b'{"success":false,"error":"no"}', status="503 Service Unavailable"))
        await writer.drain()


@dataclass(slots=True)
class Told:
    """What Alertmanager told: contact, status and threshold, in the order in which it came."""

    got: list[tuple[str, str, str]] = field(default_factory=list)

    async def talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one notification."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        lengths = [line for line in head.split("\r\n") if line.lower().startswith("content-length")]
        body = json.loads(await reader.readexactly(int(lengths[0].partition(":")[2])))
        contact = head.split()[1].strip("/")
        self.got += [
            (contact, alert["status"], alert["labels"]["threshold"])
            for alert in body["alerts"]
            if alert["labels"]["kind"] == "limit"
        ]
        writer.write(http(b"{}"))
        await writer.drain()

    def of(self, contact: str, status: str) -> set[str]:
        """The thresholds that a contact was told of."""
        return {name for to, word, name in self.got if (to, word) == (contact, status)}


@dataclass(slots=True)
class Judging:
    """gonogo's own chain over the same target, look after look."""

    target: Target
    collector: Collector
    server: MetricsServer
    looks: int = 0
    watched: dict[str, Watched] = field(default_factory=dict)

    async def look(self) -> None:
        """One look; its board is what Prometheus reads of the watch."""
        readings = await self.collector.look()
        now, rows = Moment(utc_now(), time.monotonic()), []
        for one in self.target.thresholds:
            before = self.watched.get(one.name, Watched.new(one.name))
            after, _ = step(one, before, readings[one.name], now, INTERVAL_S)
            self.watched[one.name] = after
            rows.append(Row(one, readings[one.name], after.limit.alert, after.no_data.alert))
        self.looks += 1
        self.server.tell(Board(at=now.at, rows=tuple(rows), looks=self.looks, interval_s=INTERVAL_S))

    async def run(self) -> None:
        """Look every second, for ever."""
        while True:
            began_s = time.monotonic()
            await self.look()
            await asyncio.sleep(max(0.0, INTERVAL_S - (time.monotonic() - began_s)))

    @property
    def firing(self) -> set[str]:
        """The thresholds whose alert fires."""
        return {name for name, one in self.watched.items() if one.limit.alert.state is AlertState.FIRING}

    @property
    def unknown(self) -> set[str]:
        """The thresholds whose NO DATA alert fires."""
        return {name for name, one in self.watched.items() if one.no_data.alert.state is AlertState.FIRING}


def free_port() -> int:
    """A port that nobody listens on."""
    with socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


@contextmanager
def running(name: str, folder: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """A server, ended at the end of the block; its log is in `folder`."""
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen([program(name), *arguments], cwd=folder, stdout=log, stderr=log)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait(10)


OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(slots=True)
class Prometheus:
    """What the real one says."""

    url: str

    def ask(self, path: str) -> Any:
        """The data of one answer; None where there is none yet."""
        try:
            with OPENER.open(f"{self.url}{path}", timeout=10) as answer:
                return json.loads(answer.read())["data"]
        except (OSError, urllib.error.URLError, ValueError):
            return None

    async def firing(self, kind: str = "limit") -> set[str]:
        """The thresholds whose alert fires."""
        data = await asyncio.to_thread(self.ask, "/api/v1/alerts") or {"alerts": []}
        return {
            alert["labels"]["threshold"]
            for alert in data["alerts"]
            if alert["state"] == "firing" and alert["labels"].get("kind") == kind
        }

    async def value(self, query: str) -> float | None:
        """The value of an expression."""
        data = await asyncio.to_thread(self.ask, f"/api/v1/query?query={query}")
        return float(data["result"][0]["value"][1]) if data and data["result"] else None


def profile(port: int, own: int) -> str:
    """The profile: what depends on this machine is off, the rest is judged within seconds."""
    text = PROFILE.format(port=port, own=own, unused=free_port())
    for name, threshold in shipped().items():
        if name not in JUDGED:
            text += f"[thresholds.{name}]\nis_on = false\n"
            continue
        text += SHORT.format(name=name) + (WINDOW if threshold.window_s else "")
        if threshold.short_window_s:
            text += "short_window_s = 5.0\n"
    return text


@asynccontextmanager
async def both(folder: Path) -> AsyncIterator[tuple[Metered, Judging, Prometheus, Told]]:
    """The target, both judges on it, and what arrives."""
    metered, told = Metered(), Told()
    async with listening(metered.talk) as port, listening(told.talk) as hook:
        with MetricsServer(0) as server:
            path = folder / "gonogo.toml"
            path.write_text(profile(port, server.port), "utf-8")
            urls = {
                "TEST_ON_CALL": f"json://127.0.0.1:{hook}/on-call",
                "TEST_LEAD": f"json://127.0.0.1:{hook}/lead",
            }
            target = load_target(path, urls)
            write(exported(target, ("prometheus", "alertmanager")), folder)
            with servers(folder) as url:
                async with context_of(target, folder) as context:
                    judging = Judging(target, Collector(context, target.thresholds), server)
                    tasks = [asyncio.create_task(one) for one in (metered.run(), judging.run())]
                    try:
                        yield metered, judging, Prometheus(url), told
                    finally:
                        for task in tasks:
                            task.cancel()
                        for task in tasks:
                            with suppress(asyncio.CancelledError):
                                await task
                        await judging.collector.close()


@contextmanager
def servers(folder: Path) -> Iterator[str]:
    """Both servers on the exported files, on ports of their own; the URL of Prometheus."""
    to, at = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    config = folder / PROMETHEUS_FILE
    config.write_text(config.read_text("utf-8").replace(ALERTMANAGER, to), "utf-8")
    with (
        running(
            "prometheus-alertmanager",
            folder,
            f"--config.file={ALERTMANAGER_FILE}",
            f"--web.listen-address={to}",
            "--cluster.listen-address=",
            f"--storage.path={folder / 'alertmanager'}",
        ),
        running(
            "prometheus",
            folder,
            f"--config.file={PROMETHEUS_FILE}",
            f"--web.listen-address={at}",
            f"--storage.tsdb.path={folder / 'prometheus'}",
        ),
    ):
        yield f"http://{at}"


async def until(is_so: Callable[[], Any], what: Callable[[], object]) -> None:
    """Wait until `is_so` gives something true, awaited where it has to be."""
    deadline_s = time.monotonic() + WITHIN_S
    while True:
        found = is_so()
        if await found if asyncio.iscoroutine(found) else found:
            return
        assert time.monotonic() < deadline_s, what()
        await asyncio.sleep(0.2)


async def agreed(judging: Judging, prometheus: Prometheus, wanted: set[str]) -> None:
    """Wait until exactly `wanted` fires in both, and see it stay so for some looks."""

    async def is_so() -> bool:
        theirs = await prometheus.firing()
        return judging.firing == wanted and theirs == wanted

    def what() -> str:
        theirs = prometheus.ask("/api/v1/alerts")
        return f"wanted {sorted(wanted)}, gonogo has {sorted(judging.firing)}, Prometheus {theirs}"

    await until(is_so, what)
    until_look = judging.looks + QUIET_LOOKS
    while judging.looks < until_look:
        await asyncio.sleep(INTERVAL_S / 2)
        assert judging.firing == wanted
        assert await prometheus.firing() == wanted
    assert judging.unknown == await prometheus.firing("no-data") == set()


@pytest.mark.timeout(300)
async def test_prometheus_and_alertmanager_agree_with_gonogo(tmp_path: Path) -> None:
    for name in ("prometheus", "prometheus-alertmanager", "promtool", "amtool"):
        program(name)
    async with both(tmp_path) as (metered, judging, prometheus, told):
        assert ran("promtool", "check", "config", PROMETHEUS_FILE, folder=tmp_path)[0] == 0
        assert ran("amtool", "check-config", ALERTMANAGER_FILE, folder=tmp_path)[0] == 0

        # Everything is just within its limit.
        async def is_seen() -> bool:
            error_rate = await prometheus.value("gonogo:error_rate:percent10s")
            up = await prometheus.value("gonogo:target_up:up")
            return error_rate == 1.0 and up == 1.0

        await until(is_seen, lambda: (tmp_path / "prometheus.log").read_text("utf-8")[-3000:])
        await agreed(judging, prometheus, set())

        # Everything but the health operation breaks its limit by little.
        metered.errors, metered.slow, metered.in_use, metered.waiting = 721, 501, 81, 1
        metered.queries_per_min, metered.lines_per_min, metered.restarts_every_s = 8.0, 16.0, 3.0
        broken = set(JUDGED) - {"target-up"}
        await agreed(judging, prometheus, broken)
        # What is a consequence may be held back.
        at_once = {
            one.name for one in judging.target.thresholds if one.name in broken and one.name != "log-errors"
        }
        await until(lambda: at_once <= told.of("on-call", "firing"), lambda: told.got)
        critical = {one.name for one in judging.target.thresholds if one.severity == "critical"} & broken
        await until(lambda: critical <= told.of("lead", "firing"), lambda: told.got)
        assert told.of("lead", "firing") == critical
        assert told.of("on-call", "resolved") == set()

        # All but the errors, by little, are within their limits again.
        metered.errors, metered.slow, metered.in_use, metered.waiting = 101, 500, 80, 0
        metered.queries_per_min, metered.lines_per_min, metered.restarts_every_s = 2.0, 5.0, 0.0
        await agreed(judging, prometheus, {"error-rate"})
        await until(lambda: at_once - {"error-rate"} <= told.of("on-call", "resolved"), lambda: told.got)

        # The health operation fails, although the metrics are told on.
        metered.is_healthy = False
        await agreed(judging, prometheus, {"error-rate", "target-up"})
        await until(lambda: "target-up" in told.of("on-call", "firing"), lambda: told.got)
