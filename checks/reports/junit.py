"""Results as JUnit XML, as continuous integration reads it."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from datetime import UTC

from checks.model import Area, Result, Verdict

OUTCOMES = {Verdict.FAIL: "failure", Verdict.INCONCLUSIVE: "error"}
"""INCONCLUSIVE is an `error`: readers count `skipped` as harmless, and nothing may look passed that did not."""


def junit(results: Sequence[Result], title: str) -> str:
    """The document: one suite for each area, one case for each result, in order."""
    root = ET.Element("testsuites", {"name": title, **_counts(results)})
    for area in Area:
        own = [result for result in results if result.area is area]
        if own:
            _suite(root, area, own)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _suite(root: ET.Element, area: Area, results: Sequence[Result]) -> None:
    began = min(result.started_at for result in results).astimezone(UTC)
    about = {"name": area.value, "timestamp": f"{began:%Y-%m-%dT%H:%M:%S}"}
    suite = ET.SubElement(root, "testsuite", {**about, **_counts(results)})
    for result in results:
        case = ET.SubElement(
            suite,
            "testcase",
            classname=f"gonogo.{area.value}",
            name=f"{result.id} {result.title}",
            time=f"{result.duration_s:.3f}",
        )
        details = "\n".join(_details(result))
        if outcome := OUTCOMES.get(result.verdict):
            told = ET.SubElement(case, outcome, message=result.summary, type=result.reason.value)
            told.text = f"{result.summary}\n{details}"
        else:
            ET.SubElement(case, "system-out").text = f"{result.summary}\n{details}"


def _details(result: Result) -> list[str]:
    lines = [f"severity: {result.severity.value}"]
    lines += [f"expected: {result.expected}"] if result.expected else []
    lines += [f"observed: {result.observed}"] if result.observed else []
    return lines + [f"evidence: {name}" for name in result.evidence]


def _counts(results: Sequence[Result]) -> dict[str, str]:
    verdicts = [result.verdict for result in results]
    return {
        "tests": str(len(results)),
        "failures": str(verdicts.count(Verdict.FAIL)),
        "errors": str(verdicts.count(Verdict.INCONCLUSIVE)),
        "skipped": "0",
        "time": f"{sum(result.duration_s for result in results):.3f}",
    }
