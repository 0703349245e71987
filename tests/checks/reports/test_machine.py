"""What other programs read: JUnit XML and the JSON of a run with its schema."""

from __future__ import annotations

import copy
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, ValidationError

from checks.model import Area, Ceiling, Reason, Result, Severity, Verdict
from checks.reports.junit import junit
from checks.reports.run_json import run_document
from checks.schema import run_schema
from checks.text import clean
from tests.checks.builders import result
from tests.checks.reports.scene import Scene, seen

VALIDATOR = Draft202012Validator(run_schema())


def some_results() -> list[Result]:
    """One of each verdict."""
    return [
        result("WALK-01", seen=()),
        result("WALK-02", Verdict.FAIL),
        result("WALK-03", Verdict.INCONCLUSIVE),
    ]


def test_junit_counts_and_names_every_result() -> None:
    root = ET.fromstring(junit(some_results(), "gonogo demo"))
    assert root.tag == "testsuites"
    assert root.attrib == {
        "name": "gonogo demo",
        "tests": "3",
        "failures": "1",
        "errors": "1",
        "skipped": "0",
        "time": "0.030",
    }
    (suite,) = root
    assert suite.attrib["name"] == "walkthrough"
    assert suite.attrib["timestamp"] == "2026-03-01T12:00:00"
    assert [case.attrib["name"] for case in suite] == [
        "WALK-01 A check",
        "WALK-02 A check",
        "WALK-03 A check",
    ]
    assert [case.attrib["time"] for case in suite] == ["0.010"] * 3
    assert [child.tag for case in suite for child in case] == ["system-out", "failure", "error"]


def test_what_did_not_pass_never_looks_passed_in_junit() -> None:
    for reason in (Reason.SKIPPED, Reason.BLOCKED, Reason.INTERRUPTED, Reason.NO_SOURCE):
        judged = Result.from_document(
            {**result(verdict=Verdict.INCONCLUSIVE).document(), "reason": reason.value, "summary": "why"}
        )
        root = ET.fromstring(junit([judged], "t"))
        error = root.find("./testsuite/testcase/error")
        assert error is not None
        assert error.attrib == {"message": "why", "type": reason.value}
        assert root.attrib["errors"] == "1"


def test_junit_has_a_suite_for_each_area() -> None:
    audit = Result.from_document({**result("JWT-01").document(), "area": Area.AUDIT.value})
    root = ET.fromstring(junit([audit, result()], "t"))
    assert [suite.attrib["name"] for suite in root] == ["walkthrough", "audit"]


def test_junit_of_nothing_is_still_a_document() -> None:
    assert ET.fromstring(junit([], "t")).attrib["tests"] == "0"


@given(st.text(max_size=60))
@settings(max_examples=150, deadline=None)
def test_junit_is_xml_for_any_text(text: str) -> None:
    told = clean(text)
    judged = Result.from_document(
        {**result(verdict=Verdict.FAIL).document(), "summary": told, "observed": told, "expected": told}
    )
    failure = ET.fromstring(junit([judged], told)).find("./testsuite/testcase/failure")
    assert failure is not None
    assert failure.attrib["message"] == told


@pytest.fixture
def document(scene: Scene) -> dict[str, Any]:
    """The document of a run with one result of each verdict."""
    scene.start()
    entries = [
        scene.result("WALK-01"),
        scene.result("WALK-02", Verdict.FAIL, evidence=()),
        scene.result("WALK-03", Verdict.INCONCLUSIVE, attempt=2, evidence=(seen(), seen("sql"))),
    ]
    scene.end()
    return run_document(scene.snapshot(), [Result.from_document(entry.body) for entry in entries])


def test_the_document_of_a_run_holds_to_its_schema(document: dict[str, Any]) -> None:
    VALIDATOR.validate(document)
    assert document["review"] == "shop-1.4"
    assert document["target"] == {"title": "Shop bot 1.4", "url": "http://127.0.0.1:8000"}
    assert document["ceiling"] == "NO-GO"
    assert document["reasons"][0].startswith("WALK-02 Launch a bot")
    assert [one["verdict"] for one in document["results"]] == ["PASS", "FAIL", "INCONCLUSIVE"]
    assert [len(one["evidence"]) for one in document["results"]] == [1, 0, 2]


def test_the_schema_is_one_and_lists_every_word() -> None:
    schema = run_schema()
    Draft202012Validator.check_schema(schema)
    fields = schema["$defs"]["result"]["properties"]
    for name, words in (("verdict", Verdict), ("area", Area), ("severity", Severity), ("reason", Reason)):
        assert fields[name]["enum"] == [word.value for word in words]
    assert schema["properties"]["ceiling"]["enum"] == [word.value for word in Ceiling]
    assert set(fields) == set(schema["$defs"]["result"]["required"]) == set(result().document())


def set_at(*path: str | int, to: object) -> Any:
    """A change of the document at `path`."""

    def change(document: Any) -> None:
        *before, last = path
        for step in before:
            document = document[step]
        document[last] = to

    return change


def without(*path: str | int) -> Any:
    """The removal of what stands at `path`."""

    def change(document: Any) -> None:
        *before, last = path
        for step in before:
            document = document[step]
        del document[last]

    return change


@pytest.mark.parametrize(
    "change",
    [
        set_at("extra", to=1),
        set_at("schema", to="gonogo-run/2"),
        set_at("ceiling", to="MAYBE"),
        set_at("ceiling", to="go"),
        set_at("reasons", to=[]),
        set_at("target", to="http://127.0.0.1:8000"),
        set_at("target", "port", to=8000),
        set_at("results", to={}),
        set_at("results", 0, "verdict", to="SKIPPED"),
        set_at("results", 0, "area", to="security"),
        set_at("results", 0, "severity", to="fatal"),
        set_at("results", 0, "reason", to="because"),
        set_at("results", 0, "evidence", to=["abc"]),
        set_at("results", 0, "evidence", to="0" * 64),
        set_at("results", 0, "started_at", to="2026-03-01 12:00"),
        set_at("results", 0, "duration_s", to=-1),
        set_at("results", 0, "duration_s", to="1"),
        set_at("results", 0, "attempt", to=0),
        set_at("results", 0, "note", to=""),
        *(without(name) for name in ("schema", "review", "target", "ceiling", "reasons", "results")),
        *(without("results", 0, name) for name in result().document()),
    ],
)
def test_the_schema_refuses_wrong_documents(document: dict[str, Any], change: Any) -> None:
    wrong = copy.deepcopy(document)
    change(wrong)
    with pytest.raises(ValidationError):
        VALIDATOR.validate(wrong)
