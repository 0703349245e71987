"""The thresholds, contacts and escalation ladders with what a profile says of them: typed and within their ranges."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import fields, replace
from enum import StrEnum
from typing import Any, get_type_hints

from checks.monitoring.model import AlertSeverity, Comparison, Contact, Rung, Threshold
from checks.monitoring.signals import SIGNALS
from checks.monitoring.thresholds.shipped import shipped
from checks.profile.lines import KeyPath
from checks.profile.source import Source, read_table, read_value
from checks.target import MonitoringSection, Profile

RANGES: Mapping[str, tuple[float, float]] = {
    "window_s": (0, 86_400),
    "short_window_s": (0, 86_400),
    "for_s": (0, 86_400),
    "keep_firing_s": (0, 86_400),
    "least_events": (0, 1_000_000),
    "no_data_s": (1, 86_400),
}
"""Key -> least and most."""
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
RUNG = re.compile(r"(?P<contact>\S+)(?:\s+(?P<after>\d{1,4})\s*(?P<unit>s|m|h))?")
VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
UNITS_S = {"s": 1.0, "m": 60.0, "h": 3600.0}
NEW = "a new threshold needs signal, limit, severity and title"


def thresholds_of(profile: Profile, source: Source) -> tuple[Threshold, ...]:
    """Every threshold, with the values of [thresholds.NAME]. Raises ProfileError."""
    _check_section(profile.monitoring, source)
    found = dict(shipped())
    for name, raw in profile.thresholds.items():
        path = ("thresholds", name)
        values = _values(read_table(raw, path, source), path, source)
        if name in found:
            found[name] = replace(found[name], **values)
        elif not NAME.fullmatch(name):
            raise source.error(path, "is no name: use small letters, digits and hyphens, as in error-rate")
        elif missing := [key for key in ("title", "signal", "limit", "severity") if key not in values]:
            raise source.error((*path, missing[0]), f"is missing: {NEW}")
        else:
            found[name] = Threshold(name=name, **values)
        _check(found[name], path, source)
    for name in profile.thresholds:
        for place, other in enumerate(found[name].inhibited_by):
            if other not in found or other == name:
                raise source.error(
                    ("thresholds", name, "inhibited_by", place),
                    f"names no other threshold: use {', '.join(found)}",
                )
    if circle := _circle(found):
        where: KeyPath = ("thresholds", circle[0], "inhibited_by")
        raise source.error(
            where, f"goes round in a circle ({' -> '.join(circle)}): nobody would be told of any"
        )
    return tuple(found.values())


def _circle(thresholds: Mapping[str, Threshold]) -> list[str]:
    """Thresholds each of which is a consequence of the next, round to the first; empty where there are none."""
    for name in thresholds:
        way, ahead = [name], list(thresholds[name].inhibited_by)
        seen = set[str]()
        while ahead:
            one = ahead.pop()
            if one == name:
                return [*way, name]
            if one not in seen and one in thresholds:
                seen.add(one)
                way.append(one)
                ahead += thresholds[one].inhibited_by
    return []


def contacts_of(profile: Profile, environ: Mapping[str, str], source: Source) -> dict[str, Contact]:
    """Every contact of [contacts.NAME], its URL taken from the variables. Raises ProfileError."""
    found: dict[str, Contact] = {}
    for name, raw in profile.contacts.items():
        path: KeyPath = ("contacts", name)
        table = read_table(raw, path, source)
        known = ("person", "url_env")
        for key in table:
            if key == "url":
                raise source.error(
                    (*path, key),
                    "must not be here, for it is a secret: name the variable that holds it in url_env",
                )
            if key not in known:
                raise source.unknown((*path, key), known)
        values = {key: str(read_value(str, value, (*path, key), source)) for key, value in table.items()}
        if not NAME.fullmatch(name):
            raise source.error(path, "is no name: use small letters, digits and hyphens, as in on-call")
        variable = values.get("url_env", "")
        if not VARIABLE.fullmatch(variable):
            raise source.error(
                (*path, "url_env"), "is no name of a variable: write it as in GONOGO_NOTIFY_ON_CALL"
            )
        found[name] = Contact(name, values.get("person", ""), variable, environ.get(variable, "").strip())
    return found


def ladders_of(
    profile: Profile, contacts: Mapping[str, Contact], source: Source
) -> dict[AlertSeverity, tuple[Rung, ...]]:
    """Severity -> its ladder, the first to be told first. Raises ProfileError."""
    found: dict[AlertSeverity, tuple[Rung, ...]] = dict.fromkeys(AlertSeverity, ())
    words = [severity.value for severity in AlertSeverity]
    for name, raw in profile.escalation.items():
        path: KeyPath = ("escalation", name)
        if name not in words:
            raise source.unknown(path, words)
        texts = read_value(tuple[str, ...], raw, path, source)
        rungs = tuple(_rung(text, contacts, (*path, place), source) for place, text in enumerate(texts))
        if [rung.after_s for rung in rungs] != sorted(rung.after_s for rung in rungs):
            raise source.error(path, "is not in the order of time: put who is told first at the beginning")
        found[AlertSeverity(name)] = rungs
    return found


def _rung(text: str, contacts: Mapping[str, Contact], path: KeyPath, source: Source) -> Rung:
    found = RUNG.fullmatch(text.strip())
    if not found:
        raise source.error(path, 'cannot be read: write a contact and after how long, as in "on-call 5m"')
    if found["contact"] not in contacts:
        known = ", ".join(contacts) or "none yet: add a section [contacts.NAME]"
        raise source.error(path, f"names no contact: use one of {known}")
    return Rung(found["contact"], float(found["after"] or 0) * UNITS_S[found["unit"] or "s"])


def _values(table: Mapping[str, object], path: KeyPath, source: Source) -> dict[str, Any]:
    hints = get_type_hints(Threshold)
    known = [entry.name for entry in fields(Threshold) if entry.name != "name"]
    found: dict[str, Any] = {}
    for name, raw in table.items():
        where = (*path, name)
        if name not in known:
            raise source.unknown(where, known)
        if isinstance(hints[name], type) and issubclass(hints[name], StrEnum):
            words = [word.value for word in hints[name]]
            if raw not in words:
                raise source.error(where, f"is not a word known here: give {' or '.join(map(repr, words))}")
            found[name] = hints[name](raw)
        else:
            found[name] = read_value(hints[name], raw, where, source)
        if name == "signal" and found[name] not in SIGNALS:
            raise source.unknown(where, SIGNALS)
        if name in RANGES:
            _check_range(found[name], RANGES[name], where, source)
    return found


def _check(threshold: Threshold, path: KeyPath, source: Source) -> None:
    signal = SIGNALS[threshold.signal]
    if not math.isfinite(threshold.limit):
        raise source.error(
            (*path, "limit"), "is no number that a value can be held against: give a finite one"
        )
    if signal.needs_window and not threshold.window_s:
        raise source.error(
            (*path, "window_s"), f"is missing: {signal.name} is computed over a window, in seconds"
        )
    if threshold.short_window_s >= threshold.window_s > 0 and threshold.short_window_s:
        raise source.error(
            (*path, "short_window_s"), "is not shorter than window_s: give less, or 0 for none"
        )
    if threshold.least_events and not signal.counts_events:
        raise source.error(
            (*path, "least_events"), f"cannot be kept: {signal.name} counts no events; remove it"
        )
    if threshold.comparison not in tuple(Comparison):
        raise source.error((*path, "comparison"), "is not a comparison: give >, >=, < or <=")


def _check_section(section: MonitoringSection, source: Source) -> None:
    _check_range(section.interval_s, (0.2, 300), ("monitoring", "interval_s"), source)
    _check_range(section.availability_percent, (50, 99.999), ("monitoring", "availability_percent"), source)
    _check_range(section.reminder_s, (60, 604_800), ("monitoring", "reminder_s"), source)
    _check_range(section.port, (0, 65_535), ("monitoring", "port"), source)


def _check_range(value: float, bounds: tuple[float, float], path: KeyPath, source: Source) -> None:
    least, most = bounds
    if not math.isfinite(value) or not least <= value <= most:
        raise source.error(path, f"is out of range: give a number from {least:g} to {most:g}")
