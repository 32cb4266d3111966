"""Ethernet frames: both ways, cut short, tagged; group addresses; the text form of MAC addresses."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import DecodeError
from protocols.frame import (
    ETHERTYPE_LLDP,
    ETHERTYPES_VLAN,
    MIN_FRAME,
    EthernetFrame,
    Scope,
    decode_frame,
    format_mac,
    parse_mac,
)

BRIDGE = bytes.fromhex("0180c200000e")
SOURCE = bytes.fromhex("020000000a01")
# lldpd's shutdown LLDPDU as it was captured on a veth, without padding.
SHUTDOWN = bytes.fromhex("0180c200000e020000000a0188cc020704020000000a010406057665746830060200000000")

addresses = st.binary(min_size=6, max_size=6)
ethertypes = st.integers(0, 0xFFFF).filter(lambda number: number not in ETHERTYPES_VLAN)


def test_a_captured_frame() -> None:
    frame = decode_frame(SHUTDOWN)
    assert frame == EthernetFrame(BRIDGE, SOURCE, ETHERTYPE_LLDP, SHUTDOWN[14:])
    assert frame.encode() == SHUTDOWN + bytes(MIN_FRAME - len(SHUTDOWN))


def test_payload_keeps_its_padding() -> None:
    padded = SHUTDOWN.ljust(MIN_FRAME, b"\0")
    assert decode_frame(padded).payload == padded[14:]
    assert decode_frame(padded).encode() == padded


@pytest.mark.parametrize("protocol", ["8100", "88a8"])
def test_a_tag_is_taken_off(protocol: str) -> None:
    tagged = SHUTDOWN[:12] + bytes.fromhex(protocol + "e064") + SHUTDOWN[12:]
    frame = decode_frame(tagged)
    assert frame == EthernetFrame(BRIDGE, SOURCE, ETHERTYPE_LLDP, SHUTDOWN[14:], vlan=0xE064)
    assert frame.encode() == SHUTDOWN[:12] + bytes.fromhex("8100e064") + SHUTDOWN[12:] + bytes(19)


def test_a_second_tag_is_left_alone() -> None:
    tagged = SHUTDOWN[:12] + bytes.fromhex("88a80064 81000065") + SHUTDOWN[12:]
    frame = decode_frame(tagged)
    assert (frame.vlan, frame.ethertype, frame.payload[:4]) == (100, 0x8100, bytes.fromhex("006588cc"))


def test_an_untagged_frame_is_not_one_with_tag_zero() -> None:
    assert decode_frame(SHUTDOWN).vlan is None
    assert decode_frame(SHUTDOWN[:12] + bytes.fromhex("81000000") + SHUTDOWN[12:]).vlan == 0


@pytest.mark.parametrize("length", range(14))
def test_no_header(length: int) -> None:
    with pytest.raises(DecodeError) as error:
        decode_frame(SHUTDOWN[:length])
    assert error.value.offset == length
    assert str(error.value) == f"frame of {length} octets has no Ethernet header at offset {length}"


@pytest.mark.parametrize("length", range(14, 18))
def test_tag_cut_short(length: int) -> None:
    tagged = SHUTDOWN[:12] + bytes.fromhex("81000064") + SHUTDOWN[12:]
    with pytest.raises(DecodeError, match="VLAN tag"):
        decode_frame(tagged[:length])


def test_nothing_but_a_header() -> None:
    assert decode_frame(SHUTDOWN[:14]).payload == b""


def test_every_single_byte_change() -> None:
    tagged = SHUTDOWN[:12] + bytes.fromhex("81000064") + SHUTDOWN[12:]
    for frame in (SHUTDOWN, tagged, tagged[:16]):
        for offset in range(len(frame)):
            for octet in range(256):
                changed = frame[:offset] + bytes([octet]) + frame[offset + 1 :]
                try:
                    decode_frame(changed)
                except DecodeError:
                    assert len(changed) < 18


@given(addresses, addresses, ethertypes, st.binary(max_size=100), st.none() | st.integers(0, 0xFFFF))
def test_round_trip(destination: bytes, source: bytes, ethertype: int, payload: bytes, vlan: int | None) -> None:
    octets = EthernetFrame(destination, source, ethertype, payload, vlan).encode()
    frame = decode_frame(octets)
    assert len(octets) >= MIN_FRAME
    assert (frame.destination, frame.source, frame.ethertype, frame.vlan) == (destination, source, ethertype, vlan)
    assert frame.payload[: len(payload)] == payload
    assert not frame.payload[len(payload) :].strip(b"\0")
    assert frame.encode() == octets


@pytest.mark.parametrize(
    ("scope", "name", "address"),
    [
        (Scope.NEAREST_BRIDGE, "nearest-bridge", "0180c200000e"),
        (Scope.NEAREST_NON_TPMR_BRIDGE, "nearest-non-tpmr-bridge", "0180c2000003"),
        (Scope.NEAREST_CUSTOMER_BRIDGE, "nearest-customer-bridge", "0180c2000000"),
    ],
)
def test_scopes(scope: Scope, name: str, address: str) -> None:
    assert str(scope) == name
    assert scope.address.hex() == address
    assert Scope.of(bytes.fromhex(address)) is scope


def test_addresses_of_no_scope() -> None:
    assert len(Scope) == 3
    assert [last for last in range(256) if Scope.of(BRIDGE[:5] + bytes([last]))] == [0x00, 0x03, 0x0E]
    assert Scope.of(b"") is None
    assert Scope.of(BRIDGE + b"\0") is None


@given(addresses)
def test_mac_text_both_ways(address: bytes) -> None:
    text = format_mac(address)
    assert parse_mac(text) == parse_mac(text.upper()) == parse_mac(text.replace(":", "-")) == address


def test_mac_text() -> None:
    assert format_mac(bytes.fromhex("02000000000a")) == "02:00:00:00:00:0a"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "02:00:00:00:00",
        "02:00:00:00:00:0a:0b",
        "02:00:00:00:00:0",
        "02:00:00:00:00:0a ",
        "02:00:00:00:00:0a\n",
        "02:00:00:00:00:0g",
        "+2:00:00:00:00:0a",
        " 2:00:00:00:00:0a",
        "\u0662\u0662:00:00:00:00:0a",
        "02:00-00:00-00:0a",
        "02000000000a",
        "0200.0000.000a",
        "2:0:0:0:0:a",
    ],
)
def test_no_mac_text(text: str) -> None:
    with pytest.raises(ValueError, match="is not a MAC address"):
        parse_mac(text)
