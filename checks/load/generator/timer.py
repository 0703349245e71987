"""One alarm at an absolute moment of CLOCK_MONOTONIC, as exact as the system can.

Linux: a timerfd as one more descriptor of the loop, late by 0.01-0.02 ms where the loop's own timers are rounded to
whole milliseconds. Elsewhere: the loop's own timers.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import sys
import time
from collections.abc import Callable
from typing import Any, Protocol

NEVER = 1 << 62
"""A moment that does not come, in nanoseconds."""
_MONOTONIC, _ABSOLUTE = 1, 1
_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC


class Alarm(Protocol):
    """Calls back once at a moment; setting it again replaces the moment before."""

    def set(self, moment: int) -> None:
        """Call back at `moment` (CLOCK_MONOTONIC, nanoseconds), at once where that is over, or NEVER."""

    def close(self) -> None:
        """Call back no more."""


class _Spec(ctypes.Structure):
    """`struct itimerspec` of timerfd_settime(2): no interval, one moment."""

    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )


class TimerfdAlarm:
    """By timerfd_create(2); from Python 3.13 on `os` has it, before it is the C library's."""

    __slots__ = ("_arm", "_fd", "_loop", "_spec")

    def __init__(self, loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
        """Raises OSError or AttributeError where the system has no timerfd."""
        self._loop = loop
        self._spec = _Spec(0, 0, 0, 0)
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd = libc.timerfd_create(_MONOTONIC, _FLAGS)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create failed")
        settime, fd, spec = libc.timerfd_settime, self._fd, ctypes.byref(self._spec)
        self._arm: Callable[[], Any] = lambda: settime(fd, _ABSOLUTE, spec, None)
        loop.add_reader(self._fd, call)

    def set(self, moment: int) -> None:
        """As in `Alarm`. Setting it also takes back an expiry that was not read yet."""
        if moment >= NEVER:
            self._spec.value_s = self._spec.value_ns = 0
        else:
            # A moment of 0 would switch it off.
            self._spec.value_s, self._spec.value_ns = divmod(max(1, moment), 1_000_000_000)
        self._arm()

    def close(self) -> None:
        """As in `Alarm`."""
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1


class LoopAlarm:
    """By the loop's own timers, which are late by up to a millisecond."""

    __slots__ = ("_call", "_handle", "_loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> None:
        self._loop = loop
        self._call = call
        self._handle: asyncio.Handle | None = None

    def set(self, moment: int) -> None:
        """As in `Alarm`."""
        self.close()
        if moment < NEVER:
            self._handle = self._loop.call_later(max(0.0, (moment - time.monotonic_ns()) / 1e9), self._call)

    def close(self) -> None:
        """As in `Alarm`."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None


def alarm(loop: asyncio.AbstractEventLoop, call: Callable[[], None]) -> Alarm:
    """The best alarm that this system has."""
    if sys.platform == "linux":
        try:
            return TimerfdAlarm(loop, call)
        except (OSError, AttributeError):
            pass
    return LoopAlarm(loop, call)
