"""A peer that loses what comes too soon, as lldpad does (interop-notes P2, P6): nothing of it may be lost."""

import struct
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count

import pytest

from protocols.edge import STRICT_GAP, Agreement, Edge, EdgeEffect, EdgeSettings, Peer
from protocols.edgeroles import BridgeEdge, StationEdge
from protocols.timers import Instant
from protocols.vdp.policy import BridgePolicy
from protocols.vdp.status import Confirm, Outcome, VsiRequest
from tests.support.vsis import vsi
from tests.support.wire import BRIDGE_MAC, STATION_MAC

NCB = bytes.fromhex("0180c2000000")
LATER = 2_000
LATENCY = 50


@dataclass
class LldpadModel:
    """ECP and VDP of lldpad: acknowledges at once, has one buffer, works on it 2 ms later, one VSI an ECPDU and tick.

    Built from octets alone. As a bridge it answers every VSI; as a station it sends what `ask` is given.
    """

    mac: bytes
    tick: int
    bridge: bool
    buffer: bytes = b""
    work_at: list[Instant] = field(default_factory=list)
    outbox: list[bytes] = field(default_factory=list)
    next_send: Instant = 0
    sequence: int = 0
    unacknowledged: bytes | None = None
    answered: dict[bytes, int] = field(default_factory=dict)

    def receive(self, frame: bytes, now: Instant) -> list[bytes]:
        first, sequence = struct.unpack_from("!HH", frame, 14)
        if first == 0x1401:
            if self.unacknowledged is not None and sequence == self.sequence:
                self.unacknowledged = None
            return []
        assert first == 0x1001
        self.buffer = frame[18:]
        self.work_at.append(now + LATER)
        return [NCB + self.mac + b"\x89\x40" + struct.pack("!HH", 0x1401, sequence)]

    def next_deadline(self) -> Instant | None:
        due = self.work_at[:1]
        if self.outbox or self.unacknowledged is not None:
            due.append(self.next_send)
        return min(due, default=None)

    def advance(self, now: Instant) -> list[bytes]:
        while self.work_at and self.work_at[0] <= now:
            self.work_at.pop(0)
            self._work()
        if now < self.next_send or not (self.outbox or self.unacknowledged is not None):
            return []
        self.next_send = now + self.tick
        if self.unacknowledged is None:
            self.sequence += 1
            self.unacknowledged = self.outbox.pop(0)
        return [NCB + self.mac + b"\x89\x40" + struct.pack("!HH", 0x1001, self.sequence) + self.unacknowledged]

    def ask(self, ulpdu: bytes) -> None:
        self.outbox.append(ulpdu)

    def _work(self) -> None:
        ulpdu, offset = self.buffer, 18
        while offset + 2 <= len(ulpdu):
            (header,) = struct.unpack_from("!H", ulpdu, offset)
            kind, length = header >> 9, header & 511
            if kind == 0:
                return
            tlv = ulpdu[offset : offset + 2 + length]
            self.answered[tlv[8:24]] = self.answered.get(tlv[8:24], 0) + 1
            if self.bridge:
                self.outbox.append(ulpdu[:18] + tlv[:2] + b"\x40" + tlv[3:])
            offset += 2 + length


@dataclass
class Cable:
    """One of ours and the model, on a clock that jumps."""

    ours: Edge
    model: LldpadModel
    now: Instant = 1_000_000_000
    confirmed: list[Confirm] = field(default_factory=list)
    sent: list[tuple[Instant, bytes]] = field(default_factory=list)
    flying: list[tuple[Instant, int, bool, bytes]] = field(default_factory=list)
    numbers: "count[int]" = field(default_factory=count)

    def do(self, effects: list[EdgeEffect]) -> None:
        for effect in effects:
            if isinstance(effect, bytes):
                self.sent.append((self.now, effect))
                heappush(self.flying, (self.now + LATENCY, next(self.numbers), True, effect))
            elif isinstance(effect, Confirm):
                self.confirmed.append(effect)

    def run(self, duration: int) -> None:
        until = self.now + duration
        while True:
            due = [due for due in (self.ours.next_deadline(), self.model.next_deadline()) if due is not None]
            due += [self.flying[0][0]] if self.flying else []
            if not due or min(due) > until:
                self.now = until
                return
            self.now = max(self.now, min(due))
            while self.flying and self.flying[0][0] <= self.now:
                _, _, to_model, frame = heappop(self.flying)
                if to_model:
                    self._fly(self.model.receive(frame, self.now))
                else:
                    self.do(self.ours.receive(frame, self.now))
            self._fly(self.model.advance(self.now))
            self.do(self.ours.advance(self.now))

    def _fly(self, frames: list[bytes]) -> None:
        for frame in frames:
            heappush(self.flying, (self.now + LATENCY, next(self.numbers), False, frame))

    def requests(self) -> list[Instant]:
        """When our ECPDUs left that carry something."""
        return [time for time, frame in self.sent if frame[14:16] == b"\x10\x01"]


def agreement(rte: int) -> Agreement:
    return Agreement("ratified", 3, rte, 20, 20, False)


@pytest.mark.parametrize(("rte", "number"), [(8, 1000), (8, 1), (14, 60)])
def test_as_a_station(rte: int, number: int) -> None:
    """All are granted, at the pace of the peer, and none is asked twice."""
    tick = 10 << rte
    edge = StationEdge(STATION_MAC, EdgeSettings(), lambda: 7)
    cable = Cable(edge, LldpadModel(BRIDGE_MAC, tick, bridge=True))
    cable.do(edge.agree(agreement(rte), cable.now))
    begun = cable.now
    cable.do(edge.request([VsiRequest(vsi(n), n) for n in range(number)], cable.now))
    while len(cable.confirmed) < number:
        cable.run(tick)
        assert cable.now - begun < 1.1 * number * tick + 200_000, "the peer is never left without work"
    assert {confirm.outcome for confirm in cable.confirmed} == {Outcome.GRANTED}
    assert set(cable.model.answered.values()) == {1} and edge.peer is Peer.STRICT
    gaps = [b - a for a, b in zip(cable.requests()[1:], cable.requests()[2:], strict=False)]
    assert all(gap >= STRICT_GAP for gap in gaps)


def test_as_a_bridge() -> None:
    """Its requests come as fast as it can; our answers go together, with a pause, and it takes them all."""
    policy = BridgePolicy()
    edge = BridgeEdge(BRIDGE_MAC, EdgeSettings(), lambda: 7, policy, "swp1")
    model = LldpadModel(STATION_MAC, 10 << 8, bridge=False)
    cable = Cable(edge, model)
    cable.do(edge.agree(agreement(8), False, cable.now))
    for number in range(300):
        tlv = vsi(number)
        octets = struct.pack("!HB3sBB16sBH", 3 << 9 | 33, 0, b"\x12\x34\x56", 7, 5, tlv.vsi_id.octets, 2, 1)
        mac = tlv.filters.entries[0].mac
        assert mac is not None
        model.ask(b"\x0a\x10" + tlv.manager + octets + mac + struct.pack("!H", 100))
    cable.run(3_000_000)
    assert len(edge.vdp.vsis) == 300 and len(model.answered) == 300 and set(model.answered.values()) == {1}


def test_what_the_operator_says_counts() -> None:
    """One VSI in each ECPDU, and a pause of their choice."""
    edge = StationEdge(STATION_MAC, EdgeSettings(vsis_per_ecpdu=1, gap=70_000), lambda: 7)
    cable = Cable(edge, LldpadModel(BRIDGE_MAC, 10 << 8, bridge=True))
    cable.do(edge.agree(agreement(8), cable.now))
    cable.do(edge.request([VsiRequest(vsi(n), n) for n in range(10)], cable.now))
    cable.run(2_000_000)
    assert len(cable.confirmed) == 10 and len(cable.requests()) == 10
    assert all(b - a >= 70_000 for a, b in zip(cable.requests(), cable.requests()[1:], strict=False))
