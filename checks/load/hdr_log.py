"""A run's latencies in HdrHistogram's interval log, which its tools and plotters read in every language.

The bins of `checks/load/histogram.py` are those of an HdrHistogram with two significant digits and a lowest value of 1:
the index of a bin is the index of its count, so that nothing is rounded. The encoding is V2 (Gil Tene,
org.HdrHistogram.AbstractHistogram.encodeIntoCompressedByteBuffer): a header, then the counts as ZigZag LEB128 numbers
of at most nine bytes, runs of zeros as their negative length, deflated, and in base64.
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Iterator, Mapping
from datetime import UTC

from checks.load.histogram import lowest
from checks.load.model import LoadRun
from checks.text import one_line

SIGNIFICANT_DIGITS = 2
COOKIE, COMPRESSED_COOKIE = 0x1C849303 | 0x10, 0x1C849304 | 0x10
LEAST_HIGHEST_US = 3_600_000_000
"""An hour: the greatest value that the histogram is declared for, unless there is a greater one."""
COLUMNS = '"StartTimestamp","Interval_Length","Interval_Max","Interval_Compressed_Histogram"'


def interval_log(load: LoadRun) -> str:
    """The hold as one interval: its start and length in seconds, its maximum in milliseconds, and the histogram."""
    scenario = load.scenario
    begin_s = 0.0 if scenario.is_capacity else scenario.ramp_s
    length_s = scenario.confirm_s if scenario.is_capacity else scenario.hold_s
    started = load.started_at.astimezone(UTC)
    since = f"{started.timestamp():.3f} (seconds since epoch), {started:%a %b %d %H:%M:%S} UTC {started:%Y}"
    return "\n".join(
        (
            f"#[Logged with gonogo: {one_line(load.id)}, values in microseconds from the intended send]",
            "#[Histogram log format version 1.3]",
            f"#[StartTime: {since}]",
            COLUMNS,
            f"{begin_s:.3f},{length_s:.3f},{load.latency.max_s * 1e3:.3f},{encoded(load.histogram)}",
            "",
        )
    )


def encoded(bins: Mapping[int, int]) -> str:
    """Counts by bin as a compressed V2 histogram in base64. Raises ValueError for a negative bin or count."""
    if any(place < 0 or count < 0 for place, count in bins.items()):
        raise ValueError("bins and counts are not negative")
    counts = b"".join(_numbers(bins))
    top = lowest(max(bins, default=0) + 1)
    highest = max(LEAST_HIGHEST_US, top)
    header = struct.pack(">iiiiqqd", COOKIE, len(counts), 0, SIGNIFICANT_DIGITS, 1, highest, 1.0)
    body = zlib.compress(header + counts)
    return base64.b64encode(struct.pack(">ii", COMPRESSED_COOKIE, len(body)) + body).decode("ascii")


def _numbers(bins: Mapping[int, int]) -> Iterator[bytes]:
    """The counts from the first to the last bin that is not empty, as they are written."""
    at = 0
    for place in sorted(place for place, count in bins.items() if count):
        if place > at:
            yield _number(at - place)
        yield _number(bins[place])
        at = place + 1


def _number(value: int) -> bytes:
    """ZigZag LEB128, 64 bits in at most nine bytes: the ninth holds eight bits."""
    left = (value << 1) ^ (value >> 63)
    written = bytearray()
    while left > 0x7F and len(written) < 8:
        written.append(0x80 | (left & 0x7F))
        left >>= 7
    written.append(left & 0xFF)
    return bytes(written)
