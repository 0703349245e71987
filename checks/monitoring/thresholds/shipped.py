"""The thresholds as they ship: one table of `thresholds.toml` each."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

import msgspec

from checks.monitoring.model import Threshold


@cache
def shipped() -> Mapping[str, Threshold]:
    """Threshold name -> threshold, in the order of the file."""
    document = tomllib.loads(files(__package__).joinpath("thresholds.toml").read_text("utf-8"))
    return {name: msgspec.convert({"name": name, **table}, Threshold) for name, table in document.items()}
