"""DCBX between the machines of two ports, on wires that lose, repeat and reorder LLDPDUs."""

from dataclasses import replace

import pytest

from protocols.dcbx.settings import DcbxResult, DcbxSettings, Dialect, State
from protocols.frame import Scope
from protocols.lldp.agent import AdminStatus
from protocols.port import DcbxChanged
from protocols.timers import SECOND
from tests.support.dcbx import FCOE, OTHERS, ROCE, SHARED, willing
from tests.support.wire import End, Weather, Wire, station

BOTH_SCOPES = {Scope.NEAREST_BRIDGE: AdminStatus.TX_AND_RX, Scope.NEAREST_CUSTOMER_BRIDGE: AdminStatus.TX_AND_RX}
SERVER = willing(DcbxSettings(ets=OTHERS, recommended=OTHERS, pfc=0b0001, apps=(ROCE,)))
SWITCH = DcbxSettings(ets=SHARED, recommended=SHARED, pfc=0b1000, apps=(FCOE,))
PFC = bytes.fromhex("0080c20b")
BAD = Weather(loss=0.2, duplication=0.2, reordering=0.2)


def joined(
    server: DcbxSettings | None, switch: DcbxSettings | None, weather: Weather | None = None, seed: int = 0
) -> Wire:
    here = station(bytes.fromhex("02000000000a"), "server", admin_status=BOTH_SCOPES)
    there = station(bytes.fromhex("02000000000b"), "switch", admin_status=BOTH_SCOPES)
    wire = Wire(here, there, weather=weather, seed=seed)
    wire.start()
    wire.settings(here, dcbx=server)
    wire.settings(there, dcbx=switch)
    wire.plug()
    return wire


def result(end: End) -> DcbxResult:
    found = end.stack.dcbx.result
    assert found is not None
    return found


def agreed(wire: Wire) -> bool:
    here, there = map(result, wire.ends)
    return here.pfc.operational == there.pfc.operational == 0b1000 and here.ets.operational == SHARED


@pytest.mark.parametrize("dialect", [None, *Dialect])
def test_at_once(dialect: Dialect | None) -> None:
    wire = joined(SERVER, replace(SWITCH, dialect=dialect))
    wire.run(12 * SECOND)  # CEE takes some LLDPDUs, of which there are five at once and then one a second
    assert agreed(wire)
    for end in wire.ends:
        events = [event for _, event in end.events if isinstance(event, DcbxChanged)]
        assert events and events[-1].result == result(end)


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("dialect", [None, *Dialect])
def test_in_bad_weather(dialect: Dialect | None, seed: int) -> None:
    wire = joined(SERVER, replace(SWITCH, dialect=dialect), BAD, seed)
    wire.run(400 * SECOND)
    assert agreed(wire)


@pytest.mark.parametrize("dialect", [None, *Dialect])
def test_peer_ends(dialect: Dialect | None) -> None:
    wire = joined(SERVER, replace(SWITCH, dialect=dialect))
    wire.run(12 * SECOND)
    here, there = wire.ends
    wire.stop(there)
    wire.run(SECOND)
    assert (result(here).state, result(here).pfc.operational) == (State.ALONE, 0b0001)
    wire.start(there)
    wire.settings(there, dcbx=replace(SWITCH, dialect=dialect))
    wire.run(60 * SECOND)
    assert agreed(wire)


def test_link_down_and_up() -> None:
    wire = joined(SERVER, replace(SWITCH, dialect=Dialect.CEE))
    wire.run(12 * SECOND)
    wire.unplug()
    assert result(wire.ends[0]).state is State.ALONE and result(wire.ends[0]).dialect is Dialect.IEEE
    wire.plug()
    wire.run(60 * SECOND)
    assert agreed(wire) and result(wire.ends[0]).dialect is Dialect.CEE


def test_switched_on_later() -> None:
    """What the neighbor has said before counts then, though it says nothing new."""
    wire = joined(None, SWITCH)
    wire.run(40 * SECOND)
    here, there = wire.ends
    assert here.stack.dcbx.result is None
    wire.settings(here, dcbx=SERVER)
    wire.run(SECOND)
    assert agreed(wire)
    wire.settings(here, dcbx=None)
    wire.run(SECOND)
    assert here.stack.dcbx.result is None and result(there).state is State.ALONE


def test_warnings_are_the_ports() -> None:
    wire = joined(replace(SERVER, classes=2), SWITCH)
    wire.run(12 * SECOND)
    assert any("traffic class 2" in warning for warning in wire.ends[0].stack.warnings)


def test_only_the_nearest_bridge() -> None:
    """What is said in other scopes is nobody's DCBX."""
    wire = joined(SERVER, SWITCH)
    wire.run(12 * SECOND)
    sent = [one.data for one in wire.sent]
    assert {Scope.of(frame[:6]) for frame in sent if PFC in frame} == {Scope.NEAREST_BRIDGE}
    assert Scope.NEAREST_CUSTOMER_BRIDGE in {Scope.of(frame[:6]) for frame in sent}
