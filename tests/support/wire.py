"""A simulated wire: port machines joined on a clock that jumps from deadline to deadline, and frames made by hand.

The octets here are put together without the project's codecs, so that these are not tested against themselves.
"""

import struct
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from heapq import heappop, heappush
from itertools import count
from pathlib import Path
from random import Random
from typing import Protocol

import pytest

from protocols.evb.bridge import EvbBridge
from protocols.evb.draft import DRAFT
from protocols.evb.ratified import RATIFIED
from protocols.evb.status import Edition, EvbParameters, EvbSettings, Operational, Relay, Role
from protocols.frame import Scope
from protocols.lldp.agent import AdminStatus
from protocols.lldp.tlvs import ChassisId, OptionalTlv, PortId
from protocols.lldp.tx import TxSettings
from protocols.port import (
    Configure,
    Effect,
    Event,
    ForwardingChanged,
    Indicate,
    LinkState,
    NeighborEvent,
    NewSettings,
    PortSettings,
    RelayAble,
    RelaySet,
    Request,
    SendFrame,
    Shutdown,
)
from protocols.stack import PortStack
from protocols.timers import SECOND, Instant
from protocols.vdp.policy import BridgePolicy
from protocols.vdp.rules import PolicyRules
from protocols.vdp.status import Confirm
from tests.support import lldpdus

MILLISECOND = 1000
CAPTURES = Path(__file__).parents[3] / "shared" / "captures"

STATION_MAC = bytes.fromhex("02000000000a")
BRIDGE_MAC = bytes.fromhex("02000000000b")
OTHER_MAC = bytes.fromhex("02000000000c")

AUTO = (RATIFIED, DRAFT)
EVB_ONLY = {Scope.NEAREST_CUSTOMER_BRIDGE: AdminStatus.TX_AND_RX}


# Frames by hand.


def ratified(octets: str) -> bytes:
    """The ratified EVB TLV with these octets after its subtype."""
    return lldpdus.evb_tlv(bytes.fromhex(octets), lldpdus.RATIFIED)


def draft(octets: str) -> bytes:
    """The draft's EVB TLV with these octets after its subtype."""
    return lldpdus.evb_tlv(bytes.fromhex(octets), lldpdus.DRAFT)


def lldpdu(mac: bytes, *tlvs: bytes, ttl: int = 121) -> bytes:
    """An LLDPDU of the system with this MAC address as chassis and port ID, with our TTL, End TLV included."""
    return lldpdus.lldpdu(mac, *tlvs, ttl=ttl)


def frame(mac: bytes, *tlvs: bytes, ttl: int = 121, to: bytes = lldpdus.NEAREST_CUSTOMER_BRIDGE) -> bytes:
    """The same LLDPDU as a frame, padded to 60 octets."""
    return lldpdus.frame(mac, lldpdu(mac, *tlvs, ttl=ttl), to)


def tlvs_of(data: bytes) -> list[tuple[int, bytes]]:
    """The TLVs of a frame that one of our machines sent; fails when it is not a well-formed LLDP frame."""
    assert data[12:14] == b"\x88\xcc" and len(data) >= 60
    found, offset = [], 14
    while True:
        (header,) = struct.unpack_from("!H", data, offset)
        kind, length = header >> 9, header & 511
        if kind == 0:
            assert length == 0 and not any(data[offset:])
            return found
        assert offset + 2 + length <= len(data)
        found.append((kind, data[offset + 2 : offset + 2 + length]))
        offset += 2 + length


def evb_octets(data: bytes) -> str:
    """The octets after OUI and subtype of the one EVB TLV in a frame; empty when there is none."""
    found = [value[4:] for kind, value in tlvs_of(data) if kind == 127 and value[:4] in _EVB_TLVS]
    assert len(found) <= 1, "two EVB TLVs in one LLDPDU"
    return found[0].hex() if found else ""


def edition_of(data: bytes) -> str:
    """Whose EVB TLV a frame carries: `ratified`, `draft` or nothing."""
    return next((_EVB_TLVS[value[:4]] for kind, value in tlvs_of(data) if kind == 127 and value[:4] in _EVB_TLVS), "")


def ttl_of(data: bytes) -> int:
    return int.from_bytes(dict(tlvs_of(data))[3], "big")


_EVB_TLVS = {lldpdus.RATIFIED: "ratified", lldpdus.DRAFT: "draft"}


def captured(name: str) -> list[tuple[Instant, bytes]]:
    """Times (from the first frame on) and frames of somebody else's capture; skips the test when it is not there."""
    path = CAPTURES / name
    if not path.exists():
        pytest.skip(f"{name}: other people's captures are not beside this repository")
    frames = lldpdus.read_pcap(path)
    return [(frame.time - frames[0].time, frame.data) for frame in frames]


# What the machines are told.


def port_settings(
    mac: bytes,
    editions: tuple[Edition, ...] = AUTO,
    relay: bool = True,
    parameters: EvbParameters | None = None,
    admin_status: dict[Scope, AdminStatus] | None = None,
    tx: TxSettings | None = None,
    max_neighbors: int = 32,
    optional: tuple[OptionalTlv, ...] = (),
) -> PortSettings:
    """Settings of a port that speaks LLDP in the nearest customer bridge scope alone, unless told otherwise."""
    return PortSettings(
        mac_address=mac,
        chassis_id=ChassisId(4, mac),
        port_id=PortId(3, mac),
        optional=dict.fromkeys(Scope, optional),
        admin_status=EVB_ONLY if admin_status is None else admin_status,
        tx=tx or TxSettings(),
        max_neighbors=max_neighbors,
        evb=EvbSettings(editions, relay, parameters or EvbParameters()),
    )


class FirstSequences:
    """Where the ECP of one end takes the first number of each conversation from; the same in each run."""

    def __init__(self, name: str) -> None:
        self._random = Random(name)

    def __call__(self) -> int:
        return self._random.randrange(1 << 16)


# The wire.


class Machine(Protocol):
    """What can be joined to a wire: a PortStack, or a model of somebody else's agent."""

    def receive(self, frame: bytes, now: Instant) -> list[Effect]: ...
    def request(self, request: Request, now: Instant) -> list[Effect]: ...
    def next_deadline(self) -> Instant | None: ...
    def advance(self, now: Instant) -> list[Effect]: ...


@dataclass(slots=True)
class Weather:
    """What the wire does to each frame: microseconds of delay, and chances between 0 and 1."""

    latency: int = 50
    loss: float = 0.0
    duplication: float = 0.0
    reordering: float = 0.0
    reordered_by: int = 3 * MILLISECOND


@dataclass(frozen=True, slots=True)
class Sent:
    time: Instant
    sender: str
    data: bytes


@dataclass(eq=False, slots=True)
class End:
    """One port at the wire, run as the driver runs it. `machine` is None while no agent runs there.

    `late`: microseconds by which its timers fire late; two ends whose timers always fire in the same moment are found
    nowhere. `hairpin` is the port's flag, which outlives the agent. `refusal`: why the port cannot be switched just
    now, to the values in `refused`.
    """

    name: str
    make: Callable[[], Machine]
    machine: Machine | None = None
    hairpin: bool = False
    refusal: str | None = None
    refused: tuple[bool, ...] = (True, False)
    able: bool | None = None
    late: int = 0
    switched: list[tuple[Instant, bool]] = field(default_factory=list)
    events: list[tuple[Instant, Event]] = field(default_factory=list)
    confirmed: list[tuple[Instant, Confirm]] = field(default_factory=list)

    @property
    def stack(self) -> PortStack:
        assert isinstance(self.machine, PortStack)
        return self.machine

    @property
    def relay(self) -> Relay:
        return self.stack.forwarding.relay

    @property
    def reason(self) -> str:
        return self.stack.forwarding.reason

    @property
    def active(self) -> bool:
        return self.relay is Relay.ACTIVE

    @property
    def operational(self) -> Operational:
        return self.stack.evb.operational

    @property
    def answers(self) -> list[Relay]:
        """The answers that this port has given since its agent was started, each change once."""
        return [e.new.relay for _, e in self.events if isinstance(e, ForwardingChanged) and e.new.relay != e.old.relay]

    @property
    def neighbor_events(self) -> list[str]:
        return [type(e.change).__name__ for _, e in self.events if isinstance(e, NeighborEvent)]

    @property
    def neighbors(self) -> int:
        return sum(len(agent.rx.remotes) for agent in self.stack.agents.values())


def station(mac: bytes = STATION_MAC, name: str = "station", **settings: object) -> End:
    sequences = FirstSequences(name)
    return End(name, lambda: PortStack(Role.STATION, port_settings(mac, **settings), sequences))  # type: ignore[arg-type]


def bridge(
    mac: bytes = BRIDGE_MAC,
    name: str = "bridge",
    able: bool = True,
    rules: PolicyRules | None = None,
    **settings: object,
) -> End:
    sequences = FirstSequences(name)

    def make() -> PortStack:
        made = port_settings(mac, **settings)  # type: ignore[arg-type]
        return PortStack(Role.BRIDGE, made, sequences, BridgePolicy(rules), name)

    return End(name, make, able=able)


class Wire:
    """Every frame reaches all other ends, `weather` permitting. Time passes only in `run` and `run_until`."""

    def __init__(self, *ends: End, weather: Weather | None = None, seed: int = 0) -> None:
        self.ends = ends
        self.weather = weather or Weather()
        self.now: Instant = 1_000 * SECOND
        self.up = False
        self.lost: set[int] = set()  # by their place in `sent`: frames that go astray, whatever the weather
        self.deaf: set[str] = set()  # by name: ends that nothing reaches, though they are heard
        self.asleep: set[str] = set()  # by name: machines that are suspended, while the clock goes on
        self.sent: list[Sent] = []
        self._random = Random(seed)
        self._in_flight: list[tuple[Instant, int, End, bytes]] = []
        self._counter = count()

    def start(self, *ends: End) -> None:
        """Start an agent at these ends; all of them when none is named."""
        for end in ends or self.ends:
            end.machine = end.make()
            end.events.clear()
            end.confirmed.clear()
            end.hairpin = False  # what a predecessor left behind is cleared before anything else
            if end.able is not None:
                self.request(end, RelayAble(end.able, "it is not a port of a bridge"))
            if self.up:
                self.request(end, LinkState(True))

    def plug(self) -> None:
        """The link comes up."""
        self.up = True
        for end in self.running:
            self.request(end, LinkState(True))

    def unplug(self) -> None:
        """The link goes down; what is under way is lost."""
        self.up = False
        self._in_flight.clear()
        for end in self.running:
            self.request(end, LinkState(False))

    def stop(self, end: End) -> None:
        """The agent ends as it should."""
        self.request(end, Shutdown())
        end.machine = None

    def kill(self, end: End) -> None:
        """The agent is gone without a word."""
        end.machine = None

    def request(self, end: End, request: Request) -> None:
        assert end.machine is not None
        self._execute(end, end.machine.request(request, self.now))

    def settings(self, end: End, **changes: object) -> None:
        """Change some of a port's settings."""
        self.request(end, NewSettings(replace(end.stack.settings, **changes)))  # type: ignore[arg-type]

    def evb_settings(self, end: End, **changes: object) -> None:
        """Change some of a port's EVB settings."""
        self.settings(end, evb=replace(end.stack.settings.evb, **changes))  # type: ignore[arg-type]

    def parameters(self, end: End, **changes: object) -> None:
        """Change some of the values that a port proposes."""
        self.evb_settings(end, parameters=replace(end.stack.settings.evb.parameters, **changes))  # type: ignore[arg-type]

    def clear_hairpin(self, end: End) -> None:
        """Somebody else clears the flag of the bridge's port."""
        end.hairpin = False
        self.request(end, RelaySet(False, "cleared by somebody else"))

    def inject(self, data: bytes, end: End) -> None:
        """A frame from nowhere reaches this end now."""
        self.arrives(end, data)

    def arrives(self, end: End, data: bytes) -> None:
        assert end.machine is not None
        self._execute(end, end.machine.receive(data, self.now))

    def run(self, duration: int) -> None:
        """Let so many microseconds pass."""
        until = self.now + duration
        while (due := self._next()) is not None and due <= until:
            self._step(due)
        self.now = until

    def run_until(self, condition: Callable[[], bool], limit: int = 10 * SECOND) -> int:
        """Run until the condition holds, and say how long that took; fails when it does not within `limit`."""
        begun = self.now
        while not condition():
            due = self._next()
            assert due is not None and due <= begun + limit, f"not within {limit} us: {self.story()}"
            self._step(due)
        return self.now - begun

    def frames(self, sender: End | None = None, since: Instant = 0) -> list[Sent]:
        return [sent for sent in self.sent if sent.time >= since and sender in (None, self._end(sent.sender))]

    def story(self) -> str:
        """What was sent, for the reader of a failed test."""
        return "\n".join(f"{s.time} {s.sender} {_in_short(s.data)}" for s in self.sent[-40:])

    @property
    def running(self) -> list[End]:
        return [end for end in self.ends if end.machine is not None]

    @property
    def awake(self) -> list[End]:
        return [end for end in self.running if end.name not in self.asleep]

    def _end(self, name: str) -> End:
        return next(end for end in self.ends if end.name == name)

    def _next(self) -> Instant | None:
        deadlines = [(end.machine.next_deadline(), end.late) for end in self.awake if end.machine is not None]
        arrivals = [self._in_flight[0][0]] if self._in_flight else []
        return min([due + late for due, late in deadlines if due is not None] + arrivals, default=None)

    def _step(self, due: Instant) -> None:
        self.now = max(self.now, due)
        while self._in_flight and self._in_flight[0][0] <= self.now:
            _, _, end, data = heappop(self._in_flight)
            if end in self.awake:
                self.arrives(end, data)
        for end in self.awake:
            assert end.machine is not None
            deadline = end.machine.next_deadline()
            if deadline is not None and deadline + end.late <= self.now:
                self._execute(end, end.machine.advance(self.now))
                after = end.machine.next_deadline()
                assert after is None or after > self.now, "a deadline that stays due would keep the driver busy"

    def _execute(self, end: End, effects: Iterable[Effect]) -> None:
        queue = deque(effects)
        while queue:
            match queue.popleft():
                case SendFrame(data):
                    self._send(end, data)
                case Configure(setting):
                    assert end.machine is not None
                    queue.extend(end.machine.request(self._switch(end, setting.on), self.now))
                case Indicate(event):
                    end.events.append((self.now, event))
                case Confirm() as confirm:
                    end.confirmed.append((self.now, confirm))

    def _switch(self, end: End, on: bool) -> RelaySet:
        if end.refusal is not None and on in end.refused:
            return RelaySet(end.hairpin, end.refusal)
        end.hairpin = on
        end.switched.append((self.now, on))
        return RelaySet(on)

    def _send(self, sender: End, data: bytes) -> None:
        assert self.up, "a frame was sent on a link that is down"
        self.sent.append(Sent(self.now, sender.name, data))
        if len(self.sent) - 1 in self.lost:
            return
        for end in self.ends:
            if end is sender:
                continue
            copies = 2 if self._random.random() < self.weather.duplication else 1
            for _ in range(copies):
                if self._random.random() < self.weather.loss or end.name in self.deaf:
                    continue
                late = self._random.random() < self.weather.reordering
                arrival = self.now + self.weather.latency + (self.weather.reordered_by if late else 0)
                heappush(self._in_flight, (arrival, next(self._counter), end, data))


def _in_short(data: bytes) -> str:
    return f"{ttl_of(data)} {evb_octets(data)}" if data[12:14] == b"\x88\xcc" else data[12:].hex()


def agree(wire: Wire, station: End, bridge: End) -> bool:
    """Whether both ends of the wire have reflective relay, in word and deed."""
    return station.active and bridge.active and bridge.hairpin


def reflects(end: End) -> bool:
    """Whether the machine of a bridge's port has reflective relay switched on."""
    evb = end.stack.evb
    assert isinstance(evb, EvbBridge)
    return evb.relay_active
