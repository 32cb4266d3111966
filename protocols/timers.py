"""Deadlines of state machines."""

from heapq import heappop, heappush
from typing import Generic, TypeVar

Instant = int
"""Microseconds on the caller's monotonic clock."""

SECOND = 1_000_000

K = TypeVar("K")


class TimerTable(Generic[K]):
    """Named deadlines, the earliest at hand. A timer that is stopped leaves no trace in behaviour.

    A deadline that moves later costs nothing: its old heap entry puts it back in order when it surfaces.
    """

    def __init__(self) -> None:
        self._deadlines: dict[K, Instant] = {}
        self._queued: dict[K, Instant] = {}
        self._heap: list[tuple[Instant, int, K]] = []
        self._started = 0

    def start(self, key: K, deadline: Instant) -> None:
        """Start the timer, or move it."""
        self._deadlines[key] = deadline
        queued = self._queued.get(key)
        if queued is None or deadline < queued:
            self._push(key, deadline)

    def stop(self, key: K) -> None:
        self._deadlines.pop(key, None)
        if len(self._heap) > 2 * len(self._deadlines) + 64:
            self._rebuild()

    def stop_all(self) -> None:
        self._deadlines.clear()
        self._queued.clear()
        self._heap.clear()

    def deadline(self, key: K) -> Instant | None:
        return self._deadlines.get(key)

    def is_running(self, key: K) -> bool:
        return key in self._deadlines

    def next_deadline(self) -> Instant | None:
        """The earliest deadline, exactly."""
        while self._heap:
            queued, _, key = self._heap[0]
            deadline = self._deadlines.get(key)
            if deadline == queued:
                return queued
            heappop(self._heap)
            if self._queued.get(key) == queued:
                del self._queued[key]
            if deadline is not None and key not in self._queued:
                self._push(key, deadline)
        return None

    def expire(self, now: Instant) -> list[K]:
        """Stop and return every timer that is due at or before `now`, the earliest first."""
        due: list[K] = []
        while (deadline := self.next_deadline()) is not None and deadline <= now:
            _, _, key = heappop(self._heap)
            self._queued.pop(key, None)
            del self._deadlines[key]
            due.append(key)
        return due

    def _push(self, key: K, deadline: Instant) -> None:
        self._started += 1
        self._queued[key] = deadline
        heappush(self._heap, (deadline, self._started, key))

    def _rebuild(self) -> None:
        """Drop the entries of stopped timers once they outnumber the running ones."""
        self._heap.clear()
        self._queued.clear()
        for key, deadline in self._deadlines.items():
            self._push(key, deadline)
