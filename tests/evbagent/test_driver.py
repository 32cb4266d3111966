"""One port's driver, with a clock that jumps and a wire that is a list."""

import socket
from collections import deque
from collections.abc import Callable
from dataclasses import replace
from math import inf
from typing import Any

from evbagent.driver import EARLY_FRAMES, FrameStatistics, PortDriver
from protocols.evb.bridge import SetRelay
from protocols.evb.status import EvbSettings, Role
from protocols.frame import Scope
from protocols.lldp.agent import AdminStatus
from protocols.lldp.tlvs import ChassisId, PortId
from protocols.lldp.tx import TxSettings
from protocols.port import (
    Event,
    ForwardingChanged,
    LinkState,
    NeighborEvent,
    NewSettings,
    PortSettings,
    RelayAble,
    RelaySet,
)
from protocols.stack import EDITIONS, PortStack
from protocols.timers import SECOND
from protocols.vdp.status import VsiChanged
from tests.support.vdpdus import EcpOctets, ecp_octets, numbered, ratified_ulpdu

STATION, BRIDGE = bytes.fromhex("02000000000a"), bytes.fromhex("02000000000b")


class Loop:
    """What a driver asks of an event loop."""

    def __init__(self) -> None:
        self.now = 0.0
        self.timers: list[tuple[float, Callable[[], None], list[bool]]] = []
        self.readers: dict[int, Callable[[], None]] = {}

    def call_later(self, delay: float, callback: Callable[[], None]) -> "Timer":
        entry = (delay, callback, [True])
        self.timers.append(entry)
        return Timer(entry[2], self.now + delay)

    def time(self) -> float:
        return self.now

    def add_reader(self, descriptor: int, callback: Callable[[], None]) -> None:
        self.readers[descriptor] = callback

    def remove_reader(self, descriptor: int) -> None:
        del self.readers[descriptor]


class Timer:
    def __init__(self, running: list[bool], due: float) -> None:
        self._running = running
        self._due = due

    def when(self) -> float:
        return self._due

    def cancel(self) -> None:
        self._running[0] = False


class Wire:
    """A packet socket."""

    def __init__(self) -> None:
        self.arrived: deque[bytes] = deque()
        self.sent: list[bytes] = []
        self.broken = False
        self.another: bytes | None = None
        self.dropped = 0
        self._descriptor = socket.socket()

    def fileno(self) -> int:
        return self._descriptor.fileno()

    def receive(self) -> bytes | None:
        return self.arrived.popleft() if self.arrived else None

    def send(self, frame: bytes) -> None:
        if self.broken:
            raise OSError(100, "Network is down")
        self.sent.append(frame)

    def listen_for_ecp_to(self, another: bytes | None) -> None:
        self.another = another

    def drops(self) -> int:
        return self.dropped

    def close(self) -> None:
        self._descriptor.close()


class Bench:
    def __init__(self, role: Role = Role.STATION, mac: bytes = STATION, fault: str | None = None) -> None:
        self.now = 1000 * SECOND
        self.loop, self.wire = Loop(), Wire()
        self.events: list[Event] = []
        self.sent_before: list[int] = []  # how many frames were out when each event was told
        self.confirmed: list[Any] = []
        self.configured: list[bool] = []
        self.looks = 0
        self.fault = fault
        settings = PortSettings(
            mac,
            ChassisId(4, mac),
            PortId(3, mac),
            {},
            {Scope.NEAREST_CUSTOMER_BRIDGE: AdminStatus.TX_AND_RX},
            TxSettings(),
            32,
            EvbSettings(tuple(EDITIONS.values())),
        )
        loop: Any = self.loop
        self.driver = PortDriver(
            loop,
            "eth0",
            PortStack(role, settings, lambda: 1),
            self.wire,
            self.configure,
            self.indicate,
            self.confirmed.append,
            self.look,
            lambda: self.now,
        )

    def configure(self, setting: SetRelay) -> RelaySet:
        self.configured.append(setting.on)
        return RelaySet(setting.on and self.fault is None, self.fault)

    def indicate(self, event: Event) -> None:
        self.events.append(event)
        self.sent_before.append(len(self.wire.sent))

    def look(self) -> None:
        self.looks += 1

    def hear(self, *frames: bytes) -> None:
        self.wire.arrived.extend(frames)
        while self.wire.arrived:
            self.loop.readers[self.wire.fileno()]()

    def pending(self) -> list[float]:
        return [delay for delay, _, running in self.loop.timers if running[0]]

    def close(self) -> None:
        self.driver.close()


def frame_of(role: Role, mac: bytes) -> bytes:
    """The first LLDPDU of a port that comes up."""
    bench = Bench(role, mac)
    if role is Role.BRIDGE:
        bench.driver.request(RelayAble(True))
    bench.driver.request(LinkState(True))
    bench.close()
    return bench.wire.sent[0]


def test_the_socket_is_told_of_another_destination_of_ecp() -> None:
    bench = Bench()
    settings = bench.driver.stack.settings
    another = bytes.fromhex("01000d000f0a")
    bench.driver.request(NewSettings(replace(settings, edge=replace(settings.edge, destination=another))))
    assert bench.wire.another == another
    bench.driver.request(NewSettings(settings))
    assert bench.wire.another is None
    bench.close()


def test_it_knows_how_late_its_timer_is() -> None:
    bench = Bench()
    assert bench.driver.lateness() == 0.0, "nothing is due"
    bench.driver.request(LinkState(True))
    (delay,) = bench.pending()
    bench.loop.now += delay
    assert bench.driver.lateness() == 0.0
    bench.loop.now += 5.0
    assert bench.driver.lateness() == 5.0
    bench.driver._timer = None
    assert bench.driver.lateness() == inf, "a timer that is lost never fires"
    bench.close()


def test_after_a_sleep_it_speaks_at_once() -> None:
    """The loop's timers stood still, and time has not."""
    bench = Bench()
    bench.driver.catch_up()
    bench.driver.request(LinkState(True))
    before = len(bench.wire.sent)
    bench.driver.catch_up()
    assert len(bench.wire.sent) == before and len(bench.pending()) == 1, "nothing is due"
    bench.now += 3600 * SECOND
    bench.driver.catch_up()
    assert len(bench.wire.sent) > before and len(bench.pending()) == 1
    bench.close()


def test_it_speaks_when_the_link_is_up_and_keeps_one_timer() -> None:
    bench = Bench()
    assert (bench.wire.sent, bench.pending()) == ([], [])
    bench.driver.request(LinkState(True))
    assert len(bench.wire.sent) == 1
    (delay,) = bench.pending()
    assert 30 <= delay < 30.125, "ports that are due at about the same time share a wake-up"
    bench.hear(frame_of(Role.BRIDGE, BRIDGE))
    assert len(bench.wire.sent) == 2
    assert bench.pending() == [1.0], "what comes sooner is not late"
    bench.close()


def test_a_deadline_that_moved_later_keeps_its_timer() -> None:
    bench = Bench()
    bench.driver.request(LinkState(True))
    timers = len(bench.loop.timers)
    bench.driver.request(LinkState(True))
    assert len(bench.loop.timers) == timers
    bench.loop.timers[-1][1]()
    assert len(bench.wire.sent) == 1, "early: nothing is due, and it is armed anew"
    assert len(bench.loop.timers) == timers + 1
    bench.now += 31 * SECOND
    bench.loop.timers[-1][1]()
    assert len(bench.wire.sent) == 2
    bench.close()


def test_effects_run_in_order_and_the_port_is_set_before_the_wire_is_told() -> None:
    bench = Bench(Role.BRIDGE, BRIDGE)
    bench.driver.request(RelayAble(True))
    bench.driver.request(LinkState(True))
    before = len(bench.wire.sent)
    bench.hear(frame_of(Role.STATION, STATION))
    assert bench.configured == [True]
    assert len(bench.wire.sent) == before + 1
    kinds = [type(event) for event in bench.events[-2:]]
    assert kinds == [NeighborEvent, ForwardingChanged]
    assert bench.driver.stack.forwarding.relay == "active"
    bench.close()


def test_a_station_has_the_answer_for_its_vsi_before_anybody_else_is_told_of_it() -> None:
    bench = Bench(Role.BRIDGE, BRIDGE)
    bench.driver.request(RelayAble(True))
    bench.driver.request(LinkState(True))
    bench.hear(frame_of(Role.STATION, STATION))
    before = len(bench.wire.sent)
    bench.hear(EcpOctets(False, 7, ratified_ulpdu([numbered(1)])).frame(STATION))
    acknowledgment, answer = map(ecp_octets, bench.wire.sent[before:])
    assert acknowledgment and acknowledgment.acknowledgment
    assert answer and [vsi.uuid for vsi in answer.vsis] == [numbered(1).uuid]
    assert isinstance(bench.events[-1], VsiChanged) and bench.events[-1].status.state == "associated"
    assert bench.sent_before[-1] == before + 2
    bench.close()


def test_a_port_that_cannot_be_set_is_told_to_nobody_as_set() -> None:
    bench = Bench(Role.BRIDGE, BRIDGE, fault="Operation not permitted")
    bench.driver.request(RelayAble(True))
    bench.driver.request(LinkState(True))
    bench.hear(frame_of(Role.STATION, STATION))
    assert "Operation not permitted" in bench.driver.stack.forwarding.reason
    assert bench.configured == [True]
    bench.close()


def test_what_is_heard_before_the_link_is_up_counts_if_it_comes_up_soon() -> None:
    heard = frame_of(Role.BRIDGE, BRIDGE)
    bench = Bench()
    bench.hear(heard)
    assert (bench.events, bench.looks) == ([], 1)
    bench.hear(*[heard] * 20)
    assert bench.looks == 1, "a flood does not make it look every time"
    bench.driver.request(LinkState(True))
    assert bench.driver.stack.agents[Scope.NEAREST_CUSTOMER_BRIDGE].rx.statistics.total == EARLY_FRAMES
    bench.close()
    late = Bench()
    late.hear(heard)
    late.now += 2 * SECOND
    late.driver.request(LinkState(True))
    assert late.driver.stack.agents[Scope.NEAREST_CUSTOMER_BRIDGE].rx.statistics.total == 0
    late.close()


def test_every_frame_is_accounted_for() -> None:
    heard = frame_of(Role.BRIDGE, BRIDGE)
    strangers = heard[:12] + b"\x88\xcd" + heard[14:], bytes(6) + heard[6:]
    bench = Bench()
    bench.wire.dropped = 7
    bench.hear(*[heard] * (EARLY_FRAMES + 3))
    assert bench.driver.statistics() == FrameStatistics(EARLY_FRAMES + 3, 7, EARLY_FRAMES + 3, 0)
    bench.driver.request(LinkState(True))
    assert bench.driver.statistics() == FrameStatistics(EARLY_FRAMES + 3, 7, 3, 0)
    bench.hear(heard, *strangers)
    other_scope = Scope.NEAREST_BRIDGE.address + heard[6:]  # where it does not listen
    bench.hear(other_scope)
    statistics = bench.driver.statistics()
    assert statistics == FrameStatistics(EARLY_FRAMES + 7, 7, 6, 0)
    counted = sum(agent.rx.statistics.total for agent in bench.driver.stack.agents.values())
    assert counted == statistics.received - statistics.ignored == EARLY_FRAMES + 1
    bench.close()
    late = Bench()
    late.hear(heard)
    late.now += 2 * SECOND
    late.driver.request(LinkState(True))
    assert late.driver.statistics() == FrameStatistics(1, 0, 1, 0)
    late.close()


def test_a_frame_that_cannot_be_sent_is_counted_and_nothing_ends() -> None:
    bench = Bench()
    bench.wire.broken = True
    bench.driver.request(LinkState(True))
    assert (bench.driver.statistics().failed, bench.wire.sent) == (1, [])
    bench.wire.broken = False
    bench.hear(frame_of(Role.BRIDGE, BRIDGE))
    assert len(bench.wire.sent) == 1
    bench.close()


def test_the_answer_that_comes_right_after_an_acknowledgment_is_read_with_it() -> None:
    bench = Bench(Role.BRIDGE, BRIDGE)
    bench.driver.request(RelayAble(True))
    bench.driver.request(LinkState(True))
    bench.hear(frame_of(Role.STATION, STATION))
    bench.hear(EcpOctets(False, 7, ratified_ulpdu([numbered(1)])).frame(STATION))
    answer = ecp_octets(bench.wire.sent[-1])
    assert answer and not answer.acknowledgment
    bench.now += SECOND
    another = EcpOctets(False, 8, ratified_ulpdu([numbered(2)]))
    bench.wire.arrived.extend([answer.acknowledged().frame(STATION), another.frame(STATION)])
    bench.loop.readers[bench.wire.fileno()]()
    assert not bench.wire.arrived
    bench.close()


def test_unchanged_lldpdus_are_read_one_by_one_when_it_is_quiet_and_together_in_a_flood() -> None:
    bench = Bench()
    bench.driver.request(LinkState(True))
    heard = frame_of(Role.BRIDGE, BRIDGE)
    bench.hear(heard)
    read = bench.loop.readers[bench.wire.fileno()]
    bench.now += SECOND
    bench.wire.arrived.extend([heard] * 10)
    read()
    assert len(bench.wire.arrived) == 9
    read()
    assert not bench.wire.arrived
    bench.close()
