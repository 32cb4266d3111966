"""A share of the time for what others can ask for without end."""

from collections.abc import Callable
from time import monotonic, thread_time
from typing import Self


class Share:
    """`with share:` around what takes time. `at_once`: seconds that it may take in one go; `share` of all others."""

    def __init__(
        self,
        at_once: float,
        share: float,
        clock: Callable[[], float] = monotonic,
        spent: Callable[[], float] = thread_time,
    ) -> None:
        self._at_once = self._left = at_once
        self._share = share
        self._clock = clock
        self._spent = spent
        self._since = clock()
        self._begun = 0.0

    @property
    def is_used_up(self) -> bool:
        now = self._clock()
        self._left = min(self._at_once, self._left + (now - self._since) * self._share)
        self._since = now
        return self._left <= 0

    def __enter__(self) -> Self:
        self._begun = self._spent()
        return self

    def __exit__(self, *_: object) -> None:
        self._left -= self._spent() - self._begun
