"""Either end restarted, killed, or replaced by somebody else."""

import pytest

from protocols.evb.status import Relay
from protocols.lldp.tlvs import ChassisId, PortId
from protocols.timers import SECOND
from tests.support.wire import (
    BRIDGE_MAC,
    MILLISECOND,
    OTHER_MAC,
    End,
    Wire,
    agree,
    bridge,
    frame,
    ratified,
    reflects,
    station,
    ttl_of,
)


def pair() -> tuple[Wire, End, End]:
    s, b = station(), bridge()
    wire = Wire(s, b)
    wire.start()
    wire.plug()
    wire.run(40 * SECOND)
    assert agree(wire, s, b)
    return wire, s, b


@pytest.mark.parametrize("pause", [0, 5, 200])
@pytest.mark.parametrize("who", ["station", "bridge"])
def test_a_restart_with_goodbye(who: str, pause: int) -> None:
    wire, s, b = pair()
    ended, other = (s, b) if who == "station" else (b, s)
    wire.stop(ended)
    assert ttl_of(wire.sent[-1].data) == 0
    assert not ended.hairpin, "the port is put back before the agent is gone"
    wire.run_until(lambda: other.relay is Relay.UNKNOWN)
    assert not other.hairpin
    wire.run(pause * SECOND + 100 * MILLISECOND)
    wire.start(ended)
    assert wire.run_until(lambda: agree(wire, s, b)) <= 20 * MILLISECOND


@pytest.mark.parametrize("pause", [0, 5, 119, 200])
def test_a_killed_bridge_comes_back(pause: int) -> None:
    """Its first LLDPDU says that nothing is switched on: the station believes that at once."""
    wire, s, b = pair()
    wire.kill(b)
    wire.run(pause * SECOND)
    wire.start(b)
    wire.run(60)
    if pause < 120:
        assert s.relay is Relay.INACTIVE
    assert wire.run_until(lambda: agree(wire, s, b)) <= 20 * MILLISECOND


@pytest.mark.parametrize("pause", [0, 5, 119])
def test_a_killed_station_comes_back(pause: int) -> None:
    """The bridge still knows it, and reflects: its next LLDPDU comes within msgFastTx."""
    wire, s, b = pair()
    wire.kill(s)
    wire.run(pause * SECOND)
    wire.start(s)
    assert wire.run_until(lambda: agree(wire, s, b)) <= SECOND + 20 * MILLISECOND


def test_a_bridge_that_dies_without_a_word() -> None:
    wire, s, b = pair()
    last = wire.frames(b)[-1].time
    wire.kill(b)
    wire.run_until(lambda: not s.active, 130 * SECOND)
    assert last + 121 * SECOND <= wire.now <= last + 122 * SECOND, "its TTL"
    assert s.relay is Relay.UNKNOWN and s.reason == "no neighbor has been heard on this link"


def test_a_station_that_dies_without_a_word() -> None:
    wire, s, b = pair()
    wire.kill(s)
    wire.run(123 * SECOND)
    assert not b.hairpin and not reflects(b) and b.relay is Relay.UNKNOWN


@pytest.mark.parametrize("ending", ["with goodbye", "unplugged"])
def test_the_switch_is_replaced_by_another(ending: str) -> None:
    s, b, other = station(), bridge(), bridge(OTHER_MAC, "other")
    wire = Wire(s, b, other)
    wire.plug()
    wire.start(s, b)
    wire.run(40 * SECOND)
    if ending == "unplugged":
        wire.unplug()
        wire.kill(b)
        wire.plug()
    else:
        wire.stop(b)
    wire.run(SECOND)
    assert s.relay is Relay.UNKNOWN
    wire.start(other)
    assert wire.run_until(lambda: agree(wire, s, other)) <= 20 * MILLISECOND
    assert s.reason == "reflective relay agreed with 02:00:00:00:00:0c"


def test_the_switch_is_replaced_behind_our_back() -> None:
    """Without a link that goes down the old one is believed for its TTL; two that claim to be the bridge are none."""
    s, b, other = station(), bridge(), bridge(OTHER_MAC, "other")
    wire = Wire(s, b, other)
    wire.plug()
    wire.start(s, b)
    wire.run(40 * SECOND)
    wire.kill(b)
    wire.start(other)
    wire.run(SECOND)
    assert s.relay is Relay.INACTIVE and s.reason.startswith("2 systems claim to be the bridge")
    assert other.hairpin, "that one sees no reason not to"
    wire.run(122 * SECOND)
    assert agree(wire, s, other)


def test_another_identity_of_the_switch() -> None:
    """Its MAC address changes: it says goodbye by the old name, and is known by the new one at once."""
    wire, s, b = pair()
    wire.settings(b, mac_address=OTHER_MAC, chassis_id=ChassisId(4, OTHER_MAC), port_id=PortId(3, OTHER_MAC))
    assert [ttl_of(sent.data) for sent in wire.sent[-2:]] == [0, 121]
    wire.run(MILLISECOND)
    assert s.answers[-2:] == [Relay.UNKNOWN, Relay.ACTIVE]
    assert s.reason == "reflective relay agreed with 02:00:00:00:00:0c" and s.neighbors == 1
    assert agree(wire, s, b)


def test_the_switch_takes_its_evb_tlv_back() -> None:
    wire, s, b = pair()
    wire.kill(b)
    wire.inject(frame(BRIDGE_MAC), s)
    assert s.relay is Relay.INACTIVE and s.reason == "the neighbor speaks LLDP but not EVB"
    wire.inject(frame(BRIDGE_MAC, ratified("0305 6e 54 14")), s)
    assert s.active
