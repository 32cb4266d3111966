"""Deadlines of state machines."""

from heapq import heapify, heappop, heappush
from typing import Generic, TypeVar

Instant = int
"""Microseconds on the caller's monotonic clock."""

SECOND = 1_000_000

K = TypeVar("K")

# Entries of stopped and moved timers that a heap may hold beyond as many as there are running ones.
_SLACK = 64


class TimerTable(Generic[K]):
    """Named deadlines, the earliest at hand. A timer that is stopped leaves no trace in behaviour.

    A deadline that moves later costs nothing: its old heap entry puts it back in order when it surfaces.
    """

    def __init__(self) -> None:
        # A time is the deadline and the number of the start that set it, so that no two are equal.
        self._times: dict[K, tuple[Instant, int]] = {}
        self._queued: dict[K, tuple[Instant, int]] = {}
        self._heap: list[tuple[Instant, int, K]] = []
        self._starts = 0

    def start(self, key: K, deadline: Instant) -> None:
        """Start the timer, or move it."""
        self._starts += 1
        time = self._times[key] = deadline, self._starts
        queued = self._queued.get(key)
        if queued is None or time < queued:
            self._push(key, time)
            self._bound_garbage()

    def stop(self, key: K) -> None:
        if self._times.pop(key, None) is not None:
            self._bound_garbage()

    def stop_all(self) -> None:
        self._times.clear()
        self._queued.clear()
        self._heap.clear()

    def deadline(self, key: K) -> Instant | None:
        time = self._times.get(key)
        return None if time is None else time[0]

    def is_running(self, key: K) -> bool:
        return key in self._times

    def next_deadline(self) -> Instant | None:
        """The earliest deadline, exactly."""
        while self._heap:
            deadline, start, key = self._heap[0]
            time = self._times.get(key)
            if time == (deadline, start):
                return deadline
            heappop(self._heap)
            if self._queued.get(key) == (deadline, start):
                del self._queued[key]
                if time is not None:
                    self._push(key, time)
        return None

    def expire(self, now: Instant) -> list[K]:
        """Stop and return every timer that is due at or before `now`: by deadline, then in order of their starts."""
        due: list[K] = []
        while (deadline := self.next_deadline()) is not None and deadline <= now:
            _, _, key = heappop(self._heap)
            del self._queued[key], self._times[key]
            due.append(key)
        self._bound_garbage()
        return due

    def _push(self, key: K, time: tuple[Instant, int]) -> None:
        self._queued[key] = time
        heappush(self._heap, (*time, key))

    def _bound_garbage(self) -> None:
        """Drop the entries of stopped and moved timers once they outnumber the running ones."""
        if len(self._heap) > 2 * len(self._times) + _SLACK:
            self._queued = dict(self._times)
            self._heap = [(*time, key) for key, time in self._times.items()]
            heapify(self._heap)
