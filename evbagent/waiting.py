"""Clients that wait for something to hold: when to look again, and what they are told."""

import logging
from asyncio import TimerHandle, get_running_loop
from collections.abc import Callable, Iterator, Mapping
from time import perf_counter
from typing import Any

from evbagent.exchange import ControlError
from evbagent.stream import Stream

REST_SHARE = 8
"""Looking takes at most a ninth of the time, whatever a thousand clients wait for."""

log = logging.getLogger(__name__)


class Waiting:
    """`holds` tells whether an interface has what a condition says. ControlError: there is no such thing."""

    def __init__(self, holds: Callable[[str, str], bool]) -> None:
        self._holds = holds
        self._streams: dict[Stream, tuple[str, str, TimerHandle | None]] = {}
        self._look: TimerHandle | None = None
        self._not_before = 0.0
        self.late = 0  # how many times it was looked later than it could have been

    def __len__(self) -> int:
        return len(self._streams)

    def __iter__(self) -> Iterator[Stream]:
        return iter(self._streams)

    def __contains__(self, stream: Stream) -> bool:
        return stream in self._streams

    def add(self, stream: Stream, interface: str, condition: str, timeout: float | None) -> None:
        """`timeout`: seconds; None: as long as it takes."""
        timer = None
        if timeout is not None:
            timer = get_running_loop().call_later(timeout, stream.send, {"held": False}, True)
        self._streams[stream] = interface, condition, timer

    def remove(self, stream: Stream) -> None:
        _, _, timer = self._streams.pop(stream)
        if timer:
            timer.cancel()

    def close(self) -> None:
        """Look no more."""
        if self._look:
            self._look.cancel()
            self._look = None

    def doubt(self) -> None:
        """Something has changed. What changes in one turn of the loop is looked at once."""
        if self._streams and self._look is None:
            loop = get_running_loop()
            rest = max(0.0, self._not_before - loop.time())
            self.late += rest > 0
            self._look = loop.call_later(rest, self._look_again)

    def _look_again(self) -> None:
        self._look = None
        begun = perf_counter()
        answers: dict[tuple[str, str], Mapping[str, Any] | None] = {}
        for stream, (interface, condition, _) in list(self._streams.items()):
            question = interface, condition
            if question not in answers:
                answers[question] = self._answer(*question)
            if answer := answers[question]:
                stream.send(answer, last=True)
        self._not_before = get_running_loop().time() + REST_SHARE * (perf_counter() - begun)

    def _answer(self, interface: str, condition: str) -> Mapping[str, Any] | None:
        """What to tell those who wait for it; None: nothing yet. One that fails is no concern of the others."""
        try:
            return {"held": True} if self._holds(interface, condition) else None
        except ControlError as error:
            return {"error": str(error)}
        except Exception:
            log.exception("control socket: cannot tell whether %s has %r", interface, condition)
            return {"error": "the agent failed to answer; its log says why"}
