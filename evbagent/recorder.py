"""Takes down what goes into a port's machines, for `evbagent replay` and for tests (`evbagent run --record DIR`)."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from msgspec.json import Encoder

from evbagent.driver import boottime
from evbagent.instants import utc
from evbagent.recording import request_line, start_line
from protocols.evb.status import Role
from protocols.port import PortSettings, Request
from protocols.timers import Instant
from protocols.vdp.rules import PolicyRules

MAX_OCTETS = 64 << 20

log = logging.getLogger(__name__)


def record_port(directory: Path, interface: str, role: Role, settings: PortSettings, rules: PolicyRules) -> "Recorder":
    """A file for this port, where all that its machines are told is taken down."""
    now = boottime()
    recorder = Recorder(directory / f"{interface}-{now}.jsonl")
    recorder.start(interface, role, settings, rules, utc(now), now)
    return recorder


class Recorder:
    """One file for one run of one port. It never raises: when it cannot go on, it says so once and stops."""

    def __init__(self, path: Path, max_octets: int = MAX_OCTETS) -> None:
        self._path = path
        self._left = max_octets
        self._encode = Encoder().encode
        self._file: BinaryIO | None = None
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("xb", buffering=0)
        except OSError as error:
            log.error("%s is not recorded: %s", path, error.strerror)

    def start(
        self, interface: str, role: Role, settings: PortSettings, rules: PolicyRules, utc: str, now: Instant
    ) -> None:
        self._write(start_line(interface, role, settings, rules, utc, now))

    def frame(self, data: bytes, now: Instant) -> None:
        self._write({"time": now, "input": "frame", "data": data.hex()})

    def request(self, request: Request, now: Instant) -> None:
        self._write({"time": now, **request_line(request)})

    def advance(self, now: Instant) -> None:
        self._write({"time": now, "input": "advance"})

    def sequence(self, source: Callable[[], int]) -> Callable[[], int]:
        """The source of random numbers, whose draws are taken down before what they are drawn for."""

        def draw() -> int:
            value = source()
            self._write({"input": "first-sequence", "value": value})
            return value

        return draw

    def close(self) -> None:
        if self._file:
            self._file.close()
            self._file = None

    def _write(self, line: dict[str, Any]) -> None:
        if self._file is None:
            return
        data = self._encode(line) + b"\n"
        self._left -= len(data)
        if self._left < 0:
            log.warning("%s is full: no more is recorded", self._path)
            self.close()
            return
        try:
            self._file.write(data)
        except OSError as error:
            log.error("%s: no more is recorded: %s", self._path, error.strerror)
            self.close()
