"""What every export shares: its mark, names of jobs, durations and numbers as PromQL writes them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import yaml

from checks.monitoring.model import Threshold
from checks.monitoring.signals import SIGNALS
from checks.state import slug
from checks.target import Target
from checks.text import one_line

MARK = "Written by `gonogo export`"
"""Stands in every file that is written; a file without it is somebody's own and is not overwritten."""
WATCH_PORT = 9464
"""Port of the watch's own metrics where [monitoring] port is 0."""
PROMETHEUS_SECRETS = "/etc/prometheus/gonogo"
ALERTMANAGER_SECRETS = "/etc/alertmanager/gonogo"
_TEMPLATE = re.compile(r"\{\{|\}\}")


@dataclass(frozen=True, slots=True)
class ExportFile:
    """One file of an export, not written yet."""

    name: str
    text: str
    notes: tuple[str, ...] = ()
    """What a person has to add: secrets that are in no export. Whole sentences."""


@dataclass(frozen=True, slots=True)
class Jobs:
    """Names of the scrape jobs of one target: rules select by them, so that several targets share a Prometheus."""

    target: str
    watch: str

    @classmethod
    def of(cls, target: Target) -> Jobs:
        """The target's name, and the same with `-gonogo` for its watch."""
        name = slug(target.profile.target.name).lower()
        return cls(name, f"{name}-gonogo")


def watch_port(target: Target) -> int:
    """Where the watch tells its metrics."""
    return target.profile.monitoring.port or WATCH_PORT


def watched(target: Target) -> tuple[Threshold, ...]:
    """The thresholds that are on."""
    return tuple(one for one in target.thresholds if one.is_on)


def header(target: Target, *more: str) -> str:
    """The comment at the top of a file: its mark, the target, and what a reader must know."""
    lines = [
        f"{MARK} from the thresholds of {one_line(target.title, 100)}; written anew each time: edit the profile."
    ]
    return "".join(f"# {line}".rstrip() + "\n" for line in (*lines, *more))


def as_yaml(document: Any) -> str:
    """A document as YAML, in the order in which it was built."""
    text: str = yaml.dump(document, Dumper=_Plain, sort_keys=False, allow_unicode=True, width=1000)
    return text


class _Plain(yaml.SafeDumper):
    """Without anchors, which nobody reads."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def period(seconds: float) -> str:
    """A duration as Prometheus and Alertmanager write it: `5m`, `1h30m`, `200ms`, `0s`."""
    left_ms = round(seconds * 1000)
    text = ""
    for unit, size_ms in (("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)):
        count, left_ms = divmod(left_ms, size_ms)
        text += f"{count}{unit}" if count else ""
    return text or "0s"


def number(value: float) -> str:
    """A number that reads back as exactly this one, as short as can be."""
    return repr(int(value)) if value == int(value) and abs(value) < 1e15 else repr(value)


def unit_of(threshold: Threshold) -> str:
    """The unit of its signal."""
    return SIGNALS[threshold.signal].unit


def shown(threshold: Threshold, value: float) -> str:
    """A value with its unit, as in messages: `1 %`, `0.5 s`, `yes`."""
    unit = unit_of(threshold)
    if unit == "up":
        return "yes" if value >= 1 else "no"
    return f"{value:.4g} {unit}".strip()


def literal(text: str) -> str:
    """Text for one line of an annotation: not taken for a template, whatever a profile says."""
    return _TEMPLATE.sub(lambda found: f'{{{{ "{found[0]}" }}}}', one_line(text, 500))


def plain(text: str) -> str:
    """The same as Prometheus shows it."""
    return one_line(text, 500)
