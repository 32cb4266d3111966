"""Instants of the agent's clock as people and programs write them."""

from collections.abc import Callable
from datetime import UTC, datetime
from time import time

from evbagent.driver import boottime
from protocols.timers import SECOND, Instant


def utc(instant: Instant, clock: Callable[[], Instant] = boottime) -> str:
    """An instant of CLOCK_BOOTTIME as UTC text, to the millisecond."""
    seconds = time() - (clock() - instant) / SECOND
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
