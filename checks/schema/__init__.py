"""The JSON Schemas of what gonogo writes for other programs."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

RUN_SCHEMA = "gonogo-run/1"
"""Name and version that a document of `run.schema.json` carries."""


def run_schema() -> dict[str, Any]:
    """The schema (JSON Schema, draft 2020-12) of what `gonogo run --json` writes."""
    text = resources.files("checks.schema").joinpath("run.schema.json").read_text("utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema
