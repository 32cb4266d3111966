"""A line of the log for each of some changes, as long as they are few: whoever floods us must not fill the journal."""

from collections.abc import Callable
from functools import partial
from logging import Logger
from time import monotonic

LINES_A_SECOND = 20


class FewLines:
    """`line` for each; those beyond 20 in a second are counted, and their number is said with the next line.

    `soon` (a loop's `call_soon`): they are written when what others wait for is done.
    """

    def __init__(
        self,
        log: Logger,
        what: str,
        clock: Callable[[], float] = monotonic,
        soon: Callable[..., object] | None = None,
    ) -> None:
        self._info = partial(soon, log.info) if soon else log.info
        self._what = what
        self._clock = clock
        self._second = 0
        self._lines = 0

    def line(self, text: Callable[[], str]) -> None:
        """`text` is asked only for what is written."""
        second = int(self._clock())
        if second != self._second:
            if self._lines > LINES_A_SECOND:
                self._info("%d more changes of %s before", self._lines - LINES_A_SECOND, self._what)
            self._second, self._lines = second, 0
        self._lines += 1
        if self._lines <= LINES_A_SECOND:
            self._info("%s", text())
