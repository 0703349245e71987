"""Which files an export has, and writing them: whole or not at all, and never over somebody's own file."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from checks.model import ReviewError
from checks.monitoring.export import alertmanager, grafana, prometheus, rule_tests, systemd
from checks.monitoring.export.common import MARK, ExportFile
from checks.target import Target
from checks.text import one_line

MARKED_BYTES = 4096
"""The mark stands within the beginning of a file."""

EXPORTS: Mapping[str, tuple[Callable[[Target], ExportFile], ...]] = {
    "prometheus": (prometheus.rules, rule_tests.rule_tests, prometheus.config),
    "alertmanager": (alertmanager.config,),
    "grafana": (grafana.dashboard,),
    "systemd": (systemd.unit,),
}
"""What can be exported -> what makes its files."""


def exported(target: Target, kinds: Iterable[str] = tuple(EXPORTS)) -> tuple[ExportFile, ...]:
    """The files of these kinds of export. Raises ReviewError where one cannot be made."""
    return tuple(make(target) for kind in kinds for make in EXPORTS[kind])


def write(files: Iterable[ExportFile], folder: Path, *, is_forced: bool = False) -> tuple[Path, ...]:
    """Write the files into `folder`, which is made; returns their paths.

    Raises ReviewError, before anything is written, where a file of that name was not written by an export
    (`is_forced` replaces it all the same), and where the folder cannot be written to.
    """
    wanted = {folder / one.name: one.text for one in files}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not is_forced:
            for path in wanted:
                _check_ours(path)
        for path, text in wanted.items():
            _replace(path, text)
    except OSError as problem:
        why = (problem.strerror or type(problem).__name__).lower()
        raise ReviewError(
            f"The export cannot be written to {one_line(folder, 300)} ({why}): give a folder of yours."
        ) from problem
    return tuple(wanted)


def _check_ours(path: Path) -> None:
    try:
        with path.open("rb") as file:
            head = file.read(MARKED_BYTES)
    except FileNotFoundError:
        return
    if MARK.encode() not in head:
        raise ReviewError(
            f"{one_line(path, 300)} was not written by an export: give another folder, or --force to replace it."
        )


def _replace(path: Path, text: str) -> None:
    descriptor, made = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(text)
            os.fchmod(file.fileno(), 0o644)  # the servers that read it run as accounts of their own
        Path(made).replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            Path(made).unlink()
        raise
