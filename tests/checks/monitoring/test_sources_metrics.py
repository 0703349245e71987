"""A scrape is good or none; where there are no metrics, gonogo's own probes are what is watched."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec
import pytest

from checks.monitoring.model import Reading
from checks.monitoring.sources import asking, probing, scraping
from checks.monitoring.sources.collector import Collector
from checks.text import clean
from tests.checks.audit.answering import Asked, Said, answering
from tests.checks.audit.contexts import context_of, target_at
from tests.checks.monitoring.collecting import Collecting, changed, collecting, threshold, without
from tests.checks.servers import http, listening

METRICS, PROBES = "/metrics of the target", "gonogo's own probes"


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host that is busy with other tests takes longer than a production host should."""
    monkeypatch.setattr(asking, "LOOK_WITHIN_S", 30.0)
    monkeypatch.setattr(scraping, "SCRAPE_WITHIN_S", 30.0)
    monkeypatch.setattr(probing, "HEALTH_WITHIN_S", 30.0)


def counted(good: int, bad: int | None = None) -> str:
    """Counters of requests; without `bad`, no request has failed yet."""
    failed = "" if bad is None else f'http_requests_total{{status="500"}} {bad}\n'
    return f'http_requests_total{{status="200"}} {good}\n{failed}'


@pytest.fixture
async def errors(tmp_path: Path) -> AsyncIterator[Collecting]:
    """A collector of the error rate alone."""
    async with collecting(tmp_path, ["error-rate"]) as found:
        yield found


GARBAGE: dict[str, Callable[[], Said | str]] = {
    "503": lambda: Said(503, b"no", {}),
    "500": lambda: Said(500, counted(2000, 20).encode(), {}),
    "204": lambda: Said(204, b"", {}),
    "redirected": lambda: Said(302, b"", {"Location": "/elsewhere"}),
    "a page": lambda: Said(200, b"<html><body>Welcome</body></html>\n", {"Content-Type": "text/html"}),
    "bytes": lambda: Said(200, bytes(range(256)) * 10, {}),
    "JSON": lambda: Said(200, b'{"success": true}\n', {}),
    "cut between lines": lambda: Said(200, b'http_requests_total{status="200"} 5\nhttp_requ\n', {}),
    "cut within a line": lambda: Said(200, b'http_requests_total{status="200"} 5', {}),
    "too long": lambda: Said(200, b"# " + b"x" * (2 << 20) + b"\n", {}),
    "all NaN": lambda: 'http_requests_total{status="200"} NaN\n',
    "all negative": lambda: 'http_requests_total{status="200"} -5\n',
    "renamed": lambda: "other_total 5\n",
    "empty": lambda: "",
}


@pytest.mark.parametrize("way", GARBAGE)
async def test_a_scrape_that_fails_is_no_sample_and_in_the_end_no_data(errors: Collecting, way: str) -> None:
    errors.target.metrics = counted(1000, 10)
    await errors.look()
    errors.target.metrics = counted(1099, 11)
    assert (await errors.look())["error-rate"].value == 1.0
    errors.target.metrics = GARBAGE[way]()
    for _ in range(3):
        stands = (await errors.look())["error-rate"]
        assert (stands.value, stands.events) == (1.0, 100)
    gone = (await errors.look())["error-rate"]
    assert gone.is_missing
    assert "/metrics" in gone.problem
    assert not gone.problem.endswith(".")
    errors.target.metrics = counted(1198, 12)
    back = (await errors.look())["error-rate"]
    assert (back.value, back.events) == (1.0, 200)


async def test_an_answer_that_breaks_off_or_never_ends_is_no_sample(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scraping, "SCRAPE_WITHIN_S", 0.3)
    whole = http(counted(1000, 1000).encode(), kind="text/plain")
    raw: list[bytes] = [whole[:-9], b"not HTTP at all\r\n\r\n", b""]
    hanging = asyncio.Event()

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        if raw:
            writer.write(raw.pop(0))
            await writer.drain()
        else:
            writer.write(whole[:-9])
            await hanging.wait()

    async with listening(talk) as port:
        target = without(changed(target_at(f"http://127.0.0.1:{port}"), metrics="/metrics"), "health")
        target = without(target, "ws")
        async with context_of(target, tmp_path) as context:
            collector = Collector(context, [threshold("error-rate")])
            problems = [(await collector.look())["error-rate"] for _ in range(4)]
            await collector.close()
        hanging.set()
    assert all(one.is_missing and "/metrics was not read" in one.problem for one in problems)
    assert "did not end within 0.3 s" in problems[3].problem


async def test_a_target_that_is_gone_gives_no_data_at_once_where_nothing_was_ever_seen(
    tmp_path: Path,
) -> None:
    async with listening(lambda reader, writer: asyncio.sleep(0)) as port:
        pass
    target = without(changed(target_at(f"http://127.0.0.1:{port}"), metrics="/metrics"), "ws")
    async with context_of(target, tmp_path) as context:
        collector = Collector(context, [threshold("error-rate"), threshold("target-up")])
        readings = await collector.look()
        await collector.close()
    assert readings["error-rate"].is_missing
    assert "nothing listens" in readings["error-rate"].problem
    assert readings["target-up"].value == 0.0
    assert "nothing listens" in readings["target-up"].source


async def test_some_samples_that_are_no_counts_are_left_out_and_told(errors: Collecting) -> None:
    spoilt = 'http_requests_total{status="501"} -1\n'
    for good, bad in ((100, "0"), (200, "NaN"), (293, "7")):
        errors.target.metrics = counted(good) + f'http_requests_total{{status="500"}} {bad}\n' + spoilt
        reading = (await errors.look())["error-rate"]
    assert reading == Reading(3.5, 200.0, source=clean(METRICS))
    assert any("NaN, infinite or negative" in one for one in errors.collector.problems)


async def test_errors_that_are_only_spoilt_are_not_known(errors: Collecting) -> None:
    for good in (100, 200, 300):
        errors.target.metrics = counted(good) + 'http_requests_total{status="500"} NaN\n'
        reading = (await errors.look())["error-rate"]
    assert reading.is_missing
    assert "errors" in reading.problem


async def test_without_metrics_the_probes_are_what_is_watched(tmp_path: Path) -> None:
    async with collecting(tmp_path, ["error-rate", "response-time"], metrics="", token="") as found:
        first = await found.look()
        for _ in range(8):
            await found.look()
        found.target.health = Said(503, b"{}", {})
        last = await found.look()
    assert first["error-rate"] == Reading(0.0, 1.0, source=clean(PROBES))
    assert last["error-rate"] == Reading(10.0, 10.0, source=clean(PROBES))
    assert last["response-time"].events == 10
    assert 0 < (last["response-time"].value or 0) < 30


@pytest.mark.parametrize("status", [404, 401, 403, 405])
async def test_metrics_that_were_never_there_are_told_and_the_probes_are_watched(
    tmp_path: Path, status: int
) -> None:
    async with collecting(tmp_path, ["error-rate"], token="") as found:
        found.target.metrics = Said(status, b"", {})
        reading = (await found.look())["error-rate"]
        assert (reading.value, reading.source) == (0.0, PROBES)
        assert any(f"/metrics was answered {status}" in one for one in found.collector.problems)
        # When they come to be there, they are used.
        for good in (10, 20):
            found.target.metrics = counted(good)
            reading = (await found.look(61.0))["error-rate"]
    assert (reading.value, reading.events, reading.source) == (0.0, 10.0, METRICS)


async def test_metrics_that_were_there_and_are_not_any_more_are_missing(errors: Collecting) -> None:
    errors.target.metrics = counted(10)
    await errors.look()
    errors.target.metrics = Said(404, b"", {})
    for _ in range(4):
        reading = (await errors.look())["error-rate"]
    assert reading.is_missing
    assert "answered 404" in reading.problem


async def test_a_metric_that_the_target_does_not_tell_is_asked_of_the_probes(tmp_path: Path) -> None:
    async with collecting(tmp_path, ["error-rate", "response-time"], token="") as found:
        for good in (10, 20):
            found.target.metrics = counted(good)
            readings = await found.look()
    assert (readings["error-rate"].source, readings["response-time"].source) == (METRICS, PROBES)


async def test_metrics_that_want_a_token_get_it(tmp_path: Path) -> None:
    async def guarded(asked: Asked) -> Said:
        if asked.headers.get("authorization") != "Bearer a.good.token":
            return Said(401, b"", {})
        return Said(200, counted(10).encode(), {})

    async with answering(guarded) as server:
        target = without(changed(target_at(server.url), metrics="/metrics"), "ws")
        async with context_of(target, tmp_path) as context:
            collector = Collector(context, [threshold("error-rate")])
            reading = (await collector.look())["error-rate"]
            await collector.close()
    assert (reading.value, reading.source) == (0.0, METRICS)


async def test_a_selector_that_cannot_be_read_is_told(tmp_path: Path) -> None:
    target = changed(target_at("http://127.0.0.1:1"), metrics="/metrics")
    metric = {**target.contract.metric, "requests": "http_requests_total{"}
    contract = msgspec.structs.replace(target.contract, metric=metric)
    async with context_of(msgspec.structs.replace(target, contract=contract), tmp_path) as context:
        collector = Collector(context, [threshold("error-rate")])
        assert any("[contract] metric requests cannot be used" in one for one in collector.problems)
