"""The Prometheus text format, read for the metrics that are asked for; the only importer of its parser.

Whole and valid or not at all: a scrape that is cut, garbled or too long counts as none, as with Prometheus itself.
https://prometheus.io/docs/instrumenting/exposition_formats/
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families

MAX_CHARS = 4 << 20
MAX_LINE_CHARS = 1 << 14
MAX_SAMPLES = 50_000
MAX_REMEMBERED_CHARS = 4 << 20
MAX_LABEL_CHARS = 2048
"""No longer label value is held against a pattern."""
SHOWN_CHARS = 60
_SELECTOR = re.compile(r"\s*(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)\s*(?:\{(?P<labels>.*)\})?\s*", re.DOTALL)
_MATCHER = re.compile(
    r"""\s*(?P<label>[a-zA-Z_][a-zA-Z0-9_]*)\s*(?P<op>=~|!~|!=|=)\s*"""
    r"""(?P<quoted>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')\s*(?P<end>,|$)""",
    re.DOTALL,
)
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_SAMPLE = re.compile(
    r"""(?P<head>(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)?(?:[ \t]*\{(?:[^"{}]|"(?:[^"\\]|\\.)*")*\}|(?=[ \t])))"""
    r"""[ \t]*(?P<value>[+-]?(?:[0-9.][0-9.eE+-]*|(?i:inf(?:inity)?|nan)))(?:[ \t]+-?\d+)?""",
    re.ASCII,
)
_DECLARED = re.compile(r"#[ \t]*(?:TYPE|HELP)[ \t]+(\S+)")
_PARTS = re.compile(r"_(?:bucket|sum|count|total)$")
"""What is put behind the name of a family in the names of its samples."""
Key = tuple[str, tuple[tuple[str, str], ...]]
"""One series: its name and its sorted labels."""


@dataclass(frozen=True, slots=True)
class Matcher:
    """One condition on a label; a label that is not there is empty, as in PromQL."""

    label: str
    is_wanted: bool
    """False for `!=` and `!~`."""
    value: str
    pattern: re.Pattern[str] | None = None

    def takes(self, labels: Mapping[str, str]) -> bool:
        """Whether the labels meet it. Patterns must match the whole value."""
        found = labels.get(self.label, "")
        if self.pattern is None:
            return (found == self.value) is self.is_wanted
        return bool(self.pattern.fullmatch(found[:MAX_LABEL_CHARS])) is self.is_wanted


@dataclass(frozen=True, slots=True)
class Selector:
    """Series by name and labels, as `http_requests_total{status=~"5.."}` in PromQL."""

    name: str
    matchers: tuple[Matcher, ...] = ()

    @classmethod
    def read(cls, text: str) -> Selector:
        """Read a selector. Raises ValueError with what is wrong, without a full stop."""
        found = _SELECTOR.fullmatch(text)
        if not found:
            raise ValueError('it is no selector: write a name, then labels as in {status=~"5.."}')
        matchers: list[Matcher] = []
        rest, place = found["labels"] or "", 0
        while rest[place:].strip():
            one = _MATCHER.match(rest, place)
            if not one:
                raise ValueError(f"its labels cannot be read from “{rest[place : place + SHOWN_CHARS]}” on")
            matchers.append(_matcher(one["label"], one["op"], _unescaped(one["quoted"][1:-1])))
            place = one.end()
        return cls(found["name"], tuple(matchers))

    def takes(self, key: Key) -> bool:
        """Whether a series is meant."""
        return key[0] == self.name and all(one.takes(dict(key[1])) for one in self.matchers)


def _matcher(label: str, op: str, value: str) -> Matcher:
    if not op.endswith("~"):
        return Matcher(label, op == "=", value)
    try:
        return Matcher(label, op == "=~", value, re.compile(value, re.DOTALL))
    except (re.error, OverflowError, RecursionError) as problem:
        raise ValueError(f"its pattern “{value[:SHOWN_CHARS]}” is none: {problem}") from problem


def _unescaped(text: str) -> str:
    return _ESCAPED.sub(lambda found: {"n": "\n", "t": "\t"}.get(found[1], found[1]), text)


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of one series."""

    key: Key
    value: float
    bound_s: float = math.inf
    """Its label `le`, of a histogram's bucket; infinite where it has none."""


@dataclass(frozen=True, slots=True)
class Scrape:
    """What one answer told of the metrics that were asked for."""

    samples: Mapping[str, Sequence[Sample]]
    """Our name of a metric -> its samples, finite and not negative."""
    declared: frozenset[str]
    """Our names of the metrics that are there at all: with samples, or with a TYPE or HELP line and none yet."""
    spoilt: Mapping[str, int] = field(default_factory=dict)
    """Our name of a metric -> how many samples of it are no counts: NaN, infinite or negative."""


class Exposition:
    """Reads answer after answer; it remembers which series are meant, so that each is taken apart once."""

    def __init__(self, selectors: Mapping[str, Selector]) -> None:
        self._selectors = selectors
        self._names = frozenset(one.name for one in selectors.values())
        self._heads: dict[str, tuple[tuple[str, Key, float], ...]] = {}
        self._remembered = 0

    def read(self, text: str) -> Scrape:
        """Read one answer. Raises ValueError with what is wrong, without a full stop; it may quote the answer."""
        if len(text) > MAX_CHARS:
            raise ValueError(f"it is longer than {MAX_CHARS >> 20} MiB")
        if text and not text.endswith("\n"):
            raise ValueError("its last line is not ended by a line feed: it was cut, or ends wrongly")
        samples: dict[str, list[Sample]] = {name: [] for name in self._selectors}
        there: set[str] = set()
        spoilt: dict[str, int] = {}
        seen: set[tuple[str, Key]] = set()
        count = 0
        for number, raw in enumerate(text.split("\n"), 1):
            line = raw.strip()
            if not line:
                continue
            if line.startswith("#"):
                if declared := _DECLARED.match(line):
                    there.add(declared[1])
                continue
            found = _SAMPLE.fullmatch(line) if len(line) <= MAX_LINE_CHARS else None
            count += 1
            if not found or count > MAX_SAMPLES:
                why = f"line {number} is no sample: “{line[:SHOWN_CHARS]}”"
                raise ValueError(f"it tells more than {MAX_SAMPLES} samples" if found else why)
            name = found["name"]
            if name and name not in self._names:
                continue
            value = _number(found["value"], number)
            for ours, key, bound_s in self._meant(found["head"], number):
                if (ours, key) in seen:
                    continue  # the first of two counts, as with Prometheus
                seen.add((ours, key))
                if math.isfinite(value) and value >= 0:
                    samples[ours].append(Sample(key, value, bound_s))
                else:
                    spoilt[ours] = spoilt.get(ours, 0) + 1
            there.add(name or "")
        if text.strip() and not count and not there:
            raise ValueError(f"it tells no metrics, but begins “{text.strip()[:SHOWN_CHARS]}”")
        declared_names = frozenset(
            ours
            for ours, one in self._selectors.items()
            if samples[ours] or one.name in there or _PARTS.sub("", one.name) in there
        )
        return Scrape(samples, declared_names, spoilt)

    def _meant(self, head: str, number: int) -> tuple[tuple[str, Key, float], ...]:
        """Which of our metrics the series `name{labels}` belongs to."""
        known = self._heads.get(head)
        if known is not None:
            return known
        try:
            family = next(iter(text_string_to_metric_families(f"{head} 0\n")))
            sample = family.samples[0]
        except (ValueError, IndexError, StopIteration) as problem:
            why = f"the labels of line {number} cannot be read: “{head[:SHOWN_CHARS]}”"
            raise ValueError(why) from problem
        key = (sample.name, tuple(sorted(sample.labels.items())))
        meant = tuple(ours for ours, one in self._selectors.items() if one.takes(key))
        bound_s = _bound(sample.labels.get("le"), number) if meant else math.inf
        found = tuple((ours, key, bound_s) for ours in meant)
        self._remembered += len(head)
        if self._remembered > MAX_REMEMBERED_CHARS:
            self._heads, self._remembered = {}, len(head)
        self._heads[head] = found
        return found


def _number(text: str, number: int) -> float:
    try:
        return float(text)
    except ValueError as problem:
        raise ValueError(f"the value of line {number} is no number: “{text[:SHOWN_CHARS]}”") from problem


def _bound(text: str | None, number: int) -> float:
    if text is None:
        return math.inf
    bound_s = _number(text, number)
    if math.isnan(bound_s):
        raise ValueError(f"the label le of line {number} is no number")
    return bound_s
