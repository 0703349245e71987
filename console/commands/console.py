"""Opening the console, on a profile's target or on the embedded one; what is heavy comes after the first paint."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from checks.model import ReviewError
from console.demo.launch import DemoError, DemoProcess
from console.opening import run_console

if TYPE_CHECKING:
    from checks.target import Target


def open_console(profile: Path | None, *, mouse: bool = False) -> int:
    """The console on the target of `profile`; returns its exit code."""

    def open_target() -> Target:
        from console.commands.target import target_to_run  # after the first paint

        return target_to_run(profile)

    return run_console(open_target, title=str(profile or ""), mouse=mouse)


def open_console_on_demo(
    faults: Sequence[str], *, port: int | None, data: Path | None, tls: bool = True, mouse: bool = False
) -> int:
    """The console on a demo target that lives as long as the console does; returns its exit code."""
    demo = DemoProcess.spawn(port=port, data=data, faults=faults, tls=tls)

    def open_target() -> Target:
        from checks.profile.read import load_target  # after the first paint

        try:
            demo.wait_ready()
        except DemoError as problem:
            raise ReviewError(str(problem)) from problem
        return load_target(demo.profile)

    try:
        return run_console(open_target, title="demo", mouse=mouse, is_own=True, at_exit=demo.stop)
    finally:
        demo.stop()
