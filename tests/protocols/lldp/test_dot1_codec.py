"""IEEE 802.1's organizational TLVs: real octets both ways, cut and changed, and the words of the standard."""

import pytest

from protocols.errors import DecodeError
from protocols.lldp.dot1 import (
    AggregationPortType,
    CongestionNotification,
    Dot1Subtype,
    Dot1Tlv,
    LinkAggregation,
    ManagementVid,
    PortAndProtocolVlanId,
    PortVlanId,
    ProtocolIdentity,
    VidUsageDigest,
    VlanName,
)
from protocols.lldp.dot1_codec import decode, encode
from tests.support.bodies import check_both_ways, check_changed, check_cut

# Subtype, octets after it, value, reserved bits. The octets are those of switches and of lldpd.
KNOWN: list[tuple[int, str, Dot1Tlv, str]] = [
    (1, "02c6", PortVlanId(710), ""),
    (1, "0000", PortVlanId(0), ""),
    (1, "ffff", PortVlanId(65535), ""),
    (2, "0600c8", PortAndProtocolVlanId(True, True, 200), "f9"),
    (2, "020000", PortAndProtocolVlanId(True, False, 0), "f9"),
    (2, "000000", PortAndProtocolVlanId(False, False, 0), "f9"),
    (3, "0064057573657273", VlanName(100, b"users"), ""),
    (3, "000100", VlanName(1, b""), ""),
    (3, "0fff20" + 32 * "61", VlanName(4095, 32 * b"a"), ""),
    (4, "05888e010000", ProtocolIdentity(bytes.fromhex("888e010000")), ""),
    (4, "0a00274242030000020003", ProtocolIdentity(bytes.fromhex("00274242030000020003")), ""),
    (4, "00", ProtocolIdentity(b""), ""),
    (5, "deadbeef", VidUsageDigest(0xDEADBEEF), ""),
    (6, "0063", ManagementVid(99), ""),
    (7, "030000000a", LinkAggregation(True, True, AggregationPortType.UNSPECIFIED, 10), "f0"),
    (7, "01fffffffe", LinkAggregation(True, False, AggregationPortType.UNSPECIFIED, 0xFFFFFFFE), "f0"),
    (7, "0b00000001", LinkAggregation(True, True, AggregationPortType.AGGREGATOR, 1), "f0"),
    (8, "2000", CongestionNotification(1 << 5, 0), ""),
    (8, "81ff", CongestionNotification(0x81, 0xFF), ""),
]
IDS = [f"{subtype}-{octets[:12]}" for subtype, octets, _, _ in KNOWN]


@pytest.mark.parametrize(("subtype", "octets", "value", "reserved"), KNOWN, ids=IDS)
def test_known(subtype: int, octets: str, value: Dot1Tlv, reserved: str) -> None:
    body = bytes.fromhex(octets)

    def write(read: object) -> bytes:
        assert encode(read)[0] == subtype  # type: ignore[arg-type]
        return encode(read)[1]  # type: ignore[arg-type]

    check_both_ways(lambda data: decode(subtype, data), write, body, value)
    check_cut(lambda data: decode(subtype, data), body)
    check_changed(lambda data: decode(subtype, data), write, body, reserved)
    assert decode(subtype, body + b"\xff\xff") == value  # 802.1AB 9.2.7.7.2: what is longer is read as far as known


def test_vlan_name_text() -> None:
    assert VlanName(1, "Büro".encode()).text == "Büro"
    assert VlanName(1, b"v2-0488\0").text == "v2-0488\0"


@pytest.mark.parametrize(
    ("subtype", "octets", "reason", "offset"),
    [
        (1, "", "0 octets are left, 2 are needed", 0),
        (2, "040001", "port and protocol VLANs are enabled but not supported", 0),
        (3, "0001", "the length of the string is missing", 2),
        (3, "0001056162", "the string claims 5 octets of 2 left", 2),
        (3, "000121" + 33 * "61", "a string of 33 octets, more than 32", 2),
        (4, "", "the length of the string is missing", 0),
        (4, "0388", "the string claims 3 octets of 1 left", 0),
    ],
)
def test_errors(subtype: int, octets: str, reason: str, offset: int) -> None:
    with pytest.raises(DecodeError) as error:
        decode(subtype, bytes.fromhex(octets))
    assert (error.value.reason, error.value.offset) == (reason, offset)


@pytest.mark.parametrize("subtype", [0, *range(Dot1Subtype.ETS_CONFIGURATION, 25), 255])
def test_subtypes_of_others(subtype: int) -> None:
    assert decode(subtype, bytes(40)) is None


@pytest.mark.parametrize(
    "value",
    [
        PortVlanId(65536),
        PortVlanId(-1),
        PortAndProtocolVlanId(True, True, 65536),
        VlanName(65536, b""),
        VlanName(1, 33 * b"a"),
        ProtocolIdentity(256 * b"a"),
        VidUsageDigest(1 << 32),
        ManagementVid(-1),
        LinkAggregation(True, True, 4, 0),
        LinkAggregation(True, True, 0, 1 << 32),
        CongestionNotification(256, 0),
    ],
)
def test_what_does_not_fit(value: Dot1Tlv) -> None:
    with pytest.raises(ValueError, match=r"does not fit|more than"):
        encode(value)
