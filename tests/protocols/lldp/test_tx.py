"""The transmit and transmit timer machines: every state with every input, and against the diagrams taken literally."""

from collections.abc import Callable
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.lldp.tx import Send, Transmit, TxSettings, TxState
from protocols.timers import SECOND, Instant

START = 7 * SECOND


class Bench:
    """A machine on its own clock, with everything it sent."""

    def __init__(self, settings: TxSettings | None = None) -> None:
        self.tx = Transmit(settings or TxSettings())
        self.now: Instant = START
        self.sent: list[tuple[Instant, Send]] = []

    def enable(self, port: bool = True, admin: bool = True) -> None:
        self.tx.enable(port, admin, self.now)
        self.collect()

    def local_change(self) -> None:
        self.tx.local_change(self.now)
        self.collect()

    def new_neighbor(self) -> None:
        self.tx.new_neighbor(self.now)
        self.collect()

    def hasten(self) -> None:
        self.tx.hasten(self.now)
        self.collect()

    def configure(self, **changes: int) -> None:
        self.tx.configure(TxSettings(**changes), self.now)
        self.collect()

    def collect(self) -> None:
        while send := self.tx.transmit(self.now):
            self.sent.append((self.now, send))

    def run(self, seconds: float) -> None:
        until = self.now + round(seconds * SECOND)
        while (due := self.tx.next_deadline()) is not None and due <= until:
            self.now = max(self.now, due)
            self.tx.advance(self.now)
            self.collect()
            after = self.tx.next_deadline()
            assert after is None or after > self.now
        self.now = until
        self.tx.advance(self.now)  # credit is counted when it is looked at

    def take(self) -> list[Send]:
        kinds = [send for _, send in self.sent]
        self.sent.clear()
        return kinds

    def seconds(self) -> list[float]:
        """When each LLDPDU went out, in seconds after the start."""
        return [(time - START) / SECOND for time, _ in self.sent]


# Every state with every input. A situation is a state of the transmit machine with what else matters in it.

SITUATIONS: dict[str, Callable[[Bench], None]] = {
    "port down": lambda b: b.enable(port=False, admin=True),
    "admin off": lambda b: b.enable(port=True, admin=False),
    "both off": lambda b: b.enable(port=False, admin=False),
    "idle": lambda b: b.enable(),
    "idle, no credit": lambda b: (b.enable(), [b.local_change() for _ in range(4)]) and None,
    "shutdown": lambda b: (b.enable(), b.enable(admin=False)) and None,
    "shutdown, back on": lambda b: (b.enable(), b.enable(admin=False), b.enable()) and None,
}
STATE_OF = {
    "port down": TxState.TX_LLDP_INITIALIZE,
    "admin off": TxState.TX_LLDP_INITIALIZE,
    "both off": TxState.TX_LLDP_INITIALIZE,
    "idle": TxState.TX_IDLE,
    "idle, no credit": TxState.TX_IDLE,
    "shutdown": TxState.TX_SHUTDOWN_FRAME,
    "shutdown, back on": TxState.TX_SHUTDOWN_FRAME,
}
INPUTS: dict[str, Callable[[Bench], None]] = {
    "port goes down": lambda b: b.enable(False, b.tx.admin_tx),
    "port comes up": lambda b: b.enable(True, b.tx.admin_tx),
    "admin turns off": lambda b: b.enable(b.tx.port_enabled, False),
    "admin turns on": lambda b: b.enable(b.tx.port_enabled, True),
    "local change": Bench.local_change,
    "new neighbor": Bench.new_neighbor,
    "hasten": Bench.hasten,
    "1 s": lambda b: b.run(1),
    "2 s": lambda b: b.run(2),
    "29 s more": lambda b: b.run(31),
}
INFO, SHUTDOWN = Send.INFO, Send.SHUTDOWN
INIT, IDLE, DOWN = TxState.TX_LLDP_INITIALIZE, TxState.TX_IDLE, TxState.TX_SHUTDOWN_FRAME

TABLE: dict[tuple[str, str], tuple[list[Send], TxState]] = {
    ("port down", "port goes down"): ([], INIT),
    ("port down", "port comes up"): ([INFO], IDLE),
    ("port down", "admin turns off"): ([], INIT),
    ("port down", "admin turns on"): ([], INIT),
    ("port down", "local change"): ([], INIT),
    ("port down", "new neighbor"): ([], INIT),
    ("port down", "hasten"): ([], INIT),
    ("port down", "1 s"): ([], INIT),
    ("port down", "2 s"): ([], INIT),
    ("port down", "29 s more"): ([], INIT),
    ("admin off", "port goes down"): ([], INIT),
    ("admin off", "port comes up"): ([], INIT),
    ("admin off", "admin turns off"): ([], INIT),
    ("admin off", "admin turns on"): ([INFO], IDLE),
    ("admin off", "local change"): ([], INIT),
    ("admin off", "new neighbor"): ([], INIT),
    ("admin off", "hasten"): ([], INIT),
    ("admin off", "1 s"): ([], INIT),
    ("admin off", "2 s"): ([], INIT),
    ("admin off", "29 s more"): ([], INIT),
    ("both off", "port goes down"): ([], INIT),
    ("both off", "port comes up"): ([], INIT),
    ("both off", "admin turns off"): ([], INIT),
    ("both off", "admin turns on"): ([], INIT),
    ("both off", "local change"): ([], INIT),
    ("both off", "new neighbor"): ([], INIT),
    ("both off", "hasten"): ([], INIT),
    ("both off", "1 s"): ([], INIT),
    ("both off", "2 s"): ([], INIT),
    ("both off", "29 s more"): ([], INIT),
    ("idle", "port goes down"): ([], INIT),
    ("idle", "port comes up"): ([], IDLE),
    ("idle", "admin turns off"): ([SHUTDOWN], DOWN),
    ("idle", "admin turns on"): ([], IDLE),
    ("idle", "local change"): ([INFO], IDLE),
    ("idle", "new neighbor"): ([INFO], IDLE),
    ("idle", "hasten"): ([], IDLE),
    ("idle", "1 s"): ([], IDLE),
    ("idle", "2 s"): ([], IDLE),
    ("idle", "29 s more"): ([INFO], IDLE),
    ("idle, no credit", "port goes down"): ([], INIT),
    ("idle, no credit", "port comes up"): ([], IDLE),
    ("idle, no credit", "admin turns off"): ([SHUTDOWN], DOWN),  # needs no credit
    ("idle, no credit", "admin turns on"): ([], IDLE),
    ("idle, no credit", "local change"): ([], IDLE),
    ("idle, no credit", "new neighbor"): ([], IDLE),
    ("idle, no credit", "hasten"): ([], IDLE),
    ("idle, no credit", "1 s"): ([], IDLE),  # credit is back, and nothing to say
    ("idle, no credit", "2 s"): ([], IDLE),
    ("idle, no credit", "29 s more"): ([INFO], IDLE),
    ("shutdown", "port goes down"): ([], INIT),
    ("shutdown", "port comes up"): ([], DOWN),
    ("shutdown", "admin turns off"): ([], DOWN),
    ("shutdown", "admin turns on"): ([], DOWN),
    ("shutdown", "local change"): ([], DOWN),
    ("shutdown", "new neighbor"): ([], DOWN),
    ("shutdown", "hasten"): ([], DOWN),
    ("shutdown", "1 s"): ([], DOWN),
    ("shutdown", "2 s"): ([], INIT),
    ("shutdown", "29 s more"): ([], INIT),
    ("shutdown, back on", "port goes down"): ([], INIT),
    ("shutdown, back on", "port comes up"): ([], DOWN),
    ("shutdown, back on", "admin turns off"): ([], DOWN),
    ("shutdown, back on", "admin turns on"): ([], DOWN),
    ("shutdown, back on", "local change"): ([], DOWN),
    ("shutdown, back on", "new neighbor"): ([], DOWN),
    ("shutdown, back on", "hasten"): ([], DOWN),
    ("shutdown, back on", "1 s"): ([], DOWN),
    ("shutdown, back on", "2 s"): ([INFO], IDLE),
    ("shutdown, back on", "29 s more"): ([INFO, INFO], IDLE),
}


def test_the_table_is_complete() -> None:
    assert set(TABLE) == set(product(SITUATIONS, INPUTS))
    assert set(STATE_OF.values()) == set(TxState)


@pytest.mark.parametrize(("situation", "happens"), TABLE)
def test_every_state_with_every_input(situation: str, happens: str) -> None:
    bench = Bench()
    SITUATIONS[situation](bench)
    assert bench.tx.state is STATE_OF[situation]
    bench.take()
    INPUTS[happens](bench)
    sent, state = TABLE[situation, happens]
    assert (bench.take(), bench.tx.state) == (sent, state)


# Properties of the sheet.


def test_the_first_frame_goes_out_at_once_and_then_one_every_30_s() -> None:
    bench = Bench()
    bench.enable()
    bench.run(100)
    assert bench.seconds() == [0, 30, 60, 90]


def test_nothing_runs_while_the_port_is_down_or_transmission_is_off() -> None:
    for port, admin in ((False, True), (True, False), (False, False)):
        bench = Bench()
        bench.enable()
        bench.enable(port, admin)
        bench.run(3)
        assert bench.tx.next_deadline() is None


def test_a_new_neighbor_gets_tx_fast_init_frames_a_second_apart() -> None:
    bench = Bench()
    bench.enable()
    bench.run(10)
    bench.new_neighbor()
    bench.run(60)
    assert bench.seconds() == [0, 10, 11, 12, 13, 43]


def test_another_neighbor_during_fast_start_does_not_begin_it_anew() -> None:
    bench = Bench()
    bench.enable()
    bench.new_neighbor()
    bench.run(0.5)
    bench.new_neighbor()
    bench.run(10)
    assert bench.seconds() == [0, 0, 0.5, 1.5, 2.5]


def test_fast_start_follows_its_variables() -> None:
    bench = Bench(TxSettings(msg_fast_tx=3, tx_fast_init=2, msg_tx_interval=20))
    bench.enable()
    bench.new_neighbor()
    bench.run(30)
    assert bench.seconds() == [0, 0, 3, 23]


@pytest.mark.parametrize("credit", [1, 5, 10])
def test_many_local_changes_in_a_second_are_merged_when_credit_runs_out(credit: int) -> None:
    bench = Bench(TxSettings(tx_credit_max=credit))
    bench.enable()
    bench.run(20)
    bench.sent.clear()
    for _ in range(20):
        bench.local_change()
        bench.run(0.05)
    in_the_second = [second for second in bench.seconds() if second < 21]
    assert len(in_the_second) == credit
    bench.run(10)
    assert bench.seconds()[credit:] == [21.0], "the changes that found no credit are one frame when it returns"


def test_credit_comes_back_one_a_second_up_to_its_maximum_and_then_no_timer_runs_for_it() -> None:
    bench = Bench()
    bench.enable()
    for _ in range(10):
        bench.local_change()
    assert bench.tx.tx_credit == 0
    bench.run(1)
    assert (bench.tx.tx_credit, len(bench.sent)) == (0, 6)
    bench.run(5)
    assert (bench.tx.tx_credit, len(bench.sent)) == (5, 6)
    assert bench.tx.next_deadline() == START + 30 * SECOND


def test_a_local_change_starts_the_period_anew() -> None:
    bench = Bench()
    bench.enable()
    bench.run(20)
    bench.local_change()
    bench.run(31)
    assert bench.seconds() == [0, 20, 50]


def test_inputs_that_come_together_are_one_frame() -> None:
    bench = Bench()
    bench.enable()
    bench.tx.new_neighbor(bench.now)
    bench.tx.local_change(bench.now)
    bench.tx.local_change(bench.now)
    bench.collect()
    assert bench.take() == [INFO, INFO]


def test_reinit_delay_passes_before_the_next_frame_after_a_shutdown() -> None:
    bench = Bench(TxSettings(reinit_delay=5))
    bench.enable()
    bench.run(1)
    bench.enable(admin=False)
    bench.run(0.5)
    bench.enable()
    bench.run(10)
    assert bench.sent == [(START, INFO), (START + SECOND, SHUTDOWN), (START + 6 * SECOND, INFO)]


def test_a_shutdown_that_was_not_fetched_before_the_link_went_down_is_forgotten() -> None:
    bench = Bench()
    bench.enable()
    bench.tx.enable(True, False, bench.now)
    bench.tx.enable(False, False, bench.now)
    assert bench.tx.transmit(bench.now) is None
    assert bench.tx.next_deadline() is None


def test_a_flap_begins_with_full_credit_and_without_fast_start() -> None:
    bench = Bench()
    bench.enable()
    bench.new_neighbor()
    for _ in range(6):
        bench.local_change()
    bench.enable(port=False)
    bench.sent.clear()
    bench.enable()
    assert bench.tx.tx_credit == 4
    bench.run(29)
    assert bench.take() == [INFO]


def test_hasten_brings_the_next_frame_near_but_sends_none() -> None:
    bench = Bench()
    bench.enable()
    bench.run(10)
    bench.hasten()
    bench.run(0.5)
    bench.hasten()
    bench.run(40)
    assert bench.seconds() == [0, 11, 41]


def test_hasten_never_delays() -> None:
    bench = Bench(TxSettings(msg_fast_tx=10))
    bench.enable()
    bench.run(25)
    bench.hasten()
    bench.run(10)
    assert bench.seconds() == [0, 30]


# New management values.


def test_a_shorter_interval_takes_effect_on_the_frame_that_is_waited_for_and_a_longer_one_after_it() -> None:
    bench = Bench()
    bench.enable()
    bench.run(2)
    bench.configure(msg_tx_interval=5)
    bench.run(11)
    assert bench.seconds() == [0, 7, 12]
    bench.configure(msg_tx_interval=60)
    bench.run(70)
    assert bench.seconds() == [0, 7, 12, 17, 77]


def test_new_values_before_the_port_is_up() -> None:
    bench = Bench(TxSettings(tx_credit_max=1))
    bench.configure(tx_credit_max=8)
    bench.enable()
    assert bench.tx.tx_credit == 7, "TX_TIMER_INITIALIZE: txCredit = txCreditMax"


def test_a_greater_credit_maximum_is_reached_tick_by_tick() -> None:
    bench = Bench(TxSettings(tx_credit_max=2))
    bench.enable()
    bench.run(5)
    bench.configure(tx_credit_max=4)
    assert bench.tx.tx_credit == 2
    bench.run(2)
    assert bench.tx.tx_credit == 4


def test_a_smaller_credit_maximum_and_a_shorter_fast_start_hold_at_once() -> None:
    bench = Bench(TxSettings(tx_credit_max=10, tx_fast_init=8))
    bench.enable()
    bench.new_neighbor()
    bench.configure(tx_credit_max=2, tx_fast_init=1)
    assert (bench.tx.tx_credit, bench.tx.tx_fast) == (2, 1)
    bench.run(5)
    assert bench.tx.tx_credit == 2


@pytest.mark.parametrize(("interval", "hold", "ttl"), [(30, 4, 121), (1, 1, 2), (3600, 100, 65535), (5, 2, 11)])
def test_time_to_live(interval: int, hold: int, ttl: int) -> None:
    assert TxSettings(msg_tx_interval=interval, msg_tx_hold=hold).tx_ttl == ttl


def test_advance_is_safe_early_late_and_twice() -> None:
    bench = Bench()
    bench.enable()
    bench.sent.clear()
    bench.tx.advance(bench.now)
    bench.collect()
    assert bench.take() == []
    bench.now += 500 * SECOND
    for _ in range(2):
        bench.tx.advance(bench.now)
        bench.collect()
    assert bench.take() == [INFO]
    due = bench.tx.next_deadline()
    assert due is not None and due > bench.now


# Against the diagrams, taken literally with their one-second tick.


class Literal:
    """The two diagrams of 802.1AB 9.2.9 and 9.2.10, box by box.

    Both write txShutdownWhile: the transmit machine's reinitDelay holds.
    """

    def __init__(self, settings: TxSettings) -> None:
        self.settings = settings
        self.port_enabled = self.admin_tx = False
        self.tx_state, self.timer_state = "TX_LLDP_INITIALIZE", ""
        self.tx_now = self.local_change = self.new_neighbor = self.tx_tick = False
        self.tx_ttr = self.tx_fast = self.tx_credit = self.tx_shutdown_while = 0
        self.sent: list[Send] = []

    def tick(self) -> None:
        self.tx_tick = True
        self.tx_ttr = max(0, self.tx_ttr - 1)
        self.tx_shutdown_while = max(0, self.tx_shutdown_while - 1)

    def run(self) -> list[Send]:
        while self.step_timer() or self.step_tx():
            pass
        sent, self.sent = self.sent, []
        return sent

    def step_timer(self) -> bool:
        if not (self.port_enabled and self.admin_tx):
            if self.timer_state == "TX_TIMER_INITIALIZE":
                self.local_change = self.new_neighbor = self.tx_tick = False
                return False
            self.timer_state = "TX_TIMER_INITIALIZE"
            self.tx_tick = self.tx_now = self.local_change = self.new_neighbor = False
            self.tx_ttr = self.tx_fast = 0
            self.tx_credit = self.settings.tx_credit_max
            return True
        if self.timer_state == "TX_TIMER_INITIALIZE":
            self.timer_state = "TX_TIMER_IDLE"
            return True
        if self.local_change:
            self.signal_tx()
        elif self.tx_ttr == 0:
            self.tx_timer_expires()
        elif self.new_neighbor:
            self.new_neighbor = False
            if self.tx_fast == 0:
                self.tx_fast = self.settings.tx_fast_init
            self.tx_timer_expires()
        elif self.tx_tick:
            self.tx_tick = False
            if self.tx_credit < self.settings.tx_credit_max:
                self.tx_credit += 1
        else:
            return False
        return True

    def tx_timer_expires(self) -> None:
        if self.tx_fast > 0:
            self.tx_fast -= 1
        self.signal_tx()

    def signal_tx(self) -> None:
        self.tx_now, self.local_change = True, False
        self.tx_ttr = self.settings.msg_fast_tx if self.tx_fast > 0 else self.settings.msg_tx_interval

    def step_tx(self) -> bool:
        if not self.port_enabled:
            changed = self.tx_state != "TX_LLDP_INITIALIZE"
            self.tx_state = "TX_LLDP_INITIALIZE"
            return changed
        if self.tx_state == "TX_LLDP_INITIALIZE" and self.admin_tx:
            self.tx_state = "TX_IDLE"
        elif self.tx_state == "TX_IDLE" and not self.admin_tx:
            self.tx_state = "TX_SHUTDOWN_FRAME"
            self.sent.append(SHUTDOWN)
            self.tx_shutdown_while = self.settings.reinit_delay
        elif self.tx_state == "TX_IDLE" and self.tx_now and self.tx_credit > 0:
            self.sent.append(INFO)
            self.tx_credit -= 1
            self.tx_now = False
        elif self.tx_state == "TX_SHUTDOWN_FRAME" and self.tx_shutdown_while == 0:
            self.tx_state = "TX_LLDP_INITIALIZE"
        else:
            return False
        return True


VALUES = st.builds(
    TxSettings,
    msg_tx_interval=st.integers(2, 6),
    msg_fast_tx=st.integers(1, 3),
    tx_fast_init=st.integers(1, 3),
    tx_credit_max=st.integers(1, 3),
    reinit_delay=st.integers(1, 3),
)
SCRIPT = st.lists(st.tuples(st.sampled_from(["port", "admin", "change", "neighbor"]), st.integers(0, 4)), max_size=25)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(VALUES, SCRIPT)
def test_the_machine_does_what_the_diagrams_say(values: TxSettings, script: list[tuple[str, int]]) -> None:
    bench, literal = Bench(values), Literal(values)
    literal.run()
    for happens, pause in [*script, ("change", 10)]:
        match happens:
            case "port":
                literal.port_enabled = not literal.port_enabled
                bench.enable(not bench.tx.port_enabled, bench.tx.admin_tx)
            case "admin":
                literal.admin_tx = not literal.admin_tx
                bench.enable(bench.tx.port_enabled, not bench.tx.admin_tx)
            case "change":
                literal.local_change = True
                bench.local_change()
            case "neighbor":
                literal.new_neighbor = True
                bench.new_neighbor()
        assert bench.take() == literal.run(), happens
        for second in range(pause):
            bench.run(1)
            literal.tick()
            assert bench.take() == literal.run(), f"{second + 1} s after {happens}"
        assert bench.tx.state.name == literal.tx_state
