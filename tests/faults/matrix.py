"""Runs checks of the audit on the demo under faults; by hand: `python -m tests.faults.matrix FAULT... [--postgres]`."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from checks.model import Area, Result, Verdict
from checks.profile.read import load_target
from checks.review import Review
from checks.runner import RunSummary
from console.demo.faults import FAULTS
from console.demo.launch import DemoProcess
from tests.postgres import hardened


async def run_checks(
    base: Path, demo: DemoProcess, checks: Sequence[str] = (), area: Area = Area.AUDIT
) -> RunSummary:
    """One run of `checks` (default: all of `area`) on `demo`, recorded below `base`."""
    review = Review.open(load_target(demo.profile), base=base)
    try:
        return await review.run(() if checks else (area,), checks)
    finally:
        review.close()


def ids(summary: RunSummary, verdict: Verdict) -> set[str]:
    """The ids of the checks with that verdict."""
    return {result.id for result in summary.results if result.verdict is verdict}


def told(results: Sequence[Result]) -> str:
    """The results for an assertion's message."""
    return "\n".join(f"{one.id} {one.verdict} {one.duration_s:.2f} s {one.summary}" for one in results)


@contextlib.contextmanager
def database(*, is_postgres: bool, servers: Iterable[str] = ()) -> Iterator[str]:
    """The URL of a fresh PostgreSQL, which the faults want to be set up as `servers` say; empty for SQLite."""
    if not is_postgres:
        yield ""
        return
    with hardened(filter(None, servers)) as url:
        yield url


def main() -> None:
    """Print what the audit says of the demo under the faults named."""
    parser = argparse.ArgumentParser()
    parser.add_argument("faults", nargs="*")
    parser.add_argument("--postgres", action="store_true")
    parser.add_argument("--plain", action="store_true", help="without TLS")
    parser.add_argument("--check", action="append", default=[])
    parser.add_argument("--evidence", action="store_true")
    given = parser.parse_args()
    servers = [fault.server for fault in FAULTS if fault.name in given.faults]
    with (
        tempfile.TemporaryDirectory() as base,
        database(is_postgres=given.postgres, servers=servers) as url,
        DemoProcess.start(port=0, faults=given.faults, tls=not given.plain, database=url) as demo,
    ):
        began = time.monotonic()
        summary = asyncio.run(run_checks(Path(base), demo, given.check))
        print(told(summary.results), f"\n{time.monotonic() - began:.1f} s")  # noqa: T201
        if given.evidence:
            review = Review.open(load_target(demo.profile), base=Path(base))
            for result in summary.results:
                for seen in review.evidence(result.evidence).values():
                    print(f"\n== {result.id} {seen.title}\n{seen.body}\n$ {seen.command}")  # noqa: T201
            review.close()


if __name__ == "__main__":
    main()
