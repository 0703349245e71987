"""The logs of response times beside the load report: named by the manifest, verified, and kept like the reports."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from checks.reports.verify import verify
from tests.checks.reports.loads import USERS_10, USERS_100, capacity_run, load_checks, load_run, record
from tests.checks.reports.scene import Scene
from tests.checks.reports.test_content import section
from tests.checks.reports.test_writer import names, sha256

BINS = {40: 900, 212: 90, 400: 10}


@pytest.fixture
def logged(scene: Scene) -> Scene:
    """A review with two load runs that kept their histogram, and one that has none."""
    scene.checks = load_checks()
    scene.start()
    for run in (load_run(USERS_10, histogram=BINS), load_run(USERS_100, histogram=BINS), capacity_run()):
        record(scene, run)
    scene.end()
    return scene


def test_a_log_lies_beside_the_report_for_each_run_that_has_one(logged: Scene, tmp_path: Path) -> None:
    written = logged.write(tmp_path)
    logs = [path for path in written.paths if path.suffix == ".hlog"]
    assert [path.name for path in logs] == ["load-users-10.hlog", "load-users-100.hlog"]
    assert written.paths[-1].name.endswith("SIGN-OFF.md")
    assert all(path.read_text("utf-8").strip() for path in logs)
    repeat = section(written.paths[2].read_text("utf-8"), "How to repeat it")
    assert (
        "HdrHistogram logs, which its tools and viewers read: `load-users-10.hlog`, `load-users-100.hlog`."
        in repeat
    )


def test_the_manifest_names_every_file_with_its_digest(logged: Scene, tmp_path: Path) -> None:
    written = logged.write(tmp_path)
    files = json.loads(written.manifest.read_text("utf-8"))["files"]
    assert {file["name"]: file["sha256"] for file in files} == {
        path.name: sha256(path) for path in written.paths
    }
    assert {path.name for path in written.paths} | {"manifest.json"} == set(names(written.manifest.parent))
    assert verify(tmp_path).problems == ()


def test_an_altered_or_added_log_is_noticed(logged: Scene, tmp_path: Path) -> None:
    written = logged.write(tmp_path)
    with next(path for path in written.paths if path.suffix == ".hlog").open("a") as file:
        file.write("1,2,3\n")
    (written.manifest.parent / "load-other.hlog").write_text("#[mine]\n")
    problems = verify(tmp_path).problems
    assert any(problem.startswith("load-users-10.hlog was altered") for problem in problems)
    assert any(problem.startswith("load-other.hlog is named by no manifest") for problem in problems)


def test_somebody_elses_log_is_kept_and_not_blamed(logged: Scene, tmp_path: Path) -> None:
    folder = tmp_path / ".deia" / "reports"
    folder.mkdir(parents=True)
    (folder / "load-users-10.hlog").write_text("by hand")
    (folder / "mine.hlog").write_text("mine")
    logged.write(tmp_path)
    assert verify(tmp_path).problems == ()
    assert (folder / "mine.hlog").read_text() == "mine"
    assert [path.read_text() for path in folder.glob("load-users-10.*Z.hlog")] == ["by hand"]


def test_older_logs_are_kept_with_their_set(logged: Scene, tmp_path: Path) -> None:
    logged.write(tmp_path)
    logged.write(tmp_path)
    folder = tmp_path / ".deia" / "reports"
    assert len([name for name in names(folder) if name.endswith(".hlog")]) == 4
    assert verify(tmp_path).problems == ()


@pytest.mark.parametrize("name", ["../up", "a/b", "x" * 300, "a\nb"])
def test_a_scenario_whose_name_is_no_file_name_gets_no_log(scene: Scene, tmp_path: Path, name: str) -> None:
    scene.start()
    record(scene, load_run(replace(USERS_10, name=name), histogram=BINS), [], judge=False)
    written = scene.write(tmp_path)
    assert all(path.parent == written.manifest.parent for path in written.paths)
    assert not [path for path in tmp_path.rglob("*.hlog") if path.parent != written.manifest.parent]
    assert verify(tmp_path).problems == ()
