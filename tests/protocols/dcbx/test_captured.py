"""Captured dialogues: what one end said is said to us, in the place of the other."""

from dataclasses import replace

import pytest

from protocols.dcbx.model import CEE_OUI, Application
from protocols.dcbx.port import DcbxPort
from protocols.dcbx.settings import Body, DcbxResult, DcbxSettings, Dialect, Neighbor, State, Tables
from protocols.lldp.codec import decode_lldpdu
from protocols.lldp.tlvs import OrganizationalTlv
from tests.support.dcbx import FCOE, HIGH, LOW, SHARED, assert_possible, willing
from tests.support.wire import captured

US = bytes.fromhex("0200000000fe")
FIP, ISCSI = Application(3, 1, 0x8914), Application(4, 4, 3260)
WILLING = willing(DcbxSettings())
LLDPADS_OWN = willing(
    DcbxSettings(
        ets=Tables((0, 1, 2, 3, 4, 5, 6, 7), (2,) * 8, (13, 13, 13, 13, 12, 12, 12, 12)), apps=(FCOE, ISCSI, FIP)
    )
)
CEE_TABLES = Tables((0, 0, 0, 0, 1, 1, 1, 2), (2, 2, 0, 0, 0, 0, 0, 0), (25, 75, 0, 0, 0, 0, 0, 0))
CIN_TABLES = Tables((0, 1, 2, 3, 4, 5, 6, 7), (2, 2, 2, 2, 2, 2, 2, 0), (25, 75, 0, 0, 0, 0, 0, 0))


def played(name: str, us: bytes, settings: DcbxSettings) -> list[tuple[DcbxPort, DcbxResult, tuple[Body, ...] | None]]:
    """After each LLDPDU: our port, what it has come to then, and what was said in our place, if it was."""
    port = DcbxPort(settings, us)
    found: list[tuple[DcbxPort, DcbxResult, tuple[Body, ...] | None]] = []
    for _, data in captured(name):
        pdu = decode_lldpdu(data[14:]).pdu
        bodies = tuple((tlv.oui, tlv.subtype, tlv.value) for tlv in pdu.optional if isinstance(tlv, OrganizationalTlv))
        said = bodies if data[6:12] == us else None
        if said is None and pdu.ttl == 0:
            port.lost(pdu.msap)
        elif said is None:
            port.heard(Neighbor(pdu.msap, data[6:12], bodies))
        assert port.result is not None
        assert_possible(port.result, settings)
        if said is not None:
            assert_same(port, said)
        found.append((port, port.result, said))
    return found


def assert_same(port: DcbxPort, said: tuple[Body, ...]) -> None:
    """In CEE lldpad has said the same in our place, octet by octet (in CIN it says more, of logical links)."""
    cee = [body for body in said if body[:2] == (CEE_OUI, 2)]
    if cee and port.settings == LLDPADS_OWN and port.result and port.result.dialect is Dialect.CEE:
        assert list(port.tlvs) == cee


def last(name: str, us: bytes, settings: DcbxSettings) -> DcbxResult:
    return played(name, us, settings)[-1][1]


def test_ieee() -> None:
    """A: not willing, ETS 40/60, PFC 3, FCoE. B, whom we are: willing, adopts all of it, and says so."""
    *_, (port, result, said), _ = played("lldpad-dcbx-ieee-nw-w.pcap", HIGH, WILLING)
    assert result.dialect is Dialect.IEEE
    assert (result.ets.operational, result.pfc.operational, result.app.operational) == (SHARED, 0b1000, (FCOE,))
    assert said is not None and port.tlvs[:2] == said[:2], "ETS and PFC; lldpad echoes our applications, we do not"


@pytest.mark.parametrize(("us", "own"), [(LOW, 0b1000), (HIGH, 0b100000)])
def test_tie(us: bytes, own: int) -> None:
    """Both ends come to PFC 5, which is the higher address's."""
    assert last("lldpad-dcbx-ieee-tie.pcap", us, replace(WILLING, pfc=own)).pfc.operational == 0b100000


@pytest.mark.parametrize("settings", [WILLING, LLDPADS_OWN], ids=["bare", "as lldpad"])
@pytest.mark.parametrize("name", ["cee-nw-w", "fallback"])
def test_cee(name: str, settings: DcbxSettings) -> None:
    """B of the capture ends with sequence number 1 and acknowledges 2, and so do we."""
    result = last(f"lldpad-dcbx-{name}.pcap", HIGH, settings)
    assert (result.dialect, result.seq_no, result.ack_no) == (Dialect.CEE, 1, 2)
    assert (result.ets.operational, result.pfc.operational) == (CEE_TABLES, 0b1000)
    assert set(result.app.operational) == {FCOE, ISCSI, FIP} and not result.warnings


def test_cin() -> None:
    """Groups with priorities and without a share are lldpad's default: strict ones are above them."""
    result = last("lldpad-dcbx-cin-nw-w.pcap", HIGH, WILLING)
    assert (result.dialect, result.pfc.operational, result.app.operational) == (Dialect.CIN, 0b1000, (FCOE,))
    assert result.ets.operational == CIN_TABLES and not result.ets.error and not result.warnings


def test_silent_peer() -> None:
    """A lldpad that comes to say more and more: its last word counts."""
    result = last("lldpad-dcbx-ieee-silent-peer.pcap", bytes.fromhex("020000000d01"), WILLING)
    assert result.state is State.PEER and result.pfc.operational == 0b11000
    assert {one.selector for one in result.app.operational} == {1, 2, 3, 4, 5}
    assert result.ets.remote is not None and not result.ets.error
    assert (result.ets.operational.tc_bw[:2], result.ets.operational.prio_tc) == ((50, 50), (0, 0, 0, 1, 1, 2, 2, 7))


# Switches of several makers.


def test_cumulus_on_mellanox() -> None:
    result = last("../pcaps/cumulus-mellanox-dcbx.pcap", US, WILLING)
    assert result.ets.operational == Tables(
        (0, 0, 0, 3, 0, 0, 6, 0), (2, 2, 2, 2, 2, 2, 0, 2), (48, 0, 0, 50, 0, 2, 0, 0)
    )
    assert (result.pfc.operational, result.app.operational) == (0b1000, (Application(3, 3, 4791),))
    assert not result.warnings


def test_aruba() -> None:
    """Beside an lldpd that speaks no DCBX, and does not count."""
    result = last("../pcaps/aruba-8100-and-lldpd.pcap", US, WILLING)
    assert result.ets.operational == Tables(
        (0, 0, 0, 1, 0, 2, 0, 0), (2, 2, 2, 0, 0, 0, 0, 0), (48, 50, 2, 0, 0, 0, 0, 0)
    )
    assert (result.state, result.pfc.operational, result.warnings) == (State.PEER, 0b1000, ())


def test_dell_os10() -> None:
    """One TLV after the other is configured, and taken away; at last it speaks CEE, and means the same."""
    results = [result for _, result, _ in played("../pcaps/dell-os10-dcbx-b.pcap", US, WILLING)]
    alone, configuration, recommendation, pfc, *applications, without_ets, without_pfc, cee = results
    shares = Tables((0,) * 8, (2,) * 8, (46, 1, 1, 48, 1, 1, 1, 1))
    assert (alone.state, configuration.ets.operational) == (State.ALONE, Tables())
    assert recommendation.ets.operational == pfc.ets.operational == applications[-1].ets.operational == shares
    assert (recommendation.pfc.operational, pfc.pfc.operational) == (0, 0b1000)
    assert set(applications[-1].app.operational) == {FCOE, FIP}
    assert (without_ets.ets.operational, without_pfc.pfc.operational) == (Tables(), 0)
    assert (cee.dialect, cee.ets.remote, cee.pfc.remote) == (Dialect.CEE, shares, 0b1000)
    assert "not acknowledged" in cee.pfc.reason and not any(result.warnings for result in results)


def test_nexus() -> None:
    """CIN without a feature that we know."""
    result = last("../pcaps/ladvd-47-cisco-nexus-cin.pcap", US, WILLING)
    assert (result.dialect, result.ack_no, result.pfc.operational, result.warnings) == (Dialect.CIN, 1, 0, ())
    assert result.pfc.reason == "the peer has no such feature"


def test_senders_of_random_tables() -> None:
    """What cannot be is named and nobody's; a second sender suspends it all."""
    first, *_, both = [result for _, result, _ in played("../pcaps/tcpdump-dcb-ets.pcap", US, WILLING)]
    assert first.ets.error and any("traffic class 15" in warning for warning in first.warnings)
    assert both.state is State.SUSPENDED and both.ets.operational == Tables()
    pfc, _ = [result for _, result, _ in played("../pcaps/tcpdump-dcb-pfc.pcap", US, WILLING)]
    assert pfc.pfc.operational == 0b110100
    empty, _ = [result for _, result, _ in played("../pcaps/tcpdump-dcb-qcn.pcap", US, WILLING)]
    assert empty.app.remote == empty.app.operational == ()
