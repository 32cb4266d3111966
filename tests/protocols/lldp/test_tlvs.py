"""The TLV values: code points by IEEE 802.1AB, their text for people, hashing and equality."""

from dataclasses import FrozenInstanceError, fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.lldp.addresses import AddressFamily, network_address
from protocols.lldp.tlvs import (
    Capability,
    ChassisId,
    ChassisIdSubtype,
    InterfaceNumbering,
    Lldpdu,
    ManagementAddress,
    OrganizationalTlv,
    PortDescription,
    PortId,
    PortIdSubtype,
    SystemCapabilities,
    SystemDescription,
    SystemName,
    UnrecognizedTlv,
    printable,
)

MAC = bytes.fromhex("02000000000a")
IPV6 = bytes.fromhex("20010db8000000000000000000000010")


@pytest.mark.parametrize(
    ("subtype", "octets", "text"),
    [
        (1, b"chassis 1", "chassis 1"),
        (2, b"alias", "alias"),
        (3, b"backplane", "backplane"),
        (4, MAC, "02:00:00:00:00:0a"),
        (4, b"\x02\x00", "02:00"),
        (5, b"\1\xc0\0\2\x0a", "192.0.2.10"),
        (5, b"\2" + IPV6, "2001:db8::10"),
        (5, b"\6" + MAC, "02:00:00:00:00:0a"),
        (5, b"\x10switch.example.net", "switch.example.net"),
        (5, b"\1\xc0\0\2", "1:c00002"),
        (5, b"\2\xc0\0\2\x0a", "2:c000020a"),
        (5, b"\x11ab", "17:6162"),
        (5, b"\1", "1:"),
        (6, b"eth0", "eth0"),
        (7, "Gebäude 7".encode(), "Gebäude 7"),
        (7, b"\xff\x00x", "\\xff\0x"),
    ],
)
def test_chassis_id_text(subtype: int, octets: bytes, text: str) -> None:
    assert ChassisId(subtype, octets).text == text


@pytest.mark.parametrize(
    ("subtype", "octets", "text"),
    [
        (1, b"alias", "alias"),
        (2, b"port 1", "port 1"),
        (3, MAC, "02:00:00:00:00:0a"),
        (4, b"\1\xc0\0\2\x0a", "192.0.2.10"),
        (5, b"eth9", "eth9"),
        (6, b"\0\4\0\1ab", "000400016162"),
        (7, b"1", "1"),
        (7, b"caf\xe9", "caf\\xe9"),
    ],
)
def test_port_id_text(subtype: int, octets: bytes, text: str) -> None:
    assert PortId(subtype, octets).text == text


def test_the_subtypes_of_chassis_and_port_differ() -> None:
    assert [subtype.name for subtype in ChassisIdSubtype] == [
        "CHASSIS_COMPONENT",
        "INTERFACE_ALIAS",
        "PORT_COMPONENT",
        "MAC_ADDRESS",
        "NETWORK_ADDRESS",
        "INTERFACE_NAME",
        "LOCAL",
    ]
    assert [subtype.name for subtype in PortIdSubtype] == [
        "INTERFACE_ALIAS",
        "PORT_COMPONENT",
        "MAC_ADDRESS",
        "NETWORK_ADDRESS",
        "INTERFACE_NAME",
        "AGENT_CIRCUIT_ID",
        "LOCAL",
    ]
    for subtypes in (ChassisIdSubtype, PortIdSubtype):
        assert [int(subtype) for subtype in subtypes] == [1, 2, 3, 4, 5, 6, 7]


def test_other_code_points() -> None:
    assert [numbering.value for numbering in InterfaceNumbering] == [1, 2, 3]
    assert (AddressFamily.IPV4, AddressFamily.IPV6, AddressFamily.ALL_802, AddressFamily.DNS) == (1, 2, 6, 16)
    assert [capability.value for capability in Capability] == [1 << bit for bit in range(11)]
    assert Capability.MAC_BRIDGE | Capability.STATION_ONLY == 0x84
    assert Capability(0x8000).value == 0x8000


@pytest.mark.parametrize("kind", [PortDescription, SystemName, SystemDescription])
def test_texts(kind: type[PortDescription] | type[SystemName] | type[SystemDescription]) -> None:
    assert kind(b"").text == ""
    assert kind("Straße".encode()).text == "Straße"
    assert kind(b"a\xc3").text == "a\\xc3"


def test_management_address_text() -> None:
    assert ManagementAddress(1, b"\xc0\0\2\x0a", 2, 3).text == "192.0.2.10"
    assert ManagementAddress(2, IPV6, 2, 3).text == "2001:db8::10"
    assert ManagementAddress(6, MAC, 2, 3).text == "02:00:00:00:00:0a"
    assert ManagementAddress(25, b"\1\2", 2, 3).text == "25:0102"


@given(st.integers(1, 7), st.binary(min_size=1, max_size=255))
def test_any_identifier_has_a_text(subtype: int, octets: bytes) -> None:
    for identifier in (ChassisId(subtype, octets), PortId(subtype, octets)):
        identifier.text.encode()  # text that every encoding of Unicode can carry: no lone surrogates


@given(st.integers(0, 255), st.binary(max_size=31))
def test_any_network_address_has_a_text(family: int, octets: bytes) -> None:
    network_address(family, octets).encode()


def test_printable() -> None:
    assert printable("uplink zu Gerät 7, 日本") == "uplink zu Gerät 7, 日本"
    assert printable("a\x1b[2Jb\r\n\0") == "a\\x1b[2Jb\\r\\n\\x00"
    assert printable("\u202egnp.exe\u2066") == "\\u202egnp.exe\\u2066"


def test_printable_is_printable() -> None:
    for start in (0, 0x2000, 0xD800, 0xFE00, 0x1F600, 0xE0000):
        text = "".join(map(chr, range(start, start + 0x200)))
        assert printable(text).isprintable()
        assert all(c in printable(text) for c in text if c.isprintable())


def test_msap() -> None:
    pdu = Lldpdu(ChassisId(4, MAC), PortId(5, b"eth9"), 120)
    assert pdu.msap == (4, MAC, 5, b"eth9")
    assert pdu.optional == ()
    assert pdu.msap != Lldpdu(ChassisId(4, MAC), PortId(7, b"eth9"), 120).msap


def test_values_are_values() -> None:
    """Equal when their octets are, hashable, and of their own kind: a name is no description."""
    examples = (
        ChassisId(4, MAC),
        PortId(4, MAC),
        PortDescription(b"x"),
        SystemName(b"x"),
        SystemDescription(b"x"),
        SystemCapabilities(4, 4),
        ManagementAddress(1, b"\xc0\0\2\x0a", 2, 3),
        OrganizationalTlv(b"\0\x80\xc2", 13, b""),
        UnrecognizedTlv(9, b""),
        Lldpdu(ChassisId(4, MAC), PortId(4, MAC), 120, (SystemName(b"x"),)),
    )
    assert len(set(examples)) == len(examples)
    for example in examples:
        copy = type(example)(*(getattr(example, field.name) for field in fields(example)))
        assert copy == example
        assert hash(copy) == hash(example)
        with pytest.raises(FrozenInstanceError):
            setattr(example, fields(example)[0].name, 0)
        assert not hasattr(example, "__dict__")
