"""This host's clock as its kernel knows it: synchronised or not, and whether a time service is seen to run."""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import psutil

from checks.text import Clean, one_line

SERVICES = frozenset(
    {"chronyd", "ntpd", "systemd-timesyncd", "systemd-timesyn", "openntpd", "ptp4l", "phc2sys", "VBoxService"}
    | {"ntpd-rs", "timed", "timemaster"}
)
"""Programs that keep a clock; the kernel cuts names after 15 characters."""
_ERROR, _UNSYNCHRONISED = 5, 0x40
"""TIME_ERROR and STA_UNSYNC of <sys/timex.h>."""


class _Timex(ctypes.Structure):
    """The first fields of `struct timex`; the rest is room."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("room", ctypes.c_byte * 512),
    )


@dataclass(frozen=True, slots=True)
class ClockState:
    """What this host says of its own clock."""

    is_synchronised: bool | None
    """By the kernel; None where it may not be asked."""
    services: tuple[Clean, ...]
    """Names of the time services that are seen to run; a container shows none of its host's."""


def look_at_clock() -> ClockState:
    """The state of this host's clock; reads alone (adjtimex(2) with no modes set)."""
    names = {process.info["name"] or "" for process in psutil.process_iter(["name"])}
    return ClockState(_is_synchronised(), tuple(one_line(name, 20) for name in sorted(names & SERVICES)))


def _is_synchronised() -> bool | None:
    try:
        state = _Timex()
        code = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(state))
    except (OSError, AttributeError):
        return None
    if code < 0:
        return None
    return code != _ERROR and not state.status & _UNSYNCHRONISED
