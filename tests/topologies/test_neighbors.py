"""Who else may be on the link: plain LLDP, two of a kind, crowds of forged systems."""

from collections.abc import Callable

import pytest

from protocols.evb.draft import DRAFT
from protocols.evb.status import Relay
from protocols.frame import Scope
from protocols.lldp.agent import AdminStatus
from protocols.timers import SECOND
from tests.support.lldpdus import NEAREST_BRIDGE, tlv
from tests.support.wire import (
    BRIDGE_MAC,
    MILLISECOND,
    OTHER_MAC,
    STATION_MAC,
    End,
    Wire,
    agree,
    bridge,
    frame,
    ratified,
    station,
)

LISTENS_EVERYWHERE = {**dict.fromkeys(Scope, AdminStatus.RX_ONLY), Scope.NEAREST_CUSTOMER_BRIDGE: AdminStatus.TX_AND_RX}
NAME = tlv(5, b"switch")


@pytest.mark.parametrize("scope", [Scope.NEAREST_BRIDGE, Scope.NEAREST_CUSTOMER_BRIDGE])
def test_a_switch_that_only_speaks_ordinary_lldp(scope: Scope) -> None:
    s = station(admin_status=LISTENS_EVERYWHERE)
    wire = Wire(s)
    wire.start()
    wire.plug()
    assert s.relay is Relay.UNKNOWN
    wire.inject(frame(BRIDGE_MAC, NAME, to=scope.address), s)
    assert s.relay is Relay.INACTIVE and s.reason == "the neighbor speaks LLDP but not EVB"
    wire.run(122 * SECOND)
    assert s.relay is Relay.UNKNOWN


def test_an_ordinary_neighbor_beside_the_bridge_is_no_obstacle() -> None:
    s, b = station(admin_status=LISTENS_EVERYWHERE), bridge()
    wire = Wire(s, b)
    wire.start()
    wire.plug()
    wire.inject(frame(OTHER_MAC, NAME, to=NEAREST_BRIDGE), s)
    wire.inject(frame(OTHER_MAC, NAME), s)
    wire.run_until(lambda: agree(wire, s, b))
    assert s.stack.warnings == ()


@pytest.mark.parametrize("kind", [station, bridge])
def test_two_of_a_kind(kind: Callable[..., End]) -> None:
    one, two = kind(STATION_MAC, "one"), kind(OTHER_MAC, "two")
    wire = Wire(one, two)
    wire.start()
    wire.plug()
    wire.run(60 * SECOND)
    for end in (one, two):
        assert end.relay is Relay.INACTIVE and not end.hairpin and not end.switched
        assert " is an EVB " in end.reason
        assert any("role conflict" in warning for warning in end.stack.warnings)


def test_two_bridges_for_one_station() -> None:
    s, b, other = station(), bridge(), bridge(OTHER_MAC, "other")
    wire = Wire(s, b, other)
    wire.plug()
    wire.start(s, b)
    wire.run(10 * SECOND)
    assert agree(wire, s, b)
    wire.start(other)
    assert wire.run_until(lambda: not s.active) <= MILLISECOND
    assert s.relay is Relay.INACTIVE
    assert s.reason == "2 systems claim to be the bridge: 02:00:00:00:00:0b, 02:00:00:00:00:0c"
    assert s.stack.warnings == (s.reason,)
    wire.run(300 * SECOND)
    assert s.relay is Relay.INACTIVE
    wire.stop(other)
    assert wire.run_until(lambda: agree(wire, s, b)) <= 2 * SECOND
    assert s.stack.warnings == ()


def test_two_stations_at_one_bridge() -> None:
    s, other, b = station(), station(OTHER_MAC, "other"), bridge()
    wire = Wire(s, other, b)
    wire.plug()
    wire.start(s, b)
    wire.run(10 * SECOND)
    wire.start(other)
    wire.run(SECOND)
    assert not b.hairpin and not s.active and not other.active
    assert b.reason.startswith("2 systems claim to be the station: ")
    wire.stop(other)
    assert wire.run_until(lambda: agree(wire, s, b)) <= 2 * SECOND


def forged(number: int) -> bytes:
    return bytes.fromhex("0666") + number.to_bytes(4, "big")


@pytest.mark.parametrize("evb", [False, True], ids=["ordinary", "bridges"])
def test_a_thousand_forged_neighbors_in_a_second(evb: bool) -> None:
    s, b = station(), bridge()
    wire = Wire(s, b)
    wire.start()
    wire.plug()
    wire.run(10 * SECOND)
    begun, sent = wire.now, len(wire.sent)
    tlvs = [ratified("0305 6e 54 14")] if evb else []
    for number in range(1000):
        wire.inject(frame(forged(number), *tlvs, ttl=60), s)
        wire.run(MILLISECOND)
    remotes = s.stack.agents[Scope.NEAREST_CUSTOMER_BRIDGE].rx.remotes
    assert len(remotes) == 32 and remotes.too_many_neighbors
    assert remotes.get((4, BRIDGE_MAC, 3, BRIDGE_MAC)) is not None, "the real one is kept"
    assert remotes.statistics.drops == 1000 - 31
    assert len(wire.sent) - sent <= 2 * (5 + 1), "credit bounds what a crowd can make us send"
    if evb:
        assert s.relay is Relay.INACTIVE and s.reason.startswith("32 systems claim to be the bridge: ")
    else:
        assert agree(wire, s, b)
    assert any(warning.startswith("too many neighbors") for warning in s.stack.warnings)
    wire.run(begun + 62 * SECOND - wire.now)
    assert agree(wire, s, b) and s.neighbors == 1 and s.stack.warnings == ()


def test_a_forged_goodbye_is_corrected_by_the_next_lldpdu() -> None:
    """LLDP has no authentication: what a forger can do is bounded by the real one's next frame."""
    s, b = station(), bridge()
    wire = Wire(s, b)
    wire.start()
    wire.plug()
    wire.run(10 * SECOND)
    wire.inject(frame(BRIDGE_MAC, ttl=0), s)
    assert not s.active
    assert wire.run_until(lambda: agree(wire, s, b)) <= 2 * SECOND


def test_draft_stations_cannot_know_each_other() -> None:
    """The draft names no role; where only it is accepted, two stations take each other for bridges that reflect."""
    one, two = station(STATION_MAC, "one", editions=(DRAFT,)), station(OTHER_MAC, "two", editions=(DRAFT,))
    wire = Wire(one, two)
    wire.start()
    wire.plug()
    wire.run(5 * SECOND)
    assert one.active and two.active
