"""Layouts: values both ways, and what does not fit."""

from dataclasses import dataclass

import pytest
from construct import Array, BitsInteger, BitStruct, Bytes, Flag, Int8ub, Int16ub, Padding, Struct

from protocols.errors import DecodeError
from protocols.layout import Layout, decode_entries, encode_by_kind, encode_entries


@dataclass(frozen=True, slots=True)
class Bits:
    flag: bool
    number: int
    table: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Octets:
    number: int
    name: bytes


@dataclass(frozen=True, slots=True)
class Two:
    first: bytes
    second: bytes


BITS = Layout(
    Bits,
    BitStruct("flag" / Flag, Padding(2), "number" / BitsInteger(5, signed=True), "table" / Array(2, BitsInteger(4))),
)
OCTETS = Layout(Octets, Struct("number" / Int16ub, "name" / Bytes(2)))
TWO = Layout(Two, Struct("first" / Bytes(2), "second" / Bytes(2)))


@pytest.mark.parametrize(
    ("octets", "value"),
    [
        ("0000", Bits(False, 0, (0, 0))),
        ("8fa5", Bits(True, 15, (10, 5))),
        ("1f0f", Bits(False, -1, (0, 15))),
        ("10f0", Bits(False, -16, (15, 0))),
    ],
)
def test_bits_both_ways(octets: str, value: Bits) -> None:
    assert BITS.size == 2
    assert BITS.decode(bytes.fromhex(octets)) == value
    assert BITS.encode(value) == bytes.fromhex(octets)


def test_octets_both_ways() -> None:
    assert OCTETS.decode(b"..\1\2ab--", 2) == Octets(0x0102, b"ab")
    assert OCTETS.encode(Octets(0x0102, b"ab")) == b"\1\2ab"


def test_reserved_bits_are_ignored_and_sent_as_zero() -> None:
    assert BITS.decode(bytes.fromhex("6000")) == Bits(False, 0, (0, 0))


@pytest.mark.parametrize(("octets", "offset"), [(b"", 0), (b"\1", 0), (b"\1\2a", 0), (b"\1\2ab", 1), (b"\1\2ab", 9)])
def test_octets_that_are_missing(octets: bytes, offset: int) -> None:
    with pytest.raises(DecodeError, match=r"octets are left, 4 are needed") as error:
        OCTETS.decode(octets, offset)
    assert error.value.offset == offset


@pytest.mark.parametrize(
    "value",
    [
        Bits(True, 16, (0, 0)),
        Bits(True, -17, (0, 0)),
        Bits(True, 0, (0,)),
        Bits(True, 0, (0, 0, 0)),
        Bits(True, 0, (0, 16)),
        Bits(2, 0, (0, 0)),  # type: ignore[arg-type]
        Bits(True, None, (0, 0)),  # type: ignore[arg-type]
    ],
)
def test_bits_that_do_not_fit(value: Bits) -> None:
    with pytest.raises(ValueError, match="does not fit its octets"):
        BITS.encode(value)


@pytest.mark.parametrize("value", [Octets(65536, b"ab"), Octets(-1, b"ab"), Octets(1, b"a"), Octets(1, b"abc")])
def test_octets_that_do_not_fit(value: Octets) -> None:
    with pytest.raises(ValueError, match="does not fit its octets"):
        OCTETS.encode(value)


def test_octets_that_would_move_each_other() -> None:
    with pytest.raises(ValueError, match="does not fit its octets"):
        TWO.encode(Two(b"abc", b"d"))


def test_entries() -> None:
    entries = (Octets(1, b"ab"), Octets(2, b"cd"))
    octets = encode_entries(OCTETS, entries)
    assert octets == b"\0\1ab\0\2cd"
    assert decode_entries(OCTETS, b"?" + octets, 1) == entries
    assert decode_entries(OCTETS, b"?", 1) == ()
    with pytest.raises(DecodeError) as error:
        decode_entries(OCTETS, octets[:-1], 0)
    assert error.value.offset == 4


def test_by_kind() -> None:
    layouts = {7: OCTETS, 8: TWO}
    assert encode_by_kind(layouts, Two(b"ab", b"cd")) == (8, b"abcd")
    with pytest.raises(ValueError, match="no layout"):
        encode_by_kind(layouts, Bits(True, 0, (0, 0)))


def test_a_single_octet() -> None:
    @dataclass(frozen=True)
    class One:
        number: int

    layout = Layout(One, Struct("number" / Int8ub))
    assert [layout.encode(layout.decode(bytes([octet]))) for octet in range(256)] == [bytes([i]) for i in range(256)]
