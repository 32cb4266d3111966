"""Vendors' TLVs: real octets both ways, cut and changed; what has no public form stays unread."""

import pytest

from protocols.errors import DecodeError
from protocols.lldp.vendor_codec import decode, encode
from protocols.lldp.vendors import (
    VENDOR_TLVS,
    VENDORS,
    AciAppliance,
    AciApplianceVector,
    ChassisMac,
    FabricAttachAssignment,
    FabricAttachElement,
    FabricAttachElementType,
    FabricAttachService,
    Form,
    FourWirePower,
    MeasuredDelays,
    MrpIcPortStatus,
    MrpPortStatus,
    ProfinetPortStatus,
    PtcpStatus,
    RtClass2State,
    RtClass3State,
    VendorAddresses,
    VendorNumber,
    VendorText,
    VendorTlv,
    vendor_kind,
)
from tests.support.bodies import check_both_ways, check_changed, check_cut

SUBDOMAIN = bytes.fromhex("be261652e4b9c77b248fa86b5b4933ff")
UUID_TEXT = b"01234567-89ab-cdef-0123-456789abcdef"

DIGEST = bytes(range(32))
SYSTEM_ID = bytes.fromhex("02000000000a20000000")

PROFINET, CISCO, AVAYA, DELL = (bytes.fromhex(oui) for oui in ("000ecf", "000142", "00400d", "f8b156"))
FABRIC_ATTACH = bytes.fromhex("00040d")
IANA, JUNIPER, ONOS = (bytes.fromhex(oui) for oui in ("00005e", "009069", "a42305"))

# OUI, subtype, octets after it, value, reserved bits, the shorter lengths that are complete.
KNOWN: list[tuple[bytes, int, str, VendorTlv, str, tuple[int, ...]]] = [
    (PROFINET, 1, "000000e9000000000000007800000000000000ff", MeasuredDelays(233, 0, 120, 0, 255), "", ()),
    (
        PROFINET,
        2,
        "00000000",
        ProfinetPortStatus(RtClass2State.OFF, RtClass3State.OFF, False, False),
        "fffccff8",
        (),
    ),
    (PROFINET, 2, "00023004", ProfinetPortStatus(RtClass2State.UP, RtClass3State.RUN, True, True), "fffccff8", ()),
    (PROFINET, 3, b"port-001".hex(), VendorText(PROFINET, 3, b"port-001"), "", tuple(range(8))),
    (PROFINET, 4, SUBDOMAIN.hex() + "0001", MrpPortStatus(SUBDOMAIN, 1), "", ()),
    (PROFINET, 5, "0060e91ba551", ChassisMac(bytes.fromhex("0060e91ba551")), "", ()),
    (
        PROFINET,
        6,  # a Siemens CPU 1516
        "ac64171fa9c5be261652e4b9c77b248fa86b5b4933ff00000000000000000000000000000000803d0900000000000000000080000000",
        PtcpStatus(bytes.fromhex("ac64171fa9c5"), SUBDOMAIN, bytes(16), True, 4_000_000, False, 0, False, 0, True, 0),
        "",
        (),
    ),
    (PROFINET, 7, "0200", VendorNumber(PROFINET, 7, 0x200), "", ()),
    (PROFINET, 8, "000700020001", MrpIcPortStatus(7, 2, 1), "", ()),
    (CISCO, 1, "0d", FourWirePower(True, False, True, True), "f0", ()),
    (CISCO, 1, "02", FourWirePower(False, True, False, False), "f0", ()),
    (CISCO, 0xCB, "00000065", VendorNumber(CISCO, 0xCB, 101), "", ()),
    (CISCO, 0xCE, b"fabric".hex(), VendorText(CISCO, 0xCE, b"fabric"), "", tuple(range(6))),
    (CISCO, 0xD0, "0a000040", VendorAddresses(CISCO, 0xD0, (bytes.fromhex("0a000040"),)), "", ()),
    (CISCO, 0xD3, "0fa0", VendorNumber(CISCO, 0xD3, 4000), "", ()),
    (
        CISCO,
        0xCF,
        ("010a000001" + UUID_TEXT.hex()) * 2,
        AciApplianceVector((AciAppliance(1, bytes.fromhex("0a000001"), UUID_TEXT),) * 2),
        "",
        (0, 41),
    ),
    (
        AVAYA,
        3,
        "c0000201c0000202",
        VendorAddresses(AVAYA, 3, (bytes.fromhex("c0000201"), bytes.fromhex("c0000202"))),
        "",
        (4,),
    ),
    (AVAYA, 7, "01", VendorNumber(AVAYA, 7, 1), "", ()),
    (
        FABRIC_ATTACH,
        11,
        DIGEST.hex() + "3a00fa00" + SYSTEM_ID.hex(),
        FabricAttachElement(DIGEST, FabricAttachElementType.VIRTUAL_SWITCH, 0x20, 250, SYSTEM_ID),
        "00" * 35 + "ff" + "00" * 10,
        (),
    ),
    (
        FABRIC_ATTACH,
        12,
        DIGEST.hex() + "10640186a0" + "2fffffffff",
        FabricAttachAssignment(DIGEST, (FabricAttachService(1, 100, 100_000), FabricAttachService(2, 4095, 0xFFFFFF))),
        "",
        (32, 37),
    ),
    (DELL, 21, b"V6C0000".hex(), VendorText(DELL, 21, b"V6C0000"), "", tuple(range(7))),
    (JUNIPER, 1, b"BP0209".hex(), VendorText(JUNIPER, 1, b"BP0209"), "", tuple(range(6))),
    (IANA, 1, b"https://x".hex(), VendorText(IANA, 1, b"https://x"), "", tuple(range(9))),
    (ONOS, 2, b"7".hex(), VendorText(ONOS, 2, b"7"), "", (0,)),
    (ONOS, 4, "0000018bcfe56800", VendorNumber(ONOS, 4, 1_700_000_000_000), "", ()),
]
IDS = [f"{oui.hex()}-{subtype}-{octets[:12]}" for oui, subtype, octets, _, _, _ in KNOWN]


def write(value: object) -> bytes:
    return encode(value)[2]  # type: ignore[arg-type]


@pytest.mark.parametrize(("oui", "subtype", "octets", "value", "reserved", "borders"), KNOWN, ids=IDS)
def test_known(
    oui: bytes, subtype: int, octets: str, value: VendorTlv, reserved: str, borders: tuple[int, ...]
) -> None:
    body = bytes.fromhex(octets)
    check_both_ways(lambda data: decode(oui, subtype, data), write, body, value)
    assert encode(value)[:2] == (oui, subtype)
    check_cut(lambda data: decode(oui, subtype, data), body, borders)
    check_changed(lambda data: decode(oui, subtype, data), write, body, reserved)


def test_every_tlv_of_the_table_is_read_or_said_to_be_unpublished() -> None:
    body = bytes(12 * 41)  # whole addresses, whole appliances, and behind a digest whole assignments
    for oui, subtypes in VENDOR_TLVS.items():
        assert oui in VENDORS
        for subtype, kind in subtypes.items():
            assert (kind.form is Form.UNPUBLISHED) == (decode(bytes.fromhex(oui), subtype, body) is None)
            assert bool(kind.key) == (kind.form in (Form.TEXT, Form.NUMBER, Form.IPV4))
            assert bool(kind.size) == (kind.form is Form.NUMBER)


@pytest.mark.parametrize(
    ("oui", "subtype"), [("334455", 44), ("008063", 1), ("883a30", 2), ("000142", 2), ("00000c", 1), ("000ecf", 9)]
)
def test_what_is_not_read(oui: str, subtype: int) -> None:
    assert decode(bytes.fromhex(oui), subtype, b"\1\2") is None


@pytest.mark.parametrize(
    ("oui", "subtype", "octets", "reason"),
    [
        (PROFINET, 7, "01", "a number of 1 octets, not 2"),
        (AVAYA, 3, "", "0 octets are no IPv4 addresses"),
        (AVAYA, 3, "c000020100", "5 octets are no IPv4 addresses"),
        (CISCO, 0xCF, "01", "1 octets are left, 41 are needed"),
        (FABRIC_ATTACH, 11, "00", "1 octets are left, 46 are needed"),
        (FABRIC_ATTACH, 12, "00", "1 octets are left, 32 are needed"),
        (FABRIC_ATTACH, 12, DIGEST.hex() + "10", "1 octets are left, 5 are needed"),
    ],
)
def test_errors(oui: bytes, subtype: int, octets: str, reason: str) -> None:
    with pytest.raises(DecodeError) as error:
        decode(oui, subtype, bytes.fromhex(octets))
    assert error.value.reason == reason


@pytest.mark.parametrize(
    "value",
    [
        VendorNumber(CISCO, 0xD3, 65536),
        VendorNumber(CISCO, 0xD3, -1),
        VendorNumber(CISCO, 0xCE, 1),
        VendorNumber(JUNIPER, 99, 1),
        VendorAddresses(AVAYA, 3, ()),
        VendorAddresses(AVAYA, 3, (b"abc",)),
        ChassisMac(b"abc"),
        MeasuredDelays(1 << 32, 0, 0, 0, 0),
        AciApplianceVector((AciAppliance(1, b"abc", UUID_TEXT),)),
        FabricAttachElement(DIGEST, 1, 0, 4096, SYSTEM_ID),
        FabricAttachElement(b"abc", 1, 0, 1, SYSTEM_ID),
        FabricAttachAssignment(b"abc", ()),
        FabricAttachAssignment(DIGEST, (FabricAttachService(1, 1, 1 << 24),)),
    ],
)
def test_what_does_not_fit(value: VendorTlv) -> None:
    with pytest.raises(ValueError, match=r"does not fit|an address that is not IPv4"):
        encode(value)


def test_names() -> None:
    service_tag = vendor_kind(DELL, 21)
    assert service_tag is not None and (service_tag.name, service_tag.key) == ("Service Tag", "service-tag")
    assert vendor_kind(DELL, 20) is None and vendor_kind(b"\x33\x44\x55", 1) is None
    assert VendorText(DELL, 21, "Ü1".encode()).text == "Ü1"
