"""Which dialect a port speaks with whom, and captured dialogues from one end."""

from dataclasses import replace

import pytest

from protocols.dcbx import cee
from protocols.dcbx.model import CEE_OUI, Application, Control, LegacySubtype, LegacyTlv
from protocols.dcbx.port import DcbxPort
from protocols.dcbx.settings import Body, DcbxResult, DcbxSettings, Dialect, State, Tables
from protocols.lldp.codec import decode_lldpdu
from protocols.lldp.tlvs import OrganizationalTlv
from tests.support.dcbx import FCOE, HIGH, LOW, SHARED, End, converge, key, neighbor, willing
from tests.support.wire import captured

OURS = DcbxSettings(ets=SHARED, recommended=SHARED, pfc=0b1000, apps=(FCOE,))
OTHER = bytes.fromhex("020000000c01")


def result_of(port: DcbxPort) -> DcbxResult:
    assert port.result is not None
    return port.result


def test_off() -> None:
    port = DcbxPort(None, LOW)
    port.heard(End(HIGH, OURS).said)
    assert port.result is None and port.tlvs == ()
    port.configure(OURS, LOW)
    assert result_of(port).dialect is Dialect.IEEE and port.tlvs
    port.configure(None, LOW)
    assert port.result is None and port.tlvs == ()


def test_alone() -> None:
    result = result_of(DcbxPort(willing(OURS), LOW))
    assert (result.state, result.dialect, result.reason) == (State.ALONE, Dialect.IEEE, "no neighbor speaks DCBX")
    assert (result.ets.operational, result.pfc.operational, result.app.operational) == (SHARED, 0b1000, (FCOE,))
    assert result.ets.reason == "no neighbor speaks DCBX" and not result.warnings


def test_nothing_is_said_that_is_not_to_be() -> None:
    """The peer is heard, and what would come of it is known."""
    port = DcbxPort(replace(willing(OURS), advertise=False), LOW)
    port.heard(End(HIGH, replace(OURS, pfc=0b0001)).said)
    assert port.tlvs == () and result_of(port).pfc.operational == 1 and result_of(port).heard


def test_neighbors_without_dcbx_do_not_count() -> None:
    port = DcbxPort(willing(OURS), LOW)
    port.heard(neighbor(OTHER, [(bytes.fromhex("0080c2"), 1, b"\0\1"), (bytes.fromhex("00120f"), 4, b"\5\xee")]))
    assert result_of(port).state is State.ALONE
    port.heard(End(HIGH, replace(OURS, pfc=1)).said)
    assert result_of(port).state is State.PEER and result_of(port).pfc.operational == 1


@pytest.mark.parametrize("dialect", list(Dialect))
def test_several_peers_suspend_it(dialect: Dialect) -> None:
    """None counts, in any dialect, until one is left (sheet 5.4)."""
    port = DcbxPort(replace(willing(OURS), dialect=dialect), LOW)
    peers = [End(mac, replace(OURS, dialect=dialect, pfc=1 << number)) for number, mac in enumerate((HIGH, OTHER))]
    for peer in peers:
        port.heard(peer.said)
    result = result_of(port)
    assert (result.state, result.pfc.operational, result.ets.operational) == (State.SUSPENDED, 0b1000, SHARED)
    assert any("suspended: 2 neighbors" in warning for warning in result.warnings) and result.peer is None
    port.lost(key(OTHER))
    assert result_of(port).state is State.PEER and result_of(port).peer == key(HIGH)


@pytest.mark.parametrize("dialect", [Dialect.CEE, Dialect.CIN])
def test_fall_back_and_back_again(dialect: Dialect) -> None:
    """IEEE until the peer speaks nothing else (sheet 5.1); both agree then. IEEE again when it is gone."""
    here, there = End(LOW, willing(OURS)), End(HIGH, replace(OURS, dialect=dialect, pfc=0b0100))
    assert result_of(here.port).dialect is Dialect.IEEE
    converge(here, there)
    assert result_of(here.port).dialect is dialect and result_of(here.port).pfc.operational == 0b0100
    here.port.lost(key(HIGH))
    assert result_of(here.port).dialect is Dialect.IEEE and result_of(here.port).pfc.operational == 0b1000


def test_link_down_begins_anew() -> None:
    here, there = End(LOW, willing(OURS)), End(HIGH, replace(OURS, dialect=Dialect.CEE))
    converge(here, there)
    here.port.clear()
    assert (result_of(here.port).dialect, result_of(here.port).state) == (Dialect.IEEE, State.ALONE)


def test_both_in_one_lldpdu() -> None:
    """IEEE wins."""
    port = DcbxPort(willing(OURS), LOW)
    both = [*End(HIGH, OURS).port.tlvs, *End(HIGH, replace(OURS, dialect=Dialect.CEE)).port.tlvs]
    port.heard(neighbor(HIGH, both))
    assert result_of(port).dialect is Dialect.IEEE


def test_a_peer_that_comes_to_speak_ieee() -> None:
    here, there = End(LOW, willing(OURS)), End(HIGH, replace(OURS, dialect=Dialect.CEE))
    converge(here, there)
    there.port.configure(replace(OURS, dialect=Dialect.IEEE, pfc=1), HIGH)
    converge(here, there)
    assert result_of(here.port).dialect is Dialect.IEEE and result_of(here.port).pfc.operational == 1


def test_configured_dialect_stays() -> None:
    port = DcbxPort(replace(willing(OURS), dialect=Dialect.CEE), LOW)
    port.heard(End(HIGH, OURS).said)
    result = result_of(port)
    assert (result.dialect, result.pfc.operational) == (Dialect.CEE, 0b1000)
    assert "says nothing in CEE" in result.pfc.reason


def test_what_was_heard_is_kept_as_it_came() -> None:
    broken: Body = (CEE_OUI, LegacySubtype.CEE, b"\xff\xff")
    port = DcbxPort(OURS, LOW)
    port.heard(neighbor(HIGH, [broken]))
    assert result_of(port).heard == (broken,) and result_of(port).warnings


def test_a_sequence_number_that_goes_back() -> None:
    """Named, and nothing of it is used; a peer that starts anew begins with 0 or 1."""
    here, there = End(LOW, willing(OURS)), End(HIGH, replace(OURS, dialect=Dialect.CEE))
    for bit in range(4):
        there.port.configure(replace(OURS, dialect=Dialect.CEE, pfc=1 << bit), HIGH)
        converge(here, there)
    assert result_of(here.port).pfc.operational == 0b1000
    ((oui, subtype, body),) = there.port.tlvs
    tlv = cee.decode(subtype, body)
    assert tlv is not None

    def with_number(number: int, enable: int) -> Body:
        changed = tuple(
            replace(one, seq_no=number)
            if isinstance(one, Control)
            else replace(one, enable=enable)
            if type(one).__name__ == "LegacyPfc"
            else one
            for one in tlv.sub_tlvs
        )
        return oui, *cee.encode(LegacyTlv(tlv.subtype, changed))

    here.port.heard(neighbor(HIGH, [with_number(2, 1)]))
    assert any("gone back" in warning for warning in result_of(here.port).warnings)
    assert result_of(here.port).pfc.operational == 0b1000
    anew = End(HIGH, replace(OURS, dialect=Dialect.CEE, pfc=2))
    converge(here, anew)
    assert result_of(here.port).pfc.operational == 2 and not result_of(here.port).warnings


# Captured dialogues: we are one of the two lldpads.

CEE_TABLES = Tables((0, 0, 0, 0, 1, 1, 1, 2), (2, 2, 0, 0, 0, 0, 0, 0), (25, 75, 0, 0, 0, 0, 0, 0))
FIP, ISCSI = Application(3, 1, 0x8914), Application(4, 4, 3260)
WILLING = willing(DcbxSettings())


def replayed(name: str, us: bytes, settings: DcbxSettings) -> DcbxResult:
    """What we come to when we hear what the other end said."""
    port = DcbxPort(settings, us)
    for _, data in captured(f"lldpad-dcbx-{name}.pcap"):
        if data[6:12] == us or data[12:14] != b"\x88\xcc":
            continue
        pdu = decode_lldpdu(data[14:]).pdu
        if pdu.ttl == 0:
            port.lost(pdu.msap)
            continue
        bodies = [(tlv.oui, tlv.subtype, tlv.value) for tlv in pdu.optional if isinstance(tlv, OrganizationalTlv)]
        port.heard(replace(neighbor(data[6:12], bodies), key=pdu.msap))
    return result_of(port)


def test_captured_ieee() -> None:
    """A: not willing, ETS 40/60, PFC 3, FCoE. B: willing, adopts."""
    result = replayed("ieee-nw-w", HIGH, WILLING)
    assert result.dialect is Dialect.IEEE
    assert (result.ets.operational, result.pfc.operational, result.app.operational) == (SHARED, 0b1000, (FCOE,))


@pytest.mark.parametrize(("us", "own"), [(LOW, 0b1000), (HIGH, 0b100000)])
def test_captured_tie(us: bytes, own: int) -> None:
    """Both ends come to PFC 5, which is the higher address's."""
    assert replayed("ieee-tie", us, replace(WILLING, pfc=own)).pfc.operational == 0b100000


@pytest.mark.parametrize("name", ["cee-nw-w", "fallback"])
def test_captured_cee(name: str) -> None:
    """B of the capture ends with sequence number 1 and acknowledges 2, and so do we."""
    result = replayed(name, HIGH, WILLING)
    assert (result.dialect, result.seq_no, result.ack_no) == (Dialect.CEE, 1, 2)
    assert (result.ets.operational, result.pfc.operational) == (CEE_TABLES, 0b1000)
    assert set(result.app.operational) == {FCOE, ISCSI, FIP}


def test_captured_cin() -> None:
    """Five of its groups have priorities and no bandwidth; the other lldpad takes them."""
    result = replayed("cin-nw-w", HIGH, WILLING)
    assert (result.dialect, result.pfc.operational, result.app.operational) == (Dialect.CIN, 0b1000, (FCOE,))
    groups = Tables((0, 1, 2, 3, 4, 5, 6, 7), (2, 2, 2, 2, 2, 2, 2, 0), (25, 75, 0, 0, 0, 0, 0, 0))
    assert result.ets.operational == groups and not result.warnings


def test_captured_silent_peer() -> None:
    """A lldpad that comes to say more and more: its last word counts."""
    result = replayed("ieee-silent-peer", bytes.fromhex("020000000d01"), WILLING)
    assert result.state is State.PEER and result.ets.remote is not None and result.pfc.operational == 0b11000
    assert {one.selector for one in result.app.operational} == {1, 2, 3, 4, 5}
