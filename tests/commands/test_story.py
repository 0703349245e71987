"""One review from end to end without a screen: run, decide, report, verify, and what is altered is named."""

from __future__ import annotations

import base64
import json
import sqlite3
from pathlib import Path
from urllib.parse import quote

import jsonschema
import pytest

from checks.registry import catalogue
from checks.schema import run_schema
from console.demo.faults import FAULTS
from console.demo.launch import DemoProcess
from tests.commands.gonogo import Gonogo

PASSWORD, JWT_SECRET = "canary-Pa55/word+&", "canary-jwt-secret-of-at-least-32-bytes-x"


@pytest.fixture
def gonogo(tmp_path: Path) -> Gonogo:
    return Gonogo(tmp_path)


def reviewed(gonogo: Gonogo, *faults: str) -> dict[str, object]:
    """A walkthrough of a demo; its JSON."""
    options = [option for fault in faults for option in ("--fault", fault)]
    gonogo("run", "walkthrough", "--demo", *options, "--json", "run.json")
    document: dict[str, object] = json.loads((gonogo.where / "run.json").read_text())
    return document


def test_a_review_from_end_to_end(gonogo: Gonogo) -> None:
    ran = gonogo("run", "walkthrough", "--demo", "--json", "run.json", "--junit", "run.xml")
    assert ran.code == 0, ran.out
    document = json.loads((gonogo.where / "run.json").read_text())
    assert {entry["verdict"] for entry in document["results"]} == {"PASS"}
    assert document["ceiling"] == "NOT DECIDABLE"
    assert (gonogo.where / "run.xml").read_text().count("<testcase") == 14

    assert gonogo("status").code == 11
    refused = gonogo("decide", "go", "--because", "I feel lucky")
    assert (refused.code, refused.out) == (2, "")
    assert "GO is refused: the evidence allows NOT DECIDABLE at best" in refused.err
    assert gonogo("decide", "no-go", "--because", "").code == 2
    decided = gonogo("decide", "no-go", "--because", "The audit is missing.")
    assert decided.code == 0

    reports = gonogo("report")
    assert reports.code == 0, reports.err
    folder = gonogo.where / ".deia" / "reports"
    assert {path.name for path in folder.iterdir()} == {
        "BOT-001-E2E-INTEGRATION-TEST.md",
        "BOT-001-PROD-CONFIG-VALIDATION.md",
        "BOT-001-LOAD-TEST-RESULTS.md",
        "MONITORING-SETUP.md",
        "BOT-001-FINAL-DEPLOYMENT-SIGN-OFF.md",
        "manifest.json",
    }
    sign_off = (folder / "BOT-001-FINAL-DEPLOYMENT-SIGN-OFF.md").read_text()
    assert "NO-GO" in sign_off[:600]
    assert "The audit is missing." in sign_off
    for entry in document["results"]:
        for identity in entry["evidence"]:
            assert identity in (folder / "BOT-001-E2E-INTEGRATION-TEST.md").read_text()
    assert gonogo("verify", folder).code == 0


@pytest.mark.parametrize("fault", ["reply-lost", "sign-in-broken"])
def test_a_failure_is_exit_10_and_a_no_go(gonogo: Gonogo, fault: str) -> None:
    ran = gonogo("run", "walkthrough", "--demo", "--fault", fault)
    assert ran.code == 10, ran.out
    status = gonogo("status")
    assert status.code == 10
    assert status.out.startswith("NO-GO")


def test_what_is_disruptive_is_left_out_by_quick(gonogo: Gonogo) -> None:
    ran = gonogo("run", "walkthrough", "--demo", "--quick")
    assert ran.code == 0, ran.out
    assert "WALK-12" not in ran.out
    assert gonogo("status").code == 11


def test_the_json_follows_the_shipped_schema(gonogo: Gonogo) -> None:
    document = reviewed(gonogo, "reply-not-stored")
    jsonschema.Draft202012Validator(run_schema()).validate(document)
    piped = gonogo("run", "walkthrough", "--demo", "--json", "-")
    jsonschema.Draft202012Validator(run_schema()).validate(json.loads(piped.out))


def test_checks_and_faults_are_listed_for_machines(gonogo: Gonogo) -> None:
    listed = json.loads(gonogo("checks", "--json").out)
    assert [entry["id"] for entry in listed] == [check.id for check in catalogue()]
    assert all({"id", "title", "area", "severity", "safety", "sends"} <= entry.keys() for entry in listed)
    faults = json.loads(gonogo("demo", "--faults", "--json").out)
    assert [entry["name"] for entry in faults] == [fault.name for fault in FAULTS]
    assert {name for entry in faults for name in entry["breaks"]} <= {entry["id"] for entry in listed}


def test_whatever_is_altered_is_named_with_exit_21(gonogo: Gonogo) -> None:
    reviewed(gonogo)
    gonogo("decide", "no-go", "--because", "not yet")
    gonogo("report")
    folder = gonogo.where / ".deia" / "reports"
    journal = next(gonogo.state.glob("reviews/*/journal.db"))
    kept = {path: path.read_bytes() for path in (*folder.iterdir(), journal)}
    assert gonogo("verify", folder).code == 0

    for path, raw in kept.items():
        altered = bytearray(raw)
        altered[len(raw) // 2] ^= 1
        path.write_bytes(altered)
        done = gonogo("verify", folder)
        assert done.code == 21, path
        assert "ALTERED" in done.out
        path.write_bytes(raw)

    connection = sqlite3.connect(journal)
    connection.execute("DROP TRIGGER entries_keep")
    connection.execute("DELETE FROM entries WHERE seq = (SELECT max(seq) FROM entries)")
    connection.commit()
    connection.close()
    done = gonogo("verify", folder)
    assert done.code == 21
    assert "dropped from the end" in done.out
    assert gonogo("status").code == 21
    journal.write_bytes(kept[journal])
    assert gonogo("verify", folder).code == 0


def spellings(secret: str) -> set[bytes]:
    """How a file might carry a secret."""
    raw = secret.encode()
    return {
        raw,
        quote(secret, safe="").encode(),
        json.dumps(secret)[1:-1].encode(),
        base64.b64encode(raw).rstrip(b"="),
        base64.urlsafe_b64encode(raw).rstrip(b"="),
    }


def test_no_secret_of_a_run_is_anywhere_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DEMO_PASSWORD", PASSWORD)
    monkeypatch.setenv("DEMO_JWT_SECRET", JWT_SECRET)
    gonogo = Gonogo(tmp_path, GONOGO_USERNAME="demo", GONOGO_PASSWORD=PASSWORD)
    data = tmp_path / "demo"
    with DemoProcess.start(port=0, data=data, faults=["inside-shown"]) as demo:
        ran = gonogo("run", "walkthrough", "--profile", demo.profile, "--json", "run.json")
        assert ran.code == 10, ran.out
        gonogo("decide", "no-go", "--profile", demo.profile, "--because", f"the password is {PASSWORD}")
        assert gonogo("report", "--profile", demo.profile).code == 0
    written = [path for path in tmp_path.rglob("*") if path.is_file() and not path.is_relative_to(data)]
    assert len(written) >= 6
    for path in written:
        raw = path.read_bytes()
        for secret in (PASSWORD, JWT_SECRET):
            assert not any(spelling in raw for spelling in spellings(secret)), path
        assert b"eyJ" not in raw, f"{path} holds a token"
