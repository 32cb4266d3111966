"""How much may be logged: whoever makes us say something again and again must not fill the log, nor keep us busy."""

from collections.abc import Callable
from logging import INFO, Filter, LogRecord
from time import monotonic

LINES_AT_ONCE, LINES_A_SECOND = 20, 2
"""Of one kind about one subject, most of the time an interface."""

ALL_LINES_AT_ONCE, ALL_LINES_A_SECOND = 400, 40

MOST_KINDS = 512


class LineLimit(Filter):
    """Of a handler. What is left out is counted (`left_out`), and its number said with the next line of the kind.

    Whoever wants to see more than INFO wants to see everything.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        super().__init__()
        self.left_out = 0
        self._clock = clock
        self._all = _Bucket(ALL_LINES_AT_ONCE, ALL_LINES_A_SECOND, clock())
        self._kinds: dict[object, _Bucket] = {}

    def filter(self, record: LogRecord) -> bool:
        if record.levelno < INFO:
            return True
        now = self._clock()
        kind = self._kind(record, now)
        if not kind.has_one(now) or not self._all.has_one(now):
            kind.left_out += 1
            self.left_out += 1
            return False
        for bucket in (kind, self._all):
            bucket.tokens -= 1
        if kind.left_out:
            record.msg, record.args = f"{record.getMessage()} ({kind.left_out} such lines before were left out)", ()
            kind.left_out = 0
        return True

    def _kind(self, record: LogRecord, now: float) -> "_Bucket":
        """Lines of one format whose first argument is the same."""
        subject = record.args[0] if isinstance(record.args, tuple) and record.args else None
        key = record.name, record.msg, str(subject)
        kind = self._kinds.get(key)
        if kind is None:
            if len(self._kinds) >= MOST_KINDS:
                self._kinds = {key: kind for key, kind in self._kinds.items() if not kind.is_full(now)}
            if len(self._kinds) >= MOST_KINDS:
                key = "", "", ""  # one for all that there is no room for
            kind = self._kinds.setdefault(key, _Bucket(LINES_AT_ONCE, LINES_A_SECOND, now))
        return kind


class _Bucket:
    """So many at once, and so many a second."""

    __slots__ = ("_a_second", "_most", "_since", "left_out", "tokens")

    def __init__(self, most: int, a_second: int, now: float) -> None:
        self.tokens: float = most
        self.left_out = 0
        self._most = most
        self._a_second = a_second
        self._since = now

    def has_one(self, now: float) -> bool:
        self.tokens = min(self._most, self.tokens + (now - self._since) * self._a_second)
        self._since = now
        return self.tokens >= 1

    def is_full(self, now: float) -> bool:
        """Whether nothing is lost when it is forgotten."""
        return not self.left_out and self.has_one(now) and self.tokens >= self._most
