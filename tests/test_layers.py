"""The rules of the house that a reader relies on: who may import whom, and files that fit into one sitting."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("checks", "console", "screens", "widgets")
SOURCES = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))

ALLOWED = {
    "checks": {"checks"},
    "widgets": {"widgets"},
    "screens": {"screens", "widgets", "checks"},
    "console": {"console", "screens", "widgets", "checks"},
    "console.demo": {"console.demo"},
}
"""Arrows point one way only; the demo is a program of its own."""

DOORS = {
    "apprise": ("checks/monitoring/sending.py",),
    "click": ("console/cli.py", "console/commands/"),
    "cryptography": ("console/demo/", "checks/audit/forging.py", "checks/probe/tls.py"),
    "h11": ("checks/probe/keepalive.py",),
    "httptools": ("checks/load/generator/",),
    "httpx": ("checks/probe/http.py",),
    "jinja2": ("checks/reports/",),
    "jwt": ("console/demo/", "checks/audit/forging.py"),
    "msgspec": ("checks/target.py", "checks/profile/", "checks/load/", "checks/monitoring/thresholds/"),
    "platformdirs": ("checks/state.py",),
    "plotext": ("widgets/chart.py",),
    "prometheus_client": ("checks/monitoring/sources/exposition.py", "checks/monitoring/export/own.py"),
    "psycopg": ("checks/probe/postgresql.py",),
    "psutil": ("checks/probe/",),
    "rich": ("console/", "screens/", "widgets/"),
    "sqlalchemy": ("checks/journal", "checks/probe/sql.py", "console/demo/"),
    "starlette": ("console/demo/",),
    "textual": ("console/", "screens/", "widgets/"),
    "uvicorn": ("console/demo/",),
    "uvloop": ("checks/load/generator/",),
    "websockets": ("checks/probe/websocket.py", "checks/load/generator/"),
    "yaml": ("checks/probe/settings_files.py", "checks/monitoring/export/"),
}
"""Library -> where alone it may be imported: it can be replaced in one place."""

HEAVY = (
    "apprise",
    "prometheus_client",
    "httptools",
    "httpx",
    "jinja2",
    "msgspec",
    "plotext",
    "psutil",
    "sqlalchemy",
    "starlette",
    "uvicorn",
    "websockets",
    "cryptography",
    "jwt",
    "yaml",
)
"""What must not be imported before the console has painted."""


def imports(path: Path) -> Iterator[str]:
    """The dotted names of every module that the file imports, at any depth."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{path}: a relative import hides the layer"
            yield node.module


def layer(name: str) -> str:
    """The layer that a dotted module name belongs to."""
    return "console.demo" if name.startswith("console.demo") else name.partition(".")[0]


def test_every_package_has_sources() -> None:
    assert {path.relative_to(ROOT).parts[0] for path in SOURCES if path.stat().st_size} == set(PACKAGES)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_follow_the_arrows(path: Path) -> None:
    relative = path.relative_to(ROOT).as_posix()
    own = layer(relative.removesuffix(".py").replace("/", "."))
    for name in imports(path):
        top = name.partition(".")[0]
        if top in PACKAGES:
            target = layer(name)
            # The demo's launcher and its list of faults are what the command line knows of it.
            is_launcher = own == "console" and target == "console.demo"
            assert target in ALLOWED[own] or is_launcher, f"{relative} imports {name}"
        elif top in DOORS:
            assert relative.startswith(DOORS[top]), f"{relative} imports {name}; its door is {DOORS[top]}"


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_files_fit_into_one_sitting(path: Path) -> None:
    limit = 250 if path.relative_to(ROOT).parts[0] in ("screens", "widgets") else 400
    assert len(path.read_text("utf-8").splitlines()) <= limit


@pytest.mark.parametrize("module", ["console.app", "console.commands.console"])
def test_nothing_heavy_is_imported_before_the_first_paint(module: str) -> None:
    code = f"import sys, {module}; print(*sorted(set({HEAVY!r}) & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.split() == []


def test_the_engine_runs_without_a_screen() -> None:
    # Rich is not asked for: httpx brings it in by itself where it is installed.
    code = "import sys, checks.review; print(*sorted({'textual'} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout.split() == []
