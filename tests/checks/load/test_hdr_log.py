"""What is written is read back by HdrHistogram's own reader, with the same counts and quantiles."""

from __future__ import annotations

import base64
import re

import pytest
from hdrh.histogram import HdrHistogram
from hdrh.log import HistogramLogReader
from hypothesis import given
from hypothesis import strategies as st

from checks.load.hdr_log import encoded, interval_log
from checks.load.histogram import Histogram, bin_of, lowest
from checks.load.model import Latencies
from tests.checks.load.runs import histogram, load_run, scenario


def filled(values: list[int]) -> Histogram:
    found = Histogram()
    found.record_all(values)
    return found


@given(st.lists(st.tuples(st.integers(0, 10**10), st.integers(1, 10**12)), max_size=20))
def test_counts_come_back_as_they_were(pairs: list[tuple[int, int]]) -> None:
    bins: dict[int, int] = {}
    for value, count in pairs:
        bins[bin_of(value)] = bins.get(bin_of(value), 0) + count
    read = HdrHistogram.decode(encoded(bins).encode())
    assert read.get_total_count() == sum(bins.values())
    for place, count in bins.items():
        assert read.get_count_at_value(lowest(place)) == count


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=200))
def test_quantiles_agree(values: list[int]) -> None:
    ours = filled(values)
    read = HdrHistogram.decode(encoded(ours.counted()).encode())
    for percentile in (50, 90, 95, 99, 99.9, 100):
        # Its reader rounds to the nearest rank, where we take the next one.
        rank = max(1, int(percentile / 100 * len(values) + 0.5))
        assert bin_of(read.get_value_at_percentile(percentile)) == bin_of(ours.value_at_rank(rank))


def test_the_log_is_read_by_the_reader(tmp_path: object) -> None:
    run = load_run()
    path = f"{tmp_path}/run.hlog"
    with open(path, "w", encoding="utf-8") as file:  # noqa: PTH123
        file.write(interval_log(run))
    reader = HistogramLogReader(path, HdrHistogram(1, 3_600_000_000, 2))
    found = reader.get_next_interval_histogram()
    assert found.get_total_count() == 1000
    assert found.get_value_at_percentile(95) == pytest.approx(95_000, rel=1 / 128)
    assert reader.get_next_interval_histogram() is None
    reader.close()


def test_the_lines_are_those_of_the_format() -> None:
    lines = interval_log(load_run()).splitlines()
    assert lines[1] == "#[Histogram log format version 1.3]"
    assert lines[2] == "#[StartTime: 1740830400.000 (seconds since epoch), Sat Mar 01 12:00:00 UTC 2025]"
    assert lines[3] == '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"'
    assert re.fullmatch(r"5\.000,30\.000,100\.000,HISTFAAA[A-Za-z0-9+/=]+", lines[4])
    assert base64.b64decode(lines[4].rpartition(",")[2])[:4] == bytes.fromhex("1c849314")


def test_the_interval_of_a_search_is_its_confirming_hold() -> None:
    run = load_run(scenario=scenario(is_capacity=True))
    assert interval_log(run).splitlines()[4].startswith("0.000,20.000,")


def test_an_empty_run_is_an_empty_histogram() -> None:
    run = load_run(histogram={}, latency=Latencies())
    read = HdrHistogram.decode(interval_log(run).splitlines()[4].rpartition(",")[2].encode())
    assert read.get_total_count() == 0


def test_a_run_of_millions_is_small() -> None:
    assert len(encoded(histogram(place / 1e4 for place in range(20_000)).counted())) < 4000


@pytest.mark.parametrize("bins", [{-1: 2}, {3: -1}])
def test_negative_counts_are_refused(bins: dict[int, int]) -> None:
    with pytest.raises(ValueError, match="not negative"):
        encoded(bins)
