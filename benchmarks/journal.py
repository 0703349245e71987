"""How long the journal takes to open when it is long, beside a short one, and to append, beside bare SQLite.

    python -m benchmarks.journal [ENTRIES]

Prints milliseconds (median of several rounds, interleaved) and the ratios.
"""

from __future__ import annotations

import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from checks import journal_schema as schema
from checks.journal import Journal
from checks.journal_files import NO_HASH, HeadRecord, write_head
from checks.model import Kind, canonical, stamp, utc_now

ROUNDS = 9
SHORT = 100


def filled(path: Path, count: int) -> None:
    """A journal of `count` results, written in one transaction."""
    Journal.open(path, review="bench", actor="bench").close()
    connection = sqlite3.connect(path)
    prev, began = NO_HASH, utc_now()
    for seq in range(1, count + 1):
        at = stamp(began + timedelta(milliseconds=seq))
        subject = f"WALK-{seq % 14 + 1:02}"
        body = canonical({"id": subject, "verdict": "PASS", "summary": "x" * 300, "number": seq}).decode()
        told = (at, Kind.RESULT.value, subject, "bench", body, prev)
        hashed = schema.entry_hash("bench", seq, *told)
        connection.execute("INSERT INTO entries VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (seq, *told, hashed))
        prev = hashed
    connection.commit()
    connection.close()
    write_head(path, HeadRecord(count, prev))


def timed(action: Callable[[], object]) -> float:
    """Milliseconds that one call takes."""
    began = time.perf_counter()
    action()
    return (time.perf_counter() - began) * 1e3


def opened(path: Path) -> None:
    """Open for writing and fold."""
    journal = Journal.open(path, review="bench", actor="bench")
    journal.latest()
    journal.close()


def main(count: int) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory() as folder:
        long, short, bare = (Path(folder) / f"{name}.db" for name in ("long", "short", "bare"))
        filled(long, count)
        filled(short, SHORT)
        opens: dict[str, list[float]] = {"long": [], "short": []}
        for _ in range(ROUNDS):
            opens["long"].append(timed(lambda: opened(long)))
            opens["short"].append(timed(lambda: opened(short)))
        journal = Journal.open(long, review="bench", actor="bench")
        plain = sqlite3.connect(bare, isolation_level=None)
        for pragma in ("journal_mode = WAL", "synchronous = FULL"):
            plain.execute(f"PRAGMA {pragma}")
        plain.execute("CREATE TABLE entries (seq INTEGER PRIMARY KEY, body TEXT)")
        body, appends = "x" * 400, {"journal": [0.0], "bare": [0.0]}
        for _ in range(ROUNDS * 20):
            appends["journal"].append(timed(lambda: journal.append(Kind.RESULT, "WALK-01", {"x": body})))
            appends["bare"].append(
                timed(lambda: plain.execute("INSERT INTO entries (body) VALUES (?)", (body,)))
            )
        plain.close()
        journal.close()
        verify_ms = timed(lambda: Journal.open(long, review="bench", actor="bench", read_only=True).verify())
    middle = {name: statistics.median(times) for name, times in (opens | appends).items()}
    print(
        f"open and fold: {middle['long']:.1f} ms with {count} entries, {middle['short']:.1f} ms with {SHORT}"
    )
    print(f"  ratio {middle['long'] / middle['short']:.1f}")
    print(f"append: {middle['journal']:.2f} ms, bare SQLite insert {middle['bare']:.2f} ms")
    print(f"  ratio {middle['journal'] / middle['bare']:.1f}")
    print(f"verify all of it: {verify_ms:.0f} ms")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
