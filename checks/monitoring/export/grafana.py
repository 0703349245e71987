"""`gonogo-dashboard.json`: a panel for each threshold with its limit drawn in, below what fires."""

from __future__ import annotations

import json
from typing import Any

from checks.monitoring.export.common import MARK, ExportFile, unit_of, watched
from checks.monitoring.export.rules import Writer
from checks.monitoring.model import Comparison, Threshold
from checks.state import slug
from checks.target import Target

DASHBOARD_FILE = "gonogo-dashboard.json"
SCHEMA = 38
"""Of Grafana 10; newer ones carry it over."""
UNITS = {"%": "percent", "s": "s", "days": "d", "up": "bool_yes_no", "/min": "opm", "x": "none", "": "none"}
SOURCE = {"type": "prometheus", "uid": "${source}"}
COLUMNS, WIDTH, HEIGHT = 3, 8, 7
FIRST_PANEL = 4
"""Ids before it: the two rows, and the table of alerts."""
MOST_UID = 40


def dashboard(target: Target) -> ExportFile:
    """The dashboard, over what the rules record."""
    writer = Writer(target)
    on = watched(target)
    content = {
        "description": f"{MARK} from the thresholds of {target.title}; written anew each time: edit the profile.",
        "title": f"gonogo: {target.title}",
        "uid": f"gonogo-{slug(target.profile.target.name).lower()}".replace(".", "-")[:MOST_UID],
        "tags": ["gonogo"],
        "schemaVersion": SCHEMA,
        "version": 1,
        "editable": True,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "utc",
        "templating": {
            "list": [
                {
                    "name": "source",
                    "label": "Data source",
                    "type": "datasource",
                    "query": "prometheus",
                    "current": {},
                    "hide": 0,
                }
            ]
        },
        "annotations": {"list": []},
        "panels": [
            _row(1, "Alerts", 0),
            _alerts(on),
            _row(3, "Thresholds", 1 + HEIGHT),
            *(_panel(writer, one, place) for place, one in enumerate(on)),
        ],
    }
    return ExportFile(DASHBOARD_FILE, json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def _row(number: int, title: str, y: int) -> dict[str, Any]:
    place = {"x": 0, "y": y, "w": COLUMNS * WIDTH, "h": 1}
    return {"id": number, "type": "row", "title": title, "collapsed": False, "gridPos": place, "panels": []}


def _alerts(on: tuple[Threshold, ...]) -> dict[str, Any]:
    names = "|".join((*(one.name for one in on), "watch"))
    return {
        "id": 2,
        "type": "table",
        "title": "Firing",
        "datasource": SOURCE,
        "gridPos": {"x": 0, "y": 1, "w": COLUMNS * WIDTH, "h": HEIGHT},
        "targets": [
            {
                "refId": "A",
                "datasource": SOURCE,
                "expr": "max by (alertname, severity, threshold, kind, rung) "
                f'(ALERTS{{alertstate="firing",threshold=~"{names}"}})',
                "instant": True,
                "range": False,
                "format": "table",
            }
        ],
        "transformations": [{"id": "organize", "options": {"excludeByName": {"Time": True, "Value": True}}}],
        "options": {"showHeader": True},
        "fieldConfig": {"defaults": {"noValue": "Nothing fires"}, "overrides": []},
    }


def _panel(writer: Writer, threshold: Threshold, place: int) -> dict[str, Any]:
    is_upper = threshold.comparison in (Comparison.ABOVE, Comparison.AT_LEAST)
    below, above = ("green", "red") if is_upper else ("red", "green")
    windows = [threshold.window_s, *([threshold.short_window_s] if threshold.short_window_s else [])]
    return {
        "id": FIRST_PANEL + place,
        "type": "timeseries",
        "title": threshold.title,
        "description": " ".join(
            filter(None, (threshold.why, threshold.origin and f"Limit: {threshold.origin}."))
        ),
        "datasource": SOURCE,
        "gridPos": {
            "x": place % COLUMNS * WIDTH,
            "y": 2 + HEIGHT + place // COLUMNS * HEIGHT,
            "w": WIDTH,
            "h": HEIGHT,
        },
        "targets": [
            {
                "refId": chr(ord("A") + number),
                "datasource": SOURCE,
                "expr": writer.value_name(threshold, window_s),
                "legendFormat": f"over {window_s:g} s" if window_s else "now",
            }
            for number, window_s in enumerate(windows)
        ],
        "fieldConfig": {
            "defaults": {
                "unit": UNITS[unit_of(threshold)],
                "thresholds": {
                    "mode": "absolute",
                    "steps": [{"color": below, "value": None}, {"color": above, "value": threshold.limit}],
                },
                "custom": {"thresholdsStyle": {"mode": "line"}, "spanNulls": False},
            },
            "overrides": [],
        },
        "options": {
            "legend": {"showLegend": len(windows) > 1, "displayMode": "list", "placement": "bottom"},
            "tooltip": {"mode": "single"},
        },
    }
