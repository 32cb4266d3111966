"""A line of the log for each of some changes, as long as they are few: whoever floods us must not fill the journal."""

from collections.abc import Callable
from logging import Logger
from time import monotonic

LINES_A_SECOND = 20


class FewLines:
    """`line` for each; those beyond 20 in a second are counted, and their number is said with the next line."""

    def __init__(self, log: Logger, what: str, clock: Callable[[], float] = monotonic) -> None:
        self._log = log
        self._what = what
        self._clock = clock
        self._second = 0
        self._lines = 0

    def line(self, text: str) -> None:
        second = int(self._clock())
        if second != self._second:
            if self._lines > LINES_A_SECOND:
                self._log.info("%d more changes of %s before", self._lines - LINES_A_SECOND, self._what)
            self._second, self._lines = second, 0
        self._lines += 1
        if self._lines <= LINES_A_SECOND:
            self._log.info("%s", text)
