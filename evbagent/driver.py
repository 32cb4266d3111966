"""One port: stamps what comes in, runs what goes out in order, keeps one timer."""

import logging
from asyncio import AbstractEventLoop, TimerHandle
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from math import inf
from time import CLOCK_BOOTTIME, clock_gettime_ns
from typing import Protocol

from protocols.evb.bridge import SetRelay
from protocols.frame import ETHERTYPE_LLDP
from protocols.port import (
    Configure,
    Effect,
    Event,
    Indicate,
    LinkState,
    NewSettings,
    RelaySet,
    Request,
    SendFrame,
)
from protocols.stack import PortStack
from protocols.timers import SECOND, Instant
from protocols.vdp.status import Confirm, VsiChanged

log = logging.getLogger(__name__)

FRAMES_PER_WAKE_UP = 64
EARLY_FRAMES = 8
QUIET = SECOND // 100
SLACK_AFTER = 2 * SECOND
SLACK = SECOND // 8
LLDP = ETHERTYPE_LLDP.to_bytes(2, "big")


def boottime() -> Instant:
    """Microseconds of CLOCK_BOOTTIME: it goes on while the machine sleeps, and nobody steps it."""
    return clock_gettime_ns(CLOCK_BOOTTIME) // 1000


class FrameSocket(Protocol):
    """What the driver needs of a packet socket."""

    def fileno(self) -> int: ...
    def receive(self) -> bytes | None: ...
    def send(self, frame: bytes) -> None: ...
    def listen_for_ecp_to(self, another: bytes | None) -> None: ...
    def drops(self) -> int: ...
    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class FrameStatistics:
    """What has passed the kernel's filter: `received` and, while the receive buffer was full, `lost`.

    `ignored`: of those that were received, what was for none of the machines, or came before the link was up.
    `failed`: what the kernel did not take.
    """

    received: int
    lost: int
    ignored: int
    failed: int


class Record(Protocol):
    """Takes down what goes into the stack."""

    def frame(self, data: bytes, now: Instant) -> None: ...
    def request(self, request: Request, now: Instant) -> None: ...
    def advance(self, now: Instant) -> None: ...


class PortDriver:
    """Runs a stack. `configure` switches the port and says how it came out; `indicate` and `confirm` get every event,
    and every answer to a request for a VSI, at once.

    `look_again` is called when a frame shows that the link may be up before the kernel has said so.
    """

    def __init__(
        self,
        loop: AbstractEventLoop,
        name: str,
        stack: PortStack,
        socket: FrameSocket,
        configure: Callable[[SetRelay], RelaySet],
        indicate: Callable[[Event], None],
        confirm: Callable[[Confirm], None],
        look_again: Callable[[], None],
        clock: Callable[[], Instant] = boottime,
        record: Record | None = None,
    ) -> None:
        self.name = name
        self.stack = stack
        self.send_errors = 0
        self._received = 0
        self._forgotten = 0
        self._loop = loop
        self._socket = socket
        self._configure = configure
        self._indicate = indicate
        self._confirm = confirm
        self._look_again = look_again
        self._clock = clock
        self._record = record
        self._last_frame: Instant = 0
        self._looked: Instant = 0
        self._timer: TimerHandle | None = None
        self._timer_due: Instant | None = None
        self._early: deque[tuple[Instant, bytes]] = deque(maxlen=EARLY_FRAMES)
        socket.listen_for_ecp_to(stack.settings.edge.destination)
        loop.add_reader(socket.fileno(), self._readable)

    def request(self, request: Request) -> None:
        """Tell the stack something."""
        if isinstance(request, NewSettings):
            self._socket.listen_for_ecp_to(request.settings.edge.destination)
        self._run(self._ask(request))
        if request == LinkState(True):
            self._deliver_early()
        self._rearm()

    def lateness(self) -> float:
        """By how many seconds the machines' next deadline has been missed; infinite if nothing would ever wake them."""
        if self._timer is None:
            return 0.0 if self.stack.next_deadline() is None else inf
        return max(0.0, self._loop.time() - self._timer.when())

    def catch_up(self) -> None:
        """The clock has gone on while the loop's timers stood still."""
        if self._timer:
            self._timer.cancel()
            self._advance()

    def statistics(self) -> FrameStatistics:
        ignored = self.stack.ignored_frames + self._forgotten + len(self._early)
        return FrameStatistics(self._received, self._socket.drops(), ignored, self.send_errors)

    def close(self) -> None:
        self._loop.remove_reader(self._socket.fileno())
        self._socket.close()
        if self._timer:
            self._timer.cancel()

    def _readable(self) -> None:
        for _ in range(FRAMES_PER_WAKE_UP):
            frame = self._socket.receive()
            if frame is None:
                break
            self._received += 1
            now = self._clock()
            quiet, self._last_frame = now - self._last_frame > QUIET, now
            if not self.stack.enabled:
                self._forgotten += len(self._early) == EARLY_FRAMES
                self._early.append((now, frame))
                if now - self._looked > SECOND // 10:
                    self._looked = now
                    self._look_again()
                continue
            effects = self._hear(frame, now)
            if effects:
                self._run(effects)
            elif quiet and frame[12:14] == LLDP:
                return  # most likely the only one; asking whether there is another costs as much as reading this one
        self._rearm()

    def _deliver_early(self) -> None:
        """A peer may speak before the kernel has told us that the link is up; what it said a moment ago counts."""
        while self._early:
            heard, frame = self._early.popleft()
            if self._clock() - heard < SECOND:
                self._run(self._hear(frame, self._clock()))
            else:
                self._forgotten += 1

    def _run(self, effects: list[Effect]) -> None:
        """In order, but for news of VSIs: the switch, or the station, waits for the frames that come after them."""
        queue = deque(effects)
        news: list[VsiChanged | Confirm] = []
        while queue:
            match queue.popleft():
                case SendFrame(data):
                    self._send(data)
                case Configure(setting):
                    outcome = self._configure(setting)
                    queue.extend(self._ask(outcome))
                case Indicate(VsiChanged() as change):
                    news.append(change)
                case Indicate(event):
                    self._indicate(event)
                case Confirm() as confirm:
                    news.append(confirm)
        for told in news:
            if isinstance(told, Confirm):
                self._confirm(told)
            else:
                self._indicate(told)

    def _ask(self, request: Request) -> list[Effect]:
        now = self._clock()
        if self._record:
            self._record.request(request, now)
        return self.stack.request(request, now)

    def _hear(self, frame: bytes, now: Instant) -> list[Effect]:
        if self._record:
            self._record.frame(frame, now)
        return self.stack.receive(frame, now)

    def _send(self, data: bytes) -> None:
        try:
            self._socket.send(data)
        except OSError as error:
            # The link went down, or the queue is full: the machines repeat themselves, so nothing is lost for good.
            self.send_errors += 1
            log.debug("%s: frame not sent: %s", self.name, error)

    def _rearm(self) -> None:
        """Keep one timer. A deadline that moved later is found when the old one fires: cheaper than moving it."""
        due = self.stack.next_deadline()
        if due is None or (self._timer_due is not None and self._timer_due <= due):
            return
        if self._timer:
            self._timer.cancel()
        self._timer_due = due
        wait = max(0, due - self._clock())
        if wait > SLACK_AFTER:
            # No hurry: ports that are due at about the same time share a wake-up.
            wait += -due % SLACK
        self._timer = self._loop.call_later(wait / SECOND, self._advance)

    def _advance(self) -> None:
        self._timer = None
        self._timer_due = None
        now = self._clock()
        if self._record:
            self._record.advance(now)
        effects = self.stack.advance(now)
        if effects:
            self._run(effects)
        self._rearm()
