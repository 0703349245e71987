"""Load runs and their seconds as the journal keeps them: plain JSON, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from checks.load.model import LoadRun, Second
from checks.text import Clean, clean


def document(record: LoadRun | Second) -> dict[str, Any]:
    """The record as JSON values."""
    found: dict[str, Any] = msgspec.to_builtins(record, str_keys=True, enc_hook=str)
    return found


def load_run(body: Mapping[str, Any]) -> LoadRun:
    """Read back what `document` wrote of a run. Raises msgspec.ValidationError for anything else."""
    return msgspec.convert(dict(body), LoadRun, str_keys=True, strict=False, dec_hook=_read)


def second(body: Mapping[str, Any]) -> Second:
    """Read back what `document` wrote of a second. Raises msgspec.ValidationError for anything else."""
    return msgspec.convert(dict(body), Second, str_keys=True, dec_hook=_read)


def _read(kind: type[Any], value: object) -> object:
    if kind is Clean:
        return clean(value)
    raise NotImplementedError(kind)
