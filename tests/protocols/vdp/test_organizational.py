"""Organizational TLVs: Cisco's as lldpad sends them, Oracle's, and those that nobody knows."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import DecodeError
from protocols.vdp.organizational import MOST_NAME, CiscoAddress, CiscoVmName, OracleEncoding, decode, describe, encode
from protocols.vdp.ratified import RATIFIED
from protocols.vdp.vsi import OrganizationalTlv, VsiId, parse_vsi_id
from tests.support.vdpdus import ecp_octets
from tests.support.wire import captured

CISCO = bytes.fromhex("00000c")
UUID = "a1412857-60f7-4ce1-e95a-216494353f53"
VM = "01020304-0506-0708-090a-0b0c0d0e0f10"
VSI_ID = parse_vsi_id(UUID)
# Sheet `vdp.md` 7.
NAME = OrganizationalTlv(
    CISCO, bytes.fromhex("f1 05 a141285760f74ce1e95a216494353f53 05 0102030405060708090a0b0c0d0e0f10 7765623031")
)
ADDRESS = OrganizationalTlv(CISCO, bytes.fromhex("f2 05 a141285760f74ce1e95a216494353f53 0001 c000024d"))
ORACLE = OrganizationalTlv(bytes.fromhex("0003ba"), b"\1\1")
KNOWN = {
    NAME: CiscoVmName(VSI_ID, parse_vsi_id(VM), "web01"),
    ADDRESS: CiscoAddress(VSI_ID, "192.0.2.77"),
    ORACLE: OracleEncoding(1),
}


@pytest.mark.parametrize("tlv", KNOWN)
def test_both_ways(tlv: OrganizationalTlv) -> None:
    assert decode(tlv) == KNOWN[tlv]
    assert encode(KNOWN[tlv]) == tlv


def test_as_lldpad_sends_them() -> None:
    ulpdus = [ecpdu for _, data in captured("lldpad-vdp22-cisco-oui.pcap") if (ecpdu := ecp_octets(data))]
    read = [
        RATIFIED.decode(ecpdu.payload, True).vsis for ecpdu in ulpdus if ecpdu.vsis and not ecpdu.vsis[0].is_response
    ]
    assert len(read) >= 2
    for (vsi,) in read:
        name, address = map(decode, vsi.organizational)
        assert isinstance(name, CiscoVmName) and isinstance(address, CiscoAddress)
        assert name.vsi_id == address.vsi_id == vsi.vsi_id
        assert (name.vm_id.text, name.name, address.address) == (VM, "web01", "192.0.2.77")
        assert (encode(name), encode(address)) == vsi.organizational


@given(
    st.builds(VsiId, st.integers(0, 255), st.binary(min_size=16, max_size=16)),
    st.text(st.characters(exclude_categories=("Cs",)), max_size=MOST_NAME // 4),
    st.ip_addresses(v=4).map(str),
)
def test_round_trips(vsi_id: VsiId, name: str, address: str) -> None:
    for value in (CiscoVmName(vsi_id, VSI_ID, name), CiscoAddress(vsi_id, address)):
        assert decode(encode(value)) == value


def test_the_longest_name() -> None:
    tlv = encode(CiscoVmName(VSI_ID, VSI_ID, "x" * MOST_NAME))
    assert len(tlv.oui + tlv.value) == 511
    with pytest.raises(ValueError, match=f"{MOST_NAME + 1} octets"):
        encode(CiscoVmName(VSI_ID, VSI_ID, "x" * (MOST_NAME + 1)))


@pytest.mark.parametrize("address", ["192.0.2.300", "2001:db8::7", "", "host"])
def test_what_is_no_ipv4_address(address: str) -> None:
    with pytest.raises(ValueError, match="no IPv4 address"):
        encode(CiscoAddress(VSI_ID, address))


@pytest.mark.parametrize("tlv", KNOWN)
def test_every_truncation(tlv: OrganizationalTlv) -> None:
    for length in range(1, len(tlv.value)):
        cut = OrganizationalTlv(tlv.oui, tlv.value[:length])
        if tlv is NAME and length >= 35:
            assert decode(cut) == CiscoVmName(VSI_ID, parse_vsi_id(VM), "web01"[: length - 35])
        else:
            with pytest.raises(DecodeError):
                decode(cut)
    assert decode(OrganizationalTlv(tlv.oui, b"")) is None


@pytest.mark.parametrize("tlv", KNOWN)
def test_every_change_of_one_octet(tlv: OrganizationalTlv) -> None:
    for place in range(len(tlv.value)):
        for octet in range(256):
            changed = OrganizationalTlv(tlv.oui, tlv.value[:place] + bytes([octet]) + tlv.value[place + 1 :])
            try:
                value = decode(changed)
            except DecodeError:
                assert describe(changed)["octets"] == changed.value.hex()
            else:
                assert value is None or encode(value) == changed
                assert describe(changed)


@pytest.mark.parametrize("tlv", [ADDRESS, ORACLE])
def test_what_is_too_long(tlv: OrganizationalTlv) -> None:
    with pytest.raises(DecodeError):
        decode(OrganizationalTlv(tlv.oui, tlv.value + b"\0"))


def test_another_address_family_is_not_known() -> None:
    tlv = OrganizationalTlv(CISCO, ADDRESS.value[:18] + b"\0\2" + bytes(16))
    assert decode(tlv) is None


def test_for_readers() -> None:
    assert describe(NAME) == {"kind": "cisco-vm-name", "vsi-id": UUID, "vm-id": VM, "vm-name": "web01"}
    assert describe(ADDRESS) == {"kind": "cisco-vm-address", "vsi-id": UUID, "vm-address": "192.0.2.77"}
    assert describe(ORACLE) == {"kind": "oracle-vsi-manager-id-encoding", "encoding": "oracle_vsi_v1"}
    assert describe(OrganizationalTlv(ORACLE.oui, b"\1\2"))["encoding"] == "reserved-2"
    assert describe(OrganizationalTlv(b"\0\x1b\x3f", b"\7ab")) == {"oui": "00-1b-3f", "octets": "076162"}
    broken = describe(OrganizationalTlv(CISCO, b"\xf2"))
    assert (broken["oui"], broken["octets"]) == ("00-00-0c", "f2") and "needs 20" in str(broken["error"])
