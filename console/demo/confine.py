"""What a controller does not need, the demo gives up: the rights of root, unbounded memory, dumps of its memory."""

from __future__ import annotations

import ctypes
import os
import pwd
import resource
import stat
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

ACCOUNT = "nobody"
"""Who serves where root started it, and the folder of the data is root's."""
MEMORY_BYTES = 4 << 30
DESCRIPTORS, FEW_DESCRIPTORS = 4096, 256
MAX_FILES = 1000
"""A folder with more in it is not the demo's alone: it is not given away."""
# <sched.h>, <sys/mount.h> and <sys/prctl.h> of Linux.
_NEW_MOUNTS, _NO_DEVICES, _NO_SETUID, _BIND, _RECURSIVE, _SLAVE = 0x20000, 4, 2, 4096, 16384, 1 << 19
_NO_NEW_PRIVILEGES = 38


class StaysRootError(Exception):
    """The rights of root cannot be given up; the text says why."""


def bound(faults: frozenset[str]) -> None:
    """Bound memory and descriptors of this process and its bots, and write no dump of its memory when it crashes."""
    if "memory-unbounded" not in faults:
        _limit(resource.RLIMIT_AS, MEMORY_BYTES)
    _limit(resource.RLIMIT_CORE, resource.RLIM_INFINITY if "core-dumps" in faults else 0)
    few = "few-descriptors" in faults
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    _limit(resource.RLIMIT_NOFILE, FEW_DESCRIPTORS if few else max(soft, DESCRIPTORS))


def _limit(which: int, soft: int) -> None:
    _, hard = resource.getrlimit(which)
    if hard != resource.RLIM_INFINITY and (soft == resource.RLIM_INFINITY or soft > hard):
        soft = hard
    resource.setrlimit(which, (soft, hard))


def give_up_root(data: Path, files: Iterable[Path], faults: frozenset[str]) -> str:
    """Go on as the owner of `data`, or as `ACCOUNT` where that is root, who is given `data` with what is in it.

    `files` are further files that are written to. Returns why it stays root; empty where it is not root (any more).
    """
    if os.geteuid() != 0:
        return ""
    if "runs-as-root" in faults:
        return "the fault runs-as-root is switched on"
    try:
        if not _may_look_at_others():
            raise StaysRootError(
                "root may not look at other accounts' processes here, so nobody could review it"
            )
        account = _account(data)
        program = [Path(sys.base_prefix), Path(sys.prefix), *_source_folders()]
        _see_to_it([*program, data], account)
        for path in files:
            if not path.is_relative_to(data):
                raise StaysRootError(f"{path} is not in the folder of the data")
        _give_away(data, account)
    except (StaysRootError, OSError, KeyError) as problem:
        return str(problem)
    os.setgroups([])
    os.setgid(account.pw_gid)
    os.setuid(account.pw_uid)
    # Libraries look for settings there, and may not.
    os.environ["HOME"] = str(data)
    ctypes.CDLL(None).prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    return ""


def _may_look_at_others() -> bool:
    """Whether this process has CAP_SYS_PTRACE (number 19): root of a container may not have it."""
    for line in Path("/proc/self/status").read_text("ascii").splitlines():
        if line.startswith("CapEff:"):
            return bool(int(line.split()[1], 16) >> 19 & 1)
    return False


def _account(data: Path) -> pwd.struct_passwd:
    owner = data.stat().st_uid
    return pwd.getpwuid(owner) if owner else pwd.getpwnam(ACCOUNT)


def _source_folders() -> list[Path]:
    """Where this program and its libraries are imported from."""
    return [path for path in map(Path, sys.path) if path.is_absolute() and path.is_dir()]


def _see_to_it(needed: Sequence[Path], account: pwd.struct_passwd) -> None:
    """See to it that the account can reach each folder. Raises StaysRootError or OSError where it could not."""
    closed = {outer for path in needed if (outer := _closed(path, account))}
    for path in needed[:-1]:  # the last one is given away
        if not _may_read(path, account):
            raise StaysRootError(f"{account.pw_name} may not read {path}")
    if closed:
        _open_views(sorted(closed), needed)


def _closed(path: Path, account: pwd.struct_passwd) -> Path | None:
    """The outermost folder on the way to `path` that the account may not pass."""
    return next((outer for outer in reversed(path.resolve().parents) if not _may_pass(outer, account)), None)


def _may_pass(path: Path, account: pwd.struct_passwd) -> bool:
    state = path.stat()
    return bool(state.st_mode & (stat.S_IXUSR if state.st_uid == account.pw_uid else stat.S_IXOTH))


def _may_read(path: Path, account: pwd.struct_passwd) -> bool:
    state = path.stat()
    wanted = stat.S_IRUSR | stat.S_IXUSR if state.st_uid == account.pw_uid else stat.S_IROTH | stat.S_IXOTH
    return state.st_mode & wanted == wanted


def _open_views(closed: Sequence[Path], needed: Sequence[Path]) -> None:
    """Let this process and its bots see, in place of each closed folder, one with nothing but what is needed in it.

    Python may be in root's home. As `ProtectHome=tmpfs` of systemd does it: mounts that nobody else sees.
    """
    libc = ctypes.CDLL(None, use_errno=True)

    def mount(source: str, target: Path, kind: str, flags: int, options: str = "") -> None:
        given = (source.encode(), os.fsencode(target), kind.encode(), ctypes.c_ulong(flags), options.encode())
        if libc.mount(*given):
            raise StaysRootError(f"{target} cannot be mounted: {os.strerror(ctypes.get_errno())}")

    if libc.unshare(_NEW_MOUNTS):
        why = os.strerror(ctypes.get_errno())
        raise StaysRootError(
            f"{', '.join(map(str, closed))} is closed to others, and cannot be replaced: {why}"
        )
    mount("none", Path("/"), "", _RECURSIVE | _SLAVE)
    before = os.umask(0o022)
    for outer in closed:
        inner = {path.resolve() for path in needed if path.resolve().is_relative_to(outer)}
        outermost = [path for path in inner if not any(other in path.parents for other in inner)]
        descriptors = {path: os.open(path, os.O_PATH) for path in outermost}
        mount("tmpfs", outer, "tmpfs", _NO_DEVICES | _NO_SETUID, "mode=755,size=64k")
        for path, descriptor in descriptors.items():
            path.mkdir(parents=True)
            mount(f"/proc/self/fd/{descriptor}", path, "", _BIND | _RECURSIVE)
            os.close(descriptor)
    os.umask(before)


def _give_away(data: Path, account: pwd.struct_passwd) -> None:
    """Make the account the owner of the folder and of root's files in it. Raises StaysRootError or OSError."""
    paths = [data, *(path for path in data.rglob("*") if not path.is_symlink())]
    if len(paths) > MAX_FILES:
        raise StaysRootError(f"{data} holds more than the demo's own files")
    for path in paths:
        if path.lstat().st_uid == 0:
            os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)
