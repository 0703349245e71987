"""The load engine against its peers and against the truth, on this host, over loopback.

    python -m benchmarks.load [--json FILE] [--only closed,open,stall,rate] [--rounds 5] [--seconds 6] [--memory]

closed  100 connections without think time: requests per client CPU-second, beside locust, wrk and hey
open    10 000 messages a second on one core: latency from the intended send
stall   a server that freezes for 1 s in every 5 s, 200/s for 20 s, beside the analytic truth, hey and locust
rate    17/s and 500/s: how many came, how evenly, and how late they were sent
memory  100 000 requests against 10 million (--memory, or --only memory: it takes some minutes)

Server on one CPU, client on another; rounds are interleaved, and medians are shown. Before and after each run the
speed of the host is taken, and what others took of the client's core: below 90 % of the best speed, or above 10 %
taken, the run is thrown away and repeated, a few times at most. The last attempt is kept, and marked (is_slowed).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import psutil

from benchmarks import load_engine as engine
from benchmarks.load_host import (
    Counter,
    Look,
    Served,
    arrivals,
    busy_s,
    cores,
    cpu_of,
    pinned,
    speed,
    static_server,
    steady,
    target,
)
from benchmarks.load_tools import Tool, said, tools

Row = dict[str, Any]
SECTIONS = ("closed", "open", "stall", "rate", "memory")
ENGINE = "gonogo"
USERS = 100
LEAST_SPEED = 0.9
MOST_FOREIGN_PERCENT = 10.0
"""Of the client's core, taken by others: it can hold a client up that has CPU-seconds enough."""
ATTEMPTS = 4
LOOK_EVERY_S = 0.2
TOOL_LATE_S = 60.0
MEMORY_S = 900.0
"""The longest that the requests of one row may take."""
STALL = ("--delay-ms", "2", "--freeze", "1", "--every", "5", "--first", "2")
STALL_RATE, STALL_S = 200, 20
TRUTH = {"p50": 2.0, "p95": 752.0, "p99": 952.0, "max": 1002.0}
"""A fifth of evenly spaced arrivals waits for the rest of a freeze, uniform on 0..1 s: P(latency > x) = 0.2 (1 - x)."""


class Bench:
    """The rows of all rounds, and the best speed that the host has shown."""

    def __init__(self, folder: Path, seconds: float) -> None:
        self.folder, self.seconds = folder, seconds
        self.server_cpu, self.client_cpu = cores()
        self.rows: list[Row] = []
        self.thrown_away = 0
        self._best = 0.0

    async def measured(self, section: str, name: str, run: Callable[[], Awaitable[Row]]) -> None:
        """Keep the row of a run on a host that was not slowed; the last attempt is kept and marked."""
        for attempt in range(1, ATTEMPTS + 1):
            before = speed(self.client_cpu)
            self._best = max(self._best, before)
            began, busy = time.monotonic(), busy_s(self.client_cpu)
            row = await run()
            busy, took_s = busy_s(self.client_cpu) - busy, time.monotonic() - began
            own_s = row.pop("client_cpu_s", None)
            foreign = 0.0 if own_s is None else max(0.0, 100 * (busy - own_s) / took_s)
            after = speed(self.client_cpu)
            self._best = max(self._best, after)
            share = min(before, after) / self._best
            is_slowed = share < LEAST_SPEED or foreign > MOST_FOREIGN_PERCENT
            host = {"host_speed": round(share, 3), "foreign_cpu_percent": round(foreign, 1)}
            row = {"section": section, "name": name, **host, **row, "is_slowed": is_slowed}
            if not is_slowed or attempt == ATTEMPTS:
                self.rows.append(row)
                print(_line(row), flush=True)
                return
            self.thrown_away += 1

    async def closed(self) -> None:
        """One round of the closed loop."""
        with static_server(self.folder, self.server_cpu) as served:
            await self.measured("closed", ENGINE, lambda: self._closed_engine(served))
            for tool in tools(self.folder, served.url, users=USERS, seconds=self.seconds):
                if tool.command:
                    await self.measured("closed", tool.name, lambda tool=tool: self._tool(tool, served))  # type: ignore[misc]
                else:
                    self._missing("closed", tool)

    async def open(self) -> None:
        """One round of 10 000 a second."""
        with static_server(self.folder, self.server_cpu) as served:
            await self.measured(
                "open", f"{ENGINE} 10000/s", lambda: self._open(served.url, 10_000, self.seconds)
            )

    async def stall(self) -> None:
        """One round on the server that freezes."""
        for name, users in ((f"{ENGINE} (400 users)", 400), (f"{ENGINE} (10 users)", 10)):
            await self.measured("stall", name, lambda users=users: self._stall_engine(users))  # type: ignore[misc]
        for users in (USERS, 10):
            for tool in tools(self.folder, "", users=users, seconds=STALL_S, rate=STALL_RATE):
                if tool.command:
                    await self.measured(
                        "stall",
                        tool.name,
                        lambda tool=tool, users=users: self._stall_tool(tool.name, users),  # type: ignore[misc]
                    )
                else:
                    self._missing("stall", tool)

    async def rate(self) -> None:
        """One round of the fixed rates."""
        for rate in (17, 500):
            await self.measured("rate", f"{ENGINE} {rate}/s", lambda rate=rate: self._rate(rate, 30.0))  # type: ignore[misc]

    async def memory(self) -> None:
        """100 000 requests and 10 million, with and without ids."""
        for is_plain in (False, True):
            for count in (100_000, 10_000_000):
                name = f"{ENGINE} {count:,} requests{', plain' if is_plain else ''}"
                row = await self._memory(count, is_plain=is_plain)
                self.rows.append({"section": "memory", "name": name, **row})
                print(_line(self.rows[-1]), flush=True)

    async def _closed_engine(self, served: Served) -> Row:
        order = engine.setup(served.url, USERS, core=self.client_cpu)
        started: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        running = asyncio.ensure_future(
            engine.run(order, engine.closed(USERS, self.seconds), started=started)
        )
        looks = await self._look(await started, served, running.done)
        ran = await running
        return {**steady(looks), **ran.row(), "peak_kb": ran.peak_kb}

    async def _tool(self, tool: Tool, served: Served) -> Row:
        output = self.folder / "output"
        with output.open("w") as file:
            process = subprocess.Popen(  # noqa: ASYNC220 - asked whether it ended, never waited for
                [*pinned(self.client_cpu), *tool.command],
                stdout=file,
                stderr=subprocess.STDOUT,
                env={**os.environ, **tool.environment},
                cwd=self.folder,
            )
            deadline = time.monotonic() + self.seconds + STALL_S + TOOL_LATE_S
            try:
                looks = await self._look(
                    process.pid,
                    served,
                    lambda: process.poll() is not None or time.monotonic() > deadline,
                )
            finally:
                process.kill()
                process.wait()
        own = {"client_cpu_s": looks[-1].client_cpu_s} if looks else {}
        return {**steady(looks), **own, **said(tool, output.read_text(), self.folder)}

    async def _look(self, pid: int, served: Served, is_over: Callable[[], bool]) -> list[Look]:
        client, server, counter = psutil.Process(pid), psutil.Process(served.pid), Counter(served)
        looks: list[Look] = []
        while not is_over():
            cpu_s, server_cpu_s = cpu_of(client), cpu_of(server)
            if cpu_s is not None and server_cpu_s is not None:
                count = await asyncio.to_thread(counter.read)
                looks.append(Look(time.monotonic(), count, cpu_s, server_cpu_s))
            await asyncio.sleep(LOOK_EVERY_S)
        counter.close()
        return looks

    async def _open(self, url: str, rate: float, seconds: float) -> Row:
        order = engine.setup(url, 1000, core=self.client_cpu)
        return (await engine.run(order, engine.opened(rate, seconds))).row()

    async def _stall_engine(self, users: int) -> Row:
        with target(self.server_cpu, *STALL) as served:
            order = engine.setup(served.url, users, core=self.client_cpu)
            row = (await engine.run(order, engine.opened(STALL_RATE, STALL_S))).row()
        return {"requests": row["sent"], **row, **_errors(row)}

    async def _stall_tool(self, name: str, users: int) -> Row:
        with target(self.server_cpu, *STALL) as served:
            found = tools(self.folder, served.url, users=users, seconds=STALL_S, rate=STALL_RATE)
            tool = next(one for one in found if one.name == name)
            row = await self._frozen(tool)
        return {**row, **_errors(row)}

    async def _frozen(self, tool: Tool) -> Row:
        """A tool against a server that is not asked for its count: it may be frozen."""
        process = await asyncio.create_subprocess_exec(
            *pinned(self.client_cpu),
            *tool.command,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, **tool.environment},
            cwd=self.folder,
        )
        async with asyncio.timeout(STALL_S + TOOL_LATE_S):
            output, _ = await process.communicate()
        return dict(said(tool, output.decode("utf-8", "replace"), self.folder))

    async def _rate(self, rate: float, seconds: float) -> Row:
        log = self.folder / "arrivals"
        with target(self.server_cpu, log=log) as served:
            row = await self._open(served.url, rate, seconds)
        return {**row, "expected": round(rate * seconds), **arrivals(log)}

    async def _memory(self, count: int, *, is_plain: bool) -> Row:
        with static_server(self.folder, self.server_cpu) as served:
            order = engine.setup(served.url, USERS, core=self.client_cpu, is_plain=is_plain)
            ran = await engine.run(order, engine.closed(USERS, MEMORY_S), until_ok=count)
        return {"ok": ran.legs[0].ok, "rss_kb": ran.rss_kb, "peak_kb": ran.peak_kb}

    def _missing(self, section: str, tool: Tool) -> None:
        if not any((row["section"], row["name"]) == (section, tool.name) for row in self.rows):
            self.rows.append({"section": section, "name": tool.name, "note": "not installed"})
            print(_line(self.rows[-1]), flush=True)


def _errors(row: Row) -> Row:
    return {f"{name}_error_percent": 100 * (row[name] / TRUTH[name] - 1) for name in TRUTH if name in row}


def _line(row: Row) -> str:
    cells = [f"{row['section']:<7} {row['name']:<36}"]
    for name, value in row.items():
        if name not in ("section", "name"):
            cells.append(
                f"{name} {value:,.3g}"
                if isinstance(value, float) and value < 100
                else f"{name} {_plain(value)}"
            )
    return "  ".join(cells)


def _plain(value: Any) -> str:
    return f"{value:,.0f}" if isinstance(value, int | float) and not isinstance(value, bool) else str(value)


def medians(rows: list[Row]) -> list[Row]:
    """One row for each section and name: the median of each figure over the rounds."""
    groups: dict[tuple[str, str], list[Row]] = {}
    for one in rows:
        groups.setdefault((one["section"], one["name"]), []).append(one)
    found = []
    for (section, name), group in groups.items():
        good = [one for one in group if not one.get("is_slowed")] or group
        row: Row = {"section": section, "name": name, "rounds": len(good)}
        for key in good[0]:
            values = [one[key] for one in good if isinstance(one.get(key), int | float)]
            if key not in row and values and key != "is_slowed":
                row[key] = statistics.median(values)
        row |= {"note": group[0]["note"]} if "note" in group[0] else {}
        found.append(row)
    return found


def ratio(rows: list[Row], peer: str) -> float | None:
    """The engine's requests per CPU-second over those of `peer`; None where that was not measured."""
    found = {row["name"]: row.get("per_cpu_s") for row in rows if row["section"] == "closed"}
    own = found.get(ENGINE)
    other = next((value for name, value in found.items() if name.startswith(peer)), None)
    return round(own / other, 3) if own and other else None


async def measure(bench: Bench, sections: list[str], rounds: int) -> None:
    """All rounds, one section after the other within each."""
    for _ in range(rounds):
        for section in sections:
            if section != "memory":
                await getattr(bench, section)()
    if "memory" in sections:
        await bench.memory()


def main() -> None:
    """Measure, print the medians, and write them where asked."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", default="closed,open,stall,rate")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=6.0, help="of a closed or open run")
    parser.add_argument("--memory", action="store_true")
    options = parser.parse_args()
    sections = [*options.only.split(","), *(["memory"] if options.memory else [])]
    if unknown := set(sections) - set(SECTIONS):
        parser.error(f"there is no section {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), options.seconds)
        os.sched_setaffinity(0, {bench.server_cpu})
        asyncio.run(measure(bench, sections, options.rounds))
    rows = medians(bench.rows)
    result = {
        "ratio_to_locust": ratio(rows, "locust"),
        "ratio_to_wrk": ratio(rows, "wrk"),
        "rows_thrown_away": bench.thrown_away,
        "truth_of_stall": TRUTH,
        "rows": rows,
        "all_rows": bench.rows,
    }
    print("\nmedians")
    for row in rows:
        print(_line(row))
    print(f"ratio_to_locust {result['ratio_to_locust']}  ratio_to_wrk {result['ratio_to_wrk']}")
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
