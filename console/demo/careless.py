"""What the demo does with text from outside under some faults: runs it, follows it. Without one it is not asked."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import stat
from asyncio.subprocess import DEVNULL
from pathlib import Path

WITHIN_S = 2.0


async def shell(data: Path, words: str) -> None:
    """The fault shell-launch: give `words` to a shell that knows its own words and `touch`, and nothing else."""
    bash, touch = shutil.which("bash"), shutil.which("touch")
    if not bash or not touch:
        return
    programs = data / "programs"
    programs.mkdir(exist_ok=True)
    with contextlib.suppress(FileExistsError):
        (programs / "touch").symlink_to(touch)
    process = await asyncio.create_subprocess_exec(
        *(bash, "--restricted", "--norc", "--noprofile", "-c", words),
        stdin=DEVNULL,
        stdout=DEVNULL,
        stderr=DEVNULL,
        env={"PATH": str(programs)},
    )
    try:
        async with asyncio.timeout(WITHIN_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def upwards(folder: Path, path: str) -> Path | None:
    """The fault path-traversal: the file at `path` from `folder` that is outside of it, if everybody may read it."""
    file = folder / path
    if file.resolve().is_relative_to(folder):
        return None
    try:
        mode = file.stat().st_mode
    except (OSError, ValueError):
        return None
    return file if stat.S_ISREG(mode) and mode & stat.S_IROTH else None
