"""The service manager's watchdog (sd_watchdog_enabled(3)): told that all is well while the timers keep their deadlines.

A loop that still turns is not enough. Whoever keeps timers says how late they are; where that is too late, too long,
the manager hears nothing, and starts the agent anew.
"""

import logging
import os
from asyncio import AbstractEventLoop, TimerHandle
from collections.abc import Callable, Mapping

from evbagent.notify import notify

TURNS = 4
"""So many times a watchdog's period the agent reports; it may be as late as one of these turns is long."""

log = logging.getLogger(__name__)


class Watchdog:
    """`lateness` tells by how many seconds the worst timer is late. Nothing is done where no manager watches."""

    def __init__(
        self,
        loop: AbstractEventLoop,
        lateness: Callable[[], float],
        tell: Callable[[str], None] = notify,
        environment: Mapping[str, str] = os.environ,
    ) -> None:
        self._loop = loop
        self._lateness = lateness
        self._tell = tell
        self._turn = watchdog_seconds(environment) / TURNS
        self._due = 0.0
        self._late = False
        self._timer: TimerHandle | None = None

    def start(self) -> None:
        if self._turn:
            self._due = self._loop.time()
            self._report()

    def close(self) -> None:
        if self._timer:
            self._timer.cancel()

    def _report(self) -> None:
        now = self._loop.time()
        late = max(now - self._due, self._lateness())
        if late <= self._turn:
            self._tell("WATCHDOG=1")
        elif not self._late:
            log.warning("timers are %.1f s late: the service manager is not told that all is well", late)
        self._late = late > self._turn
        self._due = now + self._turn
        self._timer = self._loop.call_at(self._due, self._report)


def watchdog_seconds(environment: Mapping[str, str]) -> float:
    """The period within which this process has to report; 0: nobody waits for that."""
    try:
        if int(environment.get("WATCHDOG_PID") or os.getpid()) != os.getpid():
            return 0.0
        return max(0, int(environment.get("WATCHDOG_USEC") or 0)) / 1e6
    except ValueError:
        return 0.0
