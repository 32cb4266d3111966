"""The transmit and transmit timer state machines of IEEE 802.1AB (clause 9.2.9 and 9.2.10; sheet `lldp.md` 3.1, 3.2).

The two diagrams are one class here because each is nothing without the other. The standard's one-second `txTick` is no
clock that always runs: credit is counted up when it is looked at, and waited for only when an LLDPDU is. Transient
boxes (TX_INFO_FRAME, TX_TIMER_EXPIRES, SIGNAL_TX, TX_FAST_START, TX_TICK, TX_TIMER_INITIALIZE) are steps, not states.
"""

from dataclasses import dataclass
from enum import Enum, auto

from protocols.timers import SECOND, Instant, TimerTable


@dataclass(frozen=True, slots=True)
class TxSettings:
    """The variables that management sets; durations in seconds, as the standard and the MIB have them."""

    msg_tx_interval: int = 30
    msg_tx_hold: int = 4
    msg_fast_tx: int = 1
    tx_fast_init: int = 4
    tx_credit_max: int = 5
    reinit_delay: int = 2

    @property
    def tx_ttl(self) -> int:
        """Seconds; the formula of 802.1AB-2009 and later (lldpad and lldpd leave out the 1)."""
        return min(65535, self.msg_tx_interval * self.msg_tx_hold + 1)


class TxState(Enum):
    TX_LLDP_INITIALIZE = auto()
    TX_IDLE = auto()
    TX_SHUTDOWN_FRAME = auto()


class TxTimer(Enum):
    TTR = auto()
    TICK = auto()
    SHUTDOWN_WHILE = auto()


class Send(Enum):
    """What the caller has to put on the wire now."""

    INFO = auto()
    SHUTDOWN = auto()


class Transmit:
    """Says when an LLDPDU is due.

    Inputs only note what happened; `transmit` hands out what is to be sent. A caller that feeds every consequence of an
    event in before it asks gets one LLDPDU with the newest content, where asking between would give several.
    """

    def __init__(self, settings: TxSettings) -> None:
        self.settings = settings
        self.state = TxState.TX_LLDP_INITIALIZE
        self.port_enabled = False
        self.admin_tx = False
        self.tx_now = False
        self.tx_fast = 0
        self.tx_credit = settings.tx_credit_max
        self._shutdown_due = False
        self._next_tick: Instant | None = None
        self._timers: TimerTable[TxTimer] = TimerTable()

    def enable(self, port_enabled: bool, admin_tx: bool, now: Instant) -> None:
        """portEnabled and the transmitting half of adminStatus."""
        was_running = self._timer_running
        self.port_enabled, self.admin_tx = port_enabled, admin_tx
        if not port_enabled:
            self.state = TxState.TX_LLDP_INITIALIZE
            self._shutdown_due = False
            self._timers.stop(TxTimer.SHUTDOWN_WHILE)
        elif self.state is TxState.TX_IDLE and not admin_tx:
            self._enter_shutdown(now)
        elif self.state is TxState.TX_LLDP_INITIALIZE and admin_tx:
            self.state = TxState.TX_IDLE
        if self._timer_running and not was_running:
            self._timer_expires(now)
        elif was_running and not self._timer_running:
            self._timer_initialize()

    def configure(self, settings: TxSettings, now: Instant) -> None:
        """New management values; a shorter interval takes effect on the frame that is waited for."""
        self.settings = settings
        if not self._timer_running:
            self._timer_initialize()
            return
        self._tick(now)
        self.tx_credit = min(self.tx_credit, settings.tx_credit_max)
        self._count_credit(now)
        self.tx_fast = min(self.tx_fast, settings.tx_fast_init)
        self._bring_forward(now + self._interval)

    def local_change(self, now: Instant) -> None:
        """Something that we send has changed (somethingChangedLocal)."""
        if self._timer_running:
            self._signal_tx(now)

    def hasten(self, now: Instant) -> None:
        """Let the next regular LLDPDU come no later than msgFastTx from now, without spending one on it at once."""
        self._bring_forward(now + self.settings.msg_fast_tx * SECOND)

    def new_neighbor(self, now: Instant) -> None:
        """The receive machine has stored a system that was not known (newNeighbor): TX_FAST_START."""
        if self._timer_running:
            if self.tx_fast == 0:
                self.tx_fast = self.settings.tx_fast_init
            self._timer_expires(now)

    def next_deadline(self) -> Instant | None:
        return self._timers.next_deadline()

    def advance(self, now: Instant) -> None:
        self._tick(now)
        for timer in self._timers.expire(now):
            match timer:
                case TxTimer.TTR:
                    self._timer_expires(now)
                case TxTimer.TICK:
                    pass  # there is credit again, for `transmit` to spend
                case TxTimer.SHUTDOWN_WHILE:
                    self.state = TxState.TX_IDLE if self.admin_tx else TxState.TX_LLDP_INITIALIZE

    def transmit(self, now: Instant) -> Send | None:
        """What is due now, if anything; the caller sends it before the next input."""
        if self._shutdown_due:
            self._shutdown_due = False
            return Send.SHUTDOWN
        if self.state is not TxState.TX_IDLE or not self.tx_now:
            return None
        self._tick(now)
        if self.tx_credit == 0:
            if self._next_tick is not None:
                self._timers.start(TxTimer.TICK, self._next_tick)
            return None
        self.tx_now = False
        self.tx_credit -= 1
        self._count_credit(now)
        return Send.INFO

    @property
    def _timer_running(self) -> bool:
        return self.port_enabled and self.admin_tx

    @property
    def _interval(self) -> int:
        return (self.settings.msg_fast_tx if self.tx_fast > 0 else self.settings.msg_tx_interval) * SECOND

    def _enter_shutdown(self, now: Instant) -> None:
        self.state = TxState.TX_SHUTDOWN_FRAME
        self._shutdown_due = True
        self._timers.start(TxTimer.SHUTDOWN_WHILE, now + self.settings.reinit_delay * SECOND)

    def _timer_initialize(self) -> None:
        self.tx_now = False
        self.tx_fast = 0
        self.tx_credit = self.settings.tx_credit_max
        self._next_tick = None
        self._timers.stop(TxTimer.TTR)
        self._timers.stop(TxTimer.TICK)

    def _timer_expires(self, now: Instant) -> None:
        if self.tx_fast > 0:
            self.tx_fast -= 1
        self._signal_tx(now)

    def _signal_tx(self, now: Instant) -> None:
        self.tx_now = True
        self._timers.start(TxTimer.TTR, now + self._interval)

    def _bring_forward(self, latest: Instant) -> None:
        due = self._timers.deadline(TxTimer.TTR)
        if due is not None:
            self._timers.start(TxTimer.TTR, min(due, latest))

    def _tick(self, now: Instant) -> None:
        """TX_TICK, for each second that has passed since credit was first missing."""
        while self._next_tick is not None and self._next_tick <= now:
            self.tx_credit += 1
            self._next_tick += SECOND
            self._count_credit(now)

    def _count_credit(self, now: Instant) -> None:
        """Ticks matter only while credit is missing."""
        if self.tx_credit >= self.settings.tx_credit_max:
            self._next_tick = None
        elif self._next_tick is None:
            self._next_tick = now + SECOND
