"""Notices that the machine has slept.

The event loop's timers stand still meanwhile (CLOCK_MONOTONIC), and what they are for goes on (CLOCK_BOOTTIME): an
agent would speak, and say what it knows, only when the rest of a timer from before the sleep is over. The kernel
cancels timers of CLOCK_REALTIME when that clock is set, and when the machine resumes (timerfd_create(2)).
"""

import logging
import os
import struct
from asyncio import AbstractEventLoop
from collections.abc import Callable, Iterable
from contextlib import suppress
from errno import ECANCELED
from time import CLOCK_BOOTTIME, CLOCK_MONOTONIC, CLOCK_REALTIME, clock_gettime_ns
from typing import Protocol

TFD_NONBLOCK, TFD_CLOEXEC = os.O_NONBLOCK, os.O_CLOEXEC
TFD_TIMER_ABSTIME, TFD_TIMER_CANCEL_ON_SET = 1, 2
NEVER = struct.pack("4q", 0, 0, (1 << 62) // 1_000_000_000, 0)
"""`struct itimerspec`: interval and value, each seconds and nanoseconds."""

Callback = Callable[[], None]

log = logging.getLogger(__name__)


class Timed(Protocol):
    """Who has timers."""

    def catch_up(self) -> None: ...


def slept_ns() -> int:
    """How long the machine has slept since it was started."""
    return clock_gettime_ns(CLOCK_BOOTTIME) - clock_gettime_ns(CLOCK_MONOTONIC)


class Awake:
    """Has everybody catch up after a sleep. Setting the clock matters to nobody: only texts have times of that one."""

    def __init__(
        self,
        loop: AbstractEventLoop,
        timed: Callable[[], Iterable[Timed | None]],
        renew: Callback,
        slept: Callable[[], int] = slept_ns,
    ) -> None:
        self._loop = loop
        self._timed = timed
        self._renew = renew
        self._slept = slept
        self._known = slept()
        self._timer: int | None = None
        try:
            self._timer = _cancelled_on_set()
        except OSError as error:  # a sandbox that is narrower than ours
            log.info("that the machine has slept will be found out late: timerfd: %s", error.strerror)
        else:
            loop.add_reader(self._timer, self._cancelled)

    def close(self) -> None:
        if self._timer is not None:
            self._loop.remove_reader(self._timer)
            os.close(self._timer)
            self._timer = None

    def _cancelled(self) -> None:
        assert self._timer is not None
        with suppress(BlockingIOError):
            try:
                os.read(self._timer, 8)
            except OSError as error:
                if error.errno != ECANCELED:
                    raise
        self.look()

    def look(self) -> None:
        """Has the machine slept since the last look?"""
        slept = self._slept() - self._known
        if slept < 1_000_000:  # two clocks are never read at the same moment
            return
        self._known += slept
        log.info("the machine has slept for %.3f s", slept / 1e9)
        for one in self._timed():
            if one is not None:
                one.catch_up()
        self._renew()


def _cancelled_on_set() -> int:
    """A timer that never ends by itself (`os.timerfd_create` exists from Python 3.13 on)."""
    import ctypes  # only here, as it would delay the agent's start

    libc = ctypes.CDLL(None, use_errno=True)
    timer: int = libc.timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC)
    if timer >= 0:
        if libc.timerfd_settime(timer, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, NEVER, None) == 0:
            return timer
        os.close(timer)
    number = ctypes.get_errno()
    raise OSError(number, os.strerror(number))
