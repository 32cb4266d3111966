"""The TLV walk: where it stops, what it keeps, and that it never stops anywhere else."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.errors import DecodeError
from protocols.tlv import RawTlv, Walk, encode_tlv, walk

values = st.binary(max_size=40)
tlvs = st.lists(st.tuples(st.integers(1, 127), values), max_size=8)


def stopped(result: Walk) -> tuple[str, int] | None:
    return None if result.error is None else (result.error.reason, result.error.offset)


def test_types_lengths_and_offsets() -> None:
    result = walk(bytes.fromhex("020704020000000a01 fe09 0080c201aabbccddee 0a00 0000"))
    assert result == Walk(
        (
            RawTlv(1, bytes.fromhex("04020000000a01")),
            RawTlv(127, bytes.fromhex("0080c201aabbccddee")),
            RawTlv(5, b""),
        ),
        22,
        None,
    )
    assert [tlv.offset for tlv in result.tlvs] == [0, 9, 20]


def test_offset_is_no_part_of_the_value() -> None:
    assert RawTlv(5, b"x", 7) == RawTlv(5, b"x", 9)
    assert hash(RawTlv(5, b"x", 7)) == hash(RawTlv(5, b"x", 9))
    assert RawTlv(5, b"x") != RawTlv(5, b"y")


@pytest.mark.parametrize(
    ("octets", "end"),
    [("0000", 0), ("0a01780000", 3), ("0a017800000a027a7aff", 3), ("0a0178000178", 3), ("0a01780001", 3)],
    ids=["at once", "plain", "octets after it", "with a length", "with a length past the end"],
)
def test_end_tlv(octets: str, end: int) -> None:
    result = walk(bytes.fromhex(octets))
    assert (result.end, result.error, len(result.tlvs)) == (end, None, 1 if end else 0)


@pytest.mark.parametrize("octets", ["", "0a0178", "0a00"])
def test_no_end_tlv(octets: str) -> None:
    result = walk(bytes.fromhex(octets))
    assert (result.end, result.error) == (None, None)


@pytest.mark.parametrize(
    ("octets", "kept", "error"),
    [
        ("0a", 0, ("one octet is left, too few for a TLV", 0)),
        ("00", 0, ("one octet is left, too few for a TLV", 0)),
        ("0a01780c", 1, ("one octet is left, too few for a TLV", 3)),
        ("0a01780ac86162", 1, ("TLV type 5 claims 200 octets of 2 left", 3)),
        ("0a01780a01", 1, ("TLV type 5 claims 1 octets of 0 left", 3)),
        ("ffff", 0, ("TLV type 127 claims 511 octets of 0 left", 0)),
    ],
)
def test_what_stops_early_keeps_the_tlvs_before(octets: str, kept: int, error: tuple[str, int]) -> None:
    result = walk(bytes.fromhex(octets))
    assert (len(result.tlvs), result.end, stopped(result)) == (kept, None, error)


@given(tlvs, st.binary(max_size=10))
def test_round_trip(parts: list[tuple[int, bytes]], padding: bytes) -> None:
    octets = b"".join(encode_tlv(kind, value) for kind, value in parts)
    for end, rest in ((None, b""), (len(octets), b"\0\0" + padding)):
        result = walk(octets + rest)
        assert [(tlv.type, tlv.value) for tlv in result.tlvs] == parts
        assert (result.end, result.error) == (end, None)


@given(tlvs, st.data())
def test_every_cut(parts: list[tuple[int, bytes]], data: st.DataObject) -> None:
    """Cut anywhere, the whole TLVs before the cut are all there, and an error unless the cut is at a border."""
    octets = b"".join(encode_tlv(kind, value) for kind, value in parts)
    cut = data.draw(st.integers(0, len(octets)))
    borders = [0]
    for _, value in parts:
        borders.append(borders[-1] + 2 + len(value))
    result = walk(octets[:cut])
    whole = sum(border <= cut for border in borders) - 1
    assert [(tlv.type, tlv.value) for tlv in result.tlvs] == parts[:whole]
    assert (result.error is None) == (cut in borders)
    assert result.error is None or result.error.offset == borders[whole]


@given(st.binary(max_size=300))
def test_any_octets(octets: bytes) -> None:
    """What was walked is exactly the octets up to the stop, whatever they are."""
    result = walk(octets)
    back = b"".join(encode_tlv(tlv.type, tlv.value) for tlv in result.tlvs)
    stop = result.end if result.end is not None else result.error.offset if result.error else len(octets)
    assert back == octets[:stop]
    assert result.end is None or octets[stop] >> 1 == 0


@pytest.mark.parametrize(("kind", "length", "header"), [(127, 511, "ffff"), (1, 7, "0207"), (4, 256, "0900")])
def test_encode(kind: int, length: int, header: str) -> None:
    assert encode_tlv(kind, bytes(length)) == bytes.fromhex(header) + bytes(length)


@pytest.mark.parametrize(("kind", "length"), [(127, 512), (128, 0), (-1, 0)])
def test_encode_refuses(kind: int, length: int) -> None:
    with pytest.raises(ValueError, match=r"TLV type -?\d+ "):
        encode_tlv(kind, bytes(length))


def test_the_error_of_peers() -> None:
    error = DecodeError("too short", 12)
    assert isinstance(error, ValueError)
    assert (str(error), error.reason, error.offset) == ("too short at offset 12", "too short", 12)
    assert str(DecodeError("nothing")) == "nothing at offset 0"
