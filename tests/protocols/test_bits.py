"""Fields of a layout: found where construct puts them, and refused where they have no fixed place."""

import pytest
from construct import (
    Array,
    BitsInteger,
    BitStruct,
    Bytes,
    Bytewise,
    Construct,
    Enum,
    Flag,
    GreedyBytes,
    Int8ub,
    Int16ub,
    Int16ul,
    Int32ub,
    Padding,
    Struct,
)
from hypothesis import given
from hypothesis import strategies as st

from protocols.bits import Kind, fields_of

BITS = BitStruct(
    "flag" / Flag,
    Padding(2),
    "signed" / BitsInteger(5, signed=True),
    "table" / Array(3, BitsInteger(4)),
    "name" / Bytewise(Bytes(3)),
    "rest" / BitsInteger(12),
)
OCTETS = Struct("flag" / Flag, Padding(1), "numbers" / Array(2, Int16ub), "name" / Bytes(2), "last" / Int32ub)


@pytest.mark.parametrize("layout", [BITS, OCTETS])
@given(data=st.data())
def test_like_construct(layout: Construct, data: st.DataObject) -> None:
    octets = data.draw(st.binary(min_size=layout.sizeof(), max_size=layout.sizeof()))
    number, parsed = int.from_bytes(octets, "big"), layout.parse(octets)
    for field in fields_of(layout):
        value = field.reader()(number)
        wanted = parsed[field.name]
        assert value == (tuple(wanted) if field.is_array else wanted), field
        assert field.reader()(field.write(value)) == value


def test_order_and_meaning() -> None:
    assert [(field.name, field.kind, field.width) for field in fields_of(BITS)] == [
        ("flag", Kind.FLAG, 1),
        ("signed", Kind.SIGNED, 5),
        ("table", Kind.UNSIGNED, 4),
        ("name", Kind.OCTETS, 24),
        ("rest", Kind.UNSIGNED, 12),
    ]


@pytest.mark.parametrize(
    "layout",
    [
        Struct("number" / Int16ul),
        Struct("number" / BitsInteger(8, swapped=True)),
        Struct("word" / Enum(Int8ub, one=1)),
        Int8ub,
    ],
)
def test_what_has_no_fixed_place_or_meaning(layout: Construct) -> None:
    with pytest.raises(TypeError):
        fields_of(layout)


def test_octets_without_end() -> None:
    with pytest.raises(Exception, match="size"):
        fields_of(Struct("rest" / GreedyBytes))
