"""R, RTE, RWD and RKA of both ends: the greater value holds, and what goes up comes down again."""

from itertools import product

import pytest

from protocols.evb.draft import DRAFT
from protocols.evb.ratified import RATIFIED
from protocols.evb.status import EvbParameters
from protocols.port import Effect, LinkState, Request, SendFrame
from protocols.timers import SECOND, Instant
from tests.support.wire import (
    BRIDGE_MAC,
    STATION_MAC,
    End,
    Wire,
    agree,
    bridge,
    evb_octets,
    frame,
    ratified,
    station,
    ttl_of,
)

NAMES = ("retries", "rte", "rwd", "rka")
HIGH = {"retries": 6, "rte": 18, "rwd": 25, "rka": 24}
LOW = {"retries": 1, "rte": 9, "rwd": 15, "rka": 16}
BASE = EvbParameters(retries=2, rte=12, rwd=18, rka=19)


def running_values(end: End) -> dict[str, int]:
    return {name: getattr(end.operational, name) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("who", ["station", "bridge"])
def test_a_value_goes_up_at_both_ends_and_comes_down_again(who: str, name: str) -> None:
    s, b = station(parameters=BASE), bridge(parameters=BASE)
    wire = Wire(s, b)
    wire.start()
    wire.plug()
    wire.run(10 * SECOND)
    changed = s if who == "station" else b
    base = running_values(s)
    for value in (HIGH[name], getattr(BASE, name) + 1, LOW[name], HIGH[name], getattr(BASE, name)):
        wire.parameters(changed, **{name: value})
        wire.run(50_000)
        expected = {**base, name: max(value, getattr(BASE, name))}
        assert running_values(s) == running_values(b) == expected
        assert agree(wire, s, b)
        wire.run(10 * SECOND)
        assert running_values(s) == running_values(b) == expected


def test_both_ends_up_and_down_at_the_same_moment() -> None:
    s, b = station(parameters=BASE), bridge(parameters=BASE)
    wire = Wire(s, b)
    wire.start()
    wire.plug()
    wire.run(10 * SECOND)
    for values in (HIGH, LOW, HIGH, LOW):
        for end in (s, b):
            wire.parameters(end, **values)
        wire.run(5 * SECOND)
        assert running_values(s) == running_values(b) == values


def test_the_drafts_only_value() -> None:
    s, b = station(editions=(DRAFT,), parameters=BASE), bridge(editions=(DRAFT,), parameters=BASE)
    wire = Wire(s, b)
    wire.start()
    wire.plug()
    wire.run(10 * SECOND)
    for end, value in product((s, b), (20, 12)):
        wire.parameters(end, rte=value)
        wire.run(5 * SECOND)
        assert s.operational.rte == b.operational.rte == value


def test_a_neighbor_that_is_lost_takes_its_values_along() -> None:
    s, b = station(parameters=BASE), bridge(parameters=EvbParameters(**HIGH))
    wire = Wire(s, b)
    wire.start()
    wire.plug()
    wire.run(10 * SECOND)
    assert running_values(s) == HIGH
    wire.stop(b)
    wire.run(50_000)
    assert running_values(s) == {name: getattr(BASE, name) for name in NAMES}


class Lldpad:
    """How lldpad does it: sends the greater of its own and the received values, and that only on its one-second tick.

    It starts ROL at 1 unless its own value is strictly greater, and has no memory of who said a value first.
    """

    def __init__(self, mac: bytes, mode: int, retries: int, rte: int, rwd: int, rka: int) -> None:
        self.mac, self.mode = mac, mode
        self.own = {"retries": retries, "rte": rte, "rwd": rwd, "rka": rka}
        self.last = bytes(5)
        self.enabled = False
        self.fast = 0
        self.tick: Instant = 0
        self.due: Instant = 0

    def values(self) -> dict[str, int]:
        _, _, r, rwd, rka = self.last
        received = {"retries": r >> 5, "rte": r & 31, "rwd": rwd & 31, "rka": rka & 31}
        return {name: max(own, received[name]) for name, own in self.own.items()}

    def change(self, **own: int) -> None:
        self.own |= own
        self.fast = 5

    def octets(self) -> bytes:
        values = self.values()
        if self.mode == 1:
            status = bytes([0x02 | bool(self.last[1] & 4), self.last[1]])
        else:
            status = bytes([self.last[0], 0x04 | (3 if self.last == bytes(5) else self.last[0] & 1)])
        rol = {name: 0 if self.own[name] > self.last[at] & 31 else 0x20 for name, at in (("rwd", 3), ("rka", 4))}
        words = [values["retries"] << 5 | values["rte"], self.mode << 6 | rol["rwd"] | values["rwd"]]
        return status + bytes([*words, rol["rka"] | values["rka"]])

    def receive(self, data: bytes, now: Instant) -> list[Effect]:
        octets = bytes.fromhex(evb_octets(data)) if ttl_of(data) else bytes(5)
        if octets != self.last:
            self.last = octets
            self.fast = 5
        return []

    def request(self, request: Request, now: Instant) -> list[Effect]:
        if isinstance(request, LinkState):
            self.enabled = request.enabled
            self.last, self.tick, self.due = bytes(5), now + SECOND // 3, 0
        return []

    def next_deadline(self) -> Instant | None:
        return self.tick if self.enabled else None

    def advance(self, now: Instant) -> list[Effect]:
        self.tick = now + SECOND
        if not self.fast and now < self.due:
            return []
        self.fast = max(0, self.fast - 1)
        self.due = now + 30 * SECOND
        return [SendFrame(frame(self.mac, ratified(self.octets().hex()), ttl=120))]


def lldpad(mac: bytes, mode: int, **own: int) -> tuple[End, Lldpad]:
    model = Lldpad(mac, mode, **own)
    return End("lldpad", lambda: model), model


OURS = {"retries": 3, "rte": 14, "rwd": 19, "rka": 20}
THEIRS = [
    {"retries": 3, "rte": 14, "rwd": 19, "rka": 20},
    {"retries": 4, "rte": 13, "rwd": 20, "rka": 20},
    {"retries": 2, "rte": 8, "rwd": 18, "rka": 18},
    {"retries": 7, "rte": 18, "rwd": 25, "rka": 27},
]


@pytest.mark.parametrize("theirs", THEIRS)
@pytest.mark.parametrize("our_role", ["station", "bridge"])
def test_beside_lldpad_values_settle_and_the_wire_falls_silent(our_role: str, theirs: dict[str, int]) -> None:
    """lldpad says ROL 1 of an equal value too: who takes that for an echo of his own never comes to rest."""
    ours = (station if our_role == "station" else bridge)(parameters=EvbParameters(**OURS))
    end, model = lldpad(*((BRIDGE_MAC, 1) if our_role == "station" else (STATION_MAC, 2)), **theirs)
    wire = Wire(ours, end)
    wire.start()
    wire.plug()
    wire.run(20 * SECOND)
    greater = {name: max(OURS[name], theirs[name]) for name in NAMES}
    assert running_values(ours) == model.values() == greater
    assert ours.active
    settled = wire.now
    wire.run(300 * SECOND)
    assert running_values(ours) == model.values() == greater
    assert len(wire.frames(since=settled)) <= 2 * 11, wire.story()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("who", ["ours", "lldpad"])
@pytest.mark.parametrize("our_role", ["station", "bridge"])
def test_beside_lldpad_a_value_comes_down_again(our_role: str, who: str, name: str) -> None:
    ours = (station if our_role == "station" else bridge)(parameters=EvbParameters(**OURS))
    start = {"retries": 2, "rte": 13, "rwd": 18, "rka": 19}
    end, model = lldpad(*((BRIDGE_MAC, 1) if our_role == "station" else (STATION_MAC, 2)), **start)
    wire = Wire(ours, end)
    wire.start()
    wire.plug()
    wire.run(20 * SECOND)
    for value in (HIGH[name], OURS[name], LOW[name]):
        if who == "ours":
            wire.parameters(ours, **{name: value})
        else:
            model.change(**{name: value})
        wire.run(20 * SECOND)
        other = start[name] if who == "ours" else OURS[name]
        assert running_values(ours)[name] == model.values()[name] == max(value, other)
        assert ours.active


def test_two_lldpads_ratchet() -> None:
    """The model is faithful: as in the capture, two of them never come down (interop-notes E7)."""
    (left, one), (right, two) = lldpad(STATION_MAC, 2, **OURS), lldpad(BRIDGE_MAC, 1, **THEIRS[1])
    right.name = "other lldpad"
    wire = Wire(left, right)
    wire.start()
    wire.plug()
    wire.run(20 * SECOND)
    assert evb_octets(wire.frames(left)[-1].data) == "03058eb434"
    assert evb_octets(wire.frames(right)[-1].data) == "03058e7434"
    two.change(retries=2, rwd=18)
    wire.run(100 * SECOND)
    assert one.values()["retries"] == two.values()["retries"] == 4
    assert one.values()["rwd"] == two.values()["rwd"] == 20


def test_exponents_that_overflow_lldpad_are_neither_used_nor_repeated() -> None:
    s = station(editions=(RATIFIED,), parameters=EvbParameters(**OURS))
    end, _ = lldpad(BRIDGE_MAC, 1, retries=3, rte=31, rwd=28, rka=31)
    wire = Wire(s, end)
    wire.start()
    wire.plug()
    wire.run(10 * SECOND)
    assert s.active and running_values(s) == OURS
    assert any("RTE=31, RWD=28, RKA=31" in warning for warning in s.stack.warnings)
    for sent in wire.frames(s):
        octets = bytes.fromhex(evb_octets(sent.data))
        assert (octets[2] & 31, octets[3] & 31, octets[4] & 31) == (14, 19, 20)
